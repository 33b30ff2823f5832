//! Deliveries that need another user's rights, in a process that has these rights and no others.
//!
//! master starts an agent directly as its user; a delivery comes over a socket from `deliver` as a
//! [`local::agent::Request`] with the content in a descriptor that holds this message and nothing
//! else. The agent takes paths, commands and files from the configuration, from the tables and files that it names and
//! from the user database again, whatever it was told. It links no network code.
//!
//! Diagnostics: an error of the file system is a status (mailbox full bounces, a full disk defers);
//! a request that cannot be understood ends the process, and `deliver` defers the mail.

mod command;
mod content;
mod environment;
mod errands;
mod lists;
mod lock;
mod maildir;
mod mbox;
mod origin;
mod serve;
mod spawn;
mod sysexits;
mod task;
mod trouble;

pub use content::Content;
pub use errands::Errands;
pub use origin::Tables;
pub use serve::{main, serve};
pub use task::{Office, Owner, Settings, Standing, perform};
