//! Which names may be asked for and believed.

/// Longest host name in bytes.
const HOSTNAME_MAX: usize = 255;
/// Longest label in bytes.
const LABEL_MAX: usize = 63;

/// Whether a name is one that a host can have: letters, digits, `_`, and `-` inside labels, not only digits,
/// no empty label (Postfix: `valid_hostname`). A final dot is not allowed.
#[must_use]
pub fn is_valid_hostname(name: &str) -> bool {
    let is_valid_label = |label: &str| {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(is_allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= HOSTNAME_MAX
        && name.split('.').all(is_valid_label)
        && name.bytes().any(|b| !b.is_ascii_digit() && b != b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_cannot_be_a_number_nor_hold_other_characters() {
        for name in ["a", "example.com", "_25._tcp.mx.example.com", "1.0.0.127.in-addr.arpa", "x-y.z", "4u"] {
            assert!(is_valid_hostname(name), "{name}");
        }
        let long_label = "a".repeat(64);
        let long_name = format!("{}a", "a.".repeat(128));
        for name in ["", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "1.2.3.4", "a b", "a\u{e9}", "a@b"]
            .into_iter()
            .chain([long_label.as_str(), long_name.as_str()])
        {
            assert!(!is_valid_hostname(name), "{name}");
        }
    }
}
