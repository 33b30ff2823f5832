//! Mail log lines are an interface: pflogsumm, fail2ban and twenty years of grok patterns read them.
//!
//! Business code says *what happened* with an [`Event`]; the text is made here and nowhere else.
//! Each area has its module with its events and their rendering side by side. Where a line goes
//! (syslog, `maillog_file`, standard output) is the `logsink` crate's affair, behind [`Sink`].
//!
//! The process number in brackets is a *session number*: unique for each connection or delivery,
//! because log readers group lines by it.

mod address;
mod anvil;
mod bounce;
mod cleanup;
mod delivery;
mod old_default;
mod pickup;
mod postscreen;
mod qmgr;
mod qmqpd;
mod smtpd;

pub use anvil::AnvilEvent;
pub use bounce::Notification;
pub use cleanup::CleanupEvent;
pub use delivery::{DeliveryEvent, Probe};
pub use old_default::OldDefault;
pub use pickup::PickupEvent;
pub use postscreen::{CommandLimit, DnsblogEvent, PostscreenEvent, Screened};
pub use qmgr::QmgrEvent;
pub use qmqpd::QmqpdEvent;
pub use smtpd::{Client, CommandCounts, Sasl, SessionEnd, SmtpdEvent, escaped};

use std::{
    fmt::{self, Write},
    rc::Rc,
};

/// Everything that is logged about mail, by the service that says it.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// SMTP server.
    Smtpd(SmtpdEvent<'a>),
    /// QMQP server.
    Qmqpd(QmqpdEvent<'a>),
    /// Counts of clients.
    Anvil(AnvilEvent<'a>),
    /// What stands before the SMTP server.
    Postscreen(PostscreenEvent<'a>),
    /// Look-ups of DNS lists for it.
    Dnsblog(DnsblogEvent<'a>),
    /// Local submission.
    Pickup(PickupEvent<'a>),
    /// Message clean-up.
    Cleanup(CleanupEvent<'a>),
    /// Queue manager.
    Qmgr(QmgrEvent<'a>),
    /// One recipient's delivery.
    Delivery(DeliveryEvent<'a>),
    /// Delivery status notifications.
    Bounce(Notification),
    /// Any service whose decision rests on a default of an older version.
    OldDefault(OldDefault<'a>),
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smtpd(event) => event.fmt(f),
            Self::Qmqpd(event) => event.fmt(f),
            Self::Anvil(event) => event.fmt(f),
            Self::Postscreen(event) => event.fmt(f),
            Self::Dnsblog(event) => event.fmt(f),
            Self::Pickup(event) => event.fmt(f),
            Self::Cleanup(event) => event.fmt(f),
            Self::Qmgr(event) => event.fmt(f),
            Self::Delivery(event) => event.fmt(f),
            Self::Bounce(event) => event.fmt(f),
            Self::OldDefault(event) => event.fmt(f),
        }
    }
}

/// Postfix's four verbs, and syslog's levels for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Normal operation; no prefix.
    Info,
    /// `warning: `
    Warning,
    /// `error: `
    Error,
    /// `fatal: ` (the process ends).
    Fatal,
    /// `panic: ` (a bug).
    Panic,
}

impl Severity {
    /// What stands before the text.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Info => "",
            Self::Warning => "warning: ",
            Self::Error => "error: ",
            Self::Fatal => "fatal: ",
            Self::Panic => "panic: ",
        }
    }
}

/// A line without its time stamp and host: sinks add what their destination wants.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// How bad.
    pub severity: Severity,
    /// `postfix/smtpd`, `postfix/submission/smtpd`.
    pub tag: &'a str,
    /// The number in brackets.
    pub session: u32,
    /// The text, on one line, without [`Severity::prefix`].
    pub text: &'a str,
}

/// Where lines go. Never blocks for long and never fails: what cannot be written is counted.
pub trait Sink {
    /// Takes one line.
    fn write(&self, line: Line<'_>);
}

/// Room that most lines need no more than.
const LINE_BYTES_USUAL: usize = 256;

/// A sink with the name of a service and a session number.
#[derive(Clone)]
pub struct Logger {
    sink: Rc<dyn Sink>,
    tag: Rc<str>,
    session: u32,
}

impl Logger {
    /// `tag` is `syslog_name/service`.
    pub fn new(sink: Rc<dyn Sink>, tag: &str, session: u32) -> Self {
        Self { sink, tag: tag.into(), session }
    }

    /// The same sink for another service or session.
    #[must_use]
    pub fn for_session(&self, tag: &str, session: u32) -> Self {
        Self::new(Rc::clone(&self.sink), tag, session)
    }

    /// Where the lines go.
    #[must_use]
    pub fn sink(&self) -> Rc<dyn Sink> {
        Rc::clone(&self.sink)
    }

    /// The number in brackets.
    #[must_use]
    pub fn session(&self) -> u32 {
        self.session
    }

    /// Logs what happened.
    pub fn event(&self, event: &Event<'_>) {
        let mut text = String::with_capacity(LINE_BYTES_USUAL);
        // Writing to memory does not fail.
        let _ = write!(text, "{event}");
        self.write(Severity::Info, &text);
    }

    /// Logs a warning: something is wrong, service goes on. The text says what to do about it.
    pub fn warning(&self, text: &str) {
        self.write(Severity::Warning, text);
    }

    /// Logs a line of another severity.
    pub fn write(&self, severity: Severity, text: &str) {
        let clean = Printable::new(text);
        self.sink.write(Line { severity, tag: &self.tag, session: self.session, text: clean.as_str() });
    }
}

/// Foreign bytes as text for a log line: what is unprintable becomes `?`.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() || c == '\u{fffd}' { '?' } else { c }).collect()
}

/// Text with everything unprintable replaced by `?`, as Postfix's log does: nobody can forge a line.
enum Printable<'a> {
    AsIs(&'a str),
    Cleaned(String),
}

impl<'a> Printable<'a> {
    fn new(text: &'a str) -> Self {
        if text.chars().any(char::is_control) {
            Self::Cleaned(text.chars().map(|c| if c.is_control() { '?' } else { c }).collect())
        } else {
            Self::AsIs(text)
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::AsIs(text) => text,
            Self::Cleaned(text) => text,
        }
    }
}
