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
        /// Its name in maildrop, where the mail system put it there (`postsuper -r`).
        original: Option<QueueId>,
    },
}

impl fmt::Display for PickupEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { id, uid, sender, original } => {
                write!(f, "{id}: uid={uid} from=<{}>", External(sender))?;
                original.map_or(Ok(()), |original| write!(f, " orig_id={original}"))
            }
        }
    }
}
