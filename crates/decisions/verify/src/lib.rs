//! Which addresses exist: what verify(8) remembers of probes, when it sends another one, and under which sender
//! (ADDRESS_VERIFICATION_README).
//!
//! ```text
//! query  ─▶ Times::on_query  ─▶ answer, perhaps a probe, perhaps a new entry
//! result ─▶ Times::on_update ─▶ a new entry, unless a failure would hide that the address was good
//! ```
//!
//! Entries of the table are Postfix's, byte for byte: `status:probed:updated:text`, by the address.
//!
//! Diagnostics: an entry that is none counts as absent, and is told.

mod entry;
mod sender;
mod times;

pub use entry::{Entry, key};
pub use sender::ProbeSender;
pub use times::{Reaction, Times};
