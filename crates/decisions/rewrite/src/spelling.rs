//! The canonical spelling of one address.

use crate::Rewriter;
use bstr::ByteSlice;
use maillog::{Event, OldDefault};
use message::{
    QuoteOptions, quote_822_local,
    tok822::{AddressTokens, Token, internalize, scan},
    unquote_822_local,
};
use std::borrow::Cow;
use types::Address;

/// Whose addresses they are: what is appended to incomplete ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Ours: `myorigin`, `mydomain`. Envelope addresses always.
    Local,
    /// A stranger's: `remote_header_rewrite_domain`.
    Remote,
}

/// `user@host.domain` with nothing to complete or take apart: what nearly all addresses are.
fn is_canonical(address: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'=');
    let words =
        |text: &[u8]| text.split(|&byte| byte == b'.').all(|word| !word.is_empty() && word.iter().all(plain));
    let Some(at_sign) = memchr::memchr(b'@', address) else { return false };
    let (localpart, domain) = (&address[..at_sign], &address[at_sign + 1..]);
    words(localpart) && domain.contains(&b'.') && words(domain)
}

impl Rewriter {
    /// Rewrites an address in external form, and returns it in external form. What has no tokens at all is
    /// returned as it is.
    #[must_use]
    pub fn rewrite_external<'a>(&self, context: Context, address: &'a [u8]) -> Cow<'a, [u8]> {
        if is_canonical(address) {
            return Cow::Borrowed(address);
        }
        let mut tree = AddressTokens::scan(address);
        if tree.tokens.is_empty() {
            return Cow::Borrowed(address);
        }
        self.rewrite_tokens(context, &mut tree.tokens);
        let mut rewritten = Vec::with_capacity(address.len() + 32);
        internalize(&mut rewritten, &tree);
        Cow::Owned(quote_822_local(&rewritten, QuoteOptions::default()).into_owned())
    }

    /// Rewrites an address in internal form.
    #[must_use]
    pub fn rewrite(&self, context: Context, address: &Address) -> Address {
        Address::new(self.rewrite_internal(context, address.as_bytes()).into_owned())
    }

    /// Rewrites an address in internal form. The null address stays so.
    #[must_use]
    pub fn rewrite_internal<'a>(&self, context: Context, address: &'a [u8]) -> Cow<'a, [u8]> {
        if is_canonical(address) {
            return Cow::Borrowed(address);
        }
        let external = quote_822_local(address, QuoteOptions::default());
        let rewritten = self.rewrite_external(context, &external);
        Cow::Owned(unquote_822_local(&rewritten).into_owned())
    }

    /// Rewrites the tokens of one address.
    pub(crate) fn rewrite_tokens<'a>(&'a self, context: Context, tokens: &mut Vec<Token<'a>>) {
        let s = self.settings();
        let (origin, domain) = match context {
            Context::Local => (s.myorigin.as_str(), s.mydomain.as_str()),
            Context::Remote => {
                (s.remote_header_rewrite_domain.as_str(), s.remote_header_rewrite_domain.as_str())
            }
        };
        if is_empty_quoted(tokens) {
            return;
        }
        if let [Token::Op(b'@')] = tokens.as_slice() {
            *tokens = vec![Token::Quoted(Cow::Borrowed(b""))];
            return;
        }
        strip_source_route(tokens);
        if find(tokens, b'@').is_none() {
            self.make_domain(origin, tokens);
        }
        if s.append_dot_mydomain && !domain.is_empty() && is_domain_incomplete(tokens) {
            self.note_old_default(tokens.last());
            tokens.push(Token::Op(b'.'));
            tokens.extend(scan(domain.as_bytes()));
        }
        strip_trailing_dot(tokens);
    }

    /// Says that a domain is completed only as it was in old versions.
    fn note_old_default(&self, domain: Option<&Token<'_>>) {
        let s = self.settings();
        let (Some(log), Some(Token::Atom(domain))) = (self.log.as_ref(), domain) else { return };
        let is_known = domain.eq_ignore_ascii_case(b"localhost") && s.names_localhost();
        if s.is_append_dot_mydomain_old && !is_known {
            let event = OldDefault::AppendDotMydomain { domain: domain.as_bstr(), mydomain: &s.mydomain };
            log.event(&Event::OldDefault(event));
        }
    }

    /// Turns an address without `@` into one with: `host!user`, `user%host`, or `@origin` appended.
    fn make_domain<'a>(&'a self, origin: &'a str, tokens: &mut Vec<Token<'a>>) {
        let s = self.settings();
        if let Some(bang) = find(tokens, b'!').filter(|_| s.swap_bangpath) {
            let user = tokens.split_off(bang + 1);
            tokens.pop();
            let site = std::mem::replace(tokens, user);
            tokens.push(Token::Op(b'@'));
            tokens.extend(site);
        } else if let Some(percent) = rfind(tokens, b'%').filter(|_| s.allow_percent_hack) {
            tokens[percent] = Token::Op(b'@');
        } else if s.append_at_myorigin && !origin.is_empty() {
            tokens.push(Token::Op(b'@'));
            tokens.extend(scan(origin.as_bytes()));
        }
    }
}

pub(crate) fn find(tokens: &[Token<'_>], op: u8) -> Option<usize> {
    tokens.iter().position(|token| token.is_op(op))
}

pub(crate) fn rfind(tokens: &[Token<'_>], op: u8) -> Option<usize> {
    tokens.iter().rposition(|token| token.is_op(op))
}

/// Whether the address is `""`.
pub(crate) fn is_empty_quoted(tokens: &[Token<'_>]) -> bool {
    matches!(tokens, [Token::Quoted(text)] if text.is_empty())
}

/// `@relay,@relay:user@domain` becomes `user@domain`.
fn strip_source_route(tokens: &mut Vec<Token<'_>>) {
    if tokens.first().is_some_and(|token| token.is_op(b'@'))
        && let Some(colon) = find(tokens, b':')
        && colon + 1 < tokens.len()
    {
        tokens.drain(..=colon);
    }
}

/// A domain of one label, which is neither empty nor an address literal.
fn is_domain_incomplete(tokens: &[Token<'_>]) -> bool {
    let Some(at_sign) = rfind(tokens, b'@') else { return false };
    let domain = &tokens[at_sign + 1..];
    !domain.is_empty()
        && !domain.iter().any(|token| matches!(token, Token::Literal(_)))
        && find(domain, b'.').is_none()
}

/// One dot at the end goes; `..` and `@.` are left for the diagnosis.
pub(crate) fn strip_trailing_dot(tokens: &mut Vec<Token<'_>>) {
    if let [.., before, Token::Op(b'.')] = tokens.as_slice()
        && !before.is_op(b'.')
        && !before.is_op(b'@')
    {
        tokens.pop();
    }
}

/// An address's tokens in internal form.
pub(crate) fn internal(tokens: Vec<Token<'_>>) -> Vec<u8> {
    let mut text = Vec::new();
    internalize(&mut text, &AddressTokens { tokens, is_spaced: true });
    text
}
