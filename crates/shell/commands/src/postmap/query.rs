//! Asking tables: `-q key`, `-q -`, `-s`.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, BufRead as _, BufWriter, Write as _},
};

use bstr::ByteSlice as _;
use message::{Scanner, ScannerLimits, Step};
use tables::{Source, build::base64_to_content};
use types::Lookup;

use super::{Fatal, Run, options::Tool, waiting};

/// A table with its name in messages.
struct Opened<'a> {
    shown: String,
    source: Box<dyn Source>,
    run: &'a Run,
}

impl<'a> Opened<'a> {
    fn new(run: &'a Run, argument: &str) -> Result<Self, Fatal> {
        let (map_type, name) = run.table(argument);
        let source = waiting::open(run, map_type, name)?;
        Ok(Self { shown: format!("{map_type}:{name}"), source, run })
    }

    /// The value for a key, with Postfix's complaints.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fatal> {
        const BAD_UTF8: &str = "malformed UTF-8 or invalid codepoint";
        let (shown, run) = (&self.shown, self.run);
        if run.options.utf8 && !key.is_ascii() && key.to_str().is_err() {
            run.console.warn(&format!("{shown}: non-UTF-8 key \"{}\": {BAD_UTF8}", key.as_bstr()));
            return Ok(None);
        }
        let fold = run.options.fold && !self.source.is_pattern() && !is_folded(key);
        let folded = if fold { Cow::Owned(run.options.stored_key(key)) } else { Cow::Borrowed(key) };
        let value = match self.source.get(&folded) {
            Lookup::Absent => return Ok(None),
            Lookup::Found(value) => value,
            Lookup::TryAgain(trouble) => {
                return Err(Fatal(format!("table {shown}: query error: {trouble}")));
            }
        };
        if run.options.utf8 && !value.is_ascii() && value.to_str().is_err() {
            let (key, value) = (key.as_bstr(), value.as_bstr());
            run.console.warn(&format!("{shown}: key \"{key}\": non-UTF-8 value \"{value}\": {BAD_UTF8}"));
            return Err(Fatal(format!("table {shown}: query error")));
        }
        if value.is_empty() {
            complain_empty(run, shown, key);
        }
        if run.options.rhs_is_file {
            return base64_to_content(&value).map(Some).map_err(|why| {
                run.console.warn(&format!("table {shown}: key {}: {why}", key.as_bstr()));
                Fatal(format!("table {shown}: query error"))
            });
        }
        Ok(Some(value))
    }
}

fn is_folded(key: &[u8]) -> bool {
    key.is_ascii() && !key.iter().any(u8::is_ascii_uppercase)
}

fn complain_empty(run: &Run, shown: &str, key: &[u8]) {
    let key = key.as_bstr();
    run.console.warn(&format!("table {shown}: key {key}: empty string result is not allowed"));
    run.console.warn(&format!("table {shown} should return NO RESULT in case of NOT FOUND"));
}

/// Standard output, flushed at the end.
struct Output<'a> {
    out: BufWriter<io::StdoutLock<'a>>,
    json: bool,
    separator: &'static [u8],
}

impl Output<'_> {
    fn new(run: &Run) -> Self {
        let separator: &[u8] = if run.tool == Tool::Postalias { b":\t" } else { b"\t" };
        let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        Self { out, json: run.request.json, separator }
    }

    fn pair(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fatal> {
        let written = if self.json {
            writeln!(self.out, "{{\"{}\": \"{}\"}}", json_text(key), json_text(value))
        } else {
            (self.out.write_all(key))
                .and_then(|()| self.out.write_all(self.separator))
                .and_then(|()| self.out.write_all(value))
                .and_then(|()| self.out.write_all(b"\n"))
        };
        written.map_err(|error| output_failed(&error))
    }

    fn finish(mut self) -> Result<(), Fatal> {
        self.out.flush().map_err(|error| output_failed(&error))
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

/// `-q key`: the first table that has it answers.
pub(super) fn one(run: &Run, key: &[u8]) -> Result<bool, Fatal> {
    for argument in &run.request.tables {
        let table = Opened::new(run, argument)?;
        let Some(value) = table.get(key)? else { continue };
        let mut output = Output::new(run);
        if output.json {
            output.pair(key, &value)?;
        } else {
            (output.out.write_all(&value))
                .and_then(|()| output.out.write_all(b"\n"))
                .map_err(|error| output_failed(&error))?;
        }
        output.finish()?;
        return Ok(true);
    }
    Ok(false)
}

/// Tables that are asked for many keys; each is opened when it is first needed.
struct Bulk<'a> {
    run: &'a Run,
    tables: Vec<Option<Opened<'a>>>,
    output: Output<'a>,
    found: bool,
}

impl Bulk<'_> {
    fn ask(&mut self, key: &[u8]) -> Result<(), Fatal> {
        // A key is a C string.
        let key = key.find_byte(0).and_then(|null| key.get(..null)).unwrap_or(key);
        for (argument, slot) in self.run.request.tables.iter().zip(&mut self.tables) {
            let table = match slot {
                Some(table) => table,
                None => slot.insert(Opened::new(self.run, argument)?),
            };
            if let Some(value) = table.get(key)? {
                self.found = true;
                return self.output.pair(key, &value);
            }
        }
        Ok(())
    }
}

/// `-q -`: keys from standard input, one a line, or headers and body lines of a message.
pub(super) fn bulk(run: &Run) -> Result<bool, Fatal> {
    let tables = run.request.tables.iter().map(|_| None).collect();
    let mut bulk = Bulk { run, tables, output: Output::new(run), found: false };
    let asked = if run.request.header_keys || run.request.body_keys {
        ask_message(&mut bulk)
    } else {
        each_line(|line| bulk.ask(line).map(|()| true))
    };
    // What was found before a failure is shown, as Postfix does.
    let (found, written) = (bulk.found, bulk.output.finish());
    asked?;
    written?;
    Ok(found)
}

/// Calls `work` with each line of standard input until it has had enough.
pub(super) fn each_line(mut work: impl FnMut(&[u8]) -> Result<bool, Fatal>) -> Result<(), Fatal> {
    let mut input = io::BufReader::with_capacity(1 << 16, io::stdin().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = input
            .read_until(b'\n', &mut line)
            .map_err(|error| Fatal(format!("read standard input: {}", config_files::reason(&error))))?;
        if count == 0 {
            return Ok(());
        }
        if !work(line.strip_suffix(b"\n").unwrap_or(&line))? {
            return Ok(());
        }
    }
}

/// `-h`, `-b`, `-m`: asks as cleanup's header and body checks would.
fn ask_message(bulk: &mut Bulk<'_>) -> Result<(), Fatal> {
    let request = &bulk.run.request;
    let (headers, body) = (request.header_keys, request.body_keys);
    let whole = body || request.mime;
    let mime = request.mime.then_some(bulk.run.scanner.1);
    let mut scanner = Scanner::new(ScannerLimits { header_size_limit: bulk.run.scanner.0, mime });
    each_line(|line| {
        loop {
            match scanner.push(line, true) {
                Step::Kept | Step::Done => return Ok(true),
                Step::Body if body => return bulk.ask(line).map(|()| true),
                Step::Body => return Ok(true),
                Step::Header => {
                    let header = scanner.take_header();
                    if headers {
                        bulk.ask(&header)?;
                    }
                }
                Step::HeadersEnd { .. } if !whole => return Ok(false),
                Step::HeadersEnd { .. } => {}
            }
        }
    })?;
    while let Step::Header = scanner.end() {
        let header = scanner.take_header();
        if headers {
            bulk.ask(&header)?;
        }
    }
    Ok(())
}

/// `-s`: every entry of the first table.
pub(super) fn list(run: &Run) -> Result<bool, Fatal> {
    let Some(argument) = run.request.tables.first() else { return Ok(false) };
    let table = Opened::new(run, argument)?;
    let mut output = Output::new(run);
    let mut outcome = Ok(());
    let listed = table.source.each(&mut |key, value| {
        if outcome.is_err() {
            return;
        }
        if key.is_empty() {
            run.console.warn(&format!("table {}: empty lookup key value is not allowed", table.shown));
        } else if value.is_empty() {
            complain_empty(run, &table.shown, key);
        }
        if !run.options.rhs_is_file {
            outcome = output.pair(key, value);
            return;
        }
        match base64_to_content(value) {
            Ok(content) => outcome = output.pair(key, &content),
            Err(why) => run.console.warn(&format!("table {}: key {}: {why}", table.shown, key.as_bstr())),
        }
    });
    output.finish()?;
    outcome?;
    listed.map_err(|trouble| Fatal(format!("table {}: sequence error: {trouble}", table.shown)))?;
    Ok(true)
}
