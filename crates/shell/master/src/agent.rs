//! Starting an agent: a small program that delivers as its user.

use crate::settings::Settings;
use std::os::{
    fd::OwnedFd,
    unix::{fs::MetadataExt, net::UnixStream},
};
use sys::{
    control::{AgentKind, AgentUser},
    credentials::{self, Identity},
    spawn::{self, Child},
};

/// The agent program, installed beside this one; without it, this one stands in.
const PROGRAM: &str = "posthaste-agent";

/// Starts an agent and returns the socket to it and its process number. The text of an error defers the delivery.
pub(crate) fn start(
    settings: &Settings,
    kind: AgentKind,
    user: &AgentUser,
) -> Result<(OwnedFd, u32), String> {
    let user = match settings.owner {
        Some(owner) => Some(judge(kind, user, owner, settings.virtual_minimum_uid)?),
        // An ordinary user's mail system cannot become anyone else.
        None => None,
    };
    let failed = |error: std::io::Error| format!("cannot start {PROGRAM}: {error}");
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let environment = settings.import_environment.iter().map(|(name, value)| (name.into(), value.into()));
    let pid = spawn::start(Child {
        program: spawn::program_beside_or_own(PROGRAM),
        name: PROGRAM,
        arguments: vec![kind.as_str().into(), settings.config_directory.clone().into()],
        environment: environment.collect(),
        user,
        group: spool_group(settings, kind),
        channel: theirs.into(),
    })
    .map_err(failed)?;
    Ok((ours.into(), pid))
}

/// The group that may write to the mail spool, where its users may not: local(8) makes mailboxes and lock files there.
/// Only for agents that write mailboxes: none that runs a user's program gets it.
fn spool_group(settings: &Settings, kind: AgentKind) -> Option<u32> {
    let spool = settings.configuration.values().text(config::params::mail_spool_directory);
    let facts = std::fs::metadata(spool).ok().filter(|facts| kind == AgentKind::Local && facts.is_dir())?;
    let (group_writes, others_write) = (facts.mode() & 0o020 != 0, facts.mode() & 0o002 != 0);
    // Root's own group would open more than the spool.
    (group_writes && !others_write && facts.gid() != 0).then(|| facts.gid())
}

/// Whom the agent runs as: never root, never mail_owner, and for virtual(8) nobody below virtual_minimum_uid.
fn judge(kind: AgentKind, user: &AgentUser, owner: Identity, minimum: u32) -> Result<Identity, String> {
    let identity = match user {
        AgentUser::Ids { uid, gid } => Identity { uid: *uid, gid: *gid },
        AgentUser::Name(name) => match credentials::account_by_name(name) {
            Ok(Some(account)) => Identity { uid: account.uid, gid: account.gid },
            Ok(None) => return Err(format!("unknown user: {name}")),
            Err(error) => return Err(format!("user {name}: {error}")),
        },
    };
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
        let check = |kind, user: AgentUser, allowed: bool| {
            assert_eq!(judge(kind, &user, owner, 100).is_ok(), allowed, "{user:?}");
        };
        let ids = |uid| AgentUser::Ids { uid, gid: 5000 };
        check(AgentKind::Local, AgentUser::Name("root".into()), false);
        check(AgentKind::Local, AgentUser::Name("no such user".into()), false);
        check(AgentKind::Pipe, ids(0), false);
        check(AgentKind::Pipe, ids(105), false);
        check(AgentKind::Pipe, ids(99), true);
        check(AgentKind::Virtual, ids(99), false);
        check(AgentKind::Virtual, ids(100), true);
    }
}
