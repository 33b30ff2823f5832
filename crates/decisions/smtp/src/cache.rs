//! Connections that stay open for the next message.

use crate::Session;
use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};
use types::Instant;

/// An open connection between messages.
pub(crate) struct Connection<S> {
    pub(crate) session: Session,
    pub(crate) stream: S,
    /// The beginning of a line, where lines are filtered.
    pub(crate) partial: Vec<u8>,
}

struct Stored<S> {
    connection: Connection<S>,
    /// The next hop that it is the first good connection for, if it is.
    destination: Option<String>,
    expires: Instant,
}

/// What an open connection must be to be of use.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// For a next hop, whichever host it was made to.
    Destination(&'a str),
    /// To an address and port.
    Endpoint(&'a str, u16),
}

struct Inner<S> {
    stored: Vec<Stored<S>>,
    // When the last delivery to a destination ended: many in a row are worth keeping connections for.
    last_done: HashMap<String, Instant>,
    reaper_runs: bool,
}

/// Open connections of one service (one row of master.cf): two services never share, as their settings differ.
pub struct ConnectionCache<S>(Rc<RefCell<Inner<S>>>);

impl<S> Clone for ConnectionCache<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S> Default for ConnectionCache<S> {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Inner {
            stored: Vec::new(),
            last_done: HashMap::new(),
            reaper_runs: false,
        })))
    }
}

/// How many destinations are remembered as busy.
const DESTINATIONS_MAX: usize = 10_000;
/// Deliveries to one destination that follow each other within this span make it busy (as qmgr(8) has it).
const BUSY_SPAN: Duration = Duration::from_secs(1);

impl<S> ConnectionCache<S> {
    /// How many connections are open and idle.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.borrow().stored.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether deliveries to `destination` follow each other closely.
    pub(crate) fn is_busy(&self, now: Instant, destination: &str) -> bool {
        let inner = self.0.borrow();
        inner.last_done.get(destination).is_some_and(|done| now.since(*done) <= BUSY_SPAN)
    }

    /// A delivery to `destination` ended.
    pub(crate) fn note_done(&self, now: Instant, destination: &str) {
        let mut inner = self.0.borrow_mut();
        if let Some(done) = inner.last_done.get_mut(destination) {
            *done = now;
            return;
        }
        if inner.last_done.len() >= DESTINATIONS_MAX {
            inner.last_done.retain(|_, done| now.since(*done) <= BUSY_SPAN);
        }
        if inner.last_done.len() < DESTINATIONS_MAX {
            inner.last_done.insert(destination.to_owned(), now);
        }
    }

    /// The connection used last that is what is wanted; a message that needs SMTPUTF8 goes only where it is offered.
    pub(crate) fn take(
        &self,
        now: Instant,
        wanted: Wanted<'_>,
        needs_smtputf8: bool,
    ) -> Option<Connection<S>> {
        let mut inner = self.0.borrow_mut();
        let at = inner.stored.iter().rposition(|stored| {
            let session = &stored.connection.session;
            let is_it = match wanted {
                Wanted::Destination(destination) => stored.destination.as_deref() == Some(destination),
                Wanted::Endpoint(address, port) => {
                    session.peer().address == address && session.peer().port == Some(port)
                }
            };
            is_it && stored.expires > now && (!needs_smtputf8 || session.features().smtputf8)
        })?;
        Some(inner.stored.swap_remove(at).connection)
    }

    /// Keeps a connection until `expires`; true when the caller must start [`crate::deliver`]'s reaper.
    pub(crate) fn store(
        &self,
        connection: Connection<S>,
        destination: Option<String>,
        expires: Instant,
    ) -> bool {
        let mut inner = self.0.borrow_mut();
        inner.stored.push(Stored { connection, destination, expires });
        !std::mem::replace(&mut inner.reaper_runs, true)
    }

    /// Takes the expired connections out; `None` when nothing is left to watch.
    pub(crate) fn expired(&self, now: Instant) -> Option<Vec<Connection<S>>> {
        let mut inner = self.0.borrow_mut();
        if inner.stored.is_empty() {
            inner.reaper_runs = false;
            return None;
        }
        let all = std::mem::take(&mut inner.stored);
        let (expired, kept) = all.into_iter().partition(|stored| stored.expires <= now);
        inner.stored = kept;
        let expired: Vec<Stored<S>> = expired;
        Some(expired.into_iter().map(|stored| stored.connection).collect())
    }
}
