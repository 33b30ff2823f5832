//! What needs the system in ways that safe code cannot say: all `unsafe` of the product lives here (and in
//! `tables-sys`), in small functions with a safe face.
//!
//! [`control`] is the channel between master and the processes that it starts; [`startup`] is how such a process
//! begins; [`spawn`] starts it, [`sandbox`] narrows it, [`credentials`] makes it somebody else for good.
//!
//! Diagnostics: nothing here logs or panics; errors of the system are returned with what was being done.

pub mod accounts;
pub mod clock;
pub mod command;
pub mod control;
pub mod credentials;
pub mod dotlock;
pub mod errand;
pub mod lock;
pub mod mailbox;
pub mod maildir;
pub mod memory_file;
pub mod packet;
pub mod process;
pub mod safe_open;
pub mod sandbox;
pub mod schedule;
pub mod signals;
pub mod spawn;
pub mod startup;
