//! How a message leaves the active queue, in the order that loses nothing: bounce record, done mark, notification,
//! and only then the removal.

use std::time::Duration;

use types::{QueueName, Trouble};

use crate::{
    core::{Core, Message, Stage, Step},
    event::{Action, LogLine, Notice},
    slab::Key,
};

/// A file that another process has locked is tried again after this time.
pub(crate) const LOCKED_DELAY: Duration = Duration::from_secs(60);

impl Core {
    /// Looks at messages of which something ended.
    pub(crate) fn finish_all(&mut self, step: &mut Step<'_>) {
        while let Some(key) = self.to_finish.pop() {
            if self.messages.get(key).is_some() {
                self.finish(step, key);
            }
        }
    }

    fn finish(&mut self, step: &mut Step<'_>, key: Key<Message>) {
        let message = &self.messages[key];
        if message.outstanding > 0 || message.is_reading || message.stage != Stage::Delivering {
            return;
        }
        if message.flags.is_gone {
            let id = message.id;
            // Wherever it is now, nobody gets it again.
            self.mark(step, key);
            step.act(Action::Forget(id));
            self.forget(key);
        } else if self.is_for_the_next(message) {
            self.give_back(step, key);
        } else if message.flags.may_have_bounce_log {
            self.notify(step, key, Notice::Failure);
        } else if message.flags.is_corrupt {
            self.set_aside(step, key);
        } else if message.next_offset.is_some() {
            self.mark(step, key);
            self.read_on(step, key);
        } else if message.flags.has_trace {
            let is_report = message.attributes.trace.has_report();
            self.notify(step, key, if is_report { Notice::Report } else { Notice::Success });
        } else {
            self.leave(step, key);
        }
    }

    /// Everything is tried that could be tried now.
    fn leave(&mut self, step: &mut Step<'_>, key: Key<Message>) {
        let message = &self.messages[key];
        let flags = message.flags;
        if flags.is_incomplete {
            return self.defer(step, key);
        }
        if !flags.is_deferred {
            let id = message.id;
            self.mark(step, key);
            step.act(Action::Remove(id));
            step.log(LogLine::Removed(id));
            return self.forget(key);
        }
        let age = step.wall.since(message.created);
        let lifetime = if message.attributes.sender.is_null() {
            self.settings.bounce_queue_lifetime
        } else {
            self.settings.maximal_queue_lifetime
        };
        let (id, attributes) = (message.id, std::rc::Rc::clone(&message.attributes));
        if flags.expire {
            step.log(LogLine::ForceExpired(id, attributes));
            self.notify(step, key, Notice::Expired);
        } else if age >= lifetime {
            step.log(LogLine::Expired(id, attributes));
            self.notify(step, key, Notice::Expired);
        } else if message.warn_at.is_some_and(|at| step.wall + Duration::from_secs(1) >= at) {
            self.notify(step, key, Notice::Delay);
        } else {
            self.defer(step, key);
        }
    }

    pub(crate) fn notify(&mut self, step: &mut Step<'_>, key: Key<Message>, notice: Notice) {
        self.mark(step, key);
        let message = &mut self.messages[key];
        message.stage = Stage::Notifying(notice);
        let (id, attributes) = (message.id, std::rc::Rc::clone(&message.attributes));
        let is_return = matches!(notice, Notice::Failure | Notice::Expired);
        let verp = message.verp.filter(|_| is_return && !self.settings.disable_verp_bounces);
        step.act(Action::Notify { id, notice, message: attributes, verp });
    }

    /// The notification is committed, or could not be made now.
    pub(crate) fn notified(&mut self, step: &mut Step<'_>, key: Key<Message>, result: Result<(), Trouble>) {
        let message = &mut self.messages[key];
        let Stage::Notifying(notice) = std::mem::replace(&mut message.stage, Stage::Delivering) else {
            return;
        };
        let is_done = result.is_ok();
        if let Err(trouble) = result {
            step.warn(format!("{}: notification failed, will be tried again: {trouble}", message.id));
        }
        match notice {
            Notice::Failure => {
                message.flags.may_have_bounce_log = false;
                message.flags.is_incomplete |= !is_done;
            }
            Notice::Success => message.flags.has_trace = false,
            Notice::Report => {
                message.flags.has_trace = false;
                message.flags.is_incomplete |= !is_done;
                if is_done {
                    step.act(Action::ClearReport(message.id));
                }
            }
            Notice::Expired if is_done => message.flags.is_deferred = false,
            Notice::Expired => message.flags.is_incomplete = true,
            Notice::Delay => {
                message.warn_at = None;
                if is_done {
                    step.act(Action::ClearWarning(message.id));
                }
            }
        }
        self.to_finish.push(key);
    }

    /// Writes the done marks that are due.
    pub(crate) fn mark(&mut self, step: &mut Step<'_>, key: Key<Message>) {
        let message = &mut self.messages[key];
        if !message.unmarked.is_empty() {
            let offsets = std::mem::take(&mut message.unmarked);
            step.act(Action::MarkDone(message.id, offsets));
        }
    }

    /// Marks what was done in this step and is still there.
    pub(crate) fn mark_all(&mut self, step: &mut Step<'_>) {
        while let Some(key) = self.to_mark.pop() {
            if self.messages.get(key).is_some() {
                self.mark(step, key);
            }
        }
    }

    /// The next try comes after the message's age so far, within minimal_backoff_time and maximal_backoff_time.
    fn defer(&mut self, step: &mut Step<'_>, key: Key<Message>) {
        self.mark(step, key);
        let message = &self.messages[key];
        let age = Duration::from_secs(step.wall.since(message.created).as_secs());
        let settings = &self.settings;
        let delay = age.min(settings.maximal_backoff_time).max(settings.minimal_backoff_time);
        step.act(Action::Defer { id: message.id, to: QueueName::Deferred, next_try: step.wall + delay });
        self.forget(key);
    }

    fn set_aside(&mut self, step: &mut Step<'_>, key: Key<Message>) {
        self.mark(step, key);
        let id = self.messages[key].id;
        corrupt(step, id);
        self.forget(key);
    }

    /// Nothing is kept of a message that has left.
    pub(crate) fn forget(&mut self, key: Key<Message>) {
        for job in std::mem::take(&mut self.messages[key].jobs) {
            self.free_job(job);
        }
        if let Some(message) = self.messages.remove(key) {
            self.probe_count -= usize::from(message.attributes.trace.is_server_probe());
            self.by_id.remove(&message.id);
        }
    }
}

/// Keeps a file that cannot be understood, out of the way.
pub(crate) fn corrupt(step: &mut Step<'_>, id: types::QueueId) {
    step.act(Action::SetAside(id));
    step.warn(format!("saving corrupt file \"{id}\" from queue \"active\" to queue \"corrupt\""));
}
