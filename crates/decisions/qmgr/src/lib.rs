//! When and where mail is delivered: qmgr(8) as a machine without I/O.
//!
//! ```text
//!  Event ──▶ Scheduler::step(now, wall, event, &mut actions) ──▶ Action ...
//!            ├ intake        which message enters the active queue next
//!            ├ message       one active message: reading, resolving, how it ends
//!            ├ jobs          one message's mail for one transport: order, preemption
//!            ├ destination   one next hop of a transport: concurrency, dead or alive
//!            └ transport     one service: process limit, throttling, recipient slots
//! ```
//!
//! The shell executes the actions *in their order* and answers those that say so with an event. It decides nothing.
//! The algorithm is explained in `docs/scheduler.md`.
//!
//! Memory is bounded by qmgr_message_active_limit and qmgr_message_recipient_limit: of messages that are not active
//! nothing is kept; their next try is the modification time of their queue file.
//!
//! # Diagnostics
//! Nothing panics. Trouble of any kind keeps the message queued. Warnings are [`LogLine::Warning`].

mod active;
pub mod agents;
mod core;
mod destination;
mod event;
mod finish;
mod hand_over;
mod intake;
mod job;
mod members;
mod route;
mod scheduler;
mod settings;
mod slab;
mod verp;

pub use event::{
    Action, AgentFailure, Append, ClaimFailure, Claimed, Disposition, Event, Found, LogLine, LogName,
    MoreRecipients, Notice, Routed, Ticket, Triggers,
};
pub use intake::Intaken;
pub use scheduler::Scheduler;
pub use settings::{Feedback, SchedulerSettings, TransportSettings};
