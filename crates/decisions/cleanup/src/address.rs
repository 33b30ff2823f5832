//! One address through the tables: canonical, masquerade, aliases.

use crate::{Classes, CleanupService};
use bstr::ByteSlice;
use maps::{AddressMaps, casefold};
use message::{QuoteOptions, quote_822_local, unquote_822_local};
use std::collections::HashSet;
use types::Trouble;

/// Where an address stands; decides which tables apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    EnvelopeSender,
    EnvelopeRecipient,
    HeaderSender,
    HeaderRecipient,
}

impl Place {
    const fn is_in(self, classes: Classes) -> bool {
        match self {
            Self::EnvelopeSender => classes.envelope_sender,
            Self::EnvelopeRecipient => classes.envelope_recipient,
            Self::HeaderSender => classes.header_sender,
            Self::HeaderRecipient => classes.header_recipient,
        }
    }

    const fn is_sender(self) -> bool {
        matches!(self, Self::EnvelopeSender | Self::HeaderSender)
    }
}

/// Why an alias could not be expanded.
pub(crate) enum ExpansionError {
    /// A table could not be asked.
    Table(Trouble),
    /// A limit was exceeded; the text for the log.
    Limit(String),
}

/// How often a canonical address is mapped again.
const CANONICAL_ROUNDS_MAX: usize = 10;

impl CleanupService {
    /// Whether any table applies to addresses at this place.
    pub(crate) fn has_maps_for(&self, place: Place) -> bool {
        let s = self.settings();
        let (maps, classes) = if place.is_sender() {
            (&self.sender_canonical_maps, s.sender_canonical_classes)
        } else {
            (&self.recipient_canonical_maps, s.recipient_canonical_classes)
        };
        (!maps.maps.is_empty() && place.is_in(classes))
            || (!self.canonical_maps.maps.is_empty() && place.is_in(s.canonical_classes))
            || (!s.masquerade_domains.is_empty() && place.is_in(s.masquerade_classes))
    }

    /// Canonical mapping and masquerading of an address in external form; the flag says whether it changed.
    pub(crate) async fn map_external(
        &self,
        place: Place,
        address: Vec<u8>,
    ) -> Result<(Vec<u8>, bool), Trouble> {
        let s = self.settings();
        let (specific, classes) = if place.is_sender() {
            (&self.sender_canonical_maps, s.sender_canonical_classes)
        } else {
            (&self.recipient_canonical_maps, s.recipient_canonical_classes)
        };
        let (mut address, mut changed) = (address, false);
        for (maps, classes) in [(specific, classes), (&self.canonical_maps, s.canonical_classes)] {
            if place.is_in(classes) {
                changed |= self.canonical(maps, &mut address).await?;
            }
        }
        if !s.masquerade_domains.is_empty() && place.is_in(s.masquerade_classes) {
            changed |= self.masquerade(&mut address).await?;
        }
        Ok((address, changed))
    }

    /// The same for an address in internal form.
    pub(crate) async fn map_internal(&self, place: Place, address: Vec<u8>) -> Result<Vec<u8>, Trouble> {
        if !self.has_maps_for(place) {
            return Ok(address);
        }
        let external = quote_822_local(&address, QuoteOptions::default()).into_owned();
        let (mapped, _) = self.map_external(place, external).await?;
        Ok(unquote_822_local(&mapped).into_owned())
    }

    async fn canonical(&self, maps: &AddressMaps, address: &mut Vec<u8>) -> Result<bool, Trouble> {
        let mut changed = false;
        for _ in 0..CANONICAL_ROUNDS_MAX {
            let internal = unquote_822_local(address).into_owned();
            let propagate = self.settings().propagate_canonical;
            let Some(found) = self.lookup(maps, &internal, propagate).await? else { break };
            let Some(first) = found.first() else { break };
            let mapped = quote_822_local(first, QuoteOptions::default()).into_owned();
            let is_itself = *casefold(&mapped) == *casefold(address);
            changed |= mapped != *address;
            *address = mapped;
            if is_itself {
                break;
            }
        }
        Ok(changed)
    }

    /// What a table says about an address (internal form).
    pub(crate) async fn lookup(
        &self,
        maps: &AddressMaps,
        address: &[u8],
        propagate: bool,
    ) -> Result<Option<Vec<Vec<u8>>>, Trouble> {
        self.rewriter.map_address(maps, address, propagate).await
    }

    /// `user@host.masqueraded.domain` becomes `user@masqueraded.domain`.
    async fn masquerade(&self, address: &mut Vec<u8>) -> Result<bool, Trouble> {
        let s = self.settings();
        let Some(at_sign) = address.rfind_byte(b'@') else { return Ok(false) };
        if !s.masquerade_exceptions.is_empty()
            && self.masquerade_exceptions.matches(&address[..at_sign]).await?
        {
            return Ok(false);
        }
        let domain = casefold(&address[at_sign + 1..]).to_vec();
        for entry in &s.masquerade_domains {
            let bare = entry.trim_start_with(|c| c == '!');
            let is_stripping = (entry.len() - bare.len()).is_multiple_of(2);
            let parent = casefold(bare).to_vec();
            if parent.is_empty() {
                continue;
            }
            if domain == parent {
                break;
            }
            let is_below = domain.strip_suffix(&parent[..]).is_some_and(|rest| rest.ends_with(b"."));
            if is_below {
                if is_stripping {
                    address.truncate(at_sign + 1);
                    address.extend_from_slice(&parent);
                }
                return Ok(is_stripping);
            }
        }
        Ok(false)
    }

    /// Expands virtual aliases, again and again, within limits.
    pub(crate) async fn expand(&self, recipient: &[u8]) -> Result<Vec<Vec<u8>>, ExpansionError> {
        let s = self.settings();
        let maps = &self.virtual_alias_maps;
        let title = maps.maps.title();
        let shown = recipient.as_bstr();
        let limit = |what: &str| {
            let text = format!("unreasonable {title} {what} -- message not accepted, try again later");
            ExpansionError::Limit(text)
        };
        let mut addresses = vec![recipient.to_vec()];
        let mut expanded_to_self: HashSet<Vec<u8>> = HashSet::new();
        let mut at = 0;
        while at < addresses.len() {
            if addresses.len() > s.virtual_alias_expansion_limit {
                return Err(limit(&format!("map expansion size for {shown}")));
            }
            let mut rounds = 0;
            while !expanded_to_self.contains(&*casefold(&addresses[at])) {
                if rounds >= s.virtual_alias_recursion_limit {
                    return Err(limit(&format!("map nesting for {shown}")));
                }
                rounds += 1;
                let found = self.lookup(maps, &addresses[at], s.propagate_virtual).await;
                let Some(found) = found.map_err(ExpansionError::Table)? else { break };
                let key = casefold(&addresses[at]).to_vec();
                for (n, result) in found.into_iter().enumerate() {
                    if result.len() > s.virtual_alias_address_length_limit {
                        let result = result.get(..300).unwrap_or(&result).as_bstr();
                        return Err(limit(&format!("result {result}...")));
                    }
                    if *casefold(&result) == key[..] {
                        expanded_to_self.insert(key.clone());
                    }
                    if n == 0 {
                        addresses[at] = result;
                    } else {
                        addresses.push(result);
                    }
                }
            }
            at += 1;
        }
        Ok(addresses)
    }
}
