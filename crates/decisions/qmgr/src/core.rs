//! The active queue: its items, and how they hang together.
//!
//! ```text
//! Message ─┬─ Job (one for each transport) ─┬─ Peer (one for each destination) ─┬─ Entry (recipients of one request)
//! Transport┴─ jobs in order of service      │                                   │
//! Transport ──── Destination ───────────────┴─ todo: entries in order of arrival┘
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use types::{
    DeliveryRequest, Instant, MessageAttributes, QueueId, Recipient, Status, VerpDelimiters, WallTime,
};

use crate::{
    destination::Destination,
    event::{Action, Append, Disposition, LogLine, LogName, Notice, Ticket},
    settings::{SchedulerSettings, TransportSettings},
    slab::{Key, Link, List, Slab},
};

/// Where a message is on its way through the active queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Delivering,
    Notifying(Notice),
}

/// One active message.
pub(crate) struct Message {
    pub(crate) id: QueueId,
    pub(crate) attributes: Rc<MessageAttributes>,
    /// Each recipient's copy has a sender of its own, so each goes alone.
    pub(crate) verp: Option<VerpDelimiters>,
    pub(crate) created: WallTime,
    pub(crate) warn_at: Option<WallTime>,
    pub(crate) content_filter: Vec<u8>,
    pub(crate) active_since: WallTime,
    /// Seconds of the monotonic clock: jobs are served in this order.
    pub(crate) queued_seconds: u64,
    pub(crate) next_offset: Option<u64>,
    pub(crate) is_reading: bool,
    /// An estimate of the recipients that were not read yet.
    pub(crate) unread: i64,
    /// Recipients in memory, and how many may be.
    pub(crate) recipient_count: i64,
    pub(crate) recipient_limit: i64,
    pub(crate) refill_time: Instant,
    /// Entries, resolutions and log records that are not finished.
    pub(crate) outstanding: u32,
    pub(crate) jobs: Vec<Key<Job>>,
    pub(crate) stage: Stage,
    /// Done, but not marked in the file yet.
    pub(crate) unmarked: Vec<u64>,
    pub(crate) flags: MessageFlags,
}

#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct MessageFlags {
    /// Some recipient must be tried again.
    pub(crate) is_deferred: bool,
    /// Something is not known or not recorded: the message must neither be removed nor returned now.
    pub(crate) is_incomplete: bool,
    pub(crate) is_corrupt: bool,
    pub(crate) is_gone: bool,
    /// Recipients of it are left for the next generation.
    pub(crate) is_handed_over: bool,
    /// Dead destinations are tried for this message.
    pub(crate) flush_each: bool,
    /// defer_transports does not count.
    pub(crate) flush_deferred_transports: bool,
    pub(crate) expire: bool,
    pub(crate) may_have_bounce_log: bool,
    pub(crate) has_trace: bool,
}

/// One message's mail for one transport.
pub(crate) struct Job {
    pub(crate) message: Key<Message>,
    pub(crate) transport: usize,
    pub(crate) in_order: Link<Self>,
    pub(crate) by_time: Link<Self>,
    pub(crate) peers: List<Peer>,
    pub(crate) stack_parent: Option<Key<Self>>,
    pub(crate) stack_children: Vec<Key<Self>>,
    /// `None`: not on the transport's lists.
    pub(crate) stack_level: Option<u32>,
    pub(crate) blocker_tag: u64,
    pub(crate) slots_used: i64,
    pub(crate) slots_available: i64,
    pub(crate) selected_entries: i64,
    pub(crate) read_entries: i64,
    pub(crate) recipient_count: i64,
    pub(crate) recipient_limit: i64,
}

impl Job {
    pub(crate) fn has_entries(&self) -> bool {
        self.selected_entries < self.read_entries
    }
}

/// One message's mail for one destination.
pub(crate) struct Peer {
    pub(crate) job: Key<Job>,
    pub(crate) destination: Key<Destination>,
    pub(crate) link: Link<Self>,
    /// Waiting.
    pub(crate) entries: List<Entry>,
    /// Waiting and with an agent.
    pub(crate) entry_count: u32,
}

/// Recipients that go to an agent together.
pub(crate) struct Entry {
    pub(crate) message: Key<Message>,
    pub(crate) peer: Key<Peer>,
    pub(crate) destination: Key<Destination>,
    pub(crate) in_peer: Link<Self>,
    pub(crate) in_destination: Link<Self>,
    pub(crate) recipients: Vec<Recipient>,
    /// While an agent has it.
    pub(crate) request: Option<Rc<DeliveryRequest>>,
    /// Indices of those of its recipients that have the message already.
    pub(crate) ended: Vec<usize>,
}

/// One delivery service.
pub(crate) struct Transport {
    pub(crate) name: types::Transport,
    pub(crate) settings: TransportSettings,
    pub(crate) destinations: HashMap<Vec<u8>, Key<Destination>>,
    pub(crate) busy_count: u32,
    pub(crate) throttled: Option<Status>,
    pub(crate) timer_serial: u64,
    pub(crate) is_rate_locked: bool,
    pub(crate) jobs: List<Job>,
    pub(crate) jobs_by_time: List<Job>,
    pub(crate) job_current: Option<Key<Job>>,
    pub(crate) job_next_unread: Option<Key<Job>>,
    /// The last answer of the search for a preempting job: for which job, in which second, which.
    pub(crate) candidate: Option<(Key<Job>, u64, Option<Key<Job>>)>,
    pub(crate) blocker_tag: u64,
    pub(crate) recipients_unused: i64,
}

/// What a log append was for.
pub(crate) struct PendingAppend {
    pub(crate) message: Key<Message>,
    pub(crate) log: LogName,
    pub(crate) records: Vec<Disposition>,
    /// For a report beside what else is done about them.
    pub(crate) is_extra: bool,
}

/// What a timer is for; conditions carry the serial number that makes old timers void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    DeferredScan,
    Transport(usize, u64),
    TransportRate(usize),
    Destination(Key<Destination>, u64),
}

/// Timers in order of time, and of setting when the time is the same.
#[derive(Default)]
pub(crate) struct Timers {
    queue: BTreeMap<(Instant, u64), Wake>,
    serial: u64,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Instant, wake: Wake) {
        self.serial += 1;
        self.queue.insert((at, self.serial), wake);
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn due(&mut self, now: Instant) -> Option<Wake> {
        let first = self.queue.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// The arguments of one step.
pub(crate) struct Step<'a> {
    pub(crate) now: Instant,
    pub(crate) wall: WallTime,
    pub(crate) actions: &'a mut Vec<Action>,
}

impl Step<'_> {
    pub(crate) fn seconds(&self) -> u64 {
        self.now.as_nanos() / 1_000_000_000
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn log(&mut self, line: LogLine) {
        self.actions.push(Action::Log(line));
    }

    pub(crate) fn warn(&mut self, text: String) {
        self.log(LogLine::Warning(text));
    }
}

/// The active queue.
pub(crate) struct Core {
    pub(crate) settings: SchedulerSettings,
    pub(crate) messages: Slab<Message>,
    pub(crate) by_id: HashMap<QueueId, Key<Message>>,
    pub(crate) jobs: Slab<Job>,
    pub(crate) peers: Slab<Peer>,
    pub(crate) peer_of: HashMap<(Key<Job>, Key<Destination>), Key<Peer>>,
    pub(crate) entries: Slab<Entry>,
    pub(crate) destinations: Slab<Destination>,
    pub(crate) destinations_made: u64,
    pub(crate) transports: Vec<Transport>,
    pub(crate) transport_of: HashMap<types::Transport, usize>,
    pub(crate) deliveries: HashMap<Ticket, Key<Entry>>,
    pub(crate) appends: HashMap<Ticket, PendingAppend>,
    pub(crate) tickets: u64,
    pub(crate) recipient_count: i64,
    /// Active messages that are probes of verify(8).
    pub(crate) probe_count: usize,
    /// Messages of which something may be finished, and messages with unmarked recipients.
    pub(crate) to_finish: Vec<Key<Message>>,
    pub(crate) to_mark: Vec<Key<Message>>,
    pub(crate) timers: Timers,
    /// The next generation takes over: nothing is begun any more.
    pub(crate) is_handing_over: bool,
}

impl Core {
    pub(crate) fn new(settings: SchedulerSettings) -> Self {
        Self {
            settings,
            messages: Slab::new(),
            by_id: HashMap::new(),
            jobs: Slab::new(),
            peers: Slab::new(),
            peer_of: HashMap::new(),
            entries: Slab::new(),
            destinations: Slab::new(),
            destinations_made: 0,
            transports: Vec::new(),
            transport_of: HashMap::new(),
            deliveries: HashMap::new(),
            appends: HashMap::new(),
            tickets: 0,
            recipient_count: 0,
            probe_count: 0,
            to_finish: Vec::new(),
            to_mark: Vec::new(),
            timers: Timers::default(),
            is_handing_over: false,
        }
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// The transport of this name, made when first seen.
    pub(crate) fn transport(&mut self, name: &types::Transport) -> usize {
        if let Some(&at) = self.transport_of.get(name) {
            return at;
        }
        let settings = self.settings.transport(name.as_str());
        let at = self.transports.len();
        self.transports.push(Transport {
            name: name.clone(),
            destinations: HashMap::new(),
            busy_count: 0,
            throttled: None,
            timer_serial: 0,
            is_rate_locked: false,
            jobs: List::default(),
            jobs_by_time: List::default(),
            job_current: None,
            job_next_unread: None,
            candidate: None,
            blocker_tag: 1,
            recipients_unused: settings.recipient_limit,
            settings,
        });
        self.transport_of.insert(name.clone(), at);
        at
    }

    /// Hands records to a log; the message waits for the answer.
    pub(crate) fn append(
        &mut self,
        step: &mut Step<'_>,
        key: Key<Message>,
        (log, is_extra): (LogName, bool),
        records: Vec<Disposition>,
    ) {
        let ticket = self.ticket();
        let message = &mut self.messages[key];
        message.outstanding += 1;
        let id = message.id;
        self.appends.insert(ticket, PendingAppend { message: key, log, records: records.clone(), is_extra });
        step.act(Action::Append(Append { ticket, id, log, records }));
    }

    /// One thing less to wait for.
    pub(crate) fn settled(&mut self, key: Key<Message>) {
        let message = &mut self.messages[key];
        message.outstanding = message.outstanding.saturating_sub(1);
        if message.outstanding == 0 {
            self.to_finish.push(key);
        }
    }
}
