//! A world made from a seed: a clock that moves only when everybody waits, a disk that loses what was not synced,
//! peers at the end of in-memory pipes. The same seed gives the same run, so a failure is a number to type in.
//!
//! Checkers say what may never happen, one family of invariants a file: [`NoLoss`], [`OneFinalStatus`].

mod chance;
mod disk;
mod executor;
mod no_loss;
mod one_final_status;
mod stream;

pub use chance::Chance;
pub use disk::{SimDisk, SimFile};
pub use executor::{SimWalk, SimWorld, Simulation};
pub use no_loss::NoLoss;
pub use one_final_status::{FinalStatus, OneFinalStatus};
pub use stream::{SimStream, pipe};
