//! The process that master starts.

use crate::{Deliver, agent_pool::AgentPool, lock};
use net::{Builder, Listener, Live};
use process::{Assigned, Control, Lookups, Process, SystemDisk, first};
use queue::{Queue, RealDisk};
use std::{future::pending, rc::Rc, time::Duration};
use sys::{
    control::{ToChild, ToMaster},
    startup::Startup,
};

/// How long the last words to files that may be lost may take.
const LAST_WRITES: Duration = Duration::from_secs(2);

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
    let Assigned { rows, control, log_file: _ } = assigned;
    let rows = rows.into_iter().map(|row| process::listening(row, Listener::from_fd));
    let rows = rows.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let control = Rc::new(Control::new(control).map_err(|error| error.to_string())?);
    let agents = Rc::new(AgentPool::new(&world, &control, process));
    let lookups = Lookups::new(&world, &control, process);
    process.set_slow(Rc::clone(&lookups) as _);
    let deliver = Deliver::new(&world, queue, process, Rc::clone(&agents) as _)?;
    control.send(&ToMaster::Ready).await.map_err(|error| error.to_string())?;
    let master = Master { control: &control, deliver: &deliver, agents: &agents, lookups: &lookups };
    // Told to go before the lock is ours, there is nothing to finish.
    let Ok(lock) = first(lock::take(&world, process), master.says_go()).await else { return Ok(()) };
    let lock = lock?;
    deliver.start(rows);
    let limit = match master.says_go().await {
        Go::AtOnce => {
            deliver.close_now();
            return Ok(());
        }
        Go::Within(limit) => limit,
        Go::Alone => process.drain_limit(),
    };
    deliver.hand_over().await;
    drop(lock);
    let _ = first(deliver.finish(limit), master.says_stop()).await;
    deliver.close(LAST_WRITES).await;
    let _ = control.send(&ToMaster::Drained).await;
    Ok(())
}

/// Master's word to go.
enum Go {
    /// `postfix stop`
    AtOnce,
    /// A new generation is there: what is under way may take so long.
    Within(Duration),
    /// Master is gone, by `postfix drain` or by a kill: nobody will say more.
    Alone,
}

struct Master<'a> {
    control: &'a Control,
    deliver: &'a Deliver<LiveWorld>,
    agents: &'a AgentPool<LiveWorld>,
    lookups: &'a Lookups<LiveWorld>,
}

impl Master<'_> {
    /// Listens until it is time to go.
    async fn says_go(&self) -> Go {
        loop {
            match self.control.receive().await {
                Some(ToChild::Wakeup { service, .. }) => self.deliver.wake_up(&service),
                Some(ToChild::Agent { request, agent }) if Lookups::<LiveWorld>::is_ours(request) => {
                    self.lookups.arrived(request, agent);
                }
                Some(ToChild::Agent { request, agent }) => self.agents.arrived(request, agent),
                Some(ToChild::RootFile { path, file }) => tables::lent::lend(path, file),
                Some(ToChild::Drain { deadline }) => return Go::Within(deadline),
                Some(ToChild::Stop) => return Go::AtOnce,
                None => return Go::Alone,
                Some(_) => {}
            }
        }
    }

    /// Listens while the last deliveries go on: they may want agents.
    async fn says_stop(&self) {
        loop {
            match self.says_go().await {
                Go::AtOnce => return,
                Go::Within(_) => {}
                Go::Alone => pending().await,
            }
        }
    }
}
