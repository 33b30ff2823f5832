//! Local parts, quoted and unquoted: the step between the internal and the external form of an address.

use std::borrow::Cow;

/// What may stay as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuoteOptions {
    /// Leave 8-bit bytes alone.
    pub eight_bit_clean: bool,
    /// An `@` in the local part needs no quotes.
    pub expose_at: bool,
    /// The whole text is a local part: no `@domain` follows.
    pub bare_localpart: bool,
}

impl Default for QuoteOptions {
    fn default() -> Self {
        Self { eight_bit_clean: true, expose_at: false, bare_localpart: false }
    }
}

/// Where the local part begins (after a source route, RFC 822 only) and ends (at the last `@`).
fn localpart_range(address: &[u8], skip_route: bool, bare: bool) -> (usize, usize) {
    let start = match (address.first(), memchr::memchr(b':', address)) {
        (Some(b'@'), Some(colon)) if skip_route => colon + 1,
        _ => 0,
    };
    let at_sign = if bare { None } else { memchr::memrchr(b'@', &address[start..]) };
    (start, at_sign.map_or(address.len(), |at| start + at))
}

fn is_dot_string(localpart: &[u8], options: QuoteOptions) -> bool {
    let plain = |byte: &u8| match byte {
        b' ' | b'(' | b')' | b'<' | b'>' | b',' | b';' | b':' | b'\\' | b'"' | b'[' | b']' => false,
        b'@' => options.expose_at,
        0x80.. => options.eight_bit_clean,
        byte => !byte.is_ascii_control(),
    };
    !localpart.is_empty()
        && localpart[0] != b'.'
        && localpart[localpart.len() - 1] != b'.'
        && localpart.iter().all(plain)
        && !localpart.windows(2).any(|two| two == b"..")
}

fn quote_range<'a>(
    address: &'a [u8],
    (start, end): (usize, usize),
    options: QuoteOptions,
    escaped: &[u8],
) -> Cow<'a, [u8]> {
    let localpart = &address[start..end];
    if is_dot_string(localpart, options) {
        return Cow::Borrowed(address);
    }
    let mut quoted = Vec::with_capacity(address.len() + 8);
    quoted.extend_from_slice(&address[..start]);
    quoted.push(b'"');
    for &byte in localpart {
        if escaped.contains(&byte) || (byte >= 0x80 && !options.eight_bit_clean) {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    quoted.extend_from_slice(&address[end..]);
    Cow::Owned(quoted)
}

/// The external form of an address for message headers and tables (RFC 822): the local part is quoted
/// when it is no dot-string. A source route before it is left alone.
#[must_use]
pub fn quote_822_local(address: &[u8], options: QuoteOptions) -> Cow<'_, [u8]> {
    quote_range(address, localpart_range(address, true, options.bare_localpart), options, b"\"\\\r")
}

/// The external form of an address for the SMTP envelope (RFC 821).
#[must_use]
pub fn quote_821_local(address: &[u8], options: QuoteOptions) -> Cow<'_, [u8]> {
    quote_range(address, localpart_range(address, false, options.bare_localpart), options, b"\"\\\r\n")
}

/// The internal form of an address in external form: quotes and backslashes of the local part are gone.
#[must_use]
pub fn unquote_822_local(address: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'"', b'\\', address).is_none() {
        return Cow::Borrowed(address);
    }
    let start = localpart_range(address, true, false).0;
    let mut plain = address[..start].to_vec();
    let mut in_quotes = false;
    let mut bare_at = None;
    let mut at = start;
    while at < address.len() {
        match address[at] {
            b'"' => {
                in_quotes = !in_quotes;
                at += 1;
                continue;
            }
            b'@' if !in_quotes => bare_at = Some((plain.len(), at)),
            b'\\' => {
                at += 1;
                if at == address.len() {
                    break;
                }
            }
            _ => {}
        }
        plain.push(address[at]);
        at += 1;
    }
    // Behind the last bare "@" nothing is quoted: a domain literal keeps its backslashes.
    if let Some((plain_len, at_sign)) = bare_at {
        plain.truncate(plain_len);
        plain.extend_from_slice(&address[at_sign..]);
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bstr::ByteSlice;
    use proptest::prelude::*;

    #[track_caller]
    fn check(internal: &str, rfc822: &str, rfc821: &str) {
        let options = QuoteOptions::default();
        assert_eq!(quote_822_local(internal.as_bytes(), options).as_bstr(), rfc822);
        assert_eq!(quote_821_local(internal.as_bytes(), options).as_bstr(), rfc821);
        assert_eq!(unquote_822_local(rfc822.as_bytes()).as_bstr(), internal);
    }

    #[test]
    fn quotes_as_postfix_does() {
        check("a@b", "a@b", "a@b");
        check("a", "a", "a");
        check("", "\"\"", "\"\"");
        check("a b@c", "\"a b\"@c", "\"a b\"@c");
        check("a@b@c", "\"a@b\"@c", "\"a@b\"@c");
        check(".a@c", "\".a\"@c", "\".a\"@c");
        check("a.@c", "\"a.\"@c", "\"a.\"@c");
        check("a..b@c", "\"a..b\"@c", "\"a..b\"@c");
        check("a\"b@c", "\"a\\\"b\"@c", "\"a\\\"b\"@c");
        check("a\\b@c", "\"a\\\\b\"@c", "\"a\\\\b\"@c");
        check("é@c", "é@c", "é@c");
        check("@c", "\"\"@c", "\"\"@c");
        check("@r:a b@c", "@r:\"a b\"@c", "\"@r:a b\"@c");
    }

    #[test]
    fn quotes_8_bit_bytes_on_request() {
        let options = QuoteOptions { eight_bit_clean: false, ..QuoteOptions::default() };
        assert_eq!(quote_822_local(b"\xe9@c", options).as_bstr(), b"\"\\\xe9\"@c".as_bstr());
    }

    proptest! {
        #[test]
        fn unquote_undoes_quote(address in proptest::collection::vec(any::<u8>(), 0..40)) {
            let options = QuoteOptions::default();
            let quoted = quote_822_local(&address, options).into_owned();
            prop_assert_eq!(unquote_822_local(&quoted).into_owned(), address.clone());
            let _ = quote_821_local(&address, options);
            let _ = unquote_822_local(&address);
        }
    }
}
