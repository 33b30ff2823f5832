//! Whose sessions are logged line by line.

use crate::{NameAddrList, parent_style};
use world::Tables;

/// `debug_peer_list`, or everybody.
pub struct DebugPeers {
    is_everybody: bool,
    list: Option<NameAddrList>,
}

impl DebugPeers {
    /// Nobody's.
    #[must_use]
    pub const fn none() -> Self {
        Self { is_everybody: false, list: None }
    }

    /// `verbosity` is how often the service's row of master.cf says `-v`, `level` is `debug_peer_level`.
    #[must_use]
    pub fn open(
        verbosity: u32,
        level: i64,
        (debug_peer_list, parent_domain_matches_subdomains): (&str, &str),
        tables: &dyn Tables,
    ) -> Self {
        let style = parent_style(parent_domain_matches_subdomains, "debug_peer_list");
        let open = || NameAddrList::open("debug_peer_list", style, debug_peer_list, tables);
        Self { is_everybody: verbosity > 0, list: (level > 0 && !debug_peer_list.is_empty()).then(open) }
    }

    /// Whether anybody may be among them.
    #[must_use]
    pub const fn are_any(&self) -> bool {
        self.is_everybody || self.list.is_some()
    }

    /// Whether a peer is among them. A list that cannot be asked names nobody, as mail does not depend on it, and
    /// `warn` gets to know why.
    pub async fn has(&self, name: &[u8], address: &str, warn: impl FnOnce(&str)) -> bool {
        match &self.list {
            _ if self.is_everybody => true,
            None => false,
            Some(list) => list.matches(name, address).await.unwrap_or_else(|trouble| {
                warn(&trouble.to_string());
                false
            }),
        }
    }
}
