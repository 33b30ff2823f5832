//! The protocol of proxymap(8) over [`attr`](crate::attr): its requests, statuses and flags of tables.
//!
//! ```text
//! server: protocol=proxymap_protocol
//! client: request=lookup table=type:name instance_flags=n flags=n key=k
//! server: status=0 flags=n value=v
//! ```
//!
//! A table is named in each request: servers come and go, and hold nothing for a client but the place in a listing.

use crate::attr::{Attributes, Encoder};
use bstr::BString;

/// What a server says first, as the attribute `protocol`.
pub const PROTOCOL: &str = "proxymap_protocol";

/// Flags of tables as Postfix numbers them.
pub mod flags {
    /// Equal keys are warned of.
    pub const DUP_WARN: u32 = 1 << 0;
    /// Of equal keys the first counts.
    pub const DUP_IGNORE: u32 = 1 << 1;
    /// Keys and values without null bytes.
    pub const TRY0NULL: u32 = 1 << 2;
    /// Keys and values with null bytes.
    pub const TRY1NULL: u32 = 1 << 3;
    /// Keys are looked up as they are stored.
    pub const FIXED: u32 = 1 << 4;
    /// Keys are matched against patterns.
    pub const PATTERN: u32 = 1 << 5;
    /// A lock for each access.
    pub const LOCK: u32 = 1 << 6;
    /// The last of equal keys counts.
    pub const DUP_REPLACE: u32 = 1 << 7;
    /// `$1` may not stand in results.
    pub const NO_REGSUB: u32 = 1 << 11;
    /// Nothing that proves nothing.
    pub const NO_UNAUTH: u32 = 1 << 13;
    /// Keys of [`FIXED`] tables are folded.
    pub const FOLD_FIX: u32 = 1 << 14;
    /// Keys of [`PATTERN`] tables are folded.
    pub const FOLD_MUL: u32 = 1 << 15;
    /// Keys and values must be UTF-8, where the configuration has it so.
    pub const UTF8_REQUEST: u32 = 1 << 19;
    /// They must be.
    pub const UTF8_ACTIVE: u32 = 1 << 20;
    /// Values in the table's source are names of files.
    pub const RHS_IS_FILE: u32 = 1 << 21;
}

/// What a server makes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok,
    /// There is no such key.
    NoKey,
    /// It could not be looked; ask again later.
    Retry,
    /// The request is malformed.
    Bad,
    /// The table is not on the list of those that may be asked for.
    Deny,
    /// The table cannot be used as it is set up.
    Config,
}

impl Status {
    const ALL: [Self; 6] = [Self::Ok, Self::NoKey, Self::Retry, Self::Bad, Self::Deny, Self::Config];

    fn number(self) -> u64 {
        Self::ALL.iter().zip(0..).find(|(known, _)| **known == self).map_or(0, |(_, number)| number)
    }
}

/// What is asked of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open it.
    Open,
    /// Look a key up.
    Lookup(BString),
    /// Set a key.
    Update(BString, BString),
    /// Remove a key.
    Delete(BString),
    /// The first entry, or the one after the last one that was listed.
    Sequence(Place),
}

/// Where in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// From the beginning.
    First,
    /// Go on.
    Next,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `type:name`, perhaps with `proxy:` before it.
    pub table: BString,
    /// What the table is opened with; programs older than Postfix 3.8 have [`Self::flags`] only.
    pub instance_flags: Option<u32>,
    /// What it is asked with; the same when it is opened.
    pub flags: u32,
    /// What to do.
    pub action: Action,
}

impl Request {
    /// The request in a list of attributes; the error is the answer.
    ///
    /// # Errors
    /// [`Status::Bad`]
    pub fn decode(attributes: &Attributes) -> Result<Self, Status> {
        let text = |name| attributes.get(name).cloned().ok_or(Status::Bad);
        let flags = |name| attributes.int(name).map(i32::cast_unsigned);
        let action = match text("request")?.as_slice() {
            b"open" => Action::Open,
            b"lookup" => Action::Lookup(text("key")?),
            b"update" => Action::Update(text("key")?, text("value")?),
            b"delete" => Action::Delete(text("key")?),
            b"sequence" => Action::Sequence(match attributes.number("function") {
                Some(0) => Place::First,
                Some(1) => Place::Next,
                _ => return Err(Status::Bad),
            }),
            _ => return Err(Status::Bad),
        };
        let instance_flags = flags("instance_flags");
        let opened_with = instance_flags.filter(|_| action == Action::Open);
        let flags = opened_with.or_else(|| flags("flags")).ok_or(Status::Bad)?;
        Ok(Self { table: text("table")?, instance_flags, flags, action })
    }

    /// As it is sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let name = match self.action {
            Action::Open => "open",
            Action::Lookup(_) => "lookup",
            Action::Update(..) => "update",
            Action::Delete(_) => "delete",
            Action::Sequence(_) => "sequence",
        };
        let list = Encoder::new().text("request", name).text("table", &self.table);
        let with_flags = |list: Encoder| list.number("flags", self.flags.into());
        let list = match self.instance_flags {
            Some(flags) => list.number("instance_flags", flags.into()),
            None => list,
        };
        match &self.action {
            Action::Open if self.instance_flags.is_some() => list,
            Action::Open => with_flags(list),
            Action::Lookup(key) | Action::Delete(key) => with_flags(list).text("key", key),
            Action::Update(key, value) => with_flags(list).text("key", key).text("value", value),
            Action::Sequence(place) => with_flags(list).number("function", u64::from(*place == Place::Next)),
        }
        .finish()
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What became of it.
    pub status: Status,
    /// The table's own flags with those of the request.
    pub flags: u32,
    /// What a listing is at.
    pub key: BString,
    /// What was found.
    pub value: BString,
}

impl Reply {
    /// An answer without text.
    #[must_use]
    pub fn of(status: Status, flags: u32) -> Self {
        Self { status, flags, key: BString::default(), value: BString::default() }
    }

    /// As it is sent in answer to a request.
    #[must_use]
    pub fn encode(&self, request: &Request) -> Vec<u8> {
        let mut list = Encoder::new().number("status", self.status.number());
        // Clients older than Postfix 3.8 learn of flags only once.
        if request.action == Action::Open || request.instance_flags.is_some() {
            list = list.number("flags", self.flags.into());
        }
        match &request.action {
            Action::Open | Action::Update(..) | Action::Delete(_) => list,
            Action::Lookup(_) => list.text("value", &self.value),
            Action::Sequence(_) => list.text("key", &self.key).text("value", &self.value),
        }
        .finish()
    }

    /// The answer to what is no request.
    #[must_use]
    pub fn to_nonsense() -> Vec<u8> {
        Encoder::new().number("status", Status::Bad.number()).finish()
    }

    /// The answer in a list of attributes; `None` for what is none.
    #[must_use]
    pub fn decode(attributes: &Attributes) -> Option<Self> {
        let text = |name| attributes.get(name).cloned().unwrap_or_default();
        let number = attributes.number("status").and_then(|number| usize::try_from(number).ok())?;
        let status = Status::ALL.get(number).copied()?;
        let flags = attributes.int("flags").unwrap_or(0).cast_unsigned();
        Some(Self { status, flags, key: text("key"), value: text("value") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::decode;

    fn list(bytes: &[u8]) -> Attributes {
        decode(bytes).unwrap().unwrap().0
    }

    #[test]
    fn requests_come_back_as_they_were() {
        let (key, value) = (BString::from("k"), BString::from(""));
        let actions = [
            Action::Open,
            Action::Lookup(key.clone()),
            Action::Update(key.clone(), value),
            Action::Delete(key),
            Action::Sequence(Place::First),
            Action::Sequence(Place::Next),
        ];
        for action in actions {
            for instance_flags in [None, Some(1 << 31)] {
                let (table, action) = ("hash:x".into(), action.clone());
                let request = Request { table, instance_flags, flags: 1 << 31, action };
                assert_eq!(Request::decode(&list(&request.encode())), Ok(request));
            }
        }
    }

    #[test]
    fn what_is_no_request_is_bad() {
        for bytes in [
            &b"request\0lookup\0table\0hash:x\0key\0k\0\0"[..],
            b"request\0what\0table\0hash:x\0instance_flags\x000\0\0",
            b"request\0sequence\0table\0t:x\0instance_flags\x000\0flags\x000\0function\x002\0\0",
            b"\0",
        ] {
            assert_eq!(Request::decode(&list(bytes)), Err(Status::Bad));
        }
    }

    #[test]
    fn answers_come_back_as_they_were() {
        for status in Status::ALL {
            let reply = Reply { status, flags: 7, key: "k".into(), value: "v".into() };
            let (instance_flags, action) = (Some(0), Action::Sequence(Place::Next));
            let mut request = Request { table: "hash:x".into(), instance_flags, flags: 0, action };
            assert_eq!(Reply::decode(&list(&reply.encode(&request))), Some(reply.clone()));
            request.instance_flags = None;
            assert_eq!(Reply::decode(&list(&reply.encode(&request))), Some(Reply { flags: 0, ..reply }));
        }
        assert_eq!(Reply::decode(&list(b"status\x006\0\0")), None);
    }
}
