//! The tables and match lists that one service asks.

use crate::Protocol;
use config::{Values, params as p};
use maps::StringList;
use world::Tables;

/// Opened once, when the service starts. The default has none.
#[derive(Default)]
pub struct SmtpTables {
    /// `smtp_connection_cache_destinations`
    pub(crate) connection_cache_destinations: Option<StringList>,
}

impl SmtpTables {
    /// Opens what the parameters of a row of master.cf name.
    #[must_use]
    pub fn open(values: &Values, protocol: Protocol, tables: &dyn Tables) -> Self {
        let by_protocol = |smtp, lmtp| match protocol {
            Protocol::Smtp => smtp,
            Protocol::Lmtp => lmtp,
        };
        let list = |id: p::Id| {
            let text = values.text(id);
            (!text.is_empty()).then(|| StringList::open(id.name(), text, tables))
        };
        Self {
            connection_cache_destinations: list(by_protocol(
                p::smtp_connection_cache_destinations,
                p::lmtp_connection_cache_destinations,
            )),
        }
    }
}
