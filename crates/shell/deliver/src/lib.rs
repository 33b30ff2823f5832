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
mod flow;
mod flush;
mod injecting;
mod live;
mod local_delivery;
mod lock;
mod notices;
mod proxymap;
mod queue_work;
mod routing;
mod scan;
mod services;
mod shared;
mod statuses;
mod stragglers;
mod triggers;
mod turns;
mod verifying;
mod virtual_delivery;

pub use agent_pool::{Agents, Owner, User};
pub use live::main;

use engine::Engine;
use process::Process;
use queue::Queue;
use shared::Shared;
use std::{rc::Rc, time::Duration};
use sys::control::ServedRow;
use triggers::Clients;
use world::{Accept, World};

/// All ways out.
pub struct Deliver<W: World> {
    shared: Rc<Shared<W>>,
    engine: Rc<Engine<W>>,
    clients: Clients,
}

impl<W: World> Deliver<W> {
    /// Makes everything ready. Nobody is listened to, and nothing is delivered, before [`Self::start`].
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn new(
        world: &W,
        queue: Queue<W::Disk>,
        process: &Process,
        agents: Rc<dyn Agents>,
    ) -> Result<Self, String> {
        let shared = Rc::new(Shared::new(world, queue, process));
        let engine = Engine::new(&shared, process, agents)?;
        let clients = Clients::new(process, &shared.openers);
        Ok(Self { shared, engine, clients })
    }

    /// Takes up the queue, which nobody else may have, and listens on the rows.
    pub fn start<L: Accept<Stream = W::Stream>>(&self, rows: Vec<(ServedRow, Vec<L>)>) {
        self.clients.listen(&self.shared, rows);
        let engine = Rc::clone(&self.engine);
        self.shared.world.spawn(async move { engine.run().await });
    }

    /// The wake-up time of a service has come.
    pub fn wake_up(&self, service: &str) {
        self.shared.wakeups.pull(service);
    }

    /// Leaves the queue to the next generation: everything but the deliveries that are under way.
    ///
    /// When this returns nobody is listened to any more, so that whatever is said from then on is said to the next
    /// generation, and what was said before it finds by looking into the queue.
    pub async fn hand_over(&self) {
        self.shared.stop.set();
        self.clients.word_is_out(&self.shared.world).await;
        self.engine.hand_over();
    }

    /// Writes what verify(8) has not written yet. To be called at the end.
    pub async fn close(&self, limit: Duration) {
        if let Some(services) = self.shared.verify.get() {
            self.shared.world.timeout(limit, services.close()).await;
        }
    }

    /// The same at once: the process ends, and no delivery must be seen to end with it.
    pub fn close_now(&self) {
        if let Some(services) = self.shared.verify.get() {
            services.close_now();
        }
    }

    /// Lets deliveries and clients finish, and lets the next generation know of mail that came of them, within `limit`.
    pub async fn finish(&self, limit: Duration) {
        let finishing = async {
            self.engine.finished().await;
            self.clients.served(&self.shared.world).await;
            self.shared.word.sent().await;
        };
        self.shared.world.timeout(limit, finishing).await;
    }
}
