//! The queue under crashes: random arrivals, deliveries, bounces, deferrals, holds; the machine stops
//! between any two disk calls and loses what was not synced. A failing seed is printed; run it alone with
//! `SIM_SEED=n cargo test -p sim --test queue`.

use queue::{Claimed, Queue, QueueFile, QueueSettings};
use queue_format::{Envelope, LogEntry, Reader, RecipientState, Recipients, RecordType, Sizes, Writer};
use sim::{Chance, Excuses, FinalStatus, NoLoss, OneFinalStatus, SimDisk};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};
use types::{Address, Dsn, Instant, QueueId, QueueName, Recipient, Status, WallTime};

const SEEDS: u64 = 200;
const BOOTS: usize = 6;
const STEPS: usize = 60;
const MESSAGE_QUEUES: [QueueName; 4] =
    [QueueName::Incoming, QueueName::Active, QueueName::Deferred, QueueName::Hold];

#[test]
fn no_crash_loses_an_acknowledged_message_or_ends_it_twice() {
    let seeds = match std::env::var("SIM_SEED") {
        Ok(seed) => vec![seed.parse().expect("SIM_SEED is a number")],
        Err(_) => (0..SEEDS).collect(),
    };
    let mut acknowledged = 0;
    for seed in seeds {
        match Run::new(seed).run() {
            Ok(count) => acknowledged += count,
            Err(what) => panic!("seed {seed}: {what}"),
        }
    }
    assert!(acknowledged > 0);
}

/// A queue that keeps its promise only in fair weather is caught: acknowledged without sync.
#[test]
fn the_checker_sees_a_missing_sync() {
    let caught = (0..SEEDS).any(|seed| {
        let mut run = Run::new(seed);
        run.skips_sync = true;
        run.run().is_err_and(|what| what.starts_with("lost"))
    });
    assert!(caught);
}

struct Run {
    chance: Chance,
    disk: SimDisk,
    queue: Queue<SimDisk>,
    now: WallTime,
    arrivals: usize,
    acknowledged: usize,
    no_loss: NoLoss,
    one_final_status: OneFinalStatus,
    excuses: Excuses,
    broken: Option<String>,
    skips_sync: bool,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let settings = QueueSettings {
            enable_long_queue_ids: chance.one_in(2),
            hash_queue_depth: 1 + chance.below(2),
            pool_files: chance.below(4),
            ..QueueSettings::default()
        };
        let disk = SimDisk::new();
        let queue = Queue::new(disk.clone(), settings);
        assert!(queue.make_directories().is_ok());
        Self {
            chance,
            disk,
            queue,
            now: WallTime::new(1_780_000_000, 0),
            arrivals: 0,
            acknowledged: 0,
            no_loss: NoLoss::default(),
            one_final_status: OneFinalStatus::default(),
            excuses: Excuses::default(),
            broken: None,
            skips_sync: false,
        }
    }

    fn run(mut self) -> Result<usize, String> {
        for _ in 0..BOOTS {
            let calls = self.chance.below(400) as u64;
            self.disk.stop_after(calls);
            let outcome = self.live(STEPS);
            if let Some(what) = self.broken.take() {
                return Err(what);
            }
            if let Err(error) = outcome
                && !self.disk.is_stopped()
            {
                return Err(format!("trouble without a crash: {error}"));
            }
            self.reboot()?;
        }
        self.drain()?;
        Ok(self.acknowledged)
    }

    /// Comes up again after a crash and looks for everything that was promised.
    fn reboot(&mut self) -> Result<(), String> {
        self.disk.restart(&mut self.chance);
        self.excuses.crashed(self.moment(), Duration::MAX);
        self.queue = Queue::new(self.disk.clone(), self.queue.settings().clone());
        let queued = self.queued().map_err(|error| error.to_string())?;
        self.no_loss.check(&queued)
    }

    fn live(&mut self, steps: usize) -> io::Result<()> {
        self.queue.recover_active(self.now)?;
        self.queue.adopt_pool()?;
        for _ in 0..steps {
            self.now = self.now + Duration::from_micros(self.chance.below(5_000_000) as u64);
            match self.chance.below(8) {
                0..=2 => self.arrive()?,
                3..=5 => self.deliver_one(false)?,
                6 => self.administer()?,
                _ => {
                    self.queue.refill_pool()?;
                }
            }
            if self.broken.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Delivers everything in fair weather: nothing may be left over.
    fn drain(&mut self) -> Result<(), String> {
        let trouble = |error: io::Error| format!("trouble without a crash: {error}");
        self.queue.recover_active(self.now).map_err(trouble)?;
        for _ in 0..2_000 {
            let mut held = Vec::new();
            let _ = self.queue.scan_names(QueueName::Hold, &mut |id| {
                held.push(id);
                true
            });
            for id in held {
                self.queue.release(&id).map_err(trouble)?;
            }
            if self.pick(true).map_err(trouble)?.is_none() {
                return self.no_loss.check(&BTreeMap::new());
            }
            self.deliver_one(true).map_err(trouble)?;
            if let Some(what) = self.broken.take() {
                return Err(what);
            }
        }
        Err("the queue does not drain".to_owned())
    }

    fn arrive(&mut self) -> io::Result<()> {
        let count = 1 + self.chance.below(4);
        let recipients: Vec<String> = (0..count).map(|n| format!("user{n}@example.com")).collect();
        self.accept("sender@example.com", &recipients).map(|_| ())
    }

    /// A message comes in; it counts as acknowledged when its commit says so.
    fn accept(&mut self, sender: &str, recipients: &[String]) -> io::Result<()> {
        let mut message = self.queue.new_message(self.now)?;
        self.arrivals += 1;
        let name = format!("m{}", self.arrivals);
        let bytes = records(&name, self.now, sender, recipients);
        let (first, second) = bytes.split_at(self.chance.below(bytes.len()));
        message.append(first)?;
        message.append(second)?;
        if self.chance.one_in(10) {
            message.discard();
            return Ok(());
        }
        if self.skips_sync {
            std::mem::forget(message.seal()?);
        } else {
            message.commit()?;
        }
        self.acknowledged += 1;
        self.no_loss.acknowledged(&name, recipients.iter().cloned());
        Ok(())
    }

    fn pick(&mut self, is_forced: bool) -> io::Result<Option<(QueueName, QueueId)>> {
        let mut found = Vec::new();
        for queue in [QueueName::Incoming, QueueName::Deferred] {
            self.queue.scan(queue, &mut |entry| {
                if entry.is_ready() && (is_forced || entry.next_try() <= self.now) {
                    found.push((queue, entry.id));
                }
                true
            })?;
        }
        let index = self.chance.below(found.len());
        Ok(found.get(index).copied())
    }

    fn deliver_one(&mut self, is_forced: bool) -> io::Result<()> {
        let Some((from, id)) = self.pick(is_forced)? else { return Ok(()) };
        let Claimed::Taken(file) = self.queue.claim(self.now, from, &id, is_forced)? else { return Ok(()) };
        self.queue.restore_marks(&file)?;
        let limit = 1 + self.chance.below(3);
        let envelope = match Envelope::read(&file, limit) {
            Ok(envelope) => envelope,
            Err(error) if error.is_temporary() => return Err(io::Error::other(error.to_string())),
            Err(_) => return self.queue.corrupt(QueueName::Active, &id),
        };
        let name = envelope.attributes().named("sim_name").map(ToString::to_string).unwrap_or_default();
        let mut is_put_off = false;
        let mut batch = envelope.batch.clone();
        loop {
            for recipient in &batch.recipients {
                is_put_off |= self.deliver_recipient(&file, &name, recipient, is_forced)?;
            }
            let Some(offset) = batch.next_offset else { break };
            batch = envelope
                .more_recipients(&file, offset, limit)
                .map_err(|error| io::Error::other(error.to_string()))?;
        }
        self.complete(file, &name, &envelope.sender, is_put_off)
    }

    /// True when the recipient must be tried again.
    fn deliver_recipient(
        &mut self,
        file: &QueueFile<SimDisk>,
        name: &str,
        recipient: &Recipient,
        is_forced: bool,
    ) -> io::Result<bool> {
        let verdict = self.chance.below(if is_forced { 3 } else { 4 });
        let (log, dsn, action) = match verdict {
            0 | 1 => {
                self.end(name, recipient.address.as_bytes(), FinalStatus::Sent);
                file.mark_done(recipient.offset)?;
                return Ok(false);
            }
            2 => (QueueName::Bounce, Dsn::permanent(1, 1), "failed"),
            _ => (QueueName::Defer, Dsn::temporary(4, 1), "delayed"),
        };
        let entry = LogEntry::new(recipient, &Status::new(dsn, "simulated"), action);
        self.queue.append_log(log, &file.id(), &[entry])?;
        if log == QueueName::Bounce {
            file.mark_done(recipient.offset)?;
        }
        Ok(log == QueueName::Defer)
    }

    /// After all recipients were tried: a notice for what failed, then the message is put off or gone.
    fn complete(
        &mut self,
        file: QueueFile<SimDisk>,
        name: &str,
        sender: &Address,
        is_put_off: bool,
    ) -> io::Result<()> {
        let id = file.id();
        let failed = self.logged(QueueName::Bounce, &id)?;
        if !failed.is_empty() {
            if !sender.is_null() {
                self.accept_notice(sender)?;
            }
            for recipient in &failed {
                self.end(name, recipient.as_bytes(), FinalStatus::Bounced);
            }
            self.queue.remove_log(QueueName::Bounce, &id)?;
        }
        if is_put_off {
            let next = self.now + Duration::from_secs(self.chance.below(20) as u64);
            return self.queue.defer(file, next);
        }
        self.queue.remove_log(QueueName::Defer, &id)?;
        self.queue.finish(file)
    }

    fn accept_notice(&mut self, sender: &Address) -> io::Result<()> {
        let before = self.acknowledged;
        while self.acknowledged == before {
            self.accept("", &[sender.to_string()])?;
        }
        Ok(())
    }

    fn administer(&mut self) -> io::Result<()> {
        let Some((from, id)) = self.pick(true)? else { return Ok(()) };
        match self.chance.below(3) {
            0 => self.queue.hold(from, &id),
            1 => self.queue.expedite(self.now, &id).map(|_| ()),
            _ => {
                let mut held = None;
                self.queue.scan_names(QueueName::Hold, &mut |id| {
                    held = Some(id);
                    false
                })?;
                held.map_or(Ok(()), |id| self.queue.release(&id))
            }
        }
    }

    fn end(&mut self, name: &str, recipient: &[u8], status: FinalStatus) {
        let recipient = String::from_utf8_lossy(recipient);
        self.no_loss.finished(name, &recipient);
        if let Err(what) =
            self.one_final_status.record(self.moment(), (name, &recipient), status, &self.excuses)
        {
            self.broken = Some(what);
        }
    }

    fn moment(&self) -> Instant {
        Instant::from_nanos(
            u64::try_from(self.now.seconds).unwrap_or(0) * 1_000_000_000 + u64::from(self.now.micros) * 1_000,
        )
    }

    fn logged(&self, log: QueueName, id: &QueueId) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        if let Some(mut reader) = self.queue.read_log(log, id)? {
            while let Some(entry) = reader.next_entry().map_err(|e| io::Error::other(e.to_string()))? {
                names.push(entry.recipient.to_string());
            }
        }
        Ok(names)
    }

    /// Every message in the queue with the recipients that are still to be done.
    fn queued(&self) -> io::Result<BTreeMap<String, BTreeSet<String>>> {
        let mut ids = Vec::new();
        for queue in MESSAGE_QUEUES {
            self.queue.scan(queue, &mut |entry| {
                if entry.is_ready() {
                    ids.push((queue, entry.id));
                }
                true
            })?;
        }
        let mut queued = BTreeMap::<String, BTreeSet<String>>::new();
        for (queue, id) in ids {
            let Some(file) = self.queue.open_for_reading(queue, &id)? else { continue };
            let Ok(envelope) = Envelope::read(&file, usize::MAX) else { continue };
            let name = envelope.attributes().named("sim_name").map(ToString::to_string).unwrap_or_default();
            let todo = queued.entry(name).or_default();
            let mut walk = Recipients::new(Reader::new(&file));
            while let Ok(Some(entry)) = walk.next_recipient() {
                if entry.state == RecipientState::Todo {
                    todo.insert(entry.recipient.address.to_string());
                }
            }
            todo.extend(self.logged(QueueName::Bounce, &id)?);
        }
        Ok(queued)
    }
}

fn records(name: &str, now: WallTime, sender: &str, recipients: &[String]) -> Vec<u8> {
    let mut writer = Writer::new();
    let at = writer.sizes(&Sizes::default());
    writer.time(now);
    writer.attribute("sim_name", name.as_bytes());
    writer.record(RecordType::SENDER, sender.as_bytes());
    for recipient in recipients {
        writer.record(RecordType::RECIPIENT, recipient.as_bytes());
    }
    writer.record(RecordType::CONTENT, b"");
    let data_offset = writer.position();
    writer.line(b"Subject: simulated", 2048);
    let sizes = Sizes {
        content_records_bytes: writer.position() - data_offset,
        data_offset,
        recipients: recipients.len() as u64,
        ..Sizes::default()
    };
    writer.record(RecordType::EXTRACTED, b"");
    writer.record(RecordType::END, b"");
    assert!(writer.patch_sizes(at, &sizes));
    writer.bytes().to_vec()
}
