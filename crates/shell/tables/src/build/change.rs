//! Many changes to a table file at once: what a cache has gathered.

use super::{
    Builder, Change, Format, OpenError, Options, Transaction, changeable, errno_text, file_of, lmdb,
};
use std::collections::{BTreeMap, BTreeSet};

/// Gives each key its value, or takes it out, in a file that is made when it is not there; one write for all of them.
/// Keys that this kind of table cannot have are left out, and are what is returned.
///
/// # Errors
/// Nothing was changed.
pub fn change(
    map_type: &str,
    path: &str,
    options: &Options,
    changes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>,
) -> Result<Vec<Vec<u8>>, OpenError> {
    let format = changeable(map_type, path, "update")?;
    let is_legal = |key: &[u8]| format != Format::Lmdb || (1..lmdb::KEY_MAX).contains(&key.len());
    let (legal, refused): (Vec<_>, Vec<_>) = changes.iter().partition(|(key, _)| is_legal(key));
    if format == Format::Lmdb && file_of(map_type, path).is_some_and(|file| file.exists()) {
        in_place(path, &legal)?;
    } else {
        let mut builder = Builder::update(map_type, path, options)?;
        builder.remove_all(legal.iter().map(|(key, _)| key.as_slice()));
        for (key, value) in legal {
            if let Some(value) = value {
                builder.replace(key, value)?;
            }
        }
        builder.finish(path, 0o644)?;
    }
    Ok(refused.into_iter().map(|(key, _)| key.clone()).collect())
}

/// Changes an LMDB file, in which keys and values have a null byte, as Postfix writes them.
fn in_place(path: &str, changes: &[(&Vec<u8>, &Option<Vec<u8>>)]) -> Result<(), OpenError> {
    let stored = |text: &[u8]| [text, b"\0"].concat();
    let mut all: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    for (key, value) in changes {
        all.insert((*key).clone(), None);
        all.insert(stored(key), value.as_deref().map(stored));
    }
    let changes: Vec<(&[u8], Change<'_>)> = all
        .iter()
        .map(|(key, value)| (key.as_slice(), value.as_deref().map_or(Change::Remove, Change::Set)))
        .collect();
    let missing = || OpenError::new(format!("table lmdb:{path}: the file is gone"));
    let written = Transaction::begin(path)?.ok_or_else(missing)?.commit(&changes);
    written
        .map(drop)
        .map_err(|error| OpenError::new(format!("table lmdb:{path}: update error: {}", errno_text(&error))))
}

impl Builder {
    /// Takes keys out of what was in the file, in both spellings.
    fn remove_all<'k>(&mut self, keys: impl Iterator<Item = &'k [u8]>) {
        self.records.sort();
        let mut gone = BTreeSet::new();
        for key in keys {
            gone.extend(self.records.position(key));
            gone.extend(self.records.position(&[key, b"\0"].concat()));
        }
        self.records.remove(&gone);
    }
}
