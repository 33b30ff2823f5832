//! One final status: a recipient is delivered to or returned, once, and not both. Another status comes only where
//! there is an excuse.

use crate::Excuses;
use std::collections::BTreeMap;
use types::Instant;

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
    seen: BTreeMap<(String, String), Vec<(Instant, FinalStatus)>>,
}

impl OneFinalStatus {
    /// A recipient got a final status.
    ///
    /// # Errors
    /// It had one already, without excuse.
    pub fn record(
        &mut self,
        now: Instant,
        (message, recipient): (&str, &str),
        status: FinalStatus,
        excuses: &Excuses,
    ) -> Result<(), String> {
        let seen = self.seen.entry((message.to_owned(), recipient.to_owned())).or_default();
        let first = seen.iter().find(|(at, _)| !excuses.cover((message, recipient), *at, now));
        let text = first.map(|(at, first)| {
            format!("two final statuses: {message} {recipient} {first:?} at {at:?}, {status:?} at {now:?}")
        });
        seen.push((now, status));
        text.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_second_status_needs_an_excuse() {
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        let mut checker = OneFinalStatus::default();
        let mut excuses = Excuses::default();
        let mut record = |seconds, name, status, excuses: &Excuses| {
            checker.record(at(seconds), (name, "r"), status, excuses).is_ok()
        };
        assert!(record(1, "m", FinalStatus::Sent, &excuses));
        assert!(!record(2, "m", FinalStatus::Bounced, &excuses));
        assert!(record(1, "n", FinalStatus::Sent, &excuses));
        excuses.crashed(at(100), Duration::from_secs(35));
        assert!(!record(200, "n", FinalStatus::Bounced, &excuses));
        assert!(record(80, "o", FinalStatus::Sent, &excuses));
        assert!(record(200, "o", FinalStatus::Bounced, &excuses));
        excuses.unanswered("p", "r");
        assert!(record(80, "p", FinalStatus::Sent, &excuses));
        assert!(record(90, "p", FinalStatus::Sent, &excuses));
    }
}
