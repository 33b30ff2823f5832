//! What a client has sent.

use bstr::{BString, ByteSlice};
use std::borrow::Cow;
use types::VerpDelimiters;

/// A message with its envelope, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Lines that end in LF.
    pub content: Vec<u8>,
    /// Envelope sender, in internal form.
    pub sender: BString,
    /// VERP delimiters, where the sender asks for it (QMQP_README: `prefix@origin-@[]`).
    pub verp: Option<VerpDelimiters>,
    /// Recipients, in internal form.
    pub recipients: Vec<BString>,
}

/// The end of a sender address that asks for VERP.
const VERP_END: &[u8] = b"-@[]";

/// qmail's way to ask for a sender address of its own for each recipient: `prefix-@origin-@[]` becomes `prefix@origin`, and
/// the character before the first `@` is the first delimiter.
pub(crate) fn split_verp(sender: &[u8]) -> (BString, Option<[u8; 2]>) {
    let parts = sender.strip_suffix(VERP_END).and_then(|rest| Some((rest, rest.find_byte(b'@')?)));
    match parts {
        // Neither the prefix nor the origin is empty.
        Some((rest, at)) if at >= 2 && at + 1 < rest.len() => {
            let first = rest.get(at - 1).copied().unwrap_or_default();
            let sender =
                [rest.get(..at - 1).unwrap_or_default(), rest.get(at..).unwrap_or_default()].concat();
            (sender.into(), Some([first, b'=']))
        }
        _ => (sender.into(), None),
    }
}

impl Message {
    /// The content as records of a queue file. `From ` lines at its top become headers that nobody takes for a mailbox
    /// separator, and what begins with white space does not continue our own header.
    #[must_use]
    pub fn records(&self, line_length_limit: usize) -> Records<'_> {
        Records { rest: &self.content, limit: line_length_limit.max(1), is_at_top: true }
    }
}

/// The lines of a content, or pieces of long ones.
#[derive(Clone, Debug)]
pub struct Records<'m> {
    rest: &'m [u8],
    limit: usize,
    is_at_top: bool,
}

/// A line, or a piece of one that is longer than `line_length_limit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'m> {
    /// What it says, without line end.
    pub text: Cow<'m, [u8]>,
    /// It ends a line.
    pub is_complete: bool,
}

impl<'m> Iterator for Records<'m> {
    type Item = Record<'m>;

    fn next(&mut self) -> Option<Record<'m>> {
        if self.is_at_top && matches!(self.rest.first(), Some(b' ' | b'\t')) {
            self.is_at_top = false;
            return Some(Record { text: Cow::Borrowed(b""), is_complete: true });
        }
        if self.rest.is_empty() {
            return None;
        }
        let near = self.rest.get(..self.limit).unwrap_or(self.rest);
        let end = near.find_byte(b'\n');
        let text = end.map_or(near, |end| near.split_at(end).0);
        self.rest = self.rest.get(text.len() + usize::from(end.is_some())..).unwrap_or_default();
        let is_mailbox_line = text.trim_start_with(|c| c == '>').starts_with(b"From ");
        self.is_at_top &= is_mailbox_line;
        let text = match self.is_at_top {
            true => Cow::Owned([b"X-Mailbox-Line: ", text].concat()),
            false => Cow::Borrowed(text),
        };
        Some(Record { text, is_complete: end.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qmails_senders_ask_for_verp() {
        let check = |sender: &str, expected: &str, verp: Option<&[u8; 2]>| {
            assert_eq!(split_verp(sender.as_bytes()), (expected.into(), verp.copied()), "{sender}");
        };
        check("a@example.org", "a@example.org", None);
        check("list-@example.org-@[]", "list@example.org", Some(b"-="));
        check("list+@example.org-@[]", "list@example.org", Some(b"+="));
        check("list-return-@example.org-@[]", "list-return@example.org", Some(b"-="));
        check("-@example.org-@[]", "-@example.org-@[]", None);
        check("list@-@[]", "list@-@[]", None);
        check("#@[]", "#@[]", None);
        check("", "", None);
        check("-@[]", "-@[]", None);
    }

    #[test]
    fn mailbox_lines_at_the_top_become_headers() {
        let check = |content: &str, expected: &str| {
            let message = Message { content: content.as_bytes().to_vec(), ..Message::default() };
            let text = |record: Record<'_>| {
                let end = if record.is_complete { "\n" } else { "|" };
                format!("{}{end}", record.text.to_str_lossy())
            };
            assert_eq!(message.records(20).map(text).collect::<String>(), expected);
        };
        check("", "");
        check("Subject: x\n\nFrom me\n", "Subject: x\n\nFrom me\n");
        check(">>From a b\nFrom c\nTo: x\n", "X-Mailbox-Line: >>From a b\nX-Mailbox-Line: From c\nTo: x\n");
        check(" folded\n", "\n folded\n");
        check("From x", "X-Mailbox-Line: From x|");
        check("a: b\n\n012345678901234567890\nx", "a: b\n\n01234567890123456789|0\nx|");
    }
}
