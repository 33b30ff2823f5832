//! A message on its way into the queue: what `cleanup` makes goes into a file of `queue`, and only a file that
//! is on stable storage is ever spoken of as accepted.

use cleanup::{Cleanup, CleanupService, Refusal, SizePatch, Start, Verdict};
use maillog::{CleanupEvent, Event, Logger};
use queue::{NewMessage, Queue};
use queue_format::{LogEntry, Source};
use std::{io, rc::Rc};
use types::{DsnReturn, MessageAttributes, QueueId, QueueName, Status, VerpDelimiters, WallTime};
use world::{Disk, World};

/// Bytes that are collected before they are written: a message of usual size is one write.
const WRITE_BYTES: usize = 128 * 1024;

/// An unfinished message. Dropped, it is gone.
pub struct Intake<D: Disk> {
    queue: Queue<D>,
    file: NewMessage<D>,
    end: End,
    /// The maker of the file.
    pub cleanup: Cleanup,
}

/// Says in the log what became of a message that did not get into the queue.
struct End {
    id: QueueId,
    logger: Logger,
    is_queued: bool,
    is_discarded: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        if !self.is_queued {
            let end = if self.is_discarded { CleanupEvent::Discarded } else { CleanupEvent::Canceled };
            self.logger.event(&Event::Cleanup(end(self.id)));
        }
    }
}

/// What became of a message.
#[derive(Debug)]
pub enum Ended<D: Disk> {
    /// It is on stable storage.
    Queued(QueueId),
    /// Nothing was kept, and nothing is wrong.
    Discarded,
    /// Nothing was kept.
    Refused(Refusal),
    /// Nobody waits for a reply: the sender must hear of it by mail before this file goes.
    MustBounce(Box<Unaccepted<D>>),
}

/// A file that holds a message which cannot be accepted, for its notification. Dropped, it is gone.
pub struct Unaccepted<D: Disk> {
    file: NewMessage<D>,
    end: End,
    /// Why.
    pub status: Status,
    /// What a notification says of it.
    pub message: MessageAttributes,
    /// How much of it may be returned.
    pub returns: DsnReturn,
    /// Each recipient has a notification of its own.
    pub verp: Option<VerpDelimiters>,
}

impl<D: Disk> std::fmt::Debug for Unaccepted<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} {}", self.id(), self.status.dsn, self.status.reason)
    }
}

impl<D: Disk> Unaccepted<D> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> QueueId {
        self.file.id()
    }

    /// Where cleanup's log lines of this message go.
    #[must_use]
    pub fn logger(&self) -> &Logger {
        &self.end.logger
    }

    /// Its sender has been told: it may go.
    pub fn returned(mut self) {
        self.end.is_discarded = true;
    }
}

impl<D: Disk> Source for Unaccepted<D> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
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
        let logger = cleanup.logger().clone();
        let end = End { id: file.id(), logger, is_queued: false, is_discarded: false };
        Ok(Self { queue: queue.clone(), file, end, cleanup })
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
                let expanded = self.cleanup.take_expanded();
                let sealed = self.file.seal()?;
                let (queue, id) = (self.queue, self.end.id);
                let id = world
                    .commit(move || match expanded.is_empty() {
                        true => sealed.sync(),
                        false => accept_traced(&queue, id, &expanded, || sealed.sync()),
                    })
                    .await?;
                self.end.is_queued = true;
                Ok(Ended::Queued(id))
            }
            Verdict::Refuse(refusal) => Ok(Ended::Refused(refusal)),
            Verdict::Discard => {
                self.end.is_discarded = true;
                Ok(Ended::Discarded)
            }
            Verdict::Bounce { status, message, returns, verp, size_patch } => {
                self.complete(size_patch)?;
                let Self { file, end, .. } = self;
                let message = *message;
                Ok(Ended::MustBounce(Unaccepted { file, end, status, message, returns, verp }.into()))
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

/// Accepts a message that has entries in its trace log already: they are there first, or the sender would never hear of them.
fn accept_traced<D: Disk>(
    queue: &Queue<D>,
    id: QueueId,
    entries: &[LogEntry],
    accept: impl FnOnce() -> io::Result<QueueId>,
) -> io::Result<QueueId> {
    queue.append_log(QueueName::Trace, &id, entries)?;
    let accepted = accept();
    if accepted.is_err() {
        // A log without a message is of no use, and does no harm.
        let _ = queue.remove_log(QueueName::Trace, &id);
    }
    accepted
}
