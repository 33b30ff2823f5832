//! Connections that are kept between look-ups.

use net::{Permit, Slots};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};
use types::Instant;
use world::World;

/// Connections to one server: a bounded number, the last one used first, none too long.
pub(crate) struct Pool<C> {
    idle: RefCell<Vec<Kept<C>>>,
    slots: Slots,
    idle_max: Duration,
    age_max: Duration,
    // Whether a task waits to close what becomes idle.
    is_watched: Cell<bool>,
}

struct Kept<C> {
    connection: C,
    opened: Instant,
    used: Instant,
}

/// A connection in use; dropped, it is closed.
pub(crate) struct Taken<C> {
    pub(crate) connection: C,
    /// It has served others, or nobody for a while.
    pub(crate) was_idle: bool,
    opened: Instant,
    _place: Permit,
}

/// What ended the wait for a connection.
pub(crate) const ALL_IN_USE: &str =
    "all connections to the server are in use; default_process_limit says how many there may be";

impl<C: 'static> Pool<C> {
    pub(crate) fn new(connections_max: usize, idle_max: Duration, age_max: Duration) -> Rc<Self> {
        Rc::new(Self {
            idle: RefCell::default(),
            slots: Slots::new(connections_max),
            idle_max,
            age_max,
            is_watched: Cell::new(false),
        })
    }

    /// The connection that was idle last, or what `connect` makes. `None`: all that there may be are in use, and were for as
    /// long as `limit`.
    pub(crate) async fn connection<W: World, E>(
        &self,
        world: &W,
        limit: Duration,
        connect: impl Future<Output = Result<C, E>>,
    ) -> Option<Result<Taken<C>, E>> {
        let place = world.timeout(limit, self.slots.take()).await?;
        self.close_old(world.now());
        let idle = self.idle.borrow_mut().pop();
        if let Some(Kept { connection, opened, .. }) = idle {
            return Some(Ok(Taken { connection, was_idle: true, opened, _place: place }));
        }
        let connected = connect.await;
        let opened = world.now();
        Some(connected.map(|connection| Taken { connection, was_idle: false, opened, _place: place }))
    }

    /// Keeps a connection whose last reply was whole, until it was idle for too long.
    pub(crate) fn keep<W: World>(self: &Rc<Self>, world: &W, taken: Taken<C>) {
        let Taken { connection, opened, _place, .. } = taken;
        self.idle.borrow_mut().push(Kept { connection, opened, used: world.now() });
        if self.is_watched.replace(true) {
            return;
        }
        let (pool, clock) = (Rc::clone(self), world.clone());
        world.spawn(async move {
            while pool.has_idle() {
                clock.sleep(pool.idle_max).await;
                pool.close_old(clock.now());
            }
            pool.is_watched.set(false);
        });
    }

    /// Closes what is too old or was idle for too long.
    fn close_old(&self, now: Instant) {
        let is_young =
            |kept: &Kept<C>| now.since(kept.used) < self.idle_max && now.since(kept.opened) < self.age_max;
        self.idle.borrow_mut().retain(is_young);
    }

    /// Closes all idle ones: the server was started anew, or hung up.
    pub(crate) fn close_idle(&self) {
        self.idle.borrow_mut().clear();
    }

    pub(crate) fn has_idle(&self) -> bool {
        !self.idle.borrow().is_empty()
    }
}
