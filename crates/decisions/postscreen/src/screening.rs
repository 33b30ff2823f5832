//! What the sessions of a service share.

use crate::{
    Expiry, Settings,
    access::AccessList,
    floor::Floor,
    footer::{Footer, LocalTime},
};
use config::{Invalid, Values, params as p};
use maillog::{Event, Logger, OldDefault};
use maps::{Maps, NameAddrList, StringList, parent_style};
use std::{cell::Cell, net::SocketAddr, rc::Rc};
use types::{Lookup, Trouble};
use wire::EhloKeywords;
use world::{Table, Tables};

/// Settings, tables, and how many clients there are.
pub struct Screening {
    /// The service's parameters.
    pub settings: Settings,
    pub(crate) access: AccessList,
    pub(crate) floor: Floor,
    pub(crate) footer: Footer,
    postscreen_allowlist_interfaces: NameAddrList,
    postscreen_forbidden_commands: StringList,
    postscreen_command_filter: Option<Rc<dyn Table>>,
    postscreen_dnsbl_reply_map: Option<Rc<dyn Table>>,
    discard_ehlo_keyword_address_maps: Maps,
    /// The old default is mentioned once.
    old_default_mentioned: Cell<bool>,
}

impl std::fmt::Debug for Screening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screening").field("floor", &self.floor).finish_non_exhaustive()
    }
}

impl Screening {
    /// Reads the settings and opens the tables; `local_time` shows a time as `Nov 21 20:15:00`.
    ///
    /// # Errors
    /// What Postfix stops at with `fatal:`.
    pub fn open(
        values: &Values,
        tables: &dyn Tables,
        local_time: impl Fn(types::WallTime) -> String + 'static,
    ) -> Result<Self, Invalid> {
        let local_time: LocalTime = Box::new(local_time);
        let address_list = |name: &str, list: &str| {
            let style = parent_style(values.text(p::parent_domain_matches_subdomains), name);
            NameAddrList::open(name, style, list, tables)
        };
        let table = |id| Some(values.text(id)).filter(|name| !name.is_empty()).map(|name| tables.open(name));
        let mynetworks = address_list("postscreen_access_list", values.text(p::mynetworks));
        Ok(Self {
            settings: Settings::load(values)?,
            access: AccessList::open(values.text(p::postscreen_access_list), mynetworks, tables),
            floor: Floor::default(),
            footer: Footer::open(values, tables, local_time),
            postscreen_allowlist_interfaces: address_list(
                "postscreen_allowlist_interfaces",
                values.text(p::postscreen_allowlist_interfaces),
            ),
            postscreen_forbidden_commands: StringList::open(
                "postscreen_forbidden_commands",
                values.text(p::postscreen_forbidden_commands),
                tables,
            ),
            postscreen_command_filter: table(p::postscreen_command_filter),
            postscreen_dnsbl_reply_map: table(p::postscreen_dnsbl_reply_map),
            discard_ehlo_keyword_address_maps: Maps::open(
                "postscreen_discard_ehlo_keyword_address_maps",
                values.text(p::postscreen_discard_ehlo_keyword_address_maps),
                tables,
            ),
            old_default_mentioned: Cell::new(false),
        })
    }

    /// How many connections there are, with those that wait for smtpd.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.floor.connections.get()
    }

    /// Whether an entry of the cache is kept: one of its results counts, or did not so long ago
    /// (postconf(5) `postscreen_cache_retention_time`). `now` is in seconds since 1970.
    #[must_use]
    pub fn keeps(&self, entry: &[u8], now: i64) -> bool {
        let since = now.saturating_sub(self.settings.postscreen_cache_retention_time);
        Expiry::parse(entry).todo(self.settings.enabled, since).is_empty()
    }

    /// A client can pass at this address of ours. Trouble is a no: a client that waits is better than one that should
    /// not have passed.
    pub(crate) async fn may_pass_at(&self, server: SocketAddr, log: &Logger) -> bool {
        let address = server.ip().to_string();
        match self.postscreen_allowlist_interfaces.matches_address(&address).await {
            Ok(may_pass) => may_pass,
            Err(trouble) => {
                log.warning(&format!("{trouble}; no client passes at {address}"));
                false
            }
        }
    }

    /// Whether a word is one of those that only spammers say. This is worth no trouble.
    pub(crate) async fn is_forbidden(&self, word: &[u8]) -> bool {
        self.postscreen_forbidden_commands.matches(word).await.unwrap_or(false)
    }

    /// What postscreen_command_filter makes of a command.
    pub(crate) async fn filtered(&self, command: &[u8]) -> Lookup {
        match &self.postscreen_command_filter {
            Some(table) => table.lookup(command).await,
            None => Lookup::Absent,
        }
    }

    /// The name of a DNS list as clients may see it.
    pub(crate) async fn public_name(&self, domain: &str) -> Result<String, Trouble> {
        let Some(table) = &self.postscreen_dnsbl_reply_map else { return Ok(domain.to_owned()) };
        let named = table.lookup(domain.as_bytes()).await.into_result()?;
        Ok(named.map_or_else(|| domain.to_owned(), |name| String::from_utf8_lossy(&name).into_owned()))
    }

    /// The keywords that a client does not see, and whether they are those of a table.
    pub(crate) async fn discarded(&self, client: &str) -> Result<(EhloKeywords, bool), Trouble> {
        let usual = self.settings.protocol.postscreen_discard_ehlo_keywords;
        let found = self.discard_ehlo_keyword_address_maps.find(client.as_bytes()).await.into_result()?;
        let own = found.map(|list| EhloKeywords::parse(&String::from_utf8_lossy(&list)).0);
        Ok(own.filter(|own| *own != usual).map_or((usual, false), |own| (own, true)))
    }

    pub(crate) fn mention_old_default(&self, client: SocketAddr, log: &Logger) {
        if self.settings.has_old_respectful_logging && !self.old_default_mentioned.replace(true) {
            log.event(&Event::OldDefault(OldDefault::RespectfulLogging(client)));
        }
    }
}
