//! The transports: rows of master.cf by name, with what each program needs.

use crate::{
    injecting::{injector, postmaster},
    shared::Shared,
    statuses::Statuses,
};
use config::{ServiceType, Values, params as p};
use dns::HostNames;
use local::{LocalSettings, VirtualSettings};
use maps::{AddressMaps, Maps};
use process::{Injector, Libraries, Process};
use rewrite::{RewriteSettings, Rewriter, own_addresses};
use smtp::{Client, ConnectionCache, Flags, Network, Protocol, SmtpSettings, SmtpTables};
use std::{collections::HashMap, rc::Rc};
use tables::{Registry, Slow, SystemUsers};
use types::Transport;
use world::{Caution, Dns, Table, Tables, Users, World};

/// What a transport is.
pub(crate) enum Program<W: World> {
    /// error, retry, discard: no I/O; by the program's name.
    Internal(String),
    /// smtp and lmtp.
    Smtp(Box<Client<W>>),
    Local(Box<Local<W>>),
    Virtual(Box<Virtual>),
    /// A program that is not built yet, or settings that cannot be used: mail waits.
    Unavailable(String),
}

pub(crate) struct Service<W: World> {
    pub(crate) program: Program<W>,
    /// `syslog_name/program`
    pub(crate) tag: String,
    /// What its reports come to.
    pub(crate) statuses: Statuses,
}

/// What local(8) needs.
pub(crate) struct Local<W: World> {
    pub(crate) settings: LocalSettings,
    pub(crate) aliases: Vec<Rc<dyn Table>>,
    pub(crate) mailbox_transport_maps: Maps,
    pub(crate) mailbox_command_maps: Maps,
    pub(crate) fallback_transport_maps: Maps,
    pub(crate) users: Rc<dyn Users>,
    pub(crate) rewriter: Rc<Rewriter>,
    pub(crate) transport: Transport,
    /// For copies under another envelope.
    pub(crate) injector: Rc<Injector<W>>,
}

/// What virtual(8) needs.
pub(crate) struct Virtual {
    pub(crate) settings: VirtualSettings,
    pub(crate) mailboxes: AddressMaps,
    pub(crate) uids: AddressMaps,
    pub(crate) gids: AddressMaps,
}

/// All transports of master.cf.
pub(crate) struct Services<W: World>(HashMap<String, Service<W>>);

impl<W: World> Services<W> {
    pub(crate) fn open(shared: &Shared<W>, process: &Process, libraries: &Libraries<'_>) -> Self {
        let dns: Rc<dyn Dns> = Rc::new(process.host.resolver(&shared.world));
        let hosts = Rc::new(process.host.names());
        let maker = Maker { shared, process, libraries, dns, hosts, slow: process.slow() };
        let rows = process.configuration.master_cf().rows.iter();
        let unix = rows.filter(|row| row.service_type == ServiceType::Unix);
        let service = |row: &config::ServiceRow| {
            let values = process.configuration.values_for(row);
            let program = match process.configuration.out_of_order(row) {
                Some(wrong) => Program::Unavailable(wrong.place_and_text()),
                None => maker.program(row, &values),
            };
            let registry = maker.registry(&values, &row.command);
            let statuses = Statuses::load(&values, &row.command, &registry);
            let tag = process::tag(&values, &row.command);
            (row.name.clone(), Service { program, tag, statuses })
        };
        Self(unix.map(service).collect())
    }

    pub(crate) fn get(&self, transport: &Transport) -> Option<&Service<W>> {
        self.0.get(transport.as_str())
    }
}

struct Maker<'a, W: World> {
    shared: &'a Shared<W>,
    process: &'a Process,
    libraries: &'a Libraries<'a>,
    dns: Rc<dyn Dns>,
    hosts: Rc<HostNames>,
    slow: Rc<dyn Slow>,
}

impl<W: World> Maker<'_, W> {
    fn program(&self, row: &config::ServiceRow, values: &Values) -> Program<W> {
        let command = row.command.as_str();
        let invalid = |invalid: config::Invalid| invalid.to_string();
        let made = match command {
            "error" | "retry" | "discard" => Ok(Program::Internal(command.to_owned())),
            "smtp" => self.client(values, Protocol::Smtp, row),
            "lmtp" => self.client(values, Protocol::Lmtp, row),
            "local" => self.local(&row.name, values),
            "virtual" => self.virtual_(values).map_err(invalid),
            other => Ok(Program::Unavailable(format!("delivery by {other} is not supported yet"))),
        };
        made.unwrap_or_else(Program::Unavailable)
    }

    fn client(
        &self,
        values: &Values,
        protocol: Protocol,
        row: &config::ServiceRow,
    ) -> Result<Program<W>, String> {
        let invalid = |invalid: config::Invalid| invalid.to_string();
        let mut flags = match Flags::parse(&row.operands) {
            Ok(flags) => flags,
            Err(why) => return Ok(Program::Unavailable(format!("master.cf, line {}: {why}", row.line))),
        };
        if protocol == Protocol::Lmtp && values.bool(p::lmtp_assume_final) && !flags.final_delivery {
            flags.final_delivery = true;
            let logger = self.shared.log.session(&process::tag(values, "lmtp"));
            logger.warning("lmtp_assume_final is obsolete; instead, specify \"flags=X\" in master.cf");
        }
        let hosts = Rc::clone(&self.hosts);
        let network = Network {
            own_addresses: own_addresses(values),
            proxy_addresses: values.proxy_addresses(),
            native: Rc::new(move |name: &str| hosts.addresses(name).to_vec()),
        };
        let settings = Rc::new(SmtpSettings::load(values, protocol).map_err(invalid)?);
        let tag = process::tag(values, protocol.prefix());
        let postmaster = match settings.tells_postmaster() {
            true => postmaster(self.shared, self.process, self.libraries, (values, tag))?,
            false => Box::new(|_| {}),
        };
        Ok(Program::Smtp(Box::new(Client {
            world: self.shared.world.clone(),
            dns: Rc::clone(&self.dns),
            settings,
            flags,
            tables: SmtpTables::open(values, protocol, &self.registry(values, protocol.prefix()))
                .map_err(invalid)?,
            network,
            cache: ConnectionCache::default(),
            postmaster,
        })))
    }

    fn local(&self, name: &str, values: &Values) -> Result<Program<W>, String> {
        let registry = self.registry(values, "local");
        let open = |item| registry.open_with(item, Caution::Paranoid);
        let aliases = maps::split_list(values.text(p::alias_maps)).map(open).collect();
        let maps = |title, id, caution| Maps::open_with(title, values.text(id), &registry, caution);
        Ok(Program::Local(Box::new(Local {
            settings: LocalSettings::load(values),
            aliases,
            mailbox_transport_maps: maps(
                "mailbox_transport_maps",
                p::mailbox_transport_maps,
                Caution::NoSubstitution,
            ),
            mailbox_command_maps: maps("mailbox_command_maps", p::mailbox_command_maps, Caution::Paranoid),
            fallback_transport_maps: maps(
                "fallback_transport_maps",
                p::fallback_transport_maps,
                Caution::NoSubstitution,
            ),
            users: Rc::new(SystemUsers::new(Rc::clone(&self.slow), &tables::slow::nsswitch())),
            rewriter: self.libraries.rewriter(values)?,
            transport: Transport::new(name),
            injector: injector(self.shared, self.process, self.libraries, values)?,
        })))
    }

    fn virtual_(&self, values: &Values) -> Result<Program<W>, config::Invalid> {
        let registry = self.registry(values, "virtual");
        let rewriter = Rewriter::new(RewriteSettings::load(values)?, &registry);
        let open = |title, id| AddressMaps {
            maps: Maps::open_with(title, values.text(id), &registry, Caution::Paranoid),
            ..rewriter.address_maps(title, "", &registry)
        };
        Ok(Program::Virtual(Box::new(Virtual {
            settings: VirtualSettings::load(values),
            mailboxes: open("virtual_mailbox_maps", p::virtual_mailbox_maps),
            uids: open("virtual_uid_maps", p::virtual_uid_maps),
            gids: open("virtual_gid_maps", p::virtual_gid_maps),
        })))
    }

    fn registry(&self, values: &Values, program: &str) -> Registry {
        let logger = self.shared.log.session(&process::tag(values, program));
        Registry::new(values, logger).with_openers(&self.shared.openers)
    }
}
