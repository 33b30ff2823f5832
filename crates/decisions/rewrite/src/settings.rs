//! What of main.cf address rewriting depends on.

use config::{Invalid, Values, params as p};
use maps::ExtensionRules;
use std::net::IpAddr;

/// The parameters of trivial-rewrite(8), by their names.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "one field for each parameter")]
#[allow(missing_docs, reason = "each field is documented in postconf(5) under its name")]
pub struct RewriteSettings {
    pub myhostname: String,
    pub mydomain: String,
    pub myorigin: String,
    pub remote_header_rewrite_domain: String,
    pub mydestination: String,
    /// The addresses of `inet_interfaces` and `proxy_interfaces`.
    pub own_addresses: Vec<IpAddr>,
    pub append_at_myorigin: bool,
    pub append_dot_mydomain: bool,
    /// It is the default of old versions.
    pub is_append_dot_mydomain_old: bool,
    pub swap_bangpath: bool,
    pub allow_percent_hack: bool,
    pub resolve_dequoted_address: bool,
    pub resolve_null_domain: bool,
    pub resolve_numeric_domain: bool,
    pub allow_min_user: bool,
    pub smtputf8_enable: bool,
    pub show_user_unknown_table_name: bool,
    pub relocated_prefix_enable: bool,
    pub empty_address_recipient: String,
    pub empty_address_relayhost_maps_lookup_key: String,
    pub empty_address_default_transport_maps_lookup_key: String,
    pub virtual_alias_domains: String,
    pub virtual_mailbox_domains: String,
    pub relay_domains: String,
    pub parent_domain_matches_subdomains: String,
    pub relayhost: String,
    pub default_transport: String,
    pub local_transport: String,
    pub virtual_transport: String,
    pub relay_transport: String,
    pub transport_maps: String,
    pub relocated_maps: String,
    pub sender_dependent_relayhost_maps: String,
    pub sender_dependent_default_transport_maps: String,
    pub extensions: ExtensionRules,
}

impl RewriteSettings {
    /// Reads the parameters. A transport that is empty is an error, as nothing could be delivered.
    pub fn load(values: &Values) -> Result<Self, Invalid> {
        let text = |id| values.text(id).to_owned();
        let settings = Self {
            myhostname: text(p::myhostname),
            mydomain: text(p::mydomain),
            myorigin: text(p::myorigin),
            remote_header_rewrite_domain: text(p::remote_header_rewrite_domain),
            mydestination: text(p::mydestination),
            own_addresses: own_addresses(values),
            append_at_myorigin: values.bool(p::append_at_myorigin),
            append_dot_mydomain: values.bool(p::append_dot_mydomain),
            is_append_dot_mydomain_old: values.has_old_default(p::append_dot_mydomain),
            swap_bangpath: values.bool(p::swap_bangpath),
            allow_percent_hack: values.bool(p::allow_percent_hack),
            resolve_dequoted_address: values.bool(p::resolve_dequoted_address),
            resolve_null_domain: values.bool(p::resolve_null_domain),
            resolve_numeric_domain: values.bool(p::resolve_numeric_domain),
            allow_min_user: values.bool(p::allow_min_user),
            smtputf8_enable: values.bool(p::smtputf8_enable),
            show_user_unknown_table_name: values.bool(p::show_user_unknown_table_name),
            relocated_prefix_enable: values.bool(p::relocated_prefix_enable),
            empty_address_recipient: text(p::empty_address_recipient),
            empty_address_relayhost_maps_lookup_key: text(p::empty_address_relayhost_maps_lookup_key),
            empty_address_default_transport_maps_lookup_key: text(
                p::empty_address_default_transport_maps_lookup_key,
            ),
            virtual_alias_domains: text(p::virtual_alias_domains),
            virtual_mailbox_domains: text(p::virtual_mailbox_domains),
            relay_domains: text(p::relay_domains),
            parent_domain_matches_subdomains: text(p::parent_domain_matches_subdomains),
            relayhost: text(p::relayhost),
            default_transport: text(p::default_transport),
            local_transport: text(p::local_transport),
            virtual_transport: text(p::virtual_transport),
            relay_transport: text(p::relay_transport),
            transport_maps: text(p::transport_maps),
            relocated_maps: text(p::relocated_maps),
            sender_dependent_relayhost_maps: text(p::sender_dependent_relayhost_maps),
            sender_dependent_default_transport_maps: text(p::sender_dependent_default_transport_maps),
            extensions: ExtensionRules {
                recipient_delimiter: text(p::recipient_delimiter).into_bytes().into(),
                owner_request_special: values.bool(p::owner_request_special),
                double_bounce_sender: text(p::double_bounce_sender).into_bytes().into(),
            },
        };
        Ok(settings)
    }
}

impl RewriteSettings {
    /// The same for probes of verify(8), which may go another way than mail (postconf(5) `address_verify_relayhost` and
    /// its kin).
    pub fn load_for_probes(values: &Values) -> Result<Self, Invalid> {
        let text = |id| values.text(id).to_owned();
        Ok(Self {
            relayhost: text(p::address_verify_relayhost),
            default_transport: text(p::address_verify_default_transport),
            local_transport: text(p::address_verify_local_transport),
            virtual_transport: text(p::address_verify_virtual_transport),
            relay_transport: text(p::address_verify_relay_transport),
            transport_maps: text(p::address_verify_transport_maps),
            sender_dependent_relayhost_maps: text(p::address_verify_sender_dependent_relayhost_maps),
            sender_dependent_default_transport_maps: text(
                p::address_verify_sender_dependent_default_transport_maps,
            ),
            ..Self::load(values)?
        })
    }

    /// Whether `localhost` is in an address class; a list with a table may know it.
    pub(crate) fn names_localhost(&self) -> bool {
        let lists = [
            &self.mydestination,
            &self.virtual_alias_domains,
            &self.virtual_mailbox_domains,
            &self.relay_domains,
        ];
        let knows = |word: &str| word.eq_ignore_ascii_case("localhost") || word.contains([':', '/']);
        lists.iter().any(|list| config::split_list(list).into_iter().any(knows))
    }
}

/// The addresses at which this machine gets mail: those of `inet_interfaces`, and `proxy_interfaces`.
#[must_use]
pub fn own_addresses(values: &Values) -> Vec<IpAddr> {
    let own = values.own_interfaces().into_iter().map(|interface| interface.address);
    own.chain(values.proxy_addresses()).collect()
}
