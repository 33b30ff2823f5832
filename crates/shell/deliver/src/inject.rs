//! Mail of our own: forwarded copies and notifications, through cleanup into the queue.

use crate::shared::Shared;
use cleanup::{CleanupService, CleanupSettings, Source, Start};
use process::{Ended, Intake, Process};
use qmgr::Event;
use queue_format::RecordType;
use rewrite::Rewriter;
use std::rc::Rc;
use tables::Registry;
use types::{Address, QueueId, Recipient, SendOptions, Trouble};
use world::World;

/// What became of it.
pub(crate) enum Injected {
    /// It is on stable storage.
    Queued(QueueId),
    /// The configuration wants it thrown away.
    Discarded,
}

pub(crate) struct Injector<W: World> {
    shared: Rc<Shared<W>>,
    cleanup: Rc<CleanupService>,
    /// `syslog_name/cleanup`
    tag: String,
}

impl<W: World> Injector<W> {
    pub(crate) fn new(
        shared: &Rc<Shared<W>>,
        process: &Process,
        rewriter: &Rc<Rewriter>,
    ) -> Result<Self, String> {
        let values = process.values();
        let tag = process::tag(values, "cleanup");
        let registry = Registry::new(values, shared.log.session(&tag)).with_openers(&shared.openers);
        let settings = CleanupSettings::load(values).map_err(|invalid| invalid.to_string())?;
        let cleanup = Rc::new(CleanupService::new(settings, Rc::clone(rewriter), &registry));
        Ok(Self { shared: Rc::clone(shared), cleanup, tag })
    }

    /// Begins a message, which needs SMTPUTF8 where its original does.
    pub(crate) fn begin(&self, source: Source, original: SendOptions) -> Result<Intake<W::Disk>, Trouble> {
        let now = self.shared.world.wall();
        let start = |id| Start {
            arrival: now,
            created: now,
            zone: self.shared.zone.at(now),
            id,
            source,
            is_smtputf8: original.has(SendOptions::SMTPUTF8_REQUESTED),
            logger: self.shared.log.session(&self.tag),
        };
        Intake::open(now, &self.shared.queue, &self.cleanup, start)
            .map_err(|error| Trouble::new(format!("create a queue file: {error}")))
    }

    /// Commits a message and tells the scheduler.
    pub(crate) async fn finish(&self, intake: Intake<W::Disk>) -> Result<Injected, Trouble> {
        match intake.finish(&self.shared.world).await {
            Ok(Ended::Queued(id)) => {
                self.shared.events.push(Event::Arrived(id));
                Ok(Injected::Queued(id))
            }
            Ok(Ended::Discarded) => Ok(Injected::Discarded),
            Ok(Ended::Refused(reply)) => Err(Trouble::new(reply.to_string())),
            Ok(Ended::MustBounce(status, _)) => {
                Err(Trouble::new(format!("{} {}", status.dsn, status.reason)))
            }
            Err(error) => Err(Trouble::new(format!("write queue file: {error}"))),
        }
    }

    /// A whole message of complete lines.
    pub(crate) async fn inject<'a>(
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
    pub(crate) async fn envelope(
        &self,
        intake: &mut Intake<W::Disk>,
        sender: &Address,
        recipients: &[Recipient],
    ) {
        let now = self.shared.world.wall();
        let time = format!("{} {}", now.seconds, now.micros);
        intake.cleanup.record(RecordType::TIME, time.as_bytes()).await;
        intake.cleanup.record(RecordType::SENDER, sender.as_bytes()).await;
        for recipient in recipients {
            intake.cleanup.recipient(recipient).await;
        }
        intake.cleanup.begin_internal_content();
    }
}
