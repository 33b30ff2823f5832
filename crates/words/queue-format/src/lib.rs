//! Postfix's queue-file format and the format of its bounce, defer and trace logs.
//!
//! A queue file is a sequence of records: a type byte, a length in groups of seven bits (low group first, high
//! bit says that more follow), data. [`Writer`] makes them, [`Reader`] takes them apart without trusting a
//! single length, [`Envelope`] gives them meaning. Bytes and sections are drawn in `docs/queue.md`.
//!
//! Nothing here opens a file: bytes come from a [`Source`].
//!
//! Diagnostics: a malformed file is [`ReadError::Malformed`] with the offset and the record (the message belongs
//! into the `corrupt` queue); a source that fails is [`ReadError::Io`] (try again later). Nothing panics.

mod delivery_log;
mod envelope;
mod reader;
mod record;
mod writer;

pub use delivery_log::{LogEntry, LogReader};
pub use envelope::{Envelope, RecipientBatch, RecipientEntry, RecipientState, Recipients, WarnTime};
pub use reader::{ReadError, Reader, Source};
pub use record::{Record, RecordType, Sizes, parse_time, split_attribute};
pub use writer::{Writer, encode_record};
