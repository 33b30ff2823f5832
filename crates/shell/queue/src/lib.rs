//! The queue directory behind one interface. Scheduler, receivers, tools and tests say *what* is to become of a
//! message; only this crate names files below `queue_directory`. Everything works over [`world::Disk`], so
//! the simulator can lose unsynced writes and stop between any two calls.
//!
//! ```text
//!   pool --new_message--> incoming --claim--> active --defer--> deferred --claim--> active
//!                         (0600: being                 \--finish--> pool or gone
//!                          written; 0700: complete)     \--corrupt--> corrupt
//! ```
//!
//! Calls block. What waits for the disk ([`Sealed::sync`], log appends) belongs on a blocking thread; writing and
//! syncing are separate steps so that one thread can sync what many sessions wrote.
//!
//! The states of a message, who may move it, and what each step waits for stand in `docs/queue.md`.
//!
//! Diagnostics: errors of the disk come back as they are; nothing is retried, nothing panics. A name that is no
//! queue id is passed over, as Postfix does.

mod directories;
mod ids;
mod logs;
mod message;
mod moves;
mod pool;
mod real_disk;
mod scan;
mod settings;
pub mod showq;
mod site_logs;

pub use directories::{DIRECTORIES, DirectorySpec, Owner};
pub use ids::{decode_inode, encode_id, hashed_prefix, with_inode};
pub use message::{NewMessage, QueueFile, Sealed};
pub use moves::{Claimed, Progress, Recovered};
pub use pool::POOL_DIRECTORY;
pub use real_disk::{RealDisk, RealFile};
pub use scan::Entry;
pub use settings::QueueSettings;
pub use site_logs::{SitesFlushed, is_site};

use pool::Pool;
use std::{io, path::PathBuf, sync::Arc};
use types::{QueueId, QueueName};
use world::Disk;

/// Mode of a complete queue file.
pub const MODE_READY: u32 = 0o700;
/// Mode of a queue file that is being written.
pub const MODE_WRITING: u32 = 0o600;
/// Mode of a queue file that is set aside as unreadable.
pub const MODE_CORRUPT: u32 = 0o400;
/// Group bit: forget what is known about dead destinations when this message is next tried.
pub const MODE_UNTHROTTLE: u32 = 0o040;
/// Group bit: the message has expired by order of the administrator.
pub const MODE_EXPIRE: u32 = 0o010;

/// The queue. Cheap to clone; one for each process.
pub struct Queue<D: Disk> {
    shared: Arc<Shared<D>>,
}

impl<D: Disk> Clone for Queue<D> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<D: Disk> {
    disk: D,
    settings: QueueSettings,
    pool: Pool<D>,
}

impl<D: Disk> Queue<D> {
    /// A queue over the disk below `queue_directory`.
    pub fn new(disk: D, settings: QueueSettings) -> Self {
        let pool = Pool::new(disk.nonce());
        Self { shared: Arc::new(Shared { disk, settings, pool }) }
    }

    /// The disk.
    pub fn disk(&self) -> &D {
        &self.shared.disk
    }

    /// The settings.
    pub fn settings(&self) -> &QueueSettings {
        &self.shared.settings
    }

    /// Path of a message (or log) file below `queue_directory`, subdirectories included.
    pub fn path(&self, queue: QueueName, id: &QueueId) -> PathBuf {
        let depth = self.settings().hash_depth(queue);
        let (queue, id) = (queue.as_str(), id.as_str());
        let mut path = String::with_capacity(queue.len() + 2 * depth + 1 + id.len());
        path.push_str(queue);
        path.push('/');
        for letter in hashed_prefix(id, depth) {
            path.push(letter);
            path.push('/');
        }
        path.push_str(id);
        path.into()
    }

    /// Whether a message of this size may come in: twice `message_bytes` and `queue_minfree` must be free.
    pub fn has_room(&self, message_bytes: u64) -> io::Result<bool> {
        let free = self.disk().free_bytes()?;
        Ok(free >= self.settings().queue_minfree_bytes && free / 2 >= message_bytes)
    }

    /// Renames; makes the subdirectories of a hashed queue when they are missing.
    fn rename_with_directories(&self, from: &std::path::Path, to: &std::path::Path) -> io::Result<()> {
        match self.disk().rename(from, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_parents(to)?;
                self.disk().rename(from, to)
            }
            result => result,
        }
    }

    fn make_parents(&self, path: &std::path::Path) -> io::Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        let mut partial = PathBuf::new();
        for part in parent {
            partial.push(part);
            self.disk().make_directory(&partial, 0o700)?;
        }
        Ok(())
    }
}
