//! Forwarding loops are seen in the message itself: each local delivery adds `Delivered-To:`.

use crate::copy::external;
use bstr::ByteSlice;
use std::collections::HashSet;
use types::Address;

/// Most `Delivered-To:` headers that are remembered; a message with more is a loop of its own kind,
/// which `hopcount_limit` ends.
const DELIVERED_HEADER_LIMIT: usize = 1_000;

/// The recipients that a message says it was delivered to before.
#[derive(Clone, Debug, Default)]
pub struct DeliveredTo(HashSet<Vec<u8>>);

impl DeliveredTo {
    /// Reads the header lines at the start of `content` (lines end with LF).
    #[must_use]
    pub fn scan(content: &[u8]) -> Self {
        let mut found = HashSet::new();
        for line in content.split(|b| *b == b'\n') {
            if line.first().is_some_and(|b| *b == b' ' || *b == b'\t') {
                continue;
            }
            let Some((name, value)) = line.split_once_str(b":") else { break };
            if name.is_empty() || name.iter().any(|b| *b <= b' ' || *b == 127) {
                break;
            }
            if name.eq_ignore_ascii_case(b"delivered-to") && found.len() < DELIVERED_HEADER_LIMIT {
                found.insert(value.trim_ascii().to_ascii_lowercase());
            }
        }
        Self(found)
    }

    /// Whether the message was delivered to `recipient` before. `external` is its form in headers.
    #[must_use]
    pub fn contains(&self, recipient: &Address) -> bool {
        self.0.contains(&external(recipient).to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str, recipient: &str, expected: bool) {
        let delivered = DeliveredTo::scan(content.as_bytes());
        assert_eq!(delivered.contains(&Address::from(recipient)), expected, "{content:?}");
    }

    #[test]
    fn finds_recipients_in_the_header_only() {
        check("Received: x\n\ty\ndelivered-to: Joe@Here\n\nbody\n", "joe@here", true);
        check("Subject: x\n\nDelivered-To: joe@here\n", "joe@here", false);
        check("", "joe@here", false);
        check("garbage\nDelivered-To: joe@here\n", "joe@here", false);
    }
}
