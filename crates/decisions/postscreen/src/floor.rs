//! How many clients there are, and how many connections each one has.

use crate::{Expiry, Screening};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::IpAddr,
    rc::Rc,
};

/// What the sessions of one client share.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) connections: Cell<usize>,
    /// Sessions that have passed as those of a new client.
    pub(crate) passed_as_new: Cell<u32>,
    pub(crate) expiry: Cell<Expiry>,
}

impl Client {
    pub(crate) fn change(&self, how: impl FnOnce(&mut Expiry)) {
        let mut expiry = self.expiry.get();
        how(&mut expiry);
        self.expiry.set(expiry);
    }
}

/// All clients of a service.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    clients: RefCell<HashMap<IpAddr, Rc<Client>>>,
    /// All that postscreen has, with those that wait for smtpd.
    pub(crate) connections: Cell<usize>,
    /// Those that wait for smtpd.
    pub(crate) passing: Cell<usize>,
    pub(crate) is_stressed: Cell<bool>,
}

impl Floor {
    pub(crate) fn enter(&self, address: IpAddr) -> Rc<Client> {
        self.connections.set(self.connections.get() + 1);
        let client = Rc::clone(self.clients.borrow_mut().entry(address).or_default());
        client.connections.set(client.connections.get() + 1);
        client
    }

    pub(crate) fn leave(&self, address: IpAddr, client: &Client) {
        self.connections.set(self.connections.get().saturating_sub(1));
        client.connections.set(client.connections.get().saturating_sub(1));
        if client.connections.get() == 0 {
            self.clients.borrow_mut().remove(&address);
        }
    }

    /// Whether as many are tested as may be.
    pub(crate) fn is_full(&self, postscreen_pre_queue_limit: usize) -> bool {
        self.connections.get().saturating_sub(self.passing.get()) >= postscreen_pre_queue_limit
    }
}

/// Counts a connection among those that wait for smtpd, until it is dropped.
#[derive(Debug)]
pub struct Passing(Rc<Screening>);

impl Passing {
    pub(crate) fn new(screening: Rc<Screening>) -> Self {
        let passing = &screening.floor.passing;
        passing.set(passing.get() + 1);
        Self(screening)
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let passing = &self.0.floor.passing;
        passing.set(passing.get().saturating_sub(1));
    }
}
