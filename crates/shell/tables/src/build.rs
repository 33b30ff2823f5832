//! Building table files: what postmap and postalias write.
//!
//! Entries are gathered in memory, sorted, and written as a whole file ([`place`] says where). Repeated keys are
//! found when all are there; warnings about them come in the order of their lines.

mod base64;
mod change;
mod place;
mod records;
#[cfg(test)]
mod tests;

pub use base64::{base64_to_content, file_to_base64};
pub use change::change;
pub(crate) use place::open_locked;
pub(crate) use records::Records;

use crate::{
    OpenError, Options, StoredNull, bdb, cdb,
    lmdb::{self, Change, Transaction},
    open,
    pages::find_either,
    source::{Duplicates, errno_text},
};
use bstr::ByteSlice;
use place::{Place, Purpose};
use records::Record;
use std::{
    cell::Cell,
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use types::Trouble;

/// Types that can be built.
pub const BUILDABLE_TYPES: &[&str] = &["btree", "cdb", "hash", "lmdb"];

/// The formats of table files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Hash,
    Btree,
    Cdb,
    Lmdb,
}

impl Format {
    fn of(map_type: &str) -> Option<Self> {
        Some(match map_type {
            "hash" => Self::Hash,
            "btree" => Self::Btree,
            "cdb" => Self::Cdb,
            "lmdb" => Self::Lmdb,
            _ => return None,
        })
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Hash | Self::Btree => ".db",
            Self::Cdb => ".cdb",
            Self::Lmdb => ".lmdb",
        }
    }

    /// The access method of a Berkeley DB file.
    fn method(self) -> Option<bdb::Method> {
        match self {
            Self::Hash => Some(bdb::Method::Hash),
            Self::Btree => Some(bdb::Method::Btree),
            Self::Cdb | Self::Lmdb => None,
        }
    }

    /// Whether entries have null bytes when nobody has a wish.
    fn has_nulls(self) -> bool {
        self != Self::Cdb
    }
}

/// Entries on their way into a file.
pub struct Builder {
    map_type: String,
    path: String,
    format: Format,
    options: Options,
    with_null: bool,
    records: Records,
    into: Into,
}

/// Where entries go.
enum Into {
    /// A file that is written whole.
    File(Box<Place>),
    /// An LMDB file, into which they are put one by one.
    Lmdb,
}

/// The number of a line that wins over all others.
const WINS: u32 = u32::MAX;

impl Builder {
    /// Starts a table that takes the place of the one that is there.
    pub fn new(map_type: &str, path: &str, options: &Options) -> Result<Self, OpenError> {
        let Some(format) = Format::of(map_type) else {
            return Err(OpenError::new(if open::is_supported(map_type) {
                format!("no 'map create' support for this type: {map_type}")
            } else {
                format!("unsupported map type: {map_type}")
            }));
        };
        let purpose = if format == Format::Cdb { Purpose::Succeed } else { Purpose::Replace };
        let place = take(format, path, options, purpose)?;
        Ok(Self::start((map_type, format), path, options, Into::File(Box::new(place))))
    }

    /// Starts with what is in the file, to which entries are added (`postmap -i`). There may be no file yet.
    pub fn update(map_type: &str, path: &str, options: &Options) -> Result<Self, OpenError> {
        let format = changeable(map_type, path, "update")?;
        let Some(method) = format.method() else {
            if !Path::new(&format!("{path}{}", format.suffix())).exists() {
                return Self::new(map_type, path, options);
            }
            return Ok(Self::start((map_type, format), path, options, Into::Lmdb));
        };
        let place = take(format, path, options, Purpose::Update)?;
        let records = existing(&place, path, method)?;
        let into = Into::File(Box::new(place));
        Ok(Self { records, ..Self::start((map_type, format), path, options, into) })
    }

    fn start((map_type, format): (&str, Format), path: &str, options: &Options, into: Into) -> Self {
        let with_null = match options.nulls {
            StoredNull::Default => format.has_nulls(),
            StoredNull::With => true,
            StoredNull::Without => false,
        };
        Self {
            map_type: map_type.to_owned(),
            path: path.to_owned(),
            format,
            options: options.clone(),
            with_null,
            records: Records::default(),
            into,
        }
    }

    /// How many entries have been added.
    #[must_use]
    pub fn count(&self) -> usize {
        self.records.len()
    }

    /// Adds an entry. What is said about a key that is there already names `line`.
    pub fn add(&mut self, key: &[u8], value: &[u8], line: usize) -> Result<(), OpenError> {
        let line = u32::try_from(line).unwrap_or(WINS - 1);
        self.push(key, value, line)
    }

    /// Adds an entry, or changes the one that is there whatever the options say.
    pub fn replace(&mut self, key: &[u8], value: &[u8]) -> Result<(), OpenError> {
        self.push(key, value, WINS)
    }

    fn push(&mut self, key: &[u8], value: &[u8], line: u32) -> Result<(), OpenError> {
        let options = &self.options;
        let write = |text: &mut Vec<u8>| {
            if !options.fold || key.is_ascii() {
                let start = text.len();
                text.extend_from_slice(key);
                if options.fold {
                    text[start..].make_ascii_lowercase();
                }
            } else {
                text.extend_from_slice(&options.stored_key(key));
            }
        };
        if self.records.push(line, self.with_null, write, value) {
            return Ok(());
        }
        let shown = String::from_utf8_lossy(key);
        Err(OpenError::new(format!(
            "table {}:{}: the entry \"{shown:.40}\" is too large",
            self.map_type, self.path
        )))
    }

    /// Writes the file. `origin` is where the lines are; `mode`, the permissions of a file that is not there yet.
    pub fn finish(mut self, origin: &str, mode: u32) -> Result<(), OpenError> {
        self.records.sort();
        self.unite(origin)?;
        let failed = |error: io::Error| {
            let (map_type, path, why) = (&self.map_type, &self.path, errno_text(&error));
            OpenError::new(format!("table {map_type}:{path}: write error: {why}"))
        };
        match self.into {
            Into::File(place) => {
                if self.format == Format::Cdb {
                    self.records.unsort();
                }
                if self.format == Format::Lmdb
                    && place.is_in_place()
                    && let Ok(Some(transaction)) = Transaction::begin(&self.path)
                {
                    return transaction.replace(&self.records).map_err(failed);
                }
                write(self.format, &self.records, &place).map_err(failed)?;
                place.publish(mode).map_err(failed)
            }
            Into::Lmdb => {
                let Some(transaction) = Transaction::begin(&self.path)? else {
                    return Err(failed(io::ErrorKind::NotFound.into()));
                };
                let replaces = self.options.duplicates == Duplicates::Replace;
                let change = |record| {
                    let (key, value) = (self.records.key(record), self.records.value(record));
                    let wins = replaces || self.records.line(record) == WINS;
                    (key, if wins { Change::Set(value) } else { Change::Add(value) })
                };
                let changes: Vec<_> = self.records.list().iter().map(change).collect();
                let present = transaction.commit(&changes).map_err(failed)?;
                let present = present.iter().filter_map(|key| self.records.position(key));
                let repeated = present.filter_map(|at| self.records.list().get(at)).copied().collect();
                self.complain(origin, repeated)
            }
        }
    }

    /// One entry for each key; those that are there before any line, and the last of those that win, are no matter for a
    /// warning.
    fn unite(&mut self, origin: &str) -> Result<(), OpenError> {
        let mut repeated = Vec::new();
        let duplicates = self.options.duplicates;
        self.records.unite(|records, equal| {
            if let Some(wins) = equal.iter().rposition(|record| records.line(record) == WINS) {
                return wins;
            }
            if duplicates == Duplicates::Replace {
                return equal.len() - 1;
            }
            if duplicates != Duplicates::Ignore {
                repeated.extend(equal.iter().skip(1).copied());
            }
            0
        });
        self.complain(origin, repeated)
    }

    /// Warns of entries whose keys were there before, in the order of their lines.
    fn complain(&self, origin: &str, mut repeated: Vec<Record>) -> Result<(), OpenError> {
        if self.options.duplicates == Duplicates::Ignore {
            return Ok(());
        }
        repeated.sort_unstable_by_key(|record| self.records.line(record));
        for record in &repeated {
            let mut key = self.records.key(record);
            if self.with_null {
                key = key.strip_suffix(b"\0").unwrap_or(key);
            }
            let line = self.records.line(record);
            let text = format!("{origin}, line {line}: duplicate entry: \"{}\"", key.as_bstr());
            if self.options.duplicates == Duplicates::Refuse {
                return Err(OpenError::new(text));
            }
            self.options.warn(&text);
        }
        Ok(())
    }
}

/// Takes keys out of a table (`postmap -d`), and says how many were there.
pub fn delete(map_type: &str, path: &str, options: &Options, keys: &[Vec<u8>]) -> Result<usize, OpenError> {
    let format = changeable(map_type, path, "delete")?;
    let Some(method) = format.method() else { return delete_lmdb(path, options, keys) };
    if owner_of(map_type, path).is_none() {
        // Says what is missing, and what to do.
        return bdb::open_bdb(path, method, options).map(|_| 0);
    }
    let mut builder = Builder::update(map_type, path, options)?;
    let records = &mut builder.records;
    records.sort();
    let mut gone = BTreeSet::new();
    let mut hit = |key: &[u8]| Ok(records.position(key).is_some_and(|at| gone.insert(at)));
    for_each_spelling(keys, options, &mut hit)?;
    let removed = gone.len();
    if removed > 0 {
        records.remove(&gone);
        builder.finish(path, 0o644)?;
    }
    Ok(removed)
}

fn delete_lmdb(path: &str, options: &Options, keys: &[Vec<u8>]) -> Result<usize, OpenError> {
    let Some(mut transaction) = Transaction::begin(path)? else {
        // Says what is missing, and what to do.
        return lmdb::open_lmdb(path, options).map(|_| 0);
    };
    let mut gone = BTreeSet::new();
    let mut hit = |key: &[u8]| Ok(transaction.has(key)? && gone.insert(key.to_vec()));
    for_each_spelling(keys, options, &mut hit)?;
    let changes: Vec<_> = gone.iter().map(|key| (key.as_slice(), Change::Remove)).collect();
    let written = transaction.commit(&changes);
    written.map_err(|error| {
        OpenError::new(format!("table lmdb:{path}: delete error: {}", errno_text(&error)))
    })?;
    Ok(gone.len())
}

/// Tries keys with and without a null byte, until one spelling has hit; then in that one.
fn for_each_spelling(
    keys: &[Vec<u8>],
    options: &Options,
    hit: &mut dyn FnMut(&[u8]) -> Result<bool, Trouble>,
) -> Result<(), OpenError> {
    let nulls = Cell::new(options.nulls);
    for key in keys {
        let key = options.stored_key(key);
        find_either(&nulls, &key, &mut Vec::new(), |key, _| hit(key))
            .map_err(|trouble| OpenError::new(trouble.to_string()))?;
    }
    Ok(())
}

/// The file of a table that can be built.
#[must_use]
pub fn file_of(map_type: &str, path: &str) -> Option<PathBuf> {
    Some(format!("{path}{}", Format::of(map_type)?.suffix()).into())
}

/// The user and group that own the file of a table; `None` for no file.
#[must_use]
pub fn owner_of(map_type: &str, path: &str) -> Option<(u32, u32)> {
    let data = std::fs::metadata(file_of(map_type, path)?).ok()?;
    Some((data.uid(), data.gid()))
}

/// The format of a table whose entries can be changed one by one.
fn changeable(map_type: &str, path: &str, operation: &str) -> Result<Format, OpenError> {
    match Format::of(map_type) {
        Some(Format::Cdb) => Err(OpenError::new(format!(
            "unsupported non-bulk change request; change the text and run \"postmap cdb:{path}\" (or postalias)"
        ))),
        Some(format) => Ok(format),
        None if matches!(map_type, "static" | "environ" | "internal" | "fail") => {
            Err(OpenError::new(format!("table {map_type}:{path}: {operation} operation is not supported")))
        }
        None if open::is_supported(map_type) => {
            Err(OpenError::new(format!("{map_type}:{path} map requires O_RDONLY access mode")))
        }
        None => Err(OpenError::new(format!("unsupported map type: {map_type}"))),
    }
}

/// What is in the Berkeley DB file whose place was taken, as it is stored.
fn existing(place: &Place, path: &str, method: bdb::Method) -> Result<Records, OpenError> {
    let failed = |error: io::Error| OpenError::io("open", &format!("{path}.db"), &error);
    let mut records = Records::default();
    let Some(file) = place.existing().transpose().map_err(failed)? else { return Ok(records) };
    for (key, value) in bdb::entries_of(file, path, method)? {
        records.push(0, false, |text| text.extend_from_slice(&key), &value);
    }
    Ok(records)
}

/// Takes the place of a table's file.
fn take(format: Format, path: &str, options: &Options, purpose: Purpose) -> Result<Place, OpenError> {
    let target = format!("{path}{}", format.suffix());
    let place = Place::take(Path::new(&target), purpose)?;
    if format.method().is_some() && place.existing_size() == Some(0) {
        options.warn(&format!("removing zero-length database file: {target}"));
    }
    Ok(place)
}

fn write(format: Format, records: &Records, place: &Place) -> io::Result<()> {
    let file = place.begin()?;
    match format {
        Format::Lmdb => lmdb::write_lmdb(file, records),
        Format::Cdb => cdb::write_cdb(&mut BufWriter::with_capacity(1 << 18, file), records),
        Format::Hash => bdb::write_hash(file, records, identity(file)?),
        Format::Btree => bdb::write_btree(file, records, identity(file)?),
    }
}

/// Twenty bytes that no other file has: Berkeley DB tells files apart by them.
fn identity(file: &File) -> io::Result<[u8; 20]> {
    let data = file.metadata()?;
    let mut bytes = [0; 20];
    bytes[0..8].copy_from_slice(&data.ino().to_le_bytes());
    bytes[8..12].copy_from_slice(&data.dev().to_le_bytes()[..4]);
    bytes[12..16].copy_from_slice(&data.mtime().to_le_bytes()[..4]);
    bytes[16..20].copy_from_slice(&data.mtime_nsec().to_le_bytes()[..4]);
    Ok(bytes)
}
