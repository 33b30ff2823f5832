//! All ways out, in one unprivileged process: the queue manager, the SMTP client, notifications, and the
//! conversations with the agents that write mailboxes.
//!
//! ```text
//! word from receive, triggers, timers ─▶ Event ─▶ qmgr::Scheduler::step ─▶ Action ─▶ Engine::perform
//!        ▲                                                                            │
//!        └──────────── reports, resolutions, scans ◀── smtp, local, virtual, error ◀──┘
//! ```
//!
//! It accepts nothing from the network. The scheduler decides; the engine carries out, in order.
//!
//! [`Deliver`] is all of it over a [`World`]; [`main`] runs it live, under master.
//!
//! Diagnostics: a delivery that panics ends alone and its recipients are tried again. A panic of the scheduler
//! ends the process, which master restarts; the queue is then read anew.

mod agent_pool;
mod content;
mod context;
mod delivery;
mod engine;
mod events;
mod live;
mod local_delivery;
mod lock;
mod notices;
mod queue_work;
mod routing;
mod scan;
mod services;
mod shared;
mod statuses;
mod triggers;
mod virtual_delivery;

pub use agent_pool::{Agents, Owner, User};
pub use live::main;

use engine::Engine;
use process::Process;
use queue::Queue;
use shared::Shared;
use std::{rc::Rc, time::Duration};
use sys::control::ServedRow;
use world::{Accept, World};

/// All ways out.
pub struct Deliver<W: World> {
    shared: Rc<Shared<W>>,
    engine: Rc<Engine<W>>,
}

impl<W: World> Deliver<W> {
    /// Makes everything ready and begins to listen on the rows. Nothing is delivered before [`Self::start`].
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn new<L: Accept<Stream = W::Stream>>(
        world: &W,
        queue: Queue<W::Disk>,
        process: &Process,
        rows: Vec<(ServedRow, Vec<L>)>,
        agents: Rc<dyn Agents>,
    ) -> Result<Self, String> {
        let shared = Rc::new(Shared::new(world, queue, process));
        let engine = Engine::new(&shared, process, agents)?;
        triggers::start(&shared, rows);
        Ok(Self { shared, engine })
    }

    /// Takes up the queue. Nobody else may be at work on it.
    pub fn start(&self) {
        let engine = Rc::clone(&self.engine);
        self.shared.world.spawn(async move { engine.run().await });
    }

    /// The wake-up time of a service has come.
    pub fn wake_up(&self, service: &str) {
        self.shared.wakeups.pull(service);
    }

    /// Begins nothing new, and lets deliveries finish, within `deadline`.
    pub async fn drain(&self, deadline: Duration) {
        self.shared.stop.set();
        self.shared.world.timeout(deadline, self.engine.idle()).await;
    }
}
