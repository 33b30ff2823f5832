//! A service whose program could not start with these settings: whoever connects is let go without a word, as by a
//! program of Postfix that ends at its start, and the log says why, once in `service_throttle_time`.

use crate::Shared;
use config::params as p;
use maillog::Severity;
use net::{Permit, Slots};
use process::Process;
use std::{cell::Cell, net::SocketAddr, rc::Rc, time::Duration};
use sys::control::ServedRow;
use types::Instant;
use world::{Accept, World};

/// Why nobody is served, and how often to say so.
pub(crate) struct OutOfOrder {
    tag: String,
    why: String,
    slots: Slots,
    service_throttle_time: Duration,
    said: Cell<Option<Instant>>,
}

impl OutOfOrder {
    /// `None` for a service whose parameters all have values that they can have.
    pub(crate) fn of(process: &Process, row: &ServedRow) -> Option<Self> {
        process.out_of_order(row).map(|why| Self::new(process, row, why))
    }

    /// A service that could not begin.
    pub(crate) fn new(process: &Process, row: &ServedRow, why: String) -> Self {
        let values = process.row_values(row);
        Self {
            tag: process::tag(&values, &row.program),
            why,
            slots: Slots::new(process.row_limit(row)),
            service_throttle_time: values.time(p::service_throttle_time),
            said: Cell::new(None),
        }
    }

    /// Says why, unless that was said not long ago.
    pub(crate) fn say<W: World>(&self, shared: &Shared<W>) {
        let now = shared.world.now();
        if self.said.get().is_none_or(|at| now.since(at) >= self.service_throttle_time) {
            self.said.set(Some(now));
            shared.log.session(&self.tag).write(Severity::Fatal, &self.why);
        }
    }

    /// Until the process stops.
    pub(crate) async fn refuse<W: World>(
        self: Rc<Self>,
        shared: Rc<Shared<W>>,
        listener: impl Accept<Stream = W::Stream>,
    ) {
        let logger = shared.log.session(&self.tag);
        let let_go = |stream: W::Stream, _: Option<SocketAddr>, _: Permit| {
            self.say(&shared);
            drop(stream);
        };
        shared.accept(listener, (&self.slots, &logger), let_go).await;
    }
}
