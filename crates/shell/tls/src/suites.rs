//! The cipher suites that there are, whatever the engine, by their names and properties.

use crate::{Cipher, Protocol};

/// How the server proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Any way: TLS 1.3 chooses it apart from the suite.
    Any,
    Ecdsa,
    Rsa,
}

/// What encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bulk {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

/// A suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suite {
    /// The number of RFC 8446 and its registry.
    pub(crate) id: u16,
    /// OpenSSL's name.
    pub(crate) name: &'static str,
    /// The registry's name.
    pub(crate) iana: &'static str,
    pub(crate) version: Protocol,
    pub(crate) proof: Proof,
    pub(crate) bulk: Bulk,
}

impl Suite {
    pub(crate) fn bits(&self) -> u16 {
        if self.bulk == Bulk::Aes128Gcm { 128 } else { 256 }
    }

    pub(crate) fn cipher(&self) -> Cipher {
        Cipher { name: self.name, used_bits: self.bits(), algorithm_bits: self.bits() }
    }

    pub(crate) fn by_id(id: u16) -> Option<&'static Self> {
        SUITES.iter().find(|suite| suite.id == id)
    }
}

const fn tls13(id: u16, name: &'static str, bulk: Bulk) -> Suite {
    Suite { id, name, iana: name, version: Protocol::Tls13, proof: Proof::Any, bulk }
}

const fn tls12(id: u16, name: &'static str, iana: &'static str, proof: Proof, bulk: Bulk) -> Suite {
    Suite { id, name, iana, version: Protocol::Tls12, proof, bulk }
}

/// All, the strongest first, as OpenSSL orders them.
pub(crate) const SUITES: &[Suite] = &[
    tls13(0x1302, "TLS_AES_256_GCM_SHA384", Bulk::Aes256Gcm),
    tls13(0x1303, "TLS_CHACHA20_POLY1305_SHA256", Bulk::ChaCha20Poly1305),
    tls13(0x1301, "TLS_AES_128_GCM_SHA256", Bulk::Aes128Gcm),
    tls12(
        0xc02c,
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        Proof::Ecdsa,
        Bulk::Aes256Gcm,
    ),
    tls12(
        0xc030,
        "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        Proof::Rsa,
        Bulk::Aes256Gcm,
    ),
    tls12(
        0xcca9,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        Proof::Ecdsa,
        Bulk::ChaCha20Poly1305,
    ),
    tls12(
        0xcca8,
        "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        Proof::Rsa,
        Bulk::ChaCha20Poly1305,
    ),
    tls12(
        0xc02b,
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        Proof::Ecdsa,
        Bulk::Aes128Gcm,
    ),
    tls12(
        0xc02f,
        "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        Proof::Rsa,
        Bulk::Aes128Gcm,
    ),
];
