//! A table file, read with `pread` in blocks that are kept.
//!
//! Never a mapping: a file that is truncated under a mapping ends the process with SIGBUS, and a table
//! belongs to whoever may write it.

use crate::source::errno_text;
use std::{
    cell::Cell,
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
};
use types::Trouble;

/// What one `read` brings in: large enough that a table that is asked all over costs few calls, small enough that
/// one look-up does not read a table whole.
const BLOCK: usize = 16384;
/// What is kept of a table, and only when it is that large and asked all over.
const KEPT_MAX: usize = 32 << 20;

/// A place for a block: which one is there, counted from 1, and how many bytes of it the file has.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    block: u32,
    length: u32,
}

/// Where bytes are that were fetched, until others are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    at: usize,
    length: usize,
    across: bool,
}

/// A file with those of its blocks that were asked for.
pub(crate) struct PageFile {
    file: File,
    path: String,
    /// Size of the file when it was opened, or when its blocks were last forgotten.
    size: u64,
    slots: Vec<Slot>,
    memory: Vec<u8>,
    /// The last bytes that did not lie within one block.
    across: Vec<u8>,
    /// Bytes came from the file since [`Self::start`].
    has_read: bool,
}

impl PageFile {
    pub(crate) fn new(file: File, path: &str) -> io::Result<Self> {
        let size = file.metadata()?.size();
        Ok(Self {
            file,
            path: path.to_owned(),
            size,
            slots: Vec::new(),
            memory: Vec::new(),
            across: Vec::new(),
            has_read: false,
        })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Size of the file when it was opened.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Trouble with the file's content, which says how to get a good one.
    pub(crate) fn corrupt(&self, what: &str) -> Trouble {
        Trouble::new(format!("{}: {what}; run postmap or postalias to rebuild it", self.path))
    }

    /// Trouble with reading the file.
    pub(crate) fn unreadable(&self, error: &io::Error) -> Trouble {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.corrupt("the file is truncated");
        }
        Trouble::new(format!("read {}: {}; look-ups fail until it can be read", self.path, errno_text(error)))
    }

    /// From now on, [`Self::has_read`] says whether the file itself was read.
    pub(crate) fn start(&mut self) {
        self.has_read = false;
    }

    /// Whether what was asked for since [`Self::start`] came, in part, from the file and not from memory.
    pub(crate) fn has_read(&self) -> bool {
        self.has_read
    }

    /// Bytes of the file.
    #[inline]
    pub(crate) fn bytes(&mut self, offset: u64, length: usize) -> Result<&[u8], Trouble> {
        let place = self.fetch(offset, length)?;
        Ok(self.at(place))
    }

    /// Makes sure that bytes of the file are at hand.
    #[inline]
    pub(crate) fn fetch(&mut self, offset: u64, length: usize) -> Result<Place, Trouble> {
        if offset.checked_add(length as u64).is_none_or(|end| end > self.size) {
            return Err(self.corrupt("the file is damaged"));
        }
        // BLOCK is a power of two, so what is masked with BLOCK - 1 fits.
        let start = usize::try_from(offset & (BLOCK as u64 - 1)).unwrap_or(0);
        if start + length > BLOCK {
            return self.fetch_across(offset, length);
        }
        let (at, there) = self.block(offset / BLOCK as u64)?;
        if start + length > there {
            return Err(self.corrupt("the file is truncated"));
        }
        Ok(Place { at: at + start, length, across: false })
    }

    #[cold]
    fn fetch_across(&mut self, offset: u64, length: usize) -> Result<Place, Trouble> {
        self.across.resize(length, 0);
        self.has_read = true;
        match self.file.read_exact_at(&mut self.across, offset) {
            Ok(()) => Ok(Place { at: 0, length, across: true }),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    /// What was fetched last.
    #[inline]
    pub(crate) fn at(&self, place: Place) -> &[u8] {
        let memory = if place.across { &self.across } else { &self.memory };
        memory.get(place.at..place.at + place.length).unwrap_or_default()
    }

    /// Bytes that are at hand without reading.
    pub(crate) fn peek(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let number = offset / BLOCK as u64;
        let index = usize::try_from(number).ok()? & self.slots.len().wrapping_sub(1);
        let slot = self.slots.get(index)?;
        let start = usize::try_from(offset & (BLOCK as u64 - 1)).ok()?;
        if u64::from(slot.block) != number + 1 || start + length > slot.length as usize {
            return None;
        }
        self.memory.get(index * BLOCK + start..index * BLOCK + start + length)
    }

    /// Where in memory a block is, and how many bytes of it there are.
    #[inline]
    fn block(&mut self, number: u64) -> Result<(usize, usize), Trouble> {
        // As many slots as a power of two, so that the slot exists.
        let index = usize::try_from(number).unwrap_or(0) & self.slots.len().wrapping_sub(1);
        if let Some(slot) = self.slots.get(index)
            && u64::from(slot.block) == number + 1
        {
            return Ok((index * BLOCK, slot.length as usize));
        }
        self.read_block(number)
    }

    #[cold]
    fn read_block(&mut self, number: u64) -> Result<(usize, usize), Trouble> {
        if self.slots.is_empty() {
            let blocks = usize::try_from(self.size.div_ceil(BLOCK as u64)).unwrap_or(usize::MAX);
            let count = blocks.min(KEPT_MAX / BLOCK).next_power_of_two();
            self.slots = vec![Slot::default(); count];
            self.memory = vec![0; count * BLOCK];
        }
        let tag = u32::try_from(number + 1);
        let index = usize::try_from(number).unwrap_or(0) & (self.slots.len() - 1);
        let at = index * BLOCK;
        let (Ok(tag), Some(slot), Some(memory)) =
            (tag, self.slots.get_mut(index), self.memory.get_mut(at..at + BLOCK))
        else {
            return Err(self.corrupt("the file is larger than a table can be"));
        };
        // Until it is whole, what is there belongs to no block.
        *slot = Slot::default();
        self.has_read = true;
        let length = match read_some(&self.file, memory, number * BLOCK as u64) {
            Ok(length) => length,
            Err(error) => return Err(self.unreadable(&error)),
        };
        // BLOCK fits.
        *slot = Slot { block: tag, length: u32::try_from(length).unwrap_or(0) };
        Ok((at, length))
    }

    /// Forgets all blocks: the file has changed.
    pub(crate) fn forget(&mut self) -> Result<(), Trouble> {
        self.slots.fill(Slot::default());
        match self.file.metadata() {
            Ok(data) => self.size = data.size(),
            Err(error) => return Err(self.unreadable(&error)),
        }
        Ok(())
    }
}

/// Reads until the buffer is full or the file ends.
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Little-endian numbers at an offset; `None` beyond the end.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}

/// A part of a page given by offset and length.
pub(crate) fn part(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

/// Whether keys and values are stored with a null byte (`postmap -N`, `-n`), as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoredNull {
    /// A table is built as Postfix does on Linux: with it in Berkeley DB and lmdb files, without in cdb files. When
    /// one is asked, it is found out by trying: with it first, then without, until one has hit
    /// (`DICT_FLAG_TRY1NULL`, `DICT_FLAG_TRY0NULL`).
    #[default]
    Default,
    /// `-N`
    With,
    /// `-n`
    Without,
}

/// Looks a key up in the spellings that it may have, and remembers which one hit. `find` writes what it finds to
/// its second argument.
pub(crate) fn find_either(
    known: &Cell<StoredNull>,
    key: &[u8],
    value: &mut Vec<u8>,
    mut find: impl FnMut(&[u8], &mut Vec<u8>) -> Result<bool, Trouble>,
) -> Result<bool, Trouble> {
    if known.get() != StoredNull::Without {
        let mut terminated = [0; 256];
        let found = if let Some(start) = terminated.get_mut(..key.len() + 1) {
            start[..key.len()].copy_from_slice(key);
            find(start, value)?
        } else {
            find(&[key, b"\0"].concat(), value)?
        };
        if found {
            known.set(StoredNull::With);
            value.truncate(c_string(value).len());
            return Ok(true);
        }
    }
    if known.get() == StoredNull::With || !find(key, value)? {
        return Ok(false);
    }
    known.set(StoredNull::Without);
    value.truncate(c_string(value).len());
    Ok(true)
}

/// A key or value as a C string: up to its first null byte.
pub(crate) fn c_string(bytes: &[u8]) -> &[u8] {
    memchr::memchr(0, bytes).and_then(|null| bytes.get(..null)).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(content: &[u8]) -> (tempfile::NamedTempFile, PageFile) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let pages = PageFile::new(file.reopen().unwrap(), "table").unwrap();
        (file, pages)
    }

    #[test]
    fn bytes_within_and_across_blocks() {
        let content: Vec<u8> = (0..3 * BLOCK + 100).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect();
        let (_file, mut pages) = file(&content);
        for (at, length) in
            [(0, 10), (BLOCK - 3, 3), (BLOCK - 3, 9), (3 * BLOCK, 100), (5, 2 * BLOCK), (3 * BLOCK + 100, 0)]
        {
            assert_eq!(pages.bytes(at as u64, length).unwrap(), &content[at..at + length], "{at} {length}");
        }
        for (at, length) in [(3 * BLOCK as u64, 101), (u64::MAX, 1), (1 << 60, 1)] {
            assert!(pages.bytes(at, length).is_err(), "{at} {length}");
        }
    }

    #[test]
    fn what_was_read_is_not_read_again() {
        let (_file, mut pages) = file(&[7; 100]);
        pages.start();
        pages.bytes(0, 50).unwrap();
        assert!(pages.has_read());
        pages.start();
        pages.bytes(50, 50).unwrap();
        assert!(!pages.has_read());
        pages.forget().unwrap();
        pages.bytes(0, 1).unwrap();
        assert!(pages.has_read());
    }

    #[test]
    fn a_file_that_was_cut_is_trouble() {
        let (file, mut pages) = file(&[7; BLOCK + 100]);
        pages.bytes(0, 50).unwrap();
        file.as_file().set_len(10).unwrap();
        assert!(pages.bytes(BLOCK as u64, 100).is_err());
        // What is kept is still there: it belongs to the table as it was.
        assert!(pages.bytes(0, 50).is_ok());
        pages.forget().unwrap();
        assert!(pages.bytes(0, 50).is_err());
    }
}
