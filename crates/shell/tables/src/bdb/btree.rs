//! B-tree files.

use super::{Snapshot, entry_at, entry_count, next_page};
use crate::{
    pages::{part, u16_at, u32_at},
    source::Entries,
};
use std::cmp::Ordering;
use types::Trouble;

const P_IBTREE: u8 = 3;
const P_LBTREE: u8 = 5;
const B_KEYDATA: u8 = 1;
const B_OVERFLOW: u8 = 3;
const DELETED: u8 = 0x80;
const ROOT_AT: usize = 88;
const DEPTH_MAX: usize = 255;

/// Types of items of a leaf begin after their length; those of an inner page too, then the child.
fn kind(page: &[u8], at: usize) -> Option<u8> {
    page.get(at + 2).copied()
}

fn leaf_item(snapshot: &Snapshot, page: &[u8], index: usize) -> Result<Vec<u8>, Trouble> {
    let bad = || snapshot.bad();
    let at = entry_at(page, index).ok_or_else(bad)?;
    match kind(page, at).ok_or_else(bad)? & !DELETED {
        B_KEYDATA => {
            let length = usize::from(u16_at(page, at).ok_or_else(bad)?);
            Ok(part(page, at + 3, length).ok_or_else(bad)?.to_vec())
        }
        B_OVERFLOW => {
            let (first, length) = (u32_at(page, at + 4), u32_at(page, at + 8));
            snapshot.overflow(first.ok_or_else(bad)?, length.ok_or_else(bad)?)
        }
        _ => Err(bad()),
    }
}

fn compare_leaf(snapshot: &Snapshot, page: &[u8], index: usize, key: &[u8]) -> Result<Ordering, Trouble> {
    let bad = || snapshot.bad();
    let at = entry_at(page, index).ok_or_else(bad)?;
    if kind(page, at).is_some_and(|kind| kind & !DELETED == B_KEYDATA) {
        let length = usize::from(u16_at(page, at).ok_or_else(bad)?);
        return Ok(part(page, at + 3, length).ok_or_else(bad)?.cmp(key));
    }
    Ok(leaf_item(snapshot, page, index)?.as_slice().cmp(key))
}

fn compare_inner(snapshot: &Snapshot, page: &[u8], index: usize, key: &[u8]) -> Result<Ordering, Trouble> {
    let bad = || snapshot.bad();
    let at = entry_at(page, index).ok_or_else(bad)?;
    let length = usize::from(u16_at(page, at).ok_or_else(bad)?);
    let data = part(page, at + 12, length).ok_or_else(bad)?;
    match kind(page, at).ok_or_else(bad)? & !DELETED {
        B_KEYDATA => Ok(data.cmp(key)),
        B_OVERFLOW => {
            let (first, length) = (u32_at(data, 4), u32_at(data, 8));
            Ok(snapshot.overflow(first.ok_or_else(bad)?, length.ok_or_else(bad)?)?.as_slice().cmp(key))
        }
        _ => Err(bad()),
    }
}

fn child(snapshot: &Snapshot, page: &[u8], index: usize) -> Result<u32, Trouble> {
    entry_at(page, index).and_then(|at| u32_at(page, at + 4)).ok_or_else(|| snapshot.bad())
}

fn is_leaf(page: &[u8]) -> bool {
    page.get(super::TYPE_AT) == Some(&P_LBTREE)
}

pub(super) fn find(snapshot: &Snapshot, key: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
    let mut number = snapshot.number(ROOT_AT);
    for _ in 0..DEPTH_MAX {
        let page = snapshot.page(number, &[P_IBTREE, P_LBTREE])?;
        let count = entry_count(&page).ok_or_else(|| snapshot.bad())?;
        if is_leaf(&page) {
            return find_in_leaf(snapshot, &page, count, key);
        }
        // The last child whose first key is not greater; the first child's key counts as nothing.
        let (mut low, mut high) = (1, count);
        while low < high {
            let middle = low + (high - low) / 2;
            match compare_inner(snapshot, &page, middle, key)? {
                Ordering::Greater => high = middle,
                _ => low = middle + 1,
            }
        }
        number = child(snapshot, &page, low - 1)?;
    }
    Err(snapshot.bad())
}

fn find_in_leaf(
    snapshot: &Snapshot,
    page: &[u8],
    count: usize,
    key: &[u8],
) -> Result<Option<Vec<u8>>, Trouble> {
    let (mut low, mut high) = (0, count / 2);
    while low < high {
        let middle = low + (high - low) / 2;
        match compare_leaf(snapshot, page, 2 * middle, key)? {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => {
                let at = entry_at(page, 2 * middle + 1).ok_or_else(|| snapshot.bad())?;
                if kind(page, at).is_some_and(|kind| kind & DELETED != 0) {
                    return Ok(None);
                }
                return leaf_item(snapshot, page, 2 * middle + 1).map(Some);
            }
        }
    }
    Ok(None)
}

pub(super) fn entries(snapshot: &Snapshot) -> Result<Entries, Trouble> {
    let mut number = snapshot.number(ROOT_AT);
    let mut page = snapshot.page(number, &[P_IBTREE, P_LBTREE])?;
    for _ in 0..DEPTH_MAX {
        if is_leaf(&page) {
            break;
        }
        number = child(snapshot, &page, 0)?;
        page = snapshot.page(number, &[P_IBTREE, P_LBTREE])?;
    }
    let mut entries = Vec::new();
    for _ in 0..=snapshot.last_page {
        if !is_leaf(&page) {
            return Err(snapshot.bad());
        }
        let count = entry_count(&page).ok_or_else(|| snapshot.bad())?;
        for index in (0..count.saturating_sub(1)).step_by(2) {
            let at = entry_at(&page, index + 1).ok_or_else(|| snapshot.bad())?;
            if kind(&page, at).is_none_or(|kind| kind & DELETED == 0) {
                entries.push((leaf_item(snapshot, &page, index)?, leaf_item(snapshot, &page, index + 1)?));
            }
        }
        match next_page(&page) {
            Some(0) => return Ok(entries),
            Some(next) => page = snapshot.page(next, &[P_LBTREE])?,
            None => break,
        }
    }
    Err(snapshot.bad())
}
