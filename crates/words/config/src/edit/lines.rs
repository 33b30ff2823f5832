//! Physical lines, as an edit sees them.

use crate::text::is_space;

/// What a physical line is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Blank, or a comment.
    Nothing,
    /// Begins a logical line.
    Start,
    /// Goes on with one.
    More,
}

impl Line {
    pub(super) fn of(line: &[u8]) -> Self {
        match line.iter().position(|byte| !is_space(*byte)) {
            None => Self::Nothing,
            Some(at) if matches!(line.get(at), Some(b'#' | 0)) => Self::Nothing,
            Some(0) => Self::Start,
            Some(_) => Self::More,
        }
    }
}

/// The lines of a text, each with its end.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// The next line if it cannot begin a logical line: it is blank, a comment, or begins with white space.
    pub(super) fn next_inside(&mut self) -> Option<&'a [u8]> {
        let first = self.rest.first()?;
        if *first == b'#' || is_space(*first) { self.next() } else { None }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(line)
    }
}

/// Adds a line, and its end where it has none.
pub(super) fn push_line(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(line);
    if line.last() != Some(&b'\n') {
        out.push(b'\n');
    }
}
