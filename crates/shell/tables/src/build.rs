//! Building table files: what postmap and postalias write.
//!
//! Entries are gathered in memory, sorted, and written as a whole file ([`place`] says where). Repeated keys are
//! found when all are there; warnings about them come in the order of their lines.

mod base64;
mod place;
mod records;
#[cfg(test)]
mod tests;

pub use base64::{base64_to_content, file_to_base64};
pub(crate) use records::Records;

use crate::{
    OpenError, Options, StoredNull, bdb, cdb, lmdb, open,
    source::{Duplicates, errno_text},
};
use bstr::ByteSlice;
use place::{Place, Purpose};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter},
    os::unix::fs::MetadataExt,
    path::Path,
};

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
    place: Place,
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
        Self::start(map_type, path, options, (format, purpose))
    }

    /// Starts with what is in the file, to which entries are added (`postmap -i`). There may be no file yet.
    pub fn update(map_type: &str, path: &str, options: &Options) -> Result<Self, OpenError> {
        let format = changeable(map_type, path)?;
        let mut builder = Self::start(map_type, path, options, (format, Purpose::Update))?;
        if builder.place.existing_size().is_some_and(|size| size > 0) {
            builder.records = existing(format, path, options)?;
        }
        Ok(builder)
    }

    fn start(
        map_type: &str,
        path: &str,
        options: &Options,
        (format, purpose): (Format, Purpose),
    ) -> Result<Self, OpenError> {
        let target = format!("{path}{}", format.suffix());
        let place = Place::take(Path::new(&target), purpose)?;
        if matches!(format, Format::Hash | Format::Btree) && place.existing_size() == Some(0) {
            options.warn(&format!("removing zero-length database file: {target}"));
        }
        let with_null = match options.nulls {
            StoredNull::Default => format.has_nulls(),
            StoredNull::With => true,
            StoredNull::Without => false,
        };
        Ok(Self {
            map_type: map_type.to_owned(),
            path: path.to_owned(),
            format,
            options: options.clone(),
            with_null,
            records: Records::default(),
            place,
        })
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

    /// Takes keys out, and says how many were there.
    fn remove(&mut self, keys: &[Vec<u8>]) -> usize {
        self.records.sort();
        let mut nulls = self.options.nulls;
        let mut gone = BTreeSet::new();
        for key in keys {
            let key = self.options.stored_key(key);
            let terminated = [key.as_slice(), b"\0"].concat();
            for (spelling, other, hit) in [
                (terminated.as_slice(), StoredNull::Without, StoredNull::With),
                (key.as_slice(), StoredNull::With, StoredNull::Without),
            ] {
                if nulls != other
                    && let Some(at) = self.records.position(spelling)
                    && gone.insert(at)
                {
                    nulls = hit;
                    break;
                }
            }
        }
        self.records.remove(&gone);
        gone.len()
    }

    /// Writes the file. `origin` is where the lines are; `mode`, the permissions of a file that is not there yet.
    pub fn finish(mut self, origin: &str, mode: u32) -> Result<(), OpenError> {
        self.records.sort();
        self.unite(origin)?;
        let failed = |error: io::Error| {
            let (map_type, path, why) = (&self.map_type, &self.path, errno_text(&error));
            OpenError::new(format!("table {map_type}:{path}: write error: {why}"))
        };
        if self.format == Format::Cdb {
            self.records.unsort();
        }
        write(self.format, &self.records, &self.place).map_err(failed)?;
        self.place.publish(mode).map_err(failed)
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
        repeated.sort_unstable_by_key(|record| self.records.line(record));
        for record in &repeated {
            let mut key = self.records.key(record);
            if self.with_null {
                key = key.strip_suffix(b"\0").unwrap_or(key);
            }
            let line = self.records.line(record);
            let text = format!("{origin}, line {line}: duplicate entry: \"{}\"", key.as_bstr());
            if duplicates == Duplicates::Refuse {
                return Err(OpenError::new(text));
            }
            self.options.warn(&text);
        }
        Ok(())
    }
}

/// Takes keys out of a table (`postmap -d`), and says how many were there.
pub fn delete(map_type: &str, path: &str, options: &Options, keys: &[Vec<u8>]) -> Result<usize, OpenError> {
    let format = changeable(map_type, path)?;
    let records = existing(format, path, options)?;
    if records.len() == 0 {
        return Ok(0);
    }
    let mut builder = Builder::update(map_type, path, options)?;
    let removed = builder.remove(keys);
    if removed > 0 {
        builder.finish(path, 0o644)?;
    }
    Ok(removed)
}

/// The user and group that own the file of a table; `None` for no file.
#[must_use]
pub fn owner_of(map_type: &str, path: &str) -> Option<(u32, u32)> {
    let data = std::fs::metadata(format!("{path}{}", Format::of(map_type)?.suffix())).ok()?;
    Some((data.uid(), data.gid()))
}

/// The format of a table whose entries can be changed one by one.
fn changeable(map_type: &str, path: &str) -> Result<Format, OpenError> {
    match Format::of(map_type) {
        Some(Format::Cdb) => Err(OpenError::new(format!(
            "unsupported non-bulk change request; change the text and run \"postmap cdb:{path}\" (or postalias)"
        ))),
        Some(format) => Ok(format),
        None if open::is_supported(map_type) => {
            Err(OpenError::new(format!("{map_type}:{path} map requires O_RDONLY access mode")))
        }
        None => Err(OpenError::new(format!("unsupported map type: {map_type}"))),
    }
}

/// What is in a table, as it is stored.
fn existing(format: Format, path: &str, options: &Options) -> Result<Records, OpenError> {
    let entries = match format {
        Format::Hash => bdb::open_bdb(path, bdb::Method::Hash, options)?.entries(),
        Format::Btree => bdb::open_bdb(path, bdb::Method::Btree, options)?.entries(),
        Format::Lmdb => lmdb::open_lmdb(path, options)?.entries(),
        Format::Cdb => Ok(Vec::new()),
    };
    let mut records = Records::default();
    for (key, value) in entries.map_err(|trouble| OpenError::new(trouble.to_string()))? {
        records.push(0, false, |text| text.extend_from_slice(&key), &value);
    }
    Ok(records)
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
