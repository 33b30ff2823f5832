//! A message on its way into the queue: what `cleanup` makes goes into a file of `queue`, and only a file that
//! is on stable storage is ever spoken of as accepted.

use cleanup::{Cleanup, CleanupService, SizePatch, Start, Verdict};
use queue::{NewMessage, Queue};
use std::{io, rc::Rc};
use types::{QueueId, QueueName, Status, WallTime};
use world::{Disk, World};

/// Bytes that are collected before they are written: a message of usual size is one write.
const WRITE_BYTES: usize = 128 * 1024;

/// An unfinished message. Dropped, it is gone.
pub struct Intake<D: Disk> {
    file: NewMessage<D>,
    /// The maker of the file.
    pub cleanup: Cleanup,
}

/// What became of a message.
#[derive(Debug)]
pub enum Ended<D: Disk> {
    /// It is on stable storage.
    Queued(QueueId),
    /// Nothing was kept, and nothing is wrong.
    Discarded,
    /// Nothing was kept. The reply says whose fault it was.
    Refused(types::Reply),
    /// Nobody waits for a reply: the sender must hear of it by mail before this file goes.
    MustBounce(Status, Unaccepted<D>),
}

/// A file that holds a message which cannot be accepted, for its notification. Dropped, it is gone.
pub struct Unaccepted<D: Disk>(NewMessage<D>);

impl<D: Disk> std::fmt::Debug for Unaccepted<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.id())
    }
}

impl<D: Disk> Unaccepted<D> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.0.id()
    }

    /// Reads the queue file.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }
}

impl<D: Disk> Intake<D> {
    /// Allocates a queue file; `start` gets its id.
    pub fn open(
        now: WallTime,
        queue: &Queue<D>,
        service: &Rc<CleanupService>,
        start: impl FnOnce(QueueId) -> Start,
    ) -> io::Result<Self> {
        let file = queue.new_message(now)?;
        let cleanup = Cleanup::new(Rc::clone(service), start(file.id()));
        Ok(Self { file, cleanup })
    }

    /// The message's id.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.file.id()
    }

    /// Writes what has been collected, if it is much. To be called after content was added.
    pub fn relieve(&mut self) -> io::Result<()> {
        if self.cleanup.writer().bytes().len() < WRITE_BYTES { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> io::Result<()> {
        let file = &mut self.file;
        self.cleanup.writer().take(|_, bytes| file.append(bytes))
    }

    /// Ends the message. An error is trouble with the disk: nothing was accepted.
    pub async fn finish<W: World<Disk = D>>(mut self, world: &W) -> io::Result<Ended<D>> {
        match self.cleanup.finish().await {
            Verdict::Accepted { size_patch, is_held, .. } => {
                self.complete(size_patch)?;
                if is_held {
                    self.file.redirect_to(QueueName::Hold)?;
                }
                let sealed = self.file.seal()?;
                Ok(Ended::Queued(world.blocking(move || sealed.sync()).await?))
            }
            Verdict::Reject(reply) | Verdict::Defer(reply) => Ok(Ended::Refused(reply)),
            Verdict::Discard => Ok(Ended::Discarded),
            Verdict::Bounce { status, size_patch } => {
                self.complete(size_patch)?;
                Ok(Ended::MustBounce(status, Unaccepted(self.file)))
            }
        }
    }

    fn complete(&mut self, size_patch: Option<SizePatch>) -> io::Result<()> {
        self.write()?;
        match size_patch {
            Some(patch) => self.file.overwrite(patch.offset, &patch.bytes),
            None => Ok(()),
        }
    }
}
