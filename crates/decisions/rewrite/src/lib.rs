//! trivial-rewrite: the canonical spelling of an address, and where a recipient goes.
//!
//! [`Rewriter::rewrite_external`] completes an address (`@origin`, `.domain`) and takes routing apart;
//! [`Rewriter::resolve`] finds the address class, the transport and the next hop, from the domain lists, then
//! `transport_maps`, then `relocated_maps`. [`Rewriter::map_address`] sends one through a table of addresses. The rules are those of trivial-rewrite(8) and of postconf(5).
//!
//! It never decides whether mail is accepted: that is `smtpd`, which asks for the class and for
//! [`types::Resolved::is_routed`].
//!
//! Diagnostics: nothing here logs. A list or table that cannot be asked is [`types::Lookup::TryAgain`] with a
//! text for the log; a malformed address is [`types::Resolved::is_error`].

mod hostname;
mod mapping;
mod resolve;
mod settings;
mod spelling;
mod transport;

pub use hostname::{is_hostname, is_mailhost_literal};
pub use settings::{RewriteSettings, own_addresses};
pub use spelling::Context;

use maillog::Logger;
use maps::{AddressMaps, DomainList, ExtensionRules, LocalDomains, Locality, Maps, StringList, parent_style};
use std::rc::Rc;
use types::{AddressClass, Lookup, Trouble};
use world::{Caution, Tables};

/// Rewrites and resolves, by one configuration. Opened once, then shared.
pub struct Rewriter {
    settings: RewriteSettings,
    local: Rc<LocalDomains>,
    virtual_alias_domains: StringList,
    virtual_mailbox_domains: StringList,
    relay_domains: DomainList,
    transport_maps: AddressMaps,
    relocated_maps: AddressMaps,
    sender_dependent_relayhost_maps: AddressMaps,
    sender_dependent_default_transport_maps: AddressMaps,
    /// Where to say that an old default was used.
    log: Option<Logger>,
}

impl Rewriter {
    /// Opens the lists and tables.
    #[must_use]
    pub fn new(settings: RewriteSettings, tables: &dyn Tables) -> Self {
        let s = &settings;
        let local = Rc::new(LocalDomains::new(&s.mydestination, s.own_addresses.clone().into(), tables));
        let locality: Rc<dyn Locality> = Rc::clone(&local) as Rc<dyn Locality>;
        let extensions = Rc::new(s.extensions.clone());
        let myorigin: Rc<[u8]> = s.myorigin.as_bytes().into();
        let open = |title: &str, list: &str, caution| AddressMaps {
            maps: Maps::open_with(title, list, tables, caution),
            extensions: Rc::clone(&extensions),
            myorigin: Rc::clone(&myorigin),
            local: Rc::clone(&locality),
        };
        let style = parent_style(&s.parent_domain_matches_subdomains, "relay_domains");
        Self {
            virtual_alias_domains: StringList::open(
                "virtual_alias_domains",
                &s.virtual_alias_domains,
                tables,
            ),
            virtual_mailbox_domains: StringList::open(
                "virtual_mailbox_domains",
                &s.virtual_mailbox_domains,
                tables,
            ),
            relay_domains: DomainList::open("relay_domains", style, &s.relay_domains, tables),
            transport_maps: open("transport_maps", &s.transport_maps, Caution::NoSubstitution),
            relocated_maps: open("relocated_maps", &s.relocated_maps, Caution::None),
            sender_dependent_relayhost_maps: open(
                "sender_dependent_relayhost_maps",
                &s.sender_dependent_relayhost_maps,
                Caution::NoSubstitution,
            ),
            sender_dependent_default_transport_maps: open(
                "sender_dependent_default_transport_maps",
                &s.sender_dependent_default_transport_maps,
                Caution::NoSubstitution,
            ),
            local,
            settings,
            log: None,
        }
    }

    /// With a log, for what rests on defaults that a low `compatibility_level` keeps.
    #[must_use]
    pub fn with_log(self, log: Logger) -> Self {
        Self { log: Some(log), ..self }
    }

    /// What it was made of.
    #[must_use]
    pub fn settings(&self) -> &RewriteSettings {
        &self.settings
    }

    /// Which domains are this machine: `mydestination`, `inet_interfaces`, `proxy_interfaces`.
    #[must_use]
    pub fn locality(&self) -> Rc<dyn Locality> {
        Rc::clone(&self.local) as Rc<dyn Locality>
    }

    /// Opens a list of tables whose keys are addresses, with this configuration's extension rules and local
    /// domains.
    #[must_use]
    pub fn address_maps(&self, title: &str, list: &str, tables: &dyn Tables) -> AddressMaps {
        AddressMaps { maps: Maps::open(title, list, tables), ..self.transport_maps.clone() }
    }

    /// How `user+extension` is split here.
    #[must_use]
    pub fn extensions(&self) -> &Rc<ExtensionRules> {
        &self.transport_maps.extensions
    }

    /// Who is responsible for a domain (ADDRESS_CLASS_README). Never [`Lookup::Absent`].
    pub async fn class_of(&self, domain: &[u8]) -> Lookup<AddressClass> {
        match self.find_class(domain).await {
            Ok(class) => Lookup::Found(class),
            Err(trouble) => Lookup::TryAgain(trouble),
        }
    }

    async fn find_class(&self, domain: &[u8]) -> Result<AddressClass, Trouble> {
        if self.local.matches(domain).await? {
            return Ok(AddressClass::Local);
        }
        self.remote_class(domain).await
    }

    /// The class of a domain that is not local.
    async fn remote_class(&self, domain: &[u8]) -> Result<AddressClass, Trouble> {
        Ok(if self.virtual_alias_domains.matches(domain).await? {
            AddressClass::VirtualAlias
        } else if self.virtual_mailbox_domains.matches(domain).await? {
            AddressClass::VirtualMailbox
        } else if self.relay_domains.matches(domain).await? {
            AddressClass::Relay
        } else {
            AddressClass::Default
        })
    }
}

#[cfg(test)]
mod tests;
