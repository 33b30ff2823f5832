//! Where a decision rests on a default that a low `compatibility_level` keeps, the log says so.

use super::{Judge, Question, Resolve};
use crate::{Restriction, Rules};
use config::{Values, params as p};
use maillog::{Event, OldDefault};
use maps::{NameAddrList, parent_style};
use std::rc::Rc;
use types::Address;
use world::Tables;

/// The old defaults in force.
pub(super) struct OldDefaults {
    /// The style, and the networks that the new default would give.
    mynetworks: Option<(String, NameAddrList)>,
    relay_domains: bool,
    /// What the new default would have permitted.
    pub(super) smtpd_relay_restrictions: Option<Rc<Rules>>,
    smtpd_relay_before_recipient_restrictions: bool,
    smtputf8_enable: bool,
}

impl OldDefaults {
    pub(super) fn of(values: &Values, tables: &dyn Tables) -> Self {
        let is_old = |id| values.has_old_default(id);
        let is_mynetworks_old = is_old(p::mynetworks_style) && !values.is_set(p::mynetworks);
        let mynetworks = is_mynetworks_old.then(|| {
            let parents = values.text(p::parent_domain_matches_subdomains);
            let new = values.with(&[("mynetworks_style", "host")]);
            let style = parent_style(parents, "mynetworks");
            let networks = NameAddrList::open("mynetworks", style, new.text(p::mynetworks), tables);
            (values.text(p::mynetworks_style).to_owned(), networks)
        });
        let permitted = [
            Restriction::PermitMynetworks,
            Restriction::PermitSaslAuthenticated,
            Restriction::PermitAuthDestination,
        ];
        Self {
            mynetworks,
            relay_domains: is_old(p::relay_domains),
            smtpd_relay_restrictions: is_old(p::smtpd_relay_restrictions).then(|| Rc::from(permitted)),
            smtpd_relay_before_recipient_restrictions: is_old(p::smtpd_relay_before_recipient_restrictions),
            smtputf8_enable: is_old(p::smtputf8_enable),
        }
    }
}

/// What stands behind an answer, told by whom it is about.
impl<R: Resolve> Judge<R> {
    /// mynetworks has the client.
    pub(super) async fn note_mynetworks(&self, question: &Question<'_>) {
        let Some((style, networks)) = &self.old_defaults.mynetworks else { return };
        let client = &question.peer.client;
        if networks.matches(client.name.as_bytes(), &client.address).await == Ok(false) {
            question.log.event(&Event::OldDefault(OldDefault::MynetworksStyle(style, client)));
        }
    }

    /// An address of relay_domains is none of a stranger.
    pub(super) fn note_relay_domain(&self, question: &Question<'_>, address: &Address) {
        if let Some(domain) = address.domain().filter(|_| self.old_defaults.relay_domains) {
            question.log.event(&Event::OldDefault(OldDefault::RelayDomain(domain)));
        }
    }

    /// An address of relay_domains is taken unseen.
    pub(super) fn note_relay_address(&self, question: &Question<'_>, address: &Address) {
        if self.old_defaults.relay_domains {
            question.log.event(&Event::OldDefault(OldDefault::RelayAddress(address)));
        }
    }

    /// No rule of the new smtpd_relay_restrictions permitted the recipient.
    pub(super) fn note_relay_restrictions(&self, question: &Question<'_>, recipient: &Address) {
        let client = &question.peer.client;
        question.log.event(&Event::OldDefault(OldDefault::RelayRestrictions(recipient, client)));
    }

    /// The first of both lists refused the recipient.
    pub(super) fn note_refused_first(&self, question: &Question<'_>, recipient: &Address) {
        if self.old_defaults.smtpd_relay_before_recipient_restrictions {
            let client = &question.peer.client;
            question.log.event(&Event::OldDefault(OldDefault::RelayBeforeRecipient(recipient, client)));
        }
    }

    /// An address is taken as it is.
    pub(super) fn note_smtputf8(&self, question: &Question<'_>, which: &str, address: &Address) {
        if self.old_defaults.smtputf8_enable && !address.as_bytes().is_ascii() {
            let client = &question.peer.client;
            question.log.event(&Event::OldDefault(OldDefault::Smtputf8(which, address, client)));
        }
    }
}
