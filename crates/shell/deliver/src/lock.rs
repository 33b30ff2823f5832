//! One process at a time manages the queue. At a reload the old generation gives back what it is not delivering, and
//! lets go of this lock; of each message that it still delivers it keeps the file's own lock: nothing is delivered by
//! both.

use process::Process;
use std::{fs::File, time::Duration};
use world::World;

/// How often a new generation looks whether the old one has let go.
const RETRY: Duration = Duration::from_millis(20);

/// Held until the queue is handed over.
pub(crate) struct QueueLock(#[expect(dead_code, reason = "open is locked")] File);

pub(crate) async fn take(world: &impl World, process: &Process) -> Result<QueueLock, String> {
    let path = process.queue_directory().join("active");
    let directory = File::open(&path).map_err(|error| format!("open {}: {error}", path.display()))?;
    loop {
        match sys::lock::try_flock(&directory) {
            Ok(true) => return Ok(QueueLock(directory)),
            Ok(false) => world.sleep(RETRY).await,
            Err(error) => return Err(format!("lock {}: {error}", path.display())),
        }
    }
}
