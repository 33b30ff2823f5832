//! `lmdb:` tables (lmdb_table(5)): the file format of LMDB 0.9, without its library.
//!
//! The file is a copy-on-write B+tree with two root pages ("metas") that are written in turn; the newer one
//! counts. A writer never touches a page of the newest snapshot until it has written another meta, so a
//! reader that finds the same meta before and after its reads has seen one consistent snapshot. That is
//! all the locking a look-up needs, and a look-up whose pages are in the cache makes no system call.
//! Whether there is a newer snapshot is asked when a table's freshness is (see `freshness`).

mod free;
mod update;
mod write;

pub(crate) use update::{Change, Transaction};
pub(crate) use write::{KEY_MAX, write_lmdb};

use crate::{
    OpenError, Options, Source, lent,
    pages::{PageFile, StoredNull, c_string, find_either, part, u16_at, u32_at, u64_at},
    source::Entries,
};
use std::{
    cell::{Cell, RefCell},
    cmp::Ordering,
    fs::File,
    ops::Range,
    os::unix::fs::FileExt,
};
use types::Trouble;

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
    map_size: u64,
    /// The root of the tree that lists pages that are free.
    free_root: u64,
    root: u64,
    counts: write::Counts,
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
    let counts = write::Counts {
        depth: u16_at(page, 94)?,
        branch: u64_at(page, 96)?,
        leaf: u64_at(page, 104)?,
        overflow: u64_at(page, 112)?,
    };
    sound.then_some(Meta {
        page_size,
        map_size: u64_at(page, 32)?,
        free_root: u64_at(page, 80)?,
        counts,
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
    file: RefCell<Lmdb>,
    nulls: Cell<StoredNull>,
}

/// The file, and the snapshot of it that is looked at.
struct Lmdb {
    pages: PageFile,
    meta: Meta,
}

/// `lmdb:/path` for `/path.lmdb`
pub(crate) fn open_lmdb(path: &str, options: &Options) -> Result<LmdbTable, OpenError> {
    let file_name = format!("{path}.lmdb");
    let failed = |error: &std::io::Error| OpenError::io("open database", &file_name, error);
    let file = lent::open(file_name.as_ref()).map_err(|error| {
        let remedy = format!("; run \"postmap lmdb:{path}\" (or postalias) to build it");
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        if missing { failed(&error).with_remedy(&remedy) } else { failed(&error) }
    })?;
    match newest_meta(&file).map_err(|error| failed(&error))? {
        Some(meta) => {
            let pages = PageFile::new(file, &file_name).map_err(|error| failed(&error))?;
            Ok(LmdbTable { file: RefCell::new(Lmdb { pages, meta }), nulls: Cell::new(options.nulls) })
        }
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

/// What a page says about a key.
enum Step {
    /// Ask this page.
    Down(u64),
    Absent,
    /// The value is so long, and here in the page.
    Here {
        at: usize,
        size: usize,
    },
    /// The value is so long, and begins after the header of this page.
    Elsewhere {
        page: u64,
        size: usize,
    },
}

/// What a page says; `None` for one that is damaged.
fn step(page: &[u8], key: &[u8]) -> Option<Step> {
    let leaf = u16_at(page, 10)? & P_LEAF != 0;
    let place = search(page, key, leaf)?;
    if !leaf {
        let index = place.unwrap_or_else(|next| next.saturating_sub(1));
        return Some(Step::Down(node(page, index)?.child()));
    }
    match place {
        Ok(index) => value(page, &node(page, index)?),
        Err(_) => Some(Step::Absent),
    }
}

/// Where the value of a leaf's node is.
fn value(page: &[u8], node: &Node<'_>) -> Option<Step> {
    let size = node.data_size();
    match node.flags {
        0 => {
            part(node.rest, 0, size)?;
            Some(Step::Here { at: page.len() - node.rest.len(), size })
        }
        F_BIGDATA => Some(Step::Elsewhere { page: u64_at(node.rest, 0)?, size }),
        _ => None,
    }
}

impl Lmdb {
    fn damaged(&self) -> Trouble {
        self.pages.corrupt("a page is damaged")
    }

    /// Takes up a newer snapshot, if there is one.
    fn refresh(&mut self) -> Result<(), Trouble> {
        let meta = self.newest()?;
        if meta != self.meta {
            self.pages.forget()?;
            self.meta = meta;
        }
        Ok(())
    }

    fn newest(&self) -> Result<Meta, Trouble> {
        match newest_meta(self.pages.file()) {
            Ok(Some(meta)) if meta.page_size == self.meta.page_size => Ok(meta),
            Ok(_) => Err(self.pages.corrupt("the file is no longer an LMDB table")),
            Err(error) => Err(self.pages.unreadable(&error)),
        }
    }

    fn page(&mut self, number: u64, kind: u16) -> Result<&[u8], Trouble> {
        let page_size = self.meta.page_size;
        if number > self.meta.last_page {
            return Err(self.pages.corrupt("a page number is out of range"));
        }
        // A number too large for an offset lies behind the file's end, too.
        let place = self.pages.fetch(number.saturating_mul(page_size as u64), page_size)?;
        let page = self.pages.at(place);
        if u64_at(page, 0) != Some(number) || u16_at(page, 10).is_none_or(|flags| flags & kind == 0) {
            return Err(self.pages.corrupt("a page is not what it should be"));
        }
        Ok(page)
    }

    /// Reads a snapshot through `work`, again when a writer has been faster.
    fn consistently<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        for _ in 0..ATTEMPTS {
            self.pages.start();
            let outcome = work(self);
            if !self.pages.has_read() || self.newest()? == self.meta {
                return outcome;
            }
            self.refresh()?;
        }
        Err(self.pages.corrupt("the file changes all the time"))
    }

    fn find(&mut self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        let mut number = self.meta.root;
        if number == NO_PAGE {
            return Ok(false);
        }
        for _ in 0..DEPTH_MAX {
            let page = self.page(number, P_BRANCH | P_LEAF)?;
            match step(page, key) {
                Some(Step::Down(child)) => number = child,
                Some(Step::Absent) => return Ok(false),
                Some(Step::Here { at, size }) => {
                    value.clear();
                    value.extend_from_slice(part(page, at, size).unwrap_or_default());
                    return Ok(true);
                }
                Some(Step::Elsewhere { page, size }) => {
                    value.clear();
                    value.extend_from_slice(self.big_value(page, size)?);
                    return Ok(true);
                }
                None => return Err(self.damaged()),
            }
        }
        Err(self.pages.corrupt("the tree is too deep"))
    }

    /// A value on pages of its own.
    fn big_value(&mut self, first: u64, size: usize) -> Result<&[u8], Trouble> {
        self.page(first, P_OVERFLOW)?;
        let page_size = self.meta.page_size as u64;
        let start = first.saturating_mul(page_size).saturating_add(HEADER as u64);
        let limit = self.meta.last_page.saturating_add(1).saturating_mul(page_size);
        if start.saturating_add(size as u64) > limit {
            return Err(self.damaged());
        }
        self.pages.bytes(start, size)
    }

    /// Visits a tree: its entries in their order, and its pages.
    fn walk(&mut self, number: u64, depth: usize, seen: &mut Seen) -> Result<(), Trouble> {
        if depth > DEPTH_MAX {
            return Err(self.pages.corrupt("the tree is too deep"));
        }
        self.see(number..number + 1, seen)?;
        let page = self.page(number, P_BRANCH | P_LEAF)?.to_vec();
        let leaf = u16_at(&page, 10).is_some_and(|flags| flags & P_LEAF != 0);
        for index in 0..node_count(&page).ok_or_else(|| self.damaged())? {
            let node = node(&page, index).ok_or_else(|| self.damaged())?;
            if !leaf {
                self.walk(node.child(), depth + 1, seen)?;
                continue;
            }
            let value = match value(&page, &node) {
                Some(Step::Here { at, size }) => part(&page, at, size).unwrap_or_default().to_vec(),
                Some(Step::Elsewhere { page, size }) => {
                    let value = self.big_value(page, size)?.to_vec();
                    let pages = self.own_pages(page)?;
                    self.see(page..page + pages, seen)?;
                    value
                }
                _ => return Err(self.damaged()),
            };
            seen.entries.push((node.key.to_vec(), value));
        }
        Ok(())
    }

    /// Takes pages down. More than the file has are a loop, or pages that belong to two.
    fn see(&self, pages: Range<u64>, seen: &mut Seen) -> Result<(), Trouble> {
        seen.pages.extend(pages);
        if seen.pages.len() as u64 > self.meta.last_page {
            return Err(self.pages.corrupt("the tree has a loop"));
        }
        Ok(())
    }

    /// How many pages a value has that begins with this one.
    fn own_pages(&mut self, first: u64) -> Result<u64, Trouble> {
        let pages = u32_at(self.page(first, P_OVERFLOW)?, 12).map_or(0, u64::from);
        let end = first.checked_add(pages).filter(|end| pages > 0 && *end <= self.meta.last_page + 1);
        end.map(|_| pages).ok_or_else(|| self.damaged())
    }
}

/// What a walk has seen.
#[derive(Default)]
struct Seen {
    entries: Entries,
    pages: Vec<u64>,
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

impl LmdbTable {
    /// All keys and values as they are stored.
    fn entries(&self) -> Result<Entries, Trouble> {
        self.file.borrow_mut().consistently(|file| {
            let mut seen = Seen::default();
            let root = file.meta.root;
            if root != NO_PAGE {
                file.walk(root, 0, &mut seen)?;
            }
            Ok(seen.entries)
        })
    }
}

impl Source for LmdbTable {
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        let mut file = self.file.borrow_mut();
        find_either(&self.nulls, key, value, |key, value| file.consistently(|file| file.find(key, value)))
    }

    fn refresh(&self) -> Result<(), Trouble> {
        self.file.borrow_mut().refresh()
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Trouble> {
        self.entries()?.iter().for_each(|(key, value)| visit(c_string(key), c_string(value)));
        Ok(())
    }
}
