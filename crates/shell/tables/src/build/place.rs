//! Where a table file is made: beside its place, under a name with `.tmp`, until it is whole, synced and renamed.
//! Whoever reads the table sees the old one or the new one, also after a crash.
//!
//! The lock on the temporary file keeps builders of one table apart, as Postfix does for cdb tables. A file whose owner
//! could not be kept, or whose directory may not be written to, is rewritten in place under an exclusive lock,
//! as Postfix always does.

use crate::OpenError;
use rustix::fs::{FlockOperation, Gid, OFlags, Uid, flock};
use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// A place for a file that is being made. What was not published is removed.
pub(super) struct Place {
    target: PathBuf,
    /// `None` when the file is made in its place.
    temporary: Option<PathBuf>,
    file: File,
    existing: Option<Metadata>,
    /// The file that is there, which other writers leave alone.
    locked: Option<File>,
}

/// What becomes of a file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is replaced, and leaves neither owner nor permissions.
    Succeed,
    /// It is replaced by one with its owner and permissions.
    Replace,
    /// The same; what is in it comes from it, so that nobody may change it meanwhile.
    Update,
}

/// Locks a file that others may replace at any time: opens it, waits for its lock, and looks whether its name still
/// means it. `None` when there is no such file.
pub(crate) fn open_locked(
    path: &Path,
    open: impl Fn(&Path) -> io::Result<File>,
    lock: impl Fn(&File) -> io::Result<()>,
) -> io::Result<Option<File>> {
    loop {
        let file = match open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        lock(&file)?;
        let own = file.metadata()?;
        if fs::metadata(path).is_ok_and(|data| (data.dev(), data.ino()) == (own.dev(), own.ino())) {
            return Ok(Some(file));
        }
    }
}

fn exclusive(file: &File) -> io::Result<()> {
    loop {
        match flock(file, FlockOperation::LockExclusive) {
            Err(rustix::io::Errno::INTR) => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// An existing table file, open for writing and locked against other writers.
fn lock_existing(target: &Path) -> io::Result<Option<File>> {
    open_locked(target, |path| File::options().read(true).write(true).open(path), exclusive)
}

/// Opens the temporary file, made anew or left by a builder that is gone, and locks it.
fn open_temporary(path: &Path) -> io::Result<File> {
    // Nothing is written to what a link leads to.
    let open = |path: &Path| {
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags)
            .open(path)
    };
    loop {
        let opened = open_locked(path, open, exclusive);
        let is_ours = |file: &File| {
            let data = file.metadata()?;
            let own = rustix::process::geteuid().as_raw();
            Ok::<_, io::Error>(data.is_file() && data.nlink() == 1 && data.uid() == own)
        };
        match opened {
            Ok(Some(file)) if is_ours(&file)? => {
                file.set_len(0)?;
                return Ok(file);
            }
            // Someone else's file or link under this name is in the way, and goes.
            Ok(_) => fs::remove_file(path)?,
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                fs::remove_file(path)?;
            }
            Err(error) => return Err(error),
        }
    }
}

impl Place {
    /// Takes the place of `target`.
    pub(super) fn take(target: &Path, purpose: Purpose) -> Result<Self, OpenError> {
        let failed = |error: io::Error| OpenError::io("open", &target.to_string_lossy(), &error);
        if purpose == Purpose::Succeed {
            let temporary = temporary_of(target);
            let file = open_temporary(&temporary)
                .map_err(|error| OpenError::io("open database", &temporary.to_string_lossy(), &error))?;
            let target = target.to_owned();
            return Ok(Self { target, temporary: Some(temporary), file, existing: None, locked: None });
        }
        // A link to a table stays a link.
        let place = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        // Whoever may not write to the file may not replace it either.
        let existing = match File::options().read(true).write(true).open(&place) {
            Ok(file) => Some(file.metadata().map_err(failed)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let temporary = temporary_of(&place);
        match open_temporary(&temporary) {
            Ok(file) if existing.as_ref().is_none_or(|data| can_take_owner(&file, data)) => {
                let mut taken =
                    Self { target: place, temporary: Some(temporary), file, existing, locked: None };
                if purpose == Purpose::Update {
                    taken.locked = lock_existing(&taken.target).map_err(failed)?;
                    let locked = taken.locked.as_ref().map(File::metadata);
                    taken.existing = locked.transpose().map_err(failed)?;
                }
                return Ok(taken);
            }
            Ok(_) => fs::remove_file(&temporary).map_err(failed)?,
            Err(error) if existing.is_none() => {
                return Err(OpenError::io("open database", &target.to_string_lossy(), &error));
            }
            Err(_) => {}
        }
        match lock_existing(&place).map_err(failed)? {
            Some(file) => Ok(Self { target: place, temporary: None, file, existing, locked: None }),
            None => Err(failed(io::ErrorKind::NotFound.into())),
        }
    }

    /// The size of the file that is there.
    pub(super) fn existing_size(&self) -> Option<u64> {
        self.existing.as_ref().map(MetadataExt::size)
    }

    /// Whether the file that is there is written to, because no other can take its place.
    pub(super) fn is_in_place(&self) -> bool {
        self.temporary.is_none()
    }

    /// The file that is there, if it has any content.
    pub(super) fn existing(&self) -> Option<io::Result<File>> {
        let has_content = self.existing_size().is_some_and(|size| size > 0);
        let in_place = self.is_in_place().then_some(&self.file);
        self.locked.as_ref().or(in_place).filter(|_| has_content).map(File::try_clone)
    }

    /// The file to be written, which is empty.
    pub(super) fn begin(&self) -> io::Result<&File> {
        self.file.set_len(0)?;
        Ok(&self.file)
    }

    /// Makes the file what is there. `mode` is for one that was not there before.
    pub(super) fn publish(mut self, mode: u32) -> io::Result<()> {
        let Some(temporary) = &self.temporary else { return self.file.sync_all() };
        let mode = self.existing.as_ref().map_or(mode, |data| data.mode() & 0o777);
        self.file.set_permissions(fs::Permissions::from_mode(mode))?;
        self.file.sync_all()?;
        fs::rename(temporary, &self.target)?;
        self.temporary = None;
        let directory = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
        match File::open(directory.unwrap_or(Path::new("."))) {
            Ok(directory) => directory.sync_all(),
            // Who may not read a directory may still write to it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // The old table stays; what was begun does not.
            let _ = fs::remove_file(temporary);
        }
    }
}

fn temporary_of(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Gives the file the owner that another has; false when this user may not.
fn can_take_owner(file: &File, of: &Metadata) -> bool {
    let Ok(own) = file.metadata() else { return false };
    let wanted = (of.uid(), of.gid());
    (own.uid(), own.gid()) == wanted
        || rustix::fs::fchown(file, Some(Uid::from_raw(wanted.0)), Some(Gid::from_raw(wanted.1))).is_ok()
}
