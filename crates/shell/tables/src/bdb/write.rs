//! Writing a hash file in one go, with as many buckets as it needs, in the format of Berkeley DB 5.3.

use super::{
    HASH_VERSION, Method, P_OVERFLOW, PAGE_HEADER,
    hash::{CHARKEY, CHARKEY_AT, H_KEYDATA, H_OFFPAGE, P_HASH, SPARES_AT, hash},
};
use std::io::{self, Write};

const PAGE: usize = 4096;
const P_HASHMETA: u8 = 8;
/// An item larger than this goes to pages of its own.
const BIG: usize = PAGE / 4;
/// How full the pages shall be on average.
const FILL: usize = PAGE * 2 / 3;

/// Writes entries, without repetition, as a whole file. `identity` makes the file's own id, which the
/// library wants to be different for each file.
pub(crate) fn write_hash(
    out: &mut impl Write,
    entries: &[(Vec<u8>, Vec<u8>)],
    identity: [u8; 20],
) -> io::Result<()> {
    let bytes: usize = entries.iter().map(|(key, value)| item_size(key) + item_size(value) + 4).sum();
    let buckets = (bytes / FILL + 1).next_power_of_two().max(2);
    let mut chains: Vec<Vec<&(Vec<u8>, Vec<u8>)>> = vec![Vec::new(); buckets];
    for entry in entries {
        let bucket = hash(&entry.0) as usize & (buckets - 1);
        if let Some(chain) = chains.get_mut(bucket) {
            chain.push(entry);
        }
    }
    let mut file = File { pages: vec![vec![0; PAGE]; buckets + 1] };
    for (bucket, mut chain) in chains.into_iter().enumerate() {
        chain.sort();
        file.chain(bucket + 1, &chain)?;
    }
    file.meta(buckets, entries.len(), identity)?;
    for page in &file.pages {
        out.write_all(page)?;
    }
    out.flush()
}

fn item_size(item: &[u8]) -> usize {
    if item.len() > BIG { 12 } else { item.len() + 1 }
}

struct File {
    pages: Vec<Vec<u8>>,
}

fn number(at: usize) -> io::Result<u32> {
    u32::try_from(at).map_err(|_| io::Error::other("too many entries for a Berkeley DB file"))
}

fn set(page: &mut [u8], at: usize, bytes: &[u8]) {
    page[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Offsets and counts within a page fit 16 bits.
fn short(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes()
}

impl File {
    fn page(&mut self, number: usize) -> &mut [u8] {
        // Numbers come from `add_page` or are buckets, for which pages were made.
        &mut self.pages[number]
    }

    fn add_page(&mut self) -> usize {
        self.pages.push(vec![0; PAGE]);
        self.pages.len() - 1
    }

    fn start_page(&mut self, at: usize, previous: usize, kind: u8) -> io::Result<()> {
        let (own, previous) = (number(at)?, number(previous)?);
        let page = self.page(at);
        // A log sequence number that says "not logged".
        set(page, 4, &1_u32.to_le_bytes());
        set(page, 8, &own.to_le_bytes());
        set(page, 12, &previous.to_le_bytes());
        page[super::TYPE_AT] = kind;
        Ok(())
    }

    fn link(&mut self, from: usize, to: usize) -> io::Result<()> {
        let to = number(to)?;
        set(self.page(from), 16, &to.to_le_bytes());
        Ok(())
    }

    /// Fills a bucket: its first page, and more in a chain as they are needed.
    fn chain(&mut self, first: usize, entries: &[&(Vec<u8>, Vec<u8>)]) -> io::Result<()> {
        let (mut at, mut count, mut free_end) = (first, 0, PAGE);
        self.start_page(at, 0, P_HASH)?;
        for (key, value) in entries {
            let size = item_size(key) + item_size(value);
            if PAGE_HEADER + 2 * (count + 2) + size > free_end {
                let next = self.add_page();
                self.start_page(next, at, P_HASH)?;
                self.link(at, next)?;
                (at, count, free_end) = (next, 0, PAGE);
            }
            for item in [key, value] {
                let bytes = self.item(item)?;
                free_end -= bytes.len();
                let page = self.page(at);
                set(page, free_end, &bytes);
                set(page, PAGE_HEADER + 2 * count, &short(free_end));
                count += 1;
                set(page, 20, &short(count));
                set(page, 22, &short(free_end));
            }
        }
        if entries.is_empty() {
            set(self.page(at), 22, &short(PAGE));
        }
        Ok(())
    }

    /// An item as it stands on its page; a big one is put on pages of its own.
    fn item(&mut self, content: &[u8]) -> io::Result<Vec<u8>> {
        if content.len() <= BIG {
            return Ok([&[H_KEYDATA], content].concat());
        }
        let mut first = 0;
        let mut previous = 0;
        for bytes in content.chunks(PAGE - PAGE_HEADER) {
            let at = self.add_page();
            self.start_page(at, previous, P_OVERFLOW)?;
            let page = self.page(at);
            // One reference to the item.
            set(page, 20, &1_u16.to_le_bytes());
            set(page, 22, &short(bytes.len()));
            set(page, PAGE_HEADER, bytes);
            if previous == 0 {
                first = at;
            } else {
                self.link(previous, at)?;
            }
            previous = at;
        }
        let mut item = vec![H_OFFPAGE, 0, 0, 0];
        item.extend_from_slice(&number(first)?.to_le_bytes());
        item.extend_from_slice(&number(content.len())?.to_le_bytes());
        Ok(item)
    }

    fn meta(&mut self, buckets: usize, entries: usize, identity: [u8; 20]) -> io::Result<()> {
        let last_page = number(self.pages.len() - 1)?;
        let (entries, max_bucket) = (number(entries)?, number(buckets - 1)?);
        let page = self.page(0);
        set(page, 4, &1_u32.to_le_bytes());
        set(page, 12, &Method::Hash.magic().to_le_bytes());
        set(page, 16, &HASH_VERSION.to_le_bytes());
        set(page, 20, &4096_u32.to_le_bytes());
        page[super::TYPE_AT] = P_HASHMETA;
        set(page, 32, &last_page.to_le_bytes());
        set(page, 40, &entries.to_le_bytes());
        set(page, 44, &entries.to_le_bytes());
        set(page, 52, &identity);
        set(page, 72, &max_bucket.to_le_bytes());
        set(page, 76, &max_bucket.to_le_bytes());
        set(page, 80, &(max_bucket >> 1).to_le_bytes());
        set(page, 88, &entries.to_le_bytes());
        set(page, CHARKEY_AT, &hash(CHARKEY).to_le_bytes());
        // All buckets lie in a row behind this page.
        for doubling in 0..=buckets.trailing_zeros() as usize {
            set(page, SPARES_AT + 4 * doubling, &1_u32.to_le_bytes());
        }
        Ok(())
    }
}
