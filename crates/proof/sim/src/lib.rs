//! A world made from a seed: a clock that moves only when everybody waits, disks that lose what was not synced,
//! connections that break, name servers that lie. The same seed gives the same run, so a failure is a number to type in.
//!
//! Checkers say what may never happen, one family of invariants a file: [`NoLoss`], [`OneFinalStatus`].

mod chance;
mod disk;
mod executor;
mod inode;
mod network;
mod no_loss;
mod one_final_status;
mod stream;
mod world;

pub use self::world::{SimWalk, SimWorld};
pub use chance::Chance;
pub use disk::{Lie, SimDisk, SimFile};
pub use executor::{Run, Simulation};
pub use inode::WRITEBACK;
pub use network::{SimListener, Weather};
pub use no_loss::NoLoss;
pub use one_final_status::{FinalStatus, OneFinalStatus};
pub use stream::SimStream;
