//! One request, from its check against the configuration to its answer.

use crate::{
    content::Content,
    errands::Errands,
    forward_file, maildir,
    mbox::{self, Place},
    trouble::Trouble,
};
use bstr::{BString, ByteSlice};
use local::{
    LocalSettings, MailboxLocks, VirtualSettings,
    agent::{Reply, Request, Task},
    copy::Envelope,
};
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use types::{Dsn, Outcome, Status, WallTime};

/// The user that this process runs as.
#[derive(Debug)]
pub struct Owner {
    /// Login name; empty for virtual mailboxes.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Home directory.
    pub home: PathBuf,
    /// Where to ask for what the user may not do.
    pub errands: Option<Errands>,
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

/// Carries out a request. `asctime` is the local time now in asctime(3) form.
#[must_use]
pub fn perform(
    now: WallTime,
    asctime: &str,
    settings: &Settings,
    owner: &Owner,
    request: &Request,
    content: &Content,
) -> Reply {
    let mut job = Job { now, asctime, settings, owner, request, content, warnings: Vec::new() };
    let result = match &request.task {
        Task::Local { user, extension, mailbox_only } => job.local(user, extension, *mailbox_only),
        Task::Virtual { mailbox } => job.virtual_(mailbox),
    };
    let (outcome, status) = match result {
        Ok(Done::Delivered(text)) => (Outcome::Sent, Status::new(Dsn::success(0, 0), text)),
        Ok(Done::Forward(reply)) => return reply,
        Err(trouble) => trouble.outcome(),
    };
    Reply::Done { outcome, status, warnings: job.warnings.into_iter().map(BString::from).collect() }
}

struct Job<'a> {
    now: WallTime,
    asctime: &'a str,
    settings: &'a Settings,
    owner: &'a Owner,
    request: &'a Request,
    content: &'a Content,
    warnings: Vec<String>,
}

enum Done {
    Delivered(&'static str),
    Forward(Reply),
}

/// Whether everyone may make a mailbox and its lock file there; otherwise master does.
fn is_open_to_all(spool: &Path) -> bool {
    // What is not there is tried, and named by the error.
    spool.metadata().map_or(true, |facts| facts.mode() & 0o002 != 0)
}

impl Job<'_> {
    fn local(&mut self, user: &BString, extension: &BString, mailbox_only: bool) -> Result<Done, Trouble> {
        let settings = &self.settings.local;
        if !user.eq_ignore_ascii_case(self.owner.name.as_bytes()) {
            let reason = format!("agent of user {} was asked to deliver to {user}", self.owner.name);
            return Err(Trouble::new(Dsn::temporary(3, 5), reason));
        }
        if !mailbox_only {
            let found = forward_file::find(
                &settings.forward_path,
                self.owner,
                extension,
                settings.extensions.recipient_delimiter.first().copied(),
                &mut self.warnings,
            )
            .map_err(|reason| Trouble::new(Dsn::temporary(3, 0), reason))?;
            if let Some(forward_file::ForwardFile { text, is_extension_used }) = found {
                return Ok(Done::Forward(Reply::Forward { text, is_extension_used }));
            }
        }
        let spool = &settings.mail_spool_directory;
        let default_dsn = Dsn::permanent(2, 0);
        if !settings.home_mailbox.is_empty() {
            let path = self.owner.home.join(&settings.home_mailbox);
            return match settings.home_mailbox.ends_with('/') {
                true => self.maildir(&path, settings.mailbox_size_limit, default_dsn),
                false => {
                    self.mbox(Place::Own(&path), &settings.locks, settings.mailbox_size_limit, default_dsn)
                }
            };
        }
        let path = Path::new(spool).join(&self.owner.name);
        if spool.ends_with('/') {
            return self.maildir(&path, settings.mailbox_size_limit, default_dsn);
        }
        let place = match &self.owner.errands {
            Some(errands) if !is_open_to_all(Path::new(spool)) => Place::Asked(&path, errands),
            _ => Place::Own(&path),
        };
        self.mbox(place, &settings.locks, settings.mailbox_size_limit, default_dsn)
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
        let default_dsn = Dsn::temporary(2, 0);
        match mailbox.ends_with(b"/") {
            true => self.maildir(&path, settings.virtual_mailbox_limit, default_dsn),
            false => {
                self.mbox(Place::Own(&path), &settings.locks, settings.virtual_mailbox_limit, default_dsn)
            }
        }
    }

    fn headers(&self) -> Vec<u8> {
        let request = self.request;
        let is_local = matches!(request.task, Task::Local { .. });
        let with_delivered = !is_local || self.settings.local.delivered_header_in_file;
        let delivered_to = with_delivered.then_some(&request.delivered_to);
        Envelope { sender: &request.sender, original: &request.original, delivered_to }.headers()
    }

    fn maildir(&mut self, path: &Path, size_limit: u64, default_dsn: Dsn) -> Result<Done, Trouble> {
        let delivery = maildir::Delivery {
            now: self.now,
            hostname: &self.settings.hostname,
            headers: &self.headers(),
            content: self.content,
            size_limit,
            default_dsn,
        };
        maildir::deliver(path, &delivery, &mut self.warnings)?;
        Ok(Done::Delivered("delivered to maildir"))
    }

    fn mbox(
        &mut self,
        place: Place<'_>,
        locks: &MailboxLocks,
        size_limit: u64,
        default_dsn: Dsn,
    ) -> Result<Done, Trouble> {
        let envelope =
            Envelope { sender: &self.request.sender, original: &self.request.original, delivered_to: None };
        let delivery = mbox::Delivery {
            from_line: &envelope.from_line(self.asctime),
            headers: &self.headers(),
            content: self.content,
            locks,
            uid: self.owner.uid,
            size_limit,
            default_dsn,
        };
        let (Place::Own(path) | Place::Asked(path, _)) = place;
        let within = match &self.request.task {
            Task::Local { user, .. } => {
                format!("cannot update mailbox {} for user {user}. ", path.display())
            }
            Task::Virtual { .. } => format!("delivery failed to mailbox {}: ", path.display()),
        };
        mbox::deliver(place, &delivery, &mut self.warnings).map_err(|trouble| trouble.within(within))?;
        Ok(Done::Delivered("delivered to mailbox"))
    }
}
