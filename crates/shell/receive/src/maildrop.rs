//! Mail from local users: what postdrop left in `maildrop` becomes messages in the queue (pickup(8)).
//!
//! A file's owner is its submitter; what it says is not trusted: record types are checked against what may
//! stand in each section, names of attributes were filtered by postdrop. The file is removed only when its copy, or the
//! notification that it could not be accepted, is on stable storage.

use cleanup::{ClientSettings, Fault, Refusal, Source as Origin, Start};
use config::{Values, params as p};
use maillog::{Event, Logger, PickupEvent};
use process::{CleanupRow, Ended, Intake, Log, Notifier, Stint, Stop, Word, Zone};
use queue::{Queue, QueueFile};
use queue_format::{Reader, RecordType};
use std::{io, rc::Rc};
use sys::credentials;
use types::{Address, QueueId, QueueName, WallTime};
use world::{DiskFile, World};

/// Record types that may stand in the sections of a maildrop file; the first one ends the section.
const ENVELOPE: &[u8] = b"MCTcFILSDRO/WVA>K<ion";
const CONTENT: &[u8] = b"XLNw";
const EXTRACTED: &[u8] = b"EDRO/PreAFIL>Kon";

const HOUR_SECONDS: i64 = 3_600;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;
/// `S_IROTH`: postdrop sets it, the mail system does not.
const MODE_READABLE_BY_OTHERS: u32 = 0o004;

/// The maildrop directory, and the way from there into the queue.
pub struct Maildrop<W: World> {
    world: W,
    queue: Queue<W::Disk>,
    log: Log,
    zone: Zone,
    cleanup: CleanupRow,
    client: Rc<ClientSettings>,
    notifier: Notifier<W>,
    /// To the queue manager.
    word: Option<Word<W>>,
    /// `syslog_name/pickup`
    tag: String,
    /// `mail_owner`, where that user exists: whose files were queued before.
    owner: Option<u32>,
    line_length_limit: usize,
}

/// Why a file was not taken.
enum Kept {
    /// It is tried again; a text for the log, where nothing has been said yet.
    Trouble(Option<String>),
    /// It is no submission: Postfix's words for that, and ours. It is set aside in `corrupt` for a human.
    Malformed(String, String),
    /// It is for nobody: all of its recipients had their mail before it was requeued.
    Done(String),
}

impl Kept {
    fn disk(error: &io::Error) -> Self {
        Self::Trouble(Some(format!("{error}; kept for the next try")))
    }
}

impl<W: World> Maildrop<W> {
    /// `values` are those of the service's row.
    pub fn new(
        (world, queue): (W, Queue<W::Disk>),
        (log, zone): (Log, Zone),
        values: &Values,
        cleanup: CleanupRow,
        notifier: Notifier<W>,
    ) -> Self {
        let owner = credentials::account_by_name(values.text(p::mail_owner)).ok().flatten();
        Self {
            world,
            queue,
            log,
            zone,
            cleanup,
            client: Rc::new(ClientSettings::load(values)),
            notifier,
            word: None,
            tag: process::tag(values, "pickup"),
            owner: owner.map(|owner| owner.uid),
            line_length_limit: usize::try_from(values.int(p::line_length_limit)).unwrap_or(2048),
        }
    }

    /// To whom messages are told of that were committed, and who may hold back others.
    #[must_use]
    pub fn with_word(self, word: Word<W>) -> Self {
        Self { word: Some(word), ..self }
    }

    /// Takes everything that is there.
    pub async fn take_all(&self, stop: &Stop) {
        let mut ids = Vec::new();
        let listed = self.queue.scan(QueueName::Maildrop, &mut |entry| {
            if entry.is_ready() {
                ids.push(entry.id);
            }
            true
        });
        let logger = self.log.session(&self.tag);
        if let Err(error) = listed {
            logger.warning(&format!("maildrop: {error}; check the owner and mode of queue_directory"));
        }
        for id in ids {
            if stop.is_set() {
                return;
            }
            self.take_one(id, &logger).await;
        }
    }

    async fn take_one(&self, id: QueueId, logger: &Logger) {
        let (removed, what) = match self.take(id, logger).await {
            Ok(()) | Err(Kept::Trouble(None)) => return,
            Err(Kept::Trouble(Some(why))) => return logger.warning(&format!("maildrop/{id}: {why}")),
            Err(Kept::Malformed(theirs, ours)) => {
                logger.warning(&theirs);
                logger.warning(&format!("maildrop/{id}: {ours}; moved to corrupt"));
                (self.queue.corrupt(QueueName::Maildrop, &id), "move to corrupt")
            }
            Err(Kept::Done(why)) => {
                logger.warning(&why);
                (self.queue.remove(QueueName::Maildrop, &id), "remove")
            }
        };
        if let Err(error) = removed {
            logger.warning(&format!("maildrop/{id}: {what}: {error}"));
        }
    }

    async fn take(&self, id: QueueId, logger: &Logger) -> Result<(), Kept> {
        let disk = |error: io::Error| Kept::disk(&error);
        let Some(file) = self.queue.open_for_reading(QueueName::Maildrop, &id).map_err(disk)? else {
            return Ok(());
        };
        // At a reload two generations look into maildrop for a moment: whoever has the lock takes the file, and
        // whoever comes later finds that it has no name any more.
        if !file.file().try_lock().map_err(disk)? {
            return Ok(());
        }
        match file.file().status().map_err(disk)?.links {
            0 => return Ok(()),
            1 => {}
            links => {
                let theirs = format!("uid={}: file has {links} links", file.status().uid);
                return Err(Kept::Malformed(theirs, "file has more than one name".to_owned()));
            }
        }
        if let Some(word) = &self.word {
            word.admit().await;
        }
        let now = self.world.wall();
        let start = |id| Start {
            arrival: now,
            created: now,
            zone: self.zone.at(now),
            id,
            source: Origin::Pickup,
            client: Rc::clone(&self.client),
            is_smtputf8: false,
            logger: self.log.session(&self.cleanup.tag),
        };
        let mut intake = Intake::open(now, &self.queue, &self.cleanup.service, start).map_err(disk)?;
        let own_id = intake.id();
        self.copy(&file, &mut intake, logger).await?;
        let failed = |why: &str| format!("maildrop/{id}: error writing {own_id}: {why}");
        match intake.finish(&self.world).await.map_err(disk)? {
            Ended::Queued(id) => {
                if let Some(word) = &self.word {
                    word.arrived(id);
                }
            }
            Ended::Discarded => {}
            Ended::Refused(refusal) => return Err(refused(&refusal, failed)),
            Ended::MustBounce(unaccepted) => {
                if self.notifier.give_back(unaccepted).await.is_err() {
                    logger.warning(&failed("queue file write error"));
                    return Err(Kept::Trouble(None));
                }
            }
        }
        self.queue.remove(QueueName::Maildrop, &id).map_err(disk)
    }

    async fn copy(
        &self,
        file: &QueueFile<W::Disk>,
        intake: &mut Intake<W::Disk>,
        logger: &Logger,
    ) -> Result<(), Kept> {
        let (id, uid) = (intake.id(), file.status().uid);
        let submitted = self.plausible_time(file, id, logger);
        let mut reader = Reader::new(file).with_record_limit(self.line_length_limit);
        let mut sender = None;
        let mut is_time_seen = false;
        while let Some((record_type, data)) = next(&mut reader, ENVELOPE, uid)? {
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
        let sender = sender.ok_or_else(|| {
            let theirs = format!("{id}: uid={uid}: no envelope sender");
            Kept::Malformed(theirs, "no envelope sender".to_owned())
        })?;
        // For a message that was queued before, so that its way can be followed.
        let is_requeued = self.owner == Some(uid) && file.status().mode & MODE_READABLE_BY_OTHERS == 0;
        let original = is_requeued.then(|| file.id());
        logger.event(&Event::Pickup(PickupEvent::Taken { id, uid, sender: &sender, original }));
        copy_content(&self.world, &mut reader, intake, (uid, submitted)).await?;
        while let Some((record_type, data)) = next(&mut reader, EXTRACTED, uid)? {
            let is_old_action = matches!(record_type.0, b'L' | b'>' | b'r' | b'e');
            if !is_old_action {
                intake.cleanup.record(record_type, &data).await;
            }
        }
        Ok(())
    }

    /// When the file was submitted, as far as that can be believed; oddities are worth a warning.
    fn plausible_time(&self, file: &QueueFile<W::Disk>, id: QueueId, logger: &Logger) -> WallTime {
        let (now, modified, name) = (self.world.wall(), file.status().modified, file.id());
        let age = now.seconds.saturating_sub(modified.seconds);
        if age < -2 * HOUR_SECONDS {
            let ahead = age.saturating_neg();
            logger.warning(&format!("{id}: message maildrop/{name} dated {ahead} seconds into the future"));
            return now;
        }
        if age > DAY_SECONDS {
            let days = age / DAY_SECONDS;
            logger.warning(&format!("{id}: message maildrop/{name} has been queued for {days} days"));
        }
        modified
    }
}

/// What becomes of a submission that cleanup does not take and cannot return.
fn refused(refusal: &Refusal, failed: impl Fn(&str) -> String) -> Kept {
    let line = refusal.summary.map(failed);
    match refusal.fault {
        Fault::Records => Kept::Malformed(line.unwrap_or_default(), refusal.reply.to_string()),
        Fault::NoRecipients => Kept::Done(line.unwrap_or_default()),
        Fault::Other => Kept::Trouble(line),
    }
}

async fn copy_content<W: World>(
    world: &W,
    reader: &mut Reader<&QueueFile<W::Disk>>,
    intake: &mut Intake<W::Disk>,
    (uid, submitted): (u32, WallTime),
) -> Result<(), Kept> {
    intake.cleanup.begin_pickup_content(uid, submitted);
    let mut stint = Stint::default();
    while let Some((record_type, data)) = next(reader, CONTENT, uid)? {
        let is_complete = record_type == RecordType::LINE;
        if is_complete || record_type == RecordType::CONTINUED {
            intake.cleanup.content_record(&data, is_complete).await;
            intake.relieve().map_err(|error| Kept::disk(&error))?;
        }
        stint.go_on(world, world.now()).await;
    }
    intake.cleanup.end_content().await;
    Ok(())
}

/// The next record of a section; `None` at its end.
fn next<D: world::Disk>(
    reader: &mut Reader<&QueueFile<D>>,
    section: &[u8],
    uid: u32,
) -> Result<Option<(RecordType, Vec<u8>)>, Kept> {
    let offset = reader.position();
    let malformed = |number: i32, why: String| {
        Kept::Malformed(format!("uid={uid}: unexpected or malformed record type {number}"), why)
    };
    match reader.next_record() {
        Ok(Some(record)) if section.first() == Some(&record.record_type.0) => Ok(None),
        Ok(Some(record)) if record.record_type.is_in(section) => {
            Ok(Some((record.record_type, record.data.to_vec())))
        }
        Ok(Some(record)) => {
            let found = record.record_type.0;
            let why = format!("unexpected record type '{}' at offset {offset}", char::from(found));
            Err(malformed(found.into(), why))
        }
        // Postfix's numbers for the end of a file and for what is no record.
        Ok(None) => Err(malformed(-1, format!("file ends at offset {offset}"))),
        Err(error) if error.is_temporary() => {
            Err(Kept::Trouble(Some(format!("{error}; kept for the next try"))))
        }
        Err(error) => Err(malformed(-2, error.to_string())),
    }
}
