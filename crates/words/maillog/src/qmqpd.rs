//! Lines of qmqpd(8).

use crate::Client;
use std::fmt;
use types::QueueId;

/// What the QMQP server logs.
#[derive(Clone, Debug)]
pub enum QmqpdEvent<'a> {
    /// A client connected.
    Connect(&'a Client),
    /// A client is gone.
    Disconnect(&'a Client),
    /// A message has a queue file.
    ClientOf(QueueId, &'a Client),
    /// A message was not taken; a warning.
    Refused(QueueId, &'a Client, &'a str),
    /// The session ended early.
    Ended {
        /// The message, if it has an id already.
        id: Option<QueueId>,
        /// Who.
        client: &'a Client,
        /// Why: `lost connection`.
        reason: &'a str,
        /// Where: `receiving message content`.
        place: &'a str,
    },
}

impl fmt::Display for QmqpdEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(client) => write!(f, "connect from {client}"),
            Self::Disconnect(client) => write!(f, "disconnect from {client}"),
            Self::ClientOf(id, client) => write!(f, "{id}: client={client}"),
            Self::Refused(id, client, text) => write!(f, "{id}: {client}: {text}"),
            Self::Ended { id: Some(id), client, reason, place } => {
                write!(f, "{id}: {client}: {reason} while {place}")
            }
            Self::Ended { id: None, client, reason, place } => {
                write!(f, "NOQUEUE: {client}: {reason} while {place}")
            }
        }
    }
}
