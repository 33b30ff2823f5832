//! SCRAM (RFC 5802, RFC 7677) as MongoDB's servers have it: SHA-1 over MongoDB's own digest of a password, or SHA-256
//! over the password.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;

/// Rounds that a server may ask for: more would keep this process from everything else.
const ITERATIONS_MAX: u32 = 200_000;
/// Fewer are refused (RFC 5802 section 5.1).
const ITERATIONS_MIN: u32 = 4096;

/// A mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    Sha1,
    Sha256,
}

impl Mechanism {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    fn mac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        // A key of HMAC may have any length.
        match self {
            Self::Sha1 => Hmac::<Sha1>::new_from_slice(key).map_or_else(
                |_| Vec::new(),
                |mut mac| {
                    parts.iter().for_each(|part| mac.update(part));
                    mac.finalize().into_bytes().to_vec()
                },
            ),
            Self::Sha256 => Hmac::<Sha256>::new_from_slice(key).map_or_else(
                |_| Vec::new(),
                |mut mac| {
                    parts.iter().for_each(|part| mac.update(part));
                    mac.finalize().into_bytes().to_vec()
                },
            ),
        }
    }

    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
        }
    }

    /// What stands for the password.
    fn secret(self, user: &str, password: &str) -> Result<Vec<u8>, String> {
        match self {
            Self::Sha1 => {
                let digest = Md5::digest(format!("{user}:mongo:{password}"));
                Ok(digest.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect())
            }
            Self::Sha256 => {
                let prepared =
                    stringprep::saslprep(password).map_err(|error| format!("password: {error}"))?;
                Ok(prepared.into_owned().into_bytes())
            }
        }
    }

    /// PBKDF2 with one block (RFC 5802 section 2.2, `Hi`).
    fn salted(self, secret: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut block = self.mac(secret, &[salt, &1_u32.to_be_bytes()]);
        let mut sum = block.clone();
        for _ in 1..iterations {
            block = self.mac(secret, &[&block]);
            xor(&mut sum, &block);
        }
        sum
    }
}

fn xor(sum: &mut [u8], other: &[u8]) {
    for (byte, more) in sum.iter_mut().zip(other) {
        *byte ^= more;
    }
}

/// A login in progress.
pub(super) struct Scram {
    mechanism: Mechanism,
    secret: Vec<u8>,
    nonce: String,
    /// The first message without its header.
    first: String,
    /// What the server must prove at the end.
    signature: Vec<u8>,
}

impl Scram {
    /// `nonce` is text that no other login used.
    pub(super) fn new(
        mechanism: Mechanism,
        user: &str,
        password: &str,
        nonce: String,
    ) -> Result<Self, String> {
        let shown = user.replace('=', "=3D").replace(',', "=2C");
        let first = format!("n={shown},r={nonce}");
        let secret = mechanism.secret(user, password)?;
        Ok(Self { mechanism, secret, nonce, first, signature: Vec::new() })
    }

    /// The first message.
    pub(super) fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.first).into_bytes()
    }

    /// The answer to the server's first message.
    pub(super) fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>, String> {
        let bad = || "the server's login challenge does not fit SCRAM".to_owned();
        let challenge = std::str::from_utf8(challenge).map_err(|_| bad())?;
        let nonce =
            attribute(challenge, "r=").filter(|nonce| nonce.starts_with(&self.nonce)).ok_or_else(bad)?;
        let salt =
            attribute(challenge, "s=").and_then(|salt| BASE64_STANDARD.decode(salt).ok()).ok_or_else(bad)?;
        let iterations = attribute(challenge, "i=").and_then(|count| count.parse().ok()).ok_or_else(bad)?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(format!(
                "the server wants {iterations} rounds of hashing; between {ITERATIONS_MIN} and {ITERATIONS_MAX} are done"
            ));
        }
        let kind = self.mechanism;
        let salted = kind.salted(&self.secret, &salt, iterations);
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{without_proof}", self.first);
        let mut proof = kind.mac(&salted, &[b"Client Key"]);
        let stored = kind.hash(&proof);
        xor(&mut proof, &kind.mac(&stored, &[signed.as_bytes()]));
        self.signature = kind.mac(&kind.mac(&salted, &[b"Server Key"]), &[signed.as_bytes()]);
        Ok(format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)).into_bytes())
    }

    /// Whether the server knows the password too.
    pub(super) fn judge(&self, last: &[u8]) -> Result<(), String> {
        let expected = format!("v={}", BASE64_STANDARD.encode(&self.signature));
        let said = std::str::from_utf8(last).ok().and_then(|text| text.split(',').next());
        if !self.signature.is_empty() && said == Some(expected.as_str()) {
            return Ok(());
        }
        Err("the server did not prove that it knows the password".to_owned())
    }
}

fn attribute<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|part| part.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of MongoDB's authentication specification (SHA-1) and of RFC 7677 section 3 (SHA-256).
    #[test]
    fn the_examples() {
        let check = |mechanism, nonce: &str, steps: [&str; 4]| {
            let mut scram = Scram::new(mechanism, "user", "pencil", nonce.to_owned()).unwrap();
            let [first, challenge, answer, last] = steps;
            assert_eq!(scram.first(), first.as_bytes());
            assert!(scram.judge(last.as_bytes()).is_err(), "too early");
            assert_eq!(String::from_utf8(scram.answer(challenge.as_bytes()).unwrap()).unwrap(), answer);
            assert_eq!(scram.judge(last.as_bytes()), Ok(()));
            assert!(scram.judge(b"v=").is_err());
            assert!(scram.judge(b"e=invalid-proof").is_err());
        };
        check(
            Mechanism::Sha1,
            "fyko+d2lbbFgONRv9qkxdawL",
            [
                "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
                "r=fyko+d2lbbFgONRv9qkxdawLHo+Vgk7qvUOKUwuWLIWg4l/9SraGMHEE,s=rQ9ZY3MntBeuP3E1TDVC4w==,i=10000",
                "c=biws,r=fyko+d2lbbFgONRv9qkxdawLHo+Vgk7qvUOKUwuWLIWg4l/9SraGMHEE,p=MC2T8BvbmWRckDw8oWl5IVghwCY=",
                "v=UMWeI25JD1yNYZRMpZ4VHvhZ9e0=",
            ],
        );
        check(
            Mechanism::Sha256,
            "rOprNGfwEbeRWgbNEkqO",
            [
                "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ],
        );
    }

    #[test]
    fn challenges_that_are_none() {
        let check = |challenge: &[u8], why: &str| {
            let mut scram = Scram::new(Mechanism::Sha256, "u=,", "p", "abc".to_owned()).unwrap();
            assert_eq!(scram.first(), b"n,,n=u=3D=2C,r=abc");
            assert_eq!(scram.answer(challenge), Err(why.to_owned()));
        };
        let bad = "the server's login challenge does not fit SCRAM";
        check(b"", bad);
        check(b"\xff", bad);
        check(b"r=abd,s=AAAA,i=4096", bad);
        check(b"r=abcd,s=?,i=4096", bad);
        check(b"r=abcd,s=AAAA,i=-1", bad);
        let rounds =
            |count| format!("the server wants {count} rounds of hashing; between 4096 and 200000 are done");
        check(b"r=abcd,s=AAAA,i=1", &rounds(1));
        check(b"r=abcd,s=AAAA,i=4000000000", &rounds(4_000_000_000_u32));
    }
}
