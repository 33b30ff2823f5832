//! Lines of pickup(8).

use crate::address::External;
use std::fmt;
use types::{Address, QueueId};

/// What local submission logs.
#[derive(Clone, Debug)]
pub enum PickupEvent<'a> {
    /// A message was taken from maildrop.
    Taken {
        /// Its new id.
        id: QueueId,
        /// Who submitted it.
        uid: u32,
        /// Envelope sender.
        sender: &'a Address,
    },
}

impl fmt::Display for PickupEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { id, uid, sender } => write!(f, "{id}: uid={uid} from=<{}>", External(sender)),
        }
    }
}
