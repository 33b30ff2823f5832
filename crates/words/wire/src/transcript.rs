//! What was said in an SMTP session, for the postmaster: one buffer, to which lines are added without an allocation each.

use crate::printable;
use bstr::ByteSlice;
use memchr::{memchr, memchr2};

/// Lines in the order in which they were said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The kind of each line, its text, `\n`.
    text: Vec<u8>,
    lines: usize,
}

const HEARD: u8 = b'<';
const SAID: u8 = b'>';
const REPLACED: u8 = b'=';
const BY: u8 = b'+';
/// Room for what a session begins with.
const SMALL: usize = 64;
/// What a transcript keeps for the next lines when it is cleared.
const KEPT_MAX: usize = 8 * 1024;

impl Transcript {
    /// The other side has said this line; what comes after a NUL is not shown.
    pub fn heard(&mut self, line: &[u8]) {
        self.push(HEARD, line);
    }

    /// We have said these lines, each with its end.
    pub fn said(&mut self, lines: &[u8]) {
        lines.lines().for_each(|line| self.push(SAID, line));
    }

    /// The line that was heard last is taken for another one.
    pub fn replaced(&mut self, by: &[u8]) {
        self.push(REPLACED, b"");
        self.push(BY, by);
    }

    /// So many lines were said that whoever keeps the transcript can make again, as [`Self::completed`] asks for. `number` is
    /// any digit.
    pub fn said_as_usual(&mut self, number: u8, lines: usize) {
        self.push(number, b"");
        self.lines += lines.saturating_sub(1);
    }

    fn push(&mut self, kind: u8, line: &[u8]) {
        let end = memchr2(b'\n', 0, line).unwrap_or(line.len());
        if self.text.capacity() == 0 {
            self.text.reserve(SMALL);
        }
        self.text.push(kind);
        self.text.extend_from_slice(line.get(..end).unwrap_or(line));
        self.text.push(b'\n');
        self.lines += 1;
    }

    /// How many lines it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.lines
    }

    /// Nothing was said.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// What it takes.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.text.capacity()
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.lines = 0;
        self.text.clear();
        self.text.shrink_to(KEPT_MAX);
    }

    /// The same with all that was said as usual, made by `again` from its number.
    #[must_use]
    pub fn completed(&self, again: impl Fn(u8) -> Vec<u8>) -> Self {
        let mut whole = Self::default();
        for (kind, line) in self.entries() {
            if kind.is_ascii_digit() {
                whole.said(&again(kind));
            } else {
                whole.push(kind, line);
            }
        }
        whole
    }

    /// The lines as the postmaster sees them, unbroken; bytes that cannot be printed are `?`.
    pub fn lines(&self) -> impl Iterator<Item = Vec<u8>> {
        self.entries().map(|(kind, line)| {
            let prefix: &[u8] = match kind {
                HEARD => b"In:  ",
                REPLACED => b"Replaced-by: ",
                BY => b"     ",
                _ => b"Out: ",
            };
            [prefix, &printable(line)].concat()
        })
    }

    fn entries(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = self.text.as_slice();
        std::iter::from_fn(move || {
            let end = memchr(b'\n', rest)?;
            let (entry, after) = rest.split_at_checked(end)?;
            rest = after.get(1..).unwrap_or_default();
            entry.split_first().map(|(kind, line)| (*kind, line))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(transcript: &Transcript) -> Vec<String> {
        transcript.lines().map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
    }

    #[test]
    fn both_sides_are_shown_in_order() {
        let mut transcript = Transcript::default();
        transcript.said_as_usual(b'0', 1);
        transcript.heard(b"EHLO \x07x\0hidden");
        transcript.said(b"250-mx\r\n250 DSN\r\n");
        transcript.heard(b"");
        transcript.replaced(b"NOOP");
        assert_eq!(transcript.len(), 7);
        let whole = transcript.completed(|number| format!("220 {}\r\n", number - b'0').into_bytes());
        let expected = [
            "Out: 220 0",
            "In:  EHLO ?x",
            "Out: 250-mx",
            "Out: 250 DSN",
            "In:  ",
            "Replaced-by: ",
            "     NOOP",
        ];
        assert_eq!(shown(&whole), expected);
        assert_eq!(whole.len(), 7);
    }

    #[test]
    fn what_is_cleared_is_gone() {
        let mut transcript = Transcript::default();
        transcript.heard(&[b'x'; 100_000]);
        transcript.clear();
        assert!(transcript.is_empty() && shown(&transcript).is_empty());
        assert!(transcript.text.capacity() <= KEPT_MAX);
    }

    proptest! {
        #[test]
        fn nobody_forges_a_line(lines: Vec<Vec<u8>>) {
            let mut transcript = Transcript::default();
            lines.iter().for_each(|line| transcript.heard(line));
            prop_assert_eq!(transcript.len(), lines.len());
            for line in shown(&transcript) {
                prop_assert!(line.starts_with("In:  ") && !line.contains(|c: char| c.is_ascii_control()));
            }
            prop_assert_eq!(shown(&transcript).len(), lines.len());
        }
    }
}
