//! Logs of what failed, and the notifications made of them (bounce(8)).

use crate::{content, context::Context, flush, shared::Shared, turns};
use bounce::Kind;
use net::contain;
use process::About;
use qmgr::{Append, Disposition, Event, LogName, Notice};
use queue_format::LogEntry;
use std::{io, pin::pin, rc::Rc};
use types::{MessageAttributes, QueueId, QueueName, RecipientReport, Relay, Status, Trouble, VerpDelimiters};
use world::World;

const fn directory(log: LogName) -> QueueName {
    match log {
        LogName::Bounce => QueueName::Bounce,
        LogName::Defer => QueueName::Defer,
        LogName::Trace => QueueName::Trace,
    }
}

/// Appends records to a log, on a thread: a bounce record is synced before its recipient is marked done.
pub(crate) fn append<W: World>(context: &Rc<Context<W>>, append: Append) {
    let Append { ticket, id, log, records } = append;
    let entries: Vec<LogEntry> = records
        .iter()
        .filter_map(|done| {
            let report = &done.report;
            let status = if log == LogName::Trace { &traced(report) } else { &report.status };
            Some(LogEntry::new(done.recipient()?, status, done.action(log)))
        })
        .collect();
    let shared = Rc::clone(&context.shared);
    let is_noted = log == LogName::Defer && shared.sites.has_any;
    let sites = if is_noted { sites(&records) } else { Vec::new() };
    context.shared.world.spawn(async move {
        let appended = append_now(&shared, id, directory(log), entries).await;
        if appended.is_ok() {
            flush::note_deferred(&shared, id, sites).await;
        }
        let result =
            appended.map_err(|error| Trouble::new(format!("{id}: append to {}: {error}", directory(log))));
        shared.events.push(Event::Appended(ticket, result));
    });
}

/// The domains for which mail waits, each once.
fn sites(records: &[Disposition]) -> Vec<String> {
    // As in Postfix, not for what only `soft_bounce` puts off.
    let deferred = records.iter().filter(|done| !done.report.soft_bounce);
    let recipients = deferred.filter_map(Disposition::recipient);
    let domains = recipients.filter_map(|recipient| recipient.address.domain());
    let mut sites: Vec<String> = domains.map(|domain| String::from_utf8_lossy(domain).into_owned()).collect();
    sites.sort_unstable();
    sites.dedup();
    sites
}

/// A success says by whom.
fn traced(report: &RecipientReport) -> Status {
    let mut status = report.status.clone();
    if let Relay::Service(name) | Relay::Host(name) = &report.relay {
        status.reason = [b"delivery via ", name.as_bytes(), b": ", status.reason.as_slice()].concat().into();
    }
    status
}

/// Appends; a log that another delivery of the message is writing to is waited for, or its recipients are tried again.
async fn append_now<W: World>(
    shared: &Shared<W>,
    id: QueueId,
    log: QueueName,
    entries: Vec<LogEntry>,
) -> io::Result<()> {
    let queue = shared.queue.clone();
    turns::take(&shared.world, move || queue.append_log(log, &id, &entries)).await
}

/// Makes and commits the notifications that are due, then removes the log they were made from.
pub(crate) fn notify<W: World>(
    context: &Rc<Context<W>>,
    (id, notice): (QueueId, Notice),
    message: Rc<MessageAttributes>,
    verp: Option<VerpDelimiters>,
) {
    let context = Rc::clone(context);
    let world = context.shared.world.clone();
    world.spawn(async move {
        let made = contain(pin!(notify_now(&context, (id, notice), &message, verp))).await;
        let result = made.unwrap_or_else(|why| Err(Trouble::new(format!("panic: {why}"))));
        if let Err(trouble) = &result {
            context
                .shared
                .log
                .session(context.notifiers.bounce.tag())
                .warning(&format!("{id}: notification: {trouble}"));
        }
        context.shared.events.push(Event::Notified(id, result));
    });
}

async fn notify_now<W: World>(
    context: &Context<W>,
    (id, notice): (QueueId, Notice),
    message: &MessageAttributes,
    verp: Option<VerpDelimiters>,
) -> Result<(), Trouble> {
    let (kind, log, stays) = match notice {
        Notice::Failure => (Kind::Failure, QueueName::Bounce, false),
        Notice::Expired => (Kind::Failure, QueueName::Defer, false),
        Notice::Delay => (Kind::Delay, QueueName::Defer, true),
        Notice::Success => (Kind::Success, QueueName::Trace, false),
        Notice::Report => (Kind::Report, QueueName::Trace, false),
    };
    let entries = read_log(context, id, log)?.unwrap_or_default();
    if entries.is_empty() && notice != Notice::Expired {
        // The scheduler asks whenever a log could be there (a restart forgets): nobody failed. A log without one
        // whole entry was being made at a crash, and its recipients are not marked done. A message that is given
        // up is never given up silently.
        return if stays { Ok(()) } else { remove_log(context, id, log) };
    }
    let active = context.work.active(&id);
    let content = active.as_deref().map(content::of);
    let about = About { id, message, told: &message.sender, returns: message.dsn_return, verp, content };
    context.notifiers.of(log).notify(kind, &about, &entries).await?;
    if stays {
        return Ok(());
    }
    remove_log(context, id, log)
}

fn remove_log<W: World>(context: &Context<W>, id: QueueId, log: QueueName) -> Result<(), Trouble> {
    let removed = context.shared.queue.remove_log(log, &id);
    removed.map_err(|error| Trouble::new(format!("remove {log}/{id}: {error}")))
}

/// `None` when there is no log.
fn read_log<W: World>(
    context: &Context<W>,
    id: QueueId,
    log: QueueName,
) -> Result<Option<Vec<LogEntry>>, Trouble> {
    let trouble = |why: String| Trouble::new(format!("read {log}/{id}: {why}"));
    let opened = context.shared.queue.read_log(log, &id).map_err(|error| trouble(error.to_string()))?;
    let Some(mut reader) = opened else { return Ok(None) };
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().map_err(|error| trouble(error.to_string()))? {
        entries.push(entry);
    }
    Ok(Some(entries))
}
