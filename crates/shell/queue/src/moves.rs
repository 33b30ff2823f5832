//! How a message goes from one queue to another. Each move is one rename; the message keeps its name.

use crate::{MODE_READY, Queue, QueueFile};
use std::io;
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
    /// Another process (an older generation) still works on it; it was left where it is. [`Queue::look_after`] tells
    /// when it is free.
    Busy,
}

/// What [`Queue::recover_active`] found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Messages that went back to `incoming`.
    pub moved: u64,
    /// Messages that another process still works on; they were left where they are.
    pub busy: Vec<QueueId>,
}

/// How far another process is with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It still works on it.
    Busy,
    /// It let go of it: the message is in `incoming`.
    Returned,
    /// The message is neither in `active` nor in `incoming` any more.
    Done,
}

impl<D: Disk> Queue<D> {
    /// Takes a complete message from `incoming` or `deferred` into `active`. `is_forced` takes it also before its
    /// time (queue flush). The lock comes before the move: what another process works on is not moved under its hands.
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
        let file = match self.disk().open(&path, OpenMode::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Claimed::Gone),
            result => result?,
        };
        if !file.try_lock()? {
            return Ok(Claimed::Busy);
        }
        match self.move_to(id, from, QueueName::Active) {
            // Whoever had it locked until now has moved it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Claimed::Gone),
            Err(error) => Err(error),
            Ok(()) => Ok(Claimed::Taken(QueueFile { id: *id, queue_name: QueueName::Active, file, status })),
        }
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

    /// At start, before the first [`Self::claim`]: what a process before us was delivering goes back
    /// to `incoming`, with the present time, so that also a message that was flushed before its time is tried at
    /// once. What an older generation still works on stays.
    pub fn recover_active(&self, now: WallTime) -> io::Result<Recovered> {
        let mut ids = Vec::new();
        self.scan_names(QueueName::Active, &mut |id| {
            ids.push(id);
            true
        })?;
        let mut recovered = Recovered::default();
        for id in ids {
            // What cannot be opened nobody works on: the next try sets it aside.
            let taken = self.take_back(now, &id).or_else(|_| {
                self.move_to(&id, QueueName::Active, QueueName::Incoming).map(|()| Progress::Returned)
            });
            match taken? {
                Progress::Returned => recovered.moved += 1,
                Progress::Busy => recovered.busy.push(id),
                Progress::Done => {}
            }
        }
        Ok(recovered)
    }

    /// Looks after a message that another process was working on, and takes it back from `active` when that process
    /// let go of it there, which it does only when it ends.
    pub fn look_after(&self, now: WallTime, id: &QueueId) -> io::Result<Progress> {
        let progress = self.take_back(now, id)?;
        if progress != Progress::Done {
            return Ok(progress);
        }
        match self.disk().open(&self.path(QueueName::Incoming, id), OpenMode::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Progress::Done),
            Err(error) => Err(error),
            Ok(file) => Ok(if file.try_lock()? { Progress::Returned } else { Progress::Busy }),
        }
    }

    fn take_back(&self, now: WallTime, id: &QueueId) -> io::Result<Progress> {
        let file = match self.disk().open(&self.path(QueueName::Active, id), OpenMode::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Progress::Done),
            result => result?,
        };
        if !file.try_lock()? {
            return Ok(Progress::Busy);
        }
        match self.return_to_incoming(now, id, &file) {
            Ok(()) => Ok(Progress::Returned),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Progress::Done),
            Err(error) => Err(error),
        }
    }

    /// Moves an active message, whose lock the caller holds, back to `incoming`, with the present time if its time has
    /// not come.
    pub fn return_to_incoming(&self, now: WallTime, id: &QueueId, file: &D::File) -> io::Result<()> {
        if file.status()?.modified > now {
            file.set_modified(now)?;
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
