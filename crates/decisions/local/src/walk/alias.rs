//! Aliases: look-up, rights, owner, and the destinations of the value (aliases(5)).

use super::{Fate, Hands, NESTING_LIMIT, Place, Rights, Router, Walk, recipient::without_success};
use crate::{
    agent::{Origin, Source},
    alias_value::parse_destinations,
    settings::Expanded,
};
use bstr::{BStr, BString, ByteSlice};
use maps::casefold;
use message::{QuoteOptions, quote_822_local};
use std::rc::Rc;
use types::{Address, Dsn, Lookup, MemberReport, Outcome, Status};
use world::{Table, TableOwner};

/// A list's owner takes over the envelope.
enum Owner {
    None,
    Is(Address),
    /// It could not be told.
    Unknown,
}

impl<R: Router, H: Hands> Walk<'_, '_, R, H> {
    /// Delivers to an alias; `None` if there is none of that name.
    pub(super) async fn alias(&self, at: &Place, name: &BString) -> Option<Fate> {
        let mut at = at.clone();
        at.level += 1;
        if at.from.as_ref().is_some_and(|from| from.eq_ignore_ascii_case(name)) {
            return None;
        }
        if at.level > NESTING_LIMIT {
            let reason = format!("alias database loop for {name}");
            self.with.hands.warn(&reason);
            return Some(self.bounce(&at, Dsn::permanent(4, 6), reason));
        }
        at.from = Some(name.clone());
        for table in self.with.aliases {
            match find(table.as_ref(), name.as_bstr()).await {
                Lookup::Absent => {}
                Lookup::Found(value) => return Some(self.expand(at, table.as_ref(), name, &value).await),
                Lookup::TryAgain(trouble) => {
                    let table = table.name();
                    self.with.hands.warn(&format!("{table}: lookup of '{name}' failed: {trouble}"));
                    return Some(self.defer(&at, "alias database unavailable"));
                }
            }
        }
        None
    }

    async fn expand(&self, mut at: Place, table: &dyn Table, name: &BString, value: &[u8]) -> Fate {
        if self.with.trace.is_server_probe() {
            return self.would(&at, [b"aliased to ", value].concat());
        }
        at.expanded = Some(Expanded::Alias);
        at.origin = Origin::new(Source::Alias(name.clone()));
        let rights = match self.rights_of(&at, table).await {
            Ok(rights) => rights,
            Err(fate) => return fate,
        };
        match self.owner_of(&at, name).await {
            Owner::Is(owner) => {
                at.owner = Some(owner.as_bytes().into());
                at.sender = owner;
                // What is redistributed is not what the sender asked to hear of.
                at.recipient.dsn_orcpt = BString::default();
                at.recipient.original = Address::null();
            }
            Owner::None if self.with.settings.reset_owner_alias => at.owner = None,
            Owner::None => {}
            Owner::Unknown => return self.defer(&at, "alias database unavailable"),
        }
        if !self.with.settings.frozen_delivered_to {
            at.delivered = Some(at.recipient.address.clone());
        }
        at.recipient.dsn_notify = without_success(&at.recipient);
        let mut fate = Fate::Settled;
        let destinations = parse_destinations(value);
        if destinations.is_empty() {
            // A mistake of the administrator: the mail waits until it is mended.
            self.with.hands.warn(&format!("no recipient in alias lookup result for {name}"));
            return self.defer(&at, "alias database unavailable");
        }
        for destination in destinations {
            fate = fate.and(self.destination(&at, &rights, destination).await);
        }
        fate
    }

    /// Commands and files of an alias are used with the rights of whoever could write the alias.
    async fn rights_of(&self, at: &Place, table: &dyn Table) -> Result<Rights, Fate> {
        let uid = match table.owner() {
            TableOwner::Trusted => return Ok(Rights::Default),
            TableOwner::User(uid) => uid,
            TableOwner::Unknown => {
                let name = table.name();
                self.with.hands.warn(&format!("no owner UID for alias database {name}"));
                return Err(self.defer(at, "mail system configuration error"));
            }
        };
        match self.with.users.by_uid(uid).await {
            Lookup::Found(user) => Ok(Rights::User(Rc::new(user))),
            found => {
                let why = match found {
                    Lookup::TryAgain(trouble) => format!(": {trouble}"),
                    _ => format!(": no user has number {uid}"),
                };
                let name = table.name();
                self.with.hands.warn(&format!("cannot find alias database owner for {name}{why}"));
                Err(self.defer(at, "cannot find alias database owner"))
            }
        }
    }

    async fn owner_of(&self, at: &Place, name: &BString) -> Owner {
        let settings = self.with.settings;
        if !settings.extensions.owner_request_special {
            return Owner::None;
        }
        let alias = [b"owner-", name.as_bytes()].concat();
        match find_in_all(self.with.aliases, alias.as_bstr()).await {
            Lookup::Absent => Owner::None,
            Lookup::TryAgain(_) => Owner::Unknown,
            Lookup::Found(value) => {
                let target = if settings.expand_owner_alias { value } else { alias };
                match self.with.router.route(&at.sender, &target).await {
                    Lookup::Found(resolved) => Owner::Is(resolved.recipient),
                    Lookup::Absent | Lookup::TryAgain(_) => Owner::Unknown,
                }
            }
        }
    }

    /// A failure that the owner of the recipient's list hears of at once, instead of the sender.
    pub(super) async fn report_to_owner(&self, at: &Place, outcome: Outcome, status: Status) -> Fate {
        let mut owner = Owner::None;
        let rules = &self.with.settings.extensions;
        let local = at.recipient.address.localpart();
        let bare = rules.delimiter_at(local).map(|end| BString::from(&local[..end]));
        for name in [Some(local.to_owned()), bare].into_iter().flatten() {
            owner = self.owner_of(at, &name).await;
            if !matches!(owner, Owner::None) {
                break;
            }
        }
        let owner = match owner {
            Owner::Unknown => return self.defer(at, "alias database unavailable"),
            Owner::Is(owner) if outcome == Outcome::Bounced && !self.with.settings.soft_bounce => owner,
            Owner::Is(_) | Owner::None => return self.record(at, outcome, status),
        };
        if !self.with.hands.notify(&owner, &at.recipient, &status).await {
            return self.defer(at, "bounce or trace service failure");
        }
        self.member(MemberReport {
            is_notified: true,
            ..MemberReport::new(at.recipient.clone(), outcome, status)
        })
    }
}

/// A name in one table: in quotes where it needs them, then as it is.
async fn find(table: &dyn Table, name: &BStr) -> Lookup {
    let quoted = quote_822_local(name, QuoteOptions { bare_localpart: true, ..QuoteOptions::default() });
    match table.lookup(&quoted).await {
        Lookup::Absent if *quoted != **name => table.lookup(name).await,
        found => found,
    }
}

async fn find_in_all(tables: &[Rc<dyn Table>], name: &BStr) -> Lookup {
    let folded = casefold(name);
    for table in tables {
        let key: &[u8] = if table.is_pattern() { name } else { &folded };
        match table.lookup(key).await {
            Lookup::Absent => {}
            found_or_trouble => return found_or_trouble,
        }
    }
    Lookup::Absent
}
