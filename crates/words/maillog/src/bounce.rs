//! Lines of bounce(8).

use std::fmt;
use types::QueueId;

/// A notification was queued: the original's id, which kind, and the notification's own id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notification {
    /// `sender non-delivery notification`
    SenderFailure(QueueId, QueueId),
    /// `sender delay notification`
    SenderDelay(QueueId, QueueId),
    /// `sender delivery status notification` (success or relayed)
    SenderSuccess(QueueId, QueueId),
    /// `postmaster non-delivery notification`
    PostmasterFailure(QueueId, QueueId),
    /// `postmaster delay notification`
    PostmasterDelay(QueueId, QueueId),
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (original, kind, own) = match self {
            Self::SenderFailure(original, own) => (original, "sender non-delivery notification", own),
            Self::SenderDelay(original, own) => (original, "sender delay notification", own),
            Self::SenderSuccess(original, own) => (original, "sender delivery status notification", own),
            Self::PostmasterFailure(original, own) => (original, "postmaster non-delivery notification", own),
            Self::PostmasterDelay(original, own) => (original, "postmaster delay notification", own),
        };
        write!(f, "{original}: {kind}: {own}")
    }
}
