//! Envelope addresses in Postfix's *internal form*: no quoting, no angle brackets, any bytes.
//!
//! The external (RFC 5321 or RFC 5322) form is made by `message::quote` only where bytes leave the
//! system, so that a table, a queue file and a comparison always see one spelling.

use bstr::{BStr, BString, ByteSlice};
use std::fmt;

/// An envelope address in internal form; the empty address is the null sender `<>`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(BString);

impl Address {
    /// The null sender.
    #[must_use]
    pub fn null() -> Self {
        Self::default()
    }

    /// Takes over bytes that are already in internal form.
    pub fn new(internal: impl Into<Vec<u8>>) -> Self {
        Self(BString::new(internal.into()))
    }

    /// The bytes, in internal form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text for display.
    #[must_use]
    pub fn as_bstr(&self) -> &BStr {
        self.0.as_bstr()
    }

    /// Whether this is the null sender.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.is_empty()
    }

    /// What stands before the last `@`, or everything where there is none.
    #[must_use]
    pub fn localpart(&self) -> &BStr {
        self.split().0
    }

    /// What stands after the last `@`.
    #[must_use]
    pub fn domain(&self) -> Option<&BStr> {
        self.split().1
    }

    /// Splits at the last `@` (Postfix: `strrchr(address, '@')`).
    #[must_use]
    pub fn split(&self) -> (&BStr, Option<&BStr>) {
        match self.0.rfind_byte(b'@') {
            Some(at) => (self.0[..at].as_bstr(), Some(self.0[at + 1..].as_bstr())),
            None => (self.0.as_bstr(), None),
        }
    }

    /// Takes the bytes out.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into()
    }
}

impl From<&str> for Address {
    fn from(internal: &str) -> Self {
        Self::new(internal)
    }
}

impl From<&[u8]> for Address {
    fn from(internal: &[u8]) -> Self {
        Self::new(internal)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}

/// A domain name as it stood in an address or a configuration: any bytes, compared without ASCII case.
#[derive(Clone, Default)]
pub struct Domain(BString);

impl Domain {
    /// Takes over the bytes.
    pub fn new(name: impl Into<Vec<u8>>) -> Self {
        Self(BString::new(name.into()))
    }

    /// The bytes as given.
    #[must_use]
    pub fn as_bstr(&self) -> &BStr {
        self.0.as_bstr()
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for Domain {}

impl std::hash::Hash for Domain {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for byte in self.0.iter() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, localpart: &str, domain: Option<&str>) {
        let address = Address::from(address);
        assert_eq!(address.localpart(), localpart);
        assert_eq!(address.domain(), domain.map(BStr::new));
    }

    #[test]
    fn splits_at_the_last_at_sign() {
        check("a@b", "a", Some("b"));
        check("a@b@c", "a@b", Some("c"));
        check("postmaster", "postmaster", None);
        check("a@", "a", Some(""));
        check("", "", None);
    }

    #[test]
    fn domains_compare_without_case() {
        assert_eq!(Domain::new("Example.COM"), Domain::new("example.com"));
        assert_ne!(Domain::new("example.com"), Domain::new("example.org"));
    }
}
