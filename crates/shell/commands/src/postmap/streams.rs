//! Standard input by lines and standard output in large pieces: a million keys are asked in one run.

use std::{
    fmt::Write as _,
    io::{self, ErrorKind},
};

use bstr::ByteSlice as _;

use super::{Fatal, Run, options::Tool};

/// What one call reads or writes.
const PIECE: usize = 1 << 16;

/// Standard input.
pub(super) struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; PIECE], start: 0, end: 0 }
    }

    /// The next line without its line feed; `None` at the end.
    pub(super) fn next_line(&mut self) -> Result<Option<&[u8]>, Fatal> {
        let mut lines = [b"".as_slice()];
        let count = self.next_lines(&mut lines)?;
        Ok((count > 0).then_some(lines[0]))
    }

    /// Lines that are at hand together, at least one and at most as many as there is room for; 0 at the end.
    pub(super) fn next_lines<'a>(&'a mut self, lines: &mut [&'a [u8]]) -> Result<usize, Fatal> {
        let Some(first_end) = self.first_line()? else { return Ok(0) };
        let (mut at, mut count) = (self.start, 0);
        let unread = self.buffer.get(first_end + 1..self.end).unwrap_or_default();
        let ends = memchr::memchr_iter(b'\n', unread).map(|feed| first_end + 1 + feed);
        for (line, end) in lines.iter_mut().zip(std::iter::once(first_end).chain(ends)) {
            *line = self.buffer.get(at..end).unwrap_or_default();
            at = self.end.min(end + 1);
            count += 1;
        }
        self.start = at;
        Ok(count)
    }

    /// Reads until there is a line at hand. Where it ends: at its line feed, or at the end of all; `None` for no line.
    fn first_line(&mut self) -> Result<Option<usize>, Fatal> {
        let mut searched = self.start;
        loop {
            let fresh = self.buffer.get(searched..self.end).unwrap_or_default();
            if let Some(feed) = fresh.find_byte(b'\n') {
                return Ok(Some(searched + feed));
            }
            searched = self.end - self.start;
            let more = self
                .fill()
                .map_err(|error| Fatal(format!("read standard input: {}", config_files::reason(&error))))?;
            if !more {
                return Ok((self.start < self.end).then_some(self.end));
            }
        }
    }

    /// Reads more behind the line that has begun, which moves to the front; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() - self.end < PIECE / 2 {
            self.buffer.resize(self.buffer.len() + PIECE, 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        loop {
            match rustix::io::read(rustix::stdio::stdin(), &mut *room) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count > 0);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Standard output.
pub(super) struct Output {
    buffer: Vec<u8>,
    json: bool,
    separator: &'static [u8],
}

impl Output {
    pub(super) fn new(run: &Run) -> Self {
        let separator: &[u8] = if run.tool == Tool::Postalias { b":\t" } else { b"\t" };
        Self { buffer: Vec::with_capacity(PIECE), json: run.request.json, separator }
    }

    /// A key and its value.
    pub(super) fn pair(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fatal> {
        if self.json {
            let text = format!("{{\"{}\": \"{}\"}}\n", json_text(key), json_text(value));
            self.buffer.extend_from_slice(text.as_bytes());
        } else {
            self.buffer.extend_from_slice(key);
            self.buffer.extend_from_slice(self.separator);
            self.buffer.extend_from_slice(value);
            self.buffer.push(b'\n');
        }
        if self.buffer.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    /// The value that a single key has.
    pub(super) fn value(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fatal> {
        if self.json {
            return self.pair(key, value);
        }
        self.buffer.extend_from_slice(value);
        self.buffer.push(b'\n');
        Ok(())
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) -> Result<(), Fatal> {
        let mut rest = self.buffer.as_slice();
        while !rest.is_empty() {
            match rustix::io::write(rustix::stdio::stdout(), rest) {
                Ok(0) => return Err(output_failed(&ErrorKind::WriteZero.into())),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(output_failed(&error.into())),
            }
        }
        self.buffer.clear();
        Ok(())
    }
}

fn output_failed(error: &io::Error) -> Fatal {
    Fatal(format!("write standard output: {}", config_files::reason(error)))
}

/// Text between quotes of JSON.
fn json_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for c in bytes.to_str_lossy().chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{:04X}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text
}
