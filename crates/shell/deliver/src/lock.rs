//! One process at a time manages the queue. At a reload the old generation finishes what it is delivering
//! before the new one takes up the queue: nothing is delivered by both.

use process::Process;
use std::{fs::File, time::Duration};
use world::World;

/// How often a new generation looks whether the old one is done.
const RETRY: Duration = Duration::from_millis(20);

/// Held for as long as the process lives.
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
