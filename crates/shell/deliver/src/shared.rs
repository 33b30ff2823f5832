//! What all parts of this process share.

use crate::{events::Events, flow::Flow, flush::Sites, verifying::VerifyServices};
use config::params as p;
use process::{Faults, Process, Stop, Wakeups, Word};
use queue::{Queue, showq::ShowqSettings};
use std::cell::OnceCell;
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
    /// For those who ask whether we keep up.
    pub(crate) flow: Flow,
    /// To the queue manager of the next generation, once this one has handed over.
    pub(crate) word: Word<W>,
    /// What flush(8) knows.
    pub(crate) sites: Sites,
    /// For what belongs to no delivery.
    pub(crate) logger: maillog::Logger,
    /// Tables whose answers must be waited for.
    pub(crate) openers: tables::Openers,
    /// verify(8); set when everything else is there.
    pub(crate) verify: OnceCell<VerifyServices<W>>,
}

impl<W: World> Shared<W> {
    pub(crate) fn new(world: &W, queue: Queue<W::Disk>, process: &Process) -> Self {
        let active_limit = usize::try_from(process.values().int(p::qmgr_message_active_limit)).unwrap_or(1);
        let openers = process.openers(world, "deliver");
        Self {
            world: world.clone(),
            queue,
            log: process.log(),
            stop: Stop::default(),
            faults: Faults::new(process.values()),
            wakeups: Wakeups::default(),
            showq: ShowqSettings::load(process.values()),
            events: Events::new(active_limit),
            flow: Flow::default(),
            word: Word::new(world.clone(), process),
            sites: Sites::new(process, process.values(), &openers),
            logger: process.logger("deliver"),
            openers,
            verify: OnceCell::new(),
        }
    }
}
