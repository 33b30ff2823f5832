//! What may stand behind the `@`.

use bstr::ByteSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most bytes of a label, and of a name (RFC 1035 section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;
const NAME_BYTES_MAX: usize = 255;

/// Whether this is a host name: letters, digits, hyphens inside labels, and underscores; not all digits.
/// With `allow_utf8`, letters beyond ASCII as well.
#[must_use]
pub fn is_hostname(name: &[u8], allow_utf8: bool) -> bool {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return false;
    }
    if !name.is_ascii() && (!allow_utf8 || name.to_str().is_err()) {
        return false;
    }
    let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | 0x80..);
    let is_label = |label: &[u8]| {
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && label.iter().all(is_name_byte)
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
    };
    name.split(|&byte| byte == b'.').all(is_label)
        && name.iter().any(|byte| !byte.is_ascii_digit() && *byte != b'.')
}

/// Whether this is an address in brackets as RFC 5321 section 4.1.3 wants it: `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
#[must_use]
pub fn is_mailhost_literal(text: &[u8]) -> bool {
    let inner = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]"));
    let Some(inner) = inner.and_then(|inner| inner.to_str().ok()) else { return false };
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => {
            inner.get(5..).is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
        }
        _ => inner.parse::<Ipv4Addr>().is_ok(),
    }
}

/// Whether this is an address without brackets.
pub(crate) fn is_address(text: &[u8]) -> bool {
    text.to_str().is_ok_and(|text| text.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_names_from_rubbish() {
        for good in ["example.com", "a", "a_b.c", "1a", "x-y", "1.2.3.4a"] {
            assert!(is_hostname(good.as_bytes(), true), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", ".", "a.", ".a", "a..b", "-a", "a-", "a-.b", "1.2.3.4", "a b", "a@b", &long] {
            assert!(!is_hostname(bad.as_bytes(), true), "{bad}");
        }
        assert!(is_hostname("münchen.example".as_bytes(), true));
        assert!(!is_hostname("münchen.example".as_bytes(), false));
    }

    #[test]
    fn wants_literals_in_mail_form() {
        assert!(is_mailhost_literal(b"[192.0.2.1]"));
        assert!(is_mailhost_literal(b"[IPv6:2001:db8::1]"));
        assert!(!is_mailhost_literal(b"[2001:db8::1]"));
        assert!(!is_mailhost_literal(b"[example.com]"));
        assert!(!is_mailhost_literal(b"192.0.2.1"));
        assert!(!is_mailhost_literal(b"["));
    }
}
