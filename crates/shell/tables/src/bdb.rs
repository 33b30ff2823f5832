//! `hash:` and `btree:` tables: files of Berkeley DB 5.3, read without its library.
//!
//! Postfix rewrites such a file in place under an exclusive flock(2) lock. So the file is opened and
//! its status taken under a shared lock, and a look-up that had to read pages looks at the status again: if
//! the file has changed, the table is opened anew and the look-up repeated. Nothing in the file is
//! trusted: page numbers, lengths and chains are checked, and every walk is bounded.

mod btree;
mod hash;
mod write;
mod write_btree;
mod write_hash;

pub(crate) use write_btree::write_btree;
pub(crate) use write_hash::write_hash;

use crate::{
    OpenError, Options, Source, lent,
    pages::{PageFile, StoredNull, c_string, find_either, part, u16_at, u32_at},
    source::{Entries, errno_text},
};
use rustix::fs::{FlockOperation, flock};
use std::{
    cell::{Cell, RefCell},
    fs::File,
    os::unix::fs::{FileExt, MetadataExt},
};
use types::Trouble;

/// The access method of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Hash,
    Btree,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Btree => "btree",
        }
    }

    const fn magic(self) -> u32 {
        match self {
            Self::Hash => 0x0006_1561,
            Self::Btree => 0x0005_3162,
        }
    }
}

pub(crate) const HASH_VERSION: u32 = 9;
const PAGE_HEADER: usize = 26;
const TYPE_AT: usize = 25;
const P_OVERFLOW: u8 = 7;
const META_SIZE: usize = 512;

/// Where the content of an item is: on its page, or elsewhere.
#[derive(Clone, Copy)]
enum Item {
    Here { at: usize, length: usize },
    Elsewhere { first: u32, length: u32 },
}

/// One opening of the file.
struct Snapshot {
    pages: PageFile,
    page_size: usize,
    last_page: u32,
    meta: Vec<u8>,
    status: Status,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    size: u64,
    modified: (i64, i64),
    inode: u64,
}

fn status(file: &File) -> std::io::Result<Status> {
    let data = file.metadata()?;
    Ok(Status { size: data.size(), modified: (data.mtime(), data.mtime_nsec()), inode: data.ino() })
}

/// An opened table.
pub(crate) struct BdbTable {
    path: String,
    method: Method,
    current: RefCell<Snapshot>,
    nulls: Cell<StoredNull>,
}

/// `hash:/path` or `btree:/path` for `/path.db`
pub(crate) fn open_bdb(path: &str, method: Method, options: &Options) -> Result<BdbTable, OpenError> {
    let snapshot = Snapshot::open(path, method)?;
    Ok(BdbTable {
        path: path.to_owned(),
        method,
        current: RefCell::new(snapshot),
        nulls: Cell::new(options.nulls),
    })
}

/// All keys and values of a file as they are stored. The file is locked by the caller.
pub(crate) fn entries_of(file: File, path: &str, method: Method) -> Result<Entries, OpenError> {
    let entries = Snapshot::of(file, path, method)?.entries(method);
    entries.map_err(|trouble| OpenError::new(trouble.to_string()))
}

impl Snapshot {
    fn open(path: &str, method: Method) -> Result<Self, OpenError> {
        let file_name = format!("{path}.db");
        let kind = method.name();
        let failed = |error: &std::io::Error| OpenError::io("open database", &file_name, error);
        let file = lent::open(file_name.as_ref()).map_err(|error| {
            let remedy = format!("; run \"postmap {kind}:{path}\" (or postalias) to build it");
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            if missing { failed(&error).with_remedy(&remedy) } else { failed(&error) }
        })?;
        // Waits while a writer is at work.
        flock(&file, FlockOperation::LockShared).map_err(|error| failed(&error.into()))?;
        let snapshot = Self::of(file, path, method)?;
        let file = snapshot.pages.file();
        flock(file, FlockOperation::Unlock).map_err(|error| failed(&error.into()))?;
        Ok(snapshot)
    }

    /// Takes up a file that nobody changes now.
    fn of(file: File, path: &str, method: Method) -> Result<Self, OpenError> {
        let file_name = format!("{path}.db");
        let kind = method.name();
        let remedy = format!("; run \"postmap {kind}:{path}\" (or postalias) to build it");
        let failed = |error: &std::io::Error| OpenError::io("open database", &file_name, error);
        let refuse =
            |why: &str| OpenError::new(format!("open database {file_name}: {why}")).with_remedy(&remedy);
        let status = status(&file).map_err(|error| failed(&error))?;
        let mut meta = vec![0; META_SIZE];
        let read = file.read_exact_at(&mut meta, 0);
        read.map_err(|_| refuse(&format!("not a Berkeley DB {kind} file")))?;
        let number = |at| u32_at(&meta, at).unwrap_or(0);
        if number(12) == method.magic().swap_bytes() {
            return Err(refuse("written on a machine of the other byte order"));
        }
        if number(12) != method.magic() {
            return Err(refuse(&format!("not a Berkeley DB {kind} file")));
        }
        let page_size = usize::try_from(number(20)).unwrap_or(0);
        if !page_size.is_power_of_two() || !(512..=65536).contains(&page_size) {
            return Err(refuse("the page size is wrong"));
        }
        if meta.get(24) != Some(&0) || meta.get(26).is_none_or(|flags| flags & 1 != 0) {
            return Err(refuse("encrypted or with checksums, which Postfix never makes"));
        }
        let last_page = number(32);
        let pages = PageFile::new(file, &file_name).map_err(|error| failed(&error))?;
        Ok(Self { pages, page_size, last_page, meta, status })
    }

    fn entries(&mut self, method: Method) -> Result<Entries, Trouble> {
        match method {
            Method::Hash => hash::entries(self),
            Method::Btree => btree::entries(self),
        }
    }

    fn number(&self, at: usize) -> u32 {
        u32_at(&self.meta, at).unwrap_or(0)
    }

    fn bad(&self) -> Trouble {
        self.pages.corrupt("the file is damaged")
    }

    /// A page of one of the given types.
    fn page(&mut self, number: u32, types: &[u8]) -> Result<&[u8], Trouble> {
        if number > self.last_page {
            return Err(self.bad());
        }
        let place = self.pages.fetch(u64::from(number) * self.page_size as u64, self.page_size)?;
        let page = self.pages.at(place);
        let kind = page.get(TYPE_AT).copied().filter(|kind| types.contains(kind));
        // A page that was never used has no number.
        let own = if kind == Some(0) { 0 } else { number };
        if kind.is_some() && u32_at(page, 8) == Some(own) { Ok(page) } else { Err(self.bad()) }
    }

    /// Takes the content of an item that `item` finds on a page of one of these types.
    fn content(
        &mut self,
        (number, types): (u32, &[u8]),
        item: impl FnOnce(&[u8]) -> Option<Item>,
        into: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        let page = self.page(number, types)?;
        match item(page) {
            Some(Item::Here { at, length }) => {
                into.clear();
                into.extend_from_slice(part(page, at, length).unwrap_or_default());
                Ok(())
            }
            Some(Item::Elsewhere { first, length }) => self.overflow(first, length, into),
            None => Err(self.bad()),
        }
    }

    /// Takes an item that is too large for its page: a chain of pages.
    fn overflow(&mut self, first: u32, length: u32, bytes: &mut Vec<u8>) -> Result<(), Trouble> {
        let length = usize::try_from(length).map_err(|_| self.bad())?;
        if length as u64 > self.pages.size() {
            return Err(self.bad());
        }
        bytes.clear();
        let mut number = first;
        while number != 0 && bytes.len() < length {
            let page = self.page(number, &[P_OVERFLOW])?;
            let used = u16_at(page, 22).map(usize::from);
            // An empty link could be part of a loop.
            let content = used.filter(|used| *used > 0).and_then(|used| part(page, PAGE_HEADER, used));
            match (content, next_page(page)) {
                (Some(content), Some(next)) => {
                    bytes.extend_from_slice(content);
                    number = next;
                }
                _ => return Err(self.bad()),
            }
        }
        if bytes.len() == length { Ok(()) } else { Err(self.bad()) }
    }
}

fn next_page(page: &[u8]) -> Option<u32> {
    u32_at(page, 16)
}

fn entry_count(page: &[u8]) -> Option<usize> {
    u16_at(page, 20).map(usize::from)
}

/// Offset of an entry.
fn entry_at(page: &[u8], index: usize) -> Option<usize> {
    u16_at(page, PAGE_HEADER + 2 * index).map(usize::from)
}

impl BdbTable {
    /// Runs `work` on one consistent state of the file.
    fn consistently<T>(
        &self,
        mut work: impl FnMut(&mut Snapshot) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        const ATTEMPTS: usize = 8;
        let mut snapshot = self.current.borrow_mut();
        for _ in 0..ATTEMPTS {
            snapshot.pages.start();
            let outcome = work(&mut snapshot);
            if !snapshot.pages.has_read() || !self.has_changed(&snapshot)? {
                return outcome;
            }
            *snapshot = self.open_again()?;
        }
        Err(Trouble::new(format!(
            "{}.db: the file changes all the time; look-ups go on when it no longer does",
            self.path
        )))
    }

    fn has_changed(&self, snapshot: &Snapshot) -> Result<bool, Trouble> {
        match status(snapshot.pages.file()) {
            Ok(status) => Ok(status != snapshot.status),
            Err(error) => Err(Trouble::new(format!("{}.db: {}", self.path, errno_text(&error)))),
        }
    }

    fn open_again(&self) -> Result<Snapshot, Trouble> {
        Snapshot::open(&self.path, self.method).map_err(|error| Trouble::new(error.to_string()))
    }
}

impl Source for BdbTable {
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        find_either(&self.nulls, key, value, |key, value| {
            self.consistently(|snapshot| match self.method {
                Method::Hash => hash::find(snapshot, key, value),
                Method::Btree => btree::find(snapshot, key, value),
            })
        })
    }

    fn refresh(&self) -> Result<(), Trouble> {
        let mut snapshot = self.current.borrow_mut();
        if self.has_changed(&snapshot)? {
            *snapshot = self.open_again()?;
        }
        Ok(())
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Trouble> {
        let entries = self.consistently(|snapshot| snapshot.entries(self.method))?;
        entries.iter().for_each(|(key, value)| visit(c_string(key), c_string(value)));
        Ok(())
    }
}
