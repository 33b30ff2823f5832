//! The pages of an LMDB file that are free, and the tree in the file that lists them.
//!
//! A transaction never writes to a page of the snapshot before it, so that a crash, or a reader without a lock, finds that
//! one whole: what a transaction frees is free for the one after the next.

use super::{
    F_BIGDATA, Lmdb, NO_PAGE, P_LEAF, Seen,
    update::Dirty,
    write::{Counts, Page, overflow_header, overflow_pages, words},
};
use crate::pages::u64_at;
use types::Trouble;

/// Free pages, and what has been taken of them.
pub(super) struct FreePages {
    page_size: usize,
    /// Free for this transaction, the lowest last.
    pool: Vec<u64>,
    /// The transaction under which the rest of the pool is listed.
    pool_transaction: u64,
    /// What the last transaction freed, which stays as it is.
    newer: Option<(u64, Vec<u64>)>,
    /// Freed by this transaction.
    freed: Vec<u64>,
    /// The first page behind the file's last.
    next_page: u64,
}

/// The tree that lists free pages, in the file.
pub(super) struct FreeTree {
    pub(super) root: u64,
    pub(super) counts: Counts,
    pub(super) entries: u64,
}

impl FreePages {
    /// Reads the list of a file. The tree that holds it is freed: it is written anew.
    pub(super) fn load(file: &mut Lmdb) -> Result<Self, Trouble> {
        let mut seen = Seen::default();
        if file.meta.free_root != NO_PAGE {
            file.walk(file.meta.free_root, 0, &mut seen)?;
        }
        let mut free = Self {
            page_size: file.meta.page_size,
            pool: Vec::new(),
            pool_transaction: 0,
            newer: None,
            freed: seen.pages,
            next_page: file.meta.last_page + 1,
        };
        for (key, value) in &seen.entries {
            let list =
                parse(key, value).filter(|(_, pages)| pages.iter().all(|page| *page <= file.meta.last_page));
            let (transaction, pages) = list.ok_or_else(|| file.damaged())?;
            if transaction < file.meta.transaction {
                free.pool_transaction = free.pool_transaction.max(transaction);
                free.pool.extend(pages);
            } else if transaction == file.meta.transaction && free.newer.is_none() {
                free.newer = Some((transaction, pages));
            } else {
                return Err(file.damaged());
            }
        }
        free.pool.sort_unstable_by(|one, other| other.cmp(one));
        let is_sound = free.pool.windows(2).all(|pair| pair[0] != pair[1]);
        if is_sound { Ok(free) } else { Err(file.damaged()) }
    }

    /// A page to write to.
    pub(super) fn take(&mut self) -> u64 {
        self.pool.pop().unwrap_or_else(|| self.take_behind(1))
    }

    /// So many pages in a row; the first of them.
    pub(super) fn take_row(&mut self, count: u64) -> u64 {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        // Downwards, as the pool is.
        let is_row = |pages: &[u64]| pages[0] - pages[pages.len() - 1] == count as u64 - 1;
        let Some(at) = self.pool.windows(count.max(1)).position(is_row) else {
            return self.take_behind(count as u64);
        };
        self.pool.drain(at..at + count).next_back().unwrap_or(NO_PAGE)
    }

    /// Pages behind the end of the file.
    pub(super) fn take_behind(&mut self, count: u64) -> u64 {
        let first = self.next_page;
        self.next_page += count;
        first
    }

    /// Where the pages begin that no list knows.
    pub(super) fn next_page(&self) -> u64 {
        self.next_page
    }

    /// Frees pages of the snapshot that this transaction began with.
    pub(super) fn free(&mut self, pages: impl IntoIterator<Item = u64>) {
        self.freed.extend(pages);
    }

    /// Makes the list of this transaction, on one leaf; long lists have pages of their own. Also says where the file ends.
    pub(super) fn save(mut self, transaction: u64, dirty: &mut Dirty) -> (FreeTree, u64) {
        let leaf = self.take();
        let mut freed = std::mem::take(&mut self.freed);
        freed.sort_unstable_by(|one, other| other.cmp(one));
        let mut lists: Vec<_> = std::mem::take(&mut self.newer).into_iter().collect();
        lists.push((transaction, freed));
        let mut rows: Vec<_> = lists.iter().map(|(_, pages)| self.row_for(pages.len())).collect();
        // Rows are taken of the pool: what is left of it needs no more room than it has now.
        let row = self.row_for(self.pool.len());
        if !self.pool.is_empty() {
            lists.insert(0, (self.pool_transaction, std::mem::take(&mut self.pool)));
            rows.insert(0, row);
        }
        let mut page = Page::new(self.page_size);
        let mut counts = Counts { depth: 1, leaf: 1, ..Counts::default() };
        let entries = lists.len() as u64;
        for ((transaction, pages), row) in lists.into_iter().zip(rows) {
            let (key, value) = (transaction.to_le_bytes(), encode(&pages));
            let [low, high, _] = words(value.len() as u64);
            let Some((first, count)) = row else {
                page.push([low, high, 0], &key, &value);
                continue;
            };
            page.push([low, high, F_BIGDATA], &key, &first.to_le_bytes());
            counts.overflow += count;
            dirty.push((first, [overflow_header(first, count).as_slice(), &value].concat()));
        }
        dirty.push((leaf, page.finish(leaf, P_LEAF).to_vec()));
        (FreeTree { root: leaf, counts, entries }, self.next_page)
    }

    /// Takes the pages that a list of so many needs for itself, if it does: the first, and how many.
    fn row_for(&mut self, count: usize) -> Option<(u64, u64)> {
        let size = 8 * (count + 1);
        // Three lists share a leaf.
        if size <= self.page_size / 8 {
            return None;
        }
        let pages = overflow_pages(size, self.page_size);
        Some((self.take_row(pages), pages))
    }
}

/// A list as it stands in the file: a transaction, and how many pages it has, before them.
fn parse(key: &[u8], value: &[u8]) -> Option<(u64, Vec<u64>)> {
    let count = usize::try_from(u64_at(value, 0)?).ok()?;
    if key.len() != 8 || value.len() / 8 <= count {
        return None;
    }
    let pages = (1..=count).map(|index| u64_at(value, 8 * index).filter(|page| *page >= 2));
    Some((u64_at(key, 0)?, pages.collect::<Option<_>>()?))
}

fn encode(pages: &[u64]) -> Vec<u8> {
    let mut value = Vec::with_capacity(8 * (pages.len() + 1));
    value.extend_from_slice(&(pages.len() as u64).to_le_bytes());
    pages.iter().for_each(|page| value.extend_from_slice(&page.to_le_bytes()));
    value
}
