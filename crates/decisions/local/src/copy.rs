//! The bytes of a message as a mailbox has them.

use bstr::ByteSlice;
use message::{QuoteOptions, quote_822_local};
use std::borrow::Cow;
use types::Address;

/// What is put before the message.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Envelope sender; null becomes `Return-Path: <>` and `From MAILER-DAEMON`.
    pub sender: &'a Address,
    /// `X-Original-To:`, left out when null.
    pub original: &'a Address,
    /// `Delivered-To:`, left out when absent (prepend_delivered_header).
    pub delivered_to: Option<&'a Address>,
}

impl Envelope<'_> {
    /// The header lines of a delivery to a file: Return-Path, X-Original-To, Delivered-To.
    #[must_use]
    pub fn headers(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        let mut line = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value);
            out.push(b'\n');
        };
        let sender = external(self.sender);
        line("Return-Path: <", &[&sender[..], b">"].concat());
        if !self.original.is_null() {
            line("X-Original-To: ", &external(self.original));
        }
        if let Some(delivered_to) = self.delivered_to {
            line("Delivered-To: ", &external(delivered_to));
        }
        out
    }

    /// The line that starts a message in an mbox file; `date` is in asctime(3) form, 24 characters.
    #[must_use]
    pub fn from_line(&self, date: &str) -> Vec<u8> {
        let sender = match self.sender.is_null() {
            true => Cow::Borrowed(&b"MAILER-DAEMON"[..]),
            false => external(self.sender),
        };
        [b"From ", &sender[..], b"  ", date.as_bytes(), b"\n"].concat()
    }
}

/// The form of an address in a header.
pub(crate) fn external(address: &Address) -> Cow<'_, [u8]> {
    if address.is_null() {
        return Cow::Borrowed(b"");
    }
    quote_822_local(address.as_bytes(), QuoteOptions::default())
}

/// Puts `>` before every line that starts with `From `, ends a partial last line and adds the empty
/// line by which readers of mbox files find the next message.
#[derive(Debug)]
pub struct MboxQuote {
    line_start: Vec<u8>,
    at_line_start: bool,
}

impl Default for MboxQuote {
    fn default() -> Self {
        Self { line_start: Vec::with_capacity(FROM.len()), at_line_start: true }
    }
}

const FROM: &[u8] = b"From ";

impl MboxQuote {
    /// Appends a chunk of content to `out`; chunks may end anywhere.
    pub fn chunk(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) {
        while !chunk.is_empty() {
            if self.at_line_start {
                chunk = self.judge_line_start(chunk, out);
                continue;
            }
            match chunk.find_byte(b'\n') {
                Some(end) => {
                    out.extend_from_slice(&chunk[..=end]);
                    chunk = &chunk[end + 1..];
                    self.at_line_start = true;
                }
                None => {
                    out.extend_from_slice(chunk);
                    chunk = &[];
                }
            }
        }
    }

    /// Takes bytes until the line is known to start with `From ` or not.
    fn judge_line_start<'c>(&mut self, chunk: &'c [u8], out: &mut Vec<u8>) -> &'c [u8] {
        let missing = &FROM[self.line_start.len()..];
        let common = chunk.iter().zip(missing).take_while(|(a, b)| a == b).count();
        self.line_start.extend_from_slice(&chunk[..common]);
        let rest = &chunk[common..];
        if self.line_start.len() == FROM.len() {
            out.push(b'>');
        } else if rest.is_empty() {
            return rest;
        }
        out.append(&mut self.line_start);
        self.at_line_start = false;
        rest
    }

    /// Ends the message.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let is_partial = !self.at_line_start || !self.line_start.is_empty();
        out.append(&mut self.line_start);
        if is_partial {
            out.push(b'\n');
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(content: &str, chunk_bytes: usize) -> String {
        let mut out = Vec::new();
        let mut quote = MboxQuote::default();
        for chunk in content.as_bytes().chunks(chunk_bytes) {
            quote.chunk(chunk, &mut out);
        }
        quote.finish(&mut out);
        String::from_utf8(out).expect("test content is text")
    }

    fn check(content: &str, expected: &str) {
        for chunk_bytes in 1..=content.len().max(1) {
            assert_eq!(quoted(content, chunk_bytes), expected, "chunks of {chunk_bytes}");
        }
    }

    #[test]
    fn from_lines_are_quoted_at_any_chunk_boundary() {
        check("Subject: x\n\nFrom me\n", "Subject: x\n\n>From me\n\n");
        check("From \n", ">From \n\n");
        check("Fro\nFrom\nFromage\n", "Fro\nFrom\nFromage\n\n");
        check("no newline", "no newline\n\n");
        check("Fro", "Fro\n\n");
        check("", "\n");
    }

    #[test]
    fn headers_name_envelope_addresses_in_external_form() {
        let (sender, original, to) = ("a b@x".into(), "o@x".into(), "d@x".into());
        let envelope = Envelope { sender: &sender, original: &original, delivered_to: Some(&to) };
        let text = "Return-Path: <\"a b\"@x>\nX-Original-To: o@x\nDelivered-To: d@x\n";
        assert_eq!(envelope.headers(), text.as_bytes());
        let null = Address::null();
        let bounce = Envelope { sender: &null, original: &null, delivered_to: None };
        assert_eq!(bounce.headers(), b"Return-Path: <>\n");
        assert!(bounce.from_line("Thu Jan  1 00:00:00 1970").starts_with(b"From MAILER-DAEMON  Thu"));
    }
}
