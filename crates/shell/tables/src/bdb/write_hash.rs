//! Writing a hash file in one go, with as many buckets as it needs.

use super::{
    HASH_VERSION, Method, TYPE_AT,
    hash::{CHARKEY, CHARKEY_AT, H_KEYDATA, H_OFFPAGE, P_HASH, SPARES_AT, hash},
    write::{BIG, PAGE, Page, Pages, Row, next_number, overflow_pages, too_many},
};
use crate::build::Records;
use std::{fs::File, io};

const P_HASHMETA: u8 = 8;
/// How full the pages shall be on average.
const FILL: usize = PAGE * 2 / 3;

/// Writes entries, sorted and without repetition, as a whole file. `identity` makes the file's own id, which the
/// library wants to be different for each file.
pub(crate) fn write_hash(file: &File, records: &Records, identity: [u8; 20]) -> io::Result<()> {
    let bytes: usize = records.pairs().map(|(key, value)| item_size(key) + item_size(value) + 4).sum();
    let buckets = (bytes / FILL + 1).next_power_of_two().max(2);
    let count = u32::try_from(buckets).map_err(|_| too_many())?;
    let mut writer = Writer { pages: Pages::new(file), next: next_number(count)? };
    let (order, ends) = by_bucket(records, buckets)?;
    let mut start = 0;
    for (bucket, end) in (0_u32..).zip(ends) {
        writer.bucket(bucket + 1, records, order.get(start..end).unwrap_or_default())?;
        start = end;
    }
    let meta = meta(count, writer.next - 1, records.len(), identity)?;
    writer.pages.finish(&meta)
}

/// The indices of the records bucket by bucket, and where each bucket ends. In a bucket they stay sorted.
fn by_bucket(records: &Records, buckets: usize) -> io::Result<(Vec<u32>, Vec<usize>)> {
    let bucket_of = |key: &[u8]| hash(key) as usize & (buckets - 1);
    let mut ends = vec![0_usize; buckets];
    for (key, _) in records.pairs() {
        ends[bucket_of(key)] += 1;
    }
    let mut sum = 0;
    for end in &mut ends {
        // For now, where the bucket begins.
        sum += std::mem::replace(end, sum);
    }
    let mut order = vec![0; records.len()];
    for (index, (key, _)) in records.pairs().enumerate() {
        let at = &mut ends[bucket_of(key)];
        order[*at] = u32::try_from(index).map_err(|_| too_many())?;
        *at += 1;
    }
    Ok((order, ends))
}

fn item_size(item: &[u8]) -> usize {
    if item.len() > BIG { 12 } else { item.len() + 1 }
}

struct Writer<'a> {
    pages: Pages<'a>,
    /// The first page that is not used yet.
    next: u32,
}

impl Writer<'_> {
    /// Fills a bucket: its first page, and more in a chain as they are needed.
    fn bucket(&mut self, first: u32, records: &Records, indices: &[u32]) -> io::Result<()> {
        let mut page = Page::new(first, 0, P_HASH, 0);
        let mut row = Row::Planned;
        for index in indices {
            let Some(record) = records.list().get(*index as usize) else { continue };
            let (key, value) = (records.key(record), records.value(record));
            if !page.has_room(2, item_size(key) + item_size(value)) {
                let next = Page::new(self.next, page.number, P_HASH, 0);
                self.next = next_number(self.next)?;
                page.set_next(next.number);
                self.pages.put(row, &page)?;
                (page, row) = (next, Row::Added);
            }
            self.item(&mut page, key)?;
            self.item(&mut page, value)?;
        }
        self.pages.put(row, &page)
    }

    fn item(&mut self, page: &mut Page, content: &[u8]) -> io::Result<()> {
        if overflow_pages(content) == 0 {
            page.push(item_size(content), &[&[H_KEYDATA], content]);
            return Ok(());
        }
        let first = self.next;
        self.next = self.pages.overflow(Row::Added, first, content)?;
        let length = u32::try_from(content.len()).map_err(|_| too_many())?;
        page.push(12, &[&[H_OFFPAGE, 0, 0, 0], &first.to_le_bytes(), &length.to_le_bytes()]);
        Ok(())
    }
}

fn meta(buckets: u32, last_page: u32, entries: usize, identity: [u8; 20]) -> io::Result<Page> {
    let entries = u32::try_from(entries).map_err(|_| too_many())?;
    let mut page = Page::new(0, 0, 0, 0);
    page.set(12, &Method::Hash.magic().to_le_bytes());
    page.set(16, &HASH_VERSION.to_le_bytes());
    page.set(20, &4096_u32.to_le_bytes());
    page.set(24, &[0]);
    page.set(TYPE_AT, &[P_HASHMETA]);
    page.set(32, &last_page.to_le_bytes());
    page.set(40, &entries.to_le_bytes());
    page.set(44, &entries.to_le_bytes());
    page.set(52, &identity);
    page.set(72, &(buckets - 1).to_le_bytes());
    page.set(76, &(buckets - 1).to_le_bytes());
    page.set(80, &((buckets - 1) >> 1).to_le_bytes());
    page.set(88, &entries.to_le_bytes());
    page.set(CHARKEY_AT, &hash(CHARKEY).to_le_bytes());
    // All buckets lie in a row behind this page.
    for doubling in 0..=buckets.trailing_zeros() as usize {
        page.set(SPARES_AT + 4 * doubling, &1_u32.to_le_bytes());
    }
    Ok(page)
}
