//! At a reload the next generation takes over the queue: what agents are busy with is finished here, everything else
//! goes back to `incoming`, so that one slow delivery does not keep all other mail waiting.

use crate::{
    core::{Core, Message, Stage, Step},
    event::{Action, Notice},
    slab::Key,
};

impl Core {
    /// From here on nothing is begun. Recipients that no agent has are left for the next generation.
    pub(crate) fn hand_over(&mut self) {
        self.is_handing_over = true;
        let waiting: Vec<_> =
            self.entries.keys().filter(|key| self.entries[*key].request.is_none()).collect();
        for key in waiting {
            let entry = &self.entries[key];
            let (message, destination, count) = (entry.message, entry.destination, entry.recipients.len());
            self.messages[message].flags.is_handed_over = true;
            self.take_from_todo(key);
            self.entry_gone(key, count);
            self.maybe_forget(destination);
        }
    }

    /// Whether somebody else has to go on with a message of which nothing is under way here.
    pub(crate) fn is_for_the_next(&self, message: &Message) -> bool {
        let has_more = message.flags.is_handed_over || message.next_offset.is_some();
        self.is_handing_over && has_more && !message.flags.is_corrupt && message.stage == Stage::Delivering
    }

    /// What is done is marked; what failed for good stands in the bounce log, which the next generation will find.
    /// Of the trace log nobody would know.
    pub(crate) fn give_back(&mut self, step: &mut Step<'_>, key: Key<Message>) {
        if self.messages[key].flags.has_trace {
            return self.notify(step, key, Notice::Success);
        }
        self.mark(step, key);
        step.act(Action::GiveBack(self.messages[key].id));
        self.forget(key);
    }
}
