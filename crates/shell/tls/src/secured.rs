//! A stream that may be encrypted.

use crate::TlsStream;
use std::{io, net::SocketAddr};
use world::Stream;

/// A connection in clear or within TLS, for whoever does both.
#[derive(Debug)]
pub enum Secured<S> {
    /// As it came.
    Clear(S),
    /// Encrypted.
    Tls(Box<TlsStream<S>>),
}

impl<S: Stream> Secured<S> {
    /// Whether it is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl<S: Stream> Stream for Secured<S> {
    async fn readable(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.readable().await,
            Self::Tls(stream) => stream.readable().await,
        }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        }
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.try_read(buffer),
            Self::Tls(stream) => stream.try_read(buffer),
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => stream.write_all(bytes).await,
        }
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        }
    }

    fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Clear(stream) => stream.peer(),
            Self::Tls(stream) => stream.peer(),
        }
    }

    fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Clear(stream) => stream.local(),
            Self::Tls(stream) => stream.local(),
        }
    }
}
