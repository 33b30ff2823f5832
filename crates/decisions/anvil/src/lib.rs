//! anvil(8) as a library: how many connections each client has, and how often it did what in `anvil_rate_time_unit`.
//!
//! All sessions of a process share one [`Anvil`]. Counters belong to a service and a client: an address, a network, or
//! an account that has logged in. A [`Connection`] is counted from [`Anvil::connect`] until it is dropped.
//!
//! Each event costs the same, however many clients there are. Their number has a bound: beyond it the client that
//! has been gone the longest is forgotten, and where all are here, new ones are not counted.
//!
//! Diagnostics: nothing fails and nothing is logged here. [`Anvil::report`] has what anvil(8) logs.

mod client;
mod peaks;
mod store;

pub use client::{Client, Service};
pub use peaks::{Peak, Report};

use client::Key;
use std::{cell::RefCell, rc::Rc, time::Duration};
use store::Store;
use types::Instant;

/// What is counted besides connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// MAIL.
    Message,
    /// RCPT or VRFY.
    Recipient,
    /// A TLS handshake that resumed no session.
    NewTls,
    /// AUTH.
    Auth,
}

/// Bounds.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// postconf(5) `anvil_rate_time_unit`
    pub anvil_rate_time_unit: Duration,
    /// `anvil_client_limit`: how many clients are remembered.
    pub anvil_client_limit: usize,
}

/// The counters of all clients of a process.
#[derive(Debug)]
pub struct Anvil(RefCell<Store>);

impl Anvil {
    /// Nobody was here yet.
    #[must_use]
    pub fn new(settings: Settings) -> Rc<Self> {
        Rc::new(Self(RefCell::new(Store::new(settings))))
    }

    /// A service by its name in master.cf; services of one name share their clients' counters.
    #[must_use]
    pub fn service(&self, name: &str) -> Service {
        self.0.borrow_mut().service(name)
    }

    /// A client has connected. `None` where there is no room to count one more.
    #[must_use]
    pub fn connect(self: &Rc<Self>, service: Service, client: Client, now: Instant) -> Option<Connection> {
        let key = Key { service, client };
        let is_counted = self.0.borrow_mut().connect(&key, now);
        is_counted.then(|| Connection { anvil: Rc::clone(self), key })
    }

    /// The greatest counts since the last report; clients that are gone are forgotten.
    #[must_use]
    pub fn report(&self, now: Instant) -> Report {
        self.0.borrow_mut().report(now)
    }

    /// When the last event was.
    #[must_use]
    pub fn last_event(&self) -> Instant {
        self.0.borrow().last_event()
    }
}

/// A client's connection, counted as long as this lives.
#[derive(Debug)]
pub struct Connection {
    anvil: Rc<Anvil>,
    key: Key,
}

impl Connection {
    /// How many connections the client has now, this one included.
    #[must_use]
    pub fn connection_count(&self) -> u32 {
        self.anvil.0.borrow().connection_count(&self.key)
    }

    /// How many connections the client has made in the time unit, this one included.
    #[must_use]
    pub fn connection_rate(&self) -> u32 {
        self.anvil.0.borrow().connection_rate(&self.key)
    }

    /// Counts an event; returns how many there were in the time unit.
    pub fn count(&self, event: Event, now: Instant) -> u32 {
        self.anvil.0.borrow_mut().count(&self.key, event, now)
    }

    /// How many of these events there were in the time unit.
    #[must_use]
    pub fn rate(&self, event: Event, now: Instant) -> u32 {
        self.anvil.0.borrow().rate(&self.key, event, now)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.anvil.0.borrow_mut().disconnect(&self.key);
    }
}

#[cfg(test)]
mod tests;
