//! Connected byte streams: TCP and UNIX.

use socket2::SockRef;
use std::{
    io,
    mem::MaybeUninit,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use tokio::io::{AsyncRead, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected stream of either kind.
#[derive(Debug)]
pub struct LiveStream {
    kind: Kind,
    // The runtime takes a new socket for readable until a call has said otherwise.
    is_fresh: bool,
    /// Our address, where it is known without asking.
    local: Option<SocketAddr>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl LiveStream {
    /// Takes over a connected TCP socket; small writes leave at once (`TCP_NODELAY`: replies are whole
    /// batches, so there is nothing to wait for).
    pub(crate) fn tcp(socket: TcpStream) -> Self {
        // Only a dead connection refuses the option, and its next read says so.
        let _ = socket.set_nodelay(true);
        Self::accepted(socket, None)
    }

    /// Takes over a TCP socket that inherited its options from its listener.
    pub(crate) fn accepted(socket: TcpStream, local: Option<SocketAddr>) -> Self {
        Self { kind: Kind::Tcp(socket), is_fresh: true, local }
    }

    /// Takes over a connected UNIX-domain socket.
    pub(crate) fn unix(socket: UnixStream) -> Self {
        Self { kind: Kind::Unix(socket), is_fresh: true, local: None }
    }

    /// Takes over a descriptor of a connected stream socket (inherited, or received from another process).
    pub fn from_fd(fd: std::os::fd::OwnedFd) -> io::Result<Self> {
        let socket = socket2::Socket::from(fd);
        socket.set_nonblocking(true)?;
        if socket.domain()? == socket2::Domain::UNIX {
            Ok(Self::unix(UnixStream::from_std(socket.into())?))
        } else {
            Ok(Self::tcp(TcpStream::from_std(socket.into())?))
        }
    }

    /// User and group of the process at the other end of a UNIX-domain socket.
    #[must_use]
    pub fn peer_user(&self) -> Option<(u32, u32)> {
        match &self.kind {
            Kind::Tcp(_) => None,
            Kind::Unix(socket) => socket.peer_cred().ok().map(|cred| (cred.uid(), cred.gid())),
        }
    }

    // The poll form forgets readiness after a short read, which saves the call that would say `WouldBlock`.
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.is_fresh = false;
        let mut buffer = ReadBuf::new(buffer);
        let polled = match &mut self.kind {
            Kind::Tcp(socket) => Pin::new(socket).poll_read(context, &mut buffer),
            Kind::Unix(socket) => Pin::new(socket).poll_read(context, &mut buffer),
        };
        polled.map_ok(|()| buffer.filled().len())
    }
}

fn look(socket: &SockRef<'_>) -> io::Result<usize> {
    socket.peek(&mut [MaybeUninit::uninit(); 1])
}

impl world::Stream for LiveStream {
    async fn readable(&mut self) -> io::Result<()> {
        // A task that has done a lot without waiting finds nothing readable until it has let others run; this
        // is where it does so.
        tokio::task::coop::consume_budget().await;
        if std::mem::take(&mut self.is_fresh) {
            // One look at what is there; `WouldBlock` makes the runtime forget its guess.
            let _ = match &self.kind {
                Kind::Tcp(socket) => socket.try_io(Interest::READABLE, || look(&SockRef::from(socket))),
                Kind::Unix(socket) => socket.try_io(Interest::READABLE, || look(&SockRef::from(socket))),
            };
        }
        match &self.kind {
            Kind::Tcp(socket) => socket.ready(Interest::READABLE).await.map(drop),
            Kind::Unix(socket) => socket.ready(Interest::READABLE).await.map(drop),
        }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        std::future::poll_fn(|context| self.poll_read(context, buffer)).await
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Nobody else waits on this stream: we hold it exclusively.
        match self.poll_read(&mut Context::from_waker(Waker::noop()), buffer) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.kind {
            Kind::Tcp(socket) => socket.write_all(bytes).await,
            Kind::Unix(socket) => socket.write_all(bytes).await,
        }
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        match &mut self.kind {
            Kind::Tcp(socket) => socket.shutdown().await,
            Kind::Unix(socket) => socket.shutdown().await,
        }
    }

    fn peer(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Tcp(socket) => socket.peer_addr().ok(),
            Kind::Unix(_) => None,
        }
    }

    fn local(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Tcp(socket) => self.local.or_else(|| socket.local_addr().ok()),
            Kind::Unix(_) => None,
        }
    }
}
