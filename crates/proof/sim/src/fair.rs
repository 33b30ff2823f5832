//! Fair: mail for a destination that is well does not wait for destinations that are not.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use types::Instant;

/// Keeps who waits since when.
#[derive(Debug)]
pub struct Fair {
    wait_max: Duration,
    waiting: BTreeMap<(String, String), Instant>,
    /// Served before whoever sent it heard that it was accepted.
    early: BTreeSet<(String, String)>,
    unfair: Option<String>,
}

impl Fair {
    /// Nobody may wait longer than this.
    #[must_use]
    pub fn new(wait_max: Duration) -> Self {
        Self { wait_max, waiting: BTreeMap::new(), early: BTreeSet::new(), unfair: None }
    }

    /// A message came in for a recipient whose destination is well.
    pub fn waits(&mut self, now: Instant, message: &str, recipient: &str) {
        let key = (message.to_owned(), recipient.to_owned());
        if !self.early.remove(&key) {
            self.waiting.insert(key, now);
        }
    }

    /// The recipient got it.
    pub fn served(&mut self, now: Instant, message: &str, recipient: &str) {
        let key = (message.to_owned(), recipient.to_owned());
        let Some(since) = self.waiting.remove(&key) else {
            self.early.insert(key);
            return;
        };
        let waited = now.since(since);
        if waited > self.wait_max {
            self.unfair.get_or_insert(format!("unfair: {message} {recipient} waited {waited:?}"));
        }
    }

    /// # Errors
    /// Somebody waited too long, or waits still.
    pub fn check(&self) -> Result<(), String> {
        if let Some(unfair) = &self.unfair {
            return Err(unfair.clone());
        }
        match self.waiting.first_key_value() {
            Some(((message, recipient), _)) => Err(format!("unfair: {message} {recipient} waits still")),
            None => Ok(()),
        }
    }
}
