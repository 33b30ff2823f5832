//! What the shell tells the scheduler, and what the scheduler wants done.

use std::{fmt, rc::Rc, time::Duration};

use bstr::BString;
use maillog::Probe;
use types::{
    Address, DeliveryReport, DeliveryRequest, MessageAttributes, Outcome, QueueId, QueueName, Recipient,
    RecipientReport, Resolved, SuccessAction, Trouble, VerpDelimiters, WallTime,
};

/// Names something that is under way; the shell gives it back with the answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A queue file that a scan came across: its name and modification time, nothing else was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Message.
    pub id: QueueId,
    /// Not before this time (the file's modification time).
    pub next_try: WallTime,
}

/// A message that was moved to the active queue and opened: its envelope and the first of its recipients.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// What agents need to know.
    pub message: Rc<MessageAttributes>,
    /// When the message was made (`C` record), or it arrived where there is none: its age counts from here.
    pub created: WallTime,
    /// When a delay warning is due (`W` record), if one is wanted.
    pub warn_at: Option<WallTime>,
    /// `content_filter` of the message (`L` record), `transport:nexthop`; empty if none.
    pub content_filter: BString,
    /// Deliver to this address instead of all recipients (`>` record).
    pub redirect: Option<Address>,
    /// VERP delimiters (`V` record), as they stand there.
    pub verp_delimiters: Option<BString>,
    /// Recipients not yet done, in file order, at most as many as were asked for.
    pub recipients: Vec<Recipient>,
    /// Where to read on when there are more recipients.
    pub next_offset: Option<u64>,
    /// A recipient's sender wants to hear of success: there may be a log of those, made when the message was.
    pub has_trace: bool,
    /// How many recipients the size record counts (`nrcpt=` of the log).
    pub recipient_count: u64,
    /// The file's mode asked to forget what is known of dead destinations (`postqueue -i`, `-s`).
    pub flush: bool,
    /// The file's mode asked to return the message now (`postsuper -e`, `-f`).
    pub expire: bool,
    /// There is a defer log from an earlier attempt. Only asked when `expire` is set; else leave it false.
    pub has_defer_log: bool,
}

/// The next recipients of a message that is active.
#[derive(Clone, Debug, Default)]
pub struct MoreRecipients {
    /// Recipients not yet done, in file order, at most as many as were asked for.
    pub recipients: Vec<Recipient>,
    /// Where to read on when there are more.
    pub next_offset: Option<u64>,
}

/// Why a message or its recipients could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimFailure {
    /// The file is not there: somebody else moved or deleted it. Normal.
    Gone,
    /// Another process holds its lock.
    Busy,
    /// The content cannot be understood.
    Corrupt(String),
    /// The file could not be read now.
    Trouble(Trouble),
}

/// A recipient with the answer of address resolution.
#[derive(Clone, Debug)]
pub struct Routed {
    /// As it was handed out by [`Action::Resolve`].
    pub recipient: Recipient,
    /// Where it goes, or why that could not be found out.
    pub answer: Result<Resolved, Trouble>,
}

/// Why a delivery agent gave no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentFailure {
    /// It could not be reached; nothing was delivered.
    Unavailable,
    /// It took the request and went away without an answer.
    Died,
    /// Nothing was delivered, as the message is not in the active queue any more: somebody has removed it, held it or put it
    /// back into maildrop.
    Gone,
}

/// What somebody asks for at the queue manager's trigger (qmgr(8)); requests add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent requests, a letter each")]
pub struct Triggers {
    /// `I`: look into `incoming`.
    pub incoming: bool,
    /// `D`: look into `deferred`.
    pub deferred: bool,
    /// `A`: the scans take everything, whatever its time.
    pub all: bool,
    /// `F`: forget what is known of dead destinations.
    pub forget_dead: bool,
}

impl Triggers {
    /// Something may be in `incoming` (the wake-up of master.cf, `postdrop`, an administrator's move).
    pub const INCOMING: Self = Self { incoming: true, deferred: false, all: false, forget_dead: false };

    /// Try everything now (`postqueue -f`).
    pub const FLUSH: Self = Self { incoming: true, deferred: true, all: true, forget_dead: true };

    /// Adds a request by its letter; letters that mean nothing are ignored, as in Postfix. `W` is master's wake-up.
    pub fn add(&mut self, letter: u8) {
        match letter {
            b'I' | b'W' => self.incoming = true,
            b'D' => self.deferred = true,
            b'A' => self.all = true,
            b'F' => self.forget_dead = true,
            _ => {}
        }
    }

    /// Both requests.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            incoming: self.incoming || other.incoming,
            deferred: self.deferred || other.deferred,
            all: self.all || other.all,
            forget_dead: self.forget_dead || other.forget_dead,
        }
    }

    /// The letters that ask for this.
    #[must_use]
    pub fn letters(self) -> Vec<u8> {
        let letters =
            [(self.deferred, b'D'), (self.forget_dead, b'F'), (self.incoming, b'I'), (self.all, b'A')];
        letters.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, letter)| letter).collect()
    }
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The process has just begun: what a predecessor left in `active` goes back to `incoming`, then both queues are scanned.
    Started,
    /// A message was committed to `incoming` by this system a moment ago. May be lost: a scan finds it too.
    Arrived(QueueId),
    /// Somebody asks for something.
    Trigger(Triggers),
    /// Answer to [`Action::Scan`].
    Scanned {
        /// Which queue.
        queue: QueueName,
        /// The next names, at most as many as were asked for; any order.
        found: Vec<Found>,
        /// The directory has no more.
        finished: bool,
    },
    /// Answer to [`Action::Claim`].
    Claimed(QueueId, Box<Claimed>),
    /// Answer to [`Action::Claim`] or [`Action::ReadRecipients`]. After `Busy` or `Trouble` the file is in `active`.
    ClaimFailed(QueueId, ClaimFailure),
    /// Answer to [`Action::ReadRecipients`].
    MoreRecipients(QueueId, MoreRecipients),
    /// Answer to [`Action::Resolve`]: the same recipients, in the same order.
    Resolved(QueueId, Vec<Routed>),
    /// Answer to [`Action::Deliver`].
    Report(Ticket, DeliveryReport),
    /// Before the answer to [`Action::Deliver`]: some recipients have got the message, and the agent is still busy with
    /// others, which may take long. What else the report says is not looked at.
    Progress(Ticket, DeliveryReport),
    /// Other answer to [`Action::Deliver`].
    AgentFailed(Ticket, AgentFailure),
    /// Answer to [`Action::Append`], after the records are on stable storage (bounce) or written (others).
    Appended(Ticket, Result<(), Trouble>),
    /// Answer to [`Action::Notify`], after every notification is committed and the log that it was made from is removed;
    /// also when there was nothing to send.
    Notified(QueueId, Result<(), Trouble>),
    /// The next generation takes over: what agents are busy with is finished, everything else is given back.
    /// [`active_count`](crate::Scheduler::active_count) tells how much is left.
    HandOver,
    /// [`wake_at`](crate::Scheduler::wake_at) has come.
    Timer,
}

/// The per-message logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogName {
    /// `bounce/`: final failures. Records must be synced before the answer.
    Bounce,
    /// `defer/`: what was put off.
    Defer,
    /// `trace/`: successes that the sender wants to hear of.
    Trace,
}

impl LogName {
    /// The name of the directory and of the service.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Defer => "defer",
            Self::Trace => "trace",
        }
    }

    /// The `action` of a record: failed, delayed, and of a success delivered or relayed.
    #[must_use]
    pub const fn action(self, success: SuccessAction) -> &'static str {
        match (self, success) {
            (Self::Bounce, _) => "failed",
            (Self::Defer, _) => "delayed",
            (Self::Trace, SuccessAction::Delivered) => "delivered",
            (Self::Trace, SuccessAction::Relayed | SuccessAction::HandedOn | SuccessAction::Nothing) => {
                "relayed"
            }
        }
    }
}

/// What became of one recipient of a request.
#[derive(Clone, Debug)]
pub struct Disposition {
    /// The request that it was part of.
    pub request: Rc<DeliveryRequest>,
    /// Index, outcome, status, relay, timing.
    pub report: RecipientReport,
    /// One of the addresses that the recipient stands for, when it is about that one.
    pub member: Option<Box<Recipient>>,
    /// The number in brackets of the delivery's log lines; 0 if it has none yet.
    pub session: u32,
    /// Nothing was delivered: it was asked what would happen.
    pub probe: Option<Probe>,
}

impl Disposition {
    /// The `action` of its record in a log.
    #[must_use]
    pub fn action(&self, log: LogName) -> &'static str {
        match (log, self.report.outcome) {
            (LogName::Trace, Outcome::Sent) if self.probe.is_some() => "deliverable",
            (LogName::Trace, _) if self.probe.is_some() => "undeliverable",
            (LogName::Trace, Outcome::Bounced) => LogName::Bounce.action(self.report.success),
            (LogName::Trace, Outcome::Deferred) => LogName::Defer.action(self.report.success),
            _ => log.action(self.report.success),
        }
    }

    /// The recipient.
    #[must_use]
    pub fn recipient(&self) -> Option<&Recipient> {
        self.member.as_deref().or_else(|| self.request.recipients.get(self.report.index))
    }
}

/// Records for one log of one message.
#[derive(Clone, Debug)]
pub struct Append {
    /// To be given back.
    pub ticket: Ticket,
    /// Message.
    pub id: QueueId,
    /// Which log.
    pub log: LogName,
    /// What to write.
    pub records: Vec<Disposition>,
}

/// Which notification is due. What it says and who gets it is decided by the `bounce` crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// From the bounce log.
    Failure,
    /// The message is too old: a failure notice from the defer log.
    Expired,
    /// From the defer log, which stays.
    Delay,
    /// From the trace log.
    Success,
    /// From the trace log of a message whose sender wants to know what happens, or would happen.
    Report,
}

/// A line for the mail log.
#[derive(Clone, Debug)]
pub enum LogLine {
    /// `from=<..>, size=.., nrcpt=.. (queue active)`
    Active(QueueId, Rc<MessageAttributes>, u64),
    /// One recipient's result, logged by the service of its transport; delay_logging_resolution_limit.
    Delivery(Box<Disposition>, u8),
    /// `status=expired, returned to sender`
    Expired(QueueId, Rc<MessageAttributes>),
    /// `status=force-expired, returned to sender`
    ForceExpired(QueueId, Rc<MessageAttributes>),
    /// `removed`
    Removed(QueueId),
    /// `skipped, still being delivered`
    Skipped(QueueId),
    /// Something is wrong; service goes on.
    Warning(String),
}

impl LogLine {
    /// The event to log; `None` for a [`LogLine::Warning`], which goes to `Logger::warning`.
    #[must_use]
    pub fn event(&self) -> Option<maillog::Event<'_>> {
        use maillog::QmgrEvent;
        Some(maillog::Event::Qmgr(match self {
            Self::Active(id, message, recipients) => QmgrEvent::Active {
                id: *id,
                sender: &message.sender,
                size_bytes: message.size_bytes,
                recipients: *recipients,
            },
            Self::Expired(id, message) => QmgrEvent::Expired(*id, &message.sender),
            Self::ForceExpired(id, message) => QmgrEvent::ForceExpired(*id, &message.sender),
            Self::Removed(id) => QmgrEvent::Removed(*id),
            Self::Skipped(id) => QmgrEvent::Skipped(*id),
            Self::Warning(_) => return None,
            Self::Delivery(done, decimals) => {
                let report = &done.report;
                return Some(maillog::Event::Delivery(maillog::DeliveryEvent {
                    id: done.request.queue_id,
                    recipient: done.recipient()?,
                    relay: &report.relay,
                    connection_uses: report.connection_uses,
                    timing: report.timing,
                    delay: total(&report.timing),
                    outcome: report.outcome,
                    is_soft_bounce: report.soft_bounce,
                    probe: done.probe,
                    status: &report.status,
                    delay_logging_resolution_limit: *decimals,
                }));
            }
        }))
    }
}

fn total(timing: &types::Timing) -> Duration {
    timing.before_active + timing.in_queue_manager + timing.connection + timing.transmission
}

/// What to do, in this order.
#[derive(Clone, Debug)]
pub enum Action {
    /// Move every file of `active` to `incoming` (left by a process that ended) and give it the present time as its
    /// modification time: one that was flushed before its time would not be found else.
    ReturnActive,
    /// Give the next names of a queue: [`Event::Scanned`]. `restart` means from the directory's beginning.
    Scan {
        /// Which queue.
        queue: QueueName,
        /// Open the directory anew.
        restart: bool,
        /// At most so many names.
        names_max: usize,
    },
    /// Move the file to `active`, lock it and read it: [`Event::Claimed`] or [`Event::ClaimFailed`].
    Claim {
        /// Message.
        id: QueueId,
        /// Where it should be (a flushed message may have moved; then `Gone` is right).
        from: QueueName,
        /// At most so many recipients.
        recipients_max: usize,
    },
    /// Read on: [`Event::MoreRecipients`] or [`Event::ClaimFailed`].
    ReadRecipients {
        /// Message.
        id: QueueId,
        /// Where.
        offset: u64,
        /// At most so many.
        recipients_max: usize,
    },
    /// Remove what an earlier attempt left in `defer/`; it need not be there. No answer.
    RemoveDeferLog(QueueId),
    /// Find transport and next hop of each: [`Event::Resolved`].
    Resolve {
        /// Message.
        id: QueueId,
        /// Its attributes: the sender counts in sender-dependent routing.
        message: Rc<MessageAttributes>,
        /// Whom; come back with the answer.
        recipients: Vec<Recipient>,
    },
    /// Deliver: [`Event::Report`] or [`Event::AgentFailed`].
    Deliver(Ticket, Rc<DeliveryRequest>),
    /// Write a log line. No answer.
    Log(LogLine),
    /// Mark the recipients at these offsets as done (one byte each). No answer.
    MarkDone(QueueId, Vec<u64>),
    /// Append to a log of the message: [`Event::Appended`].
    Append(Append),
    /// Make and commit the notifications that are due: [`Event::Notified`].
    Notify {
        /// Message.
        id: QueueId,
        /// Which.
        notice: Notice,
        /// Its attributes.
        message: Rc<MessageAttributes>,
        /// Each recipient has a notification of its own, to the sender of its copy.
        verp: Option<VerpDelimiters>,
    },
    /// Tell verify(8) what became of a probe's recipient. No answer.
    Probed(Disposition),
    /// The report was sent: kill the record that asked for it. No answer.
    ClearReport(QueueId),
    /// The delay warning was sent: erase the `W` record. No answer.
    ClearWarning(QueueId),
    /// Move to `deferred` with this modification time and let go of
    /// the file. No answer.
    Defer {
        /// Message.
        id: QueueId,
        /// The directory: `deferred`, or `incoming` for a file that another process had locked.
        to: QueueName,
        /// Its modification time.
        next_try: WallTime,
    },
    /// Move to `corrupt` and let go of the file. No answer.
    SetAside(QueueId),
    /// Remove the file: every recipient is done. The marks that came just before are needed only if somebody has moved the
    /// file meanwhile; then it is not logged as removed. No answer.
    Remove(QueueId),
    /// Let go of the file; it is not in `active` any more. No answer.
    Forget(QueueId),
    /// Move back to `incoming`, for the next generation, with the present time if its time has not come, and let go of the
    /// file. No answer.
    GiveBack(QueueId),
    /// Ask the next generation for what this one was asked for and has not done. No answer.
    PassOn(Triggers),
}
