//! One smtpd row of master.cf: its settings, its tables, its places.

use crate::{
    Shared,
    asking::{VerifyClient, WorldClock},
    flush::FlushClient,
    policy::PolicyClients,
    stress::{self, Stressed},
    upstream_proxy::UpstreamProxy,
};
use bounce::NoticeSettings;
use cleanup::ClientSettings;
use config::{Values, params as p};
use dns::HostsFirst;
use maillog::Logger;
use maps::DebugPeers;
use net::Slots;
use process::{CleanupRow, Libraries, Process, Zone};
use rewrite::{Context, RewriteSettings, Rewriter, own_addresses};
use smtpd::{Counters, Judge, PolicyServers, Resolve, SmtpdSettings, Surroundings};
use std::{cell::Cell, rc::Rc, time::Duration};
use sys::control::{EndpointKind, ServedRow};
use tables::Registry;
use types::{Address, Instant, Lookup, Resolved};
use world::{Disk, Dns, World};

/// How old the answer to "how much disk is free" may be.
const FREE_SPACE_AGE: Duration = Duration::from_secs(1);

/// The row of master.cf.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    /// First column.
    pub(crate) service: &'a str,
    pub(crate) sessions_max: usize,
    pub(crate) kind: EndpointKind,
    /// Its programs see `queue_directory` as their root.
    pub(crate) is_chrooted: bool,
}

impl<'a> Row<'a> {
    pub(crate) fn of(process: &Process, row: &'a ServedRow) -> Self {
        let (sessions_max, is_chrooted) = (process.row_limit(row), process.is_chrooted(row));
        Self { service: &row.service, sessions_max, kind: row.kind, is_chrooted }
    }
}

pub(crate) struct SmtpService {
    pub(crate) manner: Manner,
    /// For when there are too many clients.
    pub(crate) stressed: Option<Stressed>,
    pub(crate) cleanup: CleanupRow,
    pub(crate) client: Rc<ClientSettings>,
    /// For what the postmaster is told of sessions.
    pub(crate) notices: NoticeSettings,
    /// For the names of clients.
    pub(crate) host_names: Rc<dyn Dns>,
    pub(crate) smtpd_peername_lookup: bool,
    /// Whose sessions are logged line by line.
    pub(crate) debug_peers: DebugPeers,
    pub(crate) upstream_proxy: Option<UpstreamProxy>,
    pub(crate) slots: Slots,
    /// Where its clients are counted.
    pub(crate) counters: Rc<Counters>,
    /// `syslog_name/smtpd`
    pub(crate) tag: String,
}

/// How sessions are served.
#[derive(Clone)]
pub(crate) struct Manner {
    pub(crate) settings: Rc<SmtpdSettings>,
    pub(crate) judge: Rc<Judge<Routes>>,
}

/// Address resolution, as trivial-rewrite does it for smtpd.
pub(crate) struct Routes(Rc<Rewriter>);

impl Resolve for Routes {
    async fn resolve(&self, sender: &Address, address: &Address) -> Lookup<Resolved> {
        let address = self.0.rewrite(Context::Local, address);
        self.0.resolve(sender, &address).await
    }
}

/// What asks for transport security, which there is none of: said once at the start, and STARTTLS is not announced.
fn asks_for_tls(values: &Values) -> Option<String> {
    let level = values.text(p::smtpd_tls_security_level);
    let switches = [(p::smtpd_tls_wrappermode, "smtpd_tls_wrappermode"), (p::smtpd_use_tls, "smtpd_use_tls")];
    let switches = switches.into_iter().chain([(p::smtpd_enforce_tls, "smtpd_enforce_tls")]);
    match level {
        "" => switches.into_iter().find(|(id, _)| values.bool(*id)).map(|(_, name)| format!("{name} = yes")),
        "none" => None,
        level => Some(format!("smtpd_tls_security_level = {level}")),
    }
}

impl SmtpService {
    pub(crate) fn new<W: World>(
        shared: &Shared<W>,
        (process, libraries): (&Process, &Libraries<'_>),
        row: Row<'_>,
        values: &Values,
    ) -> Result<Self, String> {
        let invalid = |invalid: config::Invalid| invalid.to_string();
        let tag = process::tag(values, "smtpd");
        let logger = shared.log.session(&tag);
        let names = Names::new(shared, process);
        let registry = Registry::new(values, logger.clone()).with_openers(&shared.openers);
        let open = |values: &Values| -> Result<Manner, String> {
            let registry = Registry::new(values, shared.log.session(&tag)).with_openers(&shared.openers);
            let own = Rewriter::new(RewriteSettings::load(values).map_err(invalid)?, &registry);
            let around = Surroundings {
                tables: &registry,
                dns: Rc::clone(&names.dns),
                host_names: Rc::clone(&names.host_names),
                local_time: local_time(&shared.world, process),
                flush: Rc::new(FlushClient::new(&shared.world, process, values)),
                policies: policy_servers(shared, values, &row, &names.host_names),
                local: own.locality(),
                own_addresses: own_addresses(values).into(),
                free_bytes: free_bytes(shared),
                verify: Rc::new(VerifyClient::new(&shared.world, shared.log.session(&tag), values)),
                clock: Rc::new(WorldClock(shared.world.clone())),
            };
            let settings = Rc::new(SmtpdSettings::load(values).map_err(invalid)?);
            let routes = Routes(libraries.rewriter(values)?);
            let judge = Rc::new(Judge::new(Rc::clone(&settings), values, routes, &around));
            Ok(Manner { settings, judge })
        };
        let manner = open(values)?;
        say_problems(&manner.settings, &row, values, &logger);
        let stressed = match row.sessions_max > 1 && stress::has_remote_clients(&row, values) {
            true => {
                let named = (row.service, row.sessions_max);
                Some(Stressed::new(process, &manner, named, values, open)?)
            }
            false => None,
        };
        Ok(Self {
            manner,
            stressed,
            cleanup: libraries.cleanup(values)?,
            client: Rc::new(ClientSettings::load(values)),
            notices: NoticeSettings::load(values),
            host_names: names.host_names,
            upstream_proxy: UpstreamProxy::load(values).map_err(invalid)?,
            smtpd_peername_lookup: values.bool(p::smtpd_peername_lookup),
            debug_peers: debug_peers(values, &registry),
            slots: Slots::new(row.sessions_max),
            counters: Rc::new(Counters::new(&shared.statistics.anvil, row.service)),
            tag,
        })
    }
}

/// Who knows names and addresses.
struct Names {
    dns: Rc<dyn Dns>,
    host_names: Rc<dyn Dns>,
}

impl Names {
    fn new<W: World>(shared: &Shared<W>, process: &Process) -> Self {
        let dns: Rc<dyn Dns> = Rc::new(process.host.resolver(&shared.world));
        let host_names = Rc::new(HostsFirst::new(process.host.names(), Rc::clone(&dns)));
        Self { dns, host_names }
    }
}

/// What will not work, said once at the start.
fn say_problems(settings: &SmtpdSettings, row: &Row<'_>, values: &Values, logger: &Logger) {
    settings.restrictions.problems().iter().for_each(|problem| logger.warning(problem));
    if let Some(asked) = asks_for_tls(values) {
        let consequence = match settings.protocol.requires_tls {
            true => "no mail is taken: set the level to may for mail in clear text",
            false => "sessions are in clear text",
        };
        logger.warning(&format!("service {}: {asked}: TLS is not offered yet; {consequence}", row.service));
    }
    if values.bool(p::smtpd_sasl_auth_enable) {
        logger.warning(&format!(
            "service {}: smtpd_sasl_auth_enable = yes: AUTH is not offered yet; clients cannot log in",
            row.service
        ));
    }
}

fn policy_servers<W: World>(
    shared: &Shared<W>,
    values: &Values,
    row: &Row<'_>,
    host_names: &Rc<dyn Dns>,
) -> Rc<dyn PolicyServers> {
    let size = |id| usize::try_from(values.int(id)).unwrap_or(0);
    Rc::new(PolicyClients {
        world: shared.world.clone(),
        hosts: Rc::clone(host_names),
        connections_max: size(p::default_process_limit),
        answer_bytes_max: size(p::header_size_limit),
        is_chrooted: row.is_chrooted,
        last_instance: Rc::clone(&shared.last_instance),
    })
}

fn local_time<W: World>(world: &W, process: &Process) -> Rc<dyn Fn() -> String> {
    let (world, zone) = (world.clone(), Zone::new(process.host.zone.clone()));
    Rc::new(move || {
        let now = world.wall();
        message::log_time(now, &zone.at(now))
    })
}

fn debug_peers(values: &Values, tables: &Registry) -> DebugPeers {
    let lists = (values.text(p::debug_peer_list), values.text(p::parent_domain_matches_subdomains));
    DebugPeers::open(values.verbosity(), values.int(p::debug_peer_level), lists, tables)
}

/// Asks the file system at most once a second.
fn free_bytes<W: World>(shared: &Shared<W>) -> Rc<dyn Fn() -> u64> {
    let (world, queue) = (shared.world.clone(), shared.queue.clone());
    let known: Cell<Option<(Instant, u64)>> = Cell::new(None);
    Rc::new(move || {
        let now = world.now();
        match known.get() {
            Some((at, bytes)) if now.since(at) < FREE_SPACE_AGE => bytes,
            // Where the question fails, the write will say so.
            _ => {
                let bytes = queue.disk().free_bytes().unwrap_or(u64::MAX);
                known.set(Some((now, bytes)));
                bytes
            }
        }
    })
}
