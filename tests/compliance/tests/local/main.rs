//! local(8) as root runs it: mailboxes of system users, in a spool that they may not write, locks, forward files,
//! aliases. Both systems, each on a machine of its own.

#![expect(clippy::expect_used, reason = "a test may fail")]

mod commands;
mod copies;
mod lists;
mod mailboxes;
mod root;
mod spool;
mod story;
mod users;
mod ways;
