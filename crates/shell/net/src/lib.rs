//! The only crate that names the runtime.
//!
//! [`run`] starts a single-threaded executor in the calling thread and hands its future a [`Live`], the
//! [`world::World`] of real sockets, timers and threads. Nothing here is shared between executors but the
//! disk, so a process may run several of them, one in each thread.
//!
//! Diagnostics: no panics; errors of the system are returned as they are. A panic in blocking work goes on in
//! the task that waited for it; a panic in a task that nobody [`contain`]s ends [`run`].

mod accept;
mod commits;
mod contain;
mod live;
mod pool;
mod signal;
mod standard;
mod stream;
mod walk;
mod watch;

#[cfg(test)]
mod tests;

pub use accept::{Listener, Permit, Slots, accept_all};
pub use contain::{contain, remember_panics};
pub use live::{Builder, Executor, Live, run};
pub use signal::{Signal, Signals};
pub use standard::{InputEnd, StandardStreams};
pub use stream::LiveStream;
pub use walk::LiveWalk;
pub use watch::{Channel, Datagrams, Fifo};
