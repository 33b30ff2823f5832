//! The message as it came from `deliver`: lines that end with LF, in a descriptor of its own.

use std::{fs::File, io, os::unix::fs::FileExt};

/// How much is read at a time, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// A message's content; can be read again from its start.
#[derive(Debug)]
pub struct Content {
    file: File,
}

impl Content {
    /// Takes over a descriptor that can be read at offsets.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file }
    }

    /// Hands all bytes to `take`, in chunks. The error says whose fault it was.
    pub(crate) fn copy<E>(
        &self,
        read_error: impl Fn(io::Error) -> E,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut offset = 0;
        loop {
            let count = match self.file.read_at(&mut buffer, offset) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(read_error(error)),
            };
            take(&buffer[..count])?;
            offset += count as u64;
        }
    }
}
