//! Changing an LMDB file in place, as its library does: changed pages are written anew elsewhere, then those that lead
//! to them, and a new root page last. Until that is on the disk, the old snapshot is the table.
//!
//! Writers keep each other away by an fcntl(2) lock, as Postfix's do (lmdb_table(5)); Postfix's readers take a
//! shared one for each look-up, ours need none.

use super::{
    F_BIGDATA, HEADER, Lmdb, META_SIZE, NO_PAGE, Node, P_BRANCH, P_LEAF, Seen, Step,
    free::FreePages,
    newest_meta, node, node_count,
    write::{Counts, Page, check, even, node_max, overflow_header, overflow_pages, words, write_tree},
};
use crate::{
    OpenError,
    build::{Records, open_locked},
    pages::{PageFile, part, u16_at},
};
use std::{fs::File, io, os::unix::fs::FileExt, path::Path};
use types::Trouble;

/// Pages to be written, by their numbers.
pub(super) type Dirty = Vec<(u64, Vec<u8>)>;

/// What is to be done with a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    /// Set, unless it is there.
    Add(&'a [u8]),
    Set(&'a [u8]),
    Remove,
}

/// A key with its change.
type Changes<'a, 'k> = &'a [(&'k [u8], Change<'k>)];

/// A file, locked against other writers, and what has been done to it.
pub(crate) struct Transaction {
    file: Lmdb,
    free: FreePages,
    dirty: Dirty,
    /// Of the tree as it will be.
    root: u64,
    counts: Counts,
    entries: u64,
    /// Keys that were to be added, and are there.
    present: Vec<Vec<u8>>,
    /// A branch is left with one child, which the library does not allow.
    is_thin: bool,
}

/// What a page has become.
enum Became {
    Same,
    /// Pages in its place, each with a text that is not greater than its keys and greater than all before.
    Pages(Vec<(Vec<u8>, u64)>),
}

/// An entry of a leaf that is written anew.
enum Held<'a> {
    Here(&'a [u8]),
    /// On pages of its own, which stay.
    There {
        page: u64,
        size: usize,
    },
}

impl Transaction {
    /// Waits for the file's lock, and begins. `None` when there is no file.
    pub(crate) fn begin(path: &str) -> Result<Option<Self>, OpenError> {
        let file_name = format!("{path}.lmdb");
        let failed = |error: &io::Error| OpenError::io("open database", &file_name, error);
        let open = |path: &Path| File::options().read(true).write(true).open(path);
        let locked = open_locked(Path::new(&file_name), open, tables_sys::lock_whole_file)
            .map_err(|error| failed(&error))?;
        let Some(file) = locked else { return Ok(None) };
        let meta = newest_meta(&file).map_err(|error| failed(&error))?.ok_or_else(|| {
            OpenError::new(format!(
                "open database {file_name}: not an LMDB table; run \"postmap lmdb:{path}\" (or postalias) to rebuild it"
            ))
        })?;
        let pages = PageFile::new(file, &file_name).map_err(|error| failed(&error))?;
        let mut file = Lmdb { pages, meta };
        let damaged = |trouble: Trouble| OpenError::new(trouble.to_string());
        let free = FreePages::load(&mut file).map_err(damaged)?;
        let (root, counts, entries) = (meta.root, meta.counts, meta.entries);
        let (dirty, present) = (Dirty::new(), Vec::new());
        Ok(Some(Self { file, free, dirty, root, counts, entries, present, is_thin: false }))
    }

    /// Whether a key is there.
    pub(crate) fn has(&mut self, key: &[u8]) -> Result<bool, Trouble> {
        self.file.find(key, &mut Vec::new())
    }

    /// Makes changes, which are sorted by their keys, and writes them. The keys that were to be added and are there
    /// are what is left to say.
    pub(crate) fn commit(mut self, changes: Changes<'_, '_>) -> io::Result<Vec<Vec<u8>>> {
        for (key, change) in changes {
            if let Change::Add(value) | Change::Set(value) = change {
                check(key, value)?;
            }
        }
        match self.change(changes)? {
            _ if self.is_thin => self.rebuild(changes),
            true => self.write(),
            false => Ok(self.present),
        }
    }

    /// Makes changes in memory; false for none.
    fn change(&mut self, changes: Changes<'_, '_>) -> io::Result<bool> {
        let became = if self.root == NO_PAGE {
            let items = changes.iter().filter_map(|(key, change)| match change {
                Change::Add(value) | Change::Set(value) => Some((*key, Held::Here(value))),
                Change::Remove => None,
            });
            let items: Vec<_> = items.collect();
            self.entries = items.len() as u64;
            self.counts.depth = u16::from(!items.is_empty());
            Became::Pages(self.leaves(&items))
        } else {
            self.page(self.root, b"", changes, 0).map_err(io::Error::other)?
        };
        let Became::Pages(mut level) = became else { return Ok(false) };
        while level.len() > 1 {
            self.counts.depth += 1;
            level = self.branches(&level);
        }
        self.root = level.first().map_or(NO_PAGE, |(_, page)| *page);
        if self.root == NO_PAGE {
            self.counts.depth = 0;
        }
        Ok(true)
    }

    /// Changes what is below a page whose keys are not less than `low`.
    fn page(
        &mut self,
        number: u64,
        low: &[u8],
        changes: Changes<'_, '_>,
        depth: usize,
    ) -> Result<Became, Trouble> {
        if depth > super::DEPTH_MAX {
            return Err(self.file.damaged());
        }
        let page = self.file.page(number, P_BRANCH | P_LEAF)?.to_vec();
        if u16_at(&page, 10).is_some_and(|flags| flags & P_LEAF != 0) {
            self.leaf(number, &page, changes)
        } else {
            self.branch(number, &page, (low, depth), changes)
        }
    }

    fn leaf(&mut self, number: u64, page: &[u8], changes: Changes<'_, '_>) -> Result<Became, Trouble> {
        let count = node_count(page).ok_or_else(|| self.file.damaged())?;
        let (mut items, mut is_changed) = (Vec::with_capacity(count + changes.len()), false);
        let mut changes = changes.iter().peekable();
        for index in 0..count {
            let node = node(page, index).ok_or_else(|| self.file.damaged())?;
            while let Some((key, change)) = changes.next_if(|(key, _)| *key < node.key) {
                is_changed |= self.add(&mut items, key, *change);
            }
            let held = held(page, &node).ok_or_else(|| self.file.damaged())?;
            match changes.next_if(|(key, _)| *key == node.key) {
                None => items.push((node.key, held)),
                Some((key, Change::Add(_))) => {
                    self.present.push(key.to_vec());
                    items.push((node.key, held));
                }
                Some((_, change)) => {
                    is_changed = true;
                    self.release(&held)?;
                    match change {
                        Change::Set(value) => items.push((node.key, Held::Here(value))),
                        _ => self.entries = self.entries.saturating_sub(1),
                    }
                }
            }
        }
        for (key, change) in changes {
            is_changed |= self.add(&mut items, key, *change);
        }
        if !is_changed {
            return Ok(Became::Same);
        }
        self.free.free([number]);
        self.counts.leaf = self.counts.leaf.saturating_sub(1);
        Ok(Became::Pages(self.leaves(&items)))
    }

    /// Adds an entry that is not there; false for nothing to add.
    fn add<'a>(&mut self, items: &mut Vec<(&'a [u8], Held<'a>)>, key: &'a [u8], change: Change<'a>) -> bool {
        let (Change::Add(value) | Change::Set(value)) = change else { return false };
        items.push((key, Held::Here(value)));
        self.entries += 1;
        true
    }

    /// Frees the pages that a value has of its own.
    fn release(&mut self, held: &Held<'_>) -> Result<(), Trouble> {
        if let Held::There { page, .. } = held {
            let pages = self.file.own_pages(*page)?;
            self.free.free(*page..page + pages);
            self.counts.overflow = self.counts.overflow.saturating_sub(pages);
        }
        Ok(())
    }

    /// Writes entries to leaves, which are about equally full.
    fn leaves(&mut self, items: &[(&[u8], Held<'_>)]) -> Vec<(Vec<u8>, u64)> {
        let page_size = self.file.meta.page_size;
        let size = |key: &[u8], held: &Held<'_>| match held {
            Held::Here(value) if 8 + key.len() + value.len() <= node_max(page_size) => {
                even(8 + key.len() + value.len())
            }
            _ => even(8 + key.len() + 8),
        };
        let sizes: Vec<usize> = items.iter().map(|(key, held)| size(key, held)).collect();
        let mut level = Vec::new();
        for part in shares(&sizes, page_size) {
            let mut page = Page::new(page_size);
            for (key, held) in items.get(part).unwrap_or_default() {
                if page.count == 0 {
                    page.first_key.extend_from_slice(key);
                }
                match held {
                    Held::Here(value) if 8 + key.len() + value.len() <= node_max(page_size) => {
                        let [low, high, _] = words(value.len() as u64);
                        page.push([low, high, 0], key, value);
                    }
                    Held::Here(value) => {
                        let [low, high, _] = words(value.len() as u64);
                        page.push([low, high, F_BIGDATA], key, &self.big(value).to_le_bytes());
                    }
                    Held::There { page: first, size } => {
                        let [low, high, _] = words(*size as u64);
                        page.push([low, high, F_BIGDATA], key, &first.to_le_bytes());
                    }
                }
            }
            self.counts.leaf += 1;
            level.push(self.put(page, P_LEAF));
        }
        level
    }

    /// Writes a value to pages of its own; the first of them.
    fn big(&mut self, value: &[u8]) -> u64 {
        let pages = overflow_pages(value.len(), self.file.meta.page_size);
        let first = self.free.take_row(pages);
        self.counts.overflow += pages;
        self.dirty.push((first, [overflow_header(first, pages).as_slice(), value].concat()));
        first
    }

    /// Gives a page its place; with its first key.
    fn put(&mut self, mut page: Page, flags: u16) -> (Vec<u8>, u64) {
        let number = self.free.take();
        self.dirty.push((number, page.finish(number, flags).to_vec()));
        (page.first_key, number)
    }

    fn branch(
        &mut self,
        number: u64,
        page: &[u8],
        (low, depth): (&[u8], usize),
        changes: Changes<'_, '_>,
    ) -> Result<Became, Trouble> {
        let count = node_count(page).ok_or_else(|| self.file.damaged())?;
        let (mut children, mut is_changed) = (Vec::with_capacity(count), false);
        let mut changes = changes;
        for index in 0..count {
            let own = node(page, index).ok_or_else(|| self.file.damaged())?;
            // The first child has all that is less than the second's keys.
            let key = if index == 0 { low } else { own.key };
            let next = node(page, index + 1).filter(|_| index + 1 < count);
            let end = next.map_or(changes.len(), |next| changes.partition_point(|(key, _)| *key < next.key));
            let (mine, rest) = changes.split_at(end);
            changes = rest;
            let became =
                if mine.is_empty() { Became::Same } else { self.page(own.child(), key, mine, depth + 1)? };
            match became {
                Became::Same => children.push((key.to_vec(), own.child())),
                Became::Pages(mut pages) => {
                    is_changed = true;
                    if let Some(first) = pages.first_mut() {
                        first.0 = key.to_vec();
                    }
                    children.extend(pages);
                }
            }
        }
        if !is_changed {
            return Ok(Became::Same);
        }
        self.free.free([number]);
        self.counts.branch = self.counts.branch.saturating_sub(1);
        match (children.len(), depth) {
            (0, _) => {}
            // The root's only child is the root from now on.
            (1, 0) => self.counts.depth = self.counts.depth.saturating_sub(1),
            (1, _) => self.is_thin = true,
            _ => children = self.branches(&children),
        }
        Ok(Became::Pages(children))
    }

    /// Writes two children or more to branches, which are about equally full.
    fn branches(&mut self, children: &[(Vec<u8>, u64)]) -> Vec<(Vec<u8>, u64)> {
        let page_size = self.file.meta.page_size;
        let sizes: Vec<usize> = children.iter().map(|(key, _)| even(8 + key.len())).collect();
        let mut level = Vec::new();
        for part in shares(&sizes, page_size) {
            let mut page = Page::new(page_size);
            for (key, child) in children.get(part).unwrap_or_default() {
                let first = page.count == 0;
                if first {
                    page.first_key.extend_from_slice(key);
                }
                page.push(words(*child), if first { &[] } else { key }, &[]);
            }
            self.is_thin |= page.count < 2;
            self.counts.branch += 1;
            level.push(self.put(page, P_BRANCH));
        }
        level
    }

    /// Writes the whole tree anew.
    fn rebuild(mut self, changes: Changes<'_, '_>) -> io::Result<Vec<Vec<u8>>> {
        let mut seen = Seen::default();
        if self.file.meta.root != NO_PAGE {
            self.file.walk(self.file.meta.root, 0, &mut seen).map_err(io::Error::other)?;
        }
        let mut records = Records::default();
        let mut changes = changes.iter().peekable();
        let add = |records: &mut Records, key: &[u8], change: Change<'_>| {
            if let Change::Add(value) | Change::Set(value) = change {
                records.push(0, false, |text| text.extend_from_slice(key), value);
            }
        };
        self.present.clear();
        for (key, value) in &seen.entries {
            while let Some((key, change)) = changes.next_if(|(other, _)| *other < key.as_slice()) {
                add(&mut records, key, *change);
            }
            match changes.next_if(|(other, _)| *other == key.as_slice()) {
                None => add(&mut records, key, Change::Set(value)),
                Some((_, Change::Add(_))) => {
                    self.present.push(key.clone());
                    add(&mut records, key, Change::Set(value));
                }
                Some((_, change)) => add(&mut records, key, *change),
            }
        }
        changes.for_each(|(key, change)| add(&mut records, key, *change));
        self.put_tree(&records, seen)
    }

    /// Puts entries, sorted and without repetition, in the place of all that are there.
    pub(crate) fn replace(mut self, records: &Records) -> io::Result<()> {
        let mut seen = Seen::default();
        if self.file.meta.root != NO_PAGE {
            self.file.walk(self.file.meta.root, 0, &mut seen).map_err(io::Error::other)?;
        }
        self.put_tree(records, seen).map(|_| ())
    }

    /// Writes a tree behind the file's end, and frees the pages of the old one.
    fn put_tree(mut self, records: &Records, old: Seen) -> io::Result<Vec<Vec<u8>>> {
        let mut free = FreePages::load(&mut self.file).map_err(io::Error::other)?;
        let place = (self.file.meta.page_size, free.next_page());
        let tree = write_tree(self.file.pages.file(), records, place)?;
        free.take_behind(tree.next_page - free.next_page());
        free.free(old.pages);
        (self.root, self.counts, self.entries) = (tree.root, tree.counts, records.len() as u64);
        (self.free, self.dirty) = (free, Dirty::new());
        self.write()
    }

    /// Writes the pages, and then the root page that leads to them.
    fn write(mut self) -> io::Result<Vec<Vec<u8>>> {
        let meta = self.file.meta;
        let transaction = meta.transaction + 1;
        let (free, next_page) = self.free.save(transaction, &mut self.dirty);
        let file = self.file.pages.file();
        self.dirty.sort_unstable_by_key(|(number, _)| *number);
        for (number, bytes) in &self.dirty {
            file.write_all_at(bytes, number * meta.page_size as u64)?;
        }
        // Values end within their last page, which shall be in the file as a whole.
        let length = next_page * meta.page_size as u64;
        if file.metadata()?.len() < length {
            file.set_len(length)?;
        }
        file.sync_data()?;
        let slot = transaction & 1;
        let mut page = [0; META_SIZE];
        file.read_exact_at(&mut page, (meta.transaction & 1) * meta.page_size as u64)?;
        let mut set = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
        set(0, &slot.to_le_bytes());
        set(32, &meta.map_size.max(length).to_le_bytes());
        for (at, counts, entries, root) in
            [(40, free.counts, free.entries, free.root), (88, self.counts, self.entries, self.root)]
        {
            set(at + 6, &counts.depth.to_le_bytes());
            let numbers = [counts.branch, counts.leaf, counts.overflow, entries, root];
            numbers.iter().enumerate().for_each(|(n, number)| set(at + 8 + 8 * n, &number.to_le_bytes()));
        }
        set(136, &(next_page - 1).to_le_bytes());
        set(144, &transaction.to_le_bytes());
        file.write_all_at(&page, slot * meta.page_size as u64)?;
        file.sync_data()?;
        Ok(self.present)
    }
}

/// What a leaf's node holds.
fn held<'a>(page: &'a [u8], node: &Node<'a>) -> Option<Held<'a>> {
    match super::value(page, node)? {
        Step::Here { at, size } => part(page, at, size).map(Held::Here),
        Step::Elsewhere { page, size } => Some(Held::There { page, size }),
        _ => None,
    }
}

/// Divides nodes of some sizes among as few pages as they need, about equally.
fn shares(sizes: &[usize], page_size: usize) -> Vec<std::ops::Range<usize>> {
    let room = page_size - HEADER;
    let total: usize = sizes.iter().map(|size| size + 2).sum();
    let share = total.div_ceil(total.div_ceil(room).max(1));
    let (mut parts, mut start, mut used) = (Vec::new(), 0, 0);
    for (index, size) in sizes.iter().enumerate() {
        if index > start && (used + size + 2 > room || used >= share) {
            parts.push(start..index);
            (start, used) = (index, 0);
        }
        used += size + 2;
    }
    if start < sizes.len() {
        parts.push(start..sizes.len());
    }
    parts
}

#[cfg(test)]
mod tests;
