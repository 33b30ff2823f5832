//! local(8) and virtual(8): who gets a message that is delivered on this host, and what is written.
//!
//! [`deliver()`] walks from one recipient through aliases, forward files and lists to mailboxes, commands, files, other
//! transports and copies under another envelope; what it finds is carried out by [`Hands`].
//! [`virtual_mailbox()`] looks up the mailbox of a recipient of virtual(8). Whatever needs a user's rights is done
//! by an agent that runs as that user (crate `agents`); what it is told and what it
//! answers is in [`agent`], and the bytes that it writes are made by [`copy`].
//!
//! Diagnostics: a table or user database that cannot be asked defers the recipient. The words of log lines and of
//! warnings are Postfix's.

pub mod agent;
mod alias_value;
pub mod copy;
mod delivered;
pub mod names;
mod recipient;
mod settings;
mod virtual_mailbox;
mod walk;

pub use alias_value::{Destination, lines, parse_destinations};
pub use delivered::DeliveredTo;
pub use recipient::LocalName;
pub use settings::{
    CommandSettings, Expanded, Expansions, LocalSettings, LockStyle, MailboxLocks, VirtualSettings,
};
pub use virtual_mailbox::{VirtualMailbox, VirtualMaps, virtual_mailbox};
pub use walk::{Delivered, Delivery, Forward, Hands, Rights, Router, deliver};
