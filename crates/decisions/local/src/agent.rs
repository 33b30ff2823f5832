//! What `deliver` and a delivery agent say to each other over their socket.
//!
//! One request, with a descriptor of the content beside it, and one answer. Both are lists of
//! fields, each with its length before it; decoding checks every length and the number of fields, since
//! neither side trusts the other.

use bstr::{BString, ByteSlice};
use types::{Address, Dsn, Outcome, Status};

/// Longest request or answer, in bytes; forward files are limited to fit.
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// What the agent should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Look for a forward file of the user, and where there is none, write the mailbox.
    Local {
        /// Login name; the agent compares it with the user that it runs as.
        user: BString,
        /// Address extension, for `$extension` in forward_path.
        extension: BString,
        /// Ignore forward files: the user's own forward file asked for the mailbox.
        mailbox_only: bool,
    },
    /// Write a mailbox of a virtual user.
    Virtual {
        /// Path below `virtual_mailbox_base`, with a final `/` for a maildir.
        mailbox: BString,
    },
}

/// A delivery of one message to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub task: Task,
    /// Envelope sender.
    pub sender: Address,
    /// `X-Original-To:`
    pub original: Address,
    /// `Delivered-To:`
    pub delivered_to: Address,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A final word or a deferral, with warnings for the log.
    Done {
        /// What became of it.
        outcome: Outcome,
        /// Why.
        status: Status,
        /// Lines to log as warnings.
        warnings: Vec<BString>,
    },
    /// The user has a forward file.
    Forward {
        /// Its text.
        text: BString,
        /// Its name matched the address extension, which is therefore used up.
        is_extension_used: bool,
    },
}

/// The other side did not speak this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Request {
    /// For the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, first, second, flag): (&[u8], &[u8], &[u8], &[u8]) = match &self.task {
            Task::Local { user, extension, mailbox_only } => {
                (b"local", user, extension, if *mailbox_only { b"1" } else { b"0" })
            }
            Task::Virtual { mailbox } => (b"virtual", mailbox, b"", b"0"),
        };
        let addresses = [self.sender.as_bytes(), self.original.as_bytes(), self.delivered_to.as_bytes()];
        let mut fields = vec![kind, first, second, flag];
        fields.extend(addresses);
        encode_fields(&fields)
    }

    /// From the wire.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let fields = decode_fields(bytes)?;
        let [kind, first, second, flag, sender, original, delivered_to] = fields[..] else {
            return Err(Malformed);
        };
        let task = match kind {
            b"local" => {
                Task::Local { user: first.into(), extension: second.into(), mailbox_only: flag == b"1" }
            }
            b"virtual" => Task::Virtual { mailbox: first.into() },
            _ => return Err(Malformed),
        };
        Ok(Self { task, sender: sender.into(), original: original.into(), delivered_to: delivered_to.into() })
    }
}

/// The type of a diagnostic that an agent gives: what the operating system said.
const UNIX: &str = "x-unix";

impl Reply {
    /// For the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Done { outcome, status, warnings } => {
                let word: &[u8] = match outcome {
                    Outcome::Sent => b"sent",
                    Outcome::Deferred => b"deferred",
                    Outcome::Bounced => b"bounced",
                };
                let dsn = status.dsn.to_string();
                let diagnostic: &[u8] =
                    status.diagnostic.as_ref().filter(|(kind, _)| kind == UNIX).map_or(b"", |(_, text)| text);
                let mut fields = vec![word, dsn.as_bytes(), &status.reason[..], diagnostic];
                fields.extend(warnings.iter().map(|w| &w[..]));
                encode_fields(&fields)
            }
            Self::Forward { text, is_extension_used } => {
                encode_fields(&[b"forward", if *is_extension_used { b"1" } else { b"0" }, &text[..]])
            }
        }
    }

    /// From the wire. A final outcome with a status code of another class is malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let fields = decode_fields(bytes)?;
        let [kind, second, third, rest @ ..] = &fields[..] else { return Err(Malformed) };
        let outcome = match *kind {
            b"sent" => Outcome::Sent,
            b"deferred" => Outcome::Deferred,
            b"bounced" => Outcome::Bounced,
            b"forward" if rest.is_empty() => {
                return Ok(Self::Forward { text: (*third).into(), is_extension_used: *second == b"1" });
            }
            _ => return Err(Malformed),
        };
        let dsn: Dsn = second.to_str().ok().and_then(|s| s.parse().ok()).ok_or(Malformed)?;
        let class = match outcome {
            Outcome::Sent => types::DsnClass::Success,
            Outcome::Deferred => types::DsnClass::Temporary,
            Outcome::Bounced => types::DsnClass::Permanent,
        };
        if dsn.class != class {
            return Err(Malformed);
        }
        let (diagnostic, rest) = rest.split_first().ok_or(Malformed)?;
        let diagnostic = (!diagnostic.is_empty()).then(|| (UNIX.to_owned(), BString::from(*diagnostic)));
        let warnings = rest.iter().map(|w| BString::from(*w)).collect();
        let status = Status { diagnostic, ..Status::new(dsn, *third) };
        Ok(Self::Done { outcome, status, warnings })
    }
}

fn encode_fields(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(fields.iter().map(|f| f.len() + 4).sum());
    for field in fields {
        let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(field);
    }
    out
}

fn decode_fields(mut bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or(Malformed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Malformed)?;
        let (field, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        fields.push(field);
        bytes = rest;
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_the_wire() {
        let local = Task::Local { user: "joe".into(), extension: "x".into(), mailbox_only: true };
        for task in [local, Task::Virtual { mailbox: "joe/".into() }] {
            let request = Request {
                task,
                sender: "a@b".into(),
                original: Address::null(),
                delivered_to: "joe@here".into(),
            };
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
    }

    #[test]
    fn replies_survive_the_wire_and_must_be_consistent() {
        let done = |outcome, dsn| Reply::Done {
            outcome,
            status: Status {
                diagnostic: Some(("x-unix".to_owned(), "input/output error".into())),
                ..Status::new(dsn, "why")
            },
            warnings: vec!["careful".into()],
        };
        let good = done(Outcome::Bounced, Dsn::permanent(2, 2));
        assert_eq!(Reply::decode(&good.encode()), Ok(good));
        let forward = Reply::Forward { text: "joe@away\n".into(), is_extension_used: false };
        assert_eq!(Reply::decode(&forward.encode()), Ok(forward));
        let bad = done(Outcome::Sent, Dsn::permanent(2, 2));
        assert_eq!(Reply::decode(&bad.encode()), Err(Malformed));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode_or_fail(bytes: Vec<u8>) {
            let _ = Request::decode(&bytes);
            let _ = Reply::decode(&bytes);
        }
    }
}
