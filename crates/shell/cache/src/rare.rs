//! Warnings that come at most once a second, however often there is a reason.

use maillog::Logger;
use std::{cell::Cell, time::Duration};
use types::Instant;

const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Rare(Cell<Option<Instant>>);

impl Rare {
    pub(crate) fn warn(&self, log: &Logger, now: Instant, text: &str) {
        if self.0.get().is_none_or(|last| now.since(last) >= PAUSE) {
            self.0.set(Some(now));
            log.warning(text);
        }
    }
}
