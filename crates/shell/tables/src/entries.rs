//! `key whitespace value` lines, as postmap and texthash read them (postmap(1) "INPUT FILE FORMAT").

use crate::{
    LogicalLines, Options,
    logical::{is_space, trim_end, trim_start},
};
use bstr::ByteSlice;
use std::io::{self, BufRead};

/// One line of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Number of the line where it begins.
    pub line: usize,
    /// As it stands in the file: quotes kept, case not folded.
    pub key: &'a [u8],
    /// Trimmed.
    pub value: &'a [u8],
}

/// Reads entries and warns about lines that are none.
pub struct EntryReader<R> {
    lines: LogicalLines<R>,
    rules: Rules,
}

/// What is an entry, and what is said of a line that is none.
struct Rules {
    path: String,
    options: Options,
    ignoring: &'static str,
}

impl<R: BufRead> EntryReader<R> {
    /// For postmap.
    pub fn new(input: R, path: &str, options: &Options) -> Self {
        let lines = LogicalLines::new(input, path, options.warn.clone());
        Self { lines, rules: Rules { path: path.to_owned(), options: options.clone(), ignoring: "" } }
    }

    /// For texthash, whose warning about a line that is no entry says more.
    pub(crate) fn for_texthash(input: R, path: &str, options: &Options) -> Self {
        let mut reader = Self::new(input, path, options);
        reader.rules.ignoring = " -- ignoring this line";
        reader
    }

    /// Calls `work` with each entry; its error ends the reading, as does the one that `failed` makes when the file
    /// cannot be read.
    pub fn each<E>(
        &mut self,
        failed: impl Fn(io::Error) -> E,
        mut work: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(line) = self.lines.next_line().map_err(&failed)? {
            if let Some((key, value)) = self.rules.split(line.first, line.text) {
                work(Entry { line: line.first, key, value })?;
            }
        }
        Ok(())
    }
}

impl Rules {
    fn warn(&self, line: usize, text: &str) {
        self.options.warn(&format!("{}, line {line}: {text}", self.path));
    }

    fn split<'t>(&self, line: usize, text: &'t [u8]) -> Option<(&'t [u8], &'t [u8])> {
        if self.options.utf8 && !text.is_ascii() && text.to_str().is_err() {
            self.warn(line, &format!("non-UTF-8 input \"{}\" -- ignoring this line", text.as_bstr()));
            return None;
        }
        let Some(end) = end_of_key(text, is_space) else {
            self.warn(line, &format!("unbalanced '\"' in '{}' -- ignoring this line", text.as_bstr()));
            return None;
        };
        let (key, rest) = text.split_at(end);
        let value = trim_end(trim_start(rest));
        if key.is_empty() || value.is_empty() {
            self.warn(line, &format!("expected format: key whitespace value{}", self.ignoring));
            return None;
        }
        if key.ends_with(b":") {
            self.warn(line, "record is in \"key: value\" format; is this an alias file?");
        }
        Some((key, value))
    }
}

/// The first byte outside quotes that ends a key; `None` when a quote is not closed.
pub(crate) fn end_of_key(text: &[u8], ends: impl Fn(u8) -> bool) -> Option<usize> {
    let mut in_quotes = false;
    let mut bytes = text.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => in_quotes = !in_quotes,
            byte if ends(byte) && !in_quotes => return Some(at),
            _ => {}
        }
    }
    (!in_quotes).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, rc::Rc};

    #[track_caller]
    fn check(text: &[u8], expected: &[(&str, &str)], warning: &str) {
        let heard = Rc::new(RefCell::new(String::new()));
        let sink = Rc::clone(&heard);
        let options = Options::new(Rc::new(move |text| sink.borrow_mut().push_str(text)));
        let mut reader = EntryReader::new(text, "f", &options);
        let mut got = Vec::new();
        let work = |entry: Entry<'_>| {
            got.push((entry.key.to_str().unwrap().to_owned(), entry.value.to_str().unwrap().to_owned()));
            Ok(())
        };
        reader.each(|error| error, work).unwrap();
        let got: Vec<_> = got.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(got, expected);
        assert_eq!(*heard.borrow(), warning);
    }

    #[test]
    fn splits_keys_and_values() {
        check(b"a   b c  \n", &[("a", "b c")], "");
        check(b"\"a b\"@x y\n", &[("\"a b\"@x", "y")], "");
        check(b"a\\ b c\n", &[("a\\ b", "c")], "");
        check(b"a\n", &[], "f, line 1: expected format: key whitespace value");
        check(b"\"a b\n", &[], "f, line 1: unbalanced '\"' in '\"a b' -- ignoring this line");
        check(
            b"a: b\n",
            &[("a:", "b")],
            "f, line 1: record is in \"key: value\" format; is this an alias file?",
        );
        check(
            b"x y\na\xff b\n",
            &[("x", "y")],
            "f, line 2: non-UTF-8 input \"a\u{fffd} b\" -- ignoring this line",
        );
    }
}
