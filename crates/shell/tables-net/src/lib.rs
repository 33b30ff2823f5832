//! Lookup tables behind a connection, by the protocols of their servers.
//!
//! ```text
//! tables::Registry ─▶ Remote (Opener) ─▶ one module for each type ─▶ Pool of connections ─▶ Server over World
//!                                                                      └─▶ Security, where there is TLS
//! ```
//!
//! Equal servers share their connections, whichever service asks. Nothing is connected before the first
//! look-up, so a server that is down delays nobody's start.
//!
//! Diagnostics: a server that cannot be reached, hangs, or answers nonsense is a warning that names the table, the
//! server and the error, and trouble for whoever asked: mail waits. Nothing is fatal.

mod client;
mod escapes;
#[cfg(feature = "ldap")]
mod ldap;
mod line;
mod memcache;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "pgsql")]
mod pgsql;
mod pool;
mod query;
mod redis;
#[cfg(any(feature = "ldap", feature = "mongodb", feature = "mysql", feature = "pgsql"))]
mod security;
mod server;
mod socketmap;
mod source_file;
mod sql;
mod sqlite;
mod tcp;
mod template;

use client::Client;
use config::{TcpPorts, Values, own, params as p};
use maillog::Logger;
pub use server::Server;
use source_file::MainSettings;
use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};
use tables::{OpenError, Opener, Openers, Slow};
use world::{Dns, Table, Tables, World};

/// Types that this crate can open, as it is built.
pub const SUPPORTED_TYPES: &[&str] = &[
    #[cfg(feature = "ldap")]
    "ldap",
    "memcache",
    #[cfg(feature = "mongodb")]
    "mongodb",
    #[cfg(feature = "mysql")]
    "mysql",
    #[cfg(feature = "pgsql")]
    "pgsql",
    "redis",
    "socketmap",
    "sqlite",
    "tcp",
];

/// What of main.cf matters here.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// `default_process_limit`: connections to one server. Postfix's processes have one each, so it never has more.
    connections_max: usize,
    /// `lookup_reply_size_limit`: the most that a server may answer to one query, in bytes.
    reply_max: usize,
    /// `socketmap_max_query_size`, bytes
    socketmap_max_query_size: usize,
    /// `socketmap_max_reply_size`, bytes
    socketmap_max_reply_size: usize,
}

impl Limits {
    fn load(values: &Values) -> Self {
        let number = |id| usize::try_from(values.int(id)).unwrap_or(usize::MAX);
        Self {
            connections_max: number(p::default_process_limit).max(1),
            reply_max: usize::try_from(values.own_number(&own::LOOKUP_REPLY_SIZE_LIMIT)).unwrap_or(0),
            socketmap_max_query_size: number(p::socketmap_max_query_size),
            socketmap_max_reply_size: number(p::socketmap_max_reply_size),
        }
    }
}

/// The types of this crate, opened over a world.
struct Remote<W: World> {
    world: W,
    hosts: Rc<dyn Dns>,
    limits: Limits,
    ports: TcpPorts,
    main: MainSettings,
    slow: Rc<dyn Slow>,
    logger: Logger,
    clients: RefCell<HashMap<String, Rc<Client<W>>>>,
}

impl<W: World> Remote<W> {
    /// The client of a server, shared by all tables that use it alike.
    fn client(&self, server: &str, timing: Timing) -> Result<Rc<Client<W>>, OpenError> {
        let key = format!("{server} {timing:?}");
        if let Some(client) = self.clients.borrow().get(&key) {
            return Ok(Rc::clone(client));
        }
        let parsed = Server::parse(server, &self.ports).map_err(OpenError::new)?;
        let client = Client::new(self.world.clone(), Rc::clone(&self.hosts), parsed, timing, self.limits);
        let client = Rc::new(client);
        self.clients.borrow_mut().insert(key, Rc::clone(&client));
        Ok(client)
    }
}

/// How long things may take at one kind of server.
#[derive(Clone, Copy, Debug)]
struct Timing {
    /// For a connection, and then for a request with its reply.
    time_limit: Duration,
    /// A connection that nobody used for this long is closed.
    idle_max: Duration,
    /// A connection is not used for longer than this.
    age_max: Duration,
}

impl<W: World> Opener for Remote<W> {
    fn open(
        &self,
        map_type: &str,
        name: &str,
        tables: &dyn Tables,
    ) -> Option<Result<Rc<dyn Table>, OpenError>> {
        match map_type {
            #[cfg(feature = "ldap")]
            "ldap" => Some(ldap::open(self, name, tables)),
            "memcache" => Some(memcache::open(self, name, tables)),
            #[cfg(feature = "mongodb")]
            "mongodb" => Some(mongodb::open(self, name, tables)),
            #[cfg(feature = "mysql")]
            "mysql" => Some(mysql::open(self, name, tables)),
            #[cfg(feature = "pgsql")]
            "pgsql" => Some(pgsql::open(self, name, tables)),
            "redis" => Some(redis::open(self, name, tables)),
            "socketmap" => Some(socketmap::open(self, name)),
            "sqlite" => Some(sqlite::open(self, name, tables)),
            "tcp" => Some(tcp::open(self, name)),
            _ => None,
        }
    }
}

/// The openers of a process, for all its services. Warnings go to `logger`; `hosts` knows the addresses of servers, and
/// `slow` does what may block.
pub fn openers<W: World>(
    world: &W,
    values: &Values,
    logger: Logger,
    hosts: Rc<dyn Dns>,
    slow: Rc<dyn Slow>,
) -> Openers {
    let remote: Rc<dyn Opener> = Rc::new(Remote {
        world: world.clone(),
        hosts,
        limits: Limits::load(values),
        ports: values.tcp_ports(),
        main: source_file::main_settings(values),
        slow: Rc::clone(&slow),
        logger,
        clients: RefCell::default(),
    });
    Openers::new(vec![remote], Some(slow))
}

#[cfg(test)]
mod tests;
