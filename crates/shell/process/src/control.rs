//! The channel to master, as events.

use net::Channel;
use std::{io, os::fd::OwnedFd};
use sys::control::{self, ToChild, ToMaster};

/// The child's end of the control channel. Use inside [`net::run`].
#[derive(Debug)]
pub struct Control {
    channel: Channel,
}

impl Control {
    /// Takes over the descriptor.
    pub fn new(channel: OwnedFd) -> io::Result<Self> {
        Ok(Self { channel: Channel::from_fd(channel)? })
    }

    /// The next message; `None` when master is gone, or says what cannot be understood.
    pub async fn receive(&self) -> Option<ToChild> {
        self.channel.read_with(|socket| control::receive::<ToChild>(socket)).await.ok().flatten()
    }

    /// Says something to master. An error means that master is gone.
    pub async fn send(&self, message: &ToMaster) -> io::Result<()> {
        self.channel.write_with(|socket| control::send(socket, message)).await
    }
}
