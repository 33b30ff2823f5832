//! Directories, name by name: a thread walks, the scheduler takes as many names as it wants.

use crate::{LiveWorld, Shared};
use process::SystemDisk;
use qmgr::{Event, Found};
use queue::Queue;
use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    time::Duration,
};
use types::QueueName;
use world::World;

/// Names that a walk may be ahead.
const AHEAD_MAX: usize = 1_000;

/// How long the scheduler waits for the first name of a batch, and so how long a slow directory may hold a thread.
const PATIENCE: Duration = Duration::from_secs(5);

type Names = Arc<Mutex<Receiver<Found>>>;

/// The walks under way, one for each queue.
#[derive(Default)]
pub(crate) struct Scans(RefCell<HashMap<QueueName, Names>>);

impl Scans {
    /// Answers with the next names of a queue.
    pub(crate) fn scan(&self, shared: &Rc<Shared>, queue: QueueName, restart: bool, names_max: usize) {
        let names = {
            let mut walks = self.0.borrow_mut();
            if restart {
                walks.remove(&queue);
            }
            Arc::clone(walks.entry(queue).or_insert_with(|| walk(shared.queue.clone(), queue)))
        };
        let (world, events): (LiveWorld, _) = (shared.world.clone(), shared.events.clone());
        shared.world.spawn(async move {
            let (found, finished) = world.blocking(move || take(&names, names_max)).await;
            events.push(Event::Scanned { queue, found, finished });
        });
    }
}

/// Starts to walk; ends when nobody listens any more.
fn walk(queue: Queue<SystemDisk>, name: QueueName) -> Names {
    let (sender, receiver) = sync_channel(AHEAD_MAX);
    let walking = move || {
        let _ = queue.scan(name, &mut |entry| {
            let found = Found { id: entry.id, next_try: entry.next_try() };
            !entry.is_ready() || sender.send(found).is_ok()
        });
    };
    // Where no thread can be had, the walk ends at once and the next one tries again.
    let _ = std::thread::Builder::new().name("scan".to_owned()).spawn(walking);
    Arc::new(Mutex::new(receiver))
}

fn take(names: &Names, names_max: usize) -> (Vec<Found>, bool) {
    let names = names.lock().unwrap_or_else(PoisonError::into_inner);
    let mut found = Vec::new();
    while found.len() < names_max {
        match names.recv_timeout(PATIENCE) {
            Ok(name) => found.push(name),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return (found, true),
        }
    }
    (found, false)
}
