//! What every table type implements, and what it is opened with.

use crate::pages::StoredNull;
use std::{fmt, rc::Rc};
use types::{Lookup, Trouble};
use world::TableOwner;

/// An opened table. Keys arrive folded as [`Options::fold`] asks; patterns get them as they are.
pub trait Source {
    /// Looks a key up and writes what it finds to `value`, whose memory is used again; false when it is certainly
    /// not there.
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble>;

    /// Looks a key up.
    fn get(&self, key: &[u8]) -> Lookup {
        let mut value = Vec::new();
        match self.find(key, &mut value) {
            Ok(true) => Lookup::Found(value),
            Ok(false) => Lookup::Absent,
            Err(trouble) => Lookup::TryAgain(trouble),
        }
    }

    /// Looks many keys up, in their order, until `answer` has had enough: a table may read ahead for those that come.
    fn find_each(&self, keys: &[&[u8]], answer: &mut Each<'_>) {
        let mut value = Vec::new();
        for key in keys {
            let found = self.find(key, &mut value);
            if !answer(key, found.map(|found| found.then_some(value.as_slice()))) {
                return;
            }
        }
    }

    /// Whether keys are matched whole against patterns (Postfix: `DICT_FLAG_PATTERN`).
    fn is_pattern(&self) -> bool {
        false
    }

    /// Whether looking this key up could take longer than a session may be kept waiting.
    fn may_hang(&self, _key: &[u8]) -> bool {
        false
    }

    /// Looks whether the file's content has changed in place. A file that was replaced is opened anew by
    /// whoever keeps the table.
    fn refresh(&self) -> Result<(), Trouble> {
        Ok(())
    }

    /// Who could have written it.
    fn owner(&self) -> TableOwner {
        TableOwner::Trusted
    }

    /// Visits every entry, in the table's own order.
    fn each(&self, _visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Trouble> {
        Err(Trouble::new(NOT_LISTABLE))
    }
}

/// What [`Source::each`] says where entries cannot be listed.
pub const NOT_LISTABLE: &str = "sequence operation is not supported";

/// Takes a key and what a table says to it; false when it has had enough.
pub type Each<'a> = dyn FnMut(&[u8], Result<Option<&[u8]>, Trouble>) -> bool + 'a;

/// What to do with a key that a text table has twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// The table cannot be used: what mail processes do.
    #[default]
    Refuse,
    /// Keep the first and warn: postmap's default.
    Warn,
    /// Keep the first (`postmap -w`).
    Ignore,
    /// Keep the last (`postmap -r`).
    Replace,
}

/// Keys and values of a whole table.
pub(crate) type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// Where warnings go.
pub type Warn = Rc<dyn Fn(&str)>;

/// How a table is opened.
#[derive(Clone)]
pub struct Options {
    /// Fold the case of keys (`DICT_FLAG_FOLD_FIX`).
    pub fold: bool,
    /// Keys and values must be UTF-8 (`smtputf8_enable`).
    pub utf8: bool,
    /// Values of text tables are names of files whose content, in base64, is the value (`postmap -F`).
    pub rhs_is_file: bool,
    /// Repeated keys.
    pub duplicates: Duplicates,
    /// Whether keys and values have a null byte in the file.
    pub nulls: StoredNull,
    /// `$1` and its like may stand in the results of patterns.
    pub substitution: bool,
    /// Where warnings go.
    pub warn: Warn,
}

impl Options {
    /// As mail processes open tables.
    pub fn new(warn: Warn) -> Self {
        Self {
            fold: true,
            utf8: true,
            rhs_is_file: false,
            duplicates: Duplicates::Refuse,
            nulls: StoredNull::Default,
            substitution: true,
            warn,
        }
    }

    /// A key as it is stored and looked up: its case folded as the options ask, all of Unicode only where
    /// keys are UTF-8.
    #[must_use]
    pub fn stored_key(&self, key: &[u8]) -> Vec<u8> {
        match (self.fold, self.utf8) {
            (true, true) => maps::casefold(key).to_vec(),
            (true, false) => key.to_ascii_lowercase(),
            (false, _) => key.to_vec(),
        }
    }

    pub(crate) fn warn(&self, text: &str) {
        (self.warn)(text);
    }
}

/// Why a table could not be opened: one line that names the file and says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    text: String,
    missing: bool,
}

impl OpenError {
    /// `text` names the table and says what to do.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), missing: false }
    }

    /// `open database FILE: No such file or directory`, in the words of the C library.
    pub(crate) fn io(what: &str, path: &str, error: &std::io::Error) -> Self {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        Self { text: format!("{what} {path}: {}", errno_text(error)), missing }
    }

    /// Adds what to do about it.
    pub(crate) fn with_remedy(mut self, remedy: &str) -> Self {
        self.text.push_str(remedy);
        self
    }

    /// Whether the file is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.missing
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for OpenError {}

/// The text of strerror(3), without Rust's `(os error N)`.
#[must_use]
pub fn errno_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
