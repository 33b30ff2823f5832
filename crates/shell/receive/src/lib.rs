//! All ways in, in one unprivileged process: SMTP sessions, mail from local users, and cleanup as a library.
//!
//! ```text
//! listener ─▶ session loop ─▶ smtpd::Session (decides) ─▶ Intake: cleanup + queue file ─▶ sync ─▶ 250
//! maildrop ─▶ pickup ─────────────────────────────────▶ Intake                               └▶ word to deliver
//! ```
//!
//! The process accepts nothing else from the network than what [`smtpd`] understands, opens no connection but
//! to the resolver, and reads no queue file but those it writes and maildrop.
//!
//! Diagnostics: a session that panics ends with 421 and the others go on. A disk that fails is 4xx. When
//! master is gone, sessions are finished and the process ends.

mod deliver_word;
mod maildrop;
mod service;
mod session;

use deliver_word::DeliverWord;
use net::{Builder, Listener, Live, Slots};
use process::{Control, Faults, Process, Stop, SystemDisk, Trigger, Wakeups, Zone};
use queue::{Queue, RealDisk};
use service::SmtpService;
use std::{rc::Rc, time::Duration};
use sys::{
    control::{ServedRow, ToChild, ToMaster},
    startup::Startup,
};
use world::World;

/// What the parts of this process share.
pub(crate) struct Shared {
    pub(crate) world: Live<SystemDisk>,
    pub(crate) queue: Queue<SystemDisk>,
    pub(crate) log: process::Log,
    pub(crate) word: DeliverWord,
    pub(crate) stop: Stop,
    pub(crate) faults: Faults,
    pub(crate) wakeups: Wakeups,
    pub(crate) zone: Zone,
    pool_is_low: Trigger,
}

impl Shared {
    /// To be called when a queue file was taken from the pool.
    pub(crate) fn refill_when_low(&self) {
        if self.queue.is_pool_low() {
            self.pool_is_low.pull();
        }
    }
}

/// The process; returns its exit code.
#[must_use]
pub fn main(startup: Startup) -> i32 {
    match Process::begin(startup).and_then(run) {
        Ok(()) => 0,
        Err(trouble) => {
            eprintln!("receive: fatal: {trouble}");
            1
        }
    }
}

fn run(process: Process) -> Result<(), String> {
    let directory = process.queue_directory();
    let disk: SystemDisk =
        RealDisk::open(&directory).map_err(|e| format!("open {}: {e}", directory.display()))?.into();
    let queue = Queue::new(disk.clone(), process::queue_settings(process.values()));
    process.enter_sandbox(false);
    let (log, tag) = (process.log(), process::tag(process.values(), "receive"));
    let builder = Builder::new(disk).before_waiting(log.flusher());
    let ended = net::run(builder, |world| serve(world, queue, process));
    process::report_end(&log, &tag, ended)
}

async fn serve(
    world: Live<SystemDisk>,
    queue: Queue<SystemDisk>,
    mut process: Process,
) -> Result<(), String> {
    let rows = std::mem::take(&mut process.rows);
    let word = DeliverWord::new(world.clone(), &process);
    let shared = Rc::new(Shared {
        world: world.clone(),
        queue,
        log: process.log(),
        word,
        stop: Stop::default(),
        faults: Faults::new(process.values()),
        wakeups: Wakeups::default(),
        zone: Zone::default(),
        pool_is_low: Trigger::default(),
    });
    keep_pool_full(&shared);
    shared.word.look();
    let slots = start_rows(&shared, &process, rows)?;
    let control = Control::new(process.control).map_err(|error| error.to_string())?;
    control.send(&ToMaster::Ready).await.map_err(|error| error.to_string())?;
    let deadline = listen_to_master(&shared, &control).await;
    shared.stop.set();
    drain(&world, &slots, deadline).await;
    // Nobody listens any more when master is gone, and that is no trouble of ours.
    let _ = control.send(&ToMaster::Drained).await;
    Ok(())
}

fn start_rows(shared: &Rc<Shared>, process: &Process, rows: Vec<ServedRow>) -> Result<Vec<Slots>, String> {
    let mut all_slots = Vec::new();
    for row in rows {
        let values = process.row_values(&row);
        match row.program.as_str() {
            "smtpd" => {
                let service = Rc::new(SmtpService::new(shared, process, &row, &values)?);
                all_slots.push(service.slots.clone());
                for socket in row.listeners {
                    let listener = Listener::from_fd(socket).map_err(|error| error.to_string())?;
                    shared.world.spawn(session::accept(Rc::clone(shared), Rc::clone(&service), listener));
                }
            }
            "pickup" => maildrop::start(shared, process, &row.service, &values, row.listeners)?,
            // Their work is done by function calls; a row that is here by placement needs no loop.
            _ => {}
        }
    }
    Ok(all_slots)
}

/// Waits until it is time to go, and says how much time there is.
async fn listen_to_master(shared: &Shared, control: &Control) -> Duration {
    loop {
        match control.receive().await {
            Some(ToChild::Wakeup { service, .. }) => shared.wakeups.pull(&service),
            Some(ToChild::Drain { deadline }) => return deadline,
            Some(ToChild::Stop) | None => return Duration::ZERO,
            Some(_) => {}
        }
    }
}

/// Lets open sessions finish, within bounds.
async fn drain(world: &Live<SystemDisk>, slots: &[Slots], deadline: Duration) {
    let busy = || slots.iter().any(|slots| slots.taken() > 0);
    let finished = async {
        while busy() {
            world.sleep(Duration::from_millis(20)).await;
        }
    };
    world.timeout(deadline, finished).await;
}

/// Makes queue files ahead of time, off the path of messages.
fn keep_pool_full(shared: &Rc<Shared>) {
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
