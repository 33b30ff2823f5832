//! Connections between simulated machines.

use crate::{Weather, executor::Inner};
use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    io,
    net::SocketAddr,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};
use types::Instant;
use world::Stream;

/// Bytes after which a connection that is to break has broken: most break early, where the conversation is.
const BREAKS_WITHIN_BYTES: usize = 3_000;

/// One direction.
struct Half {
    /// With the time at which they arrive.
    flying: VecDeque<(Instant, VecDeque<u8>)>,
    flying_bytes: usize,
    written: u64,
    end: End,
    reader: Option<Waker>,
    writer: Option<Waker>,
    timer: Option<(Instant, u64)>,
    /// Nothing arrives after so many bytes.
    silent_after: u64,
    /// The connection is reset after so many bytes.
    reset_after: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// After what is flying.
    Closed,
    Reset,
}

impl Half {
    fn new() -> Self {
        Self {
            flying: VecDeque::new(),
            flying_bytes: 0,
            written: 0,
            end: End::Open,
            reader: None,
            writer: None,
            timer: None,
            silent_after: u64::MAX,
            reset_after: u64::MAX,
        }
    }

    fn wake(&mut self) {
        self.reader.take().into_iter().for_each(Waker::wake);
        self.writer.take().into_iter().for_each(Waker::wake);
    }

    fn reset(&mut self) {
        self.end = End::Reset;
        self.flying.clear();
        self.wake();
    }

    fn close(&mut self) {
        if self.end == End::Open {
            self.end = End::Closed;
        }
        self.wake();
    }

    /// What a reader finds now: bytes, the end, or nothing yet.
    fn state(&self, now: Instant) -> Poll<io::Result<()>> {
        match (self.flying.front(), self.end) {
            (_, End::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            (Some((arrival, _)), _) if *arrival <= now => Poll::Ready(Ok(())),
            (None, End::Closed) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    fn take(&mut self, now: Instant, buffer: &mut [u8]) -> usize {
        let mut count = 0;
        while let Some((arrival, bytes)) = self.flying.front_mut()
            && *arrival <= now
            && count < buffer.len()
        {
            let size = bytes.len().min(buffer.len() - count);
            for (to, from) in buffer[count..].iter_mut().zip(bytes.drain(..size)) {
                *to = from;
            }
            count += size;
            if bytes.is_empty() {
                self.flying.pop_front();
            }
        }
        self.flying_bytes -= count;
        self.writer.take().into_iter().for_each(Waker::wake);
        count
    }
}

/// One end of a connection.
pub struct SimStream {
    inner: Weak<Inner>,
    weather: Weather,
    incoming: Rc<RefCell<Half>>,
    outgoing: Rc<RefCell<Half>>,
    local: Option<SocketAddr>,
    peer: Option<SocketAddr>,
}

/// Both ends of a connection between two addresses (none for UNIX-domain sockets).
pub(crate) fn connection(
    inner: &Rc<Inner>,
    weather: Weather,
    (first, second): (Option<SocketAddr>, Option<SocketAddr>),
) -> (SimStream, SimStream) {
    let (mut a, mut b) = (Half::new(), Half::new());
    for half in [&mut a, &mut b] {
        let breaks = |one_in: usize| {
            inner.chance(|chance| match one_in > 0 && chance.one_in(one_in * 2) {
                true => chance.below(BREAKS_WITHIN_BYTES) as u64,
                false => u64::MAX,
            })
        };
        half.silent_after = breaks(weather.silent_one_in);
        half.reset_after = breaks(weather.reset_one_in);
    }
    let (a, b) = (Rc::new(RefCell::new(a)), Rc::new(RefCell::new(b)));
    let end = |incoming: &Rc<_>, outgoing: &Rc<_>, local, peer| SimStream {
        inner: Rc::downgrade(inner),
        weather,
        incoming: Rc::clone(incoming),
        outgoing: Rc::clone(outgoing),
        local,
        peer,
    };
    (end(&a, &b, first, second), end(&b, &a, second, first))
}

impl SimStream {
    /// How many bytes were written.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.outgoing.borrow().written
    }

    /// How many of them have been read at the other end.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        let half = self.outgoing.borrow();
        half.written.saturating_sub(half.flying_bytes as u64)
    }

    /// Breaks the connection: what is under way is lost, and the other end hears of a reset.
    pub fn reset(&mut self) {
        self.incoming.borrow_mut().reset();
        self.outgoing.borrow_mut().reset();
    }

    fn now(&self) -> Instant {
        self.inner.upgrade().map(|inner| inner.now()).unwrap_or_default()
    }

    fn poll_incoming(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = self.now();
        let mut half = self.incoming.borrow_mut();
        let inner = self.inner.upgrade();
        if let (Some(key), Some(inner)) = (half.timer.take(), &inner) {
            inner.forget_timer(key);
        }
        let state = half.state(now);
        if state.is_pending() {
            half.reader = Some(context.waker().clone());
            if let (Some((arrival, _)), Some(inner)) = (half.flying.front(), &inner)
                && *arrival < Instant::from_nanos(u64::MAX)
            {
                half.timer = Some(inner.wake_at(*arrival, context.waker()));
            }
        }
        state
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> usize {
        let limit = match (self.weather.read_bytes_max, self.inner.upgrade()) {
            (usize::MAX, _) | (_, None) => usize::MAX,
            (most, Some(inner)) => 1 + inner.chance(|chance| chance.below(most)),
        };
        let count = buffer.len().min(limit);
        let now = self.now();
        self.incoming.borrow_mut().take(now, &mut buffer[..count])
    }

    /// Puts bytes on their way; false when it is the connection's fate to break now.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let Some(inner) = self.inner.upgrade() else { return false };
        let mut half = self.outgoing.borrow_mut();
        half.written += bytes.len() as u64;
        half.flying_bytes += bytes.len();
        if half.written >= half.reset_after {
            return false;
        }
        let latency = usize::try_from(self.weather.latency_max.as_nanos()).unwrap_or(0);
        let latency = inner.chance(|chance| if latency == 0 { 0 } else { chance.below(latency) });
        let soonest = half.flying.back().map_or(Instant::default(), |(arrival, _)| *arrival);
        let arrival = if half.written >= half.silent_after {
            Instant::from_nanos(u64::MAX)
        } else {
            soonest.max(inner.now() + Duration::from_nanos(latency as u64))
        };
        match half.flying.back_mut() {
            Some((last, queue)) if *last == arrival => queue.extend(bytes),
            _ => half.flying.push_back((arrival, bytes.iter().copied().collect())),
        }
        half.reader.take().into_iter().for_each(Waker::wake);
        true
    }
}

impl Stream for SimStream {
    async fn readable(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_incoming(context)).await
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| self.poll_incoming(context)).await?;
        Ok(self.read_now(buffer))
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let now = self.now();
        let state = self.incoming.borrow().state(now);
        match state {
            Poll::Ready(Ok(())) => Ok(self.read_now(buffer)),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let room = poll_fn(|context| {
                let mut half = self.outgoing.borrow_mut();
                match (half.end, self.weather.window_bytes.saturating_sub(half.flying_bytes)) {
                    (End::Reset, _) => Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionReset))),
                    (End::Closed, _) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                    (End::Open, 0) => {
                        half.writer = Some(context.waker().clone());
                        Poll::Pending
                    }
                    (End::Open, room) => Poll::Ready(Ok(room)),
                }
            })
            .await?;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if !self.send(now) {
                self.reset();
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            if later.is_empty() {
                return Ok(());
            }
            bytes = later;
        }
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.outgoing.borrow_mut().close();
        Ok(())
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    fn local(&self) -> Option<SocketAddr> {
        self.local
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        // Who closes without having read all makes a reset of it, which overtakes what is under way (RFC 1122
        // section 4.2.2.13); in fair weather it comes after.
        let leaves_something = self.incoming.borrow().flying_bytes > 0;
        if leaves_something && self.weather.reset_one_in > 0 {
            return self.reset();
        }
        self.incoming.borrow_mut().close();
        self.outgoing.borrow_mut().close();
        if let (Some(key), Some(inner)) = (self.incoming.borrow_mut().timer.take(), self.inner.upgrade()) {
            inner.forget_timer(key);
        }
    }
}
