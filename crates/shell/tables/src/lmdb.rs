//! `lmdb:` tables (lmdb_table(5)): the file format of LMDB 0.9, without its library.
//!
//! The file is a copy-on-write B+tree with two root pages ("metas") that are written in turn; the newer one
//! counts. A writer never touches a page of the newest snapshot until it has written another meta, so a
//! reader that finds the same meta before and after its reads has seen one consistent snapshot. That is
//! all the locking a look-up needs, and a look-up whose pages are in the cache makes no system call.
//! Whether there is a newer snapshot is asked when a table's freshness is (see `freshness`).

mod write;

pub(crate) use write::write_lmdb;

use crate::{
    OpenError, Source,
    pages::{NullBytes, PageFile, c_string, find_either, part, u16_at, u32_at, u64_at},
    source::Entries,
};
use std::{cell::Cell, cmp::Ordering, fs::File, os::unix::fs::FileExt, rc::Rc};
use types::{Lookup, Trouble};

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
/// No page: the root of an empty tree.
const NO_PAGE: u64 = u64::MAX;
const HEADER: usize = 16;
const META_SIZE: usize = 152;
const P_BRANCH: u16 = 0x01;
const P_LEAF: u16 = 0x02;
const P_OVERFLOW: u16 = 0x04;
const F_BIGDATA: u16 = 0x01;
/// A tree deeper than this is a loop in a broken file.
const DEPTH_MAX: usize = 32;
/// How often a look-up is repeated while a writer is busy.
const ATTEMPTS: usize = 8;

/// What of a meta page is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meta {
    page_size: usize,
    root: u64,
    entries: u64,
    last_page: u64,
    transaction: u64,
}

fn parse_meta(page: &[u8]) -> Option<Meta> {
    let page_size = usize::try_from(u32_at(page, 40)?).ok()?;
    let flags = u16_at(page, 92)?;
    let sound = u32_at(page, 16)? == MAGIC
        && u32_at(page, 20)? == VERSION
        && page_size.is_power_of_two()
        && (512..=65536).contains(&page_size)
        // Keys in another order, or several values for a key: not a table of Postfix.
        && flags == 0;
    sound.then_some(Meta {
        page_size,
        entries: u64_at(page, 120)?,
        root: u64_at(page, 128)?,
        last_page: u64_at(page, 136)?,
        transaction: u64_at(page, 144)?,
    })
}

/// The newer of the two metas; `None` unless both are there: the one that is left of a file that was cut or
/// overwritten may be that of an older table, or of an empty one.
fn newest_meta(file: &File) -> std::io::Result<Option<Meta>> {
    let read = |offset| -> std::io::Result<Option<Meta>> {
        let mut page = [0; META_SIZE];
        match file.read_exact_at(&mut page, offset) {
            Ok(()) => Ok(parse_meta(&page)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    };
    let first = read(0)?;
    let second = read(first.map_or(4096, |meta| meta.page_size as u64))?;
    Ok(match (first, second) {
        (Some(first), Some(second)) if second.transaction > first.transaction => Some(second),
        (Some(first), Some(_)) => Some(first),
        _ => None,
    })
}

/// An opened table.
pub(crate) struct LmdbTable {
    pages: PageFile,
    meta: Cell<Meta>,
    nulls: Cell<NullBytes>,
    /// Set when a page was read from the file: then the meta must be compared afterwards.
    read: Cell<bool>,
}

/// `lmdb:/path` for `/path.lmdb`
pub(crate) fn open_lmdb(path: &str) -> Result<LmdbTable, OpenError> {
    let file_name = format!("{path}.lmdb");
    let failed = |error: &std::io::Error| OpenError::io("open database", &file_name, error);
    let file = File::open(&file_name).map_err(|error| {
        let remedy = format!("; run \"postmap lmdb:{path}\" (or postalias) to build it");
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        if missing { failed(&error).with_remedy(&remedy) } else { failed(&error) }
    })?;
    match newest_meta(&file).map_err(|error| failed(&error))? {
        Some(meta) => Ok(LmdbTable {
            pages: PageFile::new(file, &file_name, meta.page_size),
            meta: Cell::new(meta),
            nulls: Cell::default(),
            read: Cell::new(false),
        }),
        None => Err(OpenError::new(format!(
            "open database {file_name}: not an LMDB table; run \"postmap lmdb:{path}\" (or postalias) to rebuild it"
        ))),
    }
}

/// A node of a page: where in the tree it leads, or what it holds.
struct Node<'a> {
    low: u16,
    high: u16,
    flags: u16,
    key: &'a [u8],
    rest: &'a [u8],
}

fn node(page: &[u8], index: usize) -> Option<Node<'_>> {
    let at = usize::from(u16_at(page, HEADER + 2 * index)?);
    let key_size = usize::from(u16_at(page, at + 6)?);
    Some(Node {
        low: u16_at(page, at)?,
        high: u16_at(page, at + 2)?,
        flags: u16_at(page, at + 4)?,
        key: part(page, at + 8, key_size)?,
        rest: page.get(at + 8 + key_size..)?,
    })
}

fn node_count(page: &[u8]) -> Option<usize> {
    usize::from(u16_at(page, 12)?).checked_sub(HEADER).map(|bytes| bytes / 2)
}

impl Node<'_> {
    fn child(&self) -> u64 {
        u64::from(self.low) | u64::from(self.high) << 16 | u64::from(self.flags) << 32
    }

    fn data_size(&self) -> usize {
        usize::from(self.low) | usize::from(self.high) << 16
    }
}

impl LmdbTable {
    /// Takes up a newer snapshot, if there is one.
    pub(crate) fn refresh(&self) -> Result<(), Trouble> {
        let meta = self.newest()?;
        if meta != self.meta.get() {
            self.pages.forget();
            self.meta.set(meta);
        }
        Ok(())
    }

    fn newest(&self) -> Result<Meta, Trouble> {
        match newest_meta(self.pages.file()) {
            Ok(Some(meta)) if meta.page_size == self.pages.page_size() => Ok(meta),
            Ok(_) => Err(self.pages.corrupt("the file is no longer an LMDB table")),
            Err(error) => Err(Trouble::new(format!("{}: {error}", self.pages.corrupt("cannot be read")))),
        }
    }

    fn page(&self, number: u64, kind: u16) -> Result<Rc<[u8]>, Trouble> {
        if number > self.meta.get().last_page {
            return Err(self.pages.corrupt("a page number is out of range"));
        }
        let (page, cached) = self.pages.page(number)?;
        if !cached {
            self.read.set(true);
        }
        if u64_at(&page, 0) != Some(number) || u16_at(&page, 10).is_none_or(|flags| flags & kind == 0) {
            return Err(self.pages.corrupt("a page is not what it should be"));
        }
        Ok(page)
    }

    /// Reads a snapshot through `work`, again when a writer has been faster.
    fn consistently<T>(&self, work: impl Fn() -> Result<T, Trouble>) -> Result<T, Trouble> {
        for _ in 0..ATTEMPTS {
            self.read.set(false);
            let outcome = work();
            if !self.read.get() || self.newest()? == self.meta.get() {
                return outcome;
            }
            self.refresh()?;
        }
        Err(self.pages.corrupt("the file changes all the time"))
    }

    fn find(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        let mut number = self.meta.get().root;
        if number == NO_PAGE {
            return Ok(None);
        }
        for _ in 0..DEPTH_MAX {
            let page = self.page(number, P_BRANCH | P_LEAF)?;
            let leaf = u16_at(&page, 10).is_some_and(|flags| flags & P_LEAF != 0);
            let bad = || self.pages.corrupt("a page is damaged");
            let place = search(&page, key, leaf).ok_or_else(bad)?;
            if !leaf {
                number =
                    node(&page, place.unwrap_or_else(|next| next.saturating_sub(1))).ok_or_else(bad)?.child();
                continue;
            }
            return match place {
                Ok(index) => self.value(&node(&page, index).ok_or_else(bad)?).map(Some),
                Err(_) => Ok(None),
            };
        }
        Err(self.pages.corrupt("the tree is too deep"))
    }

    fn value(&self, node: &Node<'_>) -> Result<Vec<u8>, Trouble> {
        let bad = || self.pages.corrupt("an entry is damaged");
        let size = node.data_size();
        match node.flags {
            0 => Ok(part(node.rest, 0, size).ok_or_else(bad)?.to_vec()),
            F_BIGDATA => {
                let first = u64_at(node.rest, 0).ok_or_else(bad)?;
                self.page(first, P_OVERFLOW)?;
                let page_size = self.pages.page_size() as u64;
                let end = first.checked_mul(page_size).and_then(|at| at.checked_add((HEADER + size) as u64));
                let limit = self.meta.get().last_page.saturating_add(1).saturating_mul(page_size);
                if end.is_none_or(|end| end > limit) {
                    return Err(bad());
                }
                self.read.set(true);
                self.pages.read_at(first * page_size + HEADER as u64, size)
            }
            _ => Err(bad()),
        }
    }

    fn walk(&self, number: u64, depth: usize, entries: &mut Entries) -> Result<(), Trouble> {
        if depth > DEPTH_MAX || entries.len() as u64 > self.meta.get().entries {
            return Err(self.pages.corrupt("the tree has a loop"));
        }
        let page = self.page(number, P_BRANCH | P_LEAF)?;
        let leaf = u16_at(&page, 10).is_some_and(|flags| flags & P_LEAF != 0);
        let bad = || self.pages.corrupt("a page is damaged");
        for index in 0..node_count(&page).ok_or_else(bad)? {
            let node = node(&page, index).ok_or_else(bad)?;
            if leaf {
                entries.push((node.key.to_vec(), self.value(&node)?));
            } else {
                self.walk(node.child(), depth + 1, entries)?;
            }
        }
        Ok(())
    }
}

/// Binary search in a page: `Ok` for the key itself, `Err` for where it would stand. The first key of a
/// branch page is less than everything.
fn search(page: &[u8], key: &[u8], leaf: bool) -> Option<Result<usize, usize>> {
    let count = node_count(page)?;
    let (mut low, mut high) = (usize::from(!leaf), count);
    while low < high {
        let middle = low + (high - low) / 2;
        match node(page, middle)?.key.cmp(key) {
            Ordering::Equal => return Some(Ok(middle)),
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
        }
    }
    Some(Err(low))
}

impl Source for LmdbTable {
    fn get(&self, key: &[u8]) -> Lookup {
        find_either(&self.nulls, key, |key| self.consistently(|| self.find(key)))
    }

    fn refresh(&self) -> Result<(), Trouble> {
        LmdbTable::refresh(self)
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Trouble> {
        let entries = self.consistently(|| {
            let mut entries = Vec::new();
            let root = self.meta.get().root;
            if root != NO_PAGE {
                self.walk(root, 0, &mut entries)?;
            }
            Ok(entries)
        })?;
        entries.iter().for_each(|(key, value)| visit(c_string(key), c_string(value)));
        Ok(())
    }
}
