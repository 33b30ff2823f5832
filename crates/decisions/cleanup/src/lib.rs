//! cleanup(8): the queue file of a new message.
//!
//! ```text
//! Start ─▶ record / open_smtp ─▶ recipient* ─▶ begin_content ─▶ content* ─▶ end_content ─▶ finish ─▶ Verdict
//!                                         │
//!                                         └─▶ queue_format::Writer: C T A.. S A.. O R.. M N.. X A.. E
//! ```
//!
//! It completes and rewrites addresses (trivial-rewrite, canonical and masquerade, virtual aliases, automatic
//! BCC), adds headers that are missing, drops those that must not travel, counts hops, and keeps limits. Bytes of
//! the queue file collect in [`Cleanup::writer`]; who owns the file takes them from there at any time.
//!
//! Only address work is asynchronous (tables may have to be asked); a line of a body is copied once and
//! costs no task switch.
//!
//! Diagnostics: `message-id=` lines, and warnings for what was wrong with a message or a table. Trouble with a
//! table makes the whole message a [`Verdict::Refuse`] with a 4xx: it is never half expanded. Nothing panics.

mod address;
mod content;
mod envelope;
mod headers;
mod maildrop;
mod missing;
mod qmqp;
mod received;
mod recipients;
mod service;
mod settings;
mod status;

pub use qmqp::QmqpClient;
pub use received::{ForwardedClient, SmtpClient, SmtpServer};
pub use service::CleanupService;
pub use settings::{Classes, CleanupSettings, ClientSettings};
pub use status::{Fault, Refusal, SizePatch, Verdict};

use bstr::BString;
use content::Content;
use envelope::Envelope;
use maillog::{CleanupEvent, Event, Logger};
use message::LocalZone;
use queue_format::{LogEntry, RecordType, Sizes, Writer};
use rewrite::Context;
use status::Errors;
use std::rc::Rc;
use types::{Address, QueueId, SendOptions, WallTime};

/// Where a message comes from: what is done to it follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An SMTP client.
    Smtpd,
    /// A QMQP client.
    Qmqpd,
    /// The sendmail command, through maildrop.
    Pickup,
    /// Mail forwarded by local delivery, with its own address work only.
    Forward,
    /// A notification of ours.
    Bounce,
    /// A session that the postmaster is told of.
    Notify,
    /// A probe of verify(8).
    Verify,
}

/// What is known when a message begins.
pub struct Start {
    /// When the message began to arrive (MAIL FROM).
    pub arrival: WallTime,
    /// When its queue file was made; also the time in a message id of ours.
    pub created: WallTime,
    /// The zone for dates in headers.
    pub zone: LocalZone,
    /// The message.
    pub id: QueueId,
    /// Who submits it.
    pub source: Source,
    /// The settings of that service.
    pub client: Rc<ClientSettings>,
    /// The client asked for SMTPUTF8.
    pub is_smtputf8: bool,
    /// Where log lines of this message go.
    pub logger: Logger,
}

/// What may be done to this message.
#[derive(Clone, Copy, Debug)]
struct Permissions {
    maps_addresses: bool,
    adds_bcc: bool,
    /// Errors that are the sender's fault go to the sender as mail.
    bounces: bool,
    detects_smtputf8: bool,
}

/// One message on its way into the queue.
pub struct Cleanup {
    service: Rc<CleanupService>,
    start: Start,
    may: Permissions,
    out: Writer,
    envelope: Envelope,
    content: Content,
    errors: Errors,
    /// Why, when it is more than [`Errors`] says; `status text`.
    reason: Option<String>,
    send_options: SendOptions,
    /// For the trace log: aliases whose senders want to hear of success.
    expanded: Vec<LogEntry>,
    /// Hints for the queue manager, for the size record.
    qmgr_flags: u32,
    is_discarded: bool,
    is_held: bool,
}

impl Cleanup {
    /// Begins a message. A place for the size record is written at once.
    #[must_use]
    pub fn new(service: Rc<CleanupService>, start: Start) -> Self {
        let settings = service.settings();
        let client = &start.client;
        let maps_addresses = client.maps_addresses_of(start.source);
        let may = Permissions {
            maps_addresses,
            adds_bcc: maps_addresses
                && matches!(start.source, Source::Smtpd | Source::Qmqpd | Source::Pickup),
            bounces: matches!(start.source, Source::Pickup | Source::Forward),
            detects_smtputf8: client.detects_smtputf8(start.source) && !start.is_smtputf8,
        };
        let mut out = Writer::with_capacity(16 * 1024);
        out.sizes(&Sizes::default());
        if start.source == Source::Pickup && !client.content_filter.is_empty() {
            out.record(RecordType::FILTER, client.content_filter.as_bytes());
        }
        Self {
            content: Content::new(settings),
            send_options: SendOptions(if start.is_smtputf8 { SendOptions::SMTPUTF8_REQUESTED } else { 0 }),
            service,
            start,
            may,
            out,
            envelope: Envelope::default(),
            errors: Errors::default(),
            reason: None,
            expanded: Vec::new(),
            qmgr_flags: 0,
            is_discarded: false,
            is_held: false,
        }
    }

    /// The bytes of the queue file; take them when they are many.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.out
    }

    /// What belongs into the trace log before the message is accepted; mostly nothing.
    pub fn take_expanded(&mut self) -> Vec<LogEntry> {
        std::mem::take(&mut self.expanded)
    }

    /// The message's id.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.start.id
    }

    /// Whether the recipient of a probe stands for several others: then it exists, and none of them is probed.
    #[must_use]
    pub fn probes_many(&self) -> bool {
        self.envelope.probes_many
    }

    /// Access action DISCARD: pretend to accept, keep nothing.
    pub fn discard(&mut self) {
        self.is_discarded = true;
    }

    /// Access action FILTER: a `transport:destination` that the message goes to first, instead of `content_filter`.
    /// After the content, as the next one.
    pub fn filter(&mut self, destination: &[u8]) {
        if self.is_output_wanted() {
            self.out.record(RecordType::FILTER, destination);
        }
    }

    /// Access action REDIRECT: an address that gets the message instead of all recipients.
    pub fn redirect(&mut self, address: &Address) {
        if self.is_output_wanted() {
            self.out.record(RecordType::REDIRECT, address.as_bytes());
        }
    }

    /// Access action HOLD: goes to the hold queue.
    pub fn hold(&mut self) {
        self.is_held = true;
    }

    /// Whether the message goes to the hold queue.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// Bytes of content that arrived, as `message_size_limit` and the reply to BDAT count them.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.content.received_bytes
    }

    /// Where log lines of this message go.
    #[must_use]
    pub fn logger(&self) -> &Logger {
        &self.start.logger
    }

    fn settings(&self) -> &CleanupSettings {
        self.service.settings()
    }

    /// Whether output still matters: after an error that nothing can mend, input is only read.
    fn is_output_wanted(&self) -> bool {
        !self.is_discarded && !self.errors.stops_output(self.may.bounces)
    }

    fn warn(&self, text: &str) {
        self.start.logger.warning(&format!("{}: {text}", self.start.id));
    }

    fn table_trouble(&mut self, trouble: &types::Trouble) {
        self.warn(&format!("{trouble} -- message not accepted, try again later"));
        self.errors.set(Errors::WRITE);
    }

    fn log(&self, event: CleanupEvent<'_>) {
        self.start.logger.event(&Event::Cleanup(event));
    }
}

/// Whose context header addresses are completed in; `None` leaves headers alone.
type HeaderContext = Option<Context>;

/// A full name, `F` record.
type FullName = Option<BString>;
