//! B-tree files.

use super::{Item, Snapshot, entry_at, entry_count, next_page};
use crate::{
    pages::{part, u16_at, u32_at},
    source::Entries,
};
use std::cmp::Ordering;
use types::Trouble;

pub(super) const P_IBTREE: u8 = 3;
pub(super) const P_LBTREE: u8 = 5;
pub(super) const B_KEYDATA: u8 = 1;
pub(super) const B_OVERFLOW: u8 = 3;
const DELETED: u8 = 0x80;
pub(super) const ROOT_AT: usize = 88;
const DEPTH_MAX: usize = 255;
const TREE: &[u8] = &[P_IBTREE, P_LBTREE];

/// Types of items of a leaf begin after their length; those of an inner page too, then the child.
fn kind(page: &[u8], at: usize) -> Option<u8> {
    page.get(at + 2).copied()
}

fn is_leaf(page: &[u8]) -> bool {
    page.get(super::TYPE_AT) == Some(&P_LBTREE)
}

/// An item of a page; `None` for a page that is damaged.
fn item(page: &[u8], index: usize) -> Option<Item> {
    let at = entry_at(page, index)?;
    let length = usize::from(u16_at(page, at)?);
    let kind = kind(page, at)? & !DELETED;
    // On a leaf the content follows the type; on an inner page, the child and a count stand between.
    let (content, elsewhere) = if is_leaf(page) { (at + 3, at) } else { (at + 12, at + 12) };
    match kind {
        B_KEYDATA => part(page, content, length).map(|_| Item::Here { at: content, length }),
        B_OVERFLOW => Some(Item::Elsewhere {
            first: u32_at(page, elsewhere + 4)?,
            length: u32_at(page, elsewhere + 8)?,
        }),
        _ => None,
    }
}

/// Takes the content of a page's item.
fn take(snapshot: &mut Snapshot, number: u32, index: usize, into: &mut Vec<u8>) -> Result<(), Trouble> {
    snapshot.content((number, TREE), |page| item(page, index), into)
}

/// Compares a page's item with a key.
fn compare(snapshot: &mut Snapshot, number: u32, index: usize, key: &[u8]) -> Result<Ordering, Trouble> {
    let page = snapshot.page(number, TREE)?;
    match item(page, index) {
        Some(Item::Here { at, length }) => Ok(part(page, at, length).unwrap_or_default().cmp(key)),
        Some(Item::Elsewhere { first, length }) => {
            let mut content = Vec::new();
            snapshot.overflow(first, length, &mut content)?;
            Ok(content.as_slice().cmp(key))
        }
        None => Err(snapshot.bad()),
    }
}

fn child(page: &[u8], index: usize) -> Option<u32> {
    entry_at(page, index).and_then(|at| u32_at(page, at + 4))
}

fn is_deleted(page: &[u8], index: usize) -> Option<bool> {
    kind(page, entry_at(page, index)?).map(|kind| kind & DELETED != 0)
}

/// The leaf where a key has to be, and how many items it has.
fn leaf_of(snapshot: &mut Snapshot, key: Option<&[u8]>) -> Result<(u32, usize), Trouble> {
    let mut number = snapshot.number(ROOT_AT);
    for _ in 0..DEPTH_MAX {
        let page = snapshot.page(number, TREE)?;
        let count = entry_count(page).ok_or_else(|| snapshot.bad())?;
        if is_leaf(snapshot.page(number, TREE)?) {
            return Ok((number, count));
        }
        // The last child whose first key is not greater; the first child's key counts as nothing.
        let (mut low, mut high) = (1, if key.is_some() { count } else { 1 });
        while low < high {
            let middle = low + (high - low) / 2;
            match compare(snapshot, number, middle, key.unwrap_or_default())? {
                Ordering::Greater => high = middle,
                _ => low = middle + 1,
            }
        }
        let next = child(snapshot.page(number, TREE)?, low - 1);
        number = next.ok_or_else(|| snapshot.bad())?;
    }
    Err(snapshot.bad())
}

pub(super) fn find(snapshot: &mut Snapshot, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
    let (number, count) = leaf_of(snapshot, Some(key))?;
    let (mut low, mut high) = (0, count / 2);
    while low < high {
        let middle = low + (high - low) / 2;
        match compare(snapshot, number, 2 * middle, key)? {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => {
                let deleted = is_deleted(snapshot.page(number, TREE)?, 2 * middle + 1);
                if deleted.ok_or_else(|| snapshot.bad())? {
                    return Ok(false);
                }
                take(snapshot, number, 2 * middle + 1, value)?;
                return Ok(true);
            }
        }
    }
    Ok(false)
}

pub(super) fn entries(snapshot: &mut Snapshot) -> Result<Entries, Trouble> {
    let (mut number, _) = leaf_of(snapshot, None)?;
    let mut entries = Vec::new();
    for _ in 0..=snapshot.last_page {
        let page = snapshot.page(number, &[P_LBTREE])?;
        let (count, next) = entry_count(page).zip(next_page(page)).ok_or_else(|| snapshot.bad())?;
        for index in (0..count.saturating_sub(1)).step_by(2) {
            let deleted = is_deleted(snapshot.page(number, TREE)?, index + 1);
            if deleted.ok_or_else(|| snapshot.bad())? {
                continue;
            }
            let (mut key, mut value) = (Vec::new(), Vec::new());
            take(snapshot, number, index, &mut key)?;
            take(snapshot, number, index + 1, &mut value)?;
            entries.push((key, value));
        }
        if next == 0 {
            return Ok(entries);
        }
        number = next;
    }
    Err(snapshot.bad())
}
