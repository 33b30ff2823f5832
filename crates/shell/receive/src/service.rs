//! One smtpd row of master.cf: its settings, its tables, its places.

use crate::{Shared, upstream_proxy::UpstreamProxy};
use cleanup::ClientSettings;
use config::{Values, params as p};
use dns::HostsFirst;
use net::Slots;
use process::{CleanupRow, Libraries, Process};
use rewrite::{Context, RewriteSettings, Rewriter, own_addresses};
use smtpd::{Judge, Resolve, SmtpdSettings, Surroundings};
use std::{cell::Cell, rc::Rc, time::Duration};
use tables::Registry;
use types::{Address, Instant, Lookup, Resolved};
use world::{Disk, Dns, World};

/// How old the answer to "how much disk is free" may be.
const FREE_SPACE_AGE: Duration = Duration::from_secs(1);

pub(crate) struct SmtpService {
    pub(crate) settings: Rc<SmtpdSettings>,
    pub(crate) judge: Judge<Routes>,
    pub(crate) cleanup: CleanupRow,
    pub(crate) client: Rc<ClientSettings>,
    /// For the names of clients.
    pub(crate) host_names: Rc<dyn Dns>,
    pub(crate) smtpd_peername_lookup: bool,
    pub(crate) upstream_proxy: Option<UpstreamProxy>,
    pub(crate) slots: Slots,
    /// `syslog_name/smtpd`
    pub(crate) tag: String,
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
        (service, sessions_max): (&str, usize),
        values: &Values,
    ) -> Result<Self, String> {
        let invalid = |invalid: config::Invalid| invalid.to_string();
        let tag = process::tag(values, "smtpd");
        let settings = Rc::new(SmtpdSettings::load(values).map_err(invalid)?);
        let logger = shared.log.session(&tag);
        settings.restrictions.problems().iter().for_each(|problem| logger.warning(problem));
        if let Some(asked) = asks_for_tls(values) {
            let consequence = match settings.protocol.requires_tls {
                true => "no mail is taken: set the level to may for mail in clear text",
                false => "sessions are in clear text",
            };
            logger.warning(&format!("service {service}: {asked}: TLS is not offered yet; {consequence}"));
        }
        let registry = Registry::new(values, logger).with_openers(&shared.openers);
        let own = Rewriter::new(RewriteSettings::load(values).map_err(invalid)?, &registry);
        let dns: Rc<dyn Dns> = Rc::new(process.host.resolver(&shared.world));
        let hosts = process.host.names();
        let host_names: Rc<dyn Dns> = Rc::new(HostsFirst::new(hosts, Rc::clone(&dns)));
        let around = Surroundings {
            tables: &registry,
            dns,
            local: own.locality(),
            own_addresses: own_addresses(values).into(),
            free_bytes: free_bytes(shared),
        };
        let judge = Judge::new(Rc::clone(&settings), values, Routes(libraries.rewriter(values)?), &around);
        Ok(Self {
            settings,
            judge,
            cleanup: libraries.cleanup(values)?,
            client: Rc::new(ClientSettings::load(values)),
            host_names,
            upstream_proxy: UpstreamProxy::load(values).map_err(invalid)?,
            smtpd_peername_lookup: values.bool(p::smtpd_peername_lookup),
            slots: Slots::new(sessions_max),
            tag,
        })
    }
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
