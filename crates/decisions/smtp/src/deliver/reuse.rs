//! Connections that are open already (postconf(5) `smtp_connection_cache_*`, `smtp_connection_reuse_*`).
//!
//! A connection is kept under its address and port, and the first good one of a delivery also under the next hop: a
//! next hop whose best hosts do not answer is then not tried from the start each time.

use super::{Delivery, Site, converse};
use crate::{
    Content, Destination, Host,
    cache::{Connection, Wanted},
};
use types::SendOptions;
use world::World;

/// What one delivery makes of open connections.
#[derive(Debug, Default)]
pub(super) struct Reuse {
    /// Open connections are used, and good ones kept.
    is_on: bool,
    /// The next hop that the first good connection is kept for.
    destination: Option<String>,
    /// Addresses of connections that were used again: they are not tried once more.
    visited: Vec<String>,
}

/// Where open connections are looked for.
#[derive(Clone, Copy)]
pub(super) struct Candidates<'a> {
    pub(super) site: &'a Site<'a>,
    /// The preference of the best hosts.
    pub(super) best: Option<u16>,
    /// No other destination will be tried.
    pub(super) is_last: bool,
}

impl<W: World, C: Content> Delivery<'_, W, C> {
    /// Whether connections to the first next hop are reused: always if it is listed, on demand if deliveries to it
    /// follow each other closely.
    pub(super) async fn decide_reuse(&mut self, name: &str, destination: &str) {
        let client = self.client;
        let is_listed = match &client.tables.connection_cache_destinations {
            None => false,
            Some(list) => list.matches(name.as_bytes()).await.unwrap_or_else(|trouble| {
                self.logger.warning(&trouble.to_string());
                false
            }),
        };
        let now = client.world.now();
        let is_busy = || client.cache.is_busy(now, &self.request.nexthop.to_string());
        self.reuse.is_on = is_listed || (client.settings.cache.on_demand && is_busy());
        self.reuse.destination = self.reuse.is_on.then(|| destination.to_owned());
    }

    /// Whether connections stay open after a transaction.
    pub(super) fn keeps_open(&self) -> bool {
        self.reuse.is_on
    }

    /// Uses what is open for the next hop, then what is open to its best hosts. Returns how many sessions that were, and
    /// takes their addresses out of `hosts`; all of them if no more may be tried.
    pub(super) async fn reuse_open(&mut self, from: Candidates<'_>, hosts: &mut Vec<&Host>) -> usize {
        if !self.reuse.is_on {
            return 0;
        }
        hosts.retain(|host| !self.reuse.visited.contains(&host.address.to_string()));
        let mut sessions = 0;
        while !hosts.is_empty() && !self.ledger.left().is_empty() {
            let Some(connection) = self.open_for_destination() else { break };
            let address = connection.session.peer().address.clone();
            let left = self.without(hosts, &address, sessions + 1);
            self.ledger.is_last_server = from.is_last && left.is_empty();
            if self.reuse(connection).await {
                sessions += 1;
                *hosts = left;
                break;
            }
        }
        let mut next = 0;
        while let Some(&host) = hosts.get(next).filter(|host| Some(host.preference) == from.best) {
            if self.ledger.left().is_empty() {
                break;
            }
            let Some(connection) = self.open_to(from.site.destination, host) else {
                next += 1;
                continue;
            };
            let left = self.without(hosts, &host.address.to_string(), sessions + 1);
            self.ledger.is_last_server = from.is_last && left.is_empty();
            if self.reuse(connection).await {
                sessions += 1;
                *hosts = left;
            }
        }
        sessions
    }

    /// The hosts that may still be tried after so many sessions, without one of them.
    fn without<'a>(&self, hosts: &[&'a Host], address: &str, sessions: usize) -> Vec<&'a Host> {
        let limits = &self.client.settings.addresses;
        if sessions == limits.mx_session_limit || sessions == limits.mx_address_limit {
            return Vec::new();
        }
        hosts.iter().filter(|host| host.address.to_string() != address).copied().collect()
    }

    /// An open connection that was made for the next hop.
    pub(super) fn open_for_destination(&self) -> Option<Connection<W::Stream>> {
        let destination = self.reuse.destination.as_deref()?;
        self.take_open(Wanted::Destination(destination))
    }

    /// An open connection to a host.
    pub(super) fn open_to(&self, destination: &Destination, host: &Host) -> Option<Connection<W::Stream>> {
        if !self.reuse.is_on {
            return None;
        }
        let mut connection = self.take_open(Wanted::Endpoint(&host.address.to_string(), destination.port))?;
        connection.session.rename_peer(&host.name);
        Some(connection)
    }

    fn take_open(&self, wanted: Wanted<'_>) -> Option<Connection<W::Stream>> {
        let now = self.client.world.now();
        loop {
            let mut connection = self.client.cache.take(now, wanted, self.needs_smtputf8())?;
            if converse::is_alive::<W>(&mut connection) && connection.session.is_reusable(now) {
                return Some(connection);
            }
        }
    }

    /// Whether the message can only go where UTF-8 is taken in addresses and headers (RFC 6531).
    pub(super) fn needs_smtputf8(&self) -> bool {
        let options = self.request.message.send_options;
        let derived =
            SendOptions::SMTPUTF8_HEADER | SendOptions::SMTPUTF8_SENDER | SendOptions::SMTPUTF8_RECIPIENT;
        options.has(SendOptions::SMTPUTF8_REQUESTED) && options.has(derived)
    }

    /// Uses an open connection; false when the server did not take so much as MAIL any more, as if there had been none.
    pub(super) async fn reuse(&mut self, mut connection: Connection<W::Stream>) -> bool {
        self.connected = None;
        let address = connection.session.peer().address.clone();
        let is_good = self.transact_again(&mut connection).await;
        if is_good {
            self.reuse.visited.push(address);
            self.finish(connection).await;
        }
        is_good
    }

    /// Keeps the connection for the next message, or ends it.
    pub(super) async fn finish(&mut self, mut connection: Connection<W::Stream>) {
        let client = self.client;
        let now = client.world.now();
        client.cache.note_done(now, &self.request.nexthop.to_string());
        // Those after the first good one are to less preferred hosts.
        let destination = if connection.session.is_dead() { None } else { self.reuse.destination.take() };
        let is_whole = connection.partial.is_empty();
        let is_kept = connection.session.is_reusable(now) && is_whole && self.reuse.is_on;
        if !is_kept && connection.session.is_idle() {
            let farewell = connection.session.quit();
            self.converse(&mut connection, farewell).await;
        }
        self.tell_postmaster(&mut connection);
        let expires = now + client.settings.cache.time_limit;
        if is_kept && client.cache.store(connection, destination, expires) {
            client.world.spawn(converse::reap(client.world.clone(), client.cache.clone()));
        }
    }

    /// Tells the postmaster of what went wrong with the server; but nobody is told of trouble with telling somebody.
    fn tell_postmaster(&self, connection: &mut Connection<W::Stream>) {
        let (sender, own) = (&self.request.message.sender, &self.client.settings.double_bounce_sender);
        let is_notice = sender.is_null() || sender.as_bytes() == own.as_bytes();
        if let Some(notice) = connection.session.take_notice().filter(|_| !is_notice) {
            (self.client.postmaster)(notice);
        }
    }
}
