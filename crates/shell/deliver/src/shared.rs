//! What all parts of this process share.

use crate::events::Events;
use net::Live;
use process::{Control, Faults, Stop, SystemDisk, Wakeups, Zone};
use queue::{Queue, showq::ShowqSettings};

pub(crate) type LiveWorld = Live<SystemDisk>;

/// What the parts of this process share.
pub(crate) struct Shared {
    pub(crate) world: LiveWorld,
    pub(crate) queue: Queue<SystemDisk>,
    pub(crate) log: process::Log,
    pub(crate) control: Control,
    pub(crate) stop: Stop,
    pub(crate) faults: Faults,
    pub(crate) wakeups: Wakeups,
    pub(crate) zone: Zone,
    pub(crate) showq: ShowqSettings,
    pub(crate) events: Events,
}
