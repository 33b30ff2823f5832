//! Locks on mbox files: dotlock, fcntl, flock, tried for a bounded time (postconf(5) deliver_lock_attempts).

use local::MailboxLocks;
use rustix::fs::{FlockOperation, fcntl_lock, flock};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A `mailbox.lock` file; removed when dropped.
#[derive(Debug)]
pub(crate) struct DotLock(PathBuf);

impl Drop for DotLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Creates `path.lock`, breaking one that is older than stale_lock_time.
pub(crate) fn dotlock(path: &Path, locks: &MailboxLocks) -> io::Result<DotLock> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    attempt(locks, || match OpenOptions::new().write(true).create_new(true).mode(0o0).open(&lock) {
        Ok(_) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if is_stale(&lock, locks.stale_lock_time) {
                fs::remove_file(&lock)?;
            }
            Ok(None)
        }
        Err(error) => Err(error),
    })?;
    Ok(DotLock(lock))
}

fn is_stale(lock: &Path, stale_lock_time: Duration) -> bool {
    let Ok(status) = fs::symlink_metadata(lock) else { return false };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let age = i64::try_from(now.as_secs()).unwrap_or(i64::MAX).saturating_sub(status.ctime());
    age > i64::try_from(stale_lock_time.as_secs()).unwrap_or(i64::MAX)
}

/// Takes the kernel locks of the configured styles; closing the file releases them.
pub(crate) fn kernel_locks(file: &File, locks: &MailboxLocks) -> io::Result<()> {
    let taken = |result: rustix::io::Result<()>| match result {
        Ok(()) => Ok(Some(())),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Ok(None),
        Err(error) => Err(error.into()),
    };
    let operation = FlockOperation::NonBlockingLockExclusive;
    if locks.style.flock {
        attempt(locks, || taken(flock(file, operation)))?;
    }
    if locks.style.fcntl {
        attempt(locks, || taken(fcntl_lock(file, operation)))?;
    }
    Ok(())
}

/// Tries up to deliver_lock_attempts times, deliver_lock_delay apart.
fn attempt(locks: &MailboxLocks, mut try_once: impl FnMut() -> io::Result<Option<()>>) -> io::Result<()> {
    for attempt in 1..=locks.deliver_lock_attempts {
        if let Some(()) = try_once()? {
            return Ok(());
        }
        if attempt < locks.deliver_lock_attempts {
            // The agent has nothing else to do: another program holds the lock for a moment.
            std::thread::sleep(locks.deliver_lock_delay);
        }
    }
    Err(rustix::io::Errno::AGAIN.into())
}
