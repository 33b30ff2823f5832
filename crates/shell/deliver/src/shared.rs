//! What all parts of this process share.

use crate::events::Events;
use process::{Faults, Process, Stop, Wakeups};
use queue::{Queue, showq::ShowqSettings};
use world::World;

pub(crate) struct Shared<W: World> {
    pub(crate) world: W,
    pub(crate) queue: Queue<W::Disk>,
    pub(crate) log: process::Log,
    pub(crate) stop: Stop,
    pub(crate) faults: Faults,
    pub(crate) wakeups: Wakeups,
    pub(crate) showq: ShowqSettings,
    pub(crate) events: Events,
    /// Tables whose answers must be waited for.
    pub(crate) openers: tables::Openers,
}

impl<W: World> Shared<W> {
    pub(crate) fn new(world: &W, queue: Queue<W::Disk>, process: &Process) -> Self {
        Self {
            world: world.clone(),
            queue,
            log: process.log(),
            stop: Stop::default(),
            faults: Faults::new(process.values()),
            wakeups: Wakeups::default(),
            showq: ShowqSettings::load(process.values()),
            events: Events::default(),
            openers: process.openers(world, "deliver"),
        }
    }
}
