//! What may make something happen twice: a crash shortly after it, or an answer that nobody heard.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use types::Instant;

/// Crashes and lost answers.
#[derive(Debug, Default)]
pub struct Excuses {
    crashes: Vec<(Instant, Duration)>,
    unanswered: BTreeMap<String, BTreeSet<String>>,
}

impl Excuses {
    /// The system stopped; what it did within `reach` before may be forgotten.
    pub fn crashed(&mut self, at: Instant, reach: Duration) {
        self.crashes.push((at, reach));
    }

    /// Somebody took a message for a recipient, and whoever brought it may not know.
    pub fn unanswered(&mut self, message: &str, recipient: &str) {
        self.unanswered.entry(message.to_owned()).or_default().insert(recipient.to_owned());
    }

    /// Whether what happened to a recipient at `first` may happen again at `second`.
    #[must_use]
    pub fn cover(&self, (message, recipient): (&str, &str), first: Instant, second: Instant) -> bool {
        let is_forgotten =
            |(at, reach): &(Instant, Duration)| *at >= first && *at <= second && at.since(first) <= *reach;
        self.unanswered.get(message).is_some_and(|recipients| recipients.contains(recipient))
            || self.crashes.iter().any(is_forgotten)
    }
}
