//! `hash:` and `btree:` tables: files of Berkeley DB 5.3, read without its library.
//!
//! Postfix rewrites such a file in place under an exclusive flock(2) lock. So the file is opened and
//! its status taken under a shared lock, and a look-up that had to read pages looks at the status again: if
//! the file has changed, the table is opened anew and the look-up repeated. Nothing in the file is
//! trusted: page numbers, lengths and chains are checked, and every walk is bounded.

mod btree;
mod hash;
mod write;

pub(crate) use write::write_hash;

use crate::{
    OpenError, Source,
    pages::{NullBytes, PageFile, c_string, find_either, part, u16_at, u32_at},
    source::errno_text,
};
use rustix::fs::{FlockOperation, flock};
use std::{
    cell::{Cell, RefCell},
    fs::File,
    os::unix::fs::{FileExt, MetadataExt},
    rc::Rc,
};
use types::{Lookup, Trouble};

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

/// One opening of the file.
struct Snapshot {
    pages: PageFile,
    last_page: u32,
    meta: Vec<u8>,
    status: Status,
    read: Cell<bool>,
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
    current: RefCell<Rc<Snapshot>>,
    nulls: Cell<NullBytes>,
}

/// `hash:/path` or `btree:/path` for `/path.db`
pub(crate) fn open_bdb(path: &str, method: Method) -> Result<BdbTable, OpenError> {
    let snapshot = Snapshot::open(path, method)?;
    Ok(BdbTable {
        path: path.to_owned(),
        method,
        current: RefCell::new(Rc::new(snapshot)),
        nulls: Cell::default(),
    })
}

impl Snapshot {
    fn open(path: &str, method: Method) -> Result<Self, OpenError> {
        let file_name = format!("{path}.db");
        let kind = method.name();
        let remedy = format!("; run \"postmap {kind}:{path}\" (or postalias) to build it");
        let failed = |error: &std::io::Error| OpenError::io("open database", &file_name, error);
        let file = File::open(&file_name).map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            if missing { failed(&error).with_remedy(&remedy) } else { failed(&error) }
        })?;
        let refuse =
            |why: &str| OpenError::new(format!("open database {file_name}: {why}")).with_remedy(&remedy);
        // Waits while a writer is at work.
        flock(&file, FlockOperation::LockShared).map_err(|error| failed(&error.into()))?;
        let status = status(&file).map_err(|error| failed(&error))?;
        let mut meta = vec![0; META_SIZE];
        let read = file.read_exact_at(&mut meta, 0);
        flock(&file, FlockOperation::Unlock).map_err(|error| failed(&error.into()))?;
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
        let pages = PageFile::new(file, &file_name, page_size);
        Ok(Self { pages, last_page: number(32), meta, status, read: Cell::new(false) })
    }

    fn number(&self, at: usize) -> u32 {
        u32_at(&self.meta, at).unwrap_or(0)
    }

    fn bad(&self) -> Trouble {
        self.pages.corrupt("the file is damaged")
    }

    /// A page of one of the given types.
    fn page(&self, number: u32, types: &[u8]) -> Result<Rc<[u8]>, Trouble> {
        if number > self.last_page {
            return Err(self.bad());
        }
        let (page, cached) = self.pages.page(number.into())?;
        if !cached {
            self.read.set(true);
        }
        let right_type = page.get(TYPE_AT).is_some_and(|kind| types.contains(kind));
        if right_type && u32_at(&page, 8) == Some(number) { Ok(page) } else { Err(self.bad()) }
    }

    /// An item that is too large for its page: a chain of pages.
    fn overflow(&self, first: u32, length: u32) -> Result<Vec<u8>, Trouble> {
        let length = usize::try_from(length).map_err(|_| self.bad())?;
        let file_size = usize::try_from(self.status.size).unwrap_or(usize::MAX);
        if length > file_size {
            return Err(self.bad());
        }
        let mut bytes = Vec::with_capacity(length);
        let mut number = first;
        while number != 0 && bytes.len() < length {
            let page = self.page(number, &[P_OVERFLOW])?;
            let used = usize::from(u16_at(&page, 22).ok_or_else(|| self.bad())?);
            // An empty link could be part of a loop.
            if used == 0 {
                return Err(self.bad());
            }
            bytes.extend_from_slice(part(&page, PAGE_HEADER, used).ok_or_else(|| self.bad())?);
            number = next_page(&page).ok_or_else(|| self.bad())?;
        }
        if bytes.len() == length { Ok(bytes) } else { Err(self.bad()) }
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
    fn consistently<T>(&self, work: impl Fn(&Snapshot) -> Result<T, Trouble>) -> Result<T, Trouble> {
        const ATTEMPTS: usize = 8;
        for _ in 0..ATTEMPTS {
            let snapshot = Rc::clone(&self.current.borrow());
            snapshot.read.set(false);
            let outcome = work(&snapshot);
            if !snapshot.read.get() || !self.has_changed(&snapshot)? {
                return outcome;
            }
            self.reopen()?;
        }
        Err(Trouble::new(format!("{}.db: the file changes all the time", self.path)))
    }

    fn has_changed(&self, snapshot: &Snapshot) -> Result<bool, Trouble> {
        match status(snapshot.pages.file()) {
            Ok(status) => Ok(status != snapshot.status),
            Err(error) => Err(Trouble::new(format!("{}.db: {}", self.path, errno_text(&error)))),
        }
    }

    fn reopen(&self) -> Result<(), Trouble> {
        let fresh =
            Snapshot::open(&self.path, self.method).map_err(|error| Trouble::new(error.to_string()))?;
        *self.current.borrow_mut() = Rc::new(fresh);
        Ok(())
    }
}

impl Source for BdbTable {
    fn get(&self, key: &[u8]) -> Lookup {
        find_either(&self.nulls, key, |key| {
            self.consistently(|snapshot| match self.method {
                Method::Hash => hash::find(snapshot, key),
                Method::Btree => btree::find(snapshot, key),
            })
        })
    }

    fn refresh(&self) -> Result<(), Trouble> {
        let snapshot = Rc::clone(&self.current.borrow());
        if self.has_changed(&snapshot)? { self.reopen() } else { Ok(()) }
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Trouble> {
        let entries = self.consistently(|snapshot| match self.method {
            Method::Hash => hash::entries(snapshot),
            Method::Btree => btree::entries(snapshot),
        })?;
        entries.iter().for_each(|(key, value)| visit(c_string(key), c_string(value)));
        Ok(())
    }
}
