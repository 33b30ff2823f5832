//! Tables that live in memory: texthash, static, environ, internal, fail.

use crate::{
    Entry, EntryReader, OpenError, Options, Source, lent,
    source::{Duplicates, errno_text},
};
use bstr::ByteSlice;
use std::{collections::HashMap, ffi::OsStr, os::unix::ffi::OsStrExt};
use types::Trouble;

/// Keys and values in memory.
#[derive(Default)]
pub(crate) struct MemoryTable {
    entries: HashMap<Box<[u8]>, Box<[u8]>>,
}

impl MemoryTable {
    pub(crate) fn insert(&mut self, key: &[u8], value: &[u8], options: &Options) {
        self.entries.insert(options.stored_key(key).into(), value.into());
    }
}

impl Source for MemoryTable {
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        Ok(self.entries.get(key).is_some_and(|found| answer(value, found)))
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Trouble> {
        self.entries.iter().for_each(|(key, value)| visit(key, value));
        Ok(())
    }
}

/// Writes what was found.
pub(crate) fn answer(value: &mut Vec<u8>, found: &[u8]) -> bool {
    value.clear();
    value.extend_from_slice(found);
    true
}

/// `texthash:/file`
pub(crate) fn open_texthash(path: &str, options: &Options) -> Result<MemoryTable, OpenError> {
    let file = lent::reader(path.as_ref()).map_err(|error| OpenError::io("open database", path, &error))?;
    let mut table = MemoryTable::default();
    let mut reader = EntryReader::for_texthash(file, path, options);
    reader.each(|error| OpenError::io("read", path, &error), |entry| table.add(entry, path, options))?;
    Ok(table)
}

impl MemoryTable {
    fn add(&mut self, entry: Entry<'_>, path: &str, options: &Options) -> Result<(), OpenError> {
        let content;
        let mut value = entry.value;
        if options.rhs_is_file {
            match crate::build::file_to_base64(value) {
                Ok(coded) => content = coded,
                Err(why) => {
                    options.warn(&format!("{path}, line {}: {why}: skipping this entry", entry.line));
                    return Ok(());
                }
            }
            value = &content;
        }
        let key = options.stored_key(entry.key);
        if self.entries.contains_key(key.as_slice()) {
            let text = format!("{path}, line {}: duplicate entry: \"{}\"", entry.line, entry.key.as_bstr());
            match options.duplicates {
                Duplicates::Replace => {}
                Duplicates::Ignore => return Ok(()),
                Duplicates::Warn => {
                    options.warn(&text);
                    return Ok(());
                }
                Duplicates::Refuse => return Err(OpenError::new(text)),
            }
        }
        self.entries.insert(key.into(), value.into());
        Ok(())
    }
}

/// `static:value`: the value for every key.
pub(crate) struct Static(pub(crate) Vec<u8>);

impl Source for Static {
    fn find(&self, _key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        Ok(answer(value, &self.0))
    }
}

/// `environ:anything`: the process's environment.
pub(crate) struct Environ;

impl Source for Environ {
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        // A name with `=` or a null byte cannot be in the environment.
        if key.is_empty() || key.contains(&b'=') || key.contains(&0) {
            return Ok(false);
        }
        Ok(std::env::var_os(OsStr::from_bytes(key)).is_some_and(|found| answer(value, found.as_bytes())))
    }
}

/// A table that can only fail: `fail:anything`, and whatever could not be opened.
pub(crate) struct Fail(pub(crate) Trouble);

impl Source for Fail {
    fn find(&self, _key: &[u8], _value: &mut Vec<u8>) -> Result<bool, Trouble> {
        Err(self.0.clone())
    }

    fn is_pattern(&self) -> bool {
        true
    }

    fn each(&self, _visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Trouble> {
        Err(self.0.clone())
    }
}

/// A table without entries.
pub(crate) struct Empty;

impl Source for Empty {
    fn find(&self, _key: &[u8], _value: &mut Vec<u8>) -> Result<bool, Trouble> {
        Ok(false)
    }
}

/// Reads a whole file, in the C library's words when it fails.
pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, String> {
    lent::read(path.as_ref()).map_err(|error| format!("open {path}: {}", errno_text(&error)))
}
