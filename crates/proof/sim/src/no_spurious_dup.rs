//! No spurious duplicate: a recipient gets a message twice only where its delivery was of the last moments before a crash, or
//! where the answer to the end of data was lost.

use crate::Excuses;
use std::collections::BTreeMap;
use types::Instant;

/// Keeps what servers and mailboxes got.
#[derive(Debug, Default)]
pub struct NoSpuriousDup {
    got: BTreeMap<(String, String), Vec<Instant>>,
}

impl NoSpuriousDup {
    /// A recipient got a message.
    pub fn got(&mut self, now: Instant, message: &str, recipient: &str) {
        self.got.entry((message.to_owned(), recipient.to_owned())).or_default().push(now);
    }

    /// To be asked at the end, when all lost answers are known.
    ///
    /// # Errors
    /// Somebody got something twice, without excuse.
    pub fn check(&self, excuses: &Excuses) -> Result<(), String> {
        for ((message, recipient), times) in &self.got {
            for pair in times.windows(2) {
                if !excuses.cover((message, recipient), pair[0], pair[1]) {
                    return Err(format!(
                        "duplicate: {message} {recipient} at {:?} and {:?}",
                        pair[0], pair[1]
                    ));
                }
            }
        }
        Ok(())
    }

    /// How many were got more than once, excused or not.
    #[must_use]
    pub fn repeated(&self) -> usize {
        self.got.values().filter(|times| times.len() > 1).count()
    }
}
