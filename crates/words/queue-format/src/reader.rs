//! Takes a file apart into records.

use crate::{Record, RecordType, record::leading_number};
use std::{fmt, io};

/// Where bytes come from: an open file, or a slice.
pub trait Source {
    /// Reads at an offset; 0 at the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Source for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl Source for Vec<u8> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, buffer)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }
}

/// Why a file could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// The source failed: the trouble is ours and temporary.
    Io {
        /// Where.
        offset: u64,
        /// What the system said.
        error: io::Error,
    },
    /// The bytes are not a queue file: whoever wrote it is at fault.
    Malformed {
        /// Offset of the record.
        offset: u64,
        /// Its type, when there was one.
        record_type: Option<RecordType>,
        /// What is wrong.
        what: &'static str,
    },
}

impl ReadError {
    /// Whether another try may succeed.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { offset, error } => write!(f, "read at offset {offset}: {error}"),
            Self::Malformed { offset, record_type: Some(record_type), what } => {
                write!(f, "record type {record_type} at offset {offset}: {what}")
            }
            Self::Malformed { offset, record_type: None, what } => write!(f, "offset {offset}: {what}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads records in the order in which they apply: by default pointers are followed and padding is skipped.
#[derive(Debug)]
pub struct Reader<S> {
    source: S,
    buffer: Vec<u8>,
    /// Offset in the file of the buffer's first byte.
    buffer_offset: u64,
    /// How many bytes of the buffer are valid.
    filled: usize,
    position: u64,
    is_raw: bool,
    record_bytes_max: usize,
    jump_target: u64,
    reverse_jumps: u32,
}

impl<S: Source> Reader<S> {
    /// Jumps backwards that are followed before the file counts as a loop (as in Postfix): each inserted
    /// header and each batch of added recipients is one.
    pub const REVERSE_JUMPS_MAX: u32 = 10_000;
    const BUFFER_BYTES: usize = 8 * 1024;
    /// Bits of a length: Postfix takes four groups of seven.
    const LENGTH_GROUPS_MAX: u32 = 4;

    /// Reads from the start.
    pub fn new(source: S) -> Self {
        Self::with_buffer(source, Self::BUFFER_BYTES)
    }

    /// Reads through a buffer of this many bytes at first.
    pub fn with_buffer(source: S, buffer_bytes: usize) -> Self {
        Self {
            source,
            buffer: vec![0; buffer_bytes.max(64)],
            buffer_offset: 0,
            filled: 0,
            position: 0,
            is_raw: false,
            record_bytes_max: usize::MAX,
            jump_target: 0,
            reverse_jumps: 0,
        }
    }

    /// Shows pointers and padding like all other records, and does not follow them.
    #[must_use]
    pub fn raw(mut self) -> Self {
        self.is_raw = true;
        self
    }

    /// Refuses records with more data than this many bytes (untrusted files).
    #[must_use]
    pub fn with_record_limit(mut self, bytes: usize) -> Self {
        self.record_bytes_max = bytes;
        self
    }

    /// Offset of the next record.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes on at another offset.
    pub fn seek(&mut self, offset: u64) {
        self.position = offset;
    }

    /// The source.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The next record; `None` at the end of the file (which is no `E` record: the caller judges that).
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, ReadError> {
        loop {
            let Some((record_type, offset, start, end)) = self.advance()? else { return Ok(None) };
            if !self.is_raw {
                match record_type {
                    RecordType::POINTER => {
                        let target = self.buffer[start..end].to_vec();
                        self.follow(offset, &target)?;
                        continue;
                    }
                    RecordType::PADDING => continue,
                    _ => {}
                }
            }
            return Ok(Some(Record { record_type, offset, data: &self.buffer[start..end] }));
        }
    }

    /// Does what a pointer record says; `offset` is where the record stands.
    pub fn follow(&mut self, offset: u64, payload: &[u8]) -> Result<(), ReadError> {
        let malformed = |what| ReadError::Malformed { offset, record_type: Some(RecordType::POINTER), what };
        let digits = payload.trim_ascii_start();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(malformed("malformed pointer record value"));
        }
        let target = leading_number(digits).unsigned_abs();
        if target == 0 {
            return Ok(());
        }
        if target <= self.jump_target {
            self.reverse_jumps += 1;
            if self.reverse_jumps > Self::REVERSE_JUMPS_MAX {
                return Err(malformed("too many reverse jump records"));
            }
        }
        self.jump_target = target;
        self.position = target;
        Ok(())
    }

    /// Reads one record: type, offset, and where its data lies in the buffer.
    fn advance(&mut self) -> Result<Option<(RecordType, u64, usize, usize)>, ReadError> {
        let offset = self.position;
        let Some(&type_byte) = self.window(1)?.first() else { return Ok(None) };
        let record_type = RecordType(type_byte);
        let malformed = |what| ReadError::Malformed { offset, record_type: Some(record_type), what };
        let mut len = 0usize;
        let mut header_bytes = 1;
        for group in 0.. {
            if group == Self::LENGTH_GROUPS_MAX {
                return Err(malformed("too many length bits"));
            }
            let byte = self.window(header_bytes + 1)?.get(header_bytes).copied();
            let byte = byte.ok_or_else(|| malformed("unexpected end of file in the length"))?;
            header_bytes += 1;
            len |= usize::from(byte & 0x7f) << (7 * group);
            if byte & 0x80 == 0 {
                break;
            }
        }
        if len > self.record_bytes_max {
            return Err(malformed("record is too long"));
        }
        if self.window(header_bytes + len)?.len() < header_bytes + len {
            return Err(malformed("unexpected end of file in the data"));
        }
        self.position = offset + (header_bytes + len) as u64;
        let start = usize::try_from(offset - self.buffer_offset).unwrap_or(0) + header_bytes;
        Ok(Some((record_type, offset, start, start + len)))
    }

    /// The bytes from the current position, at least `wanted` of them unless the file ends before. The
    /// buffer grows with what the file really has, never with what a length claims.
    fn window(&mut self, wanted: usize) -> Result<&[u8], ReadError> {
        let in_buffer = self.position.checked_sub(self.buffer_offset).and_then(|n| usize::try_from(n).ok());
        let mut start = match in_buffer {
            Some(start) if start <= self.filled => start,
            _ => {
                self.buffer_offset = self.position;
                self.filled = 0;
                0
            }
        };
        if self.filled - start < wanted && start > 0 {
            self.buffer.copy_within(start..self.filled, 0);
            self.buffer_offset = self.position;
            self.filled -= start;
            start = 0;
        }
        while self.filled - start < wanted {
            if self.filled == self.buffer.len() {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
            let at = self.buffer_offset + self.filled as u64;
            match self.source.read_at(at, &mut self.buffer[self.filled..]) {
                Ok(0) => break,
                Ok(count) => self.filled += count.min(self.buffer.len() - self.filled),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError::Io { offset: at, error }),
            }
        }
        Ok(&self.buffer[start..self.filled])
    }
}

#[cfg(test)]
mod tests;
