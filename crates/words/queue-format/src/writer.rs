//! Makes records.

use crate::{RecordType, Sizes};
use types::WallTime;

/// Appends one record to a buffer.
pub fn encode_record(buffer: &mut Vec<u8>, record_type: RecordType, data: &[u8]) {
    encode_parts(buffer, record_type, &[data]);
}

fn encode_parts(buffer: &mut Vec<u8>, record_type: RecordType, parts: &[&[u8]]) {
    let mut rest: usize = parts.iter().map(|part| part.len()).sum();
    buffer.push(record_type.0);
    loop {
        let group = rest.to_le_bytes()[0] & 0x7f;
        rest >>= 7;
        if rest == 0 {
            buffer.push(group);
            break;
        }
        buffer.push(group | 0x80);
    }
    for part in parts {
        buffer.extend_from_slice(part);
    }
}

/// Records of one queue file in the order of the file, in a buffer that grows until it is taken.
///
/// Offsets are offsets in the file, however often [`Self::take`] was called: a large message is written in
/// pieces, a small one in a single piece with its size record already right.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    taken: u64,
}

impl Writer {
    /// An empty file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty file whose buffer has room for some bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), taken: 0 }
    }

    /// Offset of the next record in the file, in bytes.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.taken + self.bytes.len() as u64
    }

    /// Offset in the file of the first byte of [`Self::bytes`].
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// What has not been taken yet.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Hands the buffered bytes out, to be written at the offset that [`Self::taken`] gave before the call;
    /// keeps the buffer's memory when `give` only looks at them.
    pub fn take<T>(&mut self, give: impl FnOnce(u64, &[u8]) -> T) -> T {
        let result = give(self.taken, &self.bytes);
        self.taken += self.bytes.len() as u64;
        self.bytes.clear();
        result
    }

    /// Appends a record and returns its offset.
    pub fn record(&mut self, record_type: RecordType, data: &[u8]) -> u64 {
        self.record_parts(record_type, &[data])
    }

    /// Appends a record whose data is in pieces.
    pub fn record_parts(&mut self, record_type: RecordType, parts: &[&[u8]]) -> u64 {
        let offset = self.position();
        encode_parts(&mut self.bytes, record_type, parts);
        offset
    }

    /// Appends a named attribute. The name has no `=` and no white space.
    pub fn attribute(&mut self, name: &str, value: &[u8]) -> u64 {
        self.record_parts(RecordType::ATTRIBUTE, &[name.as_bytes(), b"=", value])
    }

    /// Appends a size record; write a default one first and [`Self::patch_sizes`] when all is known.
    pub fn sizes(&mut self, sizes: &Sizes) -> u64 {
        self.record(RecordType::SIZE, &sizes.encode())
    }

    /// Appends an arrival time.
    pub fn time(&mut self, arrival: WallTime) -> u64 {
        self.record(RecordType::TIME, format!("{} {}", arrival.seconds, arrival.micros).as_bytes())
    }

    /// Appends the time of the next delay warning, seconds since 1970 (0: no warning wanted yet).
    pub fn warn(&mut self, at_seconds: i64) -> u64 {
        self.record(RecordType::WARN, format!("{at_seconds:>15}").as_bytes())
    }

    /// Appends a pointer; target 0 is a place holder that readers pass.
    pub fn pointer(&mut self, target: u64) -> u64 {
        self.record(RecordType::POINTER, format!("{target:>15}").as_bytes())
    }

    /// Appends padding that makes a record of `record_bytes` in all (at least 3, less than 130).
    pub fn padding(&mut self, record_bytes: usize) -> u64 {
        let width = record_bytes.saturating_sub(2).max(1);
        self.record(RecordType::PADDING, format!("{:>width$}", "0").as_bytes())
    }

    /// Appends one line of content, without its line end, in pieces of at most `line_length_limit` bytes.
    pub fn line(&mut self, line: &[u8], line_length_limit: usize) {
        let limit = line_length_limit.max(1);
        let mut rest = line;
        while let Some((piece, more)) = rest.split_at_checked(limit).filter(|(_, more)| !more.is_empty()) {
            self.record(RecordType::CONTINUED, piece);
            rest = more;
        }
        self.record(RecordType::LINE, rest);
    }

    /// Overwrites bytes at an offset; false when they are not in the buffer (any more) and the caller
    /// must overwrite them in the file.
    #[must_use]
    pub fn patch(&mut self, offset: u64, bytes: &[u8]) -> bool {
        let place = offset.checked_sub(self.taken).and_then(|start| usize::try_from(start).ok());
        let end = place.and_then(|start| start.checked_add(bytes.len()));
        match place.zip(end).and_then(|(start, end)| self.bytes.get_mut(start..end)) {
            Some(old) => {
                old.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }

    /// Overwrites the size record that stands at `offset`; false as for [`Self::patch`].
    #[must_use]
    pub fn patch_sizes(&mut self, offset: u64, sizes: &Sizes) -> bool {
        self.patch(offset + 2, &sizes.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_in_groups_of_seven_bits() {
        let check = |len: usize, header: &[u8]| {
            let mut buffer = Vec::new();
            encode_record(&mut buffer, RecordType::LINE, &vec![b'x'; len]);
            assert_eq!(&buffer[..header.len()], header, "{len}");
            assert_eq!(buffer.len(), header.len() + len);
        };
        check(0, b"N\x00");
        check(1, b"N\x01");
        check(127, b"N\x7f");
        check(128, b"N\x80\x01");
        check(300, b"N\xac\x02");
        check(16_384, b"N\x80\x80\x01");
    }

    #[test]
    fn the_size_record_is_patched_while_it_is_in_the_buffer() {
        let mut writer = Writer::new();
        let at = writer.sizes(&Sizes::default());
        assert_eq!(writer.bytes().len(), Sizes::RECORD_BYTES);
        let sizes = Sizes { content_records_bytes: 7, data_offset: 9, recipients: 1, ..Sizes::default() };
        assert!(writer.patch_sizes(at, &sizes));
        assert_eq!(
            &writer.bytes()[2..],
            b"              7               9               1               0               0               0"
        );
        writer.take(|offset, bytes| assert_eq!((offset, bytes.len()), (0, Sizes::RECORD_BYTES)));
        assert!(!writer.patch_sizes(at, &sizes));
        assert_eq!(writer.position(), Sizes::RECORD_BYTES as u64);
    }

    #[test]
    fn long_lines_are_cut_into_pieces() {
        let check = |line: &[u8], expected: &[u8]| {
            let mut writer = Writer::new();
            writer.line(line, 3);
            assert_eq!(writer.bytes(), expected);
        };
        check(b"", b"N\x00");
        check(b"abc", b"N\x03abc");
        check(b"abcd", b"L\x03abcN\x01d");
        check(b"abcdef", b"L\x03abcN\x03def");
    }
}
