//! Values in commands: xtext (RFC 3461 section 4), and its form for addresses in UTF-8 (RFC 6533 section 3).

/// Appends a value as xtext: printable ASCII as it is, except `+` and what is `special`; all else as `+XX`.
pub fn append(out: &mut Vec<u8>, value: &[u8], special: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in value {
        if byte.is_ascii_graphic() && byte != b'+' && !special.contains(&byte) {
            out.push(byte);
        } else {
            out.extend([b'+', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// The value of xtext, whose digits may be of either case; `None` if it is none. Nothing that we know can have a NUL in
/// it, so such a value is none.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let mut byte = byte;
        if byte == b'+' {
            let (high, tail) = rest.split_first()?;
            let (low, tail) = tail.split_first()?;
            byte = digit(*high)? << 4 | digit(*low)?;
            rest = tail;
        }
        value.push(byte);
    }
    (!value.contains(&0)).then_some(value)
}

/// The value of an address in UTF-8: `\x{HEX}` for any character; `None` if it is not such a text.
#[must_use]
pub fn decode_utf8(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let mut value = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x{") {
        value.push_str(&rest[..at]);
        let (digits, tail) = rest[at + 3..].split_once('}')?;
        let is_hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
        value.push(char::from_u32(number)?);
        rest = tail;
    }
    value.push_str(rest);
    (!value.contains('\0')).then_some(value)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_read_as_postfix_reads_them() {
        let check = |text: &str, value: Option<&str>| {
            assert_eq!(decode(text.as_bytes()), value.map(|v| v.as_bytes().to_vec()), "{text}");
        };
        check("", Some(""));
        check("abc", Some("abc"));
        check("a+2Bb+3d", Some("a+b="));
        check("+", None);
        check("+2", None);
        check("+2+", None);
        check("++1", None);
        check("+00", None);
    }

    #[test]
    fn addresses_in_utf8_have_escapes_of_their_own() {
        let check = |text: &str, value: Option<&str>| {
            assert_eq!(decode_utf8(text.as_bytes()).as_deref(), value, "{text}");
        };
        check("\\x{e9}t\\x{00E9}@x", Some("\u{e9}t\u{e9}@x"));
        check("\u{e9}", Some("\u{e9}"));
        check("\\y", Some("\\y"));
        check("\\x{e9", None);
        check("\\x{}", None);
        check("\\x{+e9}", None);
        check("\\x{110000}", None);
        check("\\x{d800}", None);
        check("\\x{0}", None);
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(value in proptest::collection::vec(1u8.., 0..40)) {
            let mut text = Vec::new();
            append(&mut text, &value, b"=");
            prop_assert!(text.iter().all(|b| b.is_ascii_graphic() && *b != b'='));
            prop_assert_eq!(decode(&text), Some(value));
        }

        #[test]
        fn nothing_panics(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (decode(&text), decode_utf8(&text));
        }
    }
}
