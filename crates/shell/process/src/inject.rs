//! Mail of our own: forwarded copies and notifications, through cleanup into the queue.

use crate::{CleanupRow, Ended, Intake, Log, Unaccepted, Zone};
use cleanup::{ClientSettings, Source, Start};
use config::Values;
use queue::Queue;
use queue_format::RecordType;
use std::rc::Rc;
use types::{Address, QueueId, Recipient, SendOptions, Trouble};
use world::{Disk, World};

/// What became of it.
#[derive(Debug)]
pub enum Injected<D: Disk> {
    /// It is on stable storage, or the configuration wants it thrown away, which whoever made it need not know.
    Taken(QueueId),
    /// Cleanup does not take it, for good: [`crate::Notifier::give_back`] tells its sender.
    MustBounce(Box<Unaccepted<D>>),
}

/// Who a message is from and whom it is for, with what else cleanup is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Envelope sender.
    pub sender: &'a Address,
    /// At least one.
    pub recipients: &'a [Recipient],
    /// Named attributes; those without a value are left out.
    pub attributes: &'a [(&'a str, &'a [u8])],
}

/// Puts messages of our own into the queue.
pub struct Injector<W: World> {
    world: W,
    queue: Queue<W::Disk>,
    log: Log,
    zone: Zone,
    cleanup: CleanupRow,
    client: Rc<ClientSettings>,
    /// Called with what was committed.
    arrived: Box<dyn Fn(QueueId)>,
}

impl<W: World> Injector<W> {
    /// `client` has the values of the service that the mail is from; `arrived` is told of each message that was committed.
    pub fn new(
        (world, queue): (W, Queue<W::Disk>),
        (log, zone): (Log, Zone),
        cleanup: CleanupRow,
        client: &Values,
        arrived: impl Fn(QueueId) + 'static,
    ) -> Self {
        Self::of((world, queue), (log, zone), cleanup, Rc::new(ClientSettings::load(client)), arrived)
    }

    /// The same with values that were read before.
    pub fn of(
        (world, queue): (W, Queue<W::Disk>),
        (log, zone): (Log, Zone),
        cleanup: CleanupRow,
        client: Rc<ClientSettings>,
        arrived: impl Fn(QueueId) + 'static,
    ) -> Self {
        Self { world, queue, log, zone, cleanup, client, arrived: Box::new(arrived) }
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
            client: Rc::clone(&self.client),
            is_smtputf8: original.has(SendOptions::SMTPUTF8_REQUESTED),
            logger: self.log.session(&self.cleanup.tag),
        };
        Intake::open(now, &self.queue, &self.cleanup.service, start)
            .map_err(|error| Trouble::new(format!("create a queue file: {error}")))
    }

    /// Commits a message.
    pub async fn finish(&self, intake: Intake<W::Disk>) -> Result<Injected<W::Disk>, Trouble> {
        let id = intake.id();
        match intake.finish(&self.world).await {
            Ok(Ended::Queued(id)) => {
                (self.arrived)(id);
                Ok(Injected::Taken(id))
            }
            Ok(Ended::Discarded) => Ok(Injected::Taken(id)),
            Ok(Ended::Refused(refusal)) => Err(Trouble::new(refusal.reply.to_string())),
            Ok(Ended::MustBounce(unaccepted)) => Ok(Injected::MustBounce(unaccepted)),
            Err(error) => Err(Trouble::new(format!("write queue file: {error}"))),
        }
    }

    /// A whole message of complete lines.
    pub async fn inject<'a>(
        &self,
        (source, original): (Source, SendOptions),
        envelope: Envelope<'_>,
        lines: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Injected<W::Disk>, Trouble> {
        let mut intake = self.begin(source, original)?;
        self.envelope(&mut intake, envelope).await;
        for line in lines {
            intake.cleanup.content_record(line, true).await;
            intake.relieve().map_err(|error| Trouble::new(format!("write queue file: {error}")))?;
        }
        intake.cleanup.end_content().await;
        self.finish(intake).await
    }

    /// Time, sender, attributes, recipients, and the beginning of the content.
    pub async fn envelope(&self, intake: &mut Intake<W::Disk>, envelope: Envelope<'_>) {
        let Envelope { sender, recipients, attributes } = envelope;
        let now = self.world.wall();
        let time = format!("{} {}", now.seconds, now.micros);
        intake.cleanup.record(RecordType::TIME, time.as_bytes()).await;
        intake.cleanup.record(RecordType::SENDER, sender.as_bytes()).await;
        for (name, value) in attributes.iter().filter(|(_, value)| !value.is_empty()) {
            let record = [name.as_bytes(), b"=", value].concat();
            intake.cleanup.record(RecordType::ATTRIBUTE, &record).await;
        }
        for recipient in recipients {
            intake.cleanup.recipient(recipient).await;
        }
        intake.cleanup.begin_internal_content();
    }
}
