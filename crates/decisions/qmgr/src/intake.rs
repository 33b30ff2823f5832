//! Which message enters the active queue next: those that were announced and those that scans find, new mail and
//! old mail in turn.

use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use types::{QueueId, QueueName, WallTime};

use crate::{
    core::{Core, Message, MessageFlags, Stage, Step},
    event::{Action, ClaimFailure, Claimed, Found, LogLine, MoreRecipients, Triggers},
    finish::{LOCKED_DELAY, corrupt},
    slab::Key,
};

/// Files that are being opened at the same time: enough to keep the disk busy, few enough to stay responsive.
const CLAIMS_MAX: usize = 32;
/// Names that are asked of a scan at once.
const NAMES_MAX: usize = 64;
/// Recipients that are read of a message at once.
const RECIPIENTS_MAX: i64 = 5000;

/// One queue directory that is being gone through.
struct Scan {
    queue: QueueName,
    names: VecDeque<QueueId>,
    is_asked: bool,
    /// The directory has more.
    is_running: bool,
    /// Somebody asked for a scan, and the present one does not count.
    again: bool,
    restart: bool,
    /// Take everything, whatever its time; for the present scan and for the next.
    all: bool,
    all_again: bool,
}

impl Scan {
    fn new(queue: QueueName) -> Self {
        Self {
            queue,
            names: VecDeque::new(),
            is_asked: false,
            is_running: false,
            again: false,
            restart: false,
            all: false,
            all_again: false,
        }
    }

    fn request(&mut self, all: bool) {
        self.again = true;
        if all {
            self.take_all();
        }
    }

    /// Times do not count, from here on in the present scan, and in the next.
    fn take_all(&mut self) {
        self.all_again = true;
        self.all |= self.is_running;
    }

    fn is_under_way(&self) -> bool {
        self.again || self.is_running || !self.names.is_empty()
    }

    /// Begins the scan that was asked for.
    fn prepare(&mut self) {
        if self.again && !self.is_running && !self.is_asked && self.names.is_empty() {
            self.again = false;
            self.is_running = true;
            self.restart = true;
            self.all = std::mem::take(&mut self.all_again);
        }
    }
}

/// Why a message is being claimed.
#[derive(Clone, Copy)]
struct Why {
    is_fresh: bool,
    /// Found by a scan that takes everything: defer_transports does not count.
    all: bool,
}

/// A file that is being opened.
#[derive(Clone, Copy)]
struct Claim {
    why: Why,
    recipients_max: i64,
}

/// How far new mail was taken up, for those who let in more (postconf(5) in_flow_delay).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intaken {
    /// Messages of `incoming` that were taken up since the start.
    pub count: u64,
    /// There are more, or there may be.
    pub is_behind: bool,
}

/// What waits to become active.
pub(crate) struct Intake {
    arrivals: VecDeque<QueueId>,
    incoming: Scan,
    deferred: Scan,
    claims: HashMap<QueueId, Claim>,
    /// Recipients that the claims under way may bring.
    reserved: i64,
    deferred_first: bool,
    /// Claims of new mail since the start.
    taken: u64,
}

impl Intake {
    pub(crate) fn new() -> Self {
        Self {
            arrivals: VecDeque::new(),
            incoming: Scan::new(QueueName::Incoming),
            deferred: Scan::new(QueueName::Deferred),
            claims: HashMap::new(),
            reserved: 0,
            deferred_first: false,
            taken: 0,
        }
    }

    pub(crate) fn claim_count(&self) -> usize {
        self.claims.len()
    }

    /// As long as `incoming` is being gone through, there may be more in it.
    pub(crate) fn intaken(&self) -> Intaken {
        Intaken { count: self.taken, is_behind: !self.arrivals.is_empty() || self.incoming.is_under_way() }
    }

    /// A new message; when too many wait, the directory is the better memory.
    pub(crate) fn arrived(&mut self, id: QueueId, limit: usize) {
        if self.arrivals.len() < limit {
            self.arrivals.push_back(id);
        } else {
            self.incoming.request(false);
        }
    }

    pub(crate) fn scan_incoming(&mut self) {
        self.incoming.request(false);
    }

    pub(crate) fn scan_deferred(&mut self) {
        self.deferred.request(false);
    }

    pub(crate) fn trigger(&mut self, triggers: Triggers) {
        for (is_asked, scan) in
            [(triggers.incoming, &mut self.incoming), (triggers.deferred, &mut self.deferred)]
        {
            if is_asked {
                scan.request(triggers.all);
            } else if triggers.all {
                scan.take_all();
            }
        }
    }

    /// What an administrator wanted tried whatever its time, and is not claimed yet: nobody else would know.
    pub(crate) fn unfinished_flush(&self) -> Option<Triggers> {
        let is_unfinished =
            |scan: &Scan| scan.all_again || (scan.all && (scan.is_running || !scan.names.is_empty()));
        let triggers = Triggers {
            incoming: is_unfinished(&self.incoming),
            deferred: is_unfinished(&self.deferred),
            all: true,
            forget_dead: false,
        };
        (triggers.incoming || triggers.deferred).then_some(triggers)
    }

    /// Names that a scan found: those whose time has not come are forgotten at once.
    pub(crate) fn scanned(&mut self, wall: WallTime, queue: QueueName, found: Vec<Found>, finished: bool) {
        let scan = match queue {
            QueueName::Incoming => &mut self.incoming,
            QueueName::Deferred => &mut self.deferred,
            _ => return,
        };
        scan.is_asked = false;
        if finished {
            scan.is_running = false;
        }
        let all = scan.all;
        let is_due = |found: &Found| all || found.next_try.seconds <= wall.seconds.saturating_add(1);
        scan.names.extend(found.into_iter().filter(is_due).map(|found| found.id));
    }

    /// The next message: new and deferred mail in turn.
    fn next(&mut self) -> Option<(QueueId, QueueName, Why)> {
        let first = self.deferred_first;
        for is_deferred in [first, !first] {
            let next = if is_deferred { self.next_deferred() } else { self.next_incoming() };
            if next.is_some() {
                self.deferred_first = !is_deferred;
                return next;
            }
        }
        None
    }

    fn next_incoming(&mut self) -> Option<(QueueId, QueueName, Why)> {
        if let Some(id) = self.arrivals.pop_front() {
            return Some((id, QueueName::Incoming, Why { is_fresh: true, all: false }));
        }
        let why = Why { is_fresh: false, all: self.incoming.all };
        self.incoming.names.pop_front().map(|id| (id, QueueName::Incoming, why))
    }

    fn next_deferred(&mut self) -> Option<(QueueId, QueueName, Why)> {
        let why = Why { is_fresh: false, all: self.deferred.all };
        self.deferred.names.pop_front().map(|id| (id, QueueName::Deferred, why))
    }

    /// Fills the active queue as far as it may be filled, and asks for more names.
    pub(crate) fn fill(&mut self, step: &mut Step<'_>, core: &Core) {
        let limit = core.settings.qmgr_message_active_limit;
        while self.claims.len() < CLAIMS_MAX
            && core.messages.len() + self.claims.len() < limit
            && (self.claims.is_empty() || self.room(core) >= RECIPIENTS_MAX)
        {
            let Some((id, from, why)) = self.next() else { break };
            if core.by_id.contains_key(&id) || self.claims.contains_key(&id) {
                continue;
            }
            self.claim(step, core, (id, from), why);
        }
        if core.messages.len() + self.claims.len() >= limit {
            // When room appears, new mail has waited longest.
            self.deferred_first = false;
            return;
        }
        for scan in [&mut self.incoming, &mut self.deferred] {
            scan.prepare();
            if scan.is_running && !scan.is_asked && scan.names.is_empty() {
                scan.is_asked = true;
                let restart = std::mem::take(&mut scan.restart);
                step.act(Action::Scan { queue: scan.queue, restart, names_max: NAMES_MAX });
            }
        }
    }

    /// For how many more recipients there is room while those are kept free that a file which is being opened may have. It is one
    /// file at a time where this is little: each could be the one that needs what is left.
    fn room(&self, core: &Core) -> i64 {
        core.settings.qmgr_message_recipient_limit - core.recipient_count - self.reserved
    }

    fn claim(&mut self, step: &mut Step<'_>, core: &Core, (id, from): (QueueId, QueueName), why: Why) {
        let least = core.settings.qmgr_message_recipient_minimum;
        let recipients_max = self.room(core).max(least).min(RECIPIENTS_MAX);
        self.reserved += recipients_max;
        self.taken += u64::from(from == QueueName::Incoming);
        self.claims.insert(id, Claim { why, recipients_max });
        step.act(Action::Claim { id, from, recipients_max: usize::try_from(recipients_max).unwrap_or(1) });
    }

    fn answered(&mut self, id: QueueId) -> Option<Claim> {
        let claim = self.claims.remove(&id)?;
        self.reserved -= claim.recipients_max;
        Some(claim)
    }

    /// A message was opened.
    pub(crate) fn claimed(&mut self, step: &mut Step<'_>, core: &mut Core, id: QueueId, claimed: Claimed) {
        let Some(Claim { why, .. }) = self.answered(id) else { return };
        if core.is_handing_over {
            return step.act(Action::GiveBack(id));
        }
        let keeps_log = claimed.expire && claimed.has_defer_log;
        if !why.is_fresh && !keeps_log {
            step.act(Action::RemoveDeferLog(id));
        }
        core.begin(step, id, claimed, why);
    }

    /// A message could not be opened. True if it is one of those that were being claimed.
    pub(crate) fn claim_failed(
        &mut self,
        step: &mut Step<'_>,
        core: &Core,
        id: QueueId,
        failure: &ClaimFailure,
    ) -> bool {
        if self.answered(id).is_none() {
            return false;
        }
        match failure {
            ClaimFailure::Gone => {}
            ClaimFailure::Busy => {
                step.log(LogLine::Skipped(id));
                step.act(Action::Defer { id, to: QueueName::Incoming, next_try: step.wall + LOCKED_DELAY });
            }
            ClaimFailure::Corrupt(what) => {
                step.warn(format!("{id}: message rejected: {what}"));
                corrupt(step, id);
            }
            ClaimFailure::Trouble(trouble) => {
                step.warn(format!("{id}: cannot read the queue file, will be tried again: {trouble}"));
                let next_try = step.wall + core.settings.minimal_backoff_time;
                step.act(Action::Defer { id, to: QueueName::Deferred, next_try });
            }
        }
        true
    }
}

impl Core {
    fn begin(&mut self, step: &mut Step<'_>, id: QueueId, claimed: Claimed, why: Why) {
        let verp = self.verp(step, id, &claimed);
        step.log(LogLine::Active(id, Rc::clone(&claimed.message), claimed.recipient_count));
        let mut recipients = claimed.recipients;
        let mut next_offset = claimed.next_offset;
        let mut is_deferred = false;
        if claimed.expire && claimed.has_defer_log {
            // The log says of each of them why it was put off: that is what the sender should read.
            recipients.clear();
            is_deferred = true;
        }
        let is_redirected = claimed.redirect.is_some();
        if let (Some(redirect), Some(first)) = (claimed.redirect, recipients.first_mut()) {
            first.address = redirect;
            recipients.truncate(1);
            next_offset = None;
        }
        let trace = claimed.message.trace;
        self.probe_count += usize::from(trace.is_server_probe());
        let key = self.messages.insert(Message {
            id,
            attributes: claimed.message,
            verp,
            created: claimed.created,
            warn_at: claimed.warn_at,
            content_filter: if is_redirected { Vec::new() } else { claimed.content_filter.into() },
            active_since: step.wall,
            queued_seconds: step.seconds(),
            next_offset,
            is_reading: false,
            unread: i64::try_from(claimed.recipient_count).unwrap_or(i64::MAX),
            recipient_count: 0,
            recipient_limit: self.settings.qmgr_message_recipient_minimum,
            refill_time: step.now,
            outstanding: 0,
            jobs: Vec::new(),
            stage: Stage::Delivering,
            unmarked: Vec::new(),
            flags: MessageFlags {
                has_trace: claimed.has_trace || trace.has_report(),
                is_deferred,
                flush_each: claimed.flush,
                flush_deferred_transports: claimed.flush || why.all,
                expire: claimed.expire,
                may_have_bounce_log: !why.is_fresh,
                ..MessageFlags::default()
            },
        });
        self.by_id.insert(id, key);
        self.resolve(step, key, recipients);
    }

    /// The next recipients of an active message.
    pub(crate) fn more_recipients(&mut self, step: &mut Step<'_>, key: Key<Message>, more: MoreRecipients) {
        let message = &mut self.messages[key];
        message.is_reading = false;
        if self.is_handing_over {
            // These recipients, too, are for the next generation.
            return self.to_finish.push(key);
        }
        message.next_offset = more.next_offset;
        self.resolve(step, key, more.recipients);
        if self.messages[key].next_offset.is_none() {
            self.move_message_limits(key);
        }
    }

    /// Recipients of an active message could not be read: what is under way goes on, the rest is not lost.
    pub(crate) fn read_failed(&mut self, step: &mut Step<'_>, key: Key<Message>, failure: ClaimFailure) {
        let message = &mut self.messages[key];
        message.is_reading = false;
        message.next_offset = None;
        message.unread = 0;
        let id = message.id;
        match failure {
            ClaimFailure::Gone => message.flags.is_gone = true,
            ClaimFailure::Corrupt(what) => {
                message.flags.is_corrupt = true;
                step.warn(format!("{id}: message rejected: {what}"));
            }
            ClaimFailure::Busy => message.flags.is_incomplete = true,
            ClaimFailure::Trouble(trouble) => {
                message.flags.is_incomplete = true;
                step.warn(format!("{id}: cannot read more recipients, will be tried again: {trouble}"));
            }
        }
        self.move_message_limits(key);
        self.to_finish.push(key);
    }
}
