//! Asking tables: `-q key`, `-q -`, `-s`.

use std::borrow::Cow;

use bstr::ByteSlice as _;
use message::{Scanner, ScannerLimits, Step};
use tables::{NOT_LISTABLE, Source, build::base64_to_content};
use types::Trouble;

use super::{
    Fatal, Run,
    streams::{Input, Output},
    waiting,
};

const BAD_UTF8: &str = "malformed UTF-8 or invalid codepoint";
/// So many keys are asked in one go.
const TOGETHER: usize = 64;

/// A table with its name in messages.
struct Opened<'a> {
    shown: String,
    source: Box<dyn Source>,
    run: &'a Run,
}

impl<'a> Opened<'a> {
    fn new(run: &'a Run, argument: &str) -> Result<Self, Fatal> {
        let (map_type, name) = run.table(argument)?;
        let map_type = map_type.as_ref();
        let source = waiting::open(run, map_type, name)?;
        Ok(Self { shown: format!("{map_type}:{name}"), source, run })
    }

    /// Looks a key up and writes what it finds to `value`, with Postfix's complaints.
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Fatal> {
        let found = if is_plain(key) {
            self.source.find(key, value)
        } else {
            if self.run.options.utf8 && key.to_str().is_err() {
                let (shown, key) = (&self.shown, key.as_bstr());
                self.run.console.warn(&format!("{shown}: non-UTF-8 key \"{key}\": {BAD_UTF8}"));
                return Ok(false);
            }
            let fold = self.run.options.fold && !self.source.is_pattern();
            let key = if fold { Cow::Owned(self.run.options.stored_key(key)) } else { Cow::Borrowed(key) };
            self.source.find(&key, value)
        };
        match found {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(trouble) => return Err(self.failed(&trouble)),
        }
        if let Cow::Owned(content) = self.accept(key, value)? {
            *value = content;
        }
        Ok(true)
    }

    fn failed(&self, trouble: &Trouble) -> Fatal {
        Fatal(format!("table {}: query error: {trouble}", self.shown))
    }

    /// A value as it is shown, or why it is not.
    fn accept<'v>(&self, key: &[u8], value: &'v [u8]) -> Result<Cow<'v, [u8]>, Fatal> {
        let (shown, run) = (&self.shown, self.run);
        if run.options.utf8 && !value.is_ascii() && value.to_str().is_err() {
            let (key, value) = (key.as_bstr(), value.as_bstr());
            run.console.warn(&format!("{shown}: key \"{key}\": non-UTF-8 value \"{value}\": {BAD_UTF8}"));
            return Err(Fatal(format!("table {shown}: query error")));
        }
        if value.is_empty() {
            complain_empty(run, shown, key);
        }
        if !run.options.rhs_is_file {
            return Ok(Cow::Borrowed(value));
        }
        base64_to_content(value).map(Cow::Owned).map_err(|why| {
            run.console.warn(&format!("table {shown}: key {}: {why}", key.as_bstr()));
            Fatal(format!("table {shown}: query error"))
        })
    }
}

/// Whether a key is ASCII without upper case: its own spelling in every table.
fn is_plain(key: &[u8]) -> bool {
    // Without an early end, several bytes are looked at in one step.
    !key.iter().fold(false, |other, byte| other | !byte.is_ascii() | byte.is_ascii_uppercase())
}

fn complain_empty(run: &Run, shown: &str, key: &[u8]) {
    let key = key.as_bstr();
    run.console.warn(&format!("table {shown}: key {key}: empty string result is not allowed"));
    run.console.warn(&format!("table {shown} should return NO RESULT in case of NOT FOUND"));
}

/// `-q key`: the first table that has it answers.
pub(super) fn one(run: &Run, key: &[u8]) -> Result<bool, Fatal> {
    for argument in &run.request.tables {
        let table = Opened::new(run, argument)?;
        let mut value = Vec::new();
        if table.find(key, &mut value)? {
            let mut output = Output::new(run);
            output.value(key, &value)?;
            output.flush()?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tables that are asked for many keys; each is opened when it is first needed.
struct Bulk<'a> {
    run: &'a Run,
    tables: Vec<Option<Opened<'a>>>,
    output: Output,
    value: Vec<u8>,
    found: bool,
}

impl Bulk<'_> {
    /// Asks for each line of standard input.
    fn ask_lines(&mut self) -> Result<(), Fatal> {
        let mut input = Input::new();
        loop {
            let mut lines = [b"".as_slice(); TOGETHER];
            let count = input.next_lines(&mut lines)?;
            let keys = lines.get(..count).unwrap_or_default();
            if keys.is_empty() {
                return Ok(());
            }
            if self.run.request.tables.len() == 1 && keys.iter().all(|key| is_plain(key) && !key.contains(&0))
            {
                self.ask_together(keys)?;
            } else {
                keys.iter().try_for_each(|key| self.ask(key))?;
            }
        }
    }

    /// Asks the only table for keys that need no folding.
    fn ask_together(&mut self, keys: &[&[u8]]) -> Result<(), Fatal> {
        let (Some(argument), Some(slot)) = (self.run.request.tables.first(), self.tables.first_mut()) else {
            return Ok(());
        };
        let table = match slot {
            Some(table) => table,
            None => slot.insert(Opened::new(self.run, argument)?),
        };
        let mut outcome = Ok(());
        let (output, found) = (&mut self.output, &mut self.found);
        table.source.find_each(keys, &mut |key, answer| {
            outcome = match answer {
                Ok(Some(value)) => {
                    *found = true;
                    table.accept(key, value).and_then(|value| output.pair(key, &value))
                }
                Ok(None) => Ok(()),
                Err(trouble) => Err(table.failed(&trouble)),
            };
            outcome.is_ok()
        });
        outcome
    }

    fn ask(&mut self, key: &[u8]) -> Result<(), Fatal> {
        // A key is a C string.
        let key = key.find_byte(0).and_then(|null| key.get(..null)).unwrap_or(key);
        for (argument, slot) in self.run.request.tables.iter().zip(&mut self.tables) {
            let table = match slot {
                Some(table) => table,
                None => slot.insert(Opened::new(self.run, argument)?),
            };
            if table.find(key, &mut self.value)? {
                self.found = true;
                return self.output.pair(key, &self.value);
            }
        }
        Ok(())
    }
}

/// `-q -`: keys from standard input, one a line, or headers and body lines of a message.
pub(super) fn bulk(run: &Run) -> Result<bool, Fatal> {
    let tables = run.request.tables.iter().map(|_| None).collect();
    let mut bulk = Bulk { run, tables, output: Output::new(run), value: Vec::new(), found: false };
    let asked = if run.request.header_keys || run.request.body_keys {
        ask_message(&mut bulk)
    } else {
        bulk.ask_lines()
    };
    // What was found before a failure is shown, as Postfix does.
    let (found, written) = (bulk.found, bulk.output.flush());
    asked?;
    written?;
    Ok(found)
}

/// Calls `work` with each line of standard input until it has had enough.
pub(super) fn each_line(mut work: impl FnMut(&[u8]) -> Result<bool, Fatal>) -> Result<(), Fatal> {
    let mut input = Input::new();
    while let Some(line) = input.next_line()? {
        if !work(line)? {
            break;
        }
    }
    Ok(())
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
                // The line that should end the headers is part of the body, also where it is missing.
                Step::HeadersEnd { is_separator_missing: true } if body => bulk.ask(b"")?,
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
    output.flush()?;
    outcome?;
    listed.map_err(|trouble| match trouble.to_string() {
        why if why == NOT_LISTABLE => Fatal(format!("table {}: {why}", table.shown)),
        why => Fatal(format!("table {}: sequence error: {why}", table.shown)),
    })?;
    Ok(true)
}
