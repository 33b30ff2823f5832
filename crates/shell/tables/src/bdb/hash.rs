//! Hash files: buckets of chained pages, linear hashing.

use super::{HASH_VERSION, Item, PAGE_HEADER, Snapshot, entry_at, entry_count, next_page};
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

const BUCKET: &[u8] = &[P_HASH, P_HASH_UNSORTED, 0];

/// An item of a page; `None` for a page that is damaged. Items lie from the end of the page towards its start, each
/// with a byte before it that says its type. Of several values for a key, the first counts.
fn item(page: &[u8], index: usize) -> Option<Item> {
    let start = entry_at(page, index)?;
    let end = if index == 0 { page.len() } else { entry_at(page, index - 1)? };
    let bytes = page.get(start..end)?;
    match *bytes.first()? {
        H_KEYDATA => Some(Item::Here { at: start + 1, length: bytes.len() - 1 }),
        H_DUPLICATE => {
            let length = usize::from(u16_at(bytes, 1)?);
            part(bytes, 3, length).map(|_| Item::Here { at: start + 3, length })
        }
        H_OFFPAGE => Some(Item::Elsewhere { first: u32_at(bytes, 4)?, length: u32_at(bytes, 8)? }),
        _ => None,
    }
}

/// Takes the content of a page's item.
fn take(snapshot: &mut Snapshot, number: u32, index: usize, into: &mut Vec<u8>) -> Result<(), Trouble> {
    snapshot.content((number, BUCKET), |page| item(page, index), into)
}

/// How many items a bucket's page has, and the page that goes on; a bucket that was never used is a page of zeroes.
fn extent(snapshot: &mut Snapshot, number: u32) -> Result<(usize, u32), Trouble> {
    let page = snapshot.page(number, BUCKET)?;
    if page.get(super::TYPE_AT) == Some(&0) {
        return Ok((0, 0));
    }
    match entry_count(page).zip(next_page(page)) {
        Some((count, next)) if PAGE_HEADER + 2 * count <= page.len() => Ok((count, next)),
        _ => Err(snapshot.bad()),
    }
}

/// Where a page has a key, among its first `count` items; `None` when it has not.
fn place_of(
    snapshot: &mut Snapshot,
    number: u32,
    count: usize,
    key: &[u8],
) -> Result<Option<usize>, Trouble> {
    for index in (0..count.saturating_sub(1)).step_by(2) {
        let page = snapshot.page(number, BUCKET)?;
        let same = match item(page, index) {
            Some(Item::Here { at, length }) => length == key.len() && part(page, at, length) == Some(key),
            Some(Item::Elsewhere { length, .. }) if length as usize != key.len() => false,
            Some(Item::Elsewhere { first, length }) => {
                let mut content = Vec::new();
                snapshot.overflow(first, length, &mut content)?;
                content == key
            }
            None => return Err(snapshot.bad()),
        };
        if same {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

pub(super) fn find(snapshot: &mut Snapshot, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
    let bucket = Buckets::of(snapshot)?.of_key(key);
    let mut number = first_page(snapshot, bucket);
    for _ in 0..=snapshot.last_page {
        let (count, next) = extent(snapshot, number)?;
        if let Some(index) = place_of(snapshot, number, count, key)? {
            take(snapshot, number, index + 1, value)?;
            return Ok(true);
        }
        if next == 0 {
            return Ok(false);
        }
        number = next;
    }
    Err(snapshot.bad())
}

pub(super) fn entries(snapshot: &mut Snapshot) -> Result<Entries, Trouble> {
    let mut entries = Vec::new();
    // No page belongs to two buckets: more steps than pages are a loop.
    let mut steps = 0;
    for bucket in 0..=Buckets::of(snapshot)?.max {
        let mut number = first_page(snapshot, bucket);
        loop {
            steps += 1;
            if steps > u64::from(snapshot.last_page) + 1 {
                return Err(snapshot.bad());
            }
            let (count, next) = extent(snapshot, number)?;
            for index in (0..count.saturating_sub(1)).step_by(2) {
                let (mut key, mut value) = (Vec::new(), Vec::new());
                take(snapshot, number, index, &mut key)?;
                take(snapshot, number, index + 1, &mut value)?;
                entries.push((key, value));
            }
            if next == 0 {
                break;
            }
            number = next;
        }
    }
    Ok(entries)
}
