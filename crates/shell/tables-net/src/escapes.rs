//! Bytes written as a marker and two hexadecimal digits: `%20` (RFC 3986 section 2.1), `\2a` (RFC 4515 section 3).

/// The bytes of a text in which `marker` and two digits stand for one; `None` where other text follows the marker.
pub(crate) fn decode(text: &[u8], marker: u8) -> Option<Vec<u8>> {
    let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        if byte == marker {
            let (high, low) = (nibble(*bytes.next()?)?, nibble(*bytes.next()?)?);
            decoded.push(high << 4 | low);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

/// The same for what has to be text in the end, too.
#[cfg(any(feature = "ldap", feature = "mongodb", feature = "pgsql"))]
pub(crate) fn decode_text(text: &str, marker: u8) -> Option<String> {
    decode(text.as_bytes(), marker).and_then(|bytes| String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_is_nothing() {
        assert_eq!(decode(b"a%20b\\2a%", b'\\').as_deref(), Some(&b"a%20b*%"[..]));
        assert_eq!(decode(b"%e4\xff", b'%').as_deref(), Some(&b"\xe4\xff"[..]));
        for bad in [&b"%"[..], b"%4", b"%zz", b"%-1", b"%+1"] {
            assert_eq!(decode(bad, b'%'), None);
        }
    }
}
