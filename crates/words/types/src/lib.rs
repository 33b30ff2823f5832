//! The nouns of the field: plain values that every other crate speaks in.
//!
//! Nothing here reads a file, a socket or a clock. A type exists here when two crates of different
//! layers must agree on it; everything else lives beside its only user.
//!
//! Diagnostics: nothing here panics, logs or fails except by returning `None` or an error value.

mod address;
mod delivery;
mod dsn;
mod lookup;
mod named_attributes;
mod queue_id;
mod reply;
mod route;
mod time;
mod verp;

pub use address::{Address, Domain};
pub use delivery::{
    BodyEncoding, DeliveryReport, DeliveryRequest, DsnNotify, DsnReturn, MemberReport, MessageAttributes,
    Outcome, Passed, Recipient, RecipientReport, Relay, SendOptions, Status, SuccessAction, Timing,
    TraceFlags,
};
pub use dsn::{Dsn, DsnClass};
pub use lookup::{Lookup, Trouble};
pub use named_attributes::NamedAttributes;
pub use queue_id::{InvalidQueueId, QueueId, QueueName};
pub use reply::{FixedReply, Reply};
pub use route::{AddressClass, Nexthop, Resolved, Transport};
pub use time::{Instant, WallTime};
pub use verp::VerpDelimiters;
