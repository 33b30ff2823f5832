//! Where a recipient goes: the answer of address resolution.

use crate::Address;
use bstr::{BStr, BString, ByteSlice};
use std::fmt;

/// The name of a delivery service, a row of master.cf such as `smtp` or `local`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transport(String);

impl Transport {
    /// Takes over a service name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a transport should connect to or act on: `example.com`, `[192.0.2.1]:25`, a text for
/// `error`. Its meaning is the transport's.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nexthop(BString);

impl Nexthop {
    /// Takes over the bytes.
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        Self(BString::new(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_bstr(&self) -> &BStr {
        self.0.as_bstr()
    }
}

impl fmt::Display for Nexthop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Nexthop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The classes of `ADDRESS_CLASS_README`: who is responsible for a recipient domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressClass {
    /// `mydestination`, `inet_interfaces`, `proxy_interfaces`.
    Local,
    /// `virtual_alias_domains`.
    VirtualAlias,
    /// `virtual_mailbox_domains`.
    VirtualMailbox,
    /// `relay_domains`.
    Relay,
    /// Everything else.
    Default,
}

/// A resolved recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The delivery service.
    pub transport: Transport,
    /// What it should do or where it should connect.
    pub nexthop: Nexthop,
    /// The recipient as the transport will see it.
    pub recipient: Address,
    /// Who is responsible for its domain.
    pub class: AddressClass,
    /// The address asks this system to route it onward (`user%domain@here`, `@a,@b:user@c`); relay
    /// control refuses such recipients from strangers unless `allow_untrusted_routing` is set.
    pub is_routed: bool,
    /// The address is malformed, and mail for it must not be accepted or delivered.
    pub is_error: bool,
}
