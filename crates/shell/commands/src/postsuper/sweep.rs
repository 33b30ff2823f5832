//! What is done to everything in a queue: repair, and the actions with `ALL`.

use super::{Action, Fatal, Repair, Super, messages};
use messages::{holds_messages, is_ready, is_valid_name, now_seconds};
use queue::{decode_inode, with_inode};
use std::{
    ffi::OsString,
    io::ErrorKind,
    path::{Path, PathBuf},
};
use world::{Disk, FileKind, FileStatus};

/// Stands behind the name of a file that was renamed to its inode number and is not yet in its place.
pub(super) const SUFFIX: &str = "#FIX";
/// Age at which an incomplete file is purged.
const TEMPORARY_AGE_MAX_SECONDS: i64 = 7 * 24 * 60 * 60;

/// One pass over a queue.
#[derive(Clone, Copy)]
struct Pass {
    repair: Repair,
    action: Option<Action>,
}

/// One file on the way.
struct Found<'a> {
    queue: &'a str,
    path: &'a Path,
    name: &'a str,
    status: &'a FileStatus,
    is_message: bool,
}

impl Super {
    /// Puts every file into its place, under its name.
    pub(super) fn repair(&mut self, queues: &[String], repair: Repair) -> Result<(), Fatal> {
        self.sweep(queues, Pass { repair, action: None })
    }

    /// Does something to all messages.
    pub(super) fn all(&mut self, queues: &[String], action: Action) -> Result<(), Fatal> {
        self.sweep(queues, Pass { repair: Repair::default(), action: Some(action) })
    }

    fn sweep(&mut self, queues: &[String], pass: Pass) -> Result<(), Fatal> {
        for queue in queues {
            if self.verbose {
                self.info(&format!("queue: {queue}"));
            }
            let Some(is_message) = holds_messages(queue) else {
                return Err(Fatal(format!("invalid directory name: {queue}")));
            };
            let wanted_depth = self.place(queue, "0").components().count().saturating_sub(2);
            let recurses = queue != "maildrop";
            if wanted_depth > 0 && !recurses {
                return Err(Fatal(format!("{queue} queue must not be hashed")));
            }
            let depths = recurses.then_some((0, wanted_depth));
            self.directory(queue, Path::new(queue), depths, is_message, pass)?;
        }
        Ok(())
    }

    /// One directory; `depths` are how deep it lies and how deep files belong, none where
    /// subdirectories are not entered.
    fn directory(
        &mut self,
        queue: &str,
        directory: &Path,
        depths: Option<(usize, usize)>,
        is_message: bool,
        pass: Pass,
    ) -> Result<(), Fatal> {
        let mut names: Vec<OsString> = Vec::new();
        let listed = self.disk.list(directory, &mut |name| {
            names.push(name.to_owned());
            true
        });
        match listed {
            Ok(()) => {}
            // A level of a hashed queue that somebody else has removed.
            Err(error) if error.kind() == ErrorKind::NotFound && directory.components().count() > 1 => {
                return Ok(());
            }
            Err(error) => {
                let (path, why) = (directory.display(), config_files::reason(&error));
                return Err(Fatal(format!("scan_dir_push: open directory {path}: {why}")));
            }
        }
        for name in names {
            let path = directory.join(&name);
            let Ok(status) = self.disk.status(&path) else { continue };
            if status.kind == FileKind::Directory {
                match depths.filter(|_| name.len() == 1) {
                    Some((actual, wanted)) => {
                        self.directory(queue, &path, Some((actual + 1, wanted)), is_message, pass)?;
                        if actual + 1 > wanted {
                            self.remove_directory(&path)?;
                        }
                    }
                    None => self.remove_alien_directory(&path),
                }
                continue;
            }
            let name = name.to_string_lossy();
            self.file(&Found { queue, path: &path, name: &name, status: &status, is_message }, pass)?;
        }
        Ok(())
    }

    /// A level of subdirectories that is not wanted any more, unless something is left in it.
    fn remove_directory(&self, path: &Path) -> Result<(), Fatal> {
        match self.disk.remove_directory(path) {
            Ok(()) if self.verbose => self.info(&format!("remove directory {}", path.display())),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let why = config_files::reason(&error);
                return Err(Fatal(format!("remove directory {}: {why}", path.display())));
            }
            _ => {}
        }
        Ok(())
    }

    fn remove_alien_directory(&self, path: &Path) {
        match self.disk.remove_directory(path) {
            Ok(()) if self.verbose => self.info(&format!("remove subdirectory {}", path.display())),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let why = config_files::reason(&error);
                self.warning(&format!("remove subdirectory {}: {why}", path.display()));
            }
            _ => {}
        }
    }

    fn file(&mut self, found: &Found<'_>, pass: Pass) -> Result<(), Fatal> {
        let is_ready_message = found.is_message && is_ready(found.status);
        if pass.action == Some(Action::Delete) {
            if self.remove(found.path)? && is_ready_message {
                self.counts.deleted += 1;
            }
            return Ok(());
        }
        let age = now_seconds().saturating_sub(found.status.modified.seconds);
        let is_stale = pass.repair.purge
            && found.is_message
            && !is_ready(found.status)
            && age > TEMPORARY_AGE_MAX_SECONDS;
        if found.status.kind != FileKind::Regular || is_stale {
            self.remove(found.path)?;
            return Ok(());
        }
        let mut path: PathBuf = found.path.to_owned();
        let mut name = found.name;
        if let Some(fixed) = name.strip_suffix(SUFFIX).filter(|_| pass.repair.structure) {
            let Some(place) = self.take_suffix_off(found, fixed)? else { return Ok(()) };
            (path, name) = (place, fixed);
        }
        if !is_valid_name(name) {
            // A file that is being made has such a name for a moment.
            let is_there = self.disk.status(&path).map_or_else(|e| e.kind() != ErrorKind::NotFound, |_| true);
            if is_there {
                self.warning(&format!("bogus file name: {}", path.display()));
            }
            return Ok(());
        }
        if pass.repair.structure
            && found.is_message
            && self.fix_name(found, &path, name, pass.repair.redundant)?
        {
            return Ok(());
        }
        if let Some(action) = pass.action {
            return self.apply_to_all(found, &path, name, action);
        }
        let place = self.place(found.queue, name);
        if pass.repair.structure && place != path {
            self.counts.position_mismatch += 1;
            self.rename(&path, &place)?;
        }
        Ok(())
    }

    /// Second pass: the file goes under its new name to its place; `None` when it cannot.
    fn take_suffix_off(&mut self, found: &Found<'_>, fixed: &str) -> Result<Option<PathBuf>, Fatal> {
        let shown = found.path.display();
        if !is_valid_name(fixed) {
            self.warning(&format!("bogus file name: {shown}"));
            return Ok(None);
        }
        if found.is_message {
            match decode_inode(fixed) {
                Some((inode, _)) if inode == found.status.inode => {}
                Some(_) => {
                    self.warning(&format!("name/inode mismatch: {shown}"));
                    return Ok(None);
                }
                None => {
                    self.warning(&format!("bogus file name: {shown}"));
                    return Ok(None);
                }
            }
        }
        let place = self.place(found.queue, fixed);
        if !self.rename(found.path, &place)? {
            return Ok(None);
        }
        if found.is_message {
            self.counts.inode_fixed += 1;
        }
        Ok(Some(place))
    }

    /// First pass: a name that does not match its inode number gets one that does; true when the file is dealt with.
    fn fix_name(
        &mut self,
        found: &Found<'_>,
        path: &Path,
        name: &str,
        redundant: bool,
    ) -> Result<bool, Fatal> {
        let Some((inode, is_long)) = decode_inode(name) else {
            self.warning(&format!("bogus file name: {}", path.display()));
            return Ok(true);
        };
        let wants_long = self.settings.enable_long_queue_ids;
        let mismatches = inode != found.status.inode && (!is_long || redundant);
        if !mismatches && (!is_long || wants_long) {
            return Ok(false);
        }
        self.counts.inode_mismatch += 1;
        let new = with_inode(name, found.status.inode, wants_long);
        self.rename_with_logs(path, name, found.queue, &new)?;
        Ok(true)
    }

    fn apply_to_all(
        &mut self,
        found: &Found<'_>,
        path: &Path,
        name: &str,
        action: Action,
    ) -> Result<(), Fatal> {
        let is_queued = found.is_message && found.queue != "maildrop";
        match action {
            Action::Requeue if is_queued => {
                self.counts.requeued += u64::from(self.rename(path, &self.place("maildrop", name))?);
            }
            Action::Hold if is_queued && found.queue != "hold" => {
                self.counts.held += u64::from(self.rename(path, &self.place("hold", name))?);
            }
            _ => {}
        }
        let expires = matches!(action, Action::Expire | Action::ExpireOrRelease);
        if expires && is_queued && is_ready(found.status) && self.expire(path) {
            self.counts.expired += 1;
        }
        if matches!(action, Action::Release | Action::ExpireOrRelease) && found.queue == "hold" {
            self.counts.released += u64::from(self.rename(path, &self.place("deferred", name))?);
        }
        Ok(())
    }
}
