//! Reading replies: lines and netstrings, with their limits.

use std::io;
use world::Stream;

/// A stream with what was read and not yet used.
pub(crate) struct Buffered<S> {
    stream: S,
    bytes: Vec<u8>,
}

const CHUNK_BYTES: usize = 4096;

impl<S: Stream> Buffered<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, bytes: Vec::new() }
    }

    /// Sends a request. What the server said unasked belongs to no request: the connection is out of step.
    pub(crate) async fn write_all(&mut self, request: &[u8]) -> io::Result<()> {
        if !self.bytes.is_empty() {
            return Err(invalid("unexpected data before the request"));
        }
        self.stream.write_all(request).await
    }

    /// A line without its newline, of at most `max` bytes.
    pub(crate) async fn line(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            let unread = self.bytes.get(searched..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', unread) {
                let end = searched + end;
                let line = self.take(end);
                self.take(1);
                return if line.len() > max { Err(too_long(max)) } else { Ok(line) };
            }
            searched = self.bytes.len();
            if searched > max {
                return Err(too_long(max));
            }
            self.more().await?;
        }
    }

    /// The payload of a netstring (`length:payload,`) of at most `max` bytes.
    pub(crate) async fn netstring(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let length = self.netstring_length(max).await?;
        while self.bytes.len() <= length {
            self.more().await?;
        }
        let payload = self.take(length);
        match self.take(1).first() {
            Some(b',') => Ok(payload),
            _ => Err(invalid("netstring format error")),
        }
    }

    /// Exactly so many bytes.
    pub(crate) async fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.bytes.len() < count {
            self.more().await?;
        }
        Ok(self.take(count))
    }

    async fn netstring_length(&mut self, max: usize) -> io::Result<usize> {
        let mut length = 0_usize;
        let mut digits = 0;
        loop {
            while self.bytes.is_empty() {
                self.more().await?;
            }
            match self.take(1).first() {
                Some(digit @ b'0'..=b'9') => {
                    length = length.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
                    digits += 1;
                    // Digits without end would be a length within the limit: 000...
                    if length > max || digits > 20 {
                        return Err(invalid("netstring size limit exceeded"));
                    }
                }
                Some(b':') if digits > 0 => return Ok(length),
                _ => return Err(invalid("netstring format error")),
            }
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.bytes.drain(..count.min(self.bytes.len())).collect()
    }

    async fn more(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK_BYTES];
        let count = self.stream.read(&mut chunk).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(())
    }
}

/// The server does not speak the protocol.
pub(crate) fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn too_long(max: usize) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("text longer than {max}"))
}
