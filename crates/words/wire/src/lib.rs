//! Wire formats as values and state machines without I/O: bytes in, meaning out.
//!
//! Server side of SMTP: [`line`] finds command lines, [`command`] splits them as Postfix does without
//! allocation, [`data`] and [`bdat`] read message content. [`attr`] is the attribute protocol of
//! Postfix's UNIX-domain sockets, and [`proxymap`] what is said in it about tables. [`proxy`] is what HAProxy says before a
//! connection that it passes on. [`xtext`] is how values stand in commands.
//! A [`Transcript`] keeps what was said in a session. [`policy`] is what the SMTP server and policy servers say to each other.
//!
//! Nothing here logs or fails except by returning a value; nothing panics on any bytes.

pub mod attr;
pub mod bdat;
pub mod command;
pub mod data;
mod ehlo;
pub mod line;
mod line_ends;
pub mod policy;
pub mod proxy;
pub mod proxymap;
pub mod reply_reader;
mod transcript;
pub mod verify;
pub mod xtext;

pub use ehlo::EhloKeywords;
pub use line_ends::BareNewline;
pub use reply_reader::{Progress, ReplyReader, ServerReply, printable};
pub use transcript::Transcript;
