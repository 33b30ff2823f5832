//! The policy delegation protocol of the SMTP server (SMTPD_POLICY_README): a request is lines `name=value` and an empty
//! line, an answer is `action=...` and an empty line.

use bstr::{BString, ByteSlice};
use memchr::memchr;
use std::fmt;

/// Writes one request.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    /// An empty request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an attribute. Control characters go as they are; what follows a NUL is left out, as in C, and a newline,
    /// which would begin another attribute, becomes `?`.
    pub fn put(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = until_nul(value.as_ref());
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'=');
        self.out.extend(value.iter().map(|&byte| if byte == b'\n' { b'?' } else { byte }));
        self.out.push(b'\n');
    }

    /// The request's bytes.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.out.push(b'\n');
        self.out
    }
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonsense {
    /// It ended without `action`.
    MissingAction,
    /// `action` without `=`.
    MissingValue,
    /// It is larger than it may be, in bytes.
    TooLong(usize),
}

/// With this text a warning names the server: `missing attribute action in input from private/policy`.
impl Nonsense {
    /// The text of the warning.
    #[must_use]
    pub fn about(self, server: &str) -> String {
        match self {
            Self::MissingAction => format!("missing attribute action in input from {server}"),
            Self::MissingValue => format!("missing value for string attribute action from {server}"),
            Self::TooLong(limit) => {
                format!(
                    "answer longer than {limit} bytes from {server}; header_size_limit says how long one may be"
                )
            }
        }
    }
}

/// What was being read when nothing more came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing of an answer is there.
    Start,
    /// A name.
    Name,
    /// The value of `action`.
    Value,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start | Self::Name => "input attribute name",
            Self::Value => "input attribute value",
        })
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The action, as an access table would have it.
    pub action: BString,
    /// More than the answer was there: the connection is out of step.
    pub has_rest: bool,
}

/// Reads one answer, in whatever pieces it comes. The first `action` counts; all else is skipped.
#[derive(Clone, Debug)]
pub struct AnswerReader {
    line: Vec<u8>,
    action: Option<BString>,
    taken: usize,
    limit: usize,
}

impl AnswerReader {
    /// For an answer of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { line: Vec::new(), action: None, taken: 0, limit }
    }

    /// Takes more bytes; `Ok(None)` when the answer is not complete.
    ///
    /// # Errors
    /// [`Nonsense`]: the connection is of no more use.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<Option<Answer>, Nonsense> {
        while let Some(end) = memchr(b'\n', bytes) {
            let (piece, rest) =
                (bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default());
            self.extend(piece, 1)?;
            bytes = rest;
            let line = std::mem::take(&mut self.line);
            if line.is_empty() {
                let action = self.action.take().ok_or(Nonsense::MissingAction)?;
                return Ok(Some(Answer { action, has_rest: !bytes.is_empty() }));
            }
            self.attribute(&line)?;
        }
        self.extend(bytes, 0)?;
        Ok(None)
    }

    fn extend(&mut self, piece: &[u8], line_end: usize) -> Result<(), Nonsense> {
        self.taken = self.taken.saturating_add(piece.len() + line_end);
        if self.taken > self.limit {
            return Err(Nonsense::TooLong(self.limit));
        }
        self.line.extend_from_slice(piece);
        Ok(())
    }

    fn attribute(&mut self, line: &[u8]) -> Result<(), Nonsense> {
        if self.action.is_some() {
            return Ok(());
        }
        match line.split_once_str(b"=") {
            Some((name, value)) if is_action(name) => self.action = Some(until_nul(value).into()),
            None if is_action(line) => return Err(Nonsense::MissingValue),
            _ => {}
        }
        Ok(())
    }

    /// What was being read, for a server that says no more.
    #[must_use]
    pub fn place(&self) -> Place {
        let name = memchr(b'=', &self.line).and_then(|end| self.line.get(..end));
        match name {
            _ if self.taken == 0 => Place::Start,
            Some(name) if self.action.is_none() && is_action(name) => Place::Value,
            _ => Place::Name,
        }
    }
}

fn is_action(name: &[u8]) -> bool {
    until_nul(name) == b"action"
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    memchr(0, bytes).and_then(|end| bytes.get(..end)).unwrap_or(bytes)
}

#[cfg(test)]
mod tests;
