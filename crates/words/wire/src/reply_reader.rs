//! What a server says (RFC 5321 §4.2, RFC 2034), read by a client.
//!
//! Servers are trusted with nothing: lines may end in a lone LF, be longer than
//! `line_length_limit`, hold any bytes, and never end. The reader keeps a bounded part of what it sees. Text that is
//! not a reply is skipped, but kept in the text of the reply that follows and reported, because
//! with pipelining it means that client and server may disagree on what was answered.
//!
//! Diagnostics: none of its own; [`ServerReply`] says what was odd.

use bstr::{BString, ByteSlice};
use memchr::memchr;
use types::{Dsn, DsnClass};

/// How many lines one reply may have before the server is given up.
const LINES_MAX: u32 = 10_000;

/// One complete reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReply {
    /// Three digits, 000 to 999 as the server sent them.
    pub code: u16,
    /// The enhanced status code of the last line if it agrees with the code, else `class.0.0`; `5.5.0` for replies
    /// that are neither 2xx, 4xx nor 5xx (they fit only where 3xx is expected).
    pub dsn: Dsn,
    /// All lines with their codes, joined with `\n`; unprintable bytes are `?`.
    pub text: BString,
    /// Lines that were no reply came before: the connection must not be used for another message.
    pub is_disordered: bool,
}

impl ServerReply {
    /// First digit of the code.
    #[must_use]
    pub const fn class(&self) -> u16 {
        self.code / 100
    }

    /// The text on one line, as log lines and notifications quote it.
    #[must_use]
    pub fn one_line(&self) -> BString {
        BString::new(self.text.iter().map(|&byte| if byte == b'\n' { b' ' } else { byte }).collect())
    }
}

/// What the bytes so far amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The reply is not complete.
    More,
    /// A reply.
    Reply(ServerReply),
    /// More lines than any reply has: hang up.
    Endless,
}

/// Collects bytes into replies, one after the other.
#[derive(Debug)]
pub struct ReplyReader {
    line_length_limit: usize,
    // The line under construction, cut at the limit.
    line: Vec<u8>,
    text: Vec<u8>,
    lines: u32,
    is_disordered: bool,
}

impl ReplyReader {
    /// `line_length_limit` bounds each stored line, and the text of a reply to twice that (`postconf(5) line_length_limit`).
    #[must_use]
    pub fn new(line_length_limit: usize) -> Self {
        Self { line_length_limit, line: Vec::new(), text: Vec::new(), lines: 0, is_disordered: false }
    }

    /// Whether part of a reply has arrived.
    #[must_use]
    pub fn is_inside_reply(&self) -> bool {
        self.lines > 0 || !self.line.is_empty()
    }

    /// The lines of a reply that is not complete, and whether one of them is no line of a reply.
    #[must_use]
    pub fn unfinished(&self) -> (&[u8], bool) {
        (&self.text, self.is_disordered)
    }

    /// Takes bytes until a reply is complete; returns how many were taken. Call again with the rest.
    pub fn feed(&mut self, bytes: &[u8]) -> (usize, Progress) {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let Some(end) = memchr(b'\n', rest) else {
                self.append(rest);
                return (bytes.len(), Progress::More);
            };
            self.append(rest.get(..end).unwrap_or_default());
            taken += end + 1;
            self.lines += 1;
            if let Some(reply) = self.end_line() {
                return (taken, Progress::Reply(reply));
            }
            if self.lines >= LINES_MAX {
                return (taken, Progress::Endless);
            }
        }
        (taken, Progress::More)
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = self.line_length_limit.saturating_sub(self.line.len());
        self.line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn end_line(&mut self) -> Option<ServerReply> {
        let line = self.line.trim_end_with(|c| c == '\r');
        if self.text.len() < self.line_length_limit {
            if !self.text.is_empty() {
                self.text.push(b'\n');
            }
            append_printable(&mut self.text, line);
        }
        let last = match line_kind(line) {
            LineKind::Last(code) => Some((code, dsn_of(code, line))),
            LineKind::Continued => None,
            LineKind::Other => {
                self.is_disordered = true;
                None
            }
        };
        self.line.clear();
        let (code, dsn) = last?;
        self.lines = 0;
        Some(ServerReply {
            code,
            dsn,
            text: BString::new(std::mem::take(&mut self.text)),
            is_disordered: std::mem::take(&mut self.is_disordered),
        })
    }
}

enum LineKind {
    Continued,
    Last(u16),
    Other,
}

fn line_kind(line: &[u8]) -> LineKind {
    let Some((&[a, b, c], rest)) = line.split_first_chunk::<3>() else { return LineKind::Other };
    if ![a, b, c].iter().all(u8::is_ascii_digit) {
        return LineKind::Other;
    }
    let digit = |byte: u8| u16::from(byte - b'0');
    match rest.first() {
        Some(b'-') => LineKind::Continued,
        Some(b' ') | None => LineKind::Last(digit(a) * 100 + digit(b) * 10 + digit(c)),
        Some(_) => LineKind::Other,
    }
}

fn dsn_of(code: u16, line: &[u8]) -> Dsn {
    let class = match code / 100 {
        2 => DsnClass::Success,
        4 => DsnClass::Temporary,
        5 => DsnClass::Permanent,
        _ => return Dsn::permanent(5, 0),
    };
    let text = line.get(3..).unwrap_or_default().trim_start_with(|c| c == ' ');
    let word = text.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let stated = std::str::from_utf8(word).ok().and_then(|word| word.parse::<Dsn>().ok());
    stated.filter(|dsn| dsn.class == class).unwrap_or(Dsn { class, subject: 0, detail: 0 })
}

/// A line with unprintable bytes as `?`, as replies are shown.
#[must_use]
pub fn printable(line: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(line.len());
    append_printable(&mut text, line);
    text
}

fn append_printable(text: &mut Vec<u8>, line: &[u8]) {
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            let shown = if c.is_ascii_control() { '?' } else { c };
            text.extend_from_slice(shown.encode_utf8(&mut [0; 4]).as_bytes());
        }
        text.extend(std::iter::repeat_n(b'?', chunk.invalid().len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(bytes: &[u8]) -> Vec<ServerReply> {
        let mut reader = ReplyReader::new(2048);
        let (mut at, mut replies) = (0, Vec::new());
        while at < bytes.len() {
            let (taken, progress) = reader.feed(&bytes[at..]);
            at += taken;
            match progress {
                Progress::Reply(reply) => replies.push(reply),
                Progress::More => assert_eq!(at, bytes.len()),
                Progress::Endless => break,
            }
        }
        replies
    }

    fn check(wire: &str, expected: &[(u16, &str, &str, bool)]) {
        let replies = read_all(wire.as_bytes());
        let found: Vec<_> = replies
            .iter()
            .map(|r| (r.code, r.dsn.to_string(), r.text.to_string(), r.is_disordered))
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(c, d, t, o)| (*c, (*d).to_owned(), (*t).to_owned(), *o)).collect();
        assert_eq!(found, expected, "{wire:?}");
    }

    #[test]
    fn reads_replies_as_servers_write_them() {
        check("220 mx ESMTP\r\n", &[(220, "2.0.0", "220 mx ESMTP", false)]);
        check("250-mx\r\n250 SIZE\r\n", &[(250, "2.0.0", "250-mx\n250 SIZE", false)]);
        check("550 5.1.1 No user\n", &[(550, "5.1.1", "550 5.1.1 No user", false)]);
        check("451\r\n", &[(451, "4.0.0", "451", false)]);
        check("450 5.1.1 x\r\n", &[(450, "4.0.0", "450 5.1.1 x", false)]);
        check("354 Go\r\n", &[(354, "5.5.0", "354 Go", false)]);
        check("250 a\r\n250 b\r\n", &[(250, "2.0.0", "250 a", false), (250, "2.0.0", "250 b", false)]);
        check("250\t\u{7}\r\r\n250 \u{e9}\u{7}\r\n", &[(250, "2.0.0", "250??\n250 \u{e9}?", true)]);
    }

    #[test]
    fn what_is_no_reply_is_kept_and_reported() {
        check("hello\r\n250 ok\r\n", &[(250, "2.0.0", "hello\n250 ok", true)]);
        check("2500 x\r\n\r\n250 ok\r\n", &[(250, "2.0.0", "2500 x\n\n250 ok", true)]);
        check("250 unfinished", &[]);
    }

    #[test]
    fn long_lines_and_long_replies_are_cut() {
        let wire = format!("250-{}\r\n{}250 end\r\n", "x".repeat(5000), "250-y\r\n".repeat(2000));
        let replies = read_all(wire.as_bytes());
        assert_eq!(replies.len(), 1);
        assert_eq!((replies[0].code, replies[0].text.len()), (250, 2048));
        let endless = "250-y\r\n".repeat(LINES_MAX as usize);
        assert_eq!(ReplyReader::new(2048).feed(endless.as_bytes()).1, Progress::Endless);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_replies(
            bytes in proptest::collection::vec(prop_oneof![
                Just(b'\n'), Just(b'\r'), Just(b'-'), Just(b' '), b'0'..=b'9', any::<u8>()], 0..200),
            cut in 1usize..7,
        ) {
            let whole = read_all(&bytes);
            let mut reader = ReplyReader::new(2048);
            let mut pieces = Vec::new();
            for piece in bytes.chunks(cut) {
                let mut at = 0;
                while at < piece.len() {
                    let (taken, progress) = reader.feed(&piece[at..]);
                    at += taken;
                    if let Progress::Reply(reply) = progress { pieces.push(reply) }
                }
            }
            prop_assert_eq!(whole, pieces);
        }
    }
}
