//! The world that a shell loop runs in: time, tasks, connections, disk.

use crate::Disk;
use std::{fmt, future::Future, io, net::IpAddr, net::SocketAddr, path::PathBuf, time::Duration};
use types::{Instant, WallTime};

/// Something to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// TCP.
    Inet(SocketAddr),
    /// A UNIX-domain stream socket.
    Unix(PathBuf),
}

/// The error within an [`io::Error`] of [`World::connect`] when the local address cannot be had: nothing was tried.
#[derive(Debug)]
pub struct BindFailed(pub io::Error);

impl fmt::Display for BindFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for BindFailed {}

/// A connected byte stream.
pub trait Stream: 'static {
    /// Waits until reading will not wait, so that an idle session need not hold a buffer; may return
    /// early, and returns at end of stream and on error (the next read says which).
    fn readable(&mut self) -> impl Future<Output = io::Result<()>> {
        std::future::ready(Ok(()))
    }
    /// Reads some bytes; 0 at end of stream.
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>>;
    /// Reads what has arrived already, without waiting: `WouldBlock` when nothing has.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all bytes.
    fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>>;
    /// Says that nothing more will be written.
    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>>;
    /// The other end, for TCP.
    fn peer(&self) -> Option<SocketAddr>;
    /// This end, for TCP.
    fn local(&self) -> Option<SocketAddr>;
}

/// Something that others connect to.
pub trait Accept: 'static {
    /// What a connection is.
    type Stream: Stream;

    /// The next connection, and, for TCP, who it is.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Option<SocketAddr>)>>;
}

/// What somebody else makes, item by item.
pub trait Walk<T>: 'static {
    /// The next items, at most `items_max`, and whether there are no more. May give fewer, or none, when the
    /// next one is long in coming.
    fn take(&self, items_max: usize) -> impl Future<Output = (Vec<T>, bool)>;
}

/// Time, tasks, connections and disk. Cheap to clone; one for each executor.
pub trait World: Clone + 'static {
    /// A connected byte stream.
    type Stream: Stream;
    /// The disk below `queue_directory`.
    type Disk: Disk;
    /// What [`Self::walk`] gives.
    type Walk<T: Send + 'static>: Walk<T>;

    /// The monotonic clock.
    fn now(&self) -> Instant;
    /// The calendar.
    fn wall(&self) -> WallTime;
    /// Waits until a point in time.
    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()>;
    /// Waits for a span.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> {
        self.sleep_until(self.now() + span)
    }
    /// Lets all others go on that can, and those whose connections have something for them.
    fn give_way(&self) -> impl Future<Output = ()>;
    /// Starts a task on this executor.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);
    /// Connects, from a local address if one is given, within `limit`; [`BindFailed`] if that address cannot be had.
    fn connect(
        &self,
        to: &Endpoint,
        from: Option<IpAddr>,
        limit: Duration,
    ) -> impl Future<Output = io::Result<Self::Stream>>;
    /// Sends a datagram to a DNS server and waits for the first datagram that `accept` takes, within
    /// `limit`; the source port is unpredictable and only that server's answers are seen (RFC 5452).
    fn exchange(
        &self,
        server: SocketAddr,
        query: &[u8],
        accept: impl Fn(&[u8]) -> bool,
        limit: Duration,
    ) -> impl Future<Output = io::Result<Vec<u8>>>;
    /// Runs blocking work on a thread of a bounded pool.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T>;
    /// Runs work that makes something durable on such a thread, together with what others commit in the same turn.
    fn commit<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static)
    -> impl Future<Output = T>;
    /// Lets `work` hand over items from a thread of its own, which is at most `ahead_max` of them ahead, and is
    /// told false when nobody takes them any more. Where no thread can be had there are no items.
    fn walk<T: Send + 'static>(
        &self,
        ahead_max: usize,
        work: impl FnOnce(&mut dyn FnMut(T) -> bool) + Send + 'static,
    ) -> Self::Walk<T>;
    /// The queue's disk.
    fn disk(&self) -> &Self::Disk;
    /// A random number, for jitter and tie-breaking; not for secrets.
    fn random(&self) -> u64;
    /// Waits for `task` at most `limit`; `None` when time ran out.
    fn timeout<T>(&self, limit: Duration, task: impl Future<Output = T>) -> impl Future<Output = Option<T>>;
}
