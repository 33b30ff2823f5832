//! The order in which the forms of an address are looked up (Postfix: `mail_addr_find`).
//!
//! `user+ext@domain`, `user@domain`, then for local domains `user+ext`, `user`, then `@domain`; other
//! callers choose other forms with a [`Strategy`].

use crate::{ExtensionRules, Locality, Maps, Part};
use message::{QuoteOptions, quote_822_local};
use std::{ops::BitOr, rc::Rc};
use types::Lookup;

#[cfg(test)]
mod tests;

/// Which forms of an address are tried; combine with `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strategy(u16);

impl Strategy {
    /// `user+ext@domain`
    pub const FULL: Self = Self(1 << 0);
    /// Each of the forms without `+ext`, too.
    pub const NOEXT: Self = Self(1 << 1);
    /// `user+ext`, when the domain is `$myorigin` or local.
    pub const LOCALPART_IF_LOCAL: Self = Self(1 << 2);
    /// `user+ext@`, when the domain is `$myorigin` or local.
    pub const LOCALPART_AT_IF_LOCAL: Self = Self(1 << 3);
    /// `@domain`
    pub const AT_DOMAIN: Self = Self(1 << 4);
    /// `domain`
    pub const DOMAIN: Self = Self(1 << 5);
    /// Parents of the domain: `parent` (the style of `parent_domain_matches_subdomains`).
    pub const PARENTS: Self = Self(1 << 6);
    /// Parents of the domain: `.parent`.
    pub const DOT_PARENTS: Self = Self(1 << 7);
    /// `user+ext@`, whatever the domain.
    pub const LOCALPART_AT: Self = Self(1 << 8);
    /// What canonical, virtual and local recipient tables use.
    pub const DEFAULT: Self =
        Self(Self::FULL.0 | Self::NOEXT.0 | Self::LOCALPART_IF_LOCAL.0 | Self::AT_DOMAIN.0);

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Strategy {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How keys are spelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryForm {
    /// `a b@domain`
    Internal,
    /// Internal, then external where that differs.
    InternalFirst,
    /// `"a b"@domain`
    External,
    /// External, then internal where that differs: what Postfix does nearly everywhere.
    #[default]
    ExternalFirst,
}

/// What was found for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressHit {
    /// The table's value.
    pub value: Vec<u8>,
    /// The extension (`+ext`) when the entry was found without it: the caller propagates it to the
    /// result where `propagate_unmatched_extensions` says so.
    pub extension: Option<Vec<u8>>,
}

/// Tables of addresses, with what the forms of an address depend on.
#[derive(Clone)]
pub struct AddressMaps {
    /// The tables.
    pub maps: Maps,
    /// What an extension is.
    pub extensions: Rc<ExtensionRules>,
    /// `myorigin`
    pub myorigin: Rc<[u8]>,
    /// What is local.
    pub local: Rc<dyn Locality>,
}

/// A key to try: its bytes, whether it has a domain, whether the extension is gone from it.
struct Try<'a> {
    key: &'a [u8],
    part: Part,
    bare_localpart: bool,
    form: QueryForm,
}

impl AddressMaps {
    /// Looks an address up (internal form), keys [`QueryForm::ExternalFirst`].
    pub async fn find(&self, address: &[u8], strategy: Strategy) -> Lookup<AddressHit> {
        self.find_as(address, strategy, QueryForm::default()).await
    }

    /// Looks an address up (internal form).
    pub async fn find_as(&self, address: &[u8], strategy: Strategy, form: QueryForm) -> Lookup<AddressHit> {
        if self.maps.is_empty() {
            return Lookup::Absent;
        }
        match self.walk(address, strategy, form).await {
            Ok(()) => Lookup::Absent,
            Err(answer) => answer,
        }
    }

    /// Walks through the forms; `Err` carries the answer that ends the walk.
    async fn walk(
        &self,
        address: &[u8],
        strategy: Strategy,
        form: QueryForm,
    ) -> Result<(), Lookup<AddressHit>> {
        let split = if strategy.has(Strategy::NOEXT) { self.extensions.split(address) } else { None };
        let bare = split.as_ref().map(|split| (split.bare.as_slice(), split.extension.as_slice()));
        let whole = |key, part| Try { key, part, bare_localpart: false, form };
        if strategy.has(Strategy::FULL) {
            self.attempt(&whole(address, Part::Whole), None).await?;
        }
        if let Some((bare, extension)) = bare {
            self.attempt(&whole(bare, Part::Partial), Some(extension)).await?;
        }
        let Some(at_sign) = memchr::memrchr(b'@', address) else { return Ok(()) };
        let (at_domain, domain) = (&address[at_sign..], &address[at_sign + 1..]);
        let if_local = Strategy::LOCALPART_IF_LOCAL | Strategy::LOCALPART_AT_IF_LOCAL;
        if strategy.has(if_local) && self.is_local(domain).await? {
            if strategy.has(Strategy::LOCALPART_IF_LOCAL) {
                self.localpart(address, bare, 0, form).await?;
            }
            if strategy.has(Strategy::LOCALPART_AT_IF_LOCAL) {
                self.localpart(address, bare, 1, form).await?;
            }
        }
        if strategy.has(Strategy::AT_DOMAIN) {
            self.key(at_domain, Part::Partial, None).await?;
        }
        if strategy.has(Strategy::DOMAIN) {
            self.domain_and_parents(domain, strategy).await?;
        }
        if strategy.has(Strategy::LOCALPART_AT) {
            self.localpart(address, bare, 1, form).await?;
        }
        Ok(())
    }

    async fn is_local(&self, domain: &[u8]) -> Result<bool, Lookup<AddressHit>> {
        if crate::casefold(domain)[..] == crate::casefold(&self.myorigin)[..] {
            return Ok(true);
        }
        match self.local.is_local(domain).await {
            Lookup::Found(()) => Ok(true),
            Lookup::Absent => Ok(false),
            Lookup::TryAgain(trouble) => Err(Lookup::TryAgain(trouble)),
        }
    }

    /// `user+ext` then `user`, with `at_sign` more bytes: 1 keeps the `@`.
    async fn localpart(
        &self,
        full: &[u8],
        bare: Option<(&[u8], &[u8])>,
        at_sign: usize,
        form: QueryForm,
    ) -> Result<(), Lookup<AddressHit>> {
        let attempt = |address: &'_ [u8]| memchr::memrchr(b'@', address).map_or(0, |at| at + at_sign);
        let cut = |key| Try { key, part: Part::Partial, bare_localpart: at_sign == 0, form };
        self.attempt(&cut(&full[..attempt(full)]), None).await?;
        if let Some((bare, extension)) = bare {
            self.attempt(&cut(&bare[..attempt(bare)]), Some(extension)).await?;
        }
        Ok(())
    }

    async fn domain_and_parents(&self, domain: &[u8], strategy: Strategy) -> Result<(), Lookup<AddressHit>> {
        let mut name = domain;
        while !name.is_empty() {
            self.key(name, Part::Partial, None).await?;
            if !strategy.has(Strategy::PARENTS | Strategy::DOT_PARENTS) {
                break;
            }
            let Some(dot) = name.get(1..).and_then(|rest| memchr::memchr(b'.', rest)) else { break };
            name = &name[dot + 1..];
            if !strategy.has(Strategy::DOT_PARENTS) {
                name = &name[1..];
            }
        }
        Ok(())
    }

    /// Tries one key in the spellings of its form.
    async fn attempt(&self, t: &Try<'_>, extension: Option<&[u8]>) -> Result<(), Lookup<AddressHit>> {
        if t.form == QueryForm::Internal {
            return self.key(t.key, t.part, extension).await;
        }
        let options = QuoteOptions { bare_localpart: t.bare_localpart, ..QuoteOptions::default() };
        let external = quote_822_local(t.key, options);
        let (first, second) = match t.form {
            QueryForm::InternalFirst => (t.key, Some(&*external)),
            QueryForm::External => (&*external, None),
            _ => (&*external, Some(t.key)),
        };
        self.key(first, t.part, extension).await?;
        match second {
            Some(second) if second != first => self.key(second, t.part, extension).await,
            _ => Ok(()),
        }
    }

    async fn key(&self, key: &[u8], part: Part, extension: Option<&[u8]>) -> Result<(), Lookup<AddressHit>> {
        match self.maps.find_part(key, part).await {
            Lookup::Absent => Ok(()),
            Lookup::Found(value) => {
                Err(Lookup::Found(AddressHit { value, extension: extension.map(<[u8]>::to_vec) }))
            }
            Lookup::TryAgain(trouble) => Err(Lookup::TryAgain(trouble)),
        }
    }
}
