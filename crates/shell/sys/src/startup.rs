//! How a process that master started begins.
//!
//! master executes this program under the name `receive` or `deliver`, with the control channel as descriptor
//! [`control::CONTROL_FD`], as the user that the process keeps. [`Startup::receive`] is the first thing that
//! the process does; then it loads its configuration, starts serving, and sends [`control::ToMaster::Ready`].

use crate::control::{self, CONTROL_FD, ServedRow, ToChild};
use std::{
    io,
    os::fd::{FromRawFd, OwnedFd},
    path::PathBuf,
};

/// What a process is told at its start.
#[derive(Debug)]
pub struct Startup {
    /// The child's end of the control channel, blocking, close-on-exec; give it to an asynchronous runtime and
    /// use [`control::receive`] and [`control::send`] when it is ready.
    pub control: OwnedFd,
    /// Counts the process's generations, from 1.
    pub generation: u32,
    /// Where main.cf is.
    pub config_directory: PathBuf,
    /// The rows of master.cf that the process serves.
    pub rows: Vec<ServedRow>,
    /// Files that only root can open, by their paths in the configuration.
    pub root_files: Vec<(PathBuf, OwnedFd)>,
}

impl Startup {
    /// Takes descriptor [`CONTROL_FD`] over and reads what master says. Call once, before anything is opened.
    pub fn receive() -> io::Result<Self> {
        Self::receive_from(inherited_socket()?)
    }

    /// The same from a channel that the caller has: tests and `placement` in one process do this.
    pub fn receive_from(channel: OwnedFd) -> io::Result<Self> {
        let mut start = Self {
            control: channel,
            generation: 0,
            config_directory: PathBuf::new(),
            rows: vec![],
            root_files: vec![],
        };
        loop {
            match control::receive::<ToChild>(&start.control)? {
                Some(ToChild::Begin { generation, config_directory }) => {
                    start.generation = generation;
                    start.config_directory = config_directory;
                }
                Some(ToChild::Row(row)) => start.rows.push(row),
                Some(ToChild::RootFile { path, file }) => start.root_files.push((path, file)),
                Some(ToChild::Go) if start.generation > 0 => return Ok(start),
                Some(_) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "unexpected control message"));
                }
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "master has gone")),
            }
        }
    }
}

/// Takes over the socket that master gave as descriptor [`CONTROL_FD`], close-on-exec. Call once, before
/// anything is opened.
pub fn inherited_socket() -> io::Result<OwnedFd> {
    // SAFETY: the entry contract of this module; nothing else in a child owns this number. Where the program
    // was started by hand, it is not open, or what is read from it is no message.
    if unsafe { libc::fcntl(CONTROL_FD, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::new(io::ErrorKind::NotConnected, "this program is started by master only"));
    }
    // SAFETY: just seen to be open, and owned by nobody (above).
    Ok(unsafe { OwnedFd::from_raw_fd(CONTROL_FD) })
}
