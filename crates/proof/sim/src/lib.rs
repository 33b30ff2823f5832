//! A world made from a seed: a clock that moves only when everybody waits, disks that lose what was not synced,
//! connections that break, name servers that lie. The same seed gives the same run, so a failure is a number to type in.
//!
//! Checkers say what may never happen, one family of invariants a file: [`NoLoss`], [`Unchanged`], [`OneFinalStatus`],
//! [`NoSpuriousDup`], [`Limits`], [`Fair`], [`quiesced`].

mod chance;
mod disk;
mod excuses;
mod executor;
mod fair;
mod inode;
mod limits;
mod mail_client;
mod mail_server;
mod mail_text;
mod names;
mod network;
mod no_loss;
mod no_spurious_dup;
mod one_final_status;
mod quiesce;
mod stored;
mod stream;
mod submission;
mod talk;
mod unchanged;
mod world;

pub use self::world::{SimWalk, SimWorld};
pub use chance::Chance;
pub use disk::{Lie, SimDisk, SimFile};
pub use excuses::Excuses;
pub use executor::{Run, Simulation};
pub use fair::Fair;
pub use inode::WRITEBACK;
pub use limits::Limits;
pub use mail_client::{Fate, MailClient};
pub use mail_server::{MailServer, Taken, Temper};
pub use mail_text::{Mail, NAME_HEADER, TextLimits, name_in};
pub use names::Names;
pub use network::{Datagram, SimListener, Weather};
pub use no_loss::NoLoss;
pub use no_spurious_dup::NoSpuriousDup;
pub use one_final_status::{FinalStatus, OneFinalStatus};
pub use quiesce::{logs, quiesced};
pub use stored::{Stored, stored, todo_by_name};
pub use stream::SimStream;
pub use submission::submit;
pub use unchanged::Unchanged;
