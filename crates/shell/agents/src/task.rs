//! One request, from its check against the configuration to its answer.

use crate::{
    content::Content,
    errands::Errands,
    lists::{ForwardFile, IncludeFile},
    maildir,
    mbox::{self, Kind, Place},
    origin::Tables,
    trouble::Trouble,
};
use bstr::{BString, ByteSlice};
use local::{
    Destination, LocalSettings, MailboxLocks, VirtualSettings,
    agent::{Answer, Origin, Reply, Request, Task},
    copy::Envelope,
    names::Login,
};
use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};
use types::{Dsn, Outcome, Status, WallTime};

/// Whom this process delivers for.
#[derive(Debug)]
pub struct Owner {
    /// Login name; empty for virtual mailboxes, and where nobody in particular stands behind default_privs.
    pub name: String,
    /// The user that this process runs as.
    pub uid: u32,
    /// Home directory of the user with that name.
    pub home: PathBuf,
    /// Login shell of the user with that name.
    pub shell: PathBuf,
    /// In what capacity it runs.
    pub standing: Standing,
    /// Where to ask for what this process may not do.
    pub errands: Option<Errands>,
}

/// In what capacity an agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As the user whose mail it is.
    User,
    /// As mail_owner, for a mailbox of a user with number 0, which master opens.
    Root,
    /// As default_privs: where nobody's rights are in force, or those of a user with number 0.
    Default {
        /// A user with number 0 stands behind it.
        for_root: bool,
    },
}

impl Owner {
    pub(crate) fn stands_for_root(&self) -> bool {
        matches!(self.standing, Standing::Root | Standing::Default { for_root: true })
    }

    /// Whether there is a home directory and a shell.
    pub(crate) fn has_login(&self) -> bool {
        self.standing != Standing::Default { for_root: false }
    }

    pub(crate) fn login(&self) -> Login<'_> {
        Login { home: &self.home, shell: &self.shell }
    }

    /// Whose the mailbox must be.
    pub(crate) fn mailbox_uid(&self) -> u32 {
        if self.stands_for_root() { 0 } else { self.uid }
    }
}

/// The settings of both kinds of mailbox, and what the host says of itself.
#[derive(Clone, Debug)]
pub struct Settings {
    /// local(8)
    pub local: LocalSettings,
    /// virtual(8)
    pub virtual_: VirtualSettings,
    /// The host's name, for the names of maildir files.
    pub hostname: String,
}

/// What an agent works with.
pub struct Office {
    /// Configuration.
    pub settings: Settings,
    /// Whom it delivers for.
    pub owner: Owner,
    /// Where destinations stand.
    pub tables: Tables,
}

/// Carries out a request. `asctime` is the local time now in asctime(3) form.
#[must_use]
pub fn perform(now: WallTime, asctime: &str, office: &Office, request: &Request, content: &Content) -> Reply {
    let Office { settings, owner, tables } = office;
    let mut job = Job { now, asctime, settings, owner, tables, request, content, warnings: Vec::new() };
    let answer = match job.perform() {
        Ok(Done::Delivered(text)) => sent(&text, None),
        Ok(Done::Mailbox(end)) => sent("delivered to mailbox", Some(end)),
        Ok(Done::Answer(answer)) => answer,
        Err(trouble) => {
            let (outcome, status) = trouble.outcome();
            Answer::Done { outcome, status, mailbox_end: None }
        }
    };
    Reply { answer, warnings: job.warnings.into_iter().map(BString::from).collect() }
}

fn sent(text: &str, mailbox_end: Option<u64>) -> Answer {
    Answer::Done { outcome: Outcome::Sent, status: Status::new(Dsn::success(0, 0), text), mailbox_end }
}

pub(crate) struct Job<'a> {
    pub(crate) now: WallTime,
    pub(crate) asctime: &'a str,
    pub(crate) settings: &'a Settings,
    pub(crate) owner: &'a Owner,
    pub(crate) tables: &'a Tables,
    pub(crate) request: &'a Request,
    pub(crate) content: &'a Content,
    pub(crate) warnings: Vec<String>,
}

pub(crate) enum Done {
    Delivered(String),
    /// Into an mbox file that was so long before.
    Mailbox(u64),
    Answer(Answer),
}

/// Whether everyone may make a mailbox and its lock file there; otherwise master does.
fn is_open_to_all(spool: &Path) -> bool {
    // What is not there is tried, and named by the error.
    spool.metadata().map_or(true, |facts| facts.mode() & 0o002 != 0)
}

impl Job<'_> {
    fn perform(&mut self) -> Result<Done, Trouble> {
        match &self.request.task {
            Task::Local { forward, mailbox } => self.local(*forward, *mailbox),
            Task::Virtual { mailbox } => self.virtual_(mailbox),
            Task::Include { origin, path } => self.include(origin, path),
            Task::File { origin, path } => self.file(origin, path),
            Task::Command { origin, command, environment } => self.command(origin, command, environment),
        }
    }

    fn local(&mut self, forward: bool, mailbox: bool) -> Result<Done, Trouble> {
        let user = &self.request.names.user;
        if !user.eq_ignore_ascii_case(self.owner.name.as_bytes()) || self.is_default() {
            let reason = format!("agent of user {} was asked to deliver to {user}", self.owner.name);
            return Err(Trouble::new(Dsn::temporary(3, 5), reason));
        }
        if self.settings.local.require_home_directory && self.owner.standing == Standing::User {
            let home = self.owner.home.display();
            self.owner.home.metadata().map_err(|error| {
                let what = format!("cannot access home directory {home}");
                Trouble { dsn: Dsn::temporary(3, 0), ..Trouble::io(&error, Dsn::temporary(3, 0), what) }
            })?;
        }
        if forward && let Some(ForwardFile { path, is_extension_used, text }) = self.forward_file() {
            return Ok(Done::Answer(Answer::List { path, is_extension_used, text }));
        }
        if mailbox { self.mailbox() } else { Ok(Done::Answer(Answer::Nothing)) }
    }

    fn mailbox(&mut self) -> Result<Done, Trouble> {
        let settings = &self.settings.local;
        let (spool, size_limit) = (&settings.mail_spool_directory, settings.mailbox_size_limit);
        let home = &settings.home_mailbox;
        let (path, ends_in_slash) = match home.is_empty() {
            true => (Path::new(spool).join(&self.owner.name), spool.ends_with('/')),
            false => (self.owner.home.join(home), home.ends_with('/')),
        };
        // Root's are all master's to open.
        let asked = self.owner.errands.as_ref().filter(|_| self.owner.stands_for_root());
        let default_dsn = Dsn::permanent(2, 0);
        if ends_in_slash {
            let place = asked.map_or(maildir::Place::Own(&path), maildir::Place::Asked);
            return self.maildir(place, size_limit, default_dsn);
        }
        let needs_master = home.is_empty() && !is_open_to_all(Path::new(spool));
        let place = match asked.or(self.owner.errands.as_ref().filter(|_| needs_master)) {
            Some(errands) => Place::Asked(&path, errands),
            None => Place::Own(&path),
        };
        self.mbox(place, &settings.locks, size_limit, default_dsn)
    }

    fn virtual_(&mut self, mailbox: &BString) -> Result<Done, Trouble> {
        let settings = &self.settings.virtual_;
        let misconfigured = |reason: String| Trouble::new(Dsn::temporary(3, 5), reason);
        if !settings.virtual_mailbox_base.starts_with('/') {
            let base = &settings.virtual_mailbox_base;
            return Err(misconfigured(format!(
                "do not specify relative pathname: virtual_mailbox_base = {base}"
            )));
        }
        if mailbox.split_str("/").any(|component| component == b"..") {
            return Err(misconfigured(format!("bad mailbox path {mailbox}")));
        }
        if self.owner.uid < settings.virtual_minimum_uid {
            let least = settings.virtual_minimum_uid;
            return Err(misconfigured(format!(
                "uid {} is below virtual_minimum_uid = {least}",
                self.owner.uid
            )));
        }
        let relative = mailbox.to_path().map_err(|_| misconfigured(format!("bad mailbox path {mailbox}")))?;
        let relative = relative.strip_prefix("/").unwrap_or(relative);
        let path = Path::new(&settings.virtual_mailbox_base).join(relative);
        let (size_limit, default_dsn) = (settings.virtual_mailbox_limit, Dsn::temporary(2, 0));
        match mailbox.ends_with(b"/") {
            true => self.maildir(maildir::Place::Own(&path), size_limit, default_dsn),
            false => self.mbox(Place::Own(&path), &settings.locks, size_limit, default_dsn),
        }
    }

    fn include(&mut self, origin: &Origin, path: &BString) -> Result<Done, Trouble> {
        self.list_stands_there(origin, path)?;
        match self.include_file(path, self.is_default()) {
            Ok(IncludeFile::Text(text)) => {
                Ok(Done::Answer(Answer::List { path: path.clone(), is_extension_used: false, text }))
            }
            Ok(IncludeFile::OfUser(uid)) => Ok(Done::Answer(Answer::Owner { uid })),
            Err(unusable) => {
                self.warnings.push(unusable.warning);
                let dsn = match unusable.is_forbidden {
                    // Postfix reads root's lists as root; whoever runs this system can make it readable.
                    true => Dsn::temporary(3, 5),
                    false => Dsn::permanent(3, 5),
                };
                Err(Trouble::new(dsn, "mail system configuration error"))
            }
        }
    }

    fn file(&mut self, origin: &Origin, path: &BString) -> Result<Done, Trouble> {
        let wanted = match path.first() {
            Some(b'~') => Destination::Home(path.clone()),
            _ => Destination::File(path.clone()),
        };
        let expanded = self.stands_there(origin, &wanted)?;
        if !self.settings.local.allow_mail_to_files.has(expanded) {
            return Err(Trouble::new(Dsn::permanent(7, 1), "mail to file is restricted"));
        }
        let full = match path.strip_prefix(b"~/") {
            Some(below) => self.owner.home.join(OsStr::from_bytes(below)),
            None => PathBuf::from(OsStr::from_bytes(path)),
        };
        let settings = &self.settings.local;
        let (size_limit, default_dsn) = (settings.mailbox_size_limit, Dsn::permanent(2, 0));
        if path.ends_with(b"/") {
            return self.maildir(maildir::Place::Own(&full), size_limit, default_dsn);
        }
        self.append(Place::Own(&full), &settings.locks, (Kind::AnyFile, size_limit), default_dsn).map_err(
            |trouble| trouble.within(format!("cannot append message to file {}: ", full.display())),
        )?;
        Ok(Done::Delivered(format!("delivered to file: {}", full.display())))
    }

    fn headers(&self) -> Vec<u8> {
        let request = self.request;
        let is_virtual = matches!(request.task, Task::Virtual { .. });
        let with_delivered = is_virtual || self.settings.local.delivered_header_in_file;
        let delivered_to = with_delivered.then_some(&request.delivered_to);
        Envelope { sender: &request.sender, original: &request.original, delivered_to }.headers()
    }

    fn maildir(
        &mut self,
        place: maildir::Place<'_>,
        size_limit: u64,
        default_dsn: Dsn,
    ) -> Result<Done, Trouble> {
        let delivery = maildir::Delivery {
            now: self.now,
            hostname: &self.settings.hostname,
            headers: &self.headers(),
            content: self.content,
            size_limit,
            default_dsn,
        };
        maildir::deliver(place, &delivery, &mut self.warnings)?;
        Ok(Done::Delivered("delivered to maildir".to_owned()))
    }

    fn mbox(
        &mut self,
        place: Place<'_>,
        locks: &MailboxLocks,
        size_limit: u64,
        default_dsn: Dsn,
    ) -> Result<Done, Trouble> {
        let (Place::Own(path) | Place::Asked(path, _)) = place;
        let within = match &self.request.task {
            Task::Virtual { .. } => format!("delivery failed to mailbox {}: ", path.display()),
            _ => {
                let user = &self.request.names.user;
                format!("cannot update mailbox {} for user {user}. ", path.display())
            }
        };
        let kind = Kind::Mailbox(self.owner.mailbox_uid());
        let end = self.append(place, locks, (kind, size_limit), default_dsn);
        end.map(Done::Mailbox).map_err(|trouble| trouble.within(within))
    }

    fn append(
        &mut self,
        place: Place<'_>,
        locks: &MailboxLocks,
        (kind, size_limit): (Kind, u64),
        default_dsn: Dsn,
    ) -> Result<u64, Trouble> {
        let envelope =
            Envelope { sender: &self.request.sender, original: &self.request.original, delivered_to: None };
        let delivery = mbox::Delivery {
            from_line: &envelope.from_line(self.asctime),
            headers: &self.headers(),
            content: self.content,
            locks,
            kind,
            size_limit,
            default_dsn,
        };
        mbox::deliver(place, &delivery, &mut self.warnings)
    }
}
