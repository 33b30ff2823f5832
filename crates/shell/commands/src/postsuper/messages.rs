//! What is done to one message, and the file operations below it.

use super::{Action, Fatal, Super};
use queue::{MODE_EXPIRE, MODE_READY, RealDisk, hashed_prefix};
use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::SystemTime,
};
use types::WallTime;
use world::{Disk, DiskFile, FileKind, FileStatus, OpenMode};

/// Directories with a log file for each message.
const LOGS: [&str; 3] = ["bounce", "defer", "trace"];
/// Longest name of a queue file, or of a log of the flush service.
const NAME_BYTES_MAX: usize = 255;

/// Whether a name can be a queue file's, or a flush log's.
pub(super) fn is_valid_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a queue holds messages; `None` when there is no such queue.
pub(super) fn holds_messages(queue: &str) -> Option<bool> {
    match queue {
        "maildrop" | "incoming" | "active" | "deferred" | "hold" => Some(true),
        "trace" | "defer" | "bounce" | "flush" => Some(false),
        _ => None,
    }
}

pub(super) fn is_ready(status: &FileStatus) -> bool {
    status.mode & 0o700 == MODE_READY
}

pub(super) fn now_seconds() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(0)
}

fn reason(error: &io::Error) -> String {
    config_files::reason(error)
}

impl Super {
    /// Where a file belongs.
    pub(super) fn place(&self, queue: &str, name: &str) -> PathBuf {
        let is_hashed =
            self.settings.hash_queue_names.iter().any(|hashed| hashed.eq_ignore_ascii_case(queue));
        let depth = if is_hashed { self.settings.hash_queue_depth } else { 0 };
        let mut path = PathBuf::from(queue);
        path.extend(hashed_prefix(name, depth).into_iter().map(String::from));
        path.push(name);
        path
    }

    fn trace(&self, text: &str) {
        if self.verbose {
            self.info(text);
        }
    }

    /// Removes a file; false when it was gone.
    pub(super) fn remove(&self, path: &Path) -> Result<bool, Fatal> {
        match self.disk.unlink(path) {
            Ok(()) => {
                self.trace(&format!("removed file {}", path.display()));
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Fatal(format!("remove file {}: {}", path.display(), reason(&error)))),
        }
    }

    /// Renames a file, into subdirectories that may be missing; false when it was gone.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<bool, Fatal> {
        let mut result = self.disk.rename(from, to);
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            let mut partial = PathBuf::new();
            for part in to.parent().into_iter().flatten() {
                partial.push(part);
                if let Err(error) = self.disk.make_directory(&partial, 0o700) {
                    self.warning(&format!("make directory {}: {}", partial.display(), reason(&error)));
                }
            }
            result = self.disk.rename(from, to);
        }
        match result {
            Ok(()) => {
                self.trace(&format!("renamed file {} as {}", from.display(), to.display()));
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => {
                let (from, to) = (from.display(), to.display());
                Err(Fatal(format!("rename file {from} as {to}: {}", reason(&error))))
            }
        }
    }

    /// Renames the logs of a message, then the message: whoever is interrupted can begin again.
    pub(super) fn rename_with_logs(
        &self,
        path: &Path,
        old: &str,
        queue: &str,
        new: &str,
    ) -> Result<(), Fatal> {
        for log in LOGS {
            let from = self.place(log, old);
            if self.disk.status(&from).is_ok() {
                self.rename(&from, &with_suffix(self.place(log, new)))?;
            }
        }
        self.rename(path, &with_suffix(self.place(queue, new)))?;
        Ok(())
    }

    /// Sets the bit by which the queue manager knows an expired message; false when that is not to be done.
    pub(super) fn expire(&self, path: &Path) -> bool {
        match expire_file(&self.disk, path) {
            Ok(is_set) => is_set,
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    self.warning(&format!("expire file {}: {}", path.display(), reason(&error)));
                }
                false
            }
        }
    }

    /// A complete message of this name in a queue.
    fn find(&self, queue: &str, name: &str) -> Option<PathBuf> {
        let path = self.place(queue, name);
        match self.disk.status(&path) {
            Ok(status) if status.kind != FileKind::Regular => {
                self.warning(&format!("{}: uid {}: not a regular file", path.display(), status.uid));
                None
            }
            Ok(status) => is_ready(&status).then_some(path),
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    self.warning(&format!("{}: {}", path.display(), reason(&error)));
                }
                None
            }
        }
    }

    /// Does something to one message, wherever it is.
    pub(super) fn one(&mut self, queues: &[String], action: Action, name: &str) -> Result<(), Fatal> {
        if action == Action::ExpireOrRelease {
            self.one(queues, Action::Expire, name)?;
            return self.one(queues, Action::Release, name);
        }
        if !is_valid_name(name) {
            self.warning(&format!("invalid mail queue id: {name}"));
            return Ok(());
        }
        // Twice, since a message may be on its way from one queue to another.
        let tries = if action == Action::Release { 1 } else { 2 };
        for queue in queues.iter().cycle().take(queues.len() * tries) {
            let Some(is_message) = holds_messages(queue) else {
                return Err(Fatal(format!("invalid directory name: {queue}")));
            };
            let applies = match action {
                Action::Delete => is_message,
                Action::Hold => is_message && queue != "maildrop" && queue != "hold",
                Action::Release => queue == "hold",
                _ => is_message && queue != "maildrop",
            };
            if let Some(path) = applies.then(|| self.find(queue, name)).flatten()
                && self.apply(action, &path, name)?
            {
                break;
            }
        }
        Ok(())
    }

    /// False when the message was gone.
    fn apply(&mut self, action: Action, path: &Path, name: &str) -> Result<bool, Fatal> {
        let (is_done, count, word) = match action {
            Action::Delete => {
                for log in LOGS {
                    self.remove(&self.place(log, name))?;
                }
                (self.remove(path)?, &mut self.counts.deleted, "removed")
            }
            Action::Requeue => {
                let to = self.place("maildrop", name);
                let is_done = self.rename(path, &to)?;
                if is_done && let Err(error) = touch(&self.disk, &to) {
                    self.warning(&format!("{}: reset time stamps: {}", to.display(), reason(&error)));
                }
                (is_done, &mut self.counts.requeued, "requeued")
            }
            Action::Hold => {
                let is_done = self.rename(path, &self.place("hold", name))?;
                (is_done, &mut self.counts.held, "placed on hold")
            }
            Action::Release => {
                let is_done = self.rename(path, &self.place("deferred", name))?;
                (is_done, &mut self.counts.released, "released from hold")
            }
            Action::Expire | Action::ExpireOrRelease => {
                (self.expire(path), &mut self.counts.expired, "expired")
            }
        };
        if is_done {
            *count += 1;
            self.info(&format!("{name}: {word}"));
        }
        Ok(is_done)
    }
}

/// The suffix makes a name that nobody takes for a message's until the next pass removes it.
fn with_suffix(path: PathBuf) -> PathBuf {
    let mut name = path.into_os_string();
    name.push(super::sweep::SUFFIX);
    name.into()
}

fn expire_file(disk: &RealDisk, path: &Path) -> io::Result<bool> {
    let file = disk.open(path, OpenMode::ReadWrite)?;
    let status = file.status()?;
    if status.kind != FileKind::Regular || status.links != 1 {
        return Err(io::Error::other("file is no regular file with one name"));
    }
    if !is_ready(&status) || status.mode & MODE_EXPIRE != 0 {
        return Ok(false);
    }
    file.set_mode(status.mode | MODE_EXPIRE)?;
    Ok(true)
}

fn touch(disk: &RealDisk, path: &Path) -> io::Result<()> {
    disk.open(path, OpenMode::ReadWrite)?.set_modified(WallTime::new(now_seconds(), 0))
}
