//! Queue-file content to SMTP DATA: records in, clean CRLF lines out.

use crate::{
    conversion::{Changes, Conversion},
    encoder::Encoder,
};
use std::io;
use types::Trouble;

/// Where the records come from: an open queue file.
pub trait Content {
    /// Reads at an offset; fewer bytes than asked only at the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl<F: world::DiskFile> Content for F {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        world::DiskFile::read_at(self, offset, buffer)
    }
}

/// Why content could not be read.
#[derive(Debug)]
pub enum ContentTrouble {
    /// The file could not be read.
    Unreadable(io::Error),
    /// What was read is no content section of a queue file.
    Malformed,
    /// Conversion to seven bits gave up: parts are nested deeper than `mime_nesting_limit`.
    NestedTooDeep,
    /// A table of `smtp_generic_maps` did not answer.
    Table(Trouble),
}

/// Whether a chunk was the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// There is more content.
    More,
    /// That was all; the final line end is in place, the lone dot is not.
    Last,
}

/// How much of the file is read at once, and about how much is written at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// A record that claims to be longer than this is damage (`line_length_limit` is far below).
const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Pointer records that lead backwards, before the file is taken for a loop.
const JUMPS_MAX: u32 = 10_000;

/// Reads the content records of one queue file and encodes them.
pub struct ContentReader<'a> {
    encoder: Encoder,
    conversion: Option<Conversion<'a>>,
    // File offset of the first byte of `buffer` that was not consumed.
    offset: u64,
    remaining_hint: u64,
    buffer: Vec<u8>,
    jumps: u32,
}

impl<'a> ContentReader<'a> {
    /// `data_offset`: where the content records start; `content_bytes`: about how many bytes they are (only saves
    /// memory); `smtp_line_length_limit` as in postconf(5), 0 for none.
    #[must_use]
    pub fn new(data_offset: u64, content_bytes: u64, smtp_line_length_limit: usize) -> Self {
        Self {
            encoder: Encoder::new(smtp_line_length_limit),
            conversion: None,
            offset: data_offset,
            remaining_hint: content_bytes,
            buffer: Vec::new(),
            jumps: 0,
        }
    }

    /// Makes changes on the way.
    #[must_use]
    pub(crate) fn changing(mut self, changes: Changes<'a>) -> Self {
        self.conversion = Some(Conversion::new(changes));
        self
    }

    /// Appends headers before the first line.
    pub(crate) async fn prepend(
        &mut self,
        headers: &[Vec<u8>],
        out: &mut Vec<u8>,
    ) -> Result<(), ContentTrouble> {
        for header in headers {
            self.line(header, true, out).await?;
        }
        Ok(())
    }

    /// Whether a line was longer than the limit and had to be broken.
    #[must_use]
    pub fn broke_a_line(&self) -> bool {
        self.encoder.broke_a_line()
    }

    /// Appends the next lines to `out`.
    pub async fn next_chunk(
        &mut self,
        file: &impl Content,
        out: &mut Vec<u8>,
    ) -> Result<Chunk, ContentTrouble> {
        let mut wanted = CHUNK_BYTES;
        if self.remaining_hint < CHUNK_BYTES as u64 {
            // The content, the record that ends it, and a little more: a small message needs one read.
            wanted = usize::try_from(self.remaining_hint).unwrap_or(CHUNK_BYTES).saturating_add(512);
        }
        loop {
            self.buffer.resize(wanted, 0);
            let got = file.read_at(self.offset, &mut self.buffer).map_err(ContentTrouble::Unreadable)?;
            self.buffer.truncate(got);
            let (before, jumps) = (self.offset, self.jumps);
            let end = self.take_records(out).await?;
            self.remaining_hint = self.remaining_hint.saturating_sub(self.offset.abs_diff(before));
            if end == Chunk::Last || self.offset != before || self.jumps != jumps {
                return Ok(end);
            }
            // Not one whole record: there must be more of it.
            if got < wanted || wanted > RECORD_BYTES_MAX {
                return Err(ContentTrouble::Malformed);
            }
            wanted *= 2;
        }
    }

    async fn take_records(&mut self, out: &mut Vec<u8>) -> Result<Chunk, ContentTrouble> {
        let buffer = std::mem::take(&mut self.buffer);
        let mut rest = buffer.as_slice();
        out.reserve(rest.len() + rest.len() / 16);
        let mut outcome = Ok(Chunk::More);
        while let Some((kind, data, after)) = split_record(rest)? {
            match kind {
                b'N' | b'L' if self.conversion.is_none() => self.encoder.record(data, kind == b'N', out),
                b'N' | b'L' => self.line(data, kind == b'N', out).await?,
                // A record whose place was taken by an edit ("w"), and where the edit stands ("p").
                b'w' => {}
                b'p' => match self.jump(data) {
                    Ok(None) => {}
                    Ok(Some(offset)) => {
                        self.offset = offset;
                        self.buffer = buffer;
                        return Ok(Chunk::More);
                    }
                    Err(trouble) => {
                        outcome = Err(trouble);
                        break;
                    }
                },
                b'X' => {
                    self.finish(out).await?;
                    outcome = Ok(Chunk::Last);
                    break;
                }
                _ => {
                    outcome = Err(ContentTrouble::Malformed);
                    break;
                }
            }
            rest = after;
        }
        self.offset += (buffer.len() - rest.len()) as u64;
        self.buffer = buffer;
        outcome
    }

    async fn line(
        &mut self,
        data: &[u8],
        is_complete: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ContentTrouble> {
        match &mut self.conversion {
            None => self.encoder.record(data, is_complete, out),
            Some(conversion) => conversion.record(data, is_complete, &mut self.encoder, out).await?,
        }
        Ok(())
    }

    async fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ContentTrouble> {
        if let Some(conversion) = &mut self.conversion {
            conversion.finish(&mut self.encoder, out).await?;
        }
        self.encoder.finish(out);
        Ok(())
    }

    fn jump(&mut self, data: &[u8]) -> Result<Option<u64>, ContentTrouble> {
        let text = std::str::from_utf8(data).map_err(|_| ContentTrouble::Malformed)?;
        let target: u64 = text.trim().parse().map_err(|_| ContentTrouble::Malformed)?;
        self.jumps += 1;
        if self.jumps > JUMPS_MAX {
            return Err(ContentTrouble::Malformed);
        }
        Ok((target > 0).then_some(target))
    }
}

type RecordParts<'a> = (u8, &'a [u8], &'a [u8]);

/// Splits the first record off: type, data, what follows. `None` when the record is not complete.
/// The length is in groups of seven bits, lowest first, with the high bit on all but the last byte.
fn split_record(bytes: &[u8]) -> Result<Option<RecordParts<'_>>, ContentTrouble> {
    let Some((&kind, mut rest)) = bytes.split_first() else { return Ok(None) };
    let mut length = 0usize;
    for shift in (0..).step_by(7) {
        let Some((&byte, after)) = rest.split_first() else { return Ok(None) };
        if shift > 28 {
            return Err(ContentTrouble::Malformed);
        }
        length |= usize::from(byte & 0x7f) << shift;
        rest = after;
        if byte & 0x80 == 0 {
            break;
        }
    }
    if length > RECORD_BYTES_MAX {
        return Err(ContentTrouble::Malformed);
    }
    Ok(rest.split_at_checked(length).map(|(data, after)| (kind, data, after)))
}
