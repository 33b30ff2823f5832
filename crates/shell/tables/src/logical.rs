//! Logical lines: comments and empty lines dropped, continuation lines joined, line numbers kept.
//!
//! A line that begins with white space continues the one before it; a comment between them does not end
//! it (Postfix: `readllines`).

use crate::Warn;
use bstr::ByteSlice;
use std::io::{self, BufRead};

/// A line and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogicalLine<'a> {
    /// Number of its first physical line, from 1.
    pub first: usize,
    /// Its text, up to a null byte if there is one.
    pub text: &'a [u8],
}

/// Reads logical lines from a file.
pub struct LogicalLines<R> {
    input: R,
    path: String,
    warn: Warn,
    line: usize,
    /// The line that was read last.
    text: Vec<u8>,
}

/// What counts as white space in the C locale.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// `text` without white space at its end.
pub(crate) fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

/// `text` without white space at its start.
pub(crate) fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_space(*byte)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

impl<R: BufRead> LogicalLines<R> {
    /// `path` stands in warnings.
    pub fn new(input: R, path: &str, warn: Warn) -> Self {
        Self { input, path: path.to_owned(), warn, line: 0, text: Vec::new() }
    }

    /// The next logical line; `None` at the end.
    pub fn next_line(&mut self) -> io::Result<Option<LogicalLine<'_>>> {
        loop {
            let first = self.read()?;
            self.check_nulls(first);
            match self.text.first() {
                None => return Ok(None),
                Some(&byte) if is_space(byte) => {
                    let shown = self.text.get(..30).unwrap_or(&self.text).as_bstr();
                    let dots = if self.text.len() > 30 { "..." } else { "" };
                    let path = &self.path;
                    (self.warn)(&format!(
                        "{path}: logical line must not start with whitespace: \"{shown}{dots}\""
                    ));
                }
                Some(_) => return Ok(Some(LogicalLine { first, text: &self.text })),
            }
        }
    }

    /// Reads a logical line, empty at the end; the number of its first physical line.
    fn read(&mut self) -> io::Result<usize> {
        self.text.clear();
        let mut first = 0;
        loop {
            let start = self.text.len();
            let at_end = !self.physical()?;
            let content = trim_start(self.text.get(start..).unwrap_or_default());
            if content.is_empty() || content.starts_with(b"#") {
                self.text.truncate(start);
            }
            if start == 0 {
                first = self.line;
            }
            if at_end || (!self.text.is_empty() && !self.continues()?) {
                return Ok(first);
            }
        }
    }

    /// Appends a physical line without its line feed; false at the end of the file.
    fn physical(&mut self) -> io::Result<bool> {
        let count = self.input.read_until(b'\n', &mut self.text)?;
        if count > 0 {
            self.line += 1;
        }
        let complete = count > 0 && self.text.last() == Some(&b'\n');
        if complete {
            self.text.pop();
        }
        Ok(complete)
    }

    /// Whether the next line belongs to this one, or is a comment in between.
    fn continues(&mut self) -> io::Result<bool> {
        Ok(match self.input.fill_buf()?.first() {
            // The end is found by reading on.
            None => true,
            Some(&byte) => byte == b'#' || is_space(byte),
        })
    }

    fn check_nulls(&mut self, first: usize) {
        let Some(null) = memchr::memchr(0, &self.text) else { return };
        let lines = if first == self.line { first.to_string() } else { format!("{first}-{}", self.line) };
        (self.warn)(&format!("{}, line {lines}: text after null byte may be ignored", self.path));
        self.text.truncate(null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, rc::Rc};

    #[track_caller]
    fn check(text: &str, expected: &[(usize, &str)], warnings: &[&str]) {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&heard);
        let warn: Warn = Rc::new(move |text| sink.borrow_mut().push(text.to_owned()));
        let mut lines = LogicalLines::new(text.as_bytes(), "file", warn);
        let mut got = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            got.push((line.first, String::from_utf8(line.text.to_vec()).unwrap()));
        }
        let got: Vec<_> = got.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(got, expected, "{text:?}");
        assert_eq!(*heard.borrow(), warnings, "{text:?}");
    }

    #[test]
    fn joins_and_drops() {
        check("a b\n c\nd e\n", &[(1, "a b c"), (3, "d e")], &[]);
        check("# x\n\n  \na b\n#c\n\td", &[(4, "a b\td")], &[]);
        check("a", &[(1, "a")], &[]);
        check("", &[], &[]);
        check("a\n\n b\nc\n", &[(1, "a b"), (4, "c")], &[]);
    }

    #[test]
    fn warns_about_odd_lines() {
        check(" a b\nc d\n", &[(2, "c d")], &["file: logical line must not start with whitespace: \" a b\""]);
        check("a b\0c\n", &[(1, "a b")], &["file, line 1: text after null byte may be ignored"]);
    }
}
