//! Connections that are kept between look-ups.

use net::{Permit, Slots};
use std::{cell::RefCell, time::Duration};
use types::Instant;

/// Connections to one server: a bounded number, the last one used first, none too long.
pub(crate) struct Pool<C> {
    idle: RefCell<Vec<Kept<C>>>,
    slots: Slots,
    idle_max: Duration,
    age_max: Duration,
}

struct Kept<C> {
    connection: C,
    opened: Instant,
    used: Instant,
}

/// A connection in use; dropped, it is closed.
pub(crate) struct Taken<C> {
    pub(crate) connection: C,
    opened: Instant,
    _place: Permit,
}

impl<C> Taken<C> {
    /// A connection just made.
    pub(crate) fn new(now: Instant, connection: C, place: Permit) -> Self {
        Self { connection, opened: now, _place: place }
    }
}

impl<C> Pool<C> {
    pub(crate) fn new(connections_max: usize, idle_max: Duration, age_max: Duration) -> Self {
        Self { idle: RefCell::default(), slots: Slots::new(connections_max), idle_max, age_max }
    }

    /// Waits for the right to have one more connection in use: with an idle one, or to make a new one.
    pub(crate) async fn take(&self, now: impl Fn() -> Instant) -> Result<Taken<C>, Permit> {
        let place = self.slots.take().await;
        self.close_old(now());
        match self.idle.borrow_mut().pop() {
            Some(kept) => Ok(Taken { connection: kept.connection, opened: kept.opened, _place: place }),
            None => Err(place),
        }
    }

    /// Keeps a connection whose last reply was whole.
    pub(crate) fn keep(&self, now: Instant, taken: Taken<C>) {
        let Taken { connection, opened, _place } = taken;
        self.idle.borrow_mut().push(Kept { connection, opened, used: now });
    }

    /// Closes what is too old or was idle for too long.
    pub(crate) fn close_old(&self, now: Instant) {
        let is_young =
            |kept: &Kept<C>| now.since(kept.used) < self.idle_max && now.since(kept.opened) < self.age_max;
        self.idle.borrow_mut().retain(is_young);
    }

    /// Closes all idle ones: the server was started anew, or hung up.
    pub(crate) fn close_idle(&self) {
        self.idle.borrow_mut().clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty()
    }
}
