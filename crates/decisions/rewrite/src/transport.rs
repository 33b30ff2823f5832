//! `transport_maps`: which entry, and what an entry changes.

use crate::Rewriter;
use bstr::ByteSlice;
use maps::{ParentStyle, QueryForm, Strategy, parent_style};
use types::{Lookup, Trouble};

/// A transport and a next hop in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) transport: Vec<u8>,
    pub(crate) nexthop: Vec<u8>,
}

impl Route {
    /// From a main.cf value `transport` or `transport:nexthop`.
    pub(crate) fn from_setting(setting: &[u8], nexthop: &[u8]) -> Self {
        let (transport, explicit) = split_at_colon(setting);
        let nexthop = if explicit.is_empty() { nexthop } else { explicit };
        Self { transport: transport.to_vec(), nexthop: nexthop.to_vec() }
    }

    /// Applies a table's value (transport(5)): `:` changes nothing, `:nexthop` only the next hop; a transport
    /// without next hop resets the next hop to the recipient's domain.
    pub(crate) fn apply(&mut self, value: &[u8], domain: &[u8]) {
        let (transport, nexthop) = split_at_colon(value);
        if !nexthop.is_empty() {
            self.nexthop = nexthop.to_vec();
        }
        if transport.is_empty() {
            return;
        }
        self.transport = transport.to_vec();
        if nexthop.is_empty() {
            self.nexthop = match transport {
                b"error" | b"retry" => b"Address is undeliverable".to_vec(),
                _ => domain.to_vec(),
            };
        }
    }
}

fn split_at_colon(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_once_str(":").unwrap_or((text, b""))
}

impl Rewriter {
    /// The value for a recipient: `user+ext@domain`, `user@domain`, `domain`, its parents, `*`.
    pub(crate) async fn transport_entry(&self, recipient: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        let maps = &self.transport_maps;
        if maps.maps.is_empty() {
            return Ok(None);
        }
        let parents = match parent_style(&self.settings.parent_domain_matches_subdomains, "transport_maps") {
            ParentStyle::Parent => Strategy::PARENTS,
            ParentStyle::DotParent => Strategy::DOT_PARENTS,
        };
        let strategy = Strategy::FULL | Strategy::NOEXT | Strategy::DOMAIN | parents;
        match maps.find_as(recipient, strategy, QueryForm::ExternalFirst).await {
            Lookup::Found(hit) => return Ok(Some(hit.value)),
            Lookup::TryAgain(trouble) => return Err(trouble),
            Lookup::Absent => {}
        }
        maps.maps.find(b"*").await.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, transport: &str, nexthop: &str) {
        let mut route = Route::from_setting(b"smtp", b"relay.example");
        route.apply(value.as_bytes(), b"domain.example");
        let expected = Route { transport: transport.into(), nexthop: nexthop.into() };
        assert_eq!(route, expected, "{value}");
    }

    #[test]
    fn entries_override_as_the_manual_says() {
        check(":", "smtp", "relay.example");
        check("", "smtp", "relay.example");
        check(":[host]:26", "smtp", "[host]:26");
        check("lmtp:", "lmtp", "domain.example");
        check("lmtp", "lmtp", "domain.example");
        check("lmtp:unix:/sock", "lmtp", "unix:/sock");
        check("error:", "error", "Address is undeliverable");
        check("retry:", "retry", "Address is undeliverable");
        check("error:5.1.2 no such host", "error", "5.1.2 no such host");
    }
}
