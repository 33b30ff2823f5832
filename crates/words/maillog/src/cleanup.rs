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
}

impl fmt::Display for CleanupEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageId(id, value) => write!(f, "{id}: message-id={value}"),
            Self::ResentMessageId(id, value) => write!(f, "{id}: resent-message-id={value}"),
        }
    }
}
