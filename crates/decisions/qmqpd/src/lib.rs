//! qmqpd(8) as a machine: one message from a trusted client, in netstrings, and one reply.
//!
//! ```text
//!  length ':' content ',' sender ',' recipient ',' ... ','      K queued   Z again later   D never
//! ```
//!
//! [`Session`] does no I/O and has no clock: a shell loop calls [`Session::step`] and does what the [`Action`] says.
//! The content comes before the envelope, so it is held in memory until both are there (postconf(5)
//! `message_size_limit`).
//!
//! Diagnostics: connections, messages and failures are logged as Postfix logs them. Trouble of ours is `Z`: the client
//! keeps its mail. Nothing panics on any input.

mod message;
mod netstring;
mod session;
mod settings;

pub use message::{Message, Record, Records};
pub use session::{Action, Session};
pub use settings::QmqpdSettings;
