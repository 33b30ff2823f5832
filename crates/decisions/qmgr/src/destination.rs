//! One destination of a transport: how many deliveries at once, and whether it is alive.

use types::{Nexthop, Status};

use crate::{core::Entry, settings::TransportSettings, slab::List};

/// Whether deliveries may begin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    Ready,
    /// Between two deliveries of a rate-limited destination.
    Suspended,
    /// Dead: all its mail is put off with this status until a timer ends it.
    Throttled(Status),
}

/// Postfix's "queue": the mail of one transport for one next hop.
pub(crate) struct Destination {
    pub(crate) transport: usize,
    /// The key in the transport's table: the next hop in lower case, or `user@nexthop` where recipients go alone.
    pub(crate) name: Vec<u8>,
    pub(crate) nexthop: Nexthop,
    pub(crate) todo: List<Entry>,
    pub(crate) todo_count: u32,
    pub(crate) busy_count: u32,
    pub(crate) window: u32,
    pub(crate) condition: Condition,
    /// Equal to the transport's while jobs are blocked on this destination.
    pub(crate) blocker_tag: u64,
    /// Timers set for an earlier condition are void.
    pub(crate) timer_serial: u64,
    pub(crate) clog_warning_not_before: u64,
    success: f64,
    failure: f64,
    fail_cohorts: f64,
}

impl Destination {
    pub(crate) fn new(
        transport: usize,
        name: Vec<u8>,
        nexthop: Nexthop,
        settings: &TransportSettings,
    ) -> Self {
        Self {
            transport,
            name,
            nexthop,
            todo: List::default(),
            todo_count: 0,
            busy_count: 0,
            window: settings.initial_destination_concurrency,
            condition: Condition::Ready,
            blocker_tag: 0,
            timer_serial: 0,
            clog_warning_not_before: 0,
            success: 0.0,
            failure: 0.0,
            fail_cohorts: 0.0,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.condition == Condition::Ready && self.window > self.busy_count
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.todo_count == 0 && self.busy_count == 0
    }

    pub(crate) fn throttled(&self) -> Option<&Status> {
        match &self.condition {
            Condition::Throttled(status) => Some(status),
            _ => None,
        }
    }

    /// A delivery got through, or an administrator or a timer wants another try.
    pub(crate) fn unthrottle(&mut self, settings: &TransportSettings) {
        self.fail_cohorts = 0.0;
        if self.throttled().is_some() {
            self.condition = Condition::Ready;
            self.timer_serial += 1;
            self.window =
                if self.busy_count > 0 { self.busy_count } else { settings.initial_destination_concurrency };
            self.success = 0.0;
            self.failure = 0.0;
            return;
        }
        let limit = settings.destination_concurrency_limit;
        // Only a window that is used may grow.
        let is_used = self.window < self.busy_count.saturating_add(settings.initial_destination_concurrency);
        if (limit == 0 || limit > self.window) && is_used {
            let feedback = settings.destination_concurrency_positive_feedback.value(self.window);
            self.success += feedback;
            // Half a step of tolerance makes up for what the divisions lose.
            while self.success + feedback / 2.0 >= 1.0 {
                self.window += 1;
                self.success -= 1.0;
                self.failure = 0.0;
            }
            if limit > 0 {
                self.window = self.window.min(limit);
            }
        }
    }

    /// A delivery could not even begin; true if the destination is dead now.
    pub(crate) fn throttle(&mut self, status: &Status, settings: &TransportSettings) -> bool {
        if self.condition != Condition::Ready {
            return false;
        }
        self.fail_cohorts += 1.0 / f64::from(self.window.max(1));
        let limit = settings.destination_concurrency_failed_cohort_limit;
        // A cohort of 3 must count as one whole in spite of 1/3 + 1/3 + 1/3.
        if limit > 0 && self.fail_cohorts + 1e-9 >= f64::from(limit) {
            self.condition = Condition::Throttled(status.clone());
            self.timer_serial += 1;
            return true;
        }
        let feedback = settings.destination_concurrency_negative_feedback.value(self.window);
        self.failure -= feedback;
        while self.failure - feedback / 2.0 < 0.0 {
            self.window = self.window.saturating_sub(1);
            self.success = 0.0;
            self.failure += 1.0;
        }
        self.window = self.window.max(1);
        false
    }

    pub(crate) fn suspend(&mut self) {
        self.condition = Condition::Suspended;
        self.timer_serial += 1;
    }

    pub(crate) fn resume(&mut self) {
        self.condition = Condition::Ready;
        self.window = 1;
    }
}
