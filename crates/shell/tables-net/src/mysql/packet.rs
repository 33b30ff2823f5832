//! Packets and what they are made of (MySQL Internals, "Client/Server Protocol").

use crate::{query::too_long, security::Security};
use tls::Secured;
use types::WallTime;
use world::Stream;

const CHUNK_BYTES: usize = 4096;

/// The longest payload of one packet; longer ones go on in the next.
const PAYLOAD_MAX: usize = 0xff_ffff;

/// A stream cut into packets, with their sequence numbers.
pub(super) struct Packets<S> {
    stream: S,
    input: Vec<u8>,
    sequence: u8,
    /// `lookup_reply_size_limit`
    pub(super) reply_max: usize,
}

impl<S: Stream> Packets<S> {
    pub(super) fn new(stream: S, reply_max: usize) -> Self {
        Self { stream, input: Vec::new(), sequence: 0, reply_max }
    }

    /// What follows is encrypted; `host` is who the server has to be.
    pub(super) async fn secure(
        self,
        security: &Security,
        host: &str,
        now: WallTime,
    ) -> Result<Packets<Secured<S>>, String> {
        let Self { stream, input, sequence, reply_max } = self;
        if !input.is_empty() {
            return Err(
                "TLS/SSL error: the server has said something in clear text behind its greeting".to_owned()
            );
        }
        let secured = security.secure(stream, host, now).await;
        let (stream, _) = secured.map_err(|why| format!("TLS/SSL error: {why}"))?;
        Ok(Packets { stream: Secured::Tls(Box::new(stream)), input, sequence, reply_max })
    }

    /// What follows is in clear text, as what went before.
    pub(super) fn in_clear(self) -> Packets<Secured<S>> {
        let Self { stream, input, sequence, reply_max } = self;
        Packets { stream: Secured::Clear(stream), input, sequence, reply_max }
    }

    /// A new command begins.
    pub(super) fn restart(&mut self) {
        self.sequence = 0;
    }

    /// Sends one packet.
    pub(super) async fn send(&mut self, payload: &[u8]) -> Result<(), String> {
        let length = u32::try_from(payload.len()).ok().filter(|length| *length < 0xff_ffff);
        let length = length.ok_or_else(|| "the query is too long".to_owned())?.to_le_bytes();
        let [low, middle, high, _] = length;
        let mut bytes = vec![low, middle, high, self.sequence];
        bytes.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.stream.write_all(&bytes).await.map_err(|error| tables::errno_text(&error))
    }

    /// The next payload.
    pub(super) async fn receive(&mut self) -> Result<Vec<u8>, String> {
        let mut payload = Vec::new();
        loop {
            while self.input.len() < 4 {
                self.more().await?;
            }
            let Some(&[low, middle, high, sequence]) = self.input.first_chunk::<4>() else {
                return Err(OUT_OF_STEP.to_owned());
            };
            if sequence != self.sequence {
                return Err(OUT_OF_STEP.to_owned());
            }
            self.sequence = sequence.wrapping_add(1);
            let length = usize::try_from(u32::from_le_bytes([low, middle, high, 0])).unwrap_or(usize::MAX);
            if payload.len().saturating_add(length) > self.reply_max {
                return Err(too_long(self.reply_max));
            }
            while self.input.len() < 4 + length {
                self.more().await?;
            }
            payload.extend(self.input.drain(..4 + length).skip(4));
            if length < PAYLOAD_MAX {
                return Ok(payload);
            }
        }
    }

    async fn more(&mut self) -> Result<(), String> {
        let mut chunk = [0; CHUNK_BYTES];
        let count = self.stream.read(&mut chunk).await.map_err(|error| tables::errno_text(&error))?;
        if count == 0 {
            return Err("Lost connection to server".to_owned());
        }
        self.input.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(())
    }
}

pub(super) const OUT_OF_STEP: &str = "the server's answer does not fit the protocol";

/// Reads the fields of a payload; `None` when it is too short.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.bytes(2)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
    }

    pub(super) fn until_null(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.0)?;
        let taken = self.bytes(end)?;
        self.byte()?;
        Some(taken)
    }

    /// A length-encoded number; `None` inside for NULL.
    pub(super) fn length(&mut self) -> Option<Option<usize>> {
        let count = match self.byte()? {
            0xfb => return Some(None),
            0xfc => 2,
            0xfd => 3,
            0xfe => 8,
            0xff => return None,
            small => return Some(Some(usize::from(small))),
        };
        let mut wide = [0; 8];
        for (place, byte) in wide.iter_mut().zip(self.bytes(count)?) {
            *place = *byte;
        }
        usize::try_from(u64::from_le_bytes(wide)).ok().map(Some)
    }

    /// A length-encoded string; `None` inside for NULL.
    pub(super) fn string(&mut self) -> Option<Option<&'a [u8]>> {
        match self.length()? {
            Some(length) => self.bytes(length).map(Some),
            None => Some(None),
        }
    }
}
