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
//! Diagnostics: a delivery that panics ends alone and its recipients are tried again. A panic of the scheduler
//! ends the process, which master restarts; the queue is then read anew.

mod agent_pool;
mod content;
mod context;
mod delivery;
mod engine;
mod events;
mod inject;
mod local_delivery;
mod lock;
mod notices;
mod queue_work;
mod routing;
mod scan;
mod services;
mod shared;
mod triggers;
mod virtual_delivery;

use engine::Engine;
use net::Builder;
use process::{Assigned, Control, Faults, Process, Stop, SystemDisk, Wakeups, Zone};
use queue::{Queue, RealDisk, showq::ShowqSettings};
use shared::{LiveWorld, Shared};
use std::{rc::Rc, time::Duration};
use sys::{
    control::{ToChild, ToMaster},
    startup::Startup,
};
use world::World;

/// The process; returns its exit code.
#[must_use]
pub fn main(startup: Startup) -> i32 {
    match Process::begin(startup).and_then(|(process, assigned)| run(&process, assigned)) {
        Ok(()) => 0,
        Err(trouble) => {
            eprintln!("deliver: fatal: {trouble}");
            1
        }
    }
}

fn run(process: &Process, assigned: Assigned) -> Result<(), String> {
    let directory = process.queue_directory();
    let disk: SystemDisk =
        RealDisk::open(&directory).map_err(|e| format!("open {}: {e}", directory.display()))?.into();
    let queue = Queue::new(disk.clone(), process::queue_settings(process.values()));
    process.enter_sandbox(true);
    let (log, tag) = (process.log(), process::tag(process.values(), "deliver"));
    let builder = Builder::new(disk).before_waiting(log.flusher());
    let ended = net::run(builder, |world| serve(world, queue, process, assigned));
    process::report_end(&log, &tag, ended)
}

async fn serve(
    world: LiveWorld,
    queue: Queue<SystemDisk>,
    process: &Process,
    assigned: Assigned,
) -> Result<(), String> {
    let Assigned { rows, control } = assigned;
    let shared = Rc::new(Shared {
        world: world.clone(),
        queue,
        log: process.log(),
        control: Control::new(control).map_err(|error| error.to_string())?,
        stop: Stop::default(),
        faults: Faults::new(process.values()),
        wakeups: Wakeups::default(),
        zone: Zone::new(process.host.zone.clone()),
        showq: ShowqSettings::load(process.values()),
        events: events::Events::default(),
    });
    let engine = Engine::new(&shared, process)?;
    triggers::start(&shared, rows)?;
    shared.control.send(&ToMaster::Ready).await.map_err(|error| error.to_string())?;
    let _lock = lock::take(&shared, process).await?;
    let running = Rc::clone(&engine);
    world.spawn(async move { running.run().await });
    let deadline = listen_to_master(&shared, &engine).await;
    shared.stop.set();
    world.timeout(deadline, engine.idle()).await;
    let _ = shared.control.send(&ToMaster::Drained).await;
    Ok(())
}

/// Waits until it is time to go, and says how much time there is.
async fn listen_to_master(shared: &Shared, engine: &Engine) -> Duration {
    loop {
        match shared.control.receive().await {
            Some(ToChild::Wakeup { service, .. }) => shared.wakeups.pull(&service),
            Some(ToChild::Agent { request, agent }) => engine.agents().arrived(request, agent),
            Some(ToChild::Drain { deadline }) => return deadline,
            Some(ToChild::Stop) | None => return Duration::ZERO,
            Some(_) => {}
        }
    }
}
