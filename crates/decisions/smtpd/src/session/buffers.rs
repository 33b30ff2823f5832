//! What was read and not yet used, and what was not yet written.

use std::{ops::Range, time::Duration};
use types::Instant;

/// Room for commands and small messages.
const SMALL: usize = 8 * 1024;
/// Room for large messages.
const LARGE: usize = 64 * 1024;
/// Replies are written when there are so many, even if the client has more commands here.
const OUTPUT_MAX: usize = 4096;
/// Replies are written after so long, even if the client has more commands here: a client that pipelines
/// should not think that we are dead while we look things up.
const OUTPUT_WAIT_MAX: Duration = Duration::from_secs(10);

/// The read buffer.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// All of it is initialised.
    storage: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    /// What was read and not yet used.
    pub(super) fn bytes(&self) -> &[u8] {
        self.storage.get(self.start..self.end).unwrap_or_default()
    }

    /// A range that [`Self::consume`] gave.
    pub(super) fn used(&self, range: Range<usize>) -> &[u8] {
        self.storage.get(range).unwrap_or_default()
    }

    /// No room for another byte without growing.
    pub(super) fn is_full(&self) -> bool {
        self.end - self.start >= LARGE
    }

    pub(super) fn consume(&mut self, count: usize) -> Range<usize> {
        let from = self.start;
        self.start = (from + count).min(self.end);
        from..self.start
    }

    pub(super) fn space(&mut self, line_max: usize, in_content: bool) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if !in_content && self.storage.len() > SMALL {
                self.storage = Vec::new();
            }
        } else if self.start > 0 {
            self.storage.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.storage.len() {
            let enough = if in_content { LARGE } else { line_max };
            let size = (self.storage.len() * 2).clamp(SMALL, enough.max(SMALL)).max(self.end + 1);
            if self.storage.is_empty() {
                self.storage = vec![0; size];
            } else {
                self.storage.resize(size, 0);
            }
        }
        self.storage.get_mut(self.end..).unwrap_or_default()
    }

    /// An idle session needs no room.
    pub(super) fn release(&mut self) {
        if self.start == self.end {
            *self = Self::default();
        }
    }

    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.storage.len());
    }
}

/// Replies on their way.
#[derive(Debug)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// The bytes were handed out to be written.
    is_sent: bool,
    /// ... and it is not known yet whether they arrived.
    is_writing: bool,
    /// Writing failed.
    is_broken: bool,
    delay: Option<Duration>,
    flush: bool,
    last_write: Instant,
}

impl Output {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            bytes: Vec::new(),
            is_sent: false,
            is_writing: false,
            is_broken: false,
            delay: None,
            flush: false,
            last_write: now,
        }
    }

    /// The last write worked.
    pub(super) fn written(&mut self) {
        self.is_writing = false;
    }

    /// Whether it was a write that failed; then nothing more is written.
    pub(super) fn give_up(&mut self) -> bool {
        self.is_broken |= self.is_writing;
        self.is_writing
    }

    pub(super) fn is_empty(&self) -> bool {
        self.is_broken || self.is_sent || self.bytes.is_empty()
    }

    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if std::mem::take(&mut self.is_sent) {
            self.bytes.clear();
        }
        &mut self.bytes
    }

    /// The next reply waits so long, and goes out alone.
    pub(super) fn delay(&mut self, span: Duration) {
        if !span.is_zero() {
            self.delay = Some(self.delay.unwrap_or_default() + span);
            self.flush = true;
        }
    }

    pub(super) fn take_delay(&mut self) -> Option<Duration> {
        self.delay.take()
    }

    /// Whether to write although more commands are there.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let waited = now.since(self.last_write) > OUTPUT_WAIT_MAX;
        !self.is_empty() && (self.flush || waited || self.bytes.len() > OUTPUT_MAX)
    }

    pub(super) fn take(&mut self, now: Instant) -> &[u8] {
        (self.is_sent, self.is_writing) = (true, true);
        self.flush = false;
        self.last_write = now;
        &self.bytes
    }
}
