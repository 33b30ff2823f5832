//! Writing an LMDB file in one go: sorted entries become leaves, leaves become branches.

use super::{F_BIGDATA, HEADER, MAGIC, NO_PAGE, P_BRANCH, P_LEAF, P_OVERFLOW, VERSION};
use crate::build::Records;
use std::{
    fs::File,
    io::{self, BufWriter, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
};

/// Pages of a new file.
const PAGE: usize = 4096;
/// The library's limit, fixed when it is built.
pub(crate) const KEY_MAX: usize = 511;
const P_META: u16 = 0x08;
/// `MDB_NOSUBDIR | MDB_INTEGERKEY`: how the library opens Postfix's files, and the order of its free list.
const FREE_LIST_FLAGS: u16 = 0x4008;

/// Writes a tree to pages in a row.
struct Writer<'a> {
    out: BufWriter<&'a File>,
    page_size: usize,
    next_page: u64,
    counts: Counts,
}

/// How deep a tree is, and how many pages of each kind it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) depth: u16,
    pub(super) branch: u64,
    pub(super) leaf: u64,
    pub(super) overflow: u64,
}

/// A page in the making.
pub(super) struct Page {
    bytes: Vec<u8>,
    pub(super) count: usize,
    upper: usize,
    pub(super) first_key: Vec<u8>,
}

impl Page {
    pub(super) fn new(size: usize) -> Self {
        Self { bytes: vec![0; size], count: 0, upper: size, first_key: Vec::new() }
    }

    /// Empties the page; its first key is taken.
    fn renew(&mut self) -> Vec<u8> {
        self.bytes.fill(0);
        (self.count, self.upper) = (0, self.bytes.len());
        std::mem::take(&mut self.first_key)
    }

    pub(super) fn has_room(&self, node: usize) -> bool {
        HEADER + 2 * (self.count + 1) + node <= self.upper
    }

    /// Adds a node of `8 + key + rest` bytes; the caller has asked for room.
    pub(super) fn push(&mut self, head: [u16; 3], key: &[u8], rest: &[u8]) {
        self.upper -= even(8 + key.len() + rest.len());
        let mut at = self.upper;
        let mut put = |bytes: &[u8]| {
            self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        let [one, two, three] = head.map(u16::to_le_bytes);
        [one, two, three, short(key.len()).to_le_bytes()].iter().for_each(|number| put(number));
        put(key);
        put(rest);
        let pointer = HEADER + 2 * self.count;
        self.bytes[pointer..pointer + 2].copy_from_slice(&short(self.upper).to_le_bytes());
        self.count += 1;
    }

    pub(super) fn finish(&mut self, number: u64, flags: u16) -> &[u8] {
        let lower = HEADER + 2 * self.count;
        self.bytes[0..8].copy_from_slice(&number.to_le_bytes());
        self.bytes[10..12].copy_from_slice(&flags.to_le_bytes());
        self.bytes[12..14].copy_from_slice(&short(lower).to_le_bytes());
        self.bytes[14..16].copy_from_slice(&short(self.upper).to_le_bytes());
        &self.bytes
    }
}

pub(super) fn even(size: usize) -> usize {
    size + (size & 1)
}

/// Offsets and sizes within a page fit 16 bits.
fn short(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The low, middle and high 16 bits.
pub(super) fn words(number: u64) -> [u16; 3] {
    [0, 16, 32].map(|shift| u16::try_from(number >> shift & 0xFFFF).unwrap_or(0))
}

/// The largest node of a leaf; where it would be larger, its value is kept on pages of its own.
pub(super) fn node_max(page_size: usize) -> usize {
    (((page_size - HEADER) / 2) & !1) - 2
}

/// Writes entries, sorted by key and without repetition, as a whole file.
pub(crate) fn write_lmdb(file: &File, records: &Records) -> io::Result<()> {
    let tree = write_tree(file, records, (PAGE, 2))?;
    let entries = records.len() as u64;
    let map_size = (tree.next_page * PAGE as u64).max(16 << 20);
    // The empty snapshot that a new file has, and this one after it.
    let empty = meta(0, map_size, &Counts::default(), [0, NO_PAGE, 1, 0]);
    file.write_all_at(&empty, 0)?;
    let full = meta(1, map_size, &tree.counts, [entries, tree.root, tree.next_page - 1, 1]);
    file.write_all_at(&full, PAGE as u64)
}

/// What was written.
pub(super) struct Tree {
    pub(super) root: u64,
    pub(super) counts: Counts,
    /// The first page behind it.
    pub(super) next_page: u64,
}

/// Writes a tree of entries, sorted and without repetition, to pages of some size from one of them on.
pub(super) fn write_tree(
    mut file: &File,
    records: &Records,
    (page_size, first): (usize, u64),
) -> io::Result<Tree> {
    file.seek(SeekFrom::Start(first * page_size as u64))?;
    let out = BufWriter::with_capacity(1 << 18, file);
    let mut writer = Writer { out, page_size, next_page: first, counts: Counts::default() };
    let mut level = writer.leaves(records)?;
    while level.len() > 1 {
        level = writer.branches(&level)?;
    }
    writer.out.flush()?;
    let root = level.first().map_or(NO_PAGE, |(_, page)| *page);
    Ok(Tree { root, counts: writer.counts, next_page: writer.next_page })
}

type Level = Vec<(Vec<u8>, u64)>;

impl Writer<'_> {
    fn put(&mut self, page: &mut Page, flags: u16) -> io::Result<u64> {
        let number = self.next_page;
        self.out.write_all(page.finish(number, flags))?;
        self.next_page += 1;
        Ok(number)
    }

    fn leaves(&mut self, records: &Records) -> io::Result<Level> {
        let mut level = Level::new();
        let mut page = Page::new(self.page_size);
        // Values too large for a leaf, whose pages follow their leaf.
        let mut pending: Vec<&[u8]> = Vec::new();
        for (key, value) in records.pairs() {
            check(key, value)?;
            let big = 8 + key.len() + value.len() > node_max(self.page_size);
            let size = even(8 + key.len() + if big { 8 } else { value.len() });
            if !page.has_room(size) {
                self.end_leaf(&mut level, &mut page, &mut pending)?;
            }
            if page.count == 0 {
                page.first_key.extend_from_slice(key);
            }
            let [low, high, _] = words(value.len() as u64);
            if big {
                let leaf = self.next_page;
                let before: u64 =
                    pending.iter().map(|value| overflow_pages(value.len(), self.page_size)).sum();
                pending.push(value);
                page.push([low, high, F_BIGDATA], key, &(leaf + 1 + before).to_le_bytes());
            } else {
                page.push([low, high, 0], key, value);
            }
        }
        if page.count > 0 {
            self.end_leaf(&mut level, &mut page, &mut pending)?;
        }
        if !level.is_empty() {
            self.counts.depth = 1;
        }
        Ok(level)
    }

    fn end_leaf(&mut self, level: &mut Level, page: &mut Page, pending: &mut Vec<&[u8]>) -> io::Result<()> {
        let number = self.put(page, P_LEAF)?;
        self.counts.leaf += 1;
        level.push((page.renew(), number));
        for value in pending.drain(..) {
            self.overflow(value)?;
        }
        Ok(())
    }

    fn overflow(&mut self, value: &[u8]) -> io::Result<()> {
        let pages = overflow_pages(value.len(), self.page_size);
        self.out.write_all(&overflow_header(self.next_page, pages))?;
        self.out.write_all(value)?;
        let padding = (self.page_size - (HEADER + value.len()) % self.page_size) % self.page_size;
        self.out.write_all(&vec![0; padding])?;
        self.next_page += pages;
        self.counts.overflow += pages;
        Ok(())
    }

    fn branches(&mut self, children: &[(Vec<u8>, u64)]) -> io::Result<Level> {
        let mut level = Level::new();
        let mut page = Page::new(self.page_size);
        for (index, (key, child)) in children.iter().enumerate() {
            // A branch with one child is not allowed: the last two go to the next page together.
            let last_but_one = index + 2 == children.len() && page.count > 1;
            let room_for_two = page.has_room(2 * even(8 + KEY_MAX) + 2);
            if !page.has_room(even(8 + key.len())) || (last_but_one && !room_for_two) {
                self.end_branch(&mut level, &mut page)?;
            }
            let first = page.count == 0;
            if first {
                page.first_key.extend_from_slice(key);
            }
            page.push(words(*child), if first { &[] } else { key }, &[]);
        }
        self.end_branch(&mut level, &mut page)?;
        self.counts.depth += 1;
        Ok(level)
    }

    fn end_branch(&mut self, level: &mut Level, page: &mut Page) -> io::Result<()> {
        let number = self.put(page, P_BRANCH)?;
        self.counts.branch += 1;
        level.push((page.renew(), number));
        Ok(())
    }
}

/// Whether an entry can be in an LMDB file.
pub(super) fn check(key: &[u8], value: &[u8]) -> io::Result<()> {
    if key.is_empty() || key.len() > KEY_MAX {
        let shown = String::from_utf8_lossy(key);
        return Err(io::Error::other(format!(
            "MDB_BAD_VALSIZE: a key must have 1 to {KEY_MAX} bytes in an lmdb table: \"{shown:.40}\"; use cdb instead"
        )));
    }
    match u32::try_from(value.len()) {
        Ok(_) => Ok(()),
        Err(_) => Err(io::Error::other("a value is too large for an lmdb table")),
    }
}

/// How many pages a value needs that has pages of its own.
pub(super) fn overflow_pages(size: usize, page_size: usize) -> u64 {
    (HEADER + size).div_ceil(page_size) as u64
}

/// What stands before such a value.
pub(super) fn overflow_header(number: u64, pages: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0..8].copy_from_slice(&number.to_le_bytes());
    header[10..12].copy_from_slice(&P_OVERFLOW.to_le_bytes());
    header[12..16].copy_from_slice(&u32::try_from(pages).unwrap_or(u32::MAX).to_le_bytes());
    header
}

/// `numbers`: entries, root, last page, transaction.
fn meta(number: u64, map_size: u64, counts: &Counts, numbers: [u64; 4]) -> Vec<u8> {
    let [entries, root, last_page, transaction] = numbers;
    let mut page = Vec::with_capacity(PAGE);
    page.extend_from_slice(&number.to_le_bytes());
    page.extend_from_slice(&0_u16.to_le_bytes());
    page.extend_from_slice(&P_META.to_le_bytes());
    page.extend_from_slice(&0_u32.to_le_bytes());
    page.extend_from_slice(&MAGIC.to_le_bytes());
    page.extend_from_slice(&VERSION.to_le_bytes());
    page.extend_from_slice(&0_u64.to_le_bytes());
    page.extend_from_slice(&map_size.to_le_bytes());
    let mut tree = |pad: u32, flags: u16, depth: u16, numbers: [u64; 5]| {
        page.extend_from_slice(&pad.to_le_bytes());
        page.extend_from_slice(&flags.to_le_bytes());
        page.extend_from_slice(&depth.to_le_bytes());
        numbers.iter().for_each(|number| page.extend_from_slice(&number.to_le_bytes()));
    };
    // The free list keeps the page size where other trees keep nothing.
    tree(4096, FREE_LIST_FLAGS, 0, [0, 0, 0, 0, NO_PAGE]);
    tree(0, 0, counts.depth, [counts.branch, counts.leaf, counts.overflow, entries, root]);
    page.extend_from_slice(&last_page.to_le_bytes());
    page.extend_from_slice(&transaction.to_le_bytes());
    page.resize(PAGE, 0);
    page
}
