//! A cache that ends with its process.

use std::collections::{BTreeMap, HashMap};

/// Entries, of which the one that was not set for the longest time gives way when there are too many.
pub(crate) struct Memory {
    entries: HashMap<Vec<u8>, (u64, Vec<u8>)>,
    /// Keys by the order in which they were set.
    order: BTreeMap<u64, Vec<u8>>,
    last: u64,
    entries_max: usize,
}

impl Memory {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), last: 0, entries_max }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.entries.get(key).map(|(_, value)| value.clone())
    }

    /// Sets an entry, or removes it.
    pub(crate) fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        if let Some((number, _)) = self.entries.remove(key) {
            self.order.remove(&number);
        }
        let Some(value) = value else { return };
        if self.entries.len() >= self.entries_max
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.last += 1;
        self.entries.insert(key.to_vec(), (self.last, value.to_vec()));
        self.order.insert(self.last, key.to_vec());
    }

    /// At most `count` entries, from the one behind `number` on, with the number to go on behind.
    pub(crate) fn after(&self, number: u64, count: usize) -> Vec<(u64, Vec<u8>, Vec<u8>)> {
        let next = self.order.range(number + 1..).take(count);
        next.filter_map(|(number, key)| Some((*number, key.clone(), self.get(key)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way() {
        let mut memory = Memory::new(2);
        for key in [b"a", b"b", b"a", b"c"] {
            memory.set(key, Some(b"value"));
        }
        let there = |memory: &Memory| [b"a", b"b", b"c"].map(|key| memory.get(key).is_some());
        assert_eq!(there(&memory), [true, false, true]);
        memory.set(b"a", None);
        memory.set(b"a", None);
        assert_eq!(there(&memory), [false, false, true]);
        assert_eq!((memory.entries.len(), memory.order.len()), (1, 1));
    }

    #[test]
    fn entries_come_in_pieces() {
        let mut memory = Memory::new(9);
        for key in [b"a", b"b", b"c"] {
            memory.set(key, Some(key));
        }
        let first = memory.after(0, 2);
        assert_eq!(first.iter().map(|(_, key, _)| key.as_slice()).collect::<Vec<_>>(), [b"a", b"b"]);
        let rest = memory.after(first[1].0, 2);
        assert_eq!(rest.iter().map(|(_, key, _)| key.as_slice()).collect::<Vec<_>>(), [b"c"]);
    }
}
