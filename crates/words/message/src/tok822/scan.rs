//! From text to tokens.

use super::Token;
use std::borrow::Cow;

/// Characters that are tokens by themselves: the specials of RFC 822, and the routing operators `%` and `!`;
/// `|` is for commands in alias files.
pub(super) const fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'|' | b'%'
            | b'!'
            | b'('
            | b')'
            | b'<'
            | b'>'
            | b'@'
            | b','
            | b';'
            | b':'
            | b'\\'
            | b'"'
            | b'.'
            | b'['
            | b']'
    )
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Tokens of an address like `first.last@sub.domain.example`.
pub(super) const TOKENS_USUAL: usize = 10;

/// Tokenizes text in external form. Text ends at a NUL.
#[must_use]
pub fn scan(text: &[u8]) -> Vec<Token<'_>> {
    scan_limit(text, usize::MAX)
}

/// Tokenizes text, at most `token_count_max` tokens (`header_address_token_limit`); the rest is dropped.
#[must_use]
pub fn scan_limit(text: &[u8], token_count_max: usize) -> Vec<Token<'_>> {
    let text = memchr::memchr(0, text).map_or(text, |nul| &text[..nul]);
    let mut tokens = Vec::with_capacity(TOKENS_USUAL.min(text.len()));
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if is_blank(byte) {
            rest = after;
            continue;
        }
        let (token, tail) = match byte {
            b'(' => comment(rest),
            b'[' => {
                let (text, tail) = delimited(after, b']');
                (Token::Literal(text), tail)
            }
            b'"' => {
                let (text, tail) = delimited(after, b'"');
                (Token::Quoted(text), tail)
            }
            byte if byte != b'\\' && is_operator(byte) => (Token::Op(byte), after),
            _ => atom(rest),
        };
        tokens.push(token);
        rest = tail;
        if tokens.len() >= token_count_max {
            break;
        }
    }
    tokens
}

/// Collects characters up to the first that `is_end` says yes to; a backslash takes the next as it is, and
/// white space becomes a blank.
fn collect(text: &[u8], is_end: impl Fn(u8) -> bool) -> (Cow<'_, [u8]>, &[u8]) {
    let plain = |byte: u8| byte != b'\\' && !matches!(byte, b'\t' | b'\r' | b'\n') && !is_end(byte);
    let borrowed = text.iter().position(|&byte| !plain(byte)).unwrap_or(text.len());
    let (head, mut rest) = text.split_at(borrowed);
    if rest.first().is_none_or(|&byte| byte != b'\\' && is_end(byte)) {
        return (Cow::Borrowed(head), rest);
    }
    let mut collected = head.to_vec();
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after.split_first()) {
            (b'\\', Some((&escaped, after))) => (escaped, after),
            // A backslash at the very end escapes nothing.
            (b'\\', None) => return (Cow::Owned(collected), after),
            _ if is_end(byte) => break,
            _ => (byte, after),
        };
        collected.push(if is_blank(byte) { b' ' } else { byte });
        rest = after;
    }
    (Cow::Owned(collected), rest)
}

/// Text up to a closing character, which is skipped.
fn delimited(text: &[u8], close: u8) -> (Cow<'_, [u8]>, &[u8]) {
    let (inside, rest) = collect(text, |byte| byte == close);
    (inside, rest.get(1..).unwrap_or_default())
}

fn atom(text: &[u8]) -> (Token<'_>, &[u8]) {
    let (text, rest) = collect(text, |byte| is_blank(byte) || is_operator(byte));
    // After a backslash anything can be in an atom; printed again it needs quotes.
    let needs_quotes = text.iter().any(|&byte| byte == b' ' || byte.is_ascii_control() || is_operator(byte));
    (if needs_quotes { Token::Quoted(text) } else { Token::Atom(text) }, rest)
}

/// A comment, kept in its external form so that nested ones survive.
fn comment(text: &[u8]) -> (Token<'_>, &[u8]) {
    let mut level = 0;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'(' => level += 1,
            b')' => {
                level -= 1;
                if level == 0 {
                    break;
                }
            }
            b'\\' if at < text.len() => at += 1,
            _ => {}
        }
    }
    let (comment, rest) = text.split_at(at);
    (Token::Comment(Cow::Borrowed(comment)), rest)
}
