//! The scheduler's wishes that are a few system calls each.

use crate::stragglers::Stragglers;
use maillog::Logger;
use qmgr::{Action, ClaimFailure, Claimed, Event, MoreRecipients};
use queue::{Claimed as Taken, Queue, QueueFile};
use queue_format::{Envelope, ReadError, Sizes};
use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    io::ErrorKind,
    rc::Rc,
};
use types::{QueueId, QueueName, Trouble, WallTime};
use world::{Disk, DiskFile, OpenMode};

/// A message of the active queue.
pub(crate) struct Active<D: Disk> {
    pub(crate) file: QueueFile<D>,
    pub(crate) envelope: Envelope,
}

/// The open files of the active queue.
pub(crate) struct QueueWork<D: Disk> {
    queue: Queue<D>,
    active: RefCell<HashMap<QueueId, Rc<Active<D>>>>,
    /// Messages that had a bounce log when the process began, and messages that an older generation had: a crash may have
    /// lost their done marks.
    bounce_logs: RefCell<HashSet<QueueId>>,
    /// What an older generation still works on.
    pub(crate) stragglers: Stragglers,
    /// `syslog_name/qmgr`
    log: Logger,
}

impl<D: Disk> QueueWork<D> {
    pub(crate) fn new(queue: Queue<D>, log: Logger) -> Self {
        Self {
            queue,
            active: RefCell::default(),
            bounce_logs: RefCell::default(),
            stragglers: Stragglers::default(),
            log,
        }
    }

    pub(crate) fn active(&self, id: &QueueId) -> Option<Rc<Active<D>>> {
        self.active.borrow().get(id).cloned()
    }

    /// Takes a message into the active queue and reads it.
    pub(crate) fn claim(&self, now: WallTime, id: QueueId, from: QueueName, recipients_max: usize) -> Event {
        // The scheduler looked at the time; a flushed message comes before it.
        let failure = match self.queue.claim(now, from, &id, true) {
            Ok(Taken::Taken(file)) => match self.read(id, file, recipients_max) {
                Ok(claimed) => return Event::Claimed(id, Box::new(claimed)),
                Err(failure) => failure,
            },
            Ok(Taken::Gone | Taken::NotReady | Taken::NotYet(_)) => ClaimFailure::Gone,
            Ok(Taken::Busy) => {
                self.bounce_logs.borrow_mut().insert(id);
                self.stragglers.add(id);
                ClaimFailure::Gone
            }
            Err(error) => {
                // It is where it was, and the next scan finds it.
                self.log.warning(&format!("{id}: claim from {from}: {error}; will be tried again"));
                ClaimFailure::Gone
            }
        };
        Event::ClaimFailed(id, failure)
    }

    fn read(&self, id: QueueId, mut file: QueueFile<D>, max: usize) -> Result<Claimed, ClaimFailure> {
        let trouble = |error: std::io::Error| ClaimFailure::Trouble(Trouble::new(format!("{id}: {error}")));
        if self.bounce_logs.borrow_mut().remove(&id) {
            self.queue.restore_marks(&file).map_err(trouble)?;
        }
        let envelope = Envelope::read(&file, max).map_err(|error| failure(id, &error))?;
        let flush = file.is_unthrottled();
        if flush {
            file.clear_unthrottled().map_err(trouble)?;
        }
        let expire = file.is_expired();
        let has_defer_log =
            expire && self.queue.read_log(QueueName::Defer, &id).is_ok_and(|log| log.is_some());
        let created = match envelope.create_time_seconds {
            seconds if seconds > 0 => WallTime::new(seconds, 0),
            _ => envelope.arrival,
        };
        let claimed = Claimed {
            message: Rc::new(envelope.attributes()),
            created,
            warn_at: envelope.warn.filter(|warn| warn.at_seconds > 0).map(|w| WallTime::new(w.at_seconds, 0)),
            content_filter: envelope.filter.clone().unwrap_or_default(),
            redirect: envelope.redirect.clone(),
            verp_delimiters: envelope.verp_delimiters.clone(),
            recipients: envelope.batch.recipients.clone(),
            next_offset: envelope.batch.next_offset,
            has_trace: envelope.sizes.flags & Sizes::FLAG_NOTIFY_SUCCESS != 0,
            recipient_count: envelope.sizes.recipients,
            flush,
            expire,
            has_defer_log,
        };
        self.active.borrow_mut().insert(id, Rc::new(Active { file, envelope }));
        Ok(claimed)
    }

    pub(crate) fn more_recipients(&self, id: QueueId, offset: u64, recipients_max: usize) -> Event {
        let Some(active) = self.active(&id) else {
            return Event::ClaimFailed(id, ClaimFailure::Gone);
        };
        match active.envelope.more_recipients(&active.file, offset, recipients_max) {
            Ok(batch) => Event::MoreRecipients(
                id,
                MoreRecipients { recipients: batch.recipients, next_offset: batch.next_offset },
            ),
            Err(error) => Event::ClaimFailed(id, failure(id, &error)),
        }
    }

    /// Carries out an action that has no answer. The error is a warning for the log.
    pub(crate) fn perform(&self, wall: WallTime, action: &Action) -> Result<(), String> {
        match action {
            Action::ReturnActive => self.start(wall),
            Action::RemoveDeferLog(id) => self
                .queue
                .remove_log(QueueName::Defer, id)
                .map_err(|e| format!("{id}: remove defer log: {e}")),
            Action::MarkDone(id, offsets) => {
                let active = self.active(id).ok_or_else(|| format!("{id}: not open"))?;
                mark_done(&active, id, offsets)
            }
            Action::ClearWarning(id) => {
                let active = self.active(id).ok_or_else(|| format!("{id}: not open"))?;
                let Some(warn) = active.envelope.warn else { return Ok(()) };
                active
                    .file
                    .set_warn_time(warn.offset, -1)
                    .map_err(|e| format!("{id}: clear delay warning: {e}"))
            }
            Action::ClearReport(id) => {
                let active = self.active(id).ok_or_else(|| format!("{id}: not open"))?;
                let Some((offset, _)) = active.envelope.trace_flags else { return Ok(()) };
                let killed = active.file.mark_killed(offset);
                killed.map_err(|e| format!("{id}: clear the wish for a report: {e}"))
            }
            Action::Defer { id, to, next_try } => self.defer(id, *to, *next_try),
            Action::SetAside(id) => {
                let _locked = self.let_go(id);
                let moved = self.queue.corrupt(QueueName::Active, id);
                moved.map_err(|e| format!("{id}: move to corrupt: {e}"))
            }
            Action::GiveBack(id) => {
                let Some(active) = self.let_go(id) else { return Ok(()) };
                let moved = self.queue.return_to_incoming(wall, id, active.file.file());
                moved.map_err(|e| format!("{id}: move to incoming: {e}"))
            }
            Action::Forget(id) => {
                self.active.borrow_mut().remove(id);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether a message is where it was claimed to: somebody may have removed it, held it or put it back into maildrop
    /// (postsuper(1)).
    pub(crate) fn is_in_place(&self, id: &QueueId) -> bool {
        let Some(active) = self.active(id) else { return false };
        match self.queue.disk().status(&self.queue.path(QueueName::Active, id)) {
            Ok(status) => status.inode == active.file.status().inode,
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }

    /// Removes a message of which everything is done. These recipients are not marked yet, which does not matter but
    /// when somebody has moved the file: then the error says so.
    pub(crate) fn remove(&self, id: &QueueId, unmarked: &[u64]) -> Result<(), String> {
        let active = self.let_go(id);
        let Err(error) = self.queue.remove(QueueName::Active, id) else { return Ok(()) };
        let why = format!("{id}: remove from active: {}", config_files::reason(&error));
        match active.map(|active| mark_done(&active, id, unmarked)) {
            Some(Err(trouble)) => Err(format!("{why}; {trouble}")),
            _ => Err(why),
        }
    }

    /// Forgets a message whose file is to be moved or removed. It stays locked for as long as the caller keeps what it
    /// gets: another generation must not take hold of it before it is where it belongs.
    fn let_go(&self, id: &QueueId) -> Option<Rc<Active<D>>> {
        self.active.borrow_mut().remove(id)
    }

    fn start(&self, wall: WallTime) -> Result<(), String> {
        let recovered = self
            .queue
            .recover_active(wall)
            .map_err(|e| format!("return the active queue to incoming: {e}"))?;
        let mut logs = self.bounce_logs.borrow_mut();
        for id in recovered.busy {
            logs.insert(id);
            self.stragglers.add(id);
        }
        let listed = self.queue.scan_names(QueueName::Bounce, &mut |id| {
            logs.insert(id);
            true
        });
        listed.map_err(|e| format!("read the bounce directory: {e}"))
    }

    fn defer(&self, id: &QueueId, to: QueueName, next_try: WallTime) -> Result<(), String> {
        let active = self.let_go(id);
        let set = match &active {
            Some(active) => active.file.file().set_modified(next_try),
            // It could not be read; it is not to be tried at once all the same.
            None => self
                .queue
                .disk()
                .open(&self.queue.path(QueueName::Active, id), OpenMode::ReadWrite)
                .and_then(|file| file.set_modified(next_try)),
        };
        set.and_then(|()| self.queue.move_to(id, QueueName::Active, to))
            .map_err(|e| format!("{id}: move from active to {to}: {}", config_files::reason(&e)))
    }
}

fn mark_done<D: Disk>(active: &Active<D>, id: &QueueId, offsets: &[u64]) -> Result<(), String> {
    for offset in offsets {
        active.file.mark_done(*offset).map_err(|e| format!("{id}: mark recipient done: {e}"))?;
    }
    Ok(())
}

fn failure(id: QueueId, error: &ReadError) -> ClaimFailure {
    if error.is_temporary() {
        ClaimFailure::Trouble(Trouble::new(format!("{id}: {error}")))
    } else {
        ClaimFailure::Corrupt(error.to_string())
    }
}
