//! A connection of which somebody has read the beginning.

use std::{io, net::SocketAddr};
use world::Stream;

pub(super) struct Unread<S> {
    bytes: Vec<u8>,
    stream: S,
}

impl<S: Stream> Unread<S> {
    pub(super) const fn new(bytes: Vec<u8>, stream: S) -> Self {
        Self { bytes, stream }
    }

    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.bytes.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), self.bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        self.bytes.drain(..count);
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
        count
    }
}

impl<S: Stream> Stream for Unread<S> {
    async fn readable(&mut self) -> io::Result<()> {
        if self.bytes.is_empty() { self.stream.readable().await } else { Ok(()) }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() { self.stream.read(buffer).await } else { Ok(self.take(buffer)) }
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() { self.stream.try_read(buffer) } else { Ok(self.take(buffer)) }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer()
    }

    fn local(&self) -> Option<SocketAddr> {
        self.stream.local()
    }
}
