//! Mail of our own: forwarded copies and notifications, through cleanup into the queue.

use crate::{Ended, Intake, Log, Zone};
use cleanup::{CleanupService, Source, Start};
use queue::Queue;
use queue_format::RecordType;
use std::rc::Rc;
use types::{Address, QueueId, Recipient, SendOptions, Trouble};
use world::World;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injected {
    /// It is on stable storage.
    Queued(QueueId),
    /// The configuration wants it thrown away.
    Discarded,
}

/// Puts messages of our own into the queue.
pub struct Injector<W: World> {
    world: W,
    queue: Queue<W::Disk>,
    log: Log,
    zone: Zone,
    cleanup: Rc<CleanupService>,
    /// `syslog_name/cleanup`
    tag: String,
    /// Called with what was committed.
    arrived: Box<dyn Fn(QueueId)>,
}

impl<W: World> Injector<W> {
    /// `tag` is the name in cleanup's log lines; `arrived` is told of each message that was committed.
    pub fn new(
        (world, queue): (W, Queue<W::Disk>),
        (log, zone): (Log, Zone),
        cleanup: Rc<CleanupService>,
        tag: String,
        arrived: impl Fn(QueueId) + 'static,
    ) -> Self {
        Self { world, queue, log, zone, cleanup, tag, arrived: Box::new(arrived) }
    }

    pub(crate) fn world(&self) -> &W {
        &self.world
    }

    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Begins a message, which needs SMTPUTF8 where its original does.
    pub fn begin(&self, source: Source, original: SendOptions) -> Result<Intake<W::Disk>, Trouble> {
        let now = self.world.wall();
        let start = |id| Start {
            arrival: now,
            created: now,
            zone: self.zone.at(now),
            id,
            source,
            is_smtputf8: original.has(SendOptions::SMTPUTF8_REQUESTED),
            logger: self.log.session(&self.tag),
        };
        Intake::open(now, &self.queue, &self.cleanup, start)
            .map_err(|error| Trouble::new(format!("create a queue file: {error}")))
    }

    /// Commits a message.
    pub async fn finish(&self, intake: Intake<W::Disk>) -> Result<Injected, Trouble> {
        match intake.finish(&self.world).await {
            Ok(Ended::Queued(id)) => {
                (self.arrived)(id);
                Ok(Injected::Queued(id))
            }
            Ok(Ended::Discarded) => Ok(Injected::Discarded),
            Ok(Ended::Refused(refusal)) => Err(Trouble::new(refusal.reply.to_string())),
            Ok(Ended::MustBounce(unaccepted)) => {
                let status = &unaccepted.status;
                Err(Trouble::new(format!("{} {}", status.dsn, status.reason)))
            }
            Err(error) => Err(Trouble::new(format!("write queue file: {error}"))),
        }
    }

    /// A whole message of complete lines.
    pub async fn inject<'a>(
        &self,
        (source, original): (Source, SendOptions),
        sender: &Address,
        recipients: &[Recipient],
        lines: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Injected, Trouble> {
        let mut intake = self.begin(source, original)?;
        self.envelope(&mut intake, sender, recipients).await;
        for line in lines {
            intake.cleanup.content_record(line, true).await;
            intake.relieve().map_err(|error| Trouble::new(format!("write queue file: {error}")))?;
        }
        intake.cleanup.end_content().await;
        self.finish(intake).await
    }

    /// Time, sender, recipients, and the beginning of the content.
    pub async fn envelope(&self, intake: &mut Intake<W::Disk>, sender: &Address, recipients: &[Recipient]) {
        let now = self.world.wall();
        let time = format!("{} {}", now.seconds, now.micros);
        intake.cleanup.record(RecordType::TIME, time.as_bytes()).await;
        intake.cleanup.record(RecordType::SENDER, sender.as_bytes()).await;
        for recipient in recipients {
            intake.cleanup.recipient(recipient).await;
        }
        intake.cleanup.begin_internal_content();
    }
}
