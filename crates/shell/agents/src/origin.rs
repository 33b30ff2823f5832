//! Where a destination is said to stand, this agent looks itself: what is not in the configuration, in a table that
//! it names, or in a file that those name, is not done, whoever asks.

use crate::{
    lists::IncludeFile,
    task::{Job, Standing},
    trouble::Trouble,
};
use bstr::{BStr, BString, ByteSlice};
use local::{
    Destination, Expanded,
    agent::{Origin, Source},
    lines, parse_destinations,
};
use maps::{Maps, casefold};
use message::{QuoteOptions, quote_822_local};
use std::{
    ffi::OsStr,
    future::Future,
    os::unix::ffi::OsStrExt,
    path::Path,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use types::{Dsn, Lookup};
use world::{Table, TableOwner};

/// The tables that destinations come from.
pub struct Tables {
    /// alias_maps
    pub aliases: Vec<Rc<dyn Table>>,
    /// mailbox_command_maps
    pub mailbox_command_maps: Maps,
}

/// Whose rights go with a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Default,
    User(u32),
}

impl Job<'_> {
    /// Where the destination was found, if it stands where it is said to, and is this agent's to do.
    pub(crate) fn stands_there(
        &mut self,
        origin: &Origin,
        wanted: &Destination,
    ) -> Result<Expanded, Trouble> {
        let (destinations, whose) = self.walk(origin)?;
        if !destinations.contains(wanted) {
            return Err(changed("it does not stand there any more"));
        }
        if !self.is_ours(whose) {
            return Err(changed("it is for another user to do"));
        }
        Ok(match &origin.source {
            _ if !origin.includes.is_empty() => Expanded::Include,
            Source::Alias(_) => Expanded::Alias,
            Source::Forward | Source::Mailbox => Expanded::Forward,
        })
    }

    /// Goes the way from the source through the lists: what the last one says, and with whose rights.
    fn walk(&mut self, origin: &Origin) -> Result<(Vec<Destination>, Whose), Trouble> {
        let (mut destinations, mut whose) = self.start(origin)?;
        for path in &origin.includes {
            if !destinations.contains(&Destination::Include(path.clone())) {
                return Err(changed(&format!(":include:{path} does not stand there any more")));
            }
            let read = match self.include_file(path, whose == Whose::Default) {
                Ok(IncludeFile::OfUser(uid)) => {
                    whose = Whose::User(uid);
                    self.include_file(path, false)
                }
                read => read,
            };
            destinations = match read {
                Ok(IncludeFile::Text(text)) => self.destinations(&text),
                Ok(IncludeFile::OfUser(_)) => Vec::new(),
                Err(unusable) => return Err(changed(&unusable.warning)),
            };
        }
        Ok((destinations, whose))
    }

    /// The same for an :include: file, which anyone in the chain may have to read.
    pub(crate) fn list_stands_there(&mut self, origin: &Origin, path: &BString) -> Result<(), Trouble> {
        let (destinations, whose) = self.walk(origin)?;
        if !destinations.contains(&Destination::Include(path.clone())) {
            return Err(changed(&format!(":include:{path} does not stand there any more")));
        }
        // Where nobody's rights are in force yet, the owner of the list comes in here.
        let is_owner = |uid| {
            let facts = rustix::fs::stat(Path::new(OsStr::from_bytes(path)));
            facts.is_ok_and(|facts| facts.st_uid == uid)
        };
        match self.is_ours(whose) || (whose == Whose::Default && is_owner(self.owner.uid)) {
            true => Ok(()),
            false => Err(changed("it is for another user to do")),
        }
    }

    /// Whether rights that are replaced by default_privs are in force.
    pub(crate) fn is_default(&self) -> bool {
        matches!(self.owner.standing, Standing::Default { .. })
    }

    fn start(&mut self, origin: &Origin) -> Result<(Vec<Destination>, Whose), Trouble> {
        let own = if self.is_default() { Whose::Default } else { Whose::User(self.owner.uid) };
        match &origin.source {
            Source::Alias(name) => self.alias(name),
            Source::Forward => match self.forward_file() {
                Some(file) => Ok((self.destinations(&file.text), own)),
                None => Err(changed("there is no forward file any more")),
            },
            Source::Mailbox => {
                let user = &self.request.names.user;
                let command = match at_hand(self.tables.mailbox_command_maps.find(user))? {
                    Lookup::Found(command) => command,
                    Lookup::Absent => self.settings.local.mailbox_command.clone().into_bytes(),
                    Lookup::TryAgain(trouble) => return Err(changed(&trouble.to_string())),
                };
                Ok((vec![Destination::Command(command.into())], own))
            }
        }
    }

    fn alias(&self, name: &BString) -> Result<(Vec<Destination>, Whose), Trouble> {
        for table in &self.tables.aliases {
            match find(table.as_ref(), name.as_bstr())? {
                Lookup::Absent => {}
                Lookup::TryAgain(trouble) => return Err(changed(&trouble.to_string())),
                Lookup::Found(value) => {
                    let whose = match table.owner() {
                        TableOwner::Trusted => Whose::Default,
                        TableOwner::User(uid) => Whose::User(uid),
                        TableOwner::Unknown => return Err(changed("nobody knows who wrote the alias")),
                    };
                    return Ok((parse_destinations(&value), whose));
                }
            }
        }
        Err(changed(&format!("there is no alias {name} any more")))
    }

    fn destinations(&self, text: &BString) -> Vec<Destination> {
        lines(text, self.settings.local.line_length_limit).flat_map(parse_destinations).collect()
    }

    fn is_ours(&self, whose: Whose) -> bool {
        match whose {
            Whose::Default => self.is_default(),
            Whose::User(uid) => !self.is_default() && uid == self.owner.uid,
        }
    }
}

/// A name in one table: in quotes where it needs them, then as it is.
fn find(table: &dyn Table, name: &BStr) -> Result<Lookup, Trouble> {
    let quoted = quote_822_local(name, QuoteOptions { bare_localpart: true, ..QuoteOptions::default() });
    let folded = casefold(&quoted);
    let key: &[u8] = if table.is_pattern() { &quoted } else { &folded };
    match at_hand(table.lookup(key))? {
        Lookup::Absent if *quoted != **name => at_hand(table.lookup(name)),
        found => Ok(found),
    }
}

/// The answer of a table that needs nobody else: this process has no network.
fn at_hand(answer: impl Future<Output = Lookup>) -> Result<Lookup, Trouble> {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => Ok(found),
        Poll::Pending => Err(changed("a delivery agent cannot ask that type of table: use a file")),
    }
}

/// The configuration may have changed since `deliver` looked; the next try finds out.
fn changed(why: &str) -> Trouble {
    Trouble::new(Dsn::temporary(3, 5), format!("mail system configuration error: {why}"))
}
