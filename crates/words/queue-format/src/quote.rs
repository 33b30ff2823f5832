//! The external form of an address in logs of deliveries (RFC 5322, as Postfix quotes it).

/// Quotes the local part when it is not a dot-atom; 8-bit bytes are left alone. Any source route before it
/// stays as it is.
#[must_use]
pub fn quote_822_local(address: &[u8]) -> Vec<u8> {
    let route = match address.first() {
        Some(b'@') => address.iter().position(|b| *b == b':').map_or(0, |colon| colon + 1),
        _ => 0,
    };
    let (route, mailbox) = address.split_at(route);
    let at = mailbox.iter().rposition(|b| *b == b'@').unwrap_or(mailbox.len());
    let (local, domain) = mailbox.split_at(at);
    if is_dot_string(local) {
        return address.to_vec();
    }
    let mut quoted = Vec::with_capacity(address.len() + 2);
    quoted.extend_from_slice(route);
    quoted.push(b'"');
    for byte in local {
        if matches!(byte, b'"' | b'\\' | b'\r') {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    quoted.extend_from_slice(domain);
    quoted
}

fn is_dot_string(local: &[u8]) -> bool {
    let special = |b: u8| b <= b' ' || b == 0x7f || b"()<>@,;:\\\"[]".contains(&b);
    !local.is_empty()
        && !local.starts_with(b".")
        && !local.ends_with(b".")
        && !local.windows(2).any(|pair| pair == b"..")
        && !local.iter().any(|b| special(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_is_no_dot_atom() {
        let check = |address: &str, expected: &str| {
            assert_eq!(String::from_utf8_lossy(&quote_822_local(address.as_bytes())), expected);
        };
        check("user@example.com", "user@example.com");
        check("a b@example.com", "\"a b\"@example.com");
        check("a\"b@example.com", "\"a\\\"b\"@example.com");
        check(".a@example.com", "\".a\"@example.com");
        check("a..b", "\"a..b\"");
        check("a@b@c", "\"a@b\"@c");
        check("jörg@example.com", "jörg@example.com");
        check("@example.com", "\"\"@example.com");
        check("", "\"\"");
    }
}
