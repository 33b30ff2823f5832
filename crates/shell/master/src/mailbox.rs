//! The one step of a local delivery that needs root: locking and opening a mailbox in a directory that its user may
//! not write (local(8), SECURITY).
//!
//! An agent asks for it over its socket to master (`sys::errand`), and names neither user nor path. The user is the one
//! that the agent was started for; the path is made here, of mail_spool_directory and the user's name. The
//! agent gets a descriptor for appending; it never sees the directory's rights.
//!
//! ```text
//! the spool directory is writable by    the step is done as                 a new mailbox belongs to
//!   everyone                              the user                            the user
//!   its group                             the user, with that group alone     the user and that group
//!   root only                             root                                the user (fchown)
//! ```
//!
//! Each step runs in a copy of master that ends with it: a file server that hangs holds up one delivery, and for an
//! ordinary user's group spool the copy gives root up for good before it touches a file.
//!
//! # Diagnostics
//! Everything that goes wrong is an answer, which becomes the status of the mail. Nothing is logged here.

use config::{Values, params as p};
use rustix::io::Errno;
use std::{
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};
use sys::{
    control::{receive, send},
    credentials::{self, Account, Identity},
    dotlock::Patience,
    errand::{Answer, Errand},
    mailbox::{Dotlock, Opened, open},
    safe_open::Refused,
};

/// What the step needs, from the configuration of the agent's row and the user database.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    account: Account,
    mail_spool_directory: PathBuf,
    patience: Patience,
    with_dotlock: bool,
}

impl Mailbox {
    pub(crate) fn new(values: &Values, account: Account) -> Self {
        let locks = values.list(p::mailbox_delivery_lock);
        Self {
            account,
            mail_spool_directory: values.text(p::mail_spool_directory).into(),
            patience: Patience {
                deliver_lock_attempts: u32::try_from(values.int(p::deliver_lock_attempts))
                    .unwrap_or(1)
                    .max(1),
                deliver_lock_delay: values.time(p::deliver_lock_delay),
                stale_lock_time: values.time(p::stale_lock_time),
            },
            with_dotlock: locks.iter().any(|name| name.eq_ignore_ascii_case("dotlock")),
        }
    }

    /// Does one errand to its end, in a copy of master. Returns the copy's exit code.
    pub(crate) fn serve(&self, errand: &Errand, socket: &OwnedFd) -> i32 {
        let opened = match errand {
            Errand::OpenMailbox => self.open(),
            // Nothing is open.
            Errand::Done => return 0,
        };
        let Opened { file, lock, .. } = match opened {
            Ok(opened) => opened,
            Err(refused) => return i32::from(send(socket, &Answer::Refused(refused)).is_err()),
        };
        if send(socket, &Answer::Opened(file)).is_ok() {
            // The word that it is closed, or the agent's end: both mean that the lock goes.
            let _ = receive::<Errand>(socket);
        }
        drop(lock);
        i32::from(send(socket, &Answer::Done).is_err())
    }

    fn open(&self) -> Result<Opened, Refused> {
        let path = self.path()?;
        self.check_account()?;
        let (actor, owner) = roles(&self.mail_spool_directory, self.identity());
        become_actor(actor)?;
        let dotlock = if self.with_dotlock { Dotlock::Must(&self.patience) } else { Dotlock::None };
        open(&path, owner, dotlock)
    }

    fn identity(&self) -> Identity {
        Identity { uid: self.account.uid, gid: self.account.gid }
    }

    /// A login name is one name in one directory, whatever a user database says.
    fn path(&self) -> Result<PathBuf, Refused> {
        let name = &self.account.name;
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
            return Err(Refused {
                errno: Errno::AGAIN,
                text: format!("user name {name:?} cannot be the name of a mailbox: set home_mailbox"),
            });
        }
        Ok(self.mail_spool_directory.join(name))
    }

    /// The agent may have been idle for a while: the user may be gone, or be somebody else now.
    fn check_account(&self) -> Result<(), Refused> {
        let name = &self.account.name;
        let refuse = |text: String| Err(Refused { errno: Errno::AGAIN, text });
        match credentials::account_by_name(name) {
            Ok(Some(now)) if (now.uid, now.gid) == (self.account.uid, self.account.gid) => Ok(()),
            Ok(_) => refuse(format!("user {name} has changed in the user database")),
            Err(error) => refuse(format!("user {name}: {error}")),
        }
    }
}

/// Whose rights open the mailbox, and whom a new one is given to.
fn roles(spool: &Path, user: Identity) -> (Identity, Option<Identity>) {
    let facts = std::fs::metadata(spool).ok();
    match facts {
        Some(facts) if facts.mode() & 0o002 != 0 => (user, None),
        Some(facts) if facts.mode() & 0o020 != 0 => (Identity { gid: facts.gid(), ..user }, None),
        Some(_) if user.uid == 0 => (Identity { uid: 0, gid: 0 }, None),
        Some(_) => (Identity { uid: 0, gid: 0 }, Some(user)),
        // It is not there: the user's own try will say so.
        None => (user, None),
    }
}

/// For good: this is a copy.
fn become_actor(actor: Identity) -> Result<(), Refused> {
    let changed = match actor.uid {
        0 => credentials::root_in_group(actor.gid),
        _ => credentials::become_user(actor),
    };
    changed.map_err(|error| Refused {
        errno: Errno::AGAIN,
        text: format!("take the rights of the mailbox: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn account(name: &str, uid: u32) -> Account {
        Account { name: name.into(), uid, gid: uid, gecos: String::new(), home: "/".into() }
    }

    #[test]
    fn a_user_name_never_leaves_the_directory() {
        let values = Values::for_tests(&[("mail_spool_directory", "/var/mail")]);
        let path = |name: &str| Mailbox::new(&values, account(name, 1000)).path().ok();
        assert_eq!(path("alice"), Some("/var/mail/alice".into()));
        assert_eq!(path("..alice"), Some("/var/mail/..alice".into()));
        for name in ["", ".", "..", "../shadow", "/etc/shadow", "a/b", "a\0b"] {
            assert_eq!(path(name), None, "{name:?}");
        }
    }

    #[test]
    fn the_directory_says_whose_rights_are_needed() {
        let spool = std::env::temp_dir().join(format!("posthaste-roles-{}", std::process::id()));
        fs::create_dir(&spool).unwrap();
        let group = fs::metadata(&spool).unwrap().gid();
        let user = Identity { uid: 1000, gid: 1000 };
        let root = Identity { uid: 0, gid: 0 };
        let check = |mode, expected| {
            fs::set_permissions(&spool, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(roles(&spool, user), expected, "{mode:o}");
        };
        check(0o1777, (user, None));
        check(0o2775, (Identity { uid: 1000, gid: group }, None));
        check(0o755, (root, Some(user)));
        assert_eq!(roles(&spool, root), (root, None));
        fs::remove_dir(&spool).unwrap();
        assert_eq!(roles(&spool, user), (user, None));
    }

    #[test]
    fn a_user_that_changed_gets_nothing() {
        let values = Values::for_tests(&[]);
        let ask = |account| Mailbox::new(&values, account).check_account().err().map(|refused| refused.text);
        assert_eq!(ask(account("root", 0)), None);
        let changed = ask(account("root", 12)).unwrap();
        assert_eq!(changed, "user root has changed in the user database");
        assert!(ask(account("no such user", 12)).is_some());
    }
}
