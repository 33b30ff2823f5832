//! The tables and match lists that one service asks.

use crate::{Protocol, generic::GenericMaps, reply_filter::ReplyFilter};
use config::{Invalid, Values, params as p};
use maps::{DebugPeers, Maps, StringList};
use world::Tables;

/// Opened once, when the service starts. The default has none.
pub struct SmtpTables {
    /// `smtp_connection_cache_destinations`
    pub(crate) connection_cache_destinations: Option<StringList>,
    /// `smtp_discard_ehlo_keyword_address_maps`
    pub(crate) discard_ehlo_keyword_address_maps: Maps,
    /// `smtp_pix_workaround_maps`
    pub(crate) pix_workaround_maps: Maps,
    /// `smtp_generic_maps`
    pub(crate) generic_maps: Option<GenericMaps>,
    /// `smtp_dns_reply_filter`
    pub(crate) dns_reply_filter: Maps,
    /// `smtp_reply_filter`
    pub(crate) reply_filter: Option<ReplyFilter>,
    /// Whose sessions are logged line by line.
    pub(crate) debug_peers: DebugPeers,
}

impl Default for SmtpTables {
    fn default() -> Self {
        Self {
            connection_cache_destinations: None,
            discard_ehlo_keyword_address_maps: Maps::none(""),
            pix_workaround_maps: Maps::none(""),
            generic_maps: None,
            dns_reply_filter: Maps::none(""),
            reply_filter: None,
            debug_peers: DebugPeers::none(),
        }
    }
}

impl SmtpTables {
    /// Opens what the parameters of a row of master.cf name.
    pub fn open(values: &Values, protocol: Protocol, tables: &dyn Tables) -> Result<Self, Invalid> {
        let by_protocol = |smtp, lmtp| match protocol {
            Protocol::Smtp => smtp,
            Protocol::Lmtp => lmtp,
        };
        let list = |id: p::Id| {
            let text = values.text(id);
            (!text.is_empty()).then(|| StringList::open(id.name(), text, tables))
        };
        let maps = |smtp: p::Id, lmtp: p::Id| {
            let id = by_protocol(smtp, lmtp);
            Maps::open(id.name(), values.text(id), tables)
        };
        Ok(Self {
            connection_cache_destinations: list(by_protocol(
                p::smtp_connection_cache_destinations,
                p::lmtp_connection_cache_destinations,
            )),
            discard_ehlo_keyword_address_maps: maps(
                p::smtp_discard_ehlo_keyword_address_maps,
                p::lmtp_discard_lhlo_keyword_address_maps,
            ),
            pix_workaround_maps: maps(p::smtp_pix_workaround_maps, p::lmtp_pix_workaround_maps),
            generic_maps: GenericMaps::open(
                values,
                by_protocol(p::smtp_generic_maps, p::lmtp_generic_maps),
                tables,
            )?,
            dns_reply_filter: maps(p::smtp_dns_reply_filter, p::lmtp_dns_reply_filter),
            reply_filter: ReplyFilter::open(
                values.text(by_protocol(p::smtp_reply_filter, p::lmtp_reply_filter)),
                tables,
            ),
            debug_peers: DebugPeers::open(
                values.verbosity(),
                values.int(p::debug_peer_level),
                (values.text(p::debug_peer_list), values.text(p::parent_domain_matches_subdomains)),
                tables,
            ),
        })
    }
}
