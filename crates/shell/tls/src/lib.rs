//! The place of transport security: a trait of our own with our own types, so that no other crate names a TLS
//! library.
//!
//! There is no engine yet. Whoever needs one and has none must not fall back to clear text where
//! the configuration demands encryption: mail waits in the queue instead (`smtp` defers; `smtpd` does not announce STARTTLS).
//!
//! Diagnostics: an engine never panics on what a peer sends; a failed handshake is a [`types::Trouble`].

use std::{future::Future, net::SocketAddr};
use types::Trouble;
use world::Stream;

/// The library that does TLS, as `postconf -T` tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Library {
    /// Name and version that this program was built with, as `openssl version` shows them.
    pub compile_version: &'static str,
    /// The same of what it runs with.
    pub run_version: fn() -> String,
    /// Names of public-key algorithms in lower case, in alphabetical order.
    pub public_key_algorithms: &'static [&'static str],
}

/// The library in use; none as long as there is no engine.
pub const LIBRARY: Option<&Library> = None;

/// Protocol versions by the names that log lines and parameters use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `TLSv1`
    Tls10,
    /// `TLSv1.1`
    Tls11,
    /// `TLSv1.2`
    Tls12,
    /// `TLSv1.3`
    Tls13,
}

impl Protocol {
    /// As log lines, Received headers and `smtp_tls_protocols` spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls10 => "TLSv1",
            Self::Tls11 => "TLSv1.1",
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

/// The cipher of a connection, for log lines and Received headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cipher {
    /// OpenSSL's name of the suite, which log readers know: `TLS_AES_256_GCM_SHA384`.
    pub name: String,
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

/// What is known of the other end after the handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerChain {
    /// Leaf first, as the peer sent them; empty when it sent none.
    pub certificates: Vec<Certificate>,
    /// The chain ends at a trust anchor that was configured.
    pub is_trusted: bool,
    /// The leaf certifies one of the names that the caller asked for.
    pub is_matched: bool,
}

/// A finished handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Version agreed on.
    pub protocol: Protocol,
    /// Cipher agreed on.
    pub cipher: Cipher,
    /// The peer's certificates and what they are worth.
    pub peer: PeerChain,
}

/// What a client demands of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientDemands {
    /// Server name indication; empty to send none.
    pub server_name: String,
    /// Names of which the certificate must have one; empty when no certificate is asked for.
    pub match_names: Vec<String>,
    /// Oldest version.
    pub protocol_min: Protocol,
    /// Address of the server, for messages.
    pub server: Option<SocketAddr>,
}

/// Turns a stream in clear into an encrypted one. An engine holds keys and trust anchors of one service.
///
/// Bytes that arrived in clear before the handshake must have been thrown away by the caller
/// (RFC 3207 §4.2): an engine starts with the next byte of the stream.
pub trait TlsEngine<S: Stream> {
    /// The encrypted stream.
    type Stream: Stream;

    /// Shakes hands as a client. Trust and match are reported, not enforced: what to do about them is policy.
    fn connect(
        &self,
        stream: S,
        demands: &ClientDemands,
    ) -> impl Future<Output = Result<(Self::Stream, Handshake), Trouble>>;

    /// Shakes hands as a server.
    fn accept(&self, stream: S) -> impl Future<Output = Result<(Self::Stream, Handshake), Trouble>>;
}
