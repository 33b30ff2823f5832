//! Lock files beside mailboxes: `mailbox.lock`, created exclusively (postconf(5) deliver_lock_attempts,
//! deliver_lock_delay, stale_lock_time).

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// deliver_lock_attempts
    pub deliver_lock_attempts: u32,
    /// deliver_lock_delay
    pub deliver_lock_delay: Duration,
    /// stale_lock_time
    pub stale_lock_time: Duration,
}

impl Patience {
    /// Tries until `once` gives something or the attempts are used up. Sleeps in between: for processes that
    /// have nothing else to do.
    ///
    /// # Errors
    /// What `once` says, or `taken` at the end.
    pub fn attempt<T>(
        &self,
        taken: Errno,
        mut once: impl FnMut() -> Result<Option<T>, Errno>,
    ) -> Result<T, Errno> {
        for attempt in 1..=self.deliver_lock_attempts {
            if let Some(got) = once()? {
                return Ok(got);
            }
            if attempt < self.deliver_lock_attempts {
                std::thread::sleep(self.deliver_lock_delay);
            }
        }
        Err(taken)
    }
}

/// A lock file of ours; removed when dropped.
#[derive(Debug)]
pub struct DotLock(PathBuf);

impl Drop for DotLock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The name of a mailbox's lock file.
#[must_use]
pub fn name_of(mailbox: &Path) -> PathBuf {
    let mut name = mailbox.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// Creates the lock file of a mailbox. One that is older than `stale_lock_time` was left behind and is removed first.
///
/// # Errors
/// `EXIST` when somebody else has held the lock all the time.
pub fn take(mailbox: &Path, patience: &Patience) -> Result<DotLock, Errno> {
    let lock = name_of(mailbox);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    patience.attempt(Errno::EXIST, || match rustix::fs::open(&lock, flags, Mode::empty()) {
        Ok(_) => Ok(Some(())),
        Err(Errno::EXIST) => match is_stale(&lock, patience.stale_lock_time) {
            true => match rustix::fs::unlink(&lock) {
                Ok(()) | Err(Errno::NOENT) => Ok(None),
                Err(errno) => Err(errno),
            },
            false => Ok(None),
        },
        Err(errno) => Err(errno),
    })?;
    Ok(DotLock(lock))
}

fn is_stale(lock: &Path, stale_lock_time: Duration) -> bool {
    let Ok(facts) = rustix::fs::lstat(lock) else { return false };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let changed = u64::try_from(facts.st_ctime).unwrap_or(0);
    now > changed.saturating_add(stale_lock_time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(stale: u64) -> Patience {
        Patience {
            deliver_lock_attempts: 2,
            deliver_lock_delay: Duration::ZERO,
            stale_lock_time: Duration::from_secs(stale),
        }
    }

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped() {
        let mailbox = std::env::temp_dir().join(format!("posthaste-dotlock-{}", std::process::id()));
        let held = take(&mailbox, &patience(1000)).unwrap();
        assert_eq!(take(&mailbox, &patience(1000)).unwrap_err(), Errno::EXIST);
        drop(held);
        assert!(!name_of(&mailbox).exists());
        // Somebody else's that is no lock file at all: a link.
        std::os::unix::fs::symlink("/nonexistent", name_of(&mailbox)).unwrap();
        assert_eq!(take(&mailbox, &patience(1000)).unwrap_err(), Errno::EXIST);
        std::fs::remove_file(name_of(&mailbox)).unwrap();
        assert_eq!(take(Path::new("/nonexistent/box"), &patience(1000)).unwrap_err(), Errno::NOENT);
    }
}
