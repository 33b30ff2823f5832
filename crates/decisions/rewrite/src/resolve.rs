//! From a recipient to its class, transport and next hop.

use crate::{
    Rewriter,
    hostname::{is_address, is_hostname, is_mailhost_literal},
    spelling::{Context, find, internal, is_empty_quoted, rfind, strip_trailing_dot},
    transport::Route,
};
use bstr::ByteSlice;
use maps::{AddressMaps, Strategy};
use message::{
    QuoteOptions, quote_822_local,
    tok822::{Token, scan},
};
use types::{Address, AddressClass, Lookup, Nexthop, Resolved, Transport, Trouble};

/// A recipient whose own domains are stripped, and whether its domain is ours.
struct Destination {
    recipient: Vec<u8>,
    is_local: bool,
}

impl Rewriter {
    /// Resolves a recipient (internal form) of mail from `sender`. Never [`Lookup::Absent`]; trouble of a list
    /// or table is [`Lookup::TryAgain`].
    pub async fn resolve(&self, sender: &Address, recipient: &Address) -> Lookup<Resolved> {
        match self.resolve_bytes(sender.as_bytes(), recipient.as_bytes()).await {
            Ok(resolved) => Lookup::Found(resolved),
            Err(trouble) => Lookup::TryAgain(trouble),
        }
    }

    async fn resolve_bytes(&self, sender: &[u8], recipient: &[u8]) -> Result<Resolved, Trouble> {
        let mut to = self.destination(recipient).await?;
        if !self.check_domain(&mut to).await? {
            return Ok(malformed(to.recipient));
        }
        let domain = domain_of(&to.recipient).to_vec();
        let first_operator = to.recipient.find_byteset(b"@!%").unwrap_or(0);
        let is_routed = to.recipient.get(first_operator + 1..) != Some(&domain[..]);
        let class = if to.is_local { AddressClass::Local } else { self.remote_class(&domain).await? };
        let mut route = self.route(class, sender, &domain).await?;
        if class != AddressClass::VirtualAlias
            && let Some(entry) = self.transport_entry(&to.recipient).await?
        {
            route.apply(&entry, &domain);
        }
        if let Some(reply) = self.relocated(&to.recipient).await? {
            route = Route { transport: b"error".to_vec(), nexthop: reply };
        }
        Ok(Resolved {
            // A command line would take it for an option.
            is_error: !self.settings.allow_min_user && to.recipient.starts_with(b"-"),
            transport: Transport::new(route.transport.to_str_lossy()),
            nexthop: Nexthop::new(route.nexthop),
            recipient: Address::new(to.recipient),
            class,
            is_routed,
        })
    }

    /// Strips our own domains off the address, one after the other, until a foreign or no domain is left.
    async fn destination(&self, recipient: &[u8]) -> Result<Destination, Trouble> {
        let s = &self.settings;
        let quoted = quote_822_local(recipient, QuoteOptions::default()).into_owned();
        let mut tokens: Vec<Token<'_>> = scan(&quoted);
        let mut own_domain: Option<Vec<Token<'_>>> = None;
        let rounds_max = recipient.len() + 100;
        for _ in 0..=rounds_max {
            if find(&tokens, b'@').is_some() {
                strip_trailing_dot(&mut tokens);
            }
            if s.resolve_null_domain && tokens.last().is_some_and(|token| token.is_op(b'@')) {
                tokens.pop();
            }
            if let Some(at_sign) = rfind(&tokens, b'@') {
                let domain = internal(tokens[at_sign + 1..].to_vec());
                if at_sign + 1 < tokens.len() && !self.local.matches(&domain).await? {
                    return Ok(Destination { recipient: internal(tokens), is_local: false });
                }
                own_domain = Some(tokens.split_off(at_sign));
            }
            if self.has_route(&tokens) {
                self.rewrite_tokens(Context::Local, &mut tokens);
                continue;
            }
            if let Some(cracked) = self.crack_quoted(&tokens) {
                tokens = scan(&cracked).into_iter().map(Token::into_owned).collect();
                self.rewrite_tokens(Context::Local, &mut tokens);
                continue;
            }
            if tokens.is_empty() || is_empty_quoted(&tokens) {
                tokens = scan(s.empty_address_recipient.as_bytes());
                continue;
            }
            let Some(own_domain) = own_domain else {
                tokens.push(Token::Op(b'@'));
                tokens.extend(scan(s.myhostname.as_bytes()));
                continue;
            };
            tokens.extend(own_domain);
            return Ok(Destination { recipient: internal(tokens), is_local: true });
        }
        Err(Trouble::new(format!(
            "resolve_addr: <{}>: giving up after {rounds_max} iterations",
            recipient.as_bstr()
        )))
    }

    /// Whether what is left asks for more routing.
    fn has_route(&self, tokens: &[Token<'_>]) -> bool {
        find(tokens, b'@').is_some()
            || (self.settings.swap_bangpath && find(tokens, b'!').is_some())
            || (self.settings.allow_percent_hack && find(tokens, b'%').is_some())
    }

    /// Opens a quoted local part with routing operators in it: other mailers do, and would relay.
    fn crack_quoted(&self, tokens: &[Token<'_>]) -> Option<Vec<u8>> {
        let s = &self.settings;
        let [Token::Quoted(text)] = tokens else { return None };
        if !s.resolve_dequoted_address {
            return None;
        }
        let mut text = text.to_vec();
        if !text.contains(&b'@') {
            match text.rfind_byte(b'%') {
                Some(percent) if s.allow_percent_hack => text[percent] = b'@',
                _ if s.swap_bangpath && text.contains(&b'!') => return Some(text),
                _ => return None,
            }
        }
        Some(quote_822_local(&text, QuoteOptions::default()).into_owned())
    }

    /// Whether the domain is fit to be one; a bare network address gets its brackets where
    /// `resolve_numeric_domain` says so.
    async fn check_domain(&self, to: &mut Destination) -> Result<bool, Trouble> {
        let s = &self.settings;
        let domain = domain_of(&to.recipient);
        if domain.starts_with(b"[") {
            return Ok(is_mailhost_literal(domain));
        }
        if s.smtputf8_enable && to.recipient.to_str().is_err() {
            return Ok(false);
        }
        if is_hostname(domain, s.smtputf8_enable) {
            return Ok(true);
        }
        if !s.resolve_numeric_domain || !is_address(domain) {
            return Ok(false);
        }
        let literal = [b"[", domain, b"]"].concat();
        to.recipient.truncate(to.recipient.len() - domain.len());
        to.recipient.extend_from_slice(&literal);
        to.is_local = to.is_local || self.local.matches(&literal).await?;
        Ok(true)
    }

    /// Transport and next hop by class, before any transport table.
    async fn route(&self, class: AddressClass, sender: &[u8], domain: &[u8]) -> Result<Route, Trouble> {
        let s = &self.settings;
        let (parameter, setting, nexthop) = match class {
            AddressClass::VirtualAlias => {
                let table = if s.show_user_unknown_table_name { " in virtual alias table" } else { "" };
                let nexthop = format!("5.1.1 User unknown{table}").into_bytes();
                return Ok(Route { transport: b"error".to_vec(), nexthop });
            }
            AddressClass::Local => {
                ("local_transport", s.local_transport.clone().into_bytes(), domain.to_vec())
            }
            AddressClass::VirtualMailbox => {
                ("virtual_transport", s.virtual_transport.clone().into_bytes(), domain.to_vec())
            }
            AddressClass::Relay => (
                "relay_transport",
                s.relay_transport.clone().into_bytes(),
                self.relayhost(sender, domain).await?,
            ),
            AddressClass::Default => {
                let default = self.default_transport(sender).await?;
                ("default_transport", default, self.relayhost(sender, domain).await?)
            }
        };
        let route = Route::from_setting(&setting, &nexthop);
        if route.transport.is_empty() {
            return Err(Trouble::new(format!("parameter {parameter}: null transport is not allowed")));
        }
        Ok(route)
    }

    async fn default_transport(&self, sender: &[u8]) -> Result<Vec<u8>, Trouble> {
        let s = &self.settings;
        let maps = &self.sender_dependent_default_transport_maps;
        let key = &s.empty_address_default_transport_maps_lookup_key;
        Ok(by_sender(maps, sender, key).await?.unwrap_or_else(|| s.default_transport.clone().into()))
    }

    async fn relayhost(&self, sender: &[u8], domain: &[u8]) -> Result<Vec<u8>, Trouble> {
        let s = &self.settings;
        let maps = &self.sender_dependent_relayhost_maps;
        let key = &s.empty_address_relayhost_maps_lookup_key;
        Ok(match by_sender(maps, sender, key).await? {
            Some(relayhost) => relayhost,
            None if !s.relayhost.is_empty() => s.relayhost.clone().into_bytes(),
            None => domain.to_vec(),
        })
    }

    /// The text of the bounce for a recipient that has moved (relocated(5)).
    async fn relocated(&self, recipient: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        let Some(hit) = self.relocated_maps.find(recipient, Strategy::DEFAULT).await.into_result()? else {
            return Ok(None);
        };
        if self.settings.relocated_prefix_enable {
            return Ok(Some([b"5.1.6 User has moved to ", &hit.value[..]].concat()));
        }
        let text = hit.value.to_str_lossy();
        Ok(Some(match types::Dsn::parse_prefix(&text) {
            Some((dsn, rest)) if !rest.trim().is_empty() => format!("{dsn} {}", rest.trim_start()).into(),
            _ => b"5.2.0 Mailbox is unavailable".to_vec(),
        }))
    }
}

/// A sender's entry; `DUNNO` means none.
async fn by_sender(maps: &AddressMaps, sender: &[u8], null: &str) -> Result<Option<Vec<u8>>, Trouble> {
    let key = if sender.is_empty() { null.as_bytes() } else { sender };
    let hit = maps.find(key, Strategy::DEFAULT).await.into_result()?;
    Ok(hit.map(|hit| hit.value).filter(|value| !value.eq_ignore_ascii_case(b"DUNNO")))
}

fn domain_of(address: &[u8]) -> &[u8] {
    address.rfind_byte(b'@').map_or(&address[..0], |at_sign| &address[at_sign + 1..])
}

/// Nothing can be delivered to such an address.
fn malformed(recipient: Vec<u8>) -> Resolved {
    Resolved {
        transport: Transport::new(""),
        nexthop: Nexthop::default(),
        recipient: Address::new(recipient),
        class: AddressClass::Default,
        is_routed: false,
        is_error: true,
    }
}
