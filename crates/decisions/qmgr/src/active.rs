//! Deliveries and their results.

use std::rc::Rc;

use maillog::Probe;
use types::{
    DeliveryReport, DeliveryRequest, Dsn, DsnClass, DsnNotify, Outcome, QueueName, RecipientReport, Relay,
    Status, SuccessAction, Timing, Trouble,
};

use crate::{
    core::{Core, Entry, Message, Step, Wake},
    destination::{Condition, Destination},
    event::{Action, AgentFailure, Disposition, LogLine, LogName, Ticket},
    job::{in_destination, in_peer},
    members,
    slab::Key,
    verp,
};

impl Core {
    /// Hands out requests as long as services and destinations have room.
    pub(crate) fn deliver(&mut self, step: &mut Step<'_>) {
        for at in 0..self.transports.len() {
            loop {
                let transport = &self.transports[at];
                let is_full =
                    transport.settings.process_limit.is_some_and(|limit| transport.busy_count >= limit);
                if is_full || transport.throttled.is_some() || transport.is_rate_locked {
                    break;
                }
                let Some(entry) = self.select_entry(step, at) else { break };
                self.hand_out(step, at, entry);
            }
        }
    }

    fn hand_out(&mut self, step: &mut Step<'_>, at: usize, key: Key<Entry>) {
        let entry = &mut self.entries[key];
        let message = &self.messages[entry.message];
        let attributes = match (message.verp, entry.recipients.first()) {
            (Some(verp), Some(recipient)) => {
                verp::attributes(&message.attributes, verp, recipient, self.settings.smtputf8_enable)
            }
            _ => Rc::clone(&message.attributes),
        };
        let request = Rc::new(DeliveryRequest {
            queue_id: message.id,
            queue_name: QueueName::Active,
            transport: self.transports[at].name.clone(),
            nexthop: self.destinations[entry.destination].nexthop.clone(),
            recipients: std::mem::take(&mut entry.recipients),
            message: attributes,
            active_since: message.active_since,
            agent_since: step.wall,
        });
        entry.request = Some(Rc::clone(&request));
        let ticket = self.ticket();
        self.deliveries.insert(ticket, key);
        let transport = &mut self.transports[at];
        transport.busy_count += 1;
        let delay = transport.settings.transport_rate_delay;
        if !delay.is_zero() {
            transport.is_rate_locked = true;
            self.timers.set(step.now + delay, Wake::TransportRate(at));
        }
        step.act(Action::Deliver(ticket, request));
    }

    /// Some recipients have got the message while the delivery goes on: a crash must not make anybody deliver to them again.
    pub(crate) fn progressed(&mut self, step: &mut Step<'_>, ticket: Ticket, report: DeliveryReport) {
        let Some(&key) = self.deliveries.get(&ticket) else { return };
        let entry = &mut self.entries[key];
        let Some(request) = entry.request.clone() else { return };
        let (message, session) = (entry.message, report.session);
        let mut dispositions = Vec::new();
        for report in report.recipients.into_iter().filter(|report| report.outcome == Outcome::Sent) {
            if report.index < request.recipients.len() && !entry.ended.contains(&report.index) {
                entry.ended.push(report.index);
                dispositions.push(disposition(&request, report, session));
            }
        }
        self.settle(step, message, dispositions);
    }

    /// An agent's report.
    pub(crate) fn reported(&mut self, step: &mut Step<'_>, ticket: Ticket, report: DeliveryReport) {
        let Some(key) = self.deliveries.remove(&ticket) else { return };
        let Some(request) = self.entries[key].request.take() else { return };
        let (message, destination) = (self.entries[key].message, self.entries[key].destination);
        let at = self.destinations[destination].transport;
        self.transports[at].busy_count -= 1;
        let ended = std::mem::take(&mut self.entries[key].ended);
        let mut dispositions = complete(&request, report.recipients, report.session);
        dispositions.retain(|disposition| !ended.contains(&disposition.report.index));
        self.messages[message].flags.is_corrupt |= report.is_corrupt;
        self.settle(step, message, dispositions);
        self.unthrottle_transport(at);
        match report.destination_unavailable {
            None => {
                let settings = &self.transports[at].settings;
                self.destinations[destination].unthrottle(settings);
            }
            Some(status) => self.unavailable(step, destination, status),
        }
        self.entry_done(step, key, request.recipients.len());
    }

    fn unavailable(&mut self, step: &mut Step<'_>, key: Key<Destination>, mut status: Status) {
        let mut reason = b"delivery temporarily suspended: ".to_vec();
        reason.extend_from_slice(if status.reason.is_empty() { b"unknown error" } else { &status.reason });
        status.reason = reason.into();
        status.dsn = status.dsn.with_class(DsnClass::Temporary);
        let settings = &self.transports[self.destinations[key].transport].settings;
        if self.destinations[key].throttle(&status, settings) {
            let wake = Wake::Destination(key, self.destinations[key].timer_serial);
            self.timers.set(step.now + self.settings.minimal_backoff_time, wake);
            self.defer_todo(step, key, &status);
        }
    }

    /// An agent went away: nothing is known of the delivery, so that it is tried again later.
    pub(crate) fn agent_failed(&mut self, step: &mut Step<'_>, ticket: Ticket, failure: AgentFailure) {
        let Some(key) = self.deliveries.remove(&ticket) else { return };
        let Some(request) = self.entries[key].request.take() else { return };
        let destination = self.entries[key].destination;
        let at = self.destinations[destination].transport;
        self.transports[at].busy_count -= 1;
        if self.is_handing_over {
            self.messages[self.entries[key].message].flags.is_handed_over = true;
            return self.entry_done(step, key, request.recipients.len());
        }
        let text = match failure {
            AgentFailure::Unavailable => "mail transport unavailable",
            AgentFailure::Died => "unknown mail transport error",
            AgentFailure::Gone => {
                self.messages[self.entries[key].message].flags.is_gone = true;
                return self.entry_done(step, key, request.recipients.len());
            }
        };
        if failure == AgentFailure::Died {
            let name = &self.transports[at].name;
            step.warn(format!(
                "transport {name} failure -- see a previous warning/fatal/panic logfile record for the problem description"
            ));
        }
        let status = Status::new(Dsn::temporary(3, 0), text);
        if self.transports[at].throttled.is_none() {
            self.transports[at].throttled = Some(status.clone());
            self.transports[at].timer_serial += 1;
            let wake = Wake::Transport(at, self.transports[at].timer_serial);
            self.timers.set(step.now + self.settings.transport_retry_time, wake);
        }
        self.unselect(step, key, &request);
        let destinations: Vec<_> = self.transports[at].destinations.values().copied().collect();
        for destination in destinations {
            self.defer_todo(step, destination, &status);
        }
    }

    /// Puts an entry back where it was taken from, with those of its recipients that have not got the message.
    fn unselect(&mut self, step: &mut Step<'_>, key: Key<Entry>, request: &DeliveryRequest) {
        let entry = &mut self.entries[key];
        let ended = std::mem::take(&mut entry.ended);
        let left = request.recipients.iter().enumerate().filter(|(index, _)| !ended.contains(index));
        entry.recipients = left.map(|(_, recipient)| recipient.clone()).collect();
        if entry.recipients.is_empty() {
            return self.entry_done(step, key, request.recipients.len());
        }
        let (peer, destination) = (entry.peer, entry.destination);
        self.recipients_gone(key, ended.len());
        let destination = &mut self.destinations[destination];
        destination.busy_count -= 1;
        destination.todo_count += 1;
        destination.todo.push_back(&mut self.entries, key, in_destination);
        self.peers[peer].entries.push_front(&mut self.entries, key, in_peer);
        let job = self.peers[peer].job;
        self.jobs[job].selected_entries -= 1;
    }

    /// Puts off everything that waits for a dead destination, with the same reason.
    fn defer_todo(&mut self, step: &mut Step<'_>, from: Key<Destination>, status: &Status) {
        if self.destinations.get(from).is_none_or(|destination| destination.todo.is_empty()) {
            return;
        }
        let to = self.retry_destination(status).filter(|to| *to != from);
        while let Some(key) = self.destinations[from].todo.first {
            let recipients = std::mem::take(&mut self.entries[key].recipients);
            let (message, count) = (self.entries[key].message, recipients.len());
            for recipient in recipients {
                match to {
                    Some(to) => self.enqueue(step, message, to, recipient),
                    None => self.defer_recipient(step, message, recipient, status.clone()),
                }
            }
            self.take_from_todo(key);
            let is_last = self.destinations[from].is_idle();
            self.entry_gone(key, count);
            if is_last {
                break;
            }
        }
        self.maybe_forget(from);
    }

    pub(crate) fn take_from_todo(&mut self, key: Key<Entry>) {
        let (peer, destination) = (self.entries[key].peer, self.entries[key].destination);
        self.peers[peer].entries.remove(&mut self.entries, key, in_peer);
        let destination = &mut self.destinations[destination];
        destination.todo.remove(&mut self.entries, key, in_destination);
        destination.todo_count -= 1;
        let job = self.peers[peer].job;
        self.jobs[job].selected_entries += 1;
    }

    /// The end of an entry that was with an agent.
    fn entry_done(&mut self, step: &mut Step<'_>, key: Key<Entry>, recipients: usize) {
        let destination = self.entries[key].destination;
        self.destinations[destination].busy_count -= 1;
        self.entry_gone(key, recipients);
        let at = self.destinations[destination].transport;
        let delay = self.transports[at].settings.destination_rate_delay;
        if !delay.is_zero() {
            let settings = &self.transports[at].settings;
            let queue = &mut self.destinations[destination];
            if queue.throttled().is_some() {
                queue.unthrottle(settings);
            }
            queue.suspend();
            self.timers.set(step.now + delay, Wake::Destination(destination, queue.timer_serial));
            return;
        }
        self.update_blockers(destination);
        self.maybe_forget(destination);
    }

    /// Accounts of job, peer and message, without the destination's.
    pub(crate) fn entry_gone(&mut self, key: Key<Entry>, recipients: usize) {
        self.recipients_gone(key, recipients);
        let Some(entry) = self.entries.remove(key) else { return };
        let job = self.peers[entry.peer].job;
        let has_more = self.messages[entry.message].next_offset.is_some();
        for n in 0..self.messages[entry.message].jobs.len() {
            let other = self.messages[entry.message].jobs[n];
            let sponsor = &self.jobs[other];
            let has_slots = sponsor.recipient_count < sponsor.recipient_limit;
            if other != job && has_slots && (sponsor.stack_level.is_none() || !has_more) {
                self.move_limits(other);
            }
        }
        if !has_more {
            self.move_limits(job);
        }
        let peer = &mut self.peers[entry.peer];
        peer.entry_count -= 1;
        if peer.entry_count == 0 {
            self.free_peer(entry.peer);
        }
        self.settled(entry.message);
    }

    fn recipients_gone(&mut self, key: Key<Entry>, recipients: usize) {
        let Some(entry) = self.entries.get(key) else { return };
        let count = i64::try_from(recipients).unwrap_or(0);
        let job = self.peers[entry.peer].job;
        self.jobs[job].recipient_count -= count;
        self.messages[entry.message].recipient_count -= count;
        self.recipient_count -= count;
    }

    /// A destination without mail is forgotten, unless it is dead or must wait. Dead ones are kept only within reason.
    pub(crate) fn maybe_forget(&mut self, key: Key<Destination>) {
        let Some(destination) = self.destinations.get(key) else { return };
        if !destination.is_idle() {
            return;
        }
        let limit = usize::try_from(self.settings.qmgr_message_recipient_limit).unwrap_or(usize::MAX);
        let is_too_much = self.destinations.len() > limit.saturating_mul(2);
        let may_go = match destination.condition {
            Condition::Ready => true,
            Condition::Throttled(_) => is_too_much,
            Condition::Suspended => false,
        };
        if may_go && let Some(destination) = self.destinations.remove(key) {
            self.transports[destination.transport].destinations.remove(&destination.name);
        }
    }

    /// The transport may be used again.
    pub(crate) fn unthrottle_transport(&mut self, at: usize) {
        let transport = &mut self.transports[at];
        if transport.throttled.take().is_some() {
            transport.timer_serial += 1;
        }
    }

    /// The destination may be tried again.
    pub(crate) fn unthrottle_destination(&mut self, key: Key<Destination>) {
        if self.destinations[key].throttled().is_some() {
            let settings = &self.transports[self.destinations[key].transport].settings;
            self.destinations[key].unthrottle(settings);
        }
    }

    /// The end of a destination's pause, or of its time as dead.
    pub(crate) fn destination_timer(&mut self, key: Key<Destination>, serial: u64) {
        let Some(destination) = self.destinations.get(key).filter(|d| d.timer_serial == serial) else {
            return;
        };
        if destination.throttled().is_some() {
            self.unthrottle_destination(key);
        } else {
            self.destinations[key].resume();
        }
        self.update_blockers(key);
        self.maybe_forget(key);
    }

    /// `postqueue -f`: nothing is dead any more.
    pub(crate) fn unthrottle_all(&mut self) {
        for at in 0..self.transports.len() {
            self.unthrottle_transport(at);
        }
        let all: Vec<_> = self.destinations.keys().collect();
        for key in all {
            self.unthrottle_destination(key);
            self.maybe_forget(key);
        }
    }

    /// What is to be done about results: successes are marked, failures and delays recorded first.
    pub(crate) fn settle(&mut self, step: &mut Step<'_>, key: Key<Message>, dispositions: Vec<Disposition>) {
        let (mut bounced, mut deferred, mut traced) = (Vec::new(), Vec::new(), Vec::new());
        let mut reported = Vec::new();
        for mut disposition in dispositions.into_iter().flat_map(members::each) {
            let trace = disposition.request.message.trace;
            if trace.is_probe() {
                self.probed(step, key, disposition, &mut traced);
                continue;
            }
            soften(&mut disposition.report);
            if trace.has_report() {
                reported.push(disposition.clone());
            }
            match disposition.report.outcome {
                Outcome::Sent => {
                    let recipient = disposition.recipient();
                    let tells_nobody = matches!(
                        disposition.report.success,
                        SuccessAction::HandedOn | SuccessAction::Nothing
                    );
                    let is_wanted =
                        !tells_nobody && recipient.is_some_and(|r| r.dsn_notify.0 & DsnNotify::SUCCESS != 0);
                    if is_wanted {
                        traced.push(disposition);
                    } else {
                        self.finished(step, key, disposition);
                    }
                }
                Outcome::Bounced if disposition.report.is_notified => self.finished(step, key, disposition),
                Outcome::Bounced => bounced.push(disposition),
                Outcome::Deferred => deferred.push(disposition),
            }
        }
        if !reported.is_empty() {
            self.append(step, key, (LogName::Trace, true), reported);
        }
        for (log, records) in
            [(LogName::Bounce, bounced), (LogName::Defer, deferred), (LogName::Trace, traced)]
        {
            if !records.is_empty() {
                self.append(step, key, (log, false), records);
            }
        }
    }

    /// What would happen is told to whoever asked; a probe is never tried again.
    fn probed(
        &mut self,
        step: &mut Step<'_>,
        key: Key<Message>,
        mut disposition: Disposition,
        traced: &mut Vec<Disposition>,
    ) {
        disposition.probe = Some(Probe::Told);
        if !disposition.request.message.trace.is_server_probe() {
            return traced.push(disposition);
        }
        let is_good = disposition.report.outcome == Outcome::Sent;
        if is_good || self.settings.address_verify_negative_cache {
            step.act(Action::Probed(disposition.clone()));
        } else {
            disposition.probe = Some(Probe::Forgotten);
        }
        self.finished(step, key, disposition);
    }

    /// A recipient has its final status: log it, and remember to mark it.
    fn finished(&mut self, step: &mut Step<'_>, key: Key<Message>, disposition: Disposition) {
        if let Some(offset) =
            disposition.recipient().map(|recipient| recipient.offset).filter(|offset| *offset > 0)
        {
            let message = &mut self.messages[key];
            if message.unmarked.is_empty() {
                self.to_mark.push(key);
            }
            message.unmarked.push(offset);
        }
        if disposition.report.outcome == Outcome::Sent && disposition.report.success == SuccessAction::Nothing
        {
            return;
        }
        step.log(LogLine::Delivery(disposition.into(), self.settings.delay_logging_resolution_limit));
    }

    /// Records are where they belong, or could not be written.
    pub(crate) fn appended(&mut self, step: &mut Step<'_>, ticket: Ticket, result: &Result<(), Trouble>) {
        let Some(pending) = self.appends.remove(&ticket) else { return };
        let key = pending.message;
        let id = self.messages[key].id;
        let flags = &mut self.messages[key].flags;
        if pending.is_extra {
            flags.has_trace = true;
            if let Err(trouble) = result {
                step.warn(format!("{id}: {} service failure: {trouble}", pending.log.name()));
            }
            return self.settled(key);
        }
        match (pending.log, result) {
            (LogName::Bounce, Ok(())) => flags.may_have_bounce_log = true,
            (LogName::Trace, Ok(())) => flags.has_trace = true,
            (LogName::Defer, Ok(())) => flags.is_deferred = true,
            (LogName::Trace, Err(_)) => {}
            // Without its record a recipient must be tried again, and the message not be returned without it.
            (LogName::Bounce | LogName::Defer, Err(_)) => flags.is_incomplete = true,
        }
        if let Err(trouble) = result {
            step.warn(format!("{id}: {} service failure: {trouble}", pending.log.name()));
        }
        for mut disposition in pending.records {
            match (pending.log, result) {
                (LogName::Bounce, Err(_)) => {
                    disposition.report.outcome = Outcome::Deferred;
                    disposition.report.status = Status::new(Dsn::temporary(3, 0), "bounce service failure");
                    step.log(LogLine::Delivery(
                        disposition.into(),
                        self.settings.delay_logging_resolution_limit,
                    ));
                }
                (LogName::Defer, _) => {
                    step.log(LogLine::Delivery(
                        disposition.into(),
                        self.settings.delay_logging_resolution_limit,
                    ));
                }
                (LogName::Bounce | LogName::Trace, _) => self.finished(step, key, disposition),
            }
        }
        self.settled(key);
    }
}

/// postconf(5) soft_bounce: a final failure is only a delay, and logged as what it is.
fn soften(report: &mut RecipientReport) {
    report.soft_bounce &= report.outcome == Outcome::Bounced;
    if report.soft_bounce {
        report.outcome = Outcome::Deferred;
        report.status.dsn = report.status.dsn.with_class(DsnClass::Temporary);
    }
}

/// Exactly one result for each recipient of the request, with the times that the queue manager knows.
fn complete(request: &Rc<DeliveryRequest>, reports: Vec<RecipientReport>, session: u32) -> Vec<Disposition> {
    let mut seen = vec![false; request.recipients.len()];
    let mut all: Vec<Disposition> = Vec::with_capacity(request.recipients.len());
    let mut add = |report: RecipientReport| {
        if let Some(seen) = seen.get_mut(report.index)
            && !std::mem::replace(seen, true)
        {
            all.push(disposition(request, report, session));
        }
    };
    reports.into_iter().for_each(&mut add);
    for index in 0..request.recipients.len() {
        let status = Status::new(Dsn::temporary(3, 0), "delivery agent gave no status");
        let timing = Timing::default();
        add(RecipientReport::new(index, Outcome::Deferred, status, Relay::None, timing));
    }
    all
}

fn disposition(request: &Rc<DeliveryRequest>, mut report: RecipientReport, session: u32) -> Disposition {
    report.timing.before_active = request.active_since.since(request.message.arrival);
    report.timing.in_queue_manager = request.agent_since.since(request.active_since);
    Disposition { request: Rc::clone(request), report, member: None, session, probe: None }
}
