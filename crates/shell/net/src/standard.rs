//! Standard input and output as one stream, for a program that serves whoever started it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{io, net::SocketAddr, os::fd::BorrowedFd};
use world::World;

/// So many bytes a pipe that is writable takes without waiting (POSIX `PIPE_BUF`).
const PIECE_BYTES: usize = 4096;

/// Reads from standard input, writes to standard output: pipes, terminals, files, sockets. Their modes stay as they are,
/// as others may share them: before each call the system is asked whether it would wait, and a thread does the
/// waiting.
pub struct StandardStreams<W: World>(W);

fn wait(descriptor: BorrowedFd<'_>, flags: PollFlags, limit: Option<&Timespec>) -> io::Result<bool> {
    let mut asked = [PollFd::from_borrowed_fd(descriptor, flags)];
    loop {
        match poll(&mut asked, limit) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_ready(descriptor: BorrowedFd<'_>, flags: PollFlags) -> io::Result<bool> {
    wait(descriptor, flags, Some(&Timespec::default()))
}

impl<W: World> StandardStreams<W> {
    /// Waits on threads of `world`.
    pub fn new(world: W) -> Self {
        Self(world)
    }
}

impl<W: World> world::Stream for StandardStreams<W> {
    async fn readable(&mut self) -> io::Result<()> {
        let waiting = || wait(rustix::stdio::stdin(), PollFlags::IN, None);
        self.0.blocking(waiting).await.map(drop)
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable().await?,
                done => return done,
            }
        }
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !is_ready(rustix::stdio::stdin(), PollFlags::IN)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(rustix::io::retry_on_intr(|| rustix::io::read(rustix::stdio::stdin(), &mut *buffer))?)
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let output = rustix::stdio::stdout();
            if !is_ready(output, PollFlags::OUT)? {
                let waiting = || wait(rustix::stdio::stdout(), PollFlags::OUT, None);
                self.0.blocking(waiting).await?;
                continue;
            }
            let piece = rest.get(..PIECE_BYTES).unwrap_or(rest);
            match rustix::io::write(output, piece) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                // Somebody who shares it has made it so that it never waits.
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn peer(&self) -> Option<SocketAddr> {
        None
    }

    fn local(&self) -> Option<SocketAddr> {
        None
    }
}

/// What standard input is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputEnd {
    /// Somebody on this host: a file, a pipe, a terminal, a UNIX-domain socket.
    Local,
    /// A host on the network: its address, and ours.
    Network(SocketAddr, SocketAddr),
    /// A socket that has no other end.
    Unknown,
}

impl InputEnd {
    /// Asks the system.
    #[must_use]
    pub fn find() -> Self {
        let input = rustix::stdio::stdin();
        let peer = match rustix::net::getpeername(input) {
            Ok(Some(peer)) => SocketAddr::try_from(peer),
            Ok(None) => return Self::Local,
            Err(rustix::io::Errno::NOTSOCK) => return Self::Local,
            Err(_) => return Self::Unknown,
        };
        let own = rustix::net::getsockname(input).map(SocketAddr::try_from);
        match (peer, own) {
            (Ok(peer), Ok(Ok(own))) => Self::Network(peer, own),
            (Err(_), _) => Self::Local,
            (Ok(_), _) => Self::Unknown,
        }
    }
}
