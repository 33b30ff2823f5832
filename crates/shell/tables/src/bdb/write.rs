//! Pages of a Berkeley DB 5.3 file on their way out: what hash and btree files have in common.

use super::{P_OVERFLOW, PAGE_HEADER};
use std::{fs::File, io, os::unix::fs::FileExt};

/// All files are written with pages of this size, whatever the block size of the file system.
pub(super) const PAGE: usize = 4096;
/// An item larger than this goes to pages of its own: four fit a page, as a B-tree needs.
pub(super) const BIG: usize = 1000;
/// What one `write` takes.
const PIECE: usize = 1 << 18;

/// The file, and pages that wait for a large write.
pub(super) struct Pages<'a> {
    file: &'a File,
    waiting: [Run; 2],
}

/// Pages in a row.
#[derive(Default)]
struct Run {
    start: u64,
    bytes: Vec<u8>,
}

impl Run {
    fn write(&mut self, file: &File) -> io::Result<()> {
        file.write_all_at(&self.bytes, self.start)?;
        self.start += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}

/// Of the two rows of pages that a file consists of: those whose numbers are known before, and those that are added.
#[derive(Clone, Copy)]
pub(super) enum Row {
    Planned,
    Added,
}

impl<'a> Pages<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self { file, waiting: [Run::default(), Run::default()] }
    }

    /// Writes a page; cheap for the next one of its row.
    pub(super) fn put(&mut self, row: Row, page: &Page) -> io::Result<()> {
        let run = &mut self.waiting[row as usize];
        let at = u64::from(page.number) * PAGE as u64;
        if run.bytes.len() >= PIECE || at != run.start + run.bytes.len() as u64 {
            run.write(self.file)?;
            run.start = at;
        }
        run.bytes.extend_from_slice(&page.bytes);
        Ok(())
    }

    /// Puts an item on pages of its own, which begin with `first`; the number of the page behind them.
    pub(super) fn overflow(&mut self, row: Row, first: u32, content: &[u8]) -> io::Result<u32> {
        let (mut number, mut previous) = (first, 0);
        let mut chunks = content.chunks(PAGE - PAGE_HEADER).peekable();
        while let Some(chunk) = chunks.next() {
            let mut page = Page::new(number, previous, P_OVERFLOW, 0);
            // One reference to the item.
            page.set(20, &1_u16.to_le_bytes());
            page.set(22, &short(chunk.len()));
            page.set(PAGE_HEADER, chunk);
            previous = number;
            number = next_number(number)?;
            if chunks.peek().is_some() {
                page.set_next(number);
            }
            self.put(row, &page)?;
        }
        Ok(number)
    }

    /// Writes what waits, and the first page.
    pub(super) fn finish(&mut self, meta: &Page) -> io::Result<()> {
        self.waiting.iter_mut().try_for_each(|run| run.write(self.file))?;
        self.file.write_all_at(&meta.bytes, 0)
    }
}

/// How many pages of its own an item needs.
pub(super) fn overflow_pages(content: &[u8]) -> usize {
    if content.len() > BIG { content.len().div_ceil(PAGE - PAGE_HEADER) } else { 0 }
}

/// The number of the page after another.
pub(super) fn next_number(number: u32) -> io::Result<u32> {
    number.checked_add(1).ok_or_else(too_many)
}

/// The error for what a file's 32-bit numbers cannot count.
pub(super) fn too_many() -> io::Error {
    io::Error::other("too many entries for a Berkeley DB file; use lmdb instead")
}

/// Offsets and counts within a page fit 16 bits.
fn short(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes()
}

/// A page in the making.
pub(super) struct Page {
    pub(super) number: u32,
    bytes: Vec<u8>,
    count: usize,
    free_end: usize,
}

impl Page {
    pub(super) fn new(number: u32, previous: u32, kind: u8, level: u8) -> Self {
        let mut page = Self { number, bytes: vec![0; PAGE], count: 0, free_end: PAGE };
        // A log sequence number that says "not logged".
        page.set(4, &1_u32.to_le_bytes());
        page.set(8, &number.to_le_bytes());
        page.set(12, &previous.to_le_bytes());
        page.set(22, &short(PAGE));
        page.set(24, &[level, kind]);
        page
    }

    pub(super) fn set(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn set_next(&mut self, next: u32) {
        self.set(16, &next.to_le_bytes());
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether there is room for as many items of so many bytes together.
    pub(super) fn has_room(&self, items: usize, bytes: usize) -> bool {
        PAGE_HEADER + 2 * (self.count + items) + bytes <= self.free_end
    }

    /// Adds an item of some parts, in `size` bytes; the caller has asked for room.
    pub(super) fn push(&mut self, size: usize, parts: &[&[u8]]) {
        self.free_end -= size;
        let mut at = self.free_end;
        for part in parts {
            self.set(at, part);
            at += part.len();
        }
        self.set(PAGE_HEADER + 2 * self.count, &short(self.free_end));
        self.count += 1;
        self.set(20, &short(self.count));
        self.set(22, &short(self.free_end));
    }
}
