//! Logical lines: comments and blank lines gone, continuation lines joined, line numbers kept.

use crate::{
    report::{Report, Severity},
    text::is_space,
};

/// One logical line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalLine {
    /// The text, continuation lines joined as they stand, without line ends.
    pub text: Vec<u8>,
    /// The number of its first line, from 1.
    pub first: u32,
    /// The number of the last line that was read for it; comments and blank lines behind it count.
    pub last: u32,
}

/// Reads a file's text line by logical line. Postfix's `postconf(5)`: "a logical line starts with non-whitespace text, a
/// line that starts with whitespace continues a logical line", comments and blank lines in between do not end it.
pub struct LogicalLines<'a> {
    file: &'a str,
    rest: &'a [u8],
    line: u32,
    /// What Postfix would have warned about so far.
    pub warnings: Vec<Report>,
}

impl<'a> LogicalLines<'a> {
    /// Reads `text`, which `file` is named in warnings.
    #[must_use]
    pub fn new(file: &'a str, text: &'a [u8]) -> Self {
        Self { file, rest: text, line: 0, warnings: Vec::new() }
    }

    fn warn(&mut self, (line, last): (u32, u32), text: String) {
        let warning = Report::new(Severity::Warning, self.file, line, text);
        self.warnings.push(Report { last, ..warning });
    }

    /// A physical line without its end, and whether it had one.
    fn physical(&mut self) -> (&'a [u8], bool) {
        let (line, rest, ended) = match memchr::memchr(b'\n', self.rest) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..], true),
            None => (self.rest, &self.rest[self.rest.len()..], false),
        };
        self.rest = rest;
        (line, ended)
    }

    /// One logical line, which may start with white space where nothing comes before it.
    fn gather(&mut self) -> LogicalLine {
        let mut gathered = LogicalLine { text: Vec::new(), first: self.line, last: self.line };
        let mut null = false;
        loop {
            let (line, ended) = self.physical();
            if ended || !line.is_empty() {
                self.line = self.line.saturating_add(1);
            }
            null |= memchr::memchr(0, line).is_some();
            let was_empty = gathered.text.is_empty();
            if !matches!(line.iter().find(|b| !is_space(**b)), None | Some(b'#')) {
                gathered.text.extend_from_slice(line);
            }
            if was_empty {
                gathered.first = self.line;
            }
            let next_continues = self.rest.first().is_none_or(|&b| b == b'#' || is_space(b));
            if !ended || (!gathered.text.is_empty() && !next_continues) {
                break;
            }
        }
        gathered.last = self.line;
        if null {
            self.warn((gathered.first, gathered.last), "text after null byte may be ignored".to_owned());
        }
        gathered
    }
}

impl Iterator for LogicalLines<'_> {
    type Item = LogicalLine;

    fn next(&mut self) -> Option<LogicalLine> {
        loop {
            let line = self.gather();
            match line.text.first() {
                None => return None,
                Some(&first) if is_space(first) => {
                    let start = crate::text::decode(&line.text[..line.text.len().min(30)]);
                    let dots = if line.text.len() > 30 { "..." } else { "" };
                    self.warn(
                        (line.first, 0),
                        format!("logical line must not start with whitespace: \"{start}{dots}\""),
                    );
                }
                Some(_) => return Some(line),
            }
        }
    }
}

#[cfg(test)]
mod tests;
