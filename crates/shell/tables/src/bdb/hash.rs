//! Hash files: buckets of chained pages, linear hashing.

use super::{HASH_VERSION, PAGE_HEADER, Snapshot, entry_at, entry_count, next_page};
use crate::{
    pages::{part, u16_at, u32_at},
    source::Entries,
};
use types::Trouble;

pub(super) const P_HASH_UNSORTED: u8 = 2;
pub(super) const P_HASH: u8 = 13;
pub(super) const H_KEYDATA: u8 = 1;
pub(super) const H_DUPLICATE: u8 = 2;
pub(super) const H_OFFPAGE: u8 = 3;
/// What a file's hash function makes of this text stands in its first page.
pub(super) const CHARKEY: &[u8] = b"%$sniglet^&\0";
pub(super) const CHARKEY_AT: usize = 92;
pub(super) const SPARES_AT: usize = 96;

/// The library's default hash function since version 5 of the format.
pub(super) fn hash(key: &[u8]) -> u32 {
    key.iter().fold(0_u32, |hash, byte| hash.wrapping_mul(16_777_619) ^ u32::from(*byte))
}

/// The sizes that say which bucket a key is in.
struct Buckets {
    max: u32,
    high_mask: u32,
    low_mask: u32,
}

impl Buckets {
    fn of(snapshot: &Snapshot) -> Result<Self, Trouble> {
        if snapshot.number(16) != HASH_VERSION || snapshot.number(CHARKEY_AT) != hash(CHARKEY) {
            return Err(snapshot.pages.corrupt("written by another version of Berkeley DB than 5.3"));
        }
        let buckets =
            Self { max: snapshot.number(72), high_mask: snapshot.number(76), low_mask: snapshot.number(80) };
        if buckets.max > snapshot.last_page { Err(snapshot.bad()) } else { Ok(buckets) }
    }

    fn of_key(&self, key: &[u8]) -> u32 {
        let bucket = hash(key) & self.high_mask;
        if bucket > self.max { bucket & self.low_mask } else { bucket }
    }
}

/// The first page of a bucket.
fn first_page(snapshot: &Snapshot, bucket: u32) -> u32 {
    // The number of doublings at which the bucket came into being.
    let doubling = (u32::BITS - bucket.leading_zeros()) as usize;
    bucket.wrapping_add(snapshot.number(SPARES_AT + 4 * doubling))
}

/// The bytes of an item with its type byte. Items lie from the end of the page towards its start.
fn item(page: &[u8], index: usize) -> Option<&[u8]> {
    let start = entry_at(page, index)?;
    let end = if index == 0 { page.len() } else { entry_at(page, index - 1)? };
    page.get(start..end)
}

/// Walks a bucket's pages; `work` says whether to stop.
fn walk(
    snapshot: &Snapshot,
    bucket: u32,
    mut work: impl FnMut(&[u8], &[u8]) -> Result<bool, Trouble>,
) -> Result<(), Trouble> {
    let mut number = first_page(snapshot, bucket);
    for _ in 0..=snapshot.last_page {
        let page = snapshot.page(number, &[P_HASH, P_HASH_UNSORTED, 0])?;
        // A bucket that was never used is a page of zeroes.
        if page.get(super::TYPE_AT) == Some(&0) {
            return Ok(());
        }
        let count = entry_count(&page).ok_or_else(|| snapshot.bad())?;
        if PAGE_HEADER + 2 * count > page.len() {
            return Err(snapshot.bad());
        }
        for index in (0..count.saturating_sub(1)).step_by(2) {
            let (Some(key), Some(value)) = (item(&page, index), item(&page, index + 1)) else {
                return Err(snapshot.bad());
            };
            if work(key, value)? {
                return Ok(());
            }
        }
        match next_page(&page) {
            Some(0) => return Ok(()),
            Some(next) => number = next,
            None => return Err(snapshot.bad()),
        }
    }
    Err(snapshot.bad())
}

/// The content of an item; of several values for a key, the first.
fn content(snapshot: &Snapshot, item: &[u8]) -> Result<Vec<u8>, Trouble> {
    let bad = || snapshot.bad();
    let (kind, bytes) = item.split_first().ok_or_else(bad)?;
    match *kind {
        H_KEYDATA => Ok(bytes.to_vec()),
        H_DUPLICATE => {
            let length = usize::from(u16_at(bytes, 0).ok_or_else(bad)?);
            Ok(part(bytes, 2, length).ok_or_else(bad)?.to_vec())
        }
        H_OFFPAGE => {
            let (page, length) = (u32_at(item, 4), u32_at(item, 8));
            snapshot.overflow(page.ok_or_else(bad)?, length.ok_or_else(bad)?)
        }
        _ => Err(bad()),
    }
}

fn is_key(snapshot: &Snapshot, item: &[u8], key: &[u8]) -> Result<bool, Trouble> {
    match item.split_first() {
        Some((&H_KEYDATA, bytes)) => Ok(bytes == key),
        Some((&H_OFFPAGE, _)) if u32_at(item, 8).map(|length| length as usize) != Some(key.len()) => {
            Ok(false)
        }
        Some(_) => Ok(content(snapshot, item)? == key),
        None => Err(snapshot.bad()),
    }
}

pub(super) fn find(snapshot: &Snapshot, key: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
    let bucket = Buckets::of(snapshot)?.of_key(key);
    let mut found = None;
    walk(snapshot, bucket, |item, value| {
        if is_key(snapshot, item, key)? {
            found = Some(content(snapshot, value)?);
        }
        Ok(found.is_some())
    })?;
    Ok(found)
}

pub(super) fn entries(snapshot: &Snapshot) -> Result<Entries, Trouble> {
    let mut entries = Vec::new();
    for bucket in 0..=Buckets::of(snapshot)?.max {
        walk(snapshot, bucket, |key, value| {
            entries.push((content(snapshot, key)?, content(snapshot, value)?));
            // More entries than bytes: buckets that share pages.
            if entries.len() as u64 > snapshot.status.size { Err(snapshot.bad()) } else { Ok(false) }
        })?;
    }
    Ok(entries)
}
