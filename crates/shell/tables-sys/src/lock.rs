//! fcntl(2) locks that belong to an open file, not to the process: `F_OFD_SETLKW`.
//!
//! They keep away, and are kept away by, the process-wide locks that Postfix takes; but those are lost when the process
//! closes the file anywhere, and do not keep two threads of it apart.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Waits until nobody else has a lock on a file, and takes it. It goes with the last copy of the descriptor.
pub fn lock_whole_file(file: &File) -> io::Result<()> {
    let descriptor: BorrowedFd<'_> = std::os::fd::AsFd::as_fd(file);
    // SAFETY: plain data, for which zeroes are valid: from the start, as far as the file goes, and no process.
    let mut whole: libc::flock = unsafe { std::mem::zeroed() };
    whole.l_type = libc::c_short::try_from(libc::F_WRLCK).unwrap_or(1);
    whole.l_whence = libc::c_short::try_from(libc::SEEK_SET).unwrap_or(0);
    loop {
        // SAFETY: the descriptor is open as long as `file` is, and the structure lives through the call.
        if unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_OFD_SETLKW, &raw const whole) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
