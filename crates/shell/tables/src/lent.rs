//! Files that master opened for this process because only root may read them (docs/privileges.md, "Root's files").
//!
//! They belong to the process, as its descriptors do; which there are, the configuration decides, and master.

use std::{
    collections::BTreeMap,
    fs::{File, Metadata},
    io::{self, BufRead, BufReader, Cursor},
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

static LENT: Mutex<BTreeMap<PathBuf, Arc<File>>> = Mutex::new(BTreeMap::new());

/// How much is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

fn all() -> MutexGuard<'static, BTreeMap<PathBuf, Arc<File>>> {
    LENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on `path` is this file, for all tables of the process.
pub fn lend(path: PathBuf, file: OwnedFd) {
    all().insert(path, Arc::new(file.into()));
}

fn find(path: &Path) -> Option<Arc<File>> {
    all().get(path).map(Arc::clone)
}

/// Opens a file for reads at positions: others may have the same one, and its offset.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    match find(path) {
        Some(file) => file.try_clone(),
        None => File::open(path),
    }
}

/// Reads a whole file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    match find(path) {
        Some(file) => read_at_start(&file),
        None => std::fs::read(path),
    }
}

/// Opens a file for reading from its beginning.
pub(crate) fn reader(path: &Path) -> io::Result<Box<dyn BufRead>> {
    Ok(match find(path) {
        Some(file) => Box::new(Cursor::new(read_at_start(&file)?)),
        None => Box::new(BufReader::new(File::open(path)?)),
    })
}

/// What tells one state of a file from another. A lent file that was replaced is the old one until master lends the new one.
pub(crate) fn metadata(path: &Path) -> io::Result<Metadata> {
    match find(path) {
        Some(file) => file.metadata(),
        None => std::fs::metadata(path),
    }
}

fn read_at_start(file: &File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let start = content.len();
        content.resize(start + CHUNK_BYTES, 0);
        let count = file.read_at(&mut content[start..], start as u64)?;
        content.truncate(start + count);
        if count == 0 {
            return Ok(content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lent_file_is_read_from_its_start_however_often() {
        let folder = tempfile::tempdir().unwrap();
        let (real, named) = (folder.path().join("real"), folder.path().join("named"));
        let content = vec![b'x'; CHUNK_BYTES + 5];
        std::fs::write(&real, &content).unwrap();
        assert!(read(&named).is_err());
        lend(named.clone(), File::open(&real).unwrap().into());
        for _ in 0..2 {
            assert_eq!(read(&named).unwrap(), content);
            let mut streamed = Vec::new();
            reader(&named).unwrap().read_to_end(&mut streamed).unwrap();
            assert_eq!(streamed, content);
        }
        assert_eq!(metadata(&named).unwrap().len(), content.len() as u64);
        std::fs::write(&real, "other").unwrap();
        lend(named.clone(), File::open(&real).unwrap().into());
        assert_eq!(read(&named).unwrap(), b"other");
    }
}
