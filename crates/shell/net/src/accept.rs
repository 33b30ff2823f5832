//! Listeners that were bound elsewhere, and the loop that accepts from them.

use crate::{stream::LiveStream, watch::Fifo};
use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    path::PathBuf,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};
use tokio::net::{TcpListener, UnixListener};
use world::{Accept, Endpoint, World};

/// How long a listener rests when the system has no descriptors or memory left.
const EXHAUSTED_PAUSE: Duration = Duration::from_secs(1);

/// A listening socket.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    /// With its address, where that is the address of every connection too.
    Tcp(TcpListener, Option<SocketAddr>),
    Unix(UnixListener),
    /// What is written into it at one time counts as a connection.
    Fifo(Fifo),
}

/// Most bytes of one such connection: a write of as many is never mixed with another one (pipe(7)).
const FIFO_BYTES: usize = 4096;

impl Listener {
    /// Takes over a listening stream socket, TCP or UNIX, or a FIFO.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        if rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode).is_fifo() {
            return Ok(Self(Kind::Fifo(Fifo::from_fd(fd)?)));
        }
        let socket = socket2::Socket::from(fd);
        socket.set_nonblocking(true)?;
        if socket.domain()? == socket2::Domain::UNIX {
            Ok(Self(Kind::Unix(UnixListener::from_std(socket.into())?)))
        } else {
            // Accepted connections inherit it: replies are whole batches, so there is nothing to wait for.
            socket.set_tcp_nodelay(true)?;
            let local = socket.local_addr()?.as_socket().filter(|local| !local.ip().is_unspecified());
            Ok(Self(Kind::Tcp(TcpListener::from_std(socket.into())?, local)))
        }
    }

    /// Binds and listens; programs without a master (tests, tools) do this.
    pub fn bind(to: &Endpoint) -> io::Result<Self> {
        match to {
            Endpoint::Inet(address) => Self::from_fd(std::net::TcpListener::bind(address)?.into()),
            Endpoint::Unix(path) => Self::from_fd(std::os::unix::net::UnixListener::bind(path)?.into()),
        }
    }

    /// Where it listens.
    pub fn local(&self) -> io::Result<Endpoint> {
        Ok(match &self.0 {
            Kind::Tcp(socket, _) => Endpoint::Inet(socket.local_addr()?),
            Kind::Fifo(_) => return Err(io::ErrorKind::Unsupported.into()),
            Kind::Unix(socket) => {
                let address = socket.local_addr()?;
                Endpoint::Unix(address.as_pathname().map_or_else(PathBuf::new, PathBuf::from))
            }
        })
    }
}

impl Listener {
    /// The next connection, to be passed to another process.
    pub async fn accept_to_pass(&self) -> io::Result<OwnedFd> {
        Ok(match &self.0 {
            Kind::Tcp(socket, _) => socket.accept().await?.0.into_std()?.into(),
            Kind::Unix(socket) => socket.accept().await?.0.into_std()?.into(),
            Kind::Fifo(_) => return Err(io::ErrorKind::Unsupported.into()),
        })
    }
}

impl Accept for Listener {
    type Stream = LiveStream;

    async fn accept(&self) -> io::Result<(LiveStream, Option<SocketAddr>)> {
        match &self.0 {
            Kind::Tcp(socket, local) => {
                let (stream, peer) = socket.accept().await?;
                Ok((LiveStream::accepted(stream, *local), Some(peer)))
            }
            Kind::Unix(socket) => Ok((LiveStream::unix(socket.accept().await?.0), None)),
            Kind::Fifo(fifo) => Ok((from_fifo(fifo).await?, None)),
        }
    }
}

/// The next words as a stream that ends behind them.
async fn from_fifo(fifo: &Fifo) -> io::Result<LiveStream> {
    let mut words = [0; FIFO_BYTES];
    let count = fifo.read(&mut words).await?;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    // Fits into the buffer of a fresh socket.
    std::io::Write::write_all(&mut &theirs, words.get(..count).unwrap_or_default())?;
    LiveStream::from_fd(ours.into())
}

/// Accepts for as long as it is polled: takes a place in `slots` first, so that at the limit new clients
/// wait in the kernel's backlog, and hands stream and place to `serve`, which starts the session.
/// `trouble` hears of failures; when descriptors or memory have run out, accepting rests a second.
pub async fn accept_all<W: World>(
    world: &W,
    listener: &impl Accept<Stream = W::Stream>,
    slots: &Slots,
    mut serve: impl FnMut(W::Stream, Option<SocketAddr>, Permit),
    mut trouble: impl FnMut(&io::Error),
) {
    loop {
        let permit = slots.take().await;
        match listener.accept().await {
            Ok((stream, peer)) => serve(stream, peer, permit),
            // The client gave up between its SYN and our accept, or we were interrupted.
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                trouble(&error);
                drop(permit);
                world.sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// The places of a service: at most so many sessions at once. Clones share the places.
#[derive(Clone, Debug)]
pub struct Slots(Rc<Places>);

#[derive(Debug)]
struct Places {
    limit: usize,
    taken: Cell<usize>,
    // Listeners that wait for a place.
    waiting: RefCell<Vec<Waker>>,
}

impl Slots {
    /// `limit` places; 0 means no limit (the `maxproc` column of master.cf).
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let limit = if limit == 0 { usize::MAX } else { limit };
        Self(Rc::new(Places { limit, taken: Cell::new(0), waiting: RefCell::default() }))
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.taken.get()
    }

    /// Waits for a place; it is free again when the permit is dropped.
    pub async fn take(&self) -> Permit {
        poll_fn(|context| match self.try_take() {
            Some(permit) => Poll::Ready(permit),
            None => {
                let mut waiting = self.0.waiting.borrow_mut();
                if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                    waiting.push(context.waker().clone());
                }
                Poll::Pending
            }
        })
        .await
    }

    /// A place, if one is free.
    #[must_use]
    pub fn try_take(&self) -> Option<Permit> {
        let taken = self.0.taken.get();
        (taken < self.0.limit).then(|| {
            self.0.taken.set(taken + 1);
            Permit(self.clone())
        })
    }
}

/// One place in [`Slots`].
#[derive(Debug)]
pub struct Permit(Slots);

impl Drop for Permit {
    fn drop(&mut self) {
        let places = &self.0.0;
        places.taken.set(places.taken.get().saturating_sub(1));
        places.waiting.take().into_iter().for_each(Waker::wake);
    }
}
