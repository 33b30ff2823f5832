//! Drives a session of rustls over a stream.

use crate::{Certificate, Failed, Handshake, Protocol, suites::Suite};
use rustls::{Connection, Error, ProtocolVersion};
use std::{
    fmt,
    io::{self, Read as _, Write as _},
    net::SocketAddr,
};
use world::Stream;

/// What is read at once: most records fit.
const CHUNK_BYTES: usize = 4096;

/// An encrypted stream.
pub struct TlsStream<S> {
    stream: S,
    session: Connection,
    /// Read, and not yet taken by the session.
    input: Vec<u8>,
    /// Made by the session, and not yet written.
    output: Vec<u8>,
    /// A write was given up in the middle of a record: the other end can make nothing of what would follow.
    is_broken: bool,
}

impl<S> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsStream")
    }
}

impl<S: Stream> TlsStream<S> {
    /// Shakes hands, as the side that the session is made for.
    pub(super) async fn shake_hands(stream: S, session: Connection) -> Result<(Self, Handshake), Failed> {
        let mut this = Self { stream, session, input: Vec::new(), output: Vec::new(), is_broken: false };
        while this.session.is_handshaking() {
            this.flush().await.map_err(Failed::Lost)?;
            this.receive().await.map_err(Failed::Lost)?;
            if let Err(error) = this.feed() {
                // The other end is told why, if it still listens.
                let _ = this.flush().await;
                return Err(failed(error));
            }
        }
        this.flush().await.map_err(Failed::Lost)?;
        let handshake =
            this.handshake().ok_or_else(|| Failed::Handshake("no cipher was agreed on".to_owned()))?;
        Ok((this, handshake))
    }

    #[cfg(test)]
    pub(super) fn session(&self) -> &Connection {
        &self.session
    }

    fn handshake(&self) -> Option<Handshake> {
        let suite = Suite::by_id(self.session.negotiated_cipher_suite()?.suite().into())?;
        let protocol = match self.session.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Protocol::Tls12,
            ProtocolVersion::TLSv1_3 => Protocol::Tls13,
            _ => return None,
        };
        let chain = self.session.peer_certificates().unwrap_or_default();
        let chain = chain.iter().map(|certificate| Certificate { der: certificate.to_vec() }).collect();
        Some(Handshake { protocol, cipher: suite.cipher(), chain })
    }

    /// Waits for bytes of the other end.
    async fn receive(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK_BYTES];
        let count = self.stream.read(&mut chunk).await?;
        self.received(&chunk, count)
    }

    fn received(&mut self, chunk: &[u8], count: usize) -> io::Result<()> {
        if count == 0 {
            // Without a notice (RFC 8446 section 6.1), anybody may have cut the connection.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.input.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(())
    }

    /// Hands the session what was read, as long as it gives nothing that could be taken from it.
    fn feed(&mut self) -> Result<(), FeedError> {
        while !self.input.is_empty() {
            let taken = self.session.read_tls(&mut self.input.as_slice()).map_err(FeedError::Io)?;
            self.input.drain(..taken.min(self.input.len()));
            let state = self.session.process_new_packets().map_err(FeedError::Tls)?;
            if state.plaintext_bytes_to_read() > 0 || state.peer_has_closed() {
                break;
            }
        }
        Ok(())
    }

    /// What the session has for the reader; `None` when it needs more input.
    fn take(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other.map(Some),
            }
            if self.input.is_empty() {
                return Ok(None);
            }
            self.feed().map_err(FeedError::into_io)?;
        }
    }

    /// Writes what the session has for the other end.
    async fn flush(&mut self) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "an earlier write was given up"));
        }
        while self.session.wants_write() {
            self.session.write_tls(&mut self.output)?;
        }
        if !self.output.is_empty() {
            self.is_broken = true;
            self.stream.write_all(&self.output).await?;
            self.is_broken = false;
            self.output.clear();
        }
        Ok(())
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    async fn readable(&mut self) -> io::Result<()> {
        // Bytes at hand, decrypted or not, make it worth a try.
        let has_some = !self.input.is_empty() || self.session.reader().into_first_chunk().is_ok();
        if has_some { Ok(()) } else { self.stream.readable().await }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let taken = self.take(buffer);
            // An answer that the protocol asks for, or the alert that goes with an error.
            let flushed = if self.session.wants_write() { self.flush().await } else { Ok(()) };
            if let Some(count) = taken? {
                return Ok(count);
            }
            flushed?;
            self.receive().await?;
        }
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(count) = self.take(buffer)? {
                return Ok(count);
            }
            let mut chunk = [0; CHUNK_BYTES];
            let count = self.stream.try_read(&mut chunk)?;
            self.received(&chunk, count)?;
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            // No more than the session's bound on what it keeps.
            let taken = self.session.writer().write(rest)?;
            rest = rest.get(taken..).unwrap_or_default();
            self.flush().await?;
        }
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.session.send_close_notify();
        self.flush().await?;
        self.stream.shutdown().await
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer()
    }

    fn local(&self) -> Option<SocketAddr> {
        self.stream.local()
    }
}

/// Why the session takes no more.
#[derive(Debug)]
enum FeedError {
    /// It has no room for so much.
    Io(io::Error),
    /// What came is against the protocol, or an alert.
    Tls(Error),
}

impl FeedError {
    fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            Self::Tls(error) => io::Error::new(io::ErrorKind::InvalidData, describe(&error)),
        }
    }
}

fn failed(error: FeedError) -> Failed {
    match error {
        FeedError::Io(error) => Failed::Lost(error),
        FeedError::Tls(error) => Failed::Handshake(describe(&error)),
    }
}

fn describe(error: &Error) -> String {
    match error {
        Error::InvalidMessage(_) => "the other end does not speak TLS, or not TLSv1.2 and newer".to_owned(),
        other => other.to_string(),
    }
}
