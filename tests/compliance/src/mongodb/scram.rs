//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

const ROUNDS: u32 = 4096;
/// As long as the real server has it.
const SALT: &[u8; 28] = b"twenty-eight bytes of salt..";

/// A login in progress.
pub(super) struct Exchange {
    client_first: String,
    server_first: String,
    nonce: String,
    salted: Vec<u8>,
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn xor(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(one, other)| one ^ other).collect()
}

impl Exchange {
    /// Takes the client's first message; `None` if it is none of this user.
    pub(super) fn start(first: &[u8], user: &str, password: &str) -> Option<Self> {
        let bare = std::str::from_utf8(first).ok()?.strip_prefix("n,,")?;
        let theirs = bare.strip_prefix(&format!("n={user},r="))?;
        let nonce = format!("{theirs}-and-ours");
        let server_first = format!("r={nonce},s={},i={ROUNDS}", BASE64_STANDARD.encode(SALT));
        let mut block = mac(password.as_bytes(), &[SALT.as_slice(), &[0, 0, 0, 1]].concat());
        let mut salted = block.clone();
        for _ in 1..ROUNDS {
            block = mac(password.as_bytes(), &block);
            salted = xor(&salted, &block);
        }
        Some(Self { client_first: bare.to_owned(), server_first, nonce, salted })
    }

    /// The answer to it.
    pub(super) fn challenge(&self) -> Vec<u8> {
        self.server_first.clone().into_bytes()
    }

    /// Takes the client's proof and gives the server's; `None` if the password was wrong.
    pub(super) fn finish(self, last: &[u8]) -> Option<Vec<u8>> {
        let last = std::str::from_utf8(last).ok()?;
        let (without_proof, proof) = last.split_once(",p=")?;
        (without_proof == format!("c=biws,r={}", self.nonce)).then_some(())?;
        let signed = format!("{},{},{without_proof}", self.client_first, self.server_first);
        let client_key = mac(&self.salted, b"Client Key");
        let signature = mac(&Sha256::digest(&client_key), signed.as_bytes());
        (BASE64_STANDARD.decode(proof).ok()? == xor(&client_key, &signature)).then_some(())?;
        let server = mac(&mac(&self.salted, b"Server Key"), signed.as_bytes());
        Some(format!("v={}", BASE64_STANDARD.encode(server)).into_bytes())
    }
}
