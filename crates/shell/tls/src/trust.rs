//! Whom a chain of certificates leads to.

use crate::{Certificate, x509::Facts};
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, TrustAnchor, UnixTime},
};
use std::{fmt, time::Duration};
use types::WallTime;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// Certificates that are trusted for what they sign, or for what they are.
#[derive(Debug, Default)]
pub struct Anchors {
    /// Encoded.
    certificates: Vec<Vec<u8>>,
    anchors: Vec<TrustAnchor<'static>>,
}

/// Why a chain is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untrusted(pub String);

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Anchors {
    /// Trusts one more certificate; false for what is none that could ever be used.
    pub(crate) fn add(&mut self, der: &[u8]) -> bool {
        if self.certificates.iter().any(|known| known == der) {
            return true;
        }
        let Ok(anchor) = anchor_from_trusted_cert(&CertificateDer::from(der)).map(|anchor| anchor.to_owned())
        else {
            return false;
        };
        self.anchors.push(anchor);
        self.certificates.push(der.to_vec());
        true
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.anchors.len()
    }

    /// Whether a server's chain, leaf first, leads to one of these certificates and all of it is valid at this time.
    pub fn judge(&self, chain: &[Certificate], now: WallTime) -> Result<(), Untrusted> {
        let untrusted = |why: &str| Err(Untrusted(why.to_owned()));
        let Some((leaf, others)) = chain.split_first() else {
            return untrusted("the server has shown no certificate");
        };
        let Some(facts) = Facts::read(&leaf.der) else {
            return untrusted("the server's certificate cannot be read");
        };
        if now.seconds > facts.not_after {
            return untrusted("certificate has expired");
        }
        if now.seconds < facts.not_before {
            return untrusted("certificate is not yet valid");
        }
        // Itself trusted, it needs no one to vouch for it, whatever it may sign.
        if self.certificates.contains(&leaf.der) {
            return Ok(());
        }
        let encoded = CertificateDer::from(leaf.der.as_slice());
        let others: Vec<_> = others.iter().map(|one| CertificateDer::from(one.der.as_slice())).collect();
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now.seconds.try_into().unwrap_or(0)));
        let verified = EndEntityCert::try_from(&encoded).and_then(|leaf| {
            let usage = KeyUsage::server_auth();
            leaf.verify_for_usage(algorithms.all, &self.anchors, &others, time, usage, None, None).map(drop)
        });
        verified.map_err(|error| Untrusted(reason(&error, &facts)))
    }
}

fn reason(error: &webpki::Error, leaf: &Facts<'_>) -> String {
    match error {
        webpki::Error::UnknownIssuer if leaf.is_self_issued() => "self-signed certificate".to_owned(),
        webpki::Error::UnknownIssuer => "unable to get local issuer certificate".to_owned(),
        webpki::Error::CertExpired { .. } => "certificate has expired".to_owned(),
        webpki::Error::CertNotValidYet { .. } => "certificate is not yet valid".to_owned(),
        webpki::Error::CaUsedAsEndEntity => {
            "the server's certificate is an authority's own; trust the certificate itself, or issue one for the server".to_owned()
        }
        webpki::Error::RequiredEkuNotFoundContext(_) => "unsuitable certificate purpose".to_owned(),
        webpki::Error::InvalidSignatureForPublicKey => "certificate signature failure".to_owned(),
        webpki::Error::UnsupportedCertVersion => {
            "the server's certificate is of an old version; trust the certificate itself, or issue one of version 3"
                .to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rustls::pki_types::pem::PemObject;

    /// An authority, and what it signed, valid from 2020 to 2119.
    pub(crate) const CA: &str = include_str!("testdata/ca.pem");
    /// Another one of the same name.
    pub(crate) const OTHER_CA: &str = include_str!("testdata/other-ca.pem");
    pub(crate) const SERVER: &str = include_str!("testdata/server.pem");
    pub(crate) const SERVER_KEY: &str = include_str!("testdata/server-key.pem");
    pub(crate) const COMMON_NAME_ONLY: &str = include_str!("testdata/common-name.pem");
    /// Signed by itself, and of version 1; valid from 2026.
    pub(crate) const VERSION_1: &str = include_str!("testdata/version1.pem");
    pub(crate) const VERSION_1_KEY: &str = include_str!("testdata/version1-key.pem");

    pub(crate) fn der(pem: &str) -> Vec<u8> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
    }

    fn chain(pems: &[&str]) -> Vec<Certificate> {
        pems.iter().map(|pem| Certificate { der: der(pem) }).collect()
    }

    /// In 2030.
    const NOW: i64 = 1_900_000_000;

    #[test]
    fn chains_lead_to_anchors_or_not() {
        let check = |anchor: &str, pems: &[&str], seconds: i64, expected: Result<(), &str>| {
            let mut anchors = Anchors::default();
            assert!(anchors.add(&der(anchor)));
            let judged = anchors.judge(&chain(pems), WallTime::new(seconds, 0));
            assert_eq!(judged, expected.map_err(|why| Untrusted(why.to_owned())), "{pems:?}");
        };
        check(CA, &[SERVER], NOW, Ok(()));
        check(CA, &[SERVER, CA], NOW, Ok(()));
        check(CA, &[COMMON_NAME_ONLY], NOW, Ok(()));
        // What is trusted itself needs nobody.
        check(SERVER, &[SERVER], NOW, Ok(()));
        check(VERSION_1, &[VERSION_1], NOW, Ok(()));
        check(CA, &[CA], NOW, Ok(()));
        check(CA, &[SERVER], 1_500_000_000, Err("certificate is not yet valid"));
        check(CA, &[SERVER], 5_000_000_000, Err("certificate has expired"));
        check(SERVER, &[SERVER], 5_000_000_000, Err("certificate has expired"));
        check(
            CA,
            &[VERSION_1],
            NOW,
            Err(
                "the server's certificate is of an old version; trust the certificate itself, or issue one of version 3",
            ),
        );
        check(CA, &[], NOW, Err("the server has shown no certificate"));
        // The same name does not make the same authority.
        check(OTHER_CA, &[SERVER, CA], NOW, Err("certificate signature failure"));
        let nonsense = [Certificate { der: vec![0x30, 0] }];
        let judged = Anchors::default().judge(&nonsense, WallTime::new(NOW, 0));
        assert_eq!(judged, Err(Untrusted("the server's certificate cannot be read".to_owned())));
    }

    #[test]
    fn an_anchor_counts_once() {
        let mut anchors = Anchors::default();
        assert!(anchors.add(&der(CA)) && anchors.add(&der(CA)) && !anchors.add(b"nonsense"));
        assert_eq!(anchors.count(), 1);
    }
}
