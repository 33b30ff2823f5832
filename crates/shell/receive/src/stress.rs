//! A service under stress: other settings for new sessions, and master's words about it.

use crate::{
    Shared,
    service::{Manner, Row, SmtpService},
};
use config::{Values, params as p};
use process::Process;
use smtpd::{SmtpdSettings, Stress};
use std::{net::IpAddr, rc::Rc};
use sys::control::EndpointKind;
use world::World;

/// What is there for when a service has too many clients.
pub(crate) struct Stressed {
    stress: Stress,
    sessions_max: usize,
    manner: Manner,
    /// First column of master.cf.
    name: String,
    /// `syslog_name/master`
    tag: String,
}

/// Where one of these stands in a setting, more than limits of sessions may depend on `stress`: tables are then opened a
/// second time.
const MENTIONS: [&str; 3] = ["stress", "check_policy_service", "reject_unverified_"];

/// Whether strangers may come, who alone put a service under stress: not where it listens on this host only. Behind
/// postscreen they do.
pub(crate) fn has_remote_clients(row: &Row<'_>, values: &Values) -> bool {
    let is_loopback = |host: &str| match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    };
    let is_of_host = || match values.text(p::inet_interfaces) {
        "all" => false,
        _ => values.own_interfaces().iter().all(|interface| interface.address.is_loopback()),
    };
    match (row.kind, row.service.rsplit_once(':')) {
        (EndpointKind::Pass, _) => true,
        (EndpointKind::Inet, Some((host, _))) if !host.is_empty() => !is_loopback(host),
        (EndpointKind::Inet, _) => !is_of_host(),
        _ => false,
    }
}

impl Stressed {
    /// For a service on the network, with its name and how many sessions it may have. `open` opens its tables
    /// with other values.
    pub(crate) fn new(
        process: &Process,
        calm: &Manner,
        (name, sessions_max): (&str, usize),
        values: &Values,
        open: impl FnOnce(&Values) -> Result<Manner, String>,
    ) -> Result<Self, String> {
        let stressed = values.with(&[("stress", "yes")]);
        let manner = if MENTIONS.iter().any(|word| values.mentions(word)) {
            open(&stressed)?
        } else {
            let settings = SmtpdSettings::load(&stressed).map_err(|invalid| invalid.to_string())?;
            Manner { settings: Rc::new(settings), judge: Rc::clone(&calm.judge) }
        };
        let tag = process::tag(process.values(), "master");
        Ok(Self { stress: Stress::new(sessions_max), sessions_max, manner, name: name.to_owned(), tag })
    }
}

impl SmtpService {
    /// How a session is served that begins now, at a port of ours.
    pub(crate) fn manner_now<W: World>(&self, shared: &Shared<W>, port: Option<u16>) -> Manner {
        let Some(stressed) = &self.stressed else { return self.manner.clone() };
        let load = stressed.stress.session_begins(self.slots.taken(), shared.world.now());
        if load.is_news {
            stressed.warn(shared, port);
        }
        if load.is_stressed { stressed.manner.clone() } else { self.manner.clone() }
    }
}

impl Stressed {
    fn warn<W: World>(&self, shared: &Shared<W>, port: Option<u16>) {
        // Postfix names a service as master.cf does, and with the number of its port.
        let name = &self.name;
        let number = match (name.rsplit_once(':'), port) {
            (_, None) => name.clone(),
            (Some((host, _)), Some(port)) => format!("[{}]:{port}", host.trim_matches(['[', ']'])),
            (None, Some(port)) => port.to_string(),
        };
        let logger = shared.log.session(&self.tag);
        logger.warning(&format!(
            "service \"{name}\" ({number}) has reached its process limit \"{}\": new clients may experience \
             noticeable delays",
            self.sessions_max
        ));
        logger.warning(
            "to avoid this condition, increase the process count in master.cf or reduce the service time per client",
        );
        logger.warning(
            "see https://www.postfix.org/STRESS_README.html for examples of stress-adapting configuration settings",
        );
    }
}
