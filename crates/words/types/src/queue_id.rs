//! Queue ids and queue names.

use std::{fmt, str::FromStr};

/// The name of a message: `7602C72C2` (short) or `3Pt2mN2VXxznjll` (long), as Postfix makes them.
///
/// Only letters and digits, so an id can never leave its directory. How an id is made from a time
/// and an inode number is in the `queue` crate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId {
    len: u8,
    bytes: [u8; Self::LEN_MAX],
}

impl QueueId {
    /// Longest id that is accepted, in bytes (Postfix: `MAIL_QUEUE_NAME_MAX` is larger, but no id
    /// made of a 64-bit inode is).
    pub const LEN_MAX: usize = 31;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

/// The text is empty, too long, or has a character other than a letter or digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidQueueId;

impl fmt::Display for InvalidQueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a queue id: only letters and digits are allowed")
    }
}
impl std::error::Error for InvalidQueueId {}

impl FromStr for QueueId {
    type Err = InvalidQueueId;

    fn from_str(text: &str) -> Result<Self, InvalidQueueId> {
        let valid = !text.is_empty()
            && text.len() <= Self::LEN_MAX
            && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if !valid {
            return Err(InvalidQueueId);
        }
        let mut bytes = [0; Self::LEN_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        let len = u8::try_from(text.len()).map_err(|_| InvalidQueueId)?;
        Ok(Self { len, bytes })
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The directories below `queue_directory` that hold messages or per-message logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueName {
    /// Being delivered.
    Active,
    /// Logs of final failures.
    Bounce,
    /// Unreadable messages.
    Corrupt,
    /// Logs of delays (also the directory of deferred recipients' reasons).
    Defer,
    /// Waiting for the next try.
    Deferred,
    /// Fast-flush logs.
    Flush,
    /// Held by the administrator.
    Hold,
    /// Just arrived.
    Incoming,
    /// Submitted by local users.
    Maildrop,
    /// Set aside by `postsuper`.
    Saved,
    /// Logs of successful deliveries that were asked for.
    Trace,
}

impl QueueName {
    /// The directory's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Bounce => "bounce",
            Self::Corrupt => "corrupt",
            Self::Defer => "defer",
            Self::Deferred => "deferred",
            Self::Flush => "flush",
            Self::Hold => "hold",
            Self::Incoming => "incoming",
            Self::Maildrop => "maildrop",
            Self::Saved => "saved",
            Self::Trace => "trace",
        }
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_name_a_path() {
        for text in ["7602C72C2", "3Pt2mN2VXxznjll"] {
            assert_eq!(text.parse::<QueueId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "../x", "a/b", "a.b", "A B", &"A".repeat(32)] {
            assert_eq!(text.parse::<QueueId>(), Err(InvalidQueueId), "{text}");
        }
    }
}
