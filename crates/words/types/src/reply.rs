//! SMTP replies are values (RFC 5321 §4.2), made by judgement and rendered in one place.

use crate::Dsn;
use std::fmt;

/// One reply: code, optional enhanced status code, and one or more lines of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits, 200 to 599.
    pub code: u16,
    /// Left out in `220`, `221` banners, EHLO and `354` as Postfix leaves it out.
    pub dsn: Option<Dsn>,
    /// Text lines without line ends; `\n` separates the lines of a multi-line reply.
    pub text: String,
}

impl Reply {
    /// A reply with an enhanced status code.
    pub fn new(code: u16, dsn: Dsn, text: impl Into<String>) -> Self {
        Self { code, dsn: Some(dsn), text: text.into() }
    }

    /// A reply without an enhanced status code.
    pub fn bare(code: u16, text: impl Into<String>) -> Self {
        Self { code, dsn: None, text: text.into() }
    }

    /// Whether the client may go on: 2xx and 3xx.
    #[must_use]
    pub const fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// Whether the client should try again later: 4xx.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        self.code >= 400 && self.code < 500
    }

    /// Appends the wire form with CRLF line ends; every line has code and status code.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode((self.code, self.dsn), &self.text, ' ', out);
    }

    /// The same for lines that are not the last ones of their reply.
    pub fn encode_unfinished(&self, out: &mut Vec<u8>) {
        encode((self.code, self.dsn), &self.text, '-', out);
    }
}

/// A reply whose text never changes: the ones that every session gives, without an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedReply {
    /// See [`Reply::code`].
    pub code: u16,
    /// See [`Reply::dsn`].
    pub dsn: Option<Dsn>,
    /// See [`Reply::text`].
    pub text: &'static str,
}

impl FixedReply {
    /// A reply with an enhanced status code.
    #[must_use]
    pub const fn new(code: u16, dsn: Dsn, text: &'static str) -> Self {
        Self { code, dsn: Some(dsn), text }
    }

    /// A reply without an enhanced status code.
    #[must_use]
    pub const fn bare(code: u16, text: &'static str) -> Self {
        Self { code, dsn: None, text }
    }

    /// Appends the wire form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode((self.code, self.dsn), self.text, ' ', out);
    }
}

impl From<FixedReply> for Reply {
    fn from(fixed: FixedReply) -> Self {
        Self { code: fixed.code, dsn: fixed.dsn, text: fixed.text.to_owned() }
    }
}

fn encode((code, dsn): (u16, Option<Dsn>), text: &str, at_end: char, out: &mut Vec<u8>) {
    use std::io::Write;
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        let separator = if lines.peek().is_some() { '-' } else { at_end };
        // Writing to a Vec cannot fail.
        let _ = match dsn {
            Some(dsn) => write!(out, "{code}{separator}{dsn} {line}\r\n"),
            None => write!(out, "{code}{separator}{line}\r\n"),
        };
    }
}

/// The form of log lines: `550 5.1.1 text`, lines joined by a space.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.code)?;
        if let Some(dsn) = self.dsn {
            write!(f, "{dsn} ")?;
        }
        for (n, line) in self.text.split('\n').enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            f.write_str(line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reply: &Reply, wire: &str) {
        let mut out = Vec::new();
        reply.encode(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), wire);
    }

    #[test]
    fn encodes_one_and_many_lines() {
        check(&Reply::new(250, Dsn::success(1, 0), "Ok"), "250 2.1.0 Ok\r\n");
        check(&Reply::bare(250, "mx\nPIPELINING\nCHUNKING"), "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
    }
}
