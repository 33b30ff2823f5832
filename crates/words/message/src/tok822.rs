//! RFC 822 addresses as lists of tokens, with nothing thrown away: what is not understood is printed back
//! as it was read.
//!
//! [`parse`] finds the addresses of a header's value ([`Token::Address`]); [`scan`] tokenizes one address.
//! [`externalize`] prints with quotes, [`internalize`] without.

mod parse;
mod print;
mod scan;

pub use parse::{parse, parse_limit};
pub use print::{PrintOptions, externalize, externalize_list, fold, internalize};
pub use scan::{scan, scan_limit};

use std::borrow::Cow;

/// A token, or, after parsing, an address with its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// One of `( ) < > @ , ; : \ " . [ ] | % !` that stands for itself.
    Op(u8),
    /// Characters that need no quotes.
    Atom(Cow<'a, [u8]>),
    /// Characters that were, or must be, in quotes; without them.
    Quoted(Cow<'a, [u8]>),
    /// A comment with its parentheses and backslashes, as it was.
    Comment(Cow<'a, [u8]>),
    /// `[...]` without brackets.
    Literal(Cow<'a, [u8]>),
    /// The `:` behind the name of a group.
    StartGroup,
    /// An address.
    Address(AddressTokens<'a>),
}

/// The tokens of one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressTokens<'a> {
    /// In order.
    pub tokens: Vec<Token<'a>>,
    /// Whether words that stand side by side are printed with a blank between them. So it is for an address
    /// that was scanned by itself, and not for one found in a header.
    pub is_spaced: bool,
}

impl<'a> AddressTokens<'a> {
    /// One address by itself, in external form.
    #[must_use]
    pub fn scan(external: &'a [u8]) -> Self {
        Self { tokens: scan(external), is_spaced: true }
    }

    /// The same, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> AddressTokens<'static> {
        AddressTokens {
            tokens: self.tokens.into_iter().map(Token::into_owned).collect(),
            is_spaced: self.is_spaced,
        }
    }

    /// The last operator `op`.
    #[must_use]
    pub fn rfind(&self, op: u8) -> Option<usize> {
        self.tokens.iter().rposition(|token| token.is_op(op))
    }

    /// The first operator `op`.
    #[must_use]
    pub fn find(&self, op: u8) -> Option<usize> {
        self.tokens.iter().position(|token| token.is_op(op))
    }
}

impl<'a> Token<'a> {
    /// Whether this is the operator `op`.
    #[must_use]
    pub fn is_op(&self, op: u8) -> bool {
        matches!(self, Self::Op(found) if *found == op)
    }

    /// Whether this is a token with text.
    const fn is_word(&self) -> bool {
        !matches!(self, Self::Op(_) | Self::StartGroup)
    }

    /// A token that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Token<'static> {
        let own = |text: Cow<'a, [u8]>| Cow::Owned(text.into_owned());
        match self {
            Self::Op(op) => Token::Op(op),
            Self::StartGroup => Token::StartGroup,
            Self::Atom(text) => Token::Atom(own(text)),
            Self::Quoted(text) => Token::Quoted(own(text)),
            Self::Comment(text) => Token::Comment(own(text)),
            Self::Literal(text) => Token::Literal(own(text)),
            Self::Address(address) => Token::Address(address.into_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
