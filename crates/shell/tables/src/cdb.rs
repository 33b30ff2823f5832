//! `cdb:` tables (cdb_table(5)): constant databases, read with `pread`, written in one go.

use crate::{
    OpenError, Source,
    pages::{NullBytes, PageFile, c_string, find_either, u32_at},
};
use std::{
    cell::Cell,
    fs::File,
    io::{self, Seek, SeekFrom, Write},
};
use types::{Lookup, Trouble};

const HEADER: usize = 2048;
/// The file is read through the cache in pieces of this size.
const PIECE: usize = 4096;

/// An opened table.
pub(crate) struct CdbTable {
    pages: PageFile,
    size: u64,
    header: Vec<u8>,
    nulls: Cell<NullBytes>,
}

fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381, |hash: u32, byte| hash.wrapping_mul(33) ^ u32::from(*byte))
}

/// Which piece of the file an offset is in, and where in it.
fn place(offset: u64) -> (u64, usize) {
    let start = offset % PIECE as u64;
    (offset / PIECE as u64, usize::try_from(start).unwrap_or(0))
}

/// `cdb:/path` for `/path.cdb`
pub(crate) fn open_cdb(path: &str) -> Result<CdbTable, OpenError> {
    let file_name = format!("{path}.cdb");
    let failed = |error: &io::Error| OpenError::io("open database", &file_name, error);
    let remedy = format!("; run \"postmap cdb:{path}\" (or postalias) to build it");
    let file = File::open(&file_name).map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        if missing { failed(&error).with_remedy(&remedy) } else { failed(&error) }
    })?;
    let size = file.metadata().map_err(|error| failed(&error))?.len();
    let pages = PageFile::new(file, &file_name, PIECE);
    let header = pages.read_at(0, HEADER).map_err(|_| {
        OpenError::new(format!("open database {file_name}: not a cdb file")).with_remedy(&remedy)
    })?;
    Ok(CdbTable { pages, size, header, nulls: Cell::default() })
}

impl CdbTable {
    fn bad(&self) -> Trouble {
        self.pages.corrupt("the file is damaged")
    }

    fn bytes(&self, offset: u64, length: usize) -> Result<Vec<u8>, Trouble> {
        if offset.checked_add(length as u64).is_none_or(|end| end > self.size) {
            return Err(self.bad());
        }
        let (piece, start) = place(offset);
        // The last piece of the file is shorter than a page, so it is read directly.
        let cached = start + length <= PIECE && (piece + 1) * PIECE as u64 <= self.size;
        if !cached {
            return self.pages.read_at(offset, length);
        }
        let (page, _) = self.pages.page(piece)?;
        page.get(start..start + length).map(<[u8]>::to_vec).ok_or_else(|| self.bad())
    }

    fn pair(&self, offset: u64) -> Result<(u32, u32), Trouble> {
        if offset.checked_add(8).is_none_or(|end| end > self.size) {
            return Err(self.bad());
        }
        let (piece, start) = place(offset);
        let numbers = |bytes: &[u8], at| Some((u32_at(bytes, at)?, u32_at(bytes, at + 4)?));
        if start + 8 <= PIECE && (piece + 1) * PIECE as u64 <= self.size {
            let (page, _) = self.pages.page(piece)?;
            return numbers(&page, start).ok_or_else(|| self.bad());
        }
        numbers(&self.pages.read_at(offset, 8)?, 0).ok_or_else(|| self.bad())
    }

    fn find(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        let hash = hash(key);
        let entry = 8 * (hash & 0xFF) as usize;
        let (Some(table), Some(slots)) = (u32_at(&self.header, entry), u32_at(&self.header, entry + 4))
        else {
            return Err(self.bad());
        };
        if slots == 0 {
            return Ok(None);
        }
        if u64::from(slots) * 8 > self.size {
            return Err(self.bad());
        }
        let start = (hash >> 8) % slots;
        for step in 0..slots {
            let slot = (start + step) % slots;
            let (slot_hash, record) = self.pair(u64::from(table) + 8 * u64::from(slot))?;
            if record == 0 {
                return Ok(None);
            }
            if slot_hash != hash {
                continue;
            }
            let (key_size, value_size) = self.pair(record.into())?;
            let key_at = u64::from(record) + 8;
            if key_size as usize == key.len() && self.bytes(key_at, key.len())? == key {
                return self.bytes(key_at + u64::from(key_size), value_size as usize).map(Some);
            }
        }
        // Whoever makes a table leaves room in it: one without an empty slot was overwritten.
        Err(self.bad())
    }
}

impl Source for CdbTable {
    fn get(&self, key: &[u8]) -> Lookup {
        find_either(&self.nulls, key, |key| self.find(key))
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Trouble> {
        // Records end where the first table begins.
        let tables = (0..256).filter_map(|entry| u32_at(&self.header, 8 * entry));
        let end = u64::from(tables.min().unwrap_or(0));
        let mut at = HEADER as u64;
        while at < end {
            let (key_size, value_size) = self.pair(at)?;
            let key = self.bytes(at + 8, key_size as usize)?;
            let value = self.bytes(at + 8 + u64::from(key_size), value_size as usize)?;
            visit(c_string(&key), c_string(&value));
            at += 8 + u64::from(key_size) + u64::from(value_size);
        }
        Ok(())
    }
}

/// Writes entries, in their order, as a whole file.
pub(crate) fn write_cdb(out: &mut (impl Write + Seek), entries: &[(Vec<u8>, Vec<u8>)]) -> io::Result<()> {
    let too_large = || io::Error::other("too large for a cdb table (4 GiB)");
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| too_large());
    let mut tables: Vec<Vec<(u32, u32)>> = vec![Vec::new(); 256];
    let mut at = u32::try_from(HEADER).map_err(|_| too_large())?;
    out.seek(SeekFrom::Start(HEADER as u64))?;
    for (key, value) in entries {
        let (key_size, value_size) = (length(key)?, length(value)?);
        out.write_all(&key_size.to_le_bytes())?;
        out.write_all(&value_size.to_le_bytes())?;
        out.write_all(key)?;
        out.write_all(value)?;
        let hash = hash(key);
        if let Some(table) = tables.get_mut((hash & 0xFF) as usize) {
            table.push((hash, at));
        }
        let size = key_size.checked_add(value_size).and_then(|size| size.checked_add(8));
        at = size.and_then(|size| at.checked_add(size)).ok_or_else(too_large)?;
    }
    let mut header = Vec::with_capacity(HEADER);
    for table in tables {
        let slots = table.len() * 2;
        header.extend_from_slice(&at.to_le_bytes());
        header.extend_from_slice(&u32::try_from(slots).map_err(|_| too_large())?.to_le_bytes());
        let mut filled = vec![(0_u32, 0_u32); slots];
        for (hash, record) in table {
            let mut slot = (hash >> 8) as usize % slots;
            while filled.get(slot).is_some_and(|(_, record)| *record != 0) {
                slot = (slot + 1) % slots;
            }
            if let Some(place) = filled.get_mut(slot) {
                *place = (hash, record);
            }
        }
        for (hash, record) in &filled {
            out.write_all(&hash.to_le_bytes())?;
            out.write_all(&record.to_le_bytes())?;
        }
        at = u32::try_from(slots * 8).ok().and_then(|size| at.checked_add(size)).ok_or_else(too_large)?;
    }
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&header)?;
    out.flush()
}
