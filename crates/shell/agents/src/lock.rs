//! Locks on mbox files, tried for a bounded time (postconf(5) deliver_lock_attempts).

use local::MailboxLocks;
use rustix::{
    fs::{FlockOperation, fcntl_lock, flock},
    io::Errno,
};
use std::fs::File;
use sys::dotlock::Patience;

/// How long to try.
pub(crate) fn patience(locks: &MailboxLocks) -> Patience {
    Patience {
        deliver_lock_attempts: locks.deliver_lock_attempts,
        deliver_lock_delay: locks.deliver_lock_delay,
        stale_lock_time: locks.stale_lock_time,
    }
}

/// Takes the kernel locks of the configured styles; closing the file releases them.
pub(crate) fn kernel_locks(file: &File, locks: &MailboxLocks) -> Result<(), Errno> {
    let taken = |result: rustix::io::Result<()>| match result {
        Ok(()) => Ok(Some(())),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(errno),
    };
    let (patience, operation) = (patience(locks), FlockOperation::NonBlockingLockExclusive);
    if locks.style.flock {
        patience.attempt(Errno::AGAIN, || taken(flock(file, operation)))?;
    }
    if locks.style.fcntl {
        patience.attempt(Errno::AGAIN, || taken(fcntl_lock(file, operation)))?;
    }
    Ok(())
}
