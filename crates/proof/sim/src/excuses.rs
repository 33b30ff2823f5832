//! What may make something happen twice: a crash shortly after it, or an answer that nobody heard.

use std::{collections::BTreeMap, time::Duration};
use types::Instant;

/// Times may be known to the second only, and too early by as much.
const CLOCK: Duration = Duration::from_secs(1);

/// Crashes and lost answers.
#[derive(Debug, Default)]
pub struct Excuses {
    crashes: Vec<(Instant, Duration)>,
    unanswered: BTreeMap<(String, String), usize>,
}

impl Excuses {
    /// The system stopped; what it did within `reach` before may be forgotten.
    pub fn crashed(&mut self, at: Instant, reach: Duration) {
        self.crashes.push((at, reach));
    }

    /// Somebody took a message for a recipient, and whoever brought it may not know.
    pub fn unanswered(&mut self, message: &str, recipient: &str) {
        *self.unanswered.entry((message.to_owned(), recipient.to_owned())).or_default() += 1;
    }

    /// ... and now knows.
    pub fn answered(&mut self, message: &str, recipient: &str) {
        if let Some(count) = self.unanswered.get_mut(&(message.to_owned(), recipient.to_owned())) {
            *count = count.saturating_sub(1);
        }
    }

    /// Whether what happened to a recipient at `first` may happen again at `second`.
    #[must_use]
    pub fn cover(&self, (message, recipient): (&str, &str), first: Instant, second: Instant) -> bool {
        let is_forgotten = |(at, reach): &(Instant, Duration)| {
            *at >= first && *at <= second + CLOCK && at.since(first) <= reach.saturating_add(CLOCK)
        };
        self.unanswered.get(&(message.to_owned(), recipient.to_owned())).is_some_and(|count| *count > 0)
            || self.crashes.iter().any(is_forgotten)
    }
}
