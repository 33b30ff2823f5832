//! A message that comes in, and a message's open file.

use crate::{MODE_READY, MODE_UNTHROTTLE, Queue, encode_id, pool::Ready};
use queue_format::{RecordType, Source};
use std::{io, path::PathBuf};
use types::{QueueId, QueueName, WallTime};
use world::{Disk, DiskFile, FileStatus};

/// How many new files for one message may be taken away by others. Each that begins takes up a pool's worth once.
const ATTEMPTS_MAX: u32 = 16;

/// Where a message being written stands; removes it unless it is handed on.
struct Guard<D: Disk> {
    queue: Queue<D>,
    path: PathBuf,
    is_kept: bool,
}

impl<D: Disk> Drop for Guard<D> {
    fn drop(&mut self) {
        if !self.is_kept {
            // Nobody was promised anything; what stays is a file of mode 0600 that is purged when it is old.
            let _ = self.queue.disk().unlink(&self.path);
        }
    }
}

/// A message in `incoming` that is being written: mode 0600, so nobody takes it. Dropped, it is gone.
pub struct NewMessage<D: Disk> {
    id: QueueId,
    file: D::File,
    written: u64,
    guard: Guard<D>,
}

impl<D: Disk> NewMessage<D> {
    /// Its queue id.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// How many bytes have been appended.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Appends; the caller buffers, so that a small message is one write.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(self.written, bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Overwrites bytes that were appended before: the size record, or a pointer.
    pub fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.written) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "overwrite beyond what was written"));
        }
        self.file.write_at(offset, bytes)
    }

    /// Reads back what was appended.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    /// Moves the message, still incomplete, to another queue: `hold`, where only the administrator releases it.
    pub fn redirect_to(&mut self, queue: QueueName) -> io::Result<()> {
        let to = self.guard.queue.path(queue, &self.id);
        self.guard.queue.rename_with_directories(&self.guard.path, &to)?;
        self.guard.path = to;
        Ok(())
    }

    /// Sets the modification time: with one in the future the message waits (`defer_until`, cool-down).
    pub fn set_modified(&self, at: WallTime) -> io::Result<()> {
        self.file.set_modified(at)
    }

    /// Says that the file is complete (mode 0700). It may be taken from now on but is not durable yet.
    pub fn seal(self) -> io::Result<Sealed<D>> {
        self.file.set_mode(MODE_READY)?;
        Ok(Sealed { id: self.id, file: self.file, guard: self.guard })
    }

    /// Seals and syncs: when this returns, the message is on stable storage, and only then may anybody be told
    /// that it was accepted.
    pub fn commit(self) -> io::Result<QueueId> {
        self.seal()?.sync()
    }

    /// Removes the message.
    pub fn discard(self) {}
}

/// A complete message that is not durable yet. Dropped, it is removed.
#[must_use = "a sealed message is durable only after sync"]
pub struct Sealed<D: Disk> {
    id: QueueId,
    file: D::File,
    guard: Guard<D>,
}

impl<D: Disk> Sealed<D> {
    /// Its queue id.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Makes content, mode and name durable. After an error the message is removed and the sender must try again:
    /// a second sync could succeed without having written anything.
    pub fn sync(mut self) -> io::Result<QueueId> {
        self.file.sync()?;
        self.guard.is_kept = true;
        Ok(self.id)
    }
}

/// An open message file in a queue.
pub struct QueueFile<D: Disk> {
    pub(crate) id: QueueId,
    pub(crate) queue_name: QueueName,
    pub(crate) file: D::File,
    pub(crate) status: FileStatus,
}

impl<D: Disk> QueueFile<D> {
    /// Queue id.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// The queue it was opened in.
    #[must_use]
    pub fn queue_name(&self) -> QueueName {
        self.queue_name
    }

    /// Status when it was opened.
    #[must_use]
    pub fn status(&self) -> &FileStatus {
        &self.status
    }

    /// The file itself, for reading content.
    pub fn file(&self) -> &D::File {
        &self.file
    }

    /// Marks a recipient done: one byte. Not synced: after a crash the recipient is tried again, which
    /// can deliver twice but never loses.
    pub fn mark_done(&self, offset: u64) -> io::Result<()> {
        self.mark(offset, RecordType::DONE)
    }

    /// Kills a record (`trace_flags` after its report was sent).
    pub fn mark_killed(&self, offset: u64) -> io::Result<()> {
        self.mark(offset, RecordType::KILLED)
    }

    fn mark(&self, offset: u64, record_type: RecordType) -> io::Result<()> {
        if offset == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no record has offset 0 to be marked"));
        }
        self.file.write_at(offset, &[record_type.0])
    }

    /// Overwrites the time of the next delay warning: `offset` is that of its record
    /// ([`queue_format::WarnTime`]).
    pub fn set_warn_time(&self, offset: u64, at_seconds: i64) -> io::Result<()> {
        self.file.write_at(offset.saturating_add(2), format!("{at_seconds:>15}").as_bytes())
    }

    /// Whether the group bit says to forget what is known about dead destinations.
    #[must_use]
    pub fn is_unthrottled(&self) -> bool {
        self.status.mode & MODE_UNTHROTTLE != 0
    }

    /// Whether the administrator let the message expire.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.status.mode & crate::MODE_EXPIRE != 0
    }

    /// Takes [`Self::is_unthrottled`] back, once it was heeded.
    pub fn clear_unthrottled(&mut self) -> io::Result<()> {
        let mode = self.status.mode & !MODE_UNTHROTTLE & 0o7777;
        self.file.set_mode(mode)?;
        self.status.mode = mode;
        Ok(())
    }

    /// Makes marks durable.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

impl<D: Disk> Source for QueueFile<D> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }
}

impl<D: Disk> Queue<D> {
    /// A new message in `incoming`, from the pool when there is a file, else from a new one.
    pub fn new_message(&self, now: WallTime) -> io::Result<NewMessage<D>> {
        let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        while let Some(ready) = self.shared.pool.take() {
            match self.name_new(now, ready) {
                // Another process was quicker.
                Err(error) if is_taken(&error) => {}
                result => return result,
            }
        }
        // In `incoming` a name that is no queue id would be taken for somebody's mistake. In the pool, a process that
        // begins may take the file up before it has its name.
        let mut attempts = 1..ATTEMPTS_MAX;
        loop {
            match self.name_new(now, self.create_in_pool()?) {
                Err(error) if is_taken(&error) && attempts.next().is_some() => {}
                result => return result,
            }
        }
    }

    fn name_new(&self, now: WallTime, ready: Ready<D::File>) -> io::Result<NewMessage<D>> {
        let Ready { path: from, inode, file } = ready;
        let id = encode_id(now, inode, self.settings().enable_long_queue_ids)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "inode number makes no queue id"))?;
        let path = self.path(QueueName::Incoming, &id);
        let is_hashed = self.settings().hash_depth(QueueName::Incoming) > 0;
        let renamed = if is_hashed {
            self.rename_with_directories(&from, &path)
        } else {
            self.disk().rename(&from, &path)
        };
        renamed?;
        Ok(NewMessage { id, file, written: 0, guard: Guard { queue: self.clone(), path, is_kept: false } })
    }
}
