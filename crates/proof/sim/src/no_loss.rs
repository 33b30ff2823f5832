//! No loss: every recipient of a message that was acknowledged is in the queue, or has a final status.

use std::collections::{BTreeMap, BTreeSet};

/// Keeps what was acknowledged and what became of it.
#[derive(Debug, Default)]
pub struct NoLoss {
    acknowledged: BTreeMap<String, BTreeSet<String>>,
    finished: BTreeSet<(String, String)>,
}

impl NoLoss {
    /// A message was acknowledged with these recipients.
    pub fn acknowledged(&mut self, message: &str, recipients: impl IntoIterator<Item = String>) {
        self.acknowledged.insert(message.to_owned(), recipients.into_iter().collect());
    }

    /// A recipient was delivered to, or a notice about it is durable.
    pub fn finished(&mut self, message: &str, recipient: &str) {
        self.finished.insert((message.to_owned(), recipient.to_owned()));
    }

    /// Nobody is told what became of a message any more: the notification itself was given up, as it should be.
    pub fn forget(&mut self, message: &str) {
        self.acknowledged.remove(message);
    }

    /// Compares with the queue as it is after recovery: the messages there, each with the recipients that are
    /// still to be done.
    pub fn check(&self, queued: &BTreeMap<String, BTreeSet<String>>) -> Result<(), String> {
        for (message, recipients) in &self.acknowledged {
            for recipient in recipients {
                let is_queued = queued.get(message).is_some_and(|todo| todo.contains(recipient));
                if !is_queued && !self.finished.contains(&(message.clone(), recipient.clone())) {
                    return Err(format!("lost: recipient {recipient} of message {message}"));
                }
            }
        }
        Ok(())
    }
}
