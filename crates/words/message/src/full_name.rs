//! The sender's full name as a `From:` header that we make has it.

use crate::tok822::{AddressTokens, Token, externalize, scan_limit};
use std::borrow::Cow;

/// postconf(5) `header_from_format`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FullNameForm {
    /// `name <address>`
    #[default]
    Standard,
    /// `address (name)`
    Obsolete,
}

/// Most that an encoded word may take (RFC 2047 section 2).
const ENCODED_WORD_BYTES_MAX: usize = 75;

/// The name ready for a header, without a line end: quoted where need be, or, when it is not ASCII, as encoded
/// words of `charset` (postconf(5) `full_name_encoding_charset`), each on its own line. `None` when there is
/// nothing to show.
#[must_use]
pub fn full_name_text(
    name: &[u8],
    form: FullNameForm,
    charset: &str,
    header_address_token_limit: usize,
) -> Option<Vec<u8>> {
    let clean = without_controls(name);
    if clean.is_empty() {
        return None;
    }
    if !clean.is_ascii() {
        return encoded(&clean, form, charset);
    }
    match form {
        FullNameForm::Standard => phrase(&clean, header_address_token_limit),
        FullNameForm::Obsolete => Some(comment(&clean)),
    }
}

/// Control characters become blanks; blanks come one at a time and not at the ends.
fn without_controls(name: &[u8]) -> Vec<u8> {
    let mut clean: Vec<u8> = Vec::with_capacity(name.len());
    for &byte in name {
        let byte = if byte.is_ascii_control() { b' ' } else { byte };
        if byte != b' ' || clean.last().is_some_and(|&last| last != b' ') {
            clean.push(byte);
        }
    }
    if clean.last() == Some(&b' ') {
        clean.pop();
    }
    clean
}

fn phrase(name: &[u8], token_limit: usize) -> Option<Vec<u8>> {
    let is_plain = !name.iter().any(|byte| b"%!()<>@,;:\\\".[]".contains(byte));
    let tokens =
        if is_plain { scan_limit(name, token_limit) } else { vec![Token::Quoted(Cow::Borrowed(name))] };
    let mut text = Vec::with_capacity(name.len() + 2);
    externalize(&mut text, &AddressTokens { tokens, is_spaced: true });
    (!text.is_empty()).then_some(text)
}

/// Parentheses that do not match are put right, and a backslash at the end goes.
fn comment(name: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(name.len() + 2);
    let mut level = 0_usize;
    let mut bytes = name.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                let Some(escaped) = bytes.next() else { break };
                text.extend([byte, escaped]);
                continue;
            }
            b'(' => level += 1,
            b')' if level == 0 => continue,
            b')' => level -= 1,
            _ => {}
        }
        text.push(byte);
    }
    text.resize(text.len() + level, b')');
    text
}

fn is_special(byte: u8, form: FullNameForm) -> bool {
    let specials: &[u8] = match form {
        // RFC 2047 section 5 (3): in a phrase only letters, digits and `!*+-/` may stand for themselves.
        FullNameForm::Standard => b"\"#$%&'(),.:;<=>?@[\\]^_`{|}~",
        // RFC 2047 section 5 (2).
        FullNameForm::Obsolete => b"=?_\"()\\",
    };
    !byte.is_ascii() || byte.is_ascii_control() || byte.is_ascii_whitespace() || specials.contains(&byte)
}

fn encoded(name: &[u8], form: FullNameForm, charset: &str) -> Option<Vec<u8>> {
    let is_token = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?.=".contains(c);
    if charset.is_empty() || charset.len() > ENCODED_WORD_BYTES_MAX / 2 || !charset.chars().all(is_token) {
        return None;
    }
    let special = name.iter().filter(|&&byte| is_special(byte, form)).count();
    let is_base64 = name.len() >= 20 && special >= name.len() / 2;
    let mut text = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        if !text.is_empty() {
            text.push(b'\n');
        }
        let room = ENCODED_WORD_BYTES_MAX - charset.len() - "=?".len() - "?q?".len() - "?=".len();
        text.extend_from_slice(format!("=?{charset}?{}?", if is_base64 { 'b' } else { 'q' }).as_bytes());
        let taken = if is_base64 {
            base64_word(&mut text, rest, room)
        } else {
            quoted_printable_word(&mut text, rest, room, form)
        };
        text.extend_from_slice(b"?=");
        rest = &rest[taken..];
    }
    Some(text)
}

/// The length of the character at the start: an encoded word must not end inside one.
fn character_len(text: &[u8]) -> usize {
    let continuation = |byte: &u8| byte & 0xc0 == 0x80;
    match text.first() {
        Some(0xc0..) => 1 + text[1..].iter().take(3).take_while(|byte| continuation(byte)).count(),
        _ => 1,
    }
}

fn quoted_printable_word(out: &mut Vec<u8>, text: &[u8], room: usize, form: FullNameForm) -> usize {
    let (mut taken, mut used) = (0, 0);
    while taken < text.len() {
        let character = &text[taken..taken + character_len(&text[taken..]).min(text.len() - taken)];
        let width: usize =
            character.iter().map(|&b| if b == b' ' || !is_special(b, form) { 1 } else { 3 }).sum();
        if used + width > room && taken > 0 {
            break;
        }
        for &byte in character {
            match byte {
                b' ' => out.push(b'_'),
                byte if is_special(byte, form) => out.extend_from_slice(format!("={byte:02X}").as_bytes()),
                byte => out.push(byte),
            }
        }
        used += width;
        taken += character.len();
    }
    taken
}

fn base64_word(out: &mut Vec<u8>, text: &[u8], room: usize) -> usize {
    let bytes_max = room / 4 * 3;
    let mut taken = 0;
    while taken < text.len() {
        let next = taken + character_len(&text[taken..]);
        if next > bytes_max && taken > 0 {
            break;
        }
        taken = next.min(text.len());
    }
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in text[..taken].chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            let symbol = if digit <= group.len() { ALPHABET[value as usize] } else { b'=' };
            out.push(symbol);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use bstr::ByteSlice;
    use proptest::prelude::*;

    #[track_caller]
    fn check(name: &str, form: FullNameForm, expected: Option<&str>) {
        let text = full_name_text(name.as_bytes(), form, "utf-8", 10_240);
        assert_eq!(text.as_deref().map(ByteSlice::as_bstr), expected.map(Into::into), "{name:?}");
    }

    #[test]
    fn quotes_ascii_names_where_needed() {
        use FullNameForm::{Obsolete, Standard};
        check("abc def", Standard, Some("abc def"));
        check("  abc \t\r def ", Standard, Some("abc def"));
        check("foo@bar", Standard, Some("\"foo@bar\""));
        check("A. U. Thor", Standard, Some("\"A. U. Thor\""));
        check("", Standard, None);
        check(" \t", Standard, None);
        check("a (b) c", Obsolete, Some("a (b) c"));
        check("a (b", Obsolete, Some("a (b)"));
        check("a) b", Obsolete, Some("a b"));
        check("a\\", Obsolete, Some("a"));
    }

    #[test]
    fn encodes_other_names() {
        check("Jörg", FullNameForm::Standard, Some("=?utf-8?q?J=C3=B6rg?="));
        check("Jörg X", FullNameForm::Standard, Some("=?utf-8?q?J=C3=B6rg_X?="));
    }

    proptest! {
        #[test]
        fn words_are_short_and_ascii(name in proptest::collection::vec(any::<u8>(), 0..200)) {
            for form in [FullNameForm::Standard, FullNameForm::Obsolete] {
                let text = full_name_text(&name, form, "utf-8", 10_240).unwrap_or_default();
                prop_assert!(text.is_ascii());
                if !name.is_ascii() {
                    prop_assert!(text.split_str("\n").all(|word| word.len() <= 75));
                }
            }
        }
    }
}
