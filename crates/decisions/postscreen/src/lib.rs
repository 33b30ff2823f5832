//! postscreen(8): tests that a client must pass before the SMTP server talks to it.
//!
//! ```text
//! connect ─▶ access list, cache ─▶ before the greeting ─▶ after it ─▶ refuse, or "come back later"
//!                    │              (waits, DNS lists)     (a small SMTP server of its own)
//!                    └──────────────────┴─▶ HandOver: smtpd goes on with the same connection
//! ```
//!
//! [`Session`] does no I/O: the shell tells it what happened (bytes, silence, answers of DNS lists) and does what the
//! [`Course`] says. [`Screening`] is what the sessions of a service share: settings, tables, and how many there are.
//!
//! Diagnostics: nothing panics on any input. A table that fails decides nothing and is warned about; a client that
//! would have been let through because of it is told to come back.

mod access;
mod engine;
mod floor;
mod footer;
mod lists;
mod outcome;
mod screening;
mod session;
mod settings;
mod standing;

pub use floor::Passing;
pub use lists::{DnsblAnswer, DnsblDomain, Score, Scoring, dnsbl_query};
pub use outcome::{Course, Moment, Results};
pub use screening::Screening;
pub use session::Session;
pub use settings::{Action, DnsblSettings, Settings};
pub use standing::{Expiry, Test, Tests};
