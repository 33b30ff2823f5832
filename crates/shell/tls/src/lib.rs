//! Transport security: a trait of our own with our own types, so that no other crate names a TLS library.
//!
//! ```text
//! files ─▶ Identity, Anchors                                       clear stream
//!              │         │                                              │
//! ClientSettings ──▶ TlsEngine::client ──▶ TlsEngine::connect ──▶ encrypted stream + Handshake
//!                        │                                                  │
//!                        └── judge(chain, time), names::matches ◀── certificates of the peer
//! ```
//!
//! An engine encrypts and shows whose certificates it saw; it does not judge them. Whether a chain is trusted and whether a
//! certificate has a name is decided here, from bytes, in the same way for every engine: so what makes a peer
//! trusted (an authority, a fingerprint, a TLSA record) is policy of whoever asked, and a peer that cannot be trusted can still be
//! encrypted to. Whoever demands encryption and does not get it must not fall back to clear text.
//!
//! Diagnostics: nothing panics on what a peer sends or a file holds. Files are named with what is wrong with them; failed
//! handshakes are [`Failed`].

mod cipher_list;
mod files;
mod library;
pub mod names;
mod priority;
mod protocol;
mod rustls_engine;
mod secured;
mod suites;
mod trust;
pub mod x509;

pub use cipher_list::CipherList;
pub use files::{BadFile, Identity};
pub use library::{LIBRARY, Library};
pub use protocol::{Protocol, Versions};
pub use rustls_engine::{Rustls, TlsStream};
pub use secured::Secured;
pub use trust::{Anchors, Untrusted};

use std::{fmt, future::Future, io, rc::Rc};
use world::Stream;

/// The cipher of a connection, for log lines and Received headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cipher {
    /// OpenSSL's name of the suite, which log readers know: `TLS_AES_256_GCM_SHA384`.
    pub name: &'static str,
    /// Bits of the key in use.
    pub used_bits: u16,
    /// Bits of the key of the algorithm.
    pub algorithm_bits: u16,
}

/// One certificate, undecoded: decisions on trust are made on bytes that the engine did not interpret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// DER encoding.
    pub der: Vec<u8>,
}

/// A finished handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Version agreed on.
    pub protocol: Protocol,
    /// Cipher agreed on.
    pub cipher: Cipher,
    /// The peer's certificates, leaf first, as it sent them: unjudged, but the peer has the leaf's key. Empty when it sent none.
    pub chain: Vec<Certificate>,
}

/// What a client offers to servers.
#[derive(Clone, Debug, Default)]
pub struct ClientSettings {
    /// The versions that will do.
    pub versions: Versions,
    /// The ciphers that will do; without a list, all.
    pub ciphers: Option<CipherList>,
    /// Who the client is, for servers that ask.
    pub identity: Option<Rc<Identity>>,
}

/// Why there is no encrypted stream.
#[derive(Debug)]
pub enum Failed {
    /// The connection broke, or ended, before the handshake was done.
    Lost(io::Error),
    /// What the two ends wanted does not go together, or the other end does not speak TLS.
    Handshake(String),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("the other end hung up in the handshake")
            }
            Self::Lost(error) => error.fmt(f),
            Self::Handshake(why) => f.write_str(why),
        }
    }
}

/// Turns streams in clear into encrypted ones.
///
/// Bytes that arrived in clear before the handshake must have been thrown away, or be an error, by the caller
/// (RFC 3207 section 4.2): an engine starts with the next byte of the stream. Time is the caller's, too: a handshake
/// waits for as long as the peer keeps silent.
pub trait TlsEngine {
    /// The settings of clients, made ready once for many connections.
    type Client;
    /// An encrypted stream.
    type Stream<S: Stream>: Stream;

    /// Makes settings ready. The error says which of them cannot work, and why.
    fn client(&self, settings: &ClientSettings) -> Result<Self::Client, String>;

    /// Shakes hands as a client. `server_name` is the name that the server may choose its certificate by (RFC 6066
    /// section 3); what is no DNS name is not sent.
    fn connect<S: Stream>(
        &self,
        client: &Self::Client,
        stream: S,
        server_name: &str,
    ) -> impl Future<Output = Result<(Self::Stream<S>, Handshake), Failed>>;
}
