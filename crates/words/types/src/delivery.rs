//! What the queue manager hands to a delivery agent, and what comes back.

use crate::{Address, Dsn, NamedAttributes, Nexthop, QueueId, QueueName, Transport, WallTime};
use bstr::{BStr, BString};
use std::time::Duration;

/// How the content is encoded, as the `encoding` attribute of a queue file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyEncoding {
    /// Not stated (treated as 7-bit until a byte says otherwise).
    #[default]
    Unknown,
    /// `7bit`
    SevenBit,
    /// `8bit`
    EightBit,
}

/// Options that travel with a message from client to next server (`sendopts` in a queue file's
/// size record): bit values are Postfix's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions(pub u32);

impl SendOptions {
    /// The client said SMTPUTF8.
    pub const SMTPUTF8_REQUESTED: u32 = 1 << 0;
    /// A header has UTF-8 in it.
    pub const SMTPUTF8_HEADER: u32 = 1 << 1;
    /// The sender address has UTF-8 in it.
    pub const SMTPUTF8_SENDER: u32 = 1 << 2;
    /// A recipient address has UTF-8 in it.
    pub const SMTPUTF8_RECIPIENT: u32 = 1 << 3;

    /// Whether any of the given bits is set.
    #[must_use]
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

/// What is wanted of a message beside, or in place of, its delivery (`trace_flags` in a queue file): bit values are
/// Postfix's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceFlags(pub u32);

impl TraceFlags {
    /// A server asks whether the address exists; nothing is delivered, and verify(8) is told.
    pub const SERVER_PROBE: u32 = 1 << 8;
    /// A user asks what would happen (`sendmail -bv`); nothing is delivered, and the sender is told.
    pub const USER_PROBE: u32 = 1 << 9;
    /// Whatever happens is reported to the sender (`sendmail -v`).
    pub const RECORD: u32 = 1 << 10;

    /// verify(8) wants to know.
    #[must_use]
    pub const fn is_server_probe(self) -> bool {
        self.0 & Self::SERVER_PROBE != 0
    }

    /// Nothing is delivered.
    #[must_use]
    pub const fn is_probe(self) -> bool {
        self.0 & (Self::SERVER_PROBE | Self::USER_PROBE) != 0
    }

    /// The sender gets a report of all recipients.
    #[must_use]
    pub const fn has_report(self) -> bool {
        self.0 & (Self::USER_PROBE | Self::RECORD) != 0
    }
}

/// RFC 3461 NOTIFY, as the bits of a queue file's `dsn_notify_flags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DsnNotify(pub u8);

impl DsnNotify {
    /// NEVER
    pub const NEVER: u8 = 1 << 0;
    /// SUCCESS
    pub const SUCCESS: u8 = 1 << 1;
    /// FAILURE
    pub const FAILURE: u8 = 1 << 2;
    /// DELAY
    pub const DELAY: u8 = 1 << 3;
}

/// RFC 3461 RET.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DsnReturn {
    /// Not asked.
    #[default]
    Unset,
    /// `FULL`
    Full,
    /// `HDRS`
    Headers,
}

/// One envelope recipient of a message in the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// Where to deliver, internal form.
    pub address: Address,
    /// What the client said (`orig_to`), empty if the same is not known.
    pub original: Address,
    /// RFC 3461 ORCPT, `type;address` with the address decoded, empty when absent.
    pub dsn_orcpt: BString,
    /// RFC 3461 NOTIFY.
    pub dsn_notify: DsnNotify,
    /// Offset in bytes of the recipient's record in the queue file: where its done mark goes.
    pub offset: u64,
}

/// The attributes of a message that agents log, export or pass on.
#[derive(Clone, Debug, Default)]
pub struct MessageAttributes {
    /// Arrival (`T` record).
    pub arrival: WallTime,
    /// Envelope sender.
    pub sender: Address,
    /// Content size in bytes, as Postfix counts it (`size=` of the log).
    pub size_bytes: u64,
    /// Offset of the first content record in the queue file.
    pub data_offset: u64,
    /// Content length in bytes from `data_offset` to the end of the content section.
    pub content_bytes: u64,
    /// Body encoding.
    pub encoding: BodyEncoding,
    /// Options that must reach the next server.
    pub send_options: SendOptions,
    /// RFC 3461 ENVID, decoded.
    pub dsn_envid: BString,
    /// RFC 3461 RET.
    pub dsn_return: DsnReturn,
    /// What is wanted beside its delivery.
    pub trace: TraceFlags,
    /// Named attributes (`A` records) such as `log_client_address`, in file order.
    pub named: NamedAttributes,
}

impl MessageAttributes {
    /// The last value of a named attribute.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&BStr> {
        self.named.last(name)
    }
}

/// A batch of recipients of one message for one transport and next hop.
#[derive(Clone, Debug)]
pub struct DeliveryRequest {
    /// Message.
    pub queue_id: QueueId,
    /// Where its file is.
    pub queue_name: QueueName,
    /// Service that delivers.
    pub transport: Transport,
    /// Argument of the service.
    pub nexthop: Nexthop,
    /// Whom to deliver to, at least one.
    pub recipients: Vec<Recipient>,
    /// The message's attributes, shared by all its requests.
    pub message: std::rc::Rc<MessageAttributes>,
    /// When the message entered the active queue.
    pub active_since: WallTime,
    /// When this request was handed to the agent.
    pub agent_since: WallTime,
}

/// The host that answered, for the `relay=` of a log line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Relay {
    /// `none`
    #[default]
    None,
    /// A service of this host: `local`, `virtual`.
    Service(String),
    /// `name[address]:port`
    Host(String),
}

/// Where the time of a delivery went: the `delays=a/b/c/d` of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// a: before the queue manager took it (arrival to active).
    pub before_active: Duration,
    /// b: in the queue manager.
    pub in_queue_manager: Duration,
    /// c: connection set-up, including DNS, HELO and TLS.
    pub connection: Duration,
    /// d: transmission.
    pub transmission: Duration,
}

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done; a `2.x.x` status.
    Sent,
    /// Try again later; `4.x.x`.
    Deferred,
    /// Final failure; `5.x.x`.
    Bounced,
}

/// A status code with its reason, and, when a remote server said it, who.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `dsn=` of the log line.
    pub dsn: Dsn,
    /// The text in parentheses of the log line.
    pub reason: BString,
    /// `Remote-MTA` of a delivery status notification, as `dns; name`.
    pub remote_mta: Option<String>,
    /// `Diagnostic-Code`: type (`smtp`, `x-unix`) and text, when it differs from the reason.
    pub diagnostic: Option<(String, BString)>,
}

impl Status {
    /// A status of our own making.
    pub fn new(dsn: Dsn, reason: impl Into<Vec<u8>>) -> Self {
        Self { dsn, reason: BString::new(reason.into()), remote_mta: None, diagnostic: None }
    }
}

/// What a notification of success says of a recipient, if its sender asked for one (RFC 3461 section 5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SuccessAction {
    /// It is where it belongs.
    #[default]
    Delivered,
    /// It is with a server that notifies nobody.
    Relayed,
    /// The next server notifies; nobody else does.
    HandedOn,
    /// There was nothing to do: nobody hears of it, and the log says nothing.
    Nothing,
}

/// The final word of an agent on one recipient.
#[derive(Clone, Debug)]
pub struct RecipientReport {
    /// Index into the request's recipients.
    pub index: usize,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub status: Status,
    /// Who said so.
    pub relay: Relay,
    /// Where the time went.
    pub timing: Timing,
    /// How many messages the connection has carried with this one; 0 without a connection.
    pub connection_uses: u32,
    /// The agent pretends that it cannot bounce (postconf(5) `soft_bounce`): a final failure is only a delay.
    pub soft_bounce: bool,
    /// What success means.
    pub success: SuccessAction,
    /// Whoever should hear of this failure has a notification already.
    pub is_notified: bool,
    /// What became of each member, when the recipient is an alias: they are logged, and notified of, in its
    /// place. Empty for a recipient that stands for itself.
    pub members: Vec<MemberReport>,
}

impl RecipientReport {
    /// A report on a recipient that stands for itself, without a connection.
    #[must_use]
    pub fn new(index: usize, outcome: Outcome, status: Status, relay: Relay, timing: Timing) -> Self {
        Self {
            index,
            outcome,
            status,
            relay,
            timing,
            connection_uses: 0,
            soft_bounce: false,
            success: SuccessAction::default(),
            is_notified: false,
            members: Vec::new(),
        }
    }
}

/// The final word on one of the addresses that an alias stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberReport {
    /// `to=` and `orig_to=` of the log line, and what its sender asked for.
    pub recipient: Recipient,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub status: Status,
    /// Another transport said so.
    pub passed: Option<Passed>,
    /// The owner of a mailing list has a notification of this failure already, in place of the sender.
    pub is_notified: bool,
}

impl MemberReport {
    /// The word of the agent itself.
    #[must_use]
    pub fn new(recipient: Recipient, outcome: Outcome, status: Status) -> Self {
        Self { recipient, outcome, status, passed: None, is_notified: false }
    }
}

/// The transport that a recipient was handed on to, and what it says of its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Service.
    pub transport: Transport,
    /// Who said so.
    pub relay: Relay,
    /// Where the time went.
    pub timing: Timing,
    /// How many messages the connection has carried with this one.
    pub connection_uses: u32,
    /// That service's soft_bounce.
    pub soft_bounce: bool,
    /// What success means.
    pub success: SuccessAction,
    /// The number in brackets of its log lines; 0 if it has written none.
    pub session: u32,
}

/// The answer to a delivery request: a report for each recipient, and word on the destination.
#[derive(Clone, Debug, Default)]
pub struct DeliveryReport {
    /// Exactly one for each recipient of the request; a recipient without one is deferred.
    pub recipients: Vec<RecipientReport>,
    /// The destination (or, for agents without a next hop, the service) could not be used at all:
    /// the scheduler may throttle it and need not try its other messages now.
    pub destination_unavailable: Option<Status>,
    /// The number in brackets of the log lines that this delivery has written, for those that follow; 0 if it
    /// has written none.
    pub session: u32,
    /// The queue file's content cannot be understood: the message is to be set aside.
    pub is_corrupt: bool,
}
