//! Connections in memory.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    io,
    net::SocketAddr,
    rc::Rc,
    task::{Poll, Waker},
};
use world::Stream;

#[derive(Debug, Default)]
struct Half {
    bytes: VecDeque<u8>,
    is_closed: bool,
    reader: Option<Waker>,
}

impl Half {
    fn wake(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
pub struct SimStream {
    incoming: Rc<RefCell<Half>>,
    outgoing: Rc<RefCell<Half>>,
    local: Option<SocketAddr>,
    peer: Option<SocketAddr>,
}

/// Both ends of a connection between two addresses (none for UNIX-domain sockets).
#[must_use]
pub fn pipe(first: Option<SocketAddr>, second: Option<SocketAddr>) -> (SimStream, SimStream) {
    let (a, b) = (Rc::new(RefCell::new(Half::default())), Rc::new(RefCell::new(Half::default())));
    let near = SimStream { incoming: Rc::clone(&a), outgoing: Rc::clone(&b), local: first, peer: second };
    (near, SimStream { incoming: b, outgoing: a, local: second, peer: first })
}

impl Stream for SimStream {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| match self.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.incoming.borrow_mut().reader = Some(context.waker().clone());
                Poll::Pending
            }
            result => Poll::Ready(result),
        })
        .await
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut half = self.incoming.borrow_mut();
        if half.bytes.is_empty() && !half.is_closed && !buffer.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = half.bytes.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(half.bytes.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut half = self.outgoing.borrow_mut();
        if half.is_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        half.bytes.extend(bytes);
        half.wake();
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        let mut half = self.outgoing.borrow_mut();
        half.is_closed = true;
        half.wake();
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
        for half in [&self.incoming, &self.outgoing] {
            let mut half = half.borrow_mut();
            half.is_closed = true;
            half.wake();
        }
    }
}
