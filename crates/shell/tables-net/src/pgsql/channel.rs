//! Binds a login to the TLS connection that it is made over (RFC 5802 section 6, RFC 5929 section 4).

use super::transport::ChannelUse;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use tls::{Handshake, x509::Facts};

/// `tls-server-end-point` of a handshake: the digest of the server's certificate; `None` where its signature names no digest.
pub(super) fn end_point(handshake: &Handshake) -> Option<Vec<u8>> {
    let leaf = &handshake.chain.first()?.der;
    let facts = Facts::read(leaf)?;
    digest(facts.signature_algorithm, leaf)
}

/// The digest that goes with an algorithm of signatures; SHA-256 for the weaker ones.
fn digest(algorithm: &[u8], certificate: &[u8]) -> Option<Vec<u8>> {
    /// 1.2.840.113549.1.1
    const PKCS_1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    /// 1.2.840.10045.4
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    let kind = algorithm.strip_prefix(PKCS_1).or_else(|| algorithm.strip_prefix(ECDSA))?;
    match kind {
        // MD5 and SHA-1 count as SHA-256.
        [4 | 5 | 11] | [1] | [3, 2] => Some(Sha256::digest(certificate).to_vec()),
        [12] | [3, 3] => Some(Sha384::digest(certificate).to_vec()),
        [13] | [3, 4] => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// The mechanism, and what of the connection goes into it. `offered` says whether the server knows SCRAM-SHA-256, without and with binding.
pub(super) fn choose(
    [plain, plus]: [bool; 2],
    end_point: Option<&[u8]>,
    channel: ChannelUse,
) -> Result<(&'static str, ChannelBinding), String> {
    let end_point = end_point.filter(|_| channel != ChannelUse::Disable);
    match end_point {
        Some(digest) if plus => {
            Ok((SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(digest.to_vec())))
        }
        _ if channel == ChannelUse::Require => Err(
            "channel binding is required, but this connection or the server has none; use channel_binding=prefer"
                .to_owned(),
        ),
        // The server learns that somebody took its offer away.
        Some(_) if plain => Ok((SCRAM_SHA_256, ChannelBinding::unrequested())),
        None if plain => Ok((SCRAM_SHA_256, ChannelBinding::unsupported())),
        _ => Err("the server offers no login mechanism that is known here".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mechanism_depends_on_both_ends() {
        let check = |offered, end_point: Option<&[u8]>, channel, expected: Option<&str>| {
            let chosen = choose(offered, end_point, channel).map(|(mechanism, _)| mechanism);
            assert_eq!(chosen.ok(), expected, "{offered:?} {end_point:?} {channel:?}");
        };
        let digest: Option<&[u8]> = Some(b"digest");
        check([true, true], digest, ChannelUse::Prefer, Some(SCRAM_SHA_256_PLUS));
        check([true, true], digest, ChannelUse::Disable, Some(SCRAM_SHA_256));
        check([true, true], None, ChannelUse::Prefer, Some(SCRAM_SHA_256));
        check([true, false], digest, ChannelUse::Prefer, Some(SCRAM_SHA_256));
        check([true, false], digest, ChannelUse::Require, None);
        check([true, true], None, ChannelUse::Require, None);
        check([false, true], None, ChannelUse::Prefer, None);
        check([false, false], digest, ChannelUse::Prefer, None);
    }

    #[test]
    fn digests_of_signatures() {
        let rsa =
            |last: u8| digest(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last], b"x").map(|d| d.len());
        assert_eq!([5, 11, 12, 13, 10].map(rsa), [Some(32), Some(32), Some(48), Some(64), None]);
        let ecdsa = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 3, 3];
        assert_eq!(digest(&ecdsa, b"x").map(|digest| digest.len()), Some(48));
        // Ed25519
        assert_eq!(digest(&[0x2b, 0x65, 0x70], b"x"), None);
    }
}
