//! Destinations, one by one, and the files that hold lists of them.

use super::{Fate, Hands, NESTING_LIMIT, Place, Rights, Router, Walk};
use crate::{
    agent::{Answer, Task},
    alias_value::{Destination, lines, parse_destinations},
    settings::Expanded,
};
use bstr::{BString, ByteSlice};
use std::{path::Path, rc::Rc};
use types::{Address, Dsn, Lookup, Outcome, Status};
use world::UserEntry;

impl<R: Router, H: Hands> Walk<'_, '_, R, H> {
    pub(super) async fn destination(&self, at: &Place, rights: &Rights, destination: Destination) -> Fate {
        let settings = self.with.settings;
        match destination {
            Destination::Address(external) => self.resolve(at, rights, &external).await,
            Destination::File(path) => {
                let full = path.clone();
                self.file(at, rights, path, full.as_bstr()).await
            }
            Destination::Home(path) => self.home(at, rights, path).await,
            Destination::Command(_) if !allows(settings.allow_mail_to_commands, at) => {
                self.bounce(at, Dsn::permanent(7, 1), "mail to command is restricted")
            }
            Destination::Command(command) => self.command(at, rights, command).await,
            Destination::Include(path) => Box::pin(self.include(at, rights, path)).await,
        }
    }

    /// The lines of a forward or include file: the fate, and how many destinations there were. After a line of which
    /// something must be tried again, the rest waits.
    pub(super) async fn list(&self, at: &Place, rights: &Rights, text: &[u8]) -> (Fate, usize) {
        let mut count = 0;
        for line in lines(text, self.with.settings.line_length_limit) {
            let mut fate = Fate::Settled;
            for destination in parse_destinations(line) {
                count += 1;
                fate = fate.and(self.destination(at, rights, destination).await);
            }
            if fate == Fate::Deferred {
                return (fate, count);
            }
        }
        (Fate::Settled, count)
    }

    /// An address: of this service, or of another one.
    pub(super) async fn resolve(&self, at: &Place, rights: &Rights, external: &[u8]) -> Fate {
        let mut at = at.clone();
        at.level += 1;
        let resolved = match self.with.router.route(&at.sender, external).await {
            Lookup::Found(resolved) => resolved,
            Lookup::Absent | Lookup::TryAgain(_) => return self.defer(&at, "address resolver failure"),
        };
        if resolved.is_error {
            let reason = format!("bad recipient address syntax: {}", resolved.recipient);
            return self.bounce(&at, Dsn::permanent(1, 3), reason);
        }
        at.recipient.address = match (&at.unmatched, at.name.delimiter()) {
            (Some(extension), Some(delimiter)) => extended(&resolved.recipient, delimiter, extension),
            _ => resolved.recipient,
        };
        if resolved.transport == *self.with.transport {
            self.recipient(at, rights.clone()).await
        } else {
            self.indirect(&at)
        }
    }

    /// `~/name` is below the home directory of whoever's rights are used.
    async fn home(&self, at: &Place, rights: &Rights, path: BString) -> Fate {
        let misconfigured = |warning: String| {
            self.with.hands.warn(&warning);
            self.bounce(at, Dsn::permanent(3, 5), "mail system configuration error")
        };
        let Some(below) = path.strip_prefix(b"~").filter(|rest| rest.starts_with(b"/")) else {
            return misconfigured(format!("bad home directory syntax for: {path}"));
        };
        let Rights::User(user) = rights else {
            return misconfigured(format!("unknown home directory for: {path}"));
        };
        let home = user.home.as_os_str().as_encoded_bytes();
        let full = if user.home == Path::new("/") { below.to_vec() } else { [home, below].concat() };
        self.file(at, rights, path.clone(), full.as_bstr()).await
    }

    async fn include(&self, at: &Place, rights: &Rights, path: BString) -> Fate {
        let mut at = at.clone();
        at.level += 1;
        if at.level > NESTING_LIMIT {
            self.with.hands.warn(&format!(":include: nesting limit exceeded for {path}"));
            return self.bounce(&at, Dsn::permanent(4, 6), ":include: nesting limit exceeded");
        }
        if self.been_here(&format!("include {}", rights.uid()), &path) {
            return Fate::Settled;
        }
        at.from = Some(at.name.local.clone());
        if !path.starts_with(b"/") {
            self.with.hands.warn(&format!(":include:{path} uses a relative path"));
            return self.bounce(&at, Dsn::permanent(3, 5), "mail system configuration error");
        }
        let (rights, text) = match self.read_include(&at, rights, &path).await {
            Ok(read) => read,
            Err(fate) => return fate,
        };
        at.expanded = Some(Expanded::Include);
        at.origin.includes.push(path);
        at.owner.get_or_insert_with(|| at.recipient.address.as_bytes().into());
        if !self.with.settings.propagate_unmatched_extensions.has(Expanded::Include) {
            at.unmatched = None;
        }
        self.list(&at, &rights, &text).await.0
    }

    /// The text, and the rights that go with it: a list that root did not write has its owner's, unless somebody's
    /// rights are in force already.
    async fn read_include(
        &self,
        at: &Place,
        rights: &Rights,
        path: &BString,
    ) -> Result<(Rights, BString), Fate> {
        let task = || Task::Include { origin: at.origin.clone(), path: path.clone() };
        let mut rights = rights.clone();
        let mut answer = self.ask(at, &rights, task()).await;
        if let Answer::Owner { uid } = answer
            && rights.uid() == 0
        {
            rights = Rights::User(self.list_owner(at, uid, path).await?);
            answer = self.ask(at, &rights, task()).await;
        }
        match answer {
            Answer::List { text, .. } => Ok((rights, text)),
            Answer::Done { outcome, status, .. } => Err(self.record(at, outcome, status)),
            Answer::Owner { .. } | Answer::Nothing => {
                Err(self.defer(at, "unexpected answer of delivery agent"))
            }
        }
    }

    async fn list_owner(&self, at: &Place, uid: u32, path: &BString) -> Result<Rc<UserEntry>, Fate> {
        let why = match self.with.users.by_uid(uid).await {
            Lookup::Found(user) => return Ok(Rc::new(user)),
            Lookup::Absent => String::new(),
            Lookup::TryAgain(trouble) => format!(": {trouble}"),
        };
        self.with.hands.warn(&format!("cannot find username for uid {uid}{why}"));
        self.with.hands.warn(&format!("{path}: cannot find :include: file owner username"));
        let status = Status::new(Dsn::temporary(3, 5), "mail system configuration error");
        Err(self.record(at, Outcome::Deferred, status))
    }
}

/// Whether the list has the word for what the destination was found in.
pub(super) fn allows(list: crate::settings::Expansions, at: &Place) -> bool {
    at.expanded.is_some_and(|expanded| list.has(expanded))
}

/// `user@domain` with `+extension`.
fn extended(address: &Address, delimiter: u8, extension: &[u8]) -> Address {
    let (local, domain) = address.split();
    let mut bytes = [local.as_bytes(), &[delimiter], extension].concat();
    if let Some(domain) = domain {
        bytes.push(b'@');
        bytes.extend_from_slice(domain);
    }
    Address::new(bytes)
}
