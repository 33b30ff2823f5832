//! The content of BDAT commands (RFC 3030): counted bytes, no dots.

use crate::line_ends::{BareNewline, CR_RUN_MAX, LineEnds, trailing_cr};

pub use crate::data::Step;

static MANY_CR: [u8; 64] = [b'\r'; 64];

/// Reads the chunks of one message. Lines may continue in the next chunk.
#[derive(Clone, Debug)]
pub struct BdatReader {
    ends: LineEnds,
    /// Bytes of the present chunk still to be read.
    remaining: u64,
    is_last: bool,
    /// CR at the end of the previous chunk: the LF may come in the next.
    held_cr: usize,
}

impl BdatReader {
    /// A reader for one message; call [`Self::start_chunk`] for each BDAT command.
    #[must_use]
    pub fn new(policy: BareNewline) -> Self {
        Self { ends: LineEnds::new(policy), remaining: 0, is_last: false, held_cr: 0 }
    }

    /// A BDAT command announced a chunk.
    pub fn start_chunk(&mut self, size_bytes: u64, is_last: bool) {
        self.remaining = size_bytes;
        self.is_last = is_last;
    }

    /// Bytes of the present chunk still to be read.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Whether a newline without CR was seen; only [`BareNewline::Detect`] looks for one.
    #[must_use]
    pub fn saw_bare_newline(&self) -> bool {
        self.ends.saw_bare_newline
    }

    /// Takes a step on the input that is there and says how many of its bytes are used up.
    /// [`Step::End`] is the end of the chunk; after a last chunk the content ends in a line end.
    pub fn step(&mut self, input: &[u8]) -> (Step, usize) {
        let here = usize::try_from(self.remaining).map_or(input.len(), |r| r.min(input.len()));
        let input = &input[..here];
        if self.remaining == 0 {
            return (self.finish(), 0);
        }
        if input.is_empty() {
            return (Step::More, 0);
        }
        if self.held_cr > 0 {
            let run = input.iter().take_while(|b| **b == b'\r').count();
            if run == 0 || self.held_cr + run > CR_RUN_MAX {
                return self.release_cr(input[0] == b'\n');
            }
            self.held_cr += run;
            self.remaining -= run as u64;
            return (Step::Fixed(b""), run);
        }
        let is_chunk_end = u64::try_from(here) == Ok(self.remaining);
        let cr = trailing_cr(input);
        if cr == here && !is_chunk_end && cr < CR_RUN_MAX {
            return (Step::More, 0);
        }
        let take = if cr < here || is_chunk_end { here - cr } else { here };
        if take == 0 {
            self.remaining = 0;
            self.held_cr = cr;
            return (Step::Fixed(b""), here);
        }
        let (emit, used) = self.ends.cut(&input[..take]);
        self.remaining -= used as u64;
        (Step::Content(0..emit), used)
    }

    /// Passes on the CR that were held back, now that the byte after them is known.
    fn release_cr(&mut self, before_newline: bool) -> (Step, usize) {
        let drop_extra = before_newline && self.ends.policy == BareNewline::Lenient;
        let count = if drop_extra { 1 } else { self.held_cr.min(MANY_CR.len()) };
        self.held_cr = if drop_extra { 0 } else { self.held_cr - count };
        // CR alone are never cut.
        let _ = self.ends.cut(&MANY_CR[..count]);
        (Step::Fixed(&MANY_CR[..count]), 0)
    }

    fn finish(&mut self) -> Step {
        if !self.is_last {
            return Step::End;
        }
        if self.held_cr > 0 {
            return self.release_cr(false).0;
        }
        if self.ends.at_line_start {
            return Step::End;
        }
        self.ends.at_line_start = true;
        Step::Fixed(b"\r\n")
    }
}

#[cfg(test)]
mod tests;
