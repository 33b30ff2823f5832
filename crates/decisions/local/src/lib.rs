//! local(8) and virtual(8): who gets a message that is delivered on this host, and what is written.
//!
//! [`expand()`] turns one recipient into *steps*: a mailbox of a user, mail forwarded under a new
//! envelope, or a refusal. [`virtual_mailbox()`] does the same for `virtual_mailbox_maps`. The steps are carried out
//! by an agent that runs as the mailbox's owner (crate `agents`); what it is told and what it
//! answers is in [`agent`], and the bytes that it writes are made by [`copy`].
//!
//! Forward files belong to users, so the agent reads them and hands the text back: the expansion
//! goes on here.
//!
//! Diagnostics: a table or user database that cannot be asked defers the recipient. Destinations that are
//! commands or files (`|command`, `/file`, `:include:`) defer with a text that says so.

pub mod agent;
mod alias_value;
pub mod copy;
mod delivered;
mod expand;
mod recipient;
mod settings;
mod virtual_mailbox;

pub use alias_value::{Destination, parse_destinations};
pub use delivered::DeliveredTo;
pub use expand::{Expansion, Forward, Router, Step, expand, expand_forward_file};
pub use recipient::LocalName;
pub use settings::{LocalSettings, LockStyle, MailboxLocks, VirtualSettings};
pub use virtual_mailbox::{VirtualMailbox, VirtualMaps, virtual_mailbox};
