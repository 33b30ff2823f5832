//! What tests stand on: tables whose answers are at hand, a runner for futures that never wait, and a disk without files.

use crate::{Answer, Disk, DiskFile, FileStatus, OpenMode, Table, Tables};
use std::{
    cell::RefCell,
    collections::HashMap,
    ffi::OsStr,
    future::Future,
    io,
    path::Path,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use types::{Lookup, Trouble, WallTime};

/// Runs a future whose answers are all at hand.
///
/// # Panics
/// If it waits for something.
#[allow(clippy::panic, reason = "a test says so by ending")]
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an answer was not at hand"),
    }
}

/// Tables with entries by hand, every key that is asked written down.
///
/// A table's own name may hold entries, `inline:{ {key = value} {key = value} }`, as Postfix spells it. A table
/// named `pattern:...` is one of patterns, `fail:...` is trouble.
#[derive(Default)]
pub struct FakeTables {
    entries: Vec<(String, String, String)>,
    files: HashMap<String, String>,
    asked: Rc<RefCell<Vec<String>>>,
}

impl FakeTables {
    /// Tables with entries: `table key value` triples.
    #[must_use]
    pub fn new(entries: &[(&str, &str, &str)]) -> Self {
        let entries = entries.iter().map(|&(table, key, value)| (table.into(), key.into(), value.into()));
        Self { entries: entries.collect(), ..Self::default() }
    }

    /// The same with a file that a match list may name.
    #[must_use]
    pub fn with_file(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }

    /// The keys that were asked since the last call, separated by spaces.
    #[must_use]
    pub fn asked(&self) -> String {
        self.asked.take().join(" ")
    }
}

impl Tables for FakeTables {
    fn open(&self, name: &str) -> Rc<dyn Table> {
        let own = self.entries.iter().filter(|(table, ..)| table == name);
        let own = own.map(|(_, key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let entries = own.chain(inline(name)).collect();
        Rc::new(FakeTable { name: name.into(), entries, asked: Rc::clone(&self.asked) })
    }

    fn pattern_file(&self, path: &str) -> Result<Vec<u8>, Trouble> {
        self.files.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| Trouble::new("no such file"))
    }
}

fn inline(name: &str) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
    let entries = name.strip_prefix("inline:{").unwrap_or_default().split('{').skip(1);
    let pairs = entries.filter_map(|entry| entry.split('}').next()?.split_once(" = "));
    pairs.map(|(key, value)| (key.trim().into(), value.trim().into()))
}

struct FakeTable {
    name: String,
    entries: HashMap<Vec<u8>, Vec<u8>>,
    asked: Rc<RefCell<Vec<String>>>,
}

impl Table for FakeTable {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        self.asked.borrow_mut().push(String::from_utf8_lossy(key).into_owned());
        if self.name.starts_with("fail:") {
            return Answer::ready(Lookup::TryAgain(Trouble::new("always")));
        }
        Answer::ready(self.entries.get(key).map_or(Lookup::Absent, |value| Lookup::Found(value.clone())))
    }

    fn is_pattern(&self) -> bool {
        self.name.starts_with("pattern:")
    }
}

/// For a world that needs no files: nothing can be made, and nothing is there.
#[derive(Clone, Copy, Debug)]
pub struct NoDisk;

fn none<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl DiskFile for NoDisk {
    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
        none()
    }
    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        none()
    }
    fn append(&self, _: &[u8]) -> io::Result<()> {
        none()
    }
    fn set_len(&self, _: u64) -> io::Result<()> {
        none()
    }
    fn sync(&self) -> io::Result<()> {
        none()
    }
    fn set_mode(&self, _: u32) -> io::Result<()> {
        none()
    }
    fn set_modified(&self, _: WallTime) -> io::Result<()> {
        none()
    }
    fn status(&self) -> io::Result<FileStatus> {
        none()
    }
    fn try_lock(&self) -> io::Result<bool> {
        none()
    }
}

impl Disk for NoDisk {
    type File = Self;
    fn create(&self, _: &Path, _: u32) -> io::Result<Self> {
        none()
    }
    fn open(&self, _: &Path, _: OpenMode) -> io::Result<Self> {
        none()
    }
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        none()
    }
    fn unlink(&self, _: &Path) -> io::Result<()> {
        none()
    }
    fn make_directory(&self, _: &Path, _: u32) -> io::Result<()> {
        none()
    }
    fn nonce(&self) -> u64 {
        0
    }
    fn status(&self, _: &Path) -> io::Result<FileStatus> {
        none()
    }
    fn list(&self, _: &Path, _: &mut dyn FnMut(&OsStr) -> bool) -> io::Result<()> {
        none()
    }
    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        none()
    }
    fn free_bytes(&self) -> io::Result<u64> {
        none()
    }
}
