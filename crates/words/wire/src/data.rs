//! The content of a DATA command (RFC 5321 §4.1.1.4, §4.5.2): dots un-stuffed, the end found.
//!
//! A client whose bare newlines are not trusted can end a message in exactly one way, CR LF `.` CR LF
//! (postconf(5) `smtpd_forbid_bare_newline`).

use crate::line_ends::{BareNewline, CR_RUN_MAX, LineEnds, trailing_cr};
use std::ops::Range;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This part of the input is message content. It ends at the end of a line unless a line is longer than
    /// the buffer. Lines end in CR LF or LF; exactly one CR before the LF belongs to the line end.
    Content(Range<usize>),
    /// Content that did not come from the client in this place.
    Fixed(&'static [u8]),
    /// More input is needed.
    More,
    /// The message is complete.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Nothing was read yet.
    First,
    /// At the start of a line, after a line end that counts before a final dot.
    Line,
    /// At the start of a line, after a bare newline.
    LineAfterBareNewline,
    /// Inside a line.
    Middle,
}

/// Reads the content of one DATA command.
#[derive(Clone, Debug)]
pub struct DataReader {
    ends: LineEnds,
    position: Position,
}

impl DataReader {
    /// A reader for one message.
    #[must_use]
    pub fn new(policy: BareNewline) -> Self {
        Self { ends: LineEnds::new(policy), position: Position::First }
    }

    /// Whether a newline without CR was seen; only [`BareNewline::Detect`] looks for one.
    #[must_use]
    pub fn saw_bare_newline(&self) -> bool {
        self.ends.saw_bare_newline
    }

    /// Takes a step on the input that is there and says how many of its bytes are used up.
    ///
    /// `is_full`: the buffer has no room for more, so that a part of a line must do.
    pub fn step(&mut self, input: &[u8], is_full: bool) -> (Step, usize) {
        match self.position {
            Position::First => self.first_line(input, is_full),
            Position::Line | Position::LineAfterBareNewline => self.line_start(input, is_full),
            Position::Middle => self.middle(input, is_full),
        }
    }

    /// Mail software once sent mailbox separators: such a first line becomes a header. A first line that
    /// starts with white space must not continue our own Received: header.
    fn first_line(&mut self, input: &[u8], is_full: bool) -> (Step, usize) {
        const SEPARATOR: &[u8] = b"From ";
        let Some(&first) = input.first() else { return (Step::More, 0) };
        let quotes = input.iter().take_while(|b| **b == b'>').count();
        let rest = &input[quotes..];
        if rest.len() < SEPARATOR.len() && SEPARATOR.starts_with(rest) && !is_full {
            return (Step::More, 0);
        }
        self.position = Position::Line;
        if rest.starts_with(SEPARATOR) {
            self.ends.at_line_start = false;
            return (Step::Fixed(b"X-Mailbox-Line: "), 0);
        }
        if matches!(first, b' ' | b'\t') {
            return (Step::Fixed(b"\r\n"), 0);
        }
        self.line_start(input, is_full)
    }

    fn line_start(&mut self, input: &[u8], is_full: bool) -> (Step, usize) {
        let Some((b'.', rest)) = input.split_first() else { return self.middle(input, is_full) };
        let cr = rest.iter().take_while(|b| **b == b'\r').count();
        let is_strict = self.ends.policy != BareNewline::Lenient;
        match rest.get(cr) {
            // A dot, some CR, and no more yet.
            None if cr < CR_RUN_MAX && !is_full => (Step::More, 0),
            Some(b'\n') if cr <= 1 || !is_strict => self.lone_dot(cr),
            _ => {
                self.position = Position::Middle;
                match self.middle(rest, is_full) {
                    (Step::Content(range), used) => (Step::Content(range.start + 1..range.end + 1), used + 1),
                    (step, used) => (step, used + 1),
                }
            }
        }
    }

    fn lone_dot(&mut self, cr: usize) -> (Step, usize) {
        let used = 1 + cr + 1;
        if self.ends.policy == BareNewline::Lenient || (cr == 1 && self.position == Position::Line) {
            return (Step::End, used);
        }
        // Neither the end nor content: whoever sent this wanted one of two servers to see an end.
        self.ends.saw_bare_newline |= cr == 0;
        self.position = if cr == 1 { Position::Line } else { Position::LineAfterBareNewline };
        (Step::Fixed(b""), used)
    }

    fn middle(&mut self, input: &[u8], is_full: bool) -> (Step, usize) {
        let whole = match memchr::memmem::find(input, b"\n.") {
            Some(newline) => newline + 1,
            None => memchr::memrchr(b'\n', input).map_or(0, |newline| newline + 1),
        };
        if whole == 0 {
            return self.part_of_line(input, is_full);
        }
        let after_cr = self.ends.is_after_cr();
        let (emit, used) = self.ends.cut(&input[..whole]);
        self.position = if used < whole {
            Position::Middle
        } else if before_newline(&input[..whole], after_cr) == Some(b'\r')
            || self.ends.policy == BareNewline::Lenient
        {
            Position::Line
        } else {
            Position::LineAfterBareNewline
        };
        (Step::Content(0..emit), used)
    }

    fn part_of_line(&mut self, input: &[u8], is_full: bool) -> (Step, usize) {
        let hold = trailing_cr(input);
        let take = if hold < input.len() { input.len() - hold } else { input.len() };
        let is_waiting = !is_full && hold < CR_RUN_MAX;
        if is_waiting || take == 0 {
            return (Step::More, 0);
        }
        self.position = Position::Middle;
        let (emit, used) = self.ends.cut(&input[..take]);
        (Step::Content(0..emit), used)
    }
}

fn before_newline(lines: &[u8], after_cr: bool) -> Option<u8> {
    match lines.len().checked_sub(2) {
        Some(before) => lines.get(before).copied(),
        None => after_cr.then_some(b'\r'),
    }
}

#[cfg(test)]
mod tests;
