//! Lines that wait for the end of a turn of the event loop.

use std::{
    fs::File,
    io::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bytes at which lines are written without waiting for the end of the turn.
const BATCH_BYTES: usize = 16 * 1024;

/// The lines that one process has not written yet. Clones share them. When the process is killed, the lines of
/// its last turn are lost.
#[derive(Clone, Debug)]
pub struct Batch(Arc<Mutex<Waiting>>);

#[derive(Debug)]
struct Waiting {
    file: File,
    bytes: Vec<u8>,
    lines: u64,
    lost: u64,
}

impl Batch {
    pub(crate) fn new(file: File) -> Self {
        Self(Arc::new(Mutex::new(Waiting { file, bytes: Vec::new(), lines: 0, lost: 0 })))
    }

    /// Writes what waits. To be called before the loop waits, and before anybody is told of what was logged.
    pub fn flush(&self) {
        self.lock().flush();
    }

    /// Takes a whole line.
    pub(crate) fn add(&self, line: &[u8], is_urgent: bool) {
        let mut waiting = self.lock();
        waiting.bytes.extend_from_slice(line);
        waiting.lines += 1;
        if is_urgent || waiting.bytes.len() >= BATCH_BYTES {
            waiting.flush();
        }
    }

    /// How many lines could not be written since this was last asked.
    pub(crate) fn take_lost(&self) -> u64 {
        std::mem::take(&mut self.lock().lost)
    }

    // Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn flush(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        if self.file.write_all(&self.bytes).is_err() {
            self.lost = self.lost.saturating_add(self.lines);
        }
        self.bytes.clear();
        self.lines = 0;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.flush();
    }
}
