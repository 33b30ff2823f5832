//! Is a domain ours? `mydestination` and the addresses that we listen on.

use crate::StringList;
use bstr::ByteSlice;
use std::net::IpAddr;
use types::{Lookup, Trouble};
use world::{Answer, Tables};

/// Says whether mail for a domain is for this machine.
pub trait Locality {
    /// `Found` when the domain is ours.
    fn is_local<'a>(&'a self, domain: &'a [u8]) -> Answer<'a, Lookup<()>>;
}

/// Nothing is ours.
pub struct NoLocalDomains;

impl Locality for NoLocalDomains {
    fn is_local<'a>(&'a self, _domain: &'a [u8]) -> Answer<'a, Lookup<()>> {
        Answer::ready(Lookup::Absent)
    }
}

/// `mydestination`, `inet_interfaces` and `proxy_interfaces`.
pub struct LocalDomains {
    mydestination: StringList,
    own_addresses: Box<[IpAddr]>,
}

impl LocalDomains {
    /// `own_addresses` are those of `inet_interfaces` and `proxy_interfaces`.
    #[must_use]
    pub fn new(mydestination: &str, own_addresses: Box<[IpAddr]>, tables: &dyn Tables) -> Self {
        Self { mydestination: StringList::open("mydestination", mydestination, tables), own_addresses }
    }

    /// Whether a domain is listed, or is an address literal of ours. One final dot does not count.
    pub async fn matches(&self, domain: &[u8]) -> Result<bool, Trouble> {
        let domain = domain.strip_suffix(b".").unwrap_or(domain);
        if domain.is_empty() || domain.ends_with(b".") {
            return Ok(false);
        }
        if self.mydestination.matches(domain).await? {
            return Ok(true);
        }
        Ok(literal_address(domain).is_some_and(|address| self.own_addresses.contains(&address)))
    }
}

/// The address in `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
fn literal_address(domain: &[u8]) -> Option<IpAddr> {
    let inner = domain.strip_prefix(b"[")?.strip_suffix(b"]")?.to_str().ok()?;
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inner.get(5..)?.parse().ok().map(IpAddr::V6),
        _ => inner.parse().ok().map(IpAddr::V4),
    }
}

impl Locality for LocalDomains {
    fn is_local<'a>(&'a self, domain: &'a [u8]) -> Answer<'a, Lookup<()>> {
        Answer::later(async move {
            match self.matches(domain).await {
                Ok(true) => Lookup::Found(()),
                Ok(false) => Lookup::Absent,
                Err(trouble) => Lookup::TryAgain(trouble),
            }
        })
    }
}
