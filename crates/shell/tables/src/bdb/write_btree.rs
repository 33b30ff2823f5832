//! Writing a B-tree file in one go: sorted entries become leaves, leaves become inner pages, the last of them
//! the root, which is page 1 as in every file that the library makes.

use super::{
    Method, PAGE_HEADER, TYPE_AT,
    btree::{B_KEYDATA, B_OVERFLOW, P_IBTREE, P_LBTREE, ROOT_AT},
    write::{BIG, PAGE, Page, Pages, Row, next_number, overflow_pages, too_many},
};
use crate::build::Records;
use std::{fs::File, io};

const P_BTREEMETA: u8 = 9;
const BTREE_VERSION: u32 = 9;
const ROOT: u32 = 1;
const LEAF_LEVEL: u8 = 1;

/// Writes entries, sorted and without repetition, as a whole file.
pub(crate) fn write_btree(file: &File, records: &Records, identity: [u8; 20]) -> io::Result<()> {
    let mut writer = Writer { pages: Pages::new(file), next: ROOT + 1 };
    let mut level = LEAF_LEVEL;
    let mut children = writer.leaves(records)?;
    while children.len() > 1 {
        level = level.checked_add(1).ok_or_else(too_many)?;
        children = writer.branches(&children, level)?;
    }
    let meta = meta(writer.next - 1, identity);
    writer.pages.finish(&meta)
}

struct Writer<'a> {
    pages: Pages<'a>,
    /// The first page that is not used yet.
    next: u32,
}

/// A page of the level below: its number, and what separates it from the one before.
struct Child {
    number: u32,
    separator: Vec<u8>,
}

fn aligned(size: usize) -> usize {
    size.next_multiple_of(4)
}

fn leaf_size(item: &[u8]) -> usize {
    if item.len() > BIG { 12 } else { aligned(3 + item.len()) }
}

fn branch_size(separator: &[u8]) -> usize {
    if separator.len() > BIG { 24 } else { aligned(12 + separator.len()) }
}

/// The shortest text that is greater than `last` and not greater than `first`, which comes after it.
fn separator(last: &[u8], first: &[u8]) -> Vec<u8> {
    let common = last.iter().zip(first).take_while(|(one, other)| one == other).count();
    first.get(..=common).unwrap_or(first).to_vec()
}

fn length(content: &[u8]) -> io::Result<[u8; 4]> {
    u32::try_from(content.len()).map(u32::to_le_bytes).map_err(|_| too_many())
}

fn short_length(content: &[u8]) -> [u8; 2] {
    // Items that stay on their page are small.
    u16::try_from(content.len()).unwrap_or(u16::MAX).to_le_bytes()
}

impl Writer<'_> {
    fn take_number(&mut self) -> io::Result<u32> {
        let number = self.next;
        self.next = next_number(number)?;
        Ok(number)
    }

    fn leaves(&mut self, records: &Records) -> io::Result<Vec<Child>> {
        let bytes = records.pairs().map(|(key, value)| 4 + leaf_size(key) + leaf_size(value));
        let is_root = bytes.sum::<usize>() <= PAGE - PAGE_HEADER;
        let first = if is_root { ROOT } else { self.take_number()? };
        let mut page = Page::new(first, 0, P_LBTREE, LEAF_LEVEL);
        let mut children = vec![Child { number: first, separator: Vec::new() }];
        let mut last_key: &[u8] = b"";
        for (key, value) in records.pairs() {
            if !page.has_room(2, leaf_size(key) + leaf_size(value)) {
                let number = self.take_number()?;
                page.set_next(number);
                self.pages.put(Row::Added, &page)?;
                page = Page::new(number, page.number, P_LBTREE, LEAF_LEVEL);
                children.push(Child { number, separator: separator(last_key, key) });
            }
            self.leaf_item(&mut page, key)?;
            self.leaf_item(&mut page, value)?;
            last_key = key;
        }
        self.pages.put(Row::Added, &page)?;
        Ok(children)
    }

    fn leaf_item(&mut self, page: &mut Page, content: &[u8]) -> io::Result<()> {
        if overflow_pages(content) == 0 {
            page.push(leaf_size(content), &[&short_length(content), &[B_KEYDATA], content]);
            return Ok(());
        }
        let first = self.overflow(content)?;
        page.push(12, &[&[0, 0, B_OVERFLOW, 0], &first.to_le_bytes(), &length(content)?]);
        Ok(())
    }

    /// Puts an item on pages of its own, and says where.
    fn overflow(&mut self, content: &[u8]) -> io::Result<u32> {
        let first = self.next;
        self.next = self.pages.overflow(Row::Planned, first, content)?;
        Ok(first)
    }

    fn branches(&mut self, children: &[Child], level: u8) -> io::Result<Vec<Child>> {
        let sizes = children.iter().map(|child| 2 + branch_size(&child.separator));
        let is_root = sizes.sum::<usize>() <= PAGE - PAGE_HEADER;
        let first = if is_root { ROOT } else { self.take_number()? };
        let mut page = Page::new(first, 0, P_IBTREE, level);
        let mut parents = vec![Child { number: first, separator: Vec::new() }];
        for (index, child) in children.iter().enumerate() {
            // A page shall lead to two at least: the last two go to the next one together.
            let last_but_one = !is_root && index + 2 == children.len() && page.count() > 1;
            let room_for_two = page.has_room(2, 2 * branch_size(&[0; BIG]));
            if !page.has_room(1, branch_size(&child.separator)) || (last_but_one && !room_for_two) {
                self.pages.put(Row::Added, &page)?;
                let number = self.take_number()?;
                page = Page::new(number, 0, P_IBTREE, level);
                parents.push(Child { number, separator: child.separator.clone() });
            }
            self.branch_item(&mut page, child)?;
        }
        self.pages.put(Row::Added, &page)?;
        Ok(parents)
    }

    fn branch_item(&mut self, page: &mut Page, child: &Child) -> io::Result<()> {
        let number = child.number.to_le_bytes();
        // Nothing is less than what the first child of the first page has.
        let separator = &child.separator;
        if overflow_pages(separator) == 0 {
            let head = [short_length(separator), [B_KEYDATA, 0]].concat();
            page.push(branch_size(separator), &[&head, &number, &[0; 4], separator]);
            return Ok(());
        }
        let first = self.overflow(separator)?;
        let item = [[0, 0, B_OVERFLOW, 0], first.to_le_bytes(), length(separator)?].concat();
        page.push(24, &[&[12, 0, B_OVERFLOW, 0], &number, &[0; 4], &item]);
        Ok(())
    }
}

fn meta(last_page: u32, identity: [u8; 20]) -> Page {
    let mut page = Page::new(0, 0, 0, 0);
    page.set(12, &Method::Btree.magic().to_le_bytes());
    page.set(16, &BTREE_VERSION.to_le_bytes());
    page.set(20, &4096_u32.to_le_bytes());
    page.set(24, &[0]);
    page.set(TYPE_AT, &[P_BTREEMETA]);
    page.set(32, &last_page.to_le_bytes());
    page.set(52, &identity);
    // Items on a page, at least; what fixed-length records are filled with.
    page.set(76, &2_u32.to_le_bytes());
    page.set(84, &0x20_u32.to_le_bytes());
    page.set(ROOT_AT, &ROOT.to_le_bytes());
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators() {
        for (last, first, expected) in
            [("abc", "abd", "abd"), ("abc", "b", "b"), ("ab", "abcd", "abc"), ("", "xyz", "x")]
        {
            assert_eq!(separator(last.as_bytes(), first.as_bytes()), expected.as_bytes(), "{last} {first}");
        }
    }
}
