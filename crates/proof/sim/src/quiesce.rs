//! Quiesce: when the trouble is over and nobody sends any more, all mail goes, and nothing is left behind.

use queue::Queue;
use types::QueueName;
use world::Disk;

/// Queues that are empty when all is done; messages set aside as unreadable would be damage.
const EMPTY: [QueueName; 8] = [
    QueueName::Incoming,
    QueueName::Active,
    QueueName::Deferred,
    QueueName::Hold,
    QueueName::Corrupt,
    QueueName::Bounce,
    QueueName::Defer,
    QueueName::Trace,
];

/// Looks for what is left. Files that were being written at a crash do not count:
/// nobody takes them, and `postsuper -p` removes them.
///
/// # Errors
/// Something is left, or the disk cannot be read.
pub fn quiesced<D: Disk>(queue: &Queue<D>) -> Result<(), String> {
    for name in EMPTY {
        let mut left = Vec::new();
        let listed = queue.scan(name, &mut |entry| {
            let is_unfinished = name == QueueName::Incoming && !entry.is_ready();
            if !is_unfinished {
                left.push(entry.id);
            }
            true
        });
        listed.map_err(|error| format!("quiesce: {name}: {error}"))?;
        if let Some(id) = left.first() {
            return Err(format!("quiesce: {} files are left in {name}: {id}", left.len()));
        }
    }
    Ok(())
}
