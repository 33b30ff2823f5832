//! Lines of qmgr(8).

use crate::address::External;
use std::fmt;
use types::{Address, QueueId};

/// What the queue manager logs.
#[derive(Clone, Debug)]
pub enum QmgrEvent<'a> {
    /// A message entered the active queue.
    Active {
        /// Message.
        id: QueueId,
        /// Envelope sender.
        sender: &'a Address,
        /// Content size in bytes.
        size_bytes: u64,
        /// Recipients not yet done.
        recipients: u64,
    },
    /// A message is done and gone.
    Removed(QueueId),
    /// A message was too long in the queue.
    Expired(QueueId, &'a Address),
    /// An administrator wanted the message returned now.
    ForceExpired(QueueId, &'a Address),
    /// Another process holds the message's file; it is tried again in a minute.
    Skipped(QueueId),
}

impl fmt::Display for QmgrEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active { id, sender, size_bytes, recipients } => {
                write!(
                    f,
                    "{id}: from=<{}>, size={size_bytes}, nrcpt={recipients} (queue active)",
                    External(sender)
                )
            }
            Self::Removed(id) => write!(f, "{id}: removed"),
            Self::Expired(id, sender) => {
                write!(f, "{id}: from=<{}>, status=expired, returned to sender", External(sender))
            }
            Self::ForceExpired(id, sender) => {
                write!(f, "{id}: from=<{}>, status=force-expired, returned to sender", External(sender))
            }
            Self::Skipped(id) => write!(f, "{id}: skipped, still being delivered"),
        }
    }
}
