//! The process that master starts.

use crate::{Deliver, agent_pool::AgentPool, lock};
use net::{Builder, Listener, Live};
use process::{Assigned, Control, Process, SystemDisk};
use queue::{Queue, RealDisk};
use std::{rc::Rc, time::Duration};
use sys::{
    control::{ToChild, ToMaster},
    startup::Startup,
};

type LiveWorld = Live<SystemDisk>;

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
    let rows = rows.into_iter().map(|row| process::listening(row, Listener::from_fd));
    let rows = rows.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let control = Rc::new(Control::new(control).map_err(|error| error.to_string())?);
    let agents = Rc::new(AgentPool::new(&world, &control, process));
    let deliver = Deliver::new(&world, queue, process, rows, Rc::clone(&agents) as _)?;
    control.send(&ToMaster::Ready).await.map_err(|error| error.to_string())?;
    let _lock = lock::take(&world, process).await?;
    deliver.start();
    let deadline = listen_to_master(&control, &deliver, &agents).await;
    deliver.drain(deadline).await;
    let _ = control.send(&ToMaster::Drained).await;
    Ok(())
}

/// Waits until it is time to go, and says how much time there is.
async fn listen_to_master(
    control: &Control,
    deliver: &Deliver<LiveWorld>,
    agents: &AgentPool<LiveWorld>,
) -> Duration {
    loop {
        match control.receive().await {
            Some(ToChild::Wakeup { service, .. }) => deliver.wake_up(&service),
            Some(ToChild::Agent { request, agent }) => agents.arrived(request, agent),
            Some(ToChild::Drain { deadline }) => return deadline,
            Some(ToChild::Stop) | None => return Duration::ZERO,
            Some(_) => {}
        }
    }
}
