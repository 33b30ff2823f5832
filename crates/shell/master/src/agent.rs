//! Starting an agent: a small program that delivers as its user.

use crate::{mailbox::Mailbox, settings::Settings};
use config::{ServiceType, Values};
use std::os::{fd::OwnedFd, unix::net::UnixStream};
use sys::{
    control::{self, AgentKind, AgentUser},
    credentials::{self, Account, Identity},
    spawn::{self, Child},
};

/// The agent program, installed beside this one; without it, this one stands in.
const PROGRAM: &str = "posthaste-agent";

/// An agent that has just been started.
#[derive(Debug)]
pub(crate) struct Started {
    /// `deliver`'s end of the socket to it.
    pub(crate) socket: OwnedFd,
    pub(crate) pid: u32,
    /// Our end of the socket on which it asks for what needs root, and what it may ask for.
    pub(crate) errands: Option<(OwnedFd, Mailbox)>,
}

/// Starts a process for look-ups, as whom the big processes run; it has nothing but its socket.
fn start_lookup(settings: &Settings) -> Result<Started, String> {
    const NAME: &str = "lookup";
    let failed = |error: std::io::Error| format!("cannot start {NAME}: {error}");
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let environment = settings.import_environment.iter().map(|(name, value)| (name.into(), value.into()));
    let pid = spawn::start(Child {
        program: spawn::own_program(),
        name: NAME,
        arguments: Vec::new(),
        environment: environment.collect(),
        user: settings.owner,
        channel: theirs.into(),
        errands: None,
    })
    .map_err(failed)?;
    Ok(Started { socket: ours.into(), pid, errands: None })
}

/// Starts an agent. The text of an error defers the delivery.
pub(crate) fn start(
    settings: &Settings,
    kind: AgentKind,
    service: &str,
    user: &AgentUser,
) -> Result<Started, String> {
    if kind == AgentKind::Lookup {
        return start_lookup(settings);
    }
    let values = row_values(settings, kind, service)?;
    let account = account(user)?;
    let identity = match (settings.owner, user, &account) {
        // An ordinary user's mail system cannot become anyone else.
        (None, ..) => None,
        (Some(owner), AgentUser::Ids { uid, gid }, _) => {
            let identity = Identity { uid: *uid, gid: *gid };
            Some(judge(kind, identity, owner, settings.virtual_minimum_uid)?)
        }
        (Some(owner), AgentUser::Name(_), Some(account)) => {
            let identity = Identity { uid: account.uid, gid: account.gid };
            Some(judge(kind, identity, owner, settings.virtual_minimum_uid)?)
        }
        (Some(_), AgentUser::Name(name), None) => return Err(format!("unknown user: {name}")),
    };
    let failed = |error: std::io::Error| format!("cannot start {PROGRAM}: {error}");
    let name = account.as_ref().map(|account| account.name.clone()).unwrap_or_default();
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let (errands, their_errands) = match account.filter(|_| kind == AgentKind::Local && identity.is_some()) {
        Some(account) => {
            let (mine, its) = control::pair().map_err(failed)?;
            (Some((mine, Mailbox::new(&values, account))), Some(its))
        }
        None => (None, None),
    };
    let environment = settings.import_environment.iter().map(|(name, value)| (name.into(), value.into()));
    let directory = settings.config_directory.clone();
    let pid = spawn::start(Child {
        program: spawn::program_beside_or_own(PROGRAM),
        name: PROGRAM,
        arguments: vec![kind.as_str().into(), directory.into(), service.into(), name.into()],
        environment: environment.collect(),
        user: identity,
        channel: theirs.into(),
        errands: their_errands,
    })
    .map_err(failed)?;
    Ok(Started { socket: ours.into(), pid, errands })
}

/// The configuration of the row that the agent is for; its program must be the one of that kind.
fn row_values(settings: &Settings, kind: AgentKind, service: &str) -> Result<Values, String> {
    let row = settings.configuration.master_cf().service(service, ServiceType::Unix);
    let row = row.filter(|row| row.command.rsplit('/').next() == Some(kind.as_str()));
    let row = row.ok_or_else(|| format!("master.cf has no service {service}/unix for {}", kind.as_str()))?;
    Ok(settings.configuration.values_for(row))
}

fn account(user: &AgentUser) -> Result<Option<Account>, String> {
    match user {
        AgentUser::Ids { .. } => Ok(None),
        AgentUser::Name(name) => match credentials::account_by_name(name) {
            // Databases that do not care for case give back their own spelling; any other name is not this user.
            Ok(Some(account)) if account.name.eq_ignore_ascii_case(name) => {
                Ok(Some(Account { name: name.clone(), ..account }))
            }
            Ok(_) => Err(format!("unknown user: {name}")),
            Err(error) => Err(format!("user {name}: {error}")),
        },
    }
}

/// Whom the agent runs as: never root, never mail_owner, and for virtual(8) nobody below virtual_minimum_uid.
fn judge(kind: AgentKind, identity: Identity, owner: Identity, minimum: u32) -> Result<Identity, String> {
    if identity.uid == 0 {
        return Err("refusing to deliver as uid 0".to_owned());
    }
    if identity.uid == owner.uid {
        return Err("refusing to deliver as mail_owner".to_owned());
    }
    if kind == AgentKind::Virtual && identity.uid < minimum {
        return Err(format!("refusing to deliver as uid {}: virtual_minimum_uid is {minimum}", identity.uid));
    }
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_becomes_root_or_the_mail_system() {
        let owner = Identity { uid: 105, gid: 110 };
        let check = |kind, uid, allowed: bool| {
            let identity = Identity { uid, gid: 5000 };
            assert_eq!(judge(kind, identity, owner, 100).is_ok(), allowed, "{uid}");
        };
        check(AgentKind::Local, 0, false);
        check(AgentKind::Pipe, 0, false);
        check(AgentKind::Pipe, 105, false);
        check(AgentKind::Pipe, 99, true);
        check(AgentKind::Virtual, 99, false);
        check(AgentKind::Virtual, 100, true);
    }

    #[test]
    fn users_are_those_of_the_database() {
        let named = |name: &str| account(&AgentUser::Name(name.into()));
        assert_eq!(named("root").unwrap().map(|a| a.uid), Some(0));
        assert!(named("no such user").is_err());
        assert!(named("../root").is_err());
        assert_eq!(account(&AgentUser::Ids { uid: 7, gid: 7 }), Ok(None));
    }
}
