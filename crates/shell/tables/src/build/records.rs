//! The entries of a table that is being built: all text in one piece of memory, and a small record for each entry.
//!
//! A million entries cost a few allocations, and are sorted by eight bytes at a time: comparing whole keys would
//! fetch both from memory each time.

use std::collections::BTreeSet;

/// An entry: where its text is, and as much of its key as is compared at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    prefix: u64,
    at: usize,
    key: u32,
    value: u32,
}

/// Entries in the order in which they came, until they are sorted.
#[derive(Debug, Default)]
pub(crate) struct Records {
    text: Vec<u8>,
    list: Vec<Record>,
}

/// Before each key stands the number of its line.
const LINE: usize = size_of::<u32>();
/// As few equal beginnings are sorted by whole keys.
const FEW: usize = 12;

impl Records {
    /// Adds an entry whose key is written by `key` and whose value is `value`, each with a null byte behind it if
    /// `with_null`. False when it is too large.
    pub(crate) fn push(
        &mut self,
        line: u32,
        with_null: bool,
        key: impl FnOnce(&mut Vec<u8>),
        value: &[u8],
    ) -> bool {
        let start = self.text.len();
        self.text.extend_from_slice(&line.to_le_bytes());
        key(&mut self.text);
        if with_null {
            self.text.push(0);
        }
        let end = self.text.len();
        self.text.extend_from_slice(value);
        if with_null {
            self.text.push(0);
        }
        let at = start + LINE;
        let (Ok(key), Ok(value)) = (u32::try_from(end - at), u32::try_from(self.text.len() - end)) else {
            self.text.truncate(start);
            return false;
        };
        self.list.push(Record { prefix: 0, at, key, value });
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The key of a record of this list.
    pub(crate) fn key(&self, record: &Record) -> &[u8] {
        self.text.get(record.at..record.at + record.key as usize).unwrap_or_default()
    }

    pub(crate) fn value(&self, record: &Record) -> &[u8] {
        let at = record.at + record.key as usize;
        self.text.get(at..at + record.value as usize).unwrap_or_default()
    }

    /// The line that a record came from.
    pub(crate) fn line(&self, record: &Record) -> u32 {
        let bytes = self.text.get(record.at - LINE..record.at).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    }

    pub(crate) fn list(&self) -> &[Record] {
        &self.list
    }

    /// Keys with their values.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.list.iter().map(|record| (self.key(record), self.value(record)))
    }

    /// Sorts by keys, equal ones as they came.
    pub(crate) fn sort(&mut self) {
        let mut list = std::mem::take(&mut self.list);
        // Parts that are equal in as many first bytes.
        let mut parts = vec![(0, list.len(), 0)];
        while let Some((from, to, depth)) = parts.pop() {
            let Some(part) = list.get_mut(from..to) else { continue };
            if part.len() <= FEW {
                part.sort_unstable_by(|one, other| {
                    self.key(one).cmp(self.key(other)).then(one.at.cmp(&other.at))
                });
                continue;
            }
            // What ends here comes before what goes on: zeroes stand for the bytes that are missing.
            let ended = move_ended(part, depth);
            let (ended, rest) = part.split_at_mut(ended);
            ended.sort_unstable_by_key(|record| (record.key, record.at));
            let begin = to - rest.len();
            for record in &mut *rest {
                record.prefix = self.prefix(record, depth);
            }
            rest.sort_unstable_by_key(|record| record.prefix);
            let mut start = 0;
            for equal in rest.chunk_by(|one, other| one.prefix == other.prefix) {
                if equal.len() > 1 {
                    parts.push((begin + start, begin + start + equal.len(), depth + 8));
                }
                start += equal.len();
            }
        }
        self.list = list;
    }

    /// Sorts as they came.
    pub(crate) fn unsort(&mut self) {
        self.list.sort_unstable_by_key(|record| record.at);
    }

    /// The eight bytes of a key that begin at `depth`, zeroes behind its end.
    fn prefix(&self, record: &Record, depth: usize) -> u64 {
        let at = record.at + depth;
        let there = (record.key as usize).saturating_sub(depth).min(8);
        match self.text.get(at..at + 8) {
            Some(bytes) => {
                let prefix = bytes.try_into().map_or(0, u64::from_be_bytes);
                if there == 8 { prefix } else { prefix & !(u64::MAX >> (8 * there)) }
            }
            None => {
                let mut bytes = [0; 8];
                if let Some(rest) = self.text.get(at..at + there) {
                    bytes[..there].copy_from_slice(rest);
                }
                u64::from_be_bytes(bytes)
            }
        }
    }

    /// Removes all of equal keys but one, once they are sorted: the one that `choose` picks by its index. It gets
    /// the records of a key in the order in which they came.
    pub(crate) fn unite(&mut self, mut choose: impl FnMut(&Self, &[Record]) -> usize) {
        let list = std::mem::take(&mut self.list);
        let mut kept = Vec::with_capacity(list.len());
        for equal in list.chunk_by(|one, other| one.key == other.key && self.key(one) == self.key(other)) {
            let chosen = if equal.len() == 1 { 0 } else { choose(self, equal) };
            kept.extend(equal.get(chosen));
        }
        self.list = kept;
    }

    /// Where a key is, once they are sorted.
    pub(crate) fn position(&self, key: &[u8]) -> Option<usize> {
        self.list.binary_search_by(|record| self.key(record).cmp(key)).ok()
    }

    /// Removes the records of the given indices.
    pub(crate) fn remove(&mut self, indices: &BTreeSet<usize>) {
        let mut index = 0;
        let mut gone = indices.iter().copied().peekable();
        self.list.retain(|_| {
            let is_gone = gone.next_if_eq(&index).is_some();
            index += 1;
            !is_gone
        });
    }
}

/// Moves the records whose keys have no more than `depth` bytes to the front; how many there are.
fn move_ended(part: &mut [Record], depth: usize) -> usize {
    let mut ended = 0;
    for at in 0..part.len() {
        if part.get(at).is_some_and(|record| record.key as usize <= depth) {
            part.swap(at, ended);
            ended += 1;
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(keys: &[Vec<u8>]) -> Records {
        let mut records = Records::default();
        for (line, key) in keys.iter().enumerate() {
            let value = line.to_string();
            assert!(records.push(
                u32::try_from(line).unwrap(),
                false,
                |text| text.extend_from_slice(key),
                value.as_bytes()
            ));
        }
        records
    }

    fn check(keys: &[Vec<u8>]) {
        let mut records = records(keys);
        records.sort();
        let mut expected: Vec<(&[u8], String)> =
            keys.iter().enumerate().map(|(n, key)| (key.as_slice(), n.to_string())).collect();
        expected.sort_by_key(|(key, _)| *key);
        let sorted: Vec<_> =
            records.pairs().map(|(k, v)| (k, String::from_utf8(v.to_vec()).unwrap())).collect();
        assert_eq!(sorted, expected);
        for (key, _) in &expected {
            assert_eq!(records.key(&records.list()[records.position(key).unwrap()]), *key);
        }
    }

    proptest! {
        #[test]
        fn sorted_as_slices_are(keys in prop::collection::vec("[ab\0]{0,20}".prop_map(String::into_bytes), 0..200)) {
            check(&keys);
        }
    }

    #[test]
    fn long_equal_beginnings() {
        let begin = "x".repeat(100_000);
        check(&(0..40).map(|n| format!("{begin}{}", n % 7).into_bytes()).collect::<Vec<_>>());
        check(&vec![begin.into_bytes(); 30]);
    }

    #[test]
    fn equal_keys_become_one() {
        let mut records = records(&[b"b".to_vec(), b"a".to_vec(), b"b".to_vec()]);
        records.sort();
        records.unite(|records, equal| {
            assert_eq!(equal.iter().map(|record| records.line(record)).collect::<Vec<_>>(), [0, 2]);
            1
        });
        let pairs = |records: &Records| records.pairs().map(|(k, v)| [k, v].concat()).collect::<Vec<_>>();
        assert_eq!(pairs(&records), [b"a1", b"b2"]);
        records.unsort();
        assert_eq!(pairs(&records), [b"a1", b"b2"]);
        records.remove(&BTreeSet::from([0]));
        assert_eq!(pairs(&records), [b"b2"]);
    }
}
