//! The external spelling of an address as a key: `"quoted local"@domain`.

use std::borrow::Cow;

/// Quotes the local part where RFC 822 wants it quoted. 8-bit bytes are left alone.
pub(crate) fn external_form(address: &[u8], bare_localpart: bool) -> Cow<'_, [u8]> {
    let start = match (address.first(), memchr::memchr(b':', address)) {
        (Some(b'@'), Some(colon)) => colon + 1,
        _ => 0,
    };
    let (route, mailbox) = address.split_at(start);
    let end = if bare_localpart { None } else { memchr::memrchr(b'@', mailbox) }.unwrap_or(mailbox.len());
    let (localpart, at_domain) = mailbox.split_at(end);
    if is_dot_string(localpart) {
        return Cow::Borrowed(address);
    }
    let mut quoted = route.to_vec();
    quoted.push(b'"');
    for &byte in localpart {
        // 8-bit bytes and printable ones go as they are; what ends or escapes a quoted string does not.
        if byte.is_ascii() && (byte == b'"' || byte == b'\\' || byte == b'\r') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    quoted.extend_from_slice(at_domain);
    Cow::Owned(quoted)
}

fn is_dot_string(localpart: &[u8]) -> bool {
    let special = |byte: &u8| byte.is_ascii_control() || b" ()<>@,;:\\\"[]".contains(byte);
    !localpart.is_empty()
        && !localpart.iter().any(special)
        && !localpart.starts_with(b".")
        && !localpart.ends_with(b".")
        && !localpart.windows(2).any(|two| two == b"..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bstr::ByteSlice;

    #[track_caller]
    fn check(address: &str, bare_localpart: bool, expected: &str) {
        assert_eq!(external_form(address.as_bytes(), bare_localpart).as_bstr(), expected);
    }

    #[test]
    fn quotes_only_what_needs_it() {
        check("a.b@example.com", false, "a.b@example.com");
        check("a b@example.com", false, "\"a b\"@example.com");
        check("a\"b@example.com", false, "\"a\\\"b\"@example.com");
        check("a@b@example.com", false, "\"a@b\"@example.com");
        check(".a@example.com", false, "\".a\"@example.com");
        check("@example.com", false, "\"\"@example.com");
        check("a b", true, "\"a b\"");
        check("a@b", true, "\"a@b\"");
        check("é@example.com", false, "é@example.com");
        check("@route:a b@example.com", false, "@route:\"a b\"@example.com");
    }
}
