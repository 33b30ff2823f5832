//! How a message goes from one queue to another. Each move is one rename; the message keeps its name.

use crate::{MODE_READY, MODE_UNTHROTTLE, Queue, QueueFile};
use std::{io, time::Duration};
use types::{QueueId, QueueName, WallTime};
use world::{Disk, DiskFile, FileKind, FileStatus, OpenMode};

/// What came of trying to take a message into the active queue.
pub enum Claimed<D: Disk> {
    /// It is in `active`, open and locked.
    Taken(QueueFile<D>),
    /// It is not there (any more).
    Gone,
    /// It is being written, or is no regular file.
    NotReady,
    /// It is to be tried at this time.
    NotYet(WallTime),
    /// Another process (an older generation) still works on it: it was put back to be tried later.
    Busy,
}

impl<D: Disk> Queue<D> {
    /// How long a message that another process works on is left alone.
    const BUSY_DELAY: Duration = Duration::from_secs(60);

    /// Takes a complete message from `incoming` or `deferred` into `active`. `is_forced` takes it also before its
    /// time (queue flush).
    pub fn claim(
        &self,
        now: WallTime,
        from: QueueName,
        id: &QueueId,
        is_forced: bool,
    ) -> io::Result<Claimed<D>> {
        let path = self.path(from, id);
        let status = match self.disk().status(&path) {
            Ok(status) => status,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Claimed::Gone),
            Err(error) => return Err(error),
        };
        if !is_ready(&status) {
            return Ok(Claimed::NotReady);
        }
        if !is_forced && status.modified.seconds > now.seconds.saturating_add(1) {
            return Ok(Claimed::NotYet(status.modified));
        }
        match self.move_to(id, from, QueueName::Active) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Claimed::Gone),
            result => result?,
        }
        let file = match self.disk().open(&self.path(QueueName::Active, id), OpenMode::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Claimed::Gone),
            result => result?,
        };
        if file.try_lock()? {
            return Ok(Claimed::Taken(QueueFile { id: *id, queue_name: QueueName::Active, file, status }));
        }
        file.set_modified(now + Self::BUSY_DELAY)?;
        self.move_to(id, QueueName::Active, QueueName::Incoming)?;
        Ok(Claimed::Busy)
    }

    /// Opens a message for reading and marking; `None` when it is not there.
    pub fn open_message(&self, queue: QueueName, id: &QueueId) -> io::Result<Option<QueueFile<D>>> {
        self.open_with(queue, id, OpenMode::ReadWrite)
    }

    /// Opens a message for reading only; `None` when it is not there.
    pub fn open_for_reading(&self, queue: QueueName, id: &QueueId) -> io::Result<Option<QueueFile<D>>> {
        self.open_with(queue, id, OpenMode::Read)
    }

    fn open_with(&self, queue: QueueName, id: &QueueId, how: OpenMode) -> io::Result<Option<QueueFile<D>>> {
        match self.disk().open(&self.path(queue, id), how) {
            Ok(file) => {
                let status = file.status()?;
                Ok(Some(QueueFile { id: *id, queue_name: queue, file, status }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts an active message off: its next try is its file's modification time.
    pub fn defer(&self, message: QueueFile<D>, next_try: WallTime) -> io::Result<()> {
        let QueueFile { id, queue_name, file, .. } = message;
        file.set_modified(next_try)?;
        self.move_to(&id, queue_name, QueueName::Deferred)
    }

    /// An active message is done with: every recipient is delivered to or returned. Its logs must be gone before
    /// ([`Self::remove_log`]).
    pub fn finish(&self, message: QueueFile<D>) -> io::Result<()> {
        let (queue_name, id) = (message.queue_name, message.id);
        drop(message);
        self.remove(queue_name, &id)
    }

    /// Puts a message on hold until [`Self::release`].
    pub fn hold(&self, from: QueueName, id: &QueueId) -> io::Result<()> {
        self.move_to(id, from, QueueName::Hold)
    }

    /// Lets a held message go on: it goes to `deferred`, as in Postfix.
    pub fn release(&self, id: &QueueId) -> io::Result<()> {
        self.move_to(id, QueueName::Hold, QueueName::Deferred)
    }

    /// Sets a message that cannot be read aside for a human.
    pub fn corrupt(&self, from: QueueName, id: &QueueId) -> io::Result<()> {
        self.move_to(id, from, QueueName::Corrupt)
    }

    /// Removes a message.
    pub fn remove(&self, queue: QueueName, id: &QueueId) -> io::Result<()> {
        self.disk().unlink(&self.path(queue, id))
    }

    /// Asks for a deferred message to be tried at once, whatever is known about its destinations: it goes to
    /// `incoming` (flush(8) does this for one site or one message). False when it is not deferred.
    pub fn expedite(&self, now: WallTime, id: &QueueId) -> io::Result<bool> {
        let Some(message) = self.open_message(QueueName::Deferred, id)? else { return Ok(false) };
        if !is_ready(&message.status) {
            return Ok(false);
        }
        message.file.set_modified(now)?;
        message.file.set_mode((message.status.mode | MODE_UNTHROTTLE) & 0o7777)?;
        self.move_to(id, QueueName::Deferred, QueueName::Incoming)?;
        Ok(true)
    }

    /// At start, before the first [`Self::claim`]: what a process before us was delivering goes back
    /// to `incoming`, with the present time, so that also a message that was flushed before its time is tried at
    /// once. Returns how many messages were moved.
    pub fn recover_active(&self, now: WallTime) -> io::Result<u64> {
        let mut ids = Vec::new();
        self.scan_names(QueueName::Active, &mut |id| {
            ids.push(id);
            true
        })?;
        let mut moved = 0;
        for id in ids {
            match self.return_to_incoming(now, &id) {
                Ok(()) => moved += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(moved)
    }

    fn return_to_incoming(&self, now: WallTime, id: &QueueId) -> io::Result<()> {
        let path = self.path(QueueName::Active, id);
        // Most files have a time in the past, and looking is cheaper than setting.
        if self.disk().status(&path)?.modified > now {
            self.disk().open(&path, OpenMode::ReadWrite)?.set_modified(now)?;
        }
        self.move_to(id, QueueName::Active, QueueName::Incoming)
    }

    /// Moves a message, without looking at it.
    pub fn move_to(&self, id: &QueueId, from: QueueName, to: QueueName) -> io::Result<()> {
        self.rename_with_directories(&self.path(from, id), &self.path(to, id))
    }
}

pub(crate) fn is_ready(status: &FileStatus) -> bool {
    status.kind == FileKind::Regular && status.mode & 0o700 == MODE_READY
}
