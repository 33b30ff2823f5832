//! Lines of cleanup(8).

use bstr::BStr;
use std::fmt;
use types::QueueId;

/// What clean-up logs.
#[derive(Clone, Debug)]
pub enum CleanupEvent<'a> {
    /// `message-id=`: the header's value, empty when there is none.
    MessageId(QueueId, &'a BStr),
    /// `resent-message-id=`
    ResentMessageId(QueueId, &'a BStr),
    /// `removed (canceled)`: a message that was begun was not taken.
    Canceled(QueueId),
    /// `removed (discarded)`: nobody is to have it, or its sender has been told.
    Discarded(QueueId),
}

impl fmt::Display for CleanupEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageId(id, value) => write!(f, "{id}: message-id={value}"),
            Self::ResentMessageId(id, value) => write!(f, "{id}: resent-message-id={value}"),
            Self::Canceled(id) => write!(f, "{id}: removed (canceled)"),
            Self::Discarded(id) => write!(f, "{id}: removed (discarded)"),
        }
    }
}
