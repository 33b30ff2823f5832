//! smtpd(8) as a machine: what to read, what to answer, which restriction applies.
//!
//! ```text
//!  bytes ─▶ Session ── Action::Judge(question) ─▶ Judge (tables, DNS, rewrite)
//!  bytes ◀─    │  ◀──────── verdict ─────────────┘
//!              └─ Action::{Open, Begin, Content, End, Abort, Notify} ─▶ cleanup and queue
//! ```
//!
//! [`Session`] does no I/O, has no clock and never waits: a shell loop calls [`Session::step`], does what the
//! [`Action`] says and feeds the result back. [`Judge`] answers the questions that need look-ups; an answer at
//! hand costs no task switch.
//!
//! Diagnostics: the session logs what Postfix logs (connections, rejects, protocol abuse). Nothing panics on
//! any input. Trouble with a table or a server is answered with 4xx and logged by whoever had it.

mod action;
#[cfg(test)]
mod bench;
mod client_limits;
mod effects;
mod forwarded;
mod judge;
mod path;
mod peer;
mod policy_service;
mod question;
mod record;
mod replies;
mod restrictions;
mod session;
mod settings;
mod stress;
mod transaction;
mod unverified;

pub use action::{Action, Refused};
pub use client_limits::{ClientLimits, Counters, EventLimits};
pub use effects::Effects;
pub use forwarded::Forwarded;
pub use judge::{
    FlushService, Flushed, Instance, Judge, NoFlushService, NoPolicyServers, PolicyRequest, PolicyServer,
    PolicyServers, Resolve, StandAlone, Surroundings,
};
pub use peer::{Login, NameStatus, Peer, Unavailable, peer_name};
pub use policy_service::{PolicyEndpoint, PolicyService};
pub use question::{Answer, Ask, Grant, Grants, MailChecks, Question, Standing, Verdict};
pub use record::{Step, Witness};
pub use restrictions::{AccessSubject, DnsListSubject, Restriction, RestrictionLists, Rules, SenderLogin};
pub use session::{Notice, Session};
pub use settings::{Codes, ForbidBareNewline, Limits, Protocol, SmtpdSettings, TempfailAction};
pub use stress::{Load, Stress};
pub use transaction::{Envelope, Transaction};
pub use unverified::{Clock, NoClock, NoVerify, UnverifiedReplies, UnverifiedSettings, Verify};
pub use wire::EhloKeywords;
