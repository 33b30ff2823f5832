//! Building table files: what postmap and postalias write.
//!
//! A file is made whole under another name, synced, and renamed: whoever reads it sees the old table or
//! the new one. Owner and mode of an existing file stay.

use crate::{
    OpenError, Options, Source, StoredNull,
    bdb::write_hash,
    cdb::write_cdb,
    lmdb::write_lmdb,
    memory::read_file,
    open,
    source::{Duplicates, Entries, errno_text},
};
use bstr::ByteSlice;
use rustix::fs::{Gid, Uid};
use std::{
    collections::{HashMap, hash_map::Entry as Place},
    fs::{self, File},
    io::{self, BufWriter},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    rc::Rc,
};

/// Types that can be built.
pub const BUILDABLE_TYPES: &[&str] = &["cdb", "hash", "lmdb"];

/// Entries on their way into a file.
pub struct Builder {
    map_type: String,
    path: String,
    options: Options,
    nulls: StoredNull,
    index: HashMap<Rc<[u8]>, usize>,
    entries: Vec<(Rc<[u8]>, Vec<u8>)>,
}

/// What is done with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRules {
    /// Permissions of a file that is not there yet.
    pub mode: u32,
    /// Owner of a file that is not there yet.
    pub owner: Option<(u32, u32)>,
}

fn suffix(map_type: &str) -> Option<&'static str> {
    match map_type {
        "hash" => Some(".db"),
        "lmdb" => Some(".lmdb"),
        "cdb" => Some(".cdb"),
        _ => None,
    }
}

impl Builder {
    /// Starts an empty table.
    pub fn new(map_type: &str, path: &str, options: &Options, nulls: StoredNull) -> Result<Self, OpenError> {
        if suffix(map_type).is_none() {
            return Err(OpenError::new(match map_type {
                "btree" => "building btree tables is not supported; use lmdb or hash instead".to_owned(),
                known if open::is_supported(known) => {
                    format!("no 'map create' support for this type: {known}")
                }
                other => format!("unsupported map type: {other}"),
            }));
        }
        Ok(Self {
            map_type: map_type.to_owned(),
            path: path.to_owned(),
            options: options.clone(),
            nulls,
            index: HashMap::new(),
            entries: Vec::new(),
        })
    }

    /// Starts with what is in the file (`postmap -i`, `-d`); with `-d` it must be there.
    pub fn from_existing(
        map_type: &str,
        path: &str,
        options: &Options,
        nulls: StoredNull,
        must_exist: bool,
    ) -> Result<Self, OpenError> {
        if suffix(map_type).is_none() && open::is_supported(map_type) {
            return Err(OpenError::new(format!("{map_type}:{path} map requires O_RDONLY access mode")));
        }
        let mut builder = Self::new(map_type, path, options, nulls)?;
        let source: Box<dyn Source> = match open::open(map_type, path, options) {
            Ok(source) => source,
            Err(error) if error.is_missing() && !must_exist => return Ok(builder),
            Err(error) => return Err(error),
        };
        let read = source.each(&mut |key, value| builder.put(key.to_vec(), value.to_vec()));
        read.map_err(|trouble| OpenError::new(trouble.to_string()))?;
        Ok(builder)
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let key: Rc<[u8]> = key.into();
        self.index.insert(Rc::clone(&key), self.entries.len());
        self.entries.push((key, value));
    }

    /// Adds an entry. A key that is there already is treated as the options say; `origin` (file and line)
    /// stands in what is said about it.
    pub fn add(&mut self, key: &[u8], value: &[u8], origin: &str) -> Result<(), OpenError> {
        let stored: Rc<[u8]> = self.options.stored_key(key).into();
        match self.index.entry(Rc::clone(&stored)) {
            Place::Vacant(place) => {
                place.insert(self.entries.len());
                self.entries.push((stored, value.to_vec()));
            }
            Place::Occupied(place) => {
                let text = format!("{origin}: duplicate entry: \"{}\"", stored.as_bstr());
                match self.options.duplicates {
                    Duplicates::Ignore => {}
                    Duplicates::Warn => self.options.warn(&text),
                    Duplicates::Replace => {
                        if let Some(entry) = self.entries.get_mut(*place.get()) {
                            entry.1 = value.to_vec();
                        }
                    }
                    Duplicates::Refuse => return Err(OpenError::new(text)),
                }
            }
        }
        Ok(())
    }

    /// Adds an entry, or changes the one that is there whatever the options say.
    pub fn replace(&mut self, key: &[u8], value: &[u8]) {
        let stored = self.options.stored_key(key);
        match self.index.get(stored.as_slice()).and_then(|at| self.entries.get_mut(*at)) {
            Some(entry) => entry.1 = value.to_vec(),
            None => self.put(stored, value.to_vec()),
        }
    }

    /// Takes an entry out; false when it is not there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let stored = self.options.stored_key(key);
        let Some(at) = self.index.remove(stored.as_slice()) else { return false };
        self.entries.swap_remove(at);
        if let Some((moved, _)) = self.entries.get(at) {
            self.index.insert(Rc::clone(moved), at);
        }
        true
    }

    /// Writes the file.
    pub fn finish(self, rules: FileRules) -> Result<(), OpenError> {
        let suffix = suffix(&self.map_type).unwrap_or_default();
        let target = format!("{}{suffix}", self.path);
        let with_null = match self.nulls {
            StoredNull::Default => self.map_type != "cdb",
            StoredNull::With => true,
            StoredNull::Without => false,
        };
        let stored = |bytes: &[u8]| if with_null { [bytes, b"\0"].concat() } else { bytes.to_vec() };
        let mut entries: Entries =
            self.entries.iter().map(|(key, value)| (stored(key), stored(value))).collect();
        if self.map_type == "lmdb" {
            entries.sort_unstable();
        }
        let temporary = format!("{target}.tmp");
        let outcome = write_file(&self.map_type, &target, &temporary, &entries, rules);
        if outcome.is_err() {
            // The old table stays; what was begun does not.
            let _ = fs::remove_file(&temporary);
        }
        outcome.map_err(|error| {
            OpenError::new(format!(
                "table {}:{}: write error: {}",
                self.map_type,
                self.path,
                errno_text(&error)
            ))
        })
    }
}

fn write_file(
    map_type: &str,
    target: &str,
    temporary: &str,
    entries: &[(Vec<u8>, Vec<u8>)],
    rules: FileRules,
) -> io::Result<()> {
    // A cdb file is always a new one, in Postfix too.
    let existing = fs::metadata(target).ok().filter(|data| data.is_file() && map_type != "cdb");
    let _ = fs::remove_file(temporary);
    let file = File::options().write(true).create_new(true).mode(0o600).open(temporary)?;
    let mut out = BufWriter::with_capacity(1 << 18, &file);
    match map_type {
        "lmdb" => write_lmdb(&mut out, entries)?,
        "cdb" => write_cdb(&mut out, entries)?,
        _ => write_hash(&mut out, entries, identity(&file)?)?,
    }
    drop(out);
    let owner = existing.as_ref().map(|data| (data.uid(), data.gid())).or(rules.owner);
    let own = file.metadata()?;
    if let Some((uid, gid)) = owner
        && (uid, gid) != (own.uid(), own.gid())
    {
        // Someone who may not give files away keeps the file.
        let _ = rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    }
    let mode = existing.map_or(rules.mode, |data| data.mode() & 0o777);
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(temporary, target)?;
    let directory = Path::new(target).parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
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

/// The content of the named files (white space or commas between them, line feeds put between their
/// contents), in base64.
pub fn file_to_base64(names: &[u8]) -> Result<Vec<u8>, String> {
    let names = names.to_str().map_err(|_| "the file name is not UTF-8".to_owned())?;
    let mut content = Vec::new();
    let mut count = 0;
    for name in names.split([',', ' ', '\t', '\r', '\n']).filter(|name| !name.is_empty()) {
        if count > 0 {
            content.push(b'\n');
        }
        content.extend_from_slice(&read_file(name)?);
        count += 1;
    }
    if count == 0 { Err(format!("empty pathname list: >>{names}<<'")) } else { Ok(base64(&content)) }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { digit } else { b'=' });
        }
    }
    text
}

/// Decodes a value of a table built with `-F`; the error is Postfix's text.
pub fn base64_to_content(value: &[u8]) -> Result<Vec<u8>, String> {
    let malformed = || format!("malformed BASE64 value: {:.30}", String::from_utf8_lossy(value));
    if !value.len().is_multiple_of(4) {
        return Err(malformed());
    }
    let mut content = Vec::with_capacity(value.len() / 4 * 3);
    let groups = value.len() / 4;
    for (at, group) in value.chunks(4).enumerate() {
        let padding = group.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || (padding > 0 && at + 1 != groups) {
            return Err(malformed());
        }
        let mut bits = 0_usize;
        for byte in &group[..4 - padding] {
            bits = bits << 6 | ALPHABET.iter().position(|digit| digit == byte).ok_or_else(malformed)?;
        }
        bits <<= 6 * padding;
        let bytes = bits.to_be_bytes();
        content.extend_from_slice(&bytes[bytes.len() - 3..bytes.len() - padding]);
    }
    Ok(content)
}

#[cfg(test)]
mod tests;
