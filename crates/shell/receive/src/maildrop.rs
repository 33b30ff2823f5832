//! Mail from local users: what postdrop left in `maildrop` becomes messages in the queue (pickup(8)).
//!
//! A file's owner is its submitter; what it says is not trusted: record types are checked against what may
//! stand in each section, names of attributes were filtered by postdrop. The file is removed only when its copy
//! is on stable storage.

use crate::Shared;
use cleanup::{CleanupService, CleanupSettings, Source as Origin, Start};
use config::Values;
use maillog::{Event, Logger, PickupEvent};
use process::{Ended, Intake, Process, Trigger};
use queue::QueueFile;
use queue_format::{Reader, RecordType};
use rewrite::{RewriteSettings, Rewriter};
use std::{rc::Rc, time::Duration};
use tables::Registry;
use types::{Address, QueueId, QueueName, WallTime};
use world::{Accept, Disk, DiskFile, Stream, World};

/// Record types that may stand in the sections of a maildrop file; the first one ends the section.
const ENVELOPE: &[u8] = b"MCTcFILSDRO/WVA>K<ion";
const CONTENT: &[u8] = b"XLNw";
const EXTRACTED: &[u8] = b"EDRO/PreAFIL>Kon";

/// How long somebody may take to say that there is mail.
const TRIGGER_LIMIT: Duration = Duration::from_secs(10);

struct Pickup<W: World> {
    shared: Rc<Shared<W>>,
    cleanup: Rc<CleanupService>,
    tag: String,
    cleanup_tag: String,
    line_length_limit: usize,
    queue_run_delay: Duration,
    trigger: Trigger,
}

/// Starts to look into maildrop: at once, when somebody says so on a listener, at each wake-up, and now and then.
pub(crate) fn start<W: World>(
    shared: &Rc<Shared<W>>,
    process: &Process,
    service: &str,
    values: &Values,
    listeners: Vec<impl Accept<Stream = W::Stream>>,
) -> Result<(), String> {
    let invalid = |invalid: config::Invalid| invalid.to_string();
    let tag = process::tag(values, "pickup");
    let registry = Registry::new(values, shared.log.session(&tag)).with_openers(&shared.openers);
    let rewriter = Rc::new(Rewriter::new(RewriteSettings::load(values).map_err(invalid)?, &registry));
    let settings = CleanupSettings::load(values).map_err(invalid)?;
    let pickup = Rc::new(Pickup {
        shared: Rc::clone(shared),
        cleanup: Rc::new(CleanupService::new(settings, rewriter, &registry)),
        tag,
        cleanup_tag: process::tag(values, "cleanup"),
        line_length_limit: usize::try_from(values.int(config::params::line_length_limit)).unwrap_or(2048),
        queue_run_delay: process.row_wakeup(service).unwrap_or(Duration::from_secs(60)),
        trigger: shared.wakeups.trigger(service),
    });
    for listener in listeners {
        let pickup = Rc::clone(&pickup);
        shared.world.spawn(async move { pickup.listen(listener).await });
    }
    shared.world.spawn(async move { pickup.run().await });
    Ok(())
}

/// Why a file stays where it is.
enum Kept {
    /// For the log; it is tried again.
    Trouble(String),
    /// It is no submission; it is set aside in `corrupt` for a human.
    Malformed(String),
}

impl<W: World> Pickup<W> {
    async fn listen(&self, listener: impl Accept<Stream = W::Stream>) {
        let accepting = async {
            while let Ok((mut stream, _)) = listener.accept().await {
                // What is written does not matter: the connection is the message.
                let mut byte = [0];
                let _ = self.shared.world.timeout(TRIGGER_LIMIT, stream.read(&mut byte)).await;
                self.trigger.pull();
            }
        };
        self.shared.stop.cut(accepting).await;
    }

    async fn run(&self) {
        while !self.shared.stop.is_set() {
            self.take_all().await;
            let waiting = self.shared.world.timeout(self.queue_run_delay, self.trigger.wait());
            self.shared.stop.cut(waiting).await;
        }
    }

    async fn take_all(&self) {
        let mut ids = Vec::new();
        let listed = self.shared.queue.scan(QueueName::Maildrop, &mut |entry| {
            if entry.is_ready() {
                ids.push(entry.id);
            }
            true
        });
        let logger = self.shared.log.session(&self.tag);
        if let Err(error) = listed {
            logger.warning(&format!("maildrop: {error}; check the owner and mode of queue_directory"));
        }
        for id in ids {
            if self.shared.stop.is_set() {
                return;
            }
            match self.take(id, &logger).await {
                Ok(()) => {}
                Err(Kept::Trouble(why)) => {
                    logger.warning(&format!("maildrop/{id}: {why}; kept for the next try"));
                }
                Err(Kept::Malformed(why)) => {
                    logger.warning(&format!("maildrop/{id}: {why}; moved to corrupt"));
                    let _ = self.shared.queue.corrupt(QueueName::Maildrop, &id);
                }
            }
        }
    }

    async fn take(&self, maildrop_id: QueueId, logger: &Logger) -> Result<(), Kept> {
        let trouble = |error: std::io::Error| Kept::Trouble(error.to_string());
        let queue = &self.shared.queue;
        let Some(file) = queue.open_for_reading(QueueName::Maildrop, &maildrop_id).map_err(trouble)? else {
            return Ok(());
        };
        // At a reload two generations look into maildrop for a moment: whoever has the lock takes the file, and
        // whoever comes later finds that it has no name any more.
        if !file.file().try_lock().map_err(trouble)? {
            return Ok(());
        }
        match file.file().status().map_err(trouble)?.links {
            0 => return Ok(()),
            1 => {}
            _ => return Err(Kept::Malformed("file has more than one name".to_owned())),
        }
        let now = self.shared.world.wall();
        let start = |id| Start {
            arrival: now,
            created: now,
            zone: self.shared.zone.at(now),
            id,
            source: Origin::Pickup,
            is_smtputf8: false,
            logger: self.shared.log.session(&self.cleanup_tag),
        };
        let mut intake = Intake::open(now, queue, &self.cleanup, start).map_err(trouble)?;
        self.copy(&file, &mut intake, logger).await?;
        match intake.finish(&self.shared.world).await.map_err(trouble)? {
            Ended::Queued(id) => self.shared.word.arrived(id),
            Ended::Discarded => {}
            Ended::Refused(reply) if reply.is_temporary() => return Err(Kept::Trouble(reply.to_string())),
            Ended::Refused(reply) => return Err(Kept::Malformed(reply.to_string())),
            Ended::MustBounce(status, _) => {
                return Err(Kept::Malformed(format!("{} {}", status.dsn, status.reason)));
            }
        }
        queue.remove(QueueName::Maildrop, &maildrop_id).map_err(trouble)
    }

    async fn copy(
        &self,
        file: &QueueFile<W::Disk>,
        intake: &mut Intake<W::Disk>,
        logger: &Logger,
    ) -> Result<(), Kept> {
        let mut reader = Reader::new(file).with_record_limit(self.line_length_limit);
        let mut sender = None;
        let (mut is_time_seen, submitted) = (false, file.status().modified);
        while let Some((record_type, data)) = next(&mut reader, ENVELOPE)? {
            match record_type {
                RecordType::FILTER | RecordType::REDIRECT => continue,
                RecordType::TIME => is_time_seen = true,
                RecordType::SENDER if sender.is_none() => {
                    sender = Some(Address::new(data.clone()));
                    if !is_time_seen {
                        let time = submitted.seconds.to_string();
                        intake.cleanup.record(RecordType::TIME, time.as_bytes()).await;
                    }
                }
                _ => {}
            }
            intake.cleanup.record(record_type, &data).await;
        }
        let sender = sender.ok_or_else(|| Kept::Malformed("no envelope sender".to_owned()))?;
        let (id, uid) = (intake.id(), file.status().uid);
        logger.event(&Event::Pickup(PickupEvent::Taken { id, uid, sender: &sender }));
        self.copy_content(&mut reader, intake, uid, submitted).await?;
        while let Some((record_type, data)) = next(&mut reader, EXTRACTED)? {
            let is_old_action = matches!(record_type.0, b'L' | b'>' | b'r' | b'e');
            if !is_old_action {
                intake.cleanup.record(record_type, &data).await;
            }
        }
        Ok(())
    }

    async fn copy_content(
        &self,
        reader: &mut Reader<&QueueFile<W::Disk>>,
        intake: &mut Intake<W::Disk>,
        uid: u32,
        submitted: WallTime,
    ) -> Result<(), Kept> {
        intake.cleanup.begin_pickup_content(uid, submitted);
        while let Some((record_type, data)) = next(reader, CONTENT)? {
            let is_complete = record_type == RecordType::LINE;
            if is_complete || record_type == RecordType::CONTINUED {
                intake.cleanup.content_record(&data, is_complete).await;
                intake.relieve().map_err(|error| Kept::Trouble(error.to_string()))?;
            }
        }
        intake.cleanup.end_content().await;
        Ok(())
    }
}

/// The next record of a section; `None` at its end.
fn next<D: Disk>(
    reader: &mut Reader<&QueueFile<D>>,
    section: &[u8],
) -> Result<Option<(RecordType, Vec<u8>)>, Kept> {
    let offset = reader.position();
    match reader.next_record() {
        Ok(Some(record)) if section.first() == Some(&record.record_type.0) => Ok(None),
        Ok(Some(record)) if record.record_type.is_in(section) => {
            Ok(Some((record.record_type, record.data.to_vec())))
        }
        Ok(Some(record)) => {
            let found = char::from(record.record_type.0);
            Err(Kept::Malformed(format!("unexpected record type '{found}' at offset {offset}")))
        }
        Ok(None) => Err(Kept::Malformed(format!("file ends at offset {offset}"))),
        Err(error) if error.is_temporary() => Err(Kept::Trouble(error.to_string())),
        Err(error) => Err(Kept::Malformed(error.to_string())),
    }
}
