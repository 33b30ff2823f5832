//! Starting an agent: a small program that delivers as its user.

use crate::{mailbox::Mailbox, settings::Settings};
use config::{ServiceType, SpawnCommand, Values};
use std::os::{fd::OwnedFd, unix::net::UnixStream};
use sys::{
    control::{self, AgentKind, AgentUser},
    credentials::{Account, Identity},
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

/// Starts a process for a connection of spawn(8), as the user that the row names and master has looked up.
fn start_spawn(settings: &Settings, service: &str, accounts: &[Option<Account>]) -> Result<Started, String> {
    let SpawnCommand { user, .. } = spawn_command(settings, service)?;
    let account = accounts.first().cloned().flatten().filter(|account| account.name == user);
    let account = account.ok_or_else(|| format!("unknown user name: {user}"))?;
    let identity = Identity { uid: account.uid, gid: account.gid };
    let identity = match settings.owner {
        // An ordinary user's mail system cannot become anyone else.
        None => None,
        Some(owner) => Some(judge_spawn(identity, owner)?),
    };
    let failed = |error: std::io::Error| format!("cannot start {PROGRAM}: {error}");
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let environment = settings.import_environment.iter().map(|(name, value)| (name.into(), value.into()));
    let directory = settings.config_directory.clone();
    let pid = spawn::start(Child {
        program: spawn::program_beside_or_own(PROGRAM),
        name: PROGRAM,
        arguments: vec![
            AgentKind::Spawn.as_str().into(),
            directory.into(),
            service.into(),
            user.into(),
            USER.into(),
        ],
        environment: environment.collect(),
        user: identity,
        channel: theirs.into(),
        errands: None,
    })
    .map_err(failed)?;
    Ok(Started { socket: ours.into(), pid, errands: None })
}

fn spawn_command(settings: &Settings, service: &str) -> Result<SpawnCommand, String> {
    let row = SpawnCommand::row(&settings.configuration, service);
    SpawnCommand::of(row.ok_or_else(|| format!("master.cf has no service {service} for spawn"))?)
}

/// In the words of spawn(8).
fn judge_spawn(identity: Identity, owner: Identity) -> Result<Identity, String> {
    let Identity { uid, gid } = identity;
    match () {
        () if uid == 0 => Err("request to deliver as root".to_owned()),
        () if uid == owner.uid => Err("request to deliver as mail system owner".to_owned()),
        () if gid == 0 => Err(format!("request to use privileged group id {gid}")),
        () if gid == owner.gid => Err(format!("request to use mail system owner group id {gid}")),
        () if uid == u32::MAX => Err("user must not have user ID -1".to_owned()),
        () if gid == u32::MAX => Err("user must not have group ID -1".to_owned()),
        () => Ok(identity),
    }
}

/// Whom an agent delivers for, and as whom it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Role {
    /// The agent's last argument.
    word: &'static str,
    account: Option<Account>,
    identity: Identity,
}

/// The login names that must be looked up before an agent can be started.
pub(crate) fn names(
    settings: &Settings,
    (kind, service, user): (AgentKind, &str, &AgentUser),
) -> Result<Vec<String>, String> {
    if kind == AgentKind::Lookup {
        return Ok(Vec::new());
    }
    if kind == AgentKind::Spawn {
        let SpawnCommand { user, group, .. } = spawn_command(settings, service)?;
        return Ok(vec![group.map_or_else(|| user.clone(), |group| format!("{user}:{group}"))]);
    }
    Ok(match user {
        AgentUser::Ids { .. } => Vec::new(),
        AgentUser::Name(name) => vec![name.clone()],
        AgentUser::Default { on_behalf_of } => {
            let values = row_values(settings, kind, service)?;
            let default = values.text(config::params::default_privs).to_owned();
            let other = (!on_behalf_of.is_empty()).then(|| on_behalf_of.clone());
            std::iter::once(default).chain(other).collect()
        }
    })
}

/// Starts an agent; `accounts` are those of its [`names`]. The text of an error defers the delivery.
pub(crate) fn start(
    settings: &Settings,
    (kind, service, user): (AgentKind, &str, &AgentUser),
    accounts: &[Option<Account>],
) -> Result<Started, String> {
    match kind {
        AgentKind::Lookup => return start_lookup(settings),
        AgentKind::Spawn => return start_spawn(settings, service, accounts),
        _ => {}
    }
    let values = row_values(settings, kind, service)?;
    let role = role(&values, settings.owner, user, accounts)?;
    let identity = match settings.owner {
        // An ordinary user's mail system cannot become anyone else.
        None => None,
        Some(_) if role.word == ROOT && kind == AgentKind::Local => Some(role.identity),
        Some(owner) => Some(judge(kind, role.identity, owner, settings.virtual_minimum_uid)?),
    };
    let failed = |error: std::io::Error| format!("cannot start {PROGRAM}: {error}");
    let name = role.account.as_ref().map(|account| account.name.clone()).unwrap_or_default();
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let asks = kind == AgentKind::Local && identity.is_some();
    let (errands, their_errands) = match role.account.filter(|_| asks) {
        Some(account) => {
            let (mine, its) = control::pair().map_err(failed)?;
            (Some((mine, Mailbox::new(&values, account, role.word != DEFAULT))), Some(its))
        }
        None => (None, None),
    };
    let environment = settings.import_environment.iter().map(|(name, value)| (name.into(), value.into()));
    let directory = settings.config_directory.clone();
    let pid = spawn::start(Child {
        program: spawn::program_beside_or_own(PROGRAM),
        name: PROGRAM,
        arguments: vec![
            kind.as_str().into(),
            directory.into(),
            service.into(),
            name.into(),
            role.word.into(),
        ],
        environment: environment.collect(),
        user: identity,
        channel: theirs.into(),
        errands: their_errands,
    })
    .map_err(failed)?;
    Ok(Started { socket: ours.into(), pid, errands })
}

/// It runs as the user that it delivers for.
const USER: &str = "user";
/// It writes the mailbox of a user with number 0, as mail_owner, into descriptors that master opens.
const ROOT: &str = "root";
/// It runs commands and writes files as default_privs.
const DEFAULT: &str = "default";

fn role(
    values: &Values,
    owner: Option<Identity>,
    user: &AgentUser,
    accounts: &[Option<Account>],
) -> Result<Role, String> {
    let found = |at: usize| accounts.get(at).cloned().flatten();
    let of = |account: &Account| Identity { uid: account.uid, gid: account.gid };
    match user {
        AgentUser::Ids { uid, gid } => {
            Ok(Role { word: USER, account: None, identity: Identity { uid: *uid, gid: *gid } })
        }
        AgentUser::Name(name) => {
            let account = account(name, found(0))?;
            let (word, identity) = match (account.uid, owner) {
                (0, Some(owner)) => (ROOT, owner),
                _ => (USER, of(&account)),
            };
            Ok(Role { word, identity, account: Some(account) })
        }
        AgentUser::Default { on_behalf_of } => {
            let name = values.text(config::params::default_privs);
            let privileges = account(name, found(0)).map_err(|why| format!("default_privs: {why}"))?;
            if privileges.gid == 0 {
                return Err(format!("default_privs: user {name} has privileged group ID"));
            }
            let account = match on_behalf_of.as_str() {
                "" => None,
                name => Some(account(name, found(1))?),
            };
            if account.as_ref().is_some_and(|account| account.uid != 0) {
                return Err(format!("{on_behalf_of} has rights of its own"));
            }
            Ok(Role { word: DEFAULT, account, identity: of(&privileges) })
        }
    }
}

/// The configuration of the row that the agent is for; its program must be the one of that kind.
fn row_values(settings: &Settings, kind: AgentKind, service: &str) -> Result<Values, String> {
    let row = settings.configuration.master_cf().service(service, ServiceType::Unix);
    let row = row.filter(|row| row.command.rsplit('/').next() == Some(kind.as_str()));
    let row = row.ok_or_else(|| format!("master.cf has no service {service}/unix for {}", kind.as_str()))?;
    Ok(settings.configuration.values_for(row))
}

fn account(name: &str, found: Option<Account>) -> Result<Account, String> {
    match found {
        // Databases that do not care for case give back their own spelling; any other name is not this user.
        Some(account) if account.name.eq_ignore_ascii_case(name) => {
            Ok(Account { name: name.to_owned(), ..account })
        }
        _ => Err(format!("unknown user: {name}")),
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
    fn commands_run_with_rights_that_the_mail_system_does_not_have() {
        let owner = Identity { uid: 105, gid: 110 };
        let judge = |uid, gid| judge_spawn(Identity { uid, gid }, owner);
        assert!(judge(65534, 65534).is_ok());
        for (uid, gid, part) in
            [(0, 5, "root"), (105, 5, "owner"), (5, 0, "group id 0"), (5, 110, "group id 110")]
        {
            assert!(judge(uid, gid).unwrap_err().contains(part), "{uid} {gid}");
        }
    }

    #[test]
    fn roots_mail_is_written_by_the_mail_system_and_its_commands_run_by_nobody() {
        let values = Values::for_tests(&[("default_privs", "games")]);
        let owner = Some(Identity { uid: 105, gid: 110 });
        let look_up = |name: &str| sys::credentials::account_by_name(name).unwrap();
        let games = look_up("games").unwrap().uid;
        let accounts = |values: &Values, user: &AgentUser| match user {
            AgentUser::Ids { .. } => Vec::new(),
            AgentUser::Name(name) => vec![look_up(name)],
            AgentUser::Default { on_behalf_of } => {
                vec![look_up(values.text(config::params::default_privs)), look_up(on_behalf_of)]
            }
        };
        let found = |user: AgentUser| {
            let role = role(&values, owner, &user, &accounts(&values, &user));
            role.map(|role| (role.word, role.identity.uid))
        };
        let default = |name: &str| AgentUser::Default { on_behalf_of: name.into() };
        assert_eq!(found(AgentUser::Name("root".into())), Ok((ROOT, 105)));
        assert_eq!(found(AgentUser::Name("games".into())), Ok((USER, games)));
        assert_eq!(found(default("")), Ok((DEFAULT, games)));
        assert_eq!(found(default("root")), Ok((DEFAULT, games)));
        assert_eq!(found(default("games")).unwrap_err(), "games has rights of its own");
        assert_eq!(found(AgentUser::Ids { uid: 0, gid: 0 }), Ok((USER, 0)));
        for name in ["no such user", "../root", ""] {
            assert_eq!(found(AgentUser::Name(name.into())).unwrap_err(), format!("unknown user: {name}"));
        }
        let bad = Values::for_tests(&[("default_privs", "no such user")]);
        assert!(
            role(&bad, owner, &default(""), &accounts(&bad, &default("")))
                .unwrap_err()
                .starts_with("default_privs: unknown user")
        );
        let root = Values::for_tests(&[("default_privs", "root")]);
        assert!(role(&root, owner, &default(""), &accounts(&root, &default(""))).is_err());
    }
}
