//! Who takes lines as datagrams: the system's logger, or postlogd.
//!
//! Its queue is short (ten datagrams, unless the system says otherwise), so that a writer has to wait for the reader
//! as with syslog(3); but not for ever, and not for each line of one that has stopped reading.

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    time::Duration,
};

/// One that listens at a path; connected when first needed.
pub(crate) struct Peer {
    path: PathBuf,
    /// How long to wait for it.
    limit: Duration,
    socket: RefCell<Option<UnixDatagram>>,
    /// It took nothing for that long: nobody waits until it takes something.
    is_stuck: Cell<bool>,
}

impl Peer {
    pub(crate) fn new(path: impl Into<PathBuf>, limit: Duration) -> Self {
        Self { path: path.into(), limit, socket: RefCell::default(), is_stuck: Cell::new(false) }
    }

    /// Sends one line.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(socket) = self.socket.take() {
            match self.send(&socket, bytes) {
                // One that was restarted has a new socket under the old name.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {}
                sent => {
                    self.socket.replace(Some(socket));
                    return sent;
                }
            }
        }
        let socket = self.connect(&self.path)?;
        let sent = self.send(&socket, bytes);
        self.socket.replace(Some(socket));
        sent
    }

    /// Whether somebody listens.
    pub(crate) fn is_there(&self) -> bool {
        self.connect(&self.path).is_ok()
    }

    fn connect(&self, path: &Path) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(self.limit).filter(|limit| !limit.is_zero()))?;
        socket.set_nonblocking(self.is_stuck.get() || self.limit.is_zero())?;
        socket.connect(path)?;
        Ok(socket)
    }

    fn send(&self, socket: &UnixDatagram, bytes: &[u8]) -> io::Result<()> {
        let sent = loop {
            match socket.send(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => break sent,
            }
        };
        let is_stuck = sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        if self.is_stuck.replace(is_stuck) != is_stuck && !self.limit.is_zero() {
            socket.set_nonblocking(is_stuck)?;
        }
        sent.map(drop)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}
