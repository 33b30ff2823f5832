//! Logs of what failed, and the notifications made of them (bounce(8)).

use crate::{content, context::Context, inject::Injected, queue_work::Active, shared::Shared};
use bounce::{BounceSettings, Composer, Kind, Line, Notification, Original, plan};
use bstr::ByteSlice;
use cleanup::Source;
use message::mail_date;
use net::contain;
use process::{Intake, Process};
use qmgr::{Append, Event, LogName, Notice};
use queue_format::LogEntry;
use std::{io, pin::pin, rc::Rc, sync::Arc, time::Duration};
use types::{MessageAttributes, QueueId, QueueName, Recipient, Trouble};
use world::{Disk, World};

/// How long to wait for a log that is locked; then its recipients are tried again.
const LOG_LOCK_LIMIT: Duration = Duration::from_secs(30);

/// How often to look: whoever has the lock is waiting for one sync.
const LOG_LOCK_RETRY: Duration = Duration::from_millis(5);

/// What notifications need.
pub(crate) struct Notices {
    settings: BounceSettings,
    /// `syslog_name/bounce`
    tag: String,
}

impl Notices {
    pub(crate) fn new<W: World>(shared: &Shared<W>, process: &Process) -> Self {
        let values = process.values();
        let tag = process::tag(values, "bounce");
        let logger = shared.log.session(&tag);
        let path = values.text(config::params::bounce_template_file);
        let file = (!path.is_empty()).then(|| std::fs::read(path));
        if let Some(Err(error)) = &file {
            logger.warning(&format!("open {path}: {error}; the built-in templates are used"));
        }
        let text = file.and_then(Result::ok);
        let (settings, warnings) = BounceSettings::load(values, text.as_deref());
        warnings.iter().for_each(|warning| logger.warning(warning));
        Self { settings, tag }
    }
}

const fn directory(log: LogName) -> QueueName {
    match log {
        LogName::Bounce => QueueName::Bounce,
        LogName::Defer => QueueName::Defer,
        LogName::Trace => QueueName::Trace,
    }
}

/// Appends records to a log, on a thread: a bounce record is synced before its recipient is marked done.
pub(crate) fn append<W: World>(engine: &Rc<Context<W>>, append: Append) {
    let Append { ticket, id, log, records } = append;
    let action = log.action();
    let entries: Vec<LogEntry> = records
        .iter()
        .filter_map(|done| Some(LogEntry::new(done.recipient()?, &done.report.status, action)))
        .collect();
    let shared = Rc::clone(&engine.shared);
    engine.shared.world.spawn(async move {
        let appended = append_now(&shared, id, directory(log), entries).await;
        let result =
            appended.map_err(|error| Trouble::new(format!("{id}: append to {}: {error}", directory(log))));
        shared.events.push(Event::Appended(ticket, result));
    });
}

/// Appends; a log that another delivery of the message is being written to is waited for.
async fn append_now<W: World>(
    shared: &Shared<W>,
    id: QueueId,
    log: QueueName,
    entries: Vec<LogEntry>,
) -> io::Result<()> {
    let (entries, deadline) = (Arc::new(entries), shared.world.now() + LOG_LOCK_LIMIT);
    loop {
        let (queue, batch) = (shared.queue.clone(), Arc::clone(&entries));
        match shared.world.blocking(move || queue.append_log(log, &id, &batch)).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && shared.world.now() < deadline => {
                shared.world.sleep(LOG_LOCK_RETRY).await;
            }
            appended => return appended,
        }
    }
}

/// Makes and commits the notifications that are due, then removes the log they were made from.
pub(crate) fn notify<W: World>(
    engine: &Rc<Context<W>>,
    id: QueueId,
    notice: Notice,
    message: Rc<MessageAttributes>,
) {
    let engine = Rc::clone(engine);
    let world = engine.shared.world.clone();
    world.spawn(async move {
        let made = contain(pin!(notify_now(&engine, id, notice, &message))).await;
        let result = made.unwrap_or_else(|why| Err(Trouble::new(format!("panic: {why}"))));
        if let Err(trouble) = &result {
            engine.shared.log.session(&engine.notices.tag).warning(&format!("{id}: notification: {trouble}"));
        }
        engine.shared.events.push(Event::Notified(id, result));
    });
}

async fn notify_now<W: World>(
    engine: &Context<W>,
    id: QueueId,
    notice: Notice,
    message: &MessageAttributes,
) -> Result<(), Trouble> {
    let (kind, log, stays) = match notice {
        Notice::Failure => (Kind::Failure, QueueName::Bounce, false),
        Notice::Expired => (Kind::Failure, QueueName::Defer, false),
        Notice::Delay => (Kind::Delay, QueueName::Defer, true),
        Notice::Success => (Kind::Success, QueueName::Trace, false),
    };
    let logger = engine.shared.log.session(&engine.notices.tag);
    let entries = read_log(engine, id, log)?.unwrap_or_default();
    if entries.is_empty() && notice != Notice::Expired {
        // The scheduler asks whenever a log could be there (a restart forgets): nobody failed. A log without one
        // whole entry was being made at a crash, and its recipients are not marked done. A message that is given
        // up is never given up silently.
        return if stays { Ok(()) } else { remove_log(engine, id, log) };
    }
    let plan = plan(&engine.notices.settings, kind, &message.sender, message.dsn_return);
    if let Some(warning) = plan.warning {
        logger.warning(&format!("{id}: {warning}"));
    }
    let active = engine.work.active(&id);
    for notification in &plan.notifications {
        let made = send(engine, id, notification, message, active.as_deref(), &entries).await?;
        if let Some(Injected::Queued(own)) = made {
            logger.event(&maillog::Event::Bounce(notification.log(id, own)));
        }
    }
    if stays {
        return Ok(());
    }
    remove_log(engine, id, log)
}

fn remove_log<W: World>(engine: &Context<W>, id: QueueId, log: QueueName) -> Result<(), Trouble> {
    let removed = engine.shared.queue.remove_log(log, &id);
    removed.map_err(|error| Trouble::new(format!("remove {log}/{id}: {error}")))
}

/// `None` when there is no log.
fn read_log<W: World>(
    engine: &Context<W>,
    id: QueueId,
    log: QueueName,
) -> Result<Option<Vec<LogEntry>>, Trouble> {
    let trouble = |why: String| Trouble::new(format!("read {log}/{id}: {why}"));
    let opened = engine.shared.queue.read_log(log, &id).map_err(|error| trouble(error.to_string()))?;
    let Some(mut reader) = opened else { return Ok(None) };
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().map_err(|error| trouble(error.to_string()))? {
        entries.push(entry);
    }
    Ok(Some(entries))
}

/// One notification; `None` when nobody wants it.
async fn send<W: World>(
    engine: &Context<W>,
    id: QueueId,
    notification: &Notification,
    message: &MessageAttributes,
    active: Option<&Active<W::Disk>>,
    entries: &[LogEntry],
) -> Result<Option<Injected>, Trouble> {
    let now = engine.shared.world.wall();
    let zone = engine.shared.zone.at(now);
    let message_id = active.and_then(message_id);
    let original = Original {
        queue_id: id,
        message,
        message_id: message_id.as_ref().map(|text| text.as_bstr()),
        has_content: active.is_some(),
    };
    let mut composer = Composer::new(now, &zone, &engine.notices.settings, notification, original);
    if let Some(active) = active {
        content::for_each_record(active, |bytes, is_complete| {
            composer.check(Line { bytes, is_complete });
            true
        })?;
    }
    let mut intake = engine.injector.begin(Source::Bounce, message.send_options)?;
    let recipient = Recipient { address: notification.recipient.clone(), ..Recipient::default() };
    engine.injector.envelope(&mut intake, &notification.sender, &[recipient]).await;
    let date = format!("Date: {}", mail_date(now, &zone));
    let mut pieces = Pieces::default();
    pieces.push(Line { bytes: date.as_bytes(), is_complete: true });
    if !composer.begin(entries, &mut |line| pieces.push(line)) {
        return Ok(None);
    }
    pieces.give(&mut intake).await?;
    if let Some(active) = active {
        content::for_each_record(active, |bytes, is_complete| {
            composer.original(Line { bytes, is_complete }, &mut |line| pieces.push(line))
        })?;
    }
    composer.end(&mut |line| pieces.push(line));
    pieces.give(&mut intake).await?;
    intake.cleanup.end_content().await;
    engine.injector.finish(intake).await.map(Some)
}

/// Pieces of lines on their way to cleanup.
#[derive(Default)]
struct Pieces(Vec<(Vec<u8>, bool)>);

impl Pieces {
    fn push(&mut self, line: Line<'_>) {
        self.0.push((line.bytes.to_vec(), line.is_complete));
    }

    async fn give<D: Disk>(&mut self, intake: &mut Intake<D>) -> Result<(), Trouble> {
        for (bytes, is_complete) in self.0.drain(..) {
            intake.cleanup.content_record(&bytes, is_complete).await;
            intake.relieve().map_err(|error| Trouble::new(format!("write queue file: {error}")))?;
        }
        Ok(())
    }
}

/// The original's Message-ID, if it stands on one line.
fn message_id<D: Disk>(active: &Active<D>) -> Option<Vec<u8>> {
    let mut found = None;
    let mut starts_line = true;
    let _ = content::for_each_record(active, |bytes, is_complete| {
        let name = bytes.get(..11).unwrap_or_default();
        if starts_line && name.eq_ignore_ascii_case(b"message-id:") && is_complete {
            found = Some(bytes.get(11..).unwrap_or_default().trim_ascii().to_vec());
        }
        starts_line = is_complete;
        found.is_none() && !(bytes.is_empty() && is_complete)
    });
    found
}
