//! Signals as bytes on a descriptor, so that a single `poll` waits for everything.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// The signals that master listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: reload.
    Hangup,
    /// SIGTERM: stop.
    Terminate,
    /// SIGINT: stop (from a terminal).
    Interrupt,
    /// SIGCHLD: a child ended.
    Child,
}

const HEARD: [(Signal, i32); 4] = [
    (Signal::Hangup, libc::SIGHUP),
    (Signal::Terminate, libc::SIGTERM),
    (Signal::Interrupt, libc::SIGINT),
    (Signal::Child, libc::SIGCHLD),
];

impl Signal {
    /// The system's number.
    #[must_use]
    pub fn number(self) -> i32 {
        HEARD.iter().find(|(known, _)| *known == self).map_or(0, |(_, number)| *number)
    }
}

/// Readable when a signal has come.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// From now on the signals have no other effect on this process. Children started by [`crate::spawn`] have
    /// them back.
    pub fn listen() -> io::Result<Self> {
        // SAFETY: `set` is plain data made by sigemptyset before use; both calls get it by a pointer that lives on.
        let fd = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for (_, number) in HEARD {
                libc::sigaddset(&raw mut set, number);
            }
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) == -1 {
                return Err(io::Error::last_os_error());
            }
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next signal that has come, if any.
    pub fn next(&self) -> Option<Signal> {
        let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
        loop {
            // SAFETY: the buffer has the size that is given.
            let got = unsafe { libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), info.len()) };
            if usize::try_from(got) != Ok(info.len()) {
                return None;
            }
            // ssi_signo is the first field.
            let number = info.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes));
            let known = HEARD.iter().find(|(_, heard)| u32::try_from(*heard).ok() == number);
            if let Some((signal, _)) = known {
                return Some(*signal);
            }
        }
    }
}

/// Takes away what keeps signals out: a process inherits that from the one that started it.
///
/// Only system calls: may be called between fork and exec.
pub fn unblock_all() -> io::Result<()> {
    // SAFETY: `set` is plain data made by sigemptyset before use, and lives through the call.
    let done = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut())
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
