//! The one entry: an event comes in, actions come out.

use types::{Instant, QueueId, WallTime};

use crate::{
    core::{Core, Message, Step, Wake},
    event::{Action, ClaimFailure, Event},
    intake::{Intake, Intaken},
    settings::SchedulerSettings,
    slab::Key,
};

/// The queue manager.
pub struct Scheduler {
    core: Core,
    intake: Intake,
}

impl Scheduler {
    /// An idle queue manager; [`Event::Started`] sets it going.
    #[must_use]
    pub fn new(settings: SchedulerSettings) -> Self {
        Self { core: Core::new(settings), intake: Intake::new() }
    }

    /// Takes in what happened and appends what is to be done, in this order.
    pub fn step(&mut self, now: Instant, wall: WallTime, event: Event, actions: &mut Vec<Action>) {
        let mut step = Step { now, wall, actions };
        self.take(&mut step, event);
        // Finished messages make room for others; deferring a dead destination's mail makes work for `retry`.
        loop {
            self.core.finish_all(&mut step);
            if !self.core.is_handing_over {
                self.core.deliver(&mut step);
            }
            if self.core.to_finish.is_empty() {
                break;
            }
        }
        self.core.mark_all(&mut step);
        if !self.core.is_handing_over {
            self.intake.fill(&mut step, &self.core);
        }
    }

    /// When [`Event::Timer`] is wanted at the latest.
    #[must_use]
    pub fn wake_at(&self) -> Option<Instant> {
        self.core.timers.next()
    }

    /// Messages in the active queue, those being opened included.
    #[must_use]
    pub fn active_count(&self) -> usize {
        self.core.messages.len() + self.intake.claim_count()
    }

    /// How far new mail was taken up.
    #[must_use]
    pub fn intaken(&self) -> Intaken {
        self.intake.intaken()
    }

    /// Recipients in memory.
    #[must_use]
    pub fn recipient_count(&self) -> usize {
        usize::try_from(self.core.recipient_count).unwrap_or(0)
    }

    /// Deliveries that agents are busy with.
    #[must_use]
    pub fn delivery_count(&self) -> usize {
        self.core.deliveries.len()
    }

    fn message(&self, id: QueueId) -> Option<Key<Message>> {
        self.core.by_id.get(&id).copied()
    }

    fn take(&mut self, step: &mut Step<'_>, event: Event) {
        match event {
            Event::Started => {
                step.act(Action::ReturnActive);
                self.intake.scan_incoming();
                self.scan_deferred(step);
            }
            Event::Arrived(id) => self.intake.arrived(id, self.core.settings.qmgr_message_active_limit),
            Event::Scanned { queue, found, finished } => {
                self.intake.scanned(step.wall, queue, found, finished);
            }
            Event::Claimed(id, claimed) => self.intake.claimed(step, &mut self.core, id, *claimed),
            Event::ClaimFailed(id, failure) => self.read_failed(step, id, failure),
            Event::MoreRecipients(id, more) => {
                if let Some(key) = self.message(id).filter(|key| self.core.messages[*key].is_reading) {
                    self.core.more_recipients(step, key, more);
                }
            }
            Event::Resolved(id, routed) => {
                if let Some(key) = self.message(id) {
                    self.core.resolved(step, key, routed);
                }
            }
            Event::Progress(ticket, report) => self.core.progressed(step, ticket, report),
            Event::Report(ticket, report) => self.core.reported(step, ticket, report),
            Event::AgentFailed(ticket, failure) => self.core.agent_failed(step, ticket, failure),
            Event::Appended(ticket, result) => self.core.appended(step, ticket, &result),
            Event::Notified(id, result) => {
                if let Some(key) = self.message(id) {
                    self.core.notified(step, key, result);
                }
            }
            Event::Trigger(triggers) => {
                if triggers.forget_dead {
                    self.core.unthrottle_all();
                }
                self.intake.trigger(triggers);
            }
            Event::HandOver => {
                if let Some(unfinished) = self.intake.unfinished_flush() {
                    step.act(Action::PassOn(unfinished));
                }
                self.core.hand_over();
            }
            Event::Timer => self.timers(step),
        }
    }

    fn read_failed(&mut self, step: &mut Step<'_>, id: QueueId, failure: ClaimFailure) {
        if self.intake.claim_failed(step, &self.core, id, &failure) {
            return;
        }
        if let Some(key) = self.message(id).filter(|key| self.core.messages[*key].is_reading) {
            self.core.read_failed(step, key, failure);
        }
    }

    fn scan_deferred(&mut self, step: &Step<'_>) {
        self.intake.scan_deferred();
        self.core.timers.set(step.now + self.core.settings.queue_run_delay, Wake::DeferredScan);
    }

    fn timers(&mut self, step: &mut Step<'_>) {
        while let Some(wake) = self.core.timers.due(step.now) {
            match wake {
                Wake::DeferredScan => self.scan_deferred(step),
                Wake::TransportRate(at) => self.core.transports[at].is_rate_locked = false,
                Wake::Transport(at, serial) if self.core.transports[at].timer_serial == serial => {
                    self.core.unthrottle_transport(at);
                }
                Wake::Destination(key, serial) => self.core.destination_timer(key, serial),
                Wake::Transport(..) => {}
            }
        }
    }
}
