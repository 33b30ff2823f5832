//! One final status: a recipient gets one, and another one only where a crash hid the first.

use std::collections::BTreeMap;

/// How a recipient ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalStatus {
    /// Delivered.
    Sent,
    /// Returned to the sender.
    Bounced,
}

/// Keeps the final statuses of all recipients.
#[derive(Debug, Default)]
pub struct OneFinalStatus {
    boot: u64,
    seen: BTreeMap<(String, String), (u64, FinalStatus)>,
}

impl OneFinalStatus {
    /// The system came up again after a crash.
    pub fn rebooted(&mut self) {
        self.boot += 1;
    }

    /// A recipient got a final status.
    pub fn record(&mut self, message: &str, recipient: &str, status: FinalStatus) -> Result<(), String> {
        let key = (message.to_owned(), recipient.to_owned());
        match self.seen.insert(key, (self.boot, status)) {
            Some((boot, first)) if boot == self.boot => Err(format!(
                "two final statuses without a crash between: {message} {recipient} {first:?} {status:?}"
            )),
            _ => Ok(()),
        }
    }
}
