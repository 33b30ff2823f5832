//! Addresses in MAIL, RCPT and VRFY.

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

fn tokens(inner: &[u8], _strict: bool) -> Result<Address, BadSyntax> {
    Ok(Address::from(inner))
}
