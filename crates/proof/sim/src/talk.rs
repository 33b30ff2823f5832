//! Lines over a stream, as a peer reads and writes them.

use crate::{SimStream, SimWorld};
use std::{io, time::Duration};
use world::{Stream, World};

/// A connection that is spoken over in lines.
pub(crate) struct Talk {
    world: SimWorld,
    pub(crate) stream: SimStream,
    input: Vec<u8>,
    /// How long to wait for the other end.
    patience: Duration,
    /// What is written goes out in pieces of at most this many bytes, with pauses.
    piece_bytes_max: usize,
}

impl Talk {
    pub(crate) fn new(
        world: SimWorld,
        stream: SimStream,
        patience: Duration,
        piece_bytes_max: usize,
    ) -> Self {
        Self { world, stream, input: Vec::new(), patience, piece_bytes_max }
    }

    async fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let read = self.world.timeout(self.patience, self.stream.read(&mut buffer)).await;
        match read.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.input.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }

    /// A line without its end.
    pub(crate) async fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.input[..end].to_vec();
                self.input.drain(..end + 2);
                return Ok(line);
            }
            self.fill().await?;
        }
    }

    /// Reads until the other end goes away.
    pub(crate) async fn read_to_end(&mut self) {
        while self.fill().await.is_ok() {
            self.input.clear();
        }
    }

    /// A whole reply: its code and its lines. What is no reply is an error.
    pub(crate) async fn reply(&mut self) -> io::Result<(u16, Vec<String>)> {
        let mut lines = Vec::new();
        loop {
            let line = String::from_utf8_lossy(&self.line().await?).into_owned();
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
            let Some(code) = code else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("no reply: {line}")));
            };
            let is_last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line);
            if is_last {
                return Ok((code, lines));
            }
        }
    }

    pub(crate) async fn say(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let most = self.piece_bytes_max;
            let (size, rests) = self.world.chance(|chance| (1 + chance.below(most), chance.one_in(4)));
            let (now, later) = bytes.split_at(size.min(bytes.len()));
            let writing = self.world.timeout(self.patience, self.stream.write_all(now)).await;
            writing.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))?;
            if rests && !later.is_empty() {
                self.world.sleep(Duration::from_millis(1)).await;
            }
            bytes = later;
        }
        Ok(())
    }
}
