//! From tokens to text.

use super::{AddressTokens, Token};
use crate::{QuoteOptions, quote_822_local};
use bstr::ByteSlice;

/// How [`externalize_list`] prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrintOptions {
    /// One address a line: a line feed instead of a blank after a comma.
    pub is_line_per_address: bool,
    /// Reduce an address with more than 250 bytes of comments and phrases to `<address>`.
    pub is_truncating: bool,
}

/// More text than this around an address is dropped: old mailers had fixed buffers (CERT CA-2003-07).
const NON_ADDRESS_BYTES_MAX: usize = 250;

fn needs_space(token: &Token<'_>, next: Option<&Token<'_>>, is_spaced: bool) -> bool {
    let Some(next) = next else { return false };
    is_spaced
        && (token.is_op(b',')
            || matches!(token, Token::StartGroup)
            || next.is_op(b'<')
            || (token.is_word() && next.is_word()))
}

/// How much room a token takes, about: what brackets and blanks need is little.
fn text_bytes(token: &Token<'_>) -> usize {
    match token {
        Token::Atom(text) | Token::Quoted(text) | Token::Comment(text) | Token::Literal(text) => text.len(),
        Token::Op(_) | Token::StartGroup => 1,
        Token::Address(inner) => inner.tokens.iter().map(text_bytes).sum(),
    }
}

/// Appends an address in internal form.
pub fn internalize(out: &mut Vec<u8>, address: &AddressTokens<'_>) {
    out.reserve(address.tokens.iter().map(text_bytes).sum());
    let mut tokens = address.tokens.iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            Token::Op(op) => out.push(*op),
            Token::StartGroup => out.push(b':'),
            Token::Atom(text) | Token::Quoted(text) | Token::Comment(text) => out.extend_from_slice(text),
            Token::Literal(text) => {
                out.push(b'[');
                out.extend_from_slice(text);
                out.push(b']');
            }
            Token::Address(inner) => internalize(out, inner),
        }
        if needs_space(token, tokens.peek().copied(), address.is_spaced) {
            out.push(b' ');
        }
    }
}

/// Appends the tokens of one address in external form, each token quoted by itself.
pub fn externalize(out: &mut Vec<u8>, address: &AddressTokens<'_>) {
    let mut tokens = address.tokens.iter().peekable();
    while let Some(token) = tokens.next() {
        externalize_token(out, token);
        if token.is_op(b',') || needs_space(token, tokens.peek().copied(), address.is_spaced) {
            out.push(b' ');
        }
    }
}

fn externalize_token(out: &mut Vec<u8>, token: &Token<'_>) {
    match token {
        Token::Op(op) => out.push(*op),
        Token::StartGroup => out.push(b':'),
        Token::Atom(text) | Token::Comment(text) => out.extend_from_slice(text),
        Token::Quoted(text) => {
            out.push(b'"');
            escape(out, text, b"\"\\\r\n");
            out.push(b'"');
        }
        Token::Literal(text) => {
            out.push(b'[');
            escape(out, text, b"\\\r\n");
            out.push(b']');
        }
        Token::Address(address) => externalize_address(out, address),
    }
}

/// An address as a whole: the local part is quoted, not its tokens.
fn externalize_address(out: &mut Vec<u8>, address: &AddressTokens<'_>) {
    let mut internal = Vec::new();
    internalize(&mut internal, address);
    out.extend_from_slice(&quote_822_local(&internal, QuoteOptions::default()));
}

fn escape(out: &mut Vec<u8>, text: &[u8], escaped: &[u8]) {
    for &byte in text {
        if escaped.contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// Where the address expression (up to the next comma) began in the output, and what its address is.
struct Expression<'t, 'a> {
    start: usize,
    /// The address, `None` inside for `<>`, and how many bytes it takes.
    address: Option<(Option<&'t AddressTokens<'a>>, usize)>,
}

impl Expression<'_, '_> {
    fn begin(out: &[u8]) -> Self {
        Self { start: out.len(), address: None }
    }

    /// Strips comments and phrases when there are too many.
    fn end(&self, out: &mut Vec<u8>) {
        let Some((address, address_bytes)) = self.address else { return };
        if out.len() - address_bytes <= self.start + NON_ADDRESS_BYTES_MAX {
            return;
        }
        out.truncate(self.start);
        out.push(b'<');
        if let Some(address) = address {
            externalize_address(out, address);
        }
        out.push(b'>');
    }
}

/// Appends a parsed address list in external form.
pub fn externalize_list(out: &mut Vec<u8>, list: &[Token<'_>], options: PrintOptions) {
    let mut expression = Expression::begin(out);
    let mut tokens = list.iter().peekable();
    while let Some(token) = tokens.next() {
        let before = out.len();
        if token.is_op(b',') {
            if options.is_truncating {
                expression.end(out);
            }
            out.push(b',');
            out.push(if options.is_line_per_address { b'\n' } else { b' ' });
            expression = Expression::begin(out);
            continue;
        }
        externalize_token(out, token);
        match token {
            Token::Address(address) => expression.address = Some((Some(address), out.len() - before)),
            Token::Op(b'<') if tokens.peek().is_some_and(|next| next.is_op(b'>')) => {
                expression.address = Some((None, 0));
            }
            _ => {}
        }
        if needs_space(token, tokens.peek().copied(), true) {
            out.push(b' ');
        }
    }
    if options.is_truncating {
        expression.end(out);
    }
}

/// Addresses of a rewritten header go on one line up to this many bytes.
const FOLD_BYTES: usize = 70;

/// Puts as many addresses on a line as fit; they come one a line.
#[must_use]
pub fn fold(mut header: Vec<u8>) -> Vec<u8> {
    let mut line_start = 0;
    let mut start = 0;
    while let Some(newline) = header.get(start..).and_then(|rest| rest.find_byte(b'\n')).map(|n| start + n) {
        let next = newline + 1;
        let end = header[next..].find_byte(b'\n').map_or(header.len(), |n| next + n);
        if end - line_start < FOLD_BYTES {
            header[newline] = b' ';
        } else {
            line_start = next;
        }
        start = next;
    }
    header
}
