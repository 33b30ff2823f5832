//! All ways in, in one unprivileged process: SMTP sessions, mail from local users, and cleanup as a library.
//!
//! ```text
//! listener ─▶ session loop ─▶ smtpd::Session (decides) ─▶ Intake: cleanup + queue file ─▶ sync ─▶ 250
//! maildrop ─▶ pickup ─────────────────────────────────▶ Intake                               └▶ word to deliver
//! ```
//!
//! The process accepts nothing else from the network than what [`smtpd`] understands, opens no connection but
//! to the resolver, to policy servers and to servers of tables, and reads no queue file but those it writes and maildrop.
//!
//! [`Receive`] is all of it over a [`World`]; [`main`] runs it live, under master.
//!
//! Diagnostics: a session that panics ends with 421 and the others go on. A disk that fails is 4xx. When
//! master is gone, sessions are finished and the process ends.

mod accepting;
mod asking;
mod flush;
mod maildrop;
mod out_of_order;
mod pickup;
mod policy;
mod postlog;
mod postscreen;
mod qmqp;
mod queueing;
mod service;
mod services;
mod session;
mod spawn;
mod stand_alone;
mod statistics;
mod stress;
mod submitting;
mod upstream_proxy;

pub use maildrop::Maildrop;
pub use stand_alone::smtpd;

use net::{Builder, Listener, Live, Slots};
use process::{
    Assigned, Control, Faults, Lookups, Process, Stop, SystemDisk, Trigger, Wakeups, Word, Zone, first,
};
use queue::{Queue, RealDisk};
use services::Services;
use spawn::Spawner;
use statistics::Statistics;
use std::{cell::Cell, future::pending, os::fd::OwnedFd, rc::Rc, time::Duration};
use sys::{
    control::{ServedRow, ToChild, ToMaster},
    startup::Startup,
};
use world::{Accept, World};

/// How long the last write of a cache may hold up the end of a process.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// What the parts of this process share.
pub(crate) struct Shared<W: World> {
    pub(crate) world: W,
    pub(crate) queue: Queue<W::Disk>,
    pub(crate) log: process::Log,
    pub(crate) word: Word<W>,
    pub(crate) stop: Stop,
    pub(crate) faults: Faults,
    pub(crate) wakeups: Wakeups,
    pub(crate) zone: Zone,
    /// Tables whose answers must be waited for.
    pub(crate) openers: tables::Openers,
    /// Counts the messages that policy servers were asked about.
    pub(crate) last_instance: Rc<Cell<u32>>,
    /// How often clients do what.
    pub(crate) statistics: Statistics,
    pool_is_low: Trigger,
}

impl<W: World> Shared<W> {
    pub(crate) fn new(world: &W, queue: Queue<W::Disk>, process: &Process) -> Self {
        Self {
            world: world.clone(),
            queue,
            log: process.log(),
            word: Word::new(world.clone(), process),
            stop: Stop::default(),
            faults: Faults::new(process.values()),
            wakeups: Wakeups::default(),
            zone: Zone::new(process.host.zone.clone()),
            openers: process.openers(world, "receive"),
            last_instance: Rc::default(),
            statistics: Statistics::new(process),
            pool_is_low: Trigger::default(),
        }
    }

    /// To be called when a queue file was taken from the pool.
    pub(crate) fn refill_when_low(&self) {
        if self.queue.is_pool_low() {
            self.pool_is_low.pull();
        }
    }
}

/// All ways in, at work.
pub struct Receive<W: World> {
    shared: Rc<Shared<W>>,
    services: Services<W>,
}

impl<W: World> Receive<W> {
    /// Begins to serve rows of master.cf, each with what it listens on. One whose settings cannot be used serves nobody, and
    /// says why.
    pub fn start<L: Accept<Stream = W::Stream>>(
        world: &W,
        queue: Queue<W::Disk>,
        process: &Process,
        rows: Vec<(ServedRow, Vec<L>)>,
    ) -> Self {
        let shared = Rc::new(Shared::new(world, queue, process));
        keep_pool_full(&shared);
        Statistics::start(&shared);
        shared.word.look();
        let services = Services::start(&shared, process, rows);
        Self { shared, services }
    }

    /// The wake-up time of a service has come.
    pub fn wake_up(&self, service: &str) {
        self.shared.wakeups.pull(service);
    }

    /// Accepts no more, lets open sessions finish, and lets the queue manager know of what they brought, within
    /// `deadline`. What pickup has half taken would be taken again by the next generation, so it is finished too.
    pub async fn drain(&self, deadline: Duration) {
        self.shared.stop.set();
        self.shared.word.admit_all();
        let world = &self.shared.world;
        let finished = async {
            while !self.services.is_idle() {
                world.sleep(Duration::from_millis(20)).await;
            }
            self.shared.word.sent().await;
        };
        world.timeout(deadline, finished).await;
        self.close_caches().await;
    }

    /// Writes what services remember and have not written yet.
    pub async fn close_caches(&self) {
        let closing = async {
            for results in &self.services.results {
                results.close().await;
            }
        };
        self.shared.world.timeout(CLOSE_LIMIT, closing).await;
    }

    /// The last words about clients.
    pub fn log_statistics(&self) {
        self.shared.statistics.log(&self.shared);
    }

    /// How many places are taken: by open sessions, and by each listener for the session that comes next.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.services.sessions.iter().map(Slots::taken).sum()
    }
}

/// The process; returns its exit code.
#[must_use]
pub fn main(startup: Startup) -> i32 {
    match Process::begin(startup).and_then(|(process, assigned)| run(&process, assigned)) {
        Ok(()) => 0,
        Err(trouble) => {
            eprintln!("receive: fatal: {trouble}");
            1
        }
    }
}

fn run(process: &Process, assigned: Assigned) -> Result<(), String> {
    let directory = process.queue_directory();
    let disk: SystemDisk =
        RealDisk::open(&directory).map_err(|e| format!("open {}: {e}", directory.display()))?.into();
    let queue = Queue::new(disk.clone(), process::queue_settings(process.values()));
    process.enter_sandbox(false);
    let (log, tag) = (process.log(), process::tag(process.values(), "receive"));
    let builder = Builder::new(disk).before_waiting(log.flusher());
    let ended = net::run(builder, |world| serve(world, queue, process, assigned));
    process::report_end(&log, &tag, ended)
}

async fn serve(
    world: Live<SystemDisk>,
    queue: Queue<SystemDisk>,
    process: &Process,
    assigned: Assigned,
) -> Result<(), String> {
    let Assigned { mut rows, control, log_file } = assigned;
    let stop = Stop::default();
    postlog::start(&world, &mut rows, (log_file, process.log(), stop.clone()))
        .map_err(|error| error.to_string())?;
    let control = Rc::new(Control::new(control).map_err(|error| error.to_string())?);
    let spawner = Spawner::start(&world, &control, process, &mut rows, &stop);
    let spawner = spawner.map_err(|error| error.to_string())?;
    let rows = rows.into_iter().map(|row| process::listening(row, Listener::from_fd));
    let rows = rows.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let lookups = Lookups::new(&world, &control, process);
    process.set_slow(Rc::clone(&lookups) as _);
    let helpers = Helpers { lookups, spawner };
    let receive = Receive::start(&world, queue, process, rows);
    control.send(&ToMaster::Ready).await.map_err(|error| error.to_string())?;
    let limit = match master_says_go(&receive, &control, &helpers).await {
        Go::AtOnce => {
            receive.log_statistics();
            receive.close_caches().await;
            return Ok(());
        }
        Go::Within(limit) => limit,
        Go::Alone => process.drain_limit(),
    };
    stop.set();
    let _ = first(receive.drain(limit), master_says_stop(&receive, &control, &helpers)).await;
    receive.log_statistics();
    // Nobody listens any more when master is gone, and that is no trouble of ours.
    let _ = control.send(&ToMaster::Drained).await;
    Ok(())
}

/// Master's word to go.
enum Go {
    /// `postfix stop`
    AtOnce,
    /// A new generation is there: open sessions may take so long.
    Within(Duration),
    /// Master is gone, by `postfix drain` or by a kill: nobody will say more.
    Alone,
}

type LiveReceive = Receive<Live<SystemDisk>>;

/// Who waits for agents of master.
struct Helpers {
    lookups: Rc<Lookups<Live<SystemDisk>>>,
    spawner: Rc<Spawner>,
}

impl Helpers {
    fn arrived(&self, request: u32, agent: Result<OwnedFd, String>) {
        if Lookups::<Live<SystemDisk>>::is_ours(request) {
            self.lookups.arrived(request, agent);
        } else {
            self.spawner.arrived(request, agent);
        }
    }
}

/// Listens until it is time to go.
async fn master_says_go(receive: &LiveReceive, control: &Control, helpers: &Helpers) -> Go {
    loop {
        match control.receive().await {
            Some(ToChild::Wakeup { service, .. }) => receive.wake_up(&service),
            Some(ToChild::Agent { request, agent }) => helpers.arrived(request, agent),
            Some(ToChild::RootFile { path, file }) => tables::lent::lend(path, file),
            Some(ToChild::Drain { deadline }) => return Go::Within(deadline),
            Some(ToChild::Stop) => return Go::AtOnce,
            None => return Go::Alone,
            Some(_) => {}
        }
    }
}

/// Listens while the last sessions go on.
async fn master_says_stop(receive: &LiveReceive, control: &Control, helpers: &Helpers) {
    loop {
        match master_says_go(receive, control, helpers).await {
            Go::AtOnce => return,
            Go::Within(_) => {}
            Go::Alone => pending().await,
        }
    }
}

/// Makes queue files ahead of time, off the path of messages.
fn keep_pool_full<W: World>(shared: &Rc<Shared<W>>) {
    let (world, queue) = (shared.world.clone(), shared.queue.clone());
    let (stop, is_low) = (shared.stop.clone(), shared.pool_is_low.clone());
    shared.world.spawn(async move {
        let adopted = queue.clone();
        let _ = world.blocking(move || adopted.adopt_pool()).await;
        while !stop.is_set() {
            let refilled = queue.clone();
            let _ = world.blocking(move || refilled.refill_pool()).await;
            stop.cut(is_low.wait()).await;
        }
    });
}
