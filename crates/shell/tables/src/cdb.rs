//! `cdb:` tables (cdb_table(5)): constant databases, read with `pread`, written in one go.

use crate::{
    OpenError, Options, Source,
    build::Records,
    lent,
    pages::{PageFile, StoredNull, c_string, find_either, u32_at},
    source::Each,
};
use std::{
    cell::{Cell, RefCell},
    io::{self, Seek, SeekFrom, Write},
};
use types::Trouble;

const HEADER: usize = 2048;
/// Values up to this size are fetched with their keys.
const SMALL_VALUE: usize = 1024;
/// So many keys are looked up side by side.
const TOGETHER: usize = 32;

/// An opened table.
pub(crate) struct CdbTable {
    file: RefCell<Cdb>,
    nulls: Cell<StoredNull>,
}

/// The file, and its first bytes: where the 256 hash tables are and how many slots they have.
struct Cdb {
    pages: PageFile,
    header: Vec<u8>,
}

fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381, |hash, byte| hash_more(hash, *byte))
}

fn hash_more(hash: u32, byte: u8) -> u32 {
    hash.wrapping_mul(33) ^ u32::from(byte)
}

/// `cdb:/path` for `/path.cdb`
pub(crate) fn open_cdb(path: &str, options: &Options) -> Result<CdbTable, OpenError> {
    let file_name = format!("{path}.cdb");
    let failed = |error: &io::Error| OpenError::io("open database", &file_name, error);
    let remedy = format!("; run \"postmap cdb:{path}\" (or postalias) to build it");
    let file = lent::open(file_name.as_ref()).map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        if missing { failed(&error).with_remedy(&remedy) } else { failed(&error) }
    })?;
    let mut pages = PageFile::new(file, &file_name).map_err(|error| failed(&error))?;
    let header = pages.bytes(0, HEADER).map(<[u8]>::to_vec).map_err(|_| {
        OpenError::new(format!("open database {file_name}: not a cdb file")).with_remedy(&remedy)
    })?;
    Ok(CdbTable { file: RefCell::new(Cdb { pages, header }), nulls: Cell::new(options.nulls) })
}

impl Cdb {
    fn bad(&self) -> Trouble {
        self.pages.corrupt("the file is damaged")
    }

    fn pair(&mut self, offset: u64) -> Result<(u32, u32), Trouble> {
        let bytes = self.pages.bytes(offset, 8)?;
        let pair = (|| Some((u32_at(bytes, 0)?, u32_at(bytes, 4)?)))();
        pair.ok_or_else(|| self.bad())
    }

    /// Where the search for a hash begins: offset of its table, number of slots, first slot. `None` for no slots.
    fn start(&self, hash: u32) -> Option<(u64, u32, u32)> {
        let entry = 8 * (hash & 0xFF) as usize;
        let (table, slots) = (u32_at(&self.header, entry)?, u32_at(&self.header, entry + 4)?);
        (slots > 0).then(|| (u64::from(table), slots, (hash >> 8) % slots))
    }

    /// Looks up a key that has this hash.
    fn find(&mut self, hash: u32, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        let Some((table, slots, mut slot)) = self.start(hash) else { return Ok(false) };
        if u64::from(slots) * 8 > self.pages.size() {
            return Err(self.bad());
        }
        for _ in 0..slots {
            let (slot_hash, record) = self.pair(table + 8 * u64::from(slot))?;
            if record == 0 {
                return Ok(false);
            }
            if slot_hash == hash && self.is_record_of(record, key, value)? {
                return Ok(true);
            }
            slot = if slot + 1 == slots { 0 } else { slot + 1 };
        }
        // Whoever makes a table leaves room in it: one without an empty slot was overwritten.
        Err(self.bad())
    }

    /// Brings what the hashes lead to near, as far as it was read before: the waits for memory overlap.
    fn approach(&self, hashes: &[u32]) {
        let slot = |hash: &u32| {
            let (table, _, slot) = self.start(*hash)?;
            self.pages.peek(table + 8 * u64::from(slot), 8)
        };
        hashes.iter().filter_map(slot).for_each(tables_sys::prefetch);
        let record = |bytes: &[u8]| self.pages.peek(u32_at(bytes, 4)?.into(), 8);
        hashes.iter().filter_map(slot).filter_map(record).for_each(tables_sys::prefetch);
    }

    /// Whether a record has this key; then its value is taken.
    fn is_record_of(&mut self, record: u32, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        let start = u64::from(record);
        let header = self.pair(start)?;
        if header.0 as usize != key.len() {
            return Ok(false);
        }
        // Its parts are in a row, so that they are fetched as one unless the value is large.
        let (key_end, size) = (8 + key.len(), header.1 as usize);
        if size <= SMALL_VALUE {
            let bytes = self.pages.bytes(start, key_end + size)?;
            let same = bytes.get(8..key_end) == Some(key);
            if same {
                value.clear();
                value.extend_from_slice(bytes.get(key_end..).unwrap_or_default());
            }
            return Ok(same);
        }
        if self.pages.bytes(start + 8, key.len())? != key {
            return Ok(false);
        }
        value.clear();
        value.extend_from_slice(self.pages.bytes(start + key_end as u64, size)?);
        Ok(true)
    }

    fn each(&mut self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Trouble> {
        // Records end where the first table begins.
        let end = self.header.chunks(8).filter_map(|entry| u32_at(entry, 0)).min().unwrap_or(0);
        let mut at = HEADER as u64;
        while at < end.into() {
            let (key_size, value_size) = self.pair(at)?;
            let key = self.pages.bytes(at + 8, key_size as usize)?.to_vec();
            let value = self.pages.bytes(at + 8 + u64::from(key_size), value_size as usize)?;
            visit(&key, value);
            at += 8 + u64::from(key_size) + u64::from(value_size);
        }
        Ok(())
    }
}

impl Source for CdbTable {
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        let mut file = self.file.borrow_mut();
        find_either(&self.nulls, key, value, |key, value| file.find(hash(key), key, value))
    }

    fn find_each(&self, keys: &[&[u8]], answer: &mut Each<'_>) {
        let mut file = self.file.borrow_mut();
        let (mut value, mut terminated) = (Vec::new(), Vec::new());
        for keys in keys.chunks(TOGETHER) {
            let nulls = self.nulls.get();
            let mut hashes = [0; TOGETHER];
            for (hash, key) in hashes.iter_mut().zip(keys) {
                *hash = self::hash(key);
                if nulls == StoredNull::With {
                    *hash = hash_more(*hash, 0);
                }
            }
            file.approach(hashes.get(..keys.len()).unwrap_or_default());
            for (key, hash) in keys.iter().zip(hashes) {
                let found = match nulls {
                    StoredNull::Default => find_either(&self.nulls, key, &mut value, |key, value| {
                        file.find(self::hash(key), key, value)
                    }),
                    StoredNull::Without => file.find(hash, key, &mut value),
                    StoredNull::With => {
                        terminated.clear();
                        terminated.extend_from_slice(key);
                        terminated.push(0);
                        file.find(hash, &terminated, &mut value)
                    }
                };
                if !answer(key, found.map(|found| found.then(|| c_string(&value)))) {
                    return;
                }
            }
        }
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Trouble> {
        self.file.borrow_mut().each(&mut |key, value| visit(c_string(key), c_string(value)))
    }
}

/// Writes entries, in their order, as a whole file.
pub(crate) fn write_cdb(out: &mut (impl Write + Seek), records: &Records) -> io::Result<()> {
    let too_large = || io::Error::other("too large for a cdb table (4 GiB)");
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| too_large());
    let mut tables: Vec<Vec<(u32, u32)>> = vec![Vec::new(); 256];
    let mut at = u32::try_from(HEADER).map_err(|_| too_large())?;
    out.seek(SeekFrom::Start(HEADER as u64))?;
    for (key, value) in records.pairs() {
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
        out.write_all(&filled(&table, slots))?;
        at = u32::try_from(slots * 8).ok().and_then(|size| at.checked_add(size)).ok_or_else(too_large)?;
    }
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&header)?;
    out.flush()
}

/// A hash table: each entry in the first free slot from its own on.
fn filled(table: &[(u32, u32)], slots: usize) -> Vec<u8> {
    let mut bytes = vec![0; slots * 8];
    for (hash, record) in table {
        let mut slot = (hash >> 8) as usize % slots;
        // Half of the slots stay free.
        while bytes.get(slot * 8 + 4..slot * 8 + 8).is_some_and(|record| record != [0; 4]) {
            slot = if slot + 1 == slots { 0 } else { slot + 1 };
        }
        bytes[slot * 8..slot * 8 + 4].copy_from_slice(&hash.to_le_bytes());
        bytes[slot * 8 + 4..slot * 8 + 8].copy_from_slice(&record.to_le_bytes());
    }
    bytes
}
