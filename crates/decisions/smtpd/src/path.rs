//! Addresses in MAIL, RCPT and VRFY.

use bstr::ByteSlice;
use message::tok822::{self, Token};
use types::Address;

/// Why the text of a path is no address: answered with 501 after a warning that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadSyntax;

/// Reads a path in external form, `<user@host>` or, unless `strict`, anything that RFC 5322 takes for
/// one address with comments and white space around it, into internal form.
pub(crate) fn parse(text: &[u8], allow_null: bool, strict: bool) -> Result<Address, BadSyntax> {
    let is_bracketed = text.len() >= 2 && text.starts_with(b"<") && text.ends_with(b">");
    if strict && !is_bracketed {
        return Err(BadSyntax);
    }
    let inner = if is_bracketed { &text[1..text.len() - 1] } else { text };
    let address =
        if inner.iter().all(|b| is_plain(*b)) { Address::from(inner) } else { tokens(inner, strict)? };
    let is_acceptable =
        (allow_null || !address.is_null()) && !(strict && address.as_bytes().starts_with(b"@"));
    if is_acceptable { Ok(address) } else { Err(BadSyntax) }
}

/// Bytes that mean themselves in both forms.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+-./=?@^_`{|}~".contains(&byte)
}

/// The general case: one address, with comments, quotes, white space or a source route around it.
fn tokens(inner: &[u8], strict: bool) -> Result<Address, BadSyntax> {
    let inner = match inner.find_byte(b':') {
        // A source route (RFC 5321 appendix C) is ignored.
        Some(colon) if inner.starts_with(b"@") => &inner[colon + 1..],
        _ => inner,
    };
    let mut found = None;
    for token in tok822::parse(inner) {
        match token {
            Token::Address(_) if found.is_some() => return Err(BadSyntax),
            Token::Address(address) => found = Some(address),
            Token::Op(b'<' | b'>') => {}
            _ if strict => return Err(BadSyntax),
            _ => {}
        }
    }
    let mut internal = Vec::new();
    if let Some(address) = found {
        tok822::internalize(&mut internal, &address);
    }
    Ok(Address::new(internal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Option<&str>) {
        let address = parse(text.as_bytes(), true, false).ok().map(|a| a.to_string());
        assert_eq!(address.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn paths_become_internal_form() {
        check("<a@b.c>", Some("a@b.c"));
        check("a@b.c", Some("a@b.c"));
        check("<>", Some(""));
        check("<\"a b\"@c>", Some("a b@c"));
        check("<\"a\\\"b\"@c>", Some("a\"b@c"));
        check("<@x,@y:a@b>", Some("a@b"));
        check("<a@b> (comment)", Some("a@b"));
        check("<a@b, c@d>", None);
        check("<a@[192.0.2.1]>", Some("a@[192.0.2.1]"));
        check("<postmaster>", Some("postmaster"));
    }

    #[test]
    fn strict_paths_stand_in_brackets_alone() {
        let strict = |text: &str| parse(text.as_bytes(), true, true).is_ok();
        assert!(strict("<a@b>") && strict("<>") && strict("<\"a b\"@c>"));
        assert!(!strict("a@b") && !strict("<a@b (c)>") && !strict("<@b>"));
        assert!(parse(b"<>", false, false).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(text: Vec<u8>, strict: bool) {
            let _ = parse(&text, true, strict);
        }

        #[test]
        fn plain_addresses_are_what_the_token_parser_makes_of_them(text in "[a-z.!%+=-]{1,8}@[a-z.-]{1,8}") {
            let fast = parse(text.as_bytes(), true, false);
            prop_assert_eq!(fast, tokens(text.as_bytes(), false));
        }
    }
}
