//! Quiesce: when the trouble is over and nobody sends any more, all mail goes, and nothing is left behind.

use queue::Queue;
use std::{collections::BTreeSet, io};
use types::{QueueId, QueueName};
use world::Disk;

/// Queues that are empty when all is done. In `corrupt` may be what was complete but not synced at a power cut: nobody
/// was promised anything, or it is missed elsewhere.
const MESSAGES: [QueueName; 4] =
    [QueueName::Incoming, QueueName::Active, QueueName::Deferred, QueueName::Hold];

const LOGS: [QueueName; 3] = [QueueName::Bounce, QueueName::Defer, QueueName::Trace];

/// The logs in the queue. After a power cut one can be there without its message: the removal of the message was on the
/// disk already, that of the log was not.
///
/// # Errors
/// The disk's.
pub fn logs<D: Disk>(queue: &Queue<D>) -> io::Result<BTreeSet<QueueId>> {
    let mut found = BTreeSet::new();
    for name in LOGS {
        queue.scan_names(name, &mut |id| {
            found.insert(id);
            true
        })?;
    }
    Ok(found)
}

/// Looks for what is left; `old` are the logs that a power cut had left. Files that were being written at a crash do not
/// count: nobody takes them, and `postsuper -p` removes them.
///
/// # Errors
/// Something is left, or the disk cannot be read.
pub fn quiesced<D: Disk>(queue: &Queue<D>, old: &BTreeSet<QueueId>) -> Result<(), String> {
    for name in MESSAGES {
        let mut left = None;
        let listed = queue.scan(name, &mut |entry| {
            let is_unfinished = name == QueueName::Incoming && !entry.is_ready();
            left = left.or(Some(entry.id).filter(|_| !is_unfinished));
            left.is_none()
        });
        listed.map_err(|error| format!("quiesce: {name}: {error}"))?;
        if let Some(id) = left {
            return Err(format!("quiesce: {name}/{id} is left"));
        }
    }
    let logs = logs(queue).map_err(|error| format!("quiesce: {error}"))?;
    match logs.difference(old).next() {
        Some(id) => Err(format!("quiesce: the log of {id} is left")),
        None => Ok(()),
    }
}
