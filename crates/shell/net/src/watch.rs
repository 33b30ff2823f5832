//! Descriptors of other kinds: control channels, FIFO and datagram triggers.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};
use tokio::io::Interest;
use tokio::net::{UnixDatagram, UnixStream, unix::pipe};

/// A socket whose system calls the caller makes: a control channel, over which descriptors come too.
#[derive(Debug)]
pub struct Channel(UnixStream);

impl Channel {
    /// Takes over a connected UNIX-domain socket, of stream or packet type.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixStream::from(fd);
        socket.set_nonblocking(true)?;
        Ok(Self(UnixStream::from_std(socket)?))
    }

    /// Runs `receive` whenever the socket is readable until it answers anything but `WouldBlock`.
    pub async fn read_with<T>(
        &self,
        mut receive: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.0.async_io(Interest::READABLE, || receive(self.0.as_fd())).await
    }

    /// Runs `send` whenever the socket is writable until it answers anything but `WouldBlock`.
    pub async fn write_with<T>(
        &self,
        mut send: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.0.async_io(Interest::WRITABLE, || send(self.0.as_fd())).await
    }
}

/// The reading end of a pipe or FIFO: the trigger endpoints of master.cf's `fifo` rows.
#[derive(Debug)]
pub struct Fifo(pipe::Receiver);

impl Fifo {
    /// Takes over a FIFO that is open for reading (and for writing too, so that it never ends).
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self(pipe::Receiver::from_owned_fd(fd)?))
    }

    /// Reads what was written: the requests, one byte each. 0 when all writers have closed.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.0.readable().await?;
            match self.0.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

/// A bound UNIX-domain datagram socket: the trigger endpoints of master.cf's `unix-dgram` rows.
#[derive(Debug)]
pub struct Datagrams(UnixDatagram);

impl Datagrams {
    /// Takes over a bound datagram socket.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixDatagram::from(fd);
        socket.set_nonblocking(true)?;
        Ok(Self(UnixDatagram::from_std(socket)?))
    }

    /// The next datagram, cut to the buffer's size.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer).await
    }
}
