//! Locks on files: `flock` for Postfix's own files on Linux, `fcntl` for mailboxes that others use.

use rustix::fs::{FlockOperation, Mode, OFlags};
use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    os::fd::{AsFd, AsRawFd},
    path::Path,
};

/// Takes an exclusive `flock` lock if nobody has one. Gone when the last copy of the descriptor is closed.
pub fn try_flock(file: impl AsFd) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes an exclusive `fcntl` lock on the whole file if nobody has one. Gone when the process closes any
/// descriptor of the file.
pub fn try_fcntl_lock(file: impl AsFd) -> io::Result<bool> {
    let whole = libc::flock {
        // F_WRLCK is 1 and SEEK_SET is 0; both fit everywhere.
        l_type: libc::c_short::try_from(libc::F_WRLCK).unwrap_or(1),
        l_whence: libc::c_short::try_from(libc::SEEK_SET).unwrap_or(0),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open and `whole` lives through the call.
    if unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_SETLK, &raw const whole) } == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        held if matches!(held.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        error => Err(error),
    }
}

/// A lock file with the number of the process that holds it, in Postfix's format: right-aligned in 32 columns.
#[derive(Debug)]
pub struct PidFile(#[expect(dead_code, reason = "open is locked")] File);

/// Why a pid file could not be taken.
#[derive(Debug)]
pub enum PidFileError {
    /// Another process has it.
    Held,
    /// The file could not be opened or written.
    Io(io::Error),
}

impl PidFile {
    /// Creates (mode 0600), locks and writes the file.
    pub fn take(path: &Path) -> Result<Self, PidFileError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(opened.map_err(|error| PidFileError::Io(error.into()))?);
        if !try_flock(&file).map_err(PidFileError::Io)? {
            return Err(PidFileError::Held);
        }
        let line = format!("{:>32}\n", std::process::id());
        file.set_len(0).and_then(|()| file.write_all(line.as_bytes())).map_err(PidFileError::Io)?;
        Ok(Self(file))
    }

    /// The process that holds the file at this moment: `None` when it is missing or nobody holds it.
    pub fn holder(path: &Path) -> io::Result<Option<u32>> {
        let mut file = match File::options().read(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if try_flock(&file)? {
            return Ok(None);
        }
        let mut text = String::new();
        file.rewind()?;
        (&file).take(64).read_to_string(&mut text)?;
        let first = text.split_whitespace().next().and_then(|word| word.parse().ok());
        first
            .map(Some)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no process number in lock file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_held_until_it_is_dropped_and_has_postfix_format() {
        let path = std::env::temp_dir().join(format!("posthaste-pid-{}", std::process::id()));
        assert_eq!(PidFile::holder(&path).unwrap(), None);
        let held = PidFile::take(&path).unwrap();
        assert!(matches!(PidFile::take(&path), Err(PidFileError::Held)));
        assert_eq!(PidFile::holder(&path).unwrap(), Some(std::process::id()));
        assert_eq!(std::fs::read_to_string(&path).unwrap().len(), 33);
        drop(held);
        assert_eq!(PidFile::holder(&path).unwrap(), None);
        std::fs::remove_file(path).unwrap();
    }
}
