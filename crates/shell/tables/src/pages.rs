//! Pages of a table file, read with `pread` and kept in a small cache.
//!
//! Never a mapping: a file that is truncated under a mapping ends the process with SIGBUS, and a table
//! belongs to whoever may write it.

use crate::source::errno_text;
use std::{cell::RefCell, fs::File, io, os::unix::fs::FileExt, rc::Rc};
use types::Trouble;

/// Pages that are kept, allocated as they come: at most 32 MiB of 4 KiB pages, and only when a table is that large
/// and asked all over.
const SLOTS: usize = 8192;

/// A page that is kept, with its number.
type Slot = Option<(u64, Rc<[u8]>)>;

/// A file of equal pages.
pub(crate) struct PageFile {
    file: File,
    path: String,
    page_size: usize,
    cache: RefCell<Vec<Slot>>,
}

impl PageFile {
    pub(crate) fn new(file: File, path: &str, page_size: usize) -> Self {
        Self { file, path: path.to_owned(), page_size, cache: RefCell::new(Vec::new()) }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn page_size(&self) -> usize {
        self.page_size
    }

    /// Trouble with the file's content, which says how to get a good one.
    pub(crate) fn corrupt(&self, what: &str) -> Trouble {
        Trouble::new(format!("{}: {what}; run postmap or postalias to rebuild it", self.path))
    }

    /// Reads bytes at an offset.
    pub(crate) fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, Trouble> {
        let mut bytes = vec![0; length];
        match self.file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.corrupt("the file is truncated"))
            }
            Err(error) => Err(Trouble::new(format!("read {}: {}", self.path, errno_text(&error)))),
        }
    }

    /// A page, and whether it came from the cache.
    pub(crate) fn page(&self, number: u64) -> Result<(Rc<[u8]>, bool), Trouble> {
        let mut cache = self.cache.borrow_mut();
        if cache.is_empty() {
            cache.resize(SLOTS, None);
        }
        // SLOTS is a power of two, so the slot exists.
        let slot = usize::try_from(number).unwrap_or(0) & (SLOTS - 1);
        if let Some(Some((kept, page))) = cache.get(slot)
            && *kept == number
        {
            return Ok((Rc::clone(page), true));
        }
        let offset = number
            .checked_mul(self.page_size as u64)
            .ok_or_else(|| self.corrupt("a page number is out of range"))?;
        let page: Rc<[u8]> = self.read_at(offset, self.page_size)?.into();
        if let Some(slot) = cache.get_mut(slot) {
            *slot = Some((number, Rc::clone(&page)));
        }
        Ok((page, false))
    }

    /// Forgets all pages.
    pub(crate) fn forget(&self) {
        self.cache.borrow_mut().clear();
    }
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

/// Whether the writer of a file put a null byte after keys and values. Postfix finds out by trying: with
/// it first, then without, until one has hit (`DICT_FLAG_TRY1NULL`, `DICT_FLAG_TRY0NULL`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum NullBytes {
    #[default]
    Unknown,
    Yes,
    No,
}

/// Looks a key up in either spelling and remembers which one hit.
pub(crate) fn find_either(
    known: &std::cell::Cell<NullBytes>,
    key: &[u8],
    find: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, Trouble>,
) -> types::Lookup {
    let attempt = |spelling: &[u8], means| match find(spelling) {
        Ok(None) => None,
        Ok(Some(value)) => {
            known.set(means);
            Some(types::Lookup::Found(without_null(value)))
        }
        Err(trouble) => Some(types::Lookup::TryAgain(trouble)),
    };
    if known.get() != NullBytes::No {
        let mut terminated = [0; 256];
        let answer = if let Some(start) = terminated.get_mut(..key.len() + 1) {
            start[..key.len()].copy_from_slice(key);
            attempt(start, NullBytes::Yes)
        } else {
            attempt(&[key, b"\0"].concat(), NullBytes::Yes)
        };
        if let Some(answer) = answer {
            return answer;
        }
    }
    if known.get() != NullBytes::Yes
        && let Some(answer) = attempt(key, NullBytes::No)
    {
        return answer;
    }
    types::Lookup::Absent
}

/// A value as a C string: up to its first null byte.
pub(crate) fn without_null(mut value: Vec<u8>) -> Vec<u8> {
    if let Some(null) = memchr::memchr(0, &value) {
        value.truncate(null);
    }
    value
}

/// A key or value of a listing as a C string.
pub(crate) fn c_string(bytes: &[u8]) -> &[u8] {
    memchr::memchr(0, bytes).and_then(|null| bytes.get(..null)).unwrap_or(bytes)
}
