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
//! Users with number 0 have their mail written by an agent that is mail_owner and holds nothing but a descriptor: all their mailboxes
//! are opened here, those below their home directory and files of maildirs too, and so is their forward file.
//!
//! Each step runs in a copy of master that ends with it: a file server that hangs holds up one delivery, and for an
//! ordinary user's group spool the copy gives root up for good before it touches a file.
//!
//! # Diagnostics
//! Everything that goes wrong is an answer, which becomes the status of the mail. Nothing is logged here.

use config::{
    Values,
    expand::{self, Mode, Options},
    params as p,
};
use rustix::{
    fs::{FileType, Mode as FileMode, OFlags},
    io::Errno,
};
use std::{
    borrow::Cow,
    cell::Cell,
    fs::File,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};
use sys::{
    control::{receive, send},
    credentials::{self, Account, Identity},
    dotlock::{DotLock, Patience},
    errand::{Answer, Errand},
    mailbox::{Dotlock, Opened, open},
    maildir::MaildirFile,
    safe_open::Refused,
};

/// What the step needs, from the configuration of the agent's row and the user database.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    account: Account,
    mail_spool_directory: String,
    home_mailbox: String,
    forward_path: String,
    forward_expansion_filter: String,
    recipient_delimiter: String,
    patience: Patience,
    with_dotlock: bool,
    /// This agent may ask for mailboxes; one that runs commands for root may not.
    opens_mailboxes: bool,
}

/// An opened mailbox, and what has to be done when it is closed.
enum Held {
    Locked(#[expect(dead_code, reason = "removed when dropped")] Option<DotLock>),
    New(MaildirFile, File),
}

impl Mailbox {
    pub(crate) fn new(values: &Values, account: Account, opens_mailboxes: bool) -> Self {
        let locks = values.list(p::mailbox_delivery_lock);
        let text = |id| values.text(id).to_owned();
        Self {
            account,
            mail_spool_directory: text(p::mail_spool_directory),
            home_mailbox: text(p::home_mailbox),
            forward_path: text(p::forward_path),
            forward_expansion_filter: text(p::forward_expansion_filter),
            recipient_delimiter: text(p::recipient_delimiter),
            patience: Patience {
                deliver_lock_attempts: u32::try_from(values.int(p::deliver_lock_attempts))
                    .unwrap_or(1)
                    .max(1),
                deliver_lock_delay: values.time(p::deliver_lock_delay),
                stale_lock_time: values.time(p::stale_lock_time),
            },
            with_dotlock: locks.iter().any(|name| name.eq_ignore_ascii_case("dotlock")),
            opens_mailboxes,
        }
    }

    /// Does one errand to its end, in a copy of master. Returns the copy's exit code.
    pub(crate) fn serve(&self, errand: &Errand, socket: &OwnedFd) -> i32 {
        let answer = match errand {
            Errand::OpenMailbox => match self.open() {
                Ok((file, held)) => return hold(file, held, socket),
                Err(refused) => Answer::Refused(refused),
            },
            Errand::OpenForward { extension } => self.forward(extension).unwrap_or_else(Answer::Refused),
            // Nothing is open.
            Errand::Done { .. } => return 0,
        };
        i32::from(send(socket, &answer).is_err())
    }

    fn open(&self) -> Result<(File, Held), Refused> {
        if !self.opens_mailboxes {
            return Err(later("this agent runs commands"));
        }
        self.check_account()?;
        let is_root = self.account.uid == 0;
        let home = Path::new(&self.account.home);
        if is_root && !self.home_mailbox.is_empty() {
            become_actor(self.identity())?;
            let path = home.join(&self.home_mailbox);
            return match self.home_mailbox.ends_with('/') {
                true => begin(&path),
                false => self.lock_and_open(&path, None),
            };
        }
        let path = self.path()?;
        if self.mail_spool_directory.ends_with('/') {
            // Only root's: anyone else's maildir is made with that user's own rights.
            if !is_root {
                return Err(later("a maildir is its user's to make"));
            }
            become_actor(self.identity())?;
            return begin(&path);
        }
        let (actor, owner) = roles(Path::new(&self.mail_spool_directory), self.identity());
        become_actor(actor)?;
        self.lock_and_open(&path, owner)
    }

    fn lock_and_open(&self, path: &Path, owner: Option<Identity>) -> Result<(File, Held), Refused> {
        let dotlock = if self.with_dotlock { Dotlock::Must(&self.patience) } else { Dotlock::None };
        let Opened { file, lock, .. } = open(path, owner, dotlock)?;
        Ok((file, Held::Locked(lock)))
    }

    /// The first file of forward_path that exists.
    fn forward(&self, extension: &str) -> Result<Answer, Refused> {
        if self.account.uid != 0 || extension.contains('/') {
            return Err(later("a forward file is its user's to read"));
        }
        self.check_account()?;
        become_actor(self.identity())?;
        for pattern in self.forward_path.split([',', ' ', '\t', '\n']).filter(|p| !p.is_empty()) {
            let Some((path, is_extension_used)) = self.fill(pattern, extension) else { continue };
            let Ok(facts) = rustix::fs::lstat(&path) else { continue };
            if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
                return Err(Refused {
                    errno: Errno::INVAL,
                    text: format!("file {path} is not a regular file"),
                });
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = rustix::fs::open(&path, flags, FileMode::empty());
            let file = file.map_err(|errno| Refused::new(errno, format_args!("cannot open file {path}")))?;
            return Ok(Answer::Forward(file.into(), path, is_extension_used));
        }
        Ok(Answer::Nothing)
    }

    /// `$user`, `$home`, `$shell`, `$extension` and `$recipient_delimiter`; with any other name a pattern does not apply.
    fn fill(&self, pattern: &str, extension: &str) -> Option<(String, bool)> {
        let mut characters = extension.chars();
        let delimiter = characters.next();
        let extension = delimiter.map(|_| characters.as_str());
        let names = Forms { mailbox: self, delimiter, extension, is_extension_used: Cell::new(false) };
        let options = Options { allowed: Some(&self.forward_expansion_filter), ..Options::default() };
        let filled = expand::expand(pattern, options, &names);
        (!filled.error && !filled.undefined).then(|| (filled.text, names.is_extension_used.get()))
    }

    fn identity(&self) -> Identity {
        Identity { uid: self.account.uid, gid: self.account.gid }
    }

    /// A login name is one name in one directory, whatever a user database says.
    fn path(&self) -> Result<PathBuf, Refused> {
        let name = &self.account.name;
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
            return Err(later(&format!(
                "user name {name:?} cannot be the name of a mailbox: set home_mailbox"
            )));
        }
        Ok(Path::new(&self.mail_spool_directory).join(name))
    }

    /// The agent may have been idle for a while: the user may be gone, or be somebody else now.
    fn check_account(&self) -> Result<(), Refused> {
        let name = &self.account.name;
        match credentials::account_by_name(name) {
            Ok(Some(now)) if (now.uid, now.gid) == (self.account.uid, self.account.gid) => Ok(()),
            Ok(_) => Err(later(&format!("user {name} has changed in the user database"))),
            Err(error) => Err(later(&format!("user {name}: {error}"))),
        }
    }
}

/// Hands the mailbox over and waits until it is closed, or until the agent is gone; both mean that the lock goes.
fn hold(file: File, held: Held, socket: &OwnedFd) -> i32 {
    let Ok(copy) = file.try_clone() else { return 1 };
    let handed = send(socket, &Answer::Opened(copy));
    drop(file);
    let word = handed.ok().and_then(|()| receive::<Errand>(socket).ok().flatten());
    let answer = match (held, word) {
        (Held::New(begun, file), Some(Errand::Done { keep: true })) => match begun.keep(&file) {
            Ok(()) => Answer::Done,
            Err(refused) => Answer::Refused(refused),
        },
        _ => Answer::Done,
    };
    i32::from(send(socket, &answer).is_err())
}

fn begin(maildir: &Path) -> Result<(File, Held), Refused> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (begun, file) = MaildirFile::create(maildir, now, &sys::process::host_name())?;
    let copy = file.try_clone().map_err(|error| later(&error.to_string()))?;
    Ok((file, Held::New(begun, copy)))
}

/// Trouble that may pass.
fn later(text: &str) -> Refused {
    Refused { errno: Errno::AGAIN, text: text.to_owned() }
}

/// What the names of forward_path stand for.
struct Forms<'a> {
    mailbox: &'a Mailbox,
    delimiter: Option<char>,
    extension: Option<&'a str>,
    is_extension_used: Cell<bool>,
}

impl expand::Names for Forms<'_> {
    fn value(&self, name: &str, mode: Mode) -> Option<Cow<'_, str>> {
        let account = &self.mailbox.account;
        Some(match name {
            "user" => Cow::Borrowed(&account.name),
            "home" => Cow::Borrowed(&account.home),
            "shell" => Cow::Borrowed(&account.shell),
            "extension" => {
                let extension = self.extension?;
                if mode == Mode::Use {
                    self.is_extension_used.set(true);
                }
                Cow::Borrowed(extension)
            }
            "recipient_delimiter" => {
                let first = self.mailbox.recipient_delimiter.chars().next();
                Cow::Owned(self.delimiter.or(first)?.to_string())
            }
            _ => return None,
        })
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
    changed.map_err(|error| later(&format!("take the rights of the mailbox: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn account(name: &str, uid: u32) -> Account {
        let (gecos, home, shell) = (String::new(), format!("/home/{name}"), "/bin/sh".into());
        Account { name: name.into(), uid, gid: uid, gecos, home, shell }
    }

    #[test]
    fn a_user_name_never_leaves_the_directory() {
        let values = Values::for_tests(&[("mail_spool_directory", "/var/mail")]);
        let path = |name: &str| Mailbox::new(&values, account(name, 1000), true).path().ok();
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
    fn forward_files_are_those_of_forward_path_and_of_root_alone() {
        let values = Values::for_tests(&[("recipient_delimiter", "+")]);
        let root = Mailbox::new(&values, account("root", 0), true);
        let path = |pattern: &str, extension: &str| root.fill(pattern, extension);
        assert_eq!(path("$home/.forward", ""), Some(("/home/root/.forward".into(), false)));
        let both = "$home/.forward${recipient_delimiter}${extension}";
        assert_eq!(path(both, "-x"), Some(("/home/root/.forward-x".into(), true)));
        assert_eq!(path(both, ""), None);
        assert_eq!(path("$home/$extension", "+a;b"), Some(("/home/root/a_b".into(), true)));
        assert_eq!(path("/etc/$recipient", "+x"), None);
        assert!(root.forward("+../../etc/shadow").is_err());
        assert!(Mailbox::new(&values, account("joe", 1000), true).forward("").is_err());
    }

    #[test]
    fn a_user_that_changed_gets_nothing() {
        let values = Values::for_tests(&[]);
        let ask =
            |account| Mailbox::new(&values, account, true).check_account().err().map(|refused| refused.text);
        assert_eq!(ask(account("root", 0)), None);
        let changed = ask(account("root", 12)).unwrap();
        assert_eq!(changed, "user root has changed in the user database");
        assert!(ask(account("no such user", 12)).is_some());
    }
}
