//! Replaces a configuration file as a whole: nobody ever sees half of an edit.
//!
//! The new text goes to a file with `.tmp` behind the name, under an exclusive flock(2) lock that Postfix's postconf(1) takes, too: one
//! edit waits for the other. Permissions and owner stay those of the file that is replaced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::{Trouble, reason};

/// The permissions of the new file while it is written.
const UNFINISHED: u32 = 0o600;

/// Reads the file that messages call `name`, asks `change` for its new text, and puts that in its place.
///
/// # Errors
/// What cannot be opened or written, in Postfix's words, or what `change` says. The file is what it was then.
pub fn edit<E: From<String>>(
    path: &Path,
    name: &str,
    change: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<(), E> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".tmp");
    let mut new = New { path: PathBuf::from(unfinished), file: None };
    new.open().map_err(|error| Trouble::Open { path: format!("{name}.tmp"), error }.to_string())?;
    let said = |error: &io::Error| format!("open {name} for reading: {}", reason(error));
    let mut old = File::open(path).map_err(|error| said(&error))?;
    let mut text = Vec::new();
    old.read_to_end(&mut text).map_err(|error| format!("read {name}: {}", reason(&error)))?;
    let text = change(&text)?;
    new.replace(&old, path, &text).map_err(|error| format!("close {name}.tmp: {}", reason(&error)))?;
    Ok(())
}

/// The file that is to replace another. It is removed unless that has happened.
struct New {
    path: PathBuf,
    file: Option<File>,
}

impl New {
    /// Opens and locks the file. One that a crash has left behind is used again, unless it is not what an edit makes.
    fn open(&mut self) -> io::Result<()> {
        loop {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(UNFINISHED);
            let file =
                options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()).open(&self.path)?;
            loop {
                match flock(&file, FlockOperation::LockExclusive) {
                    Err(rustix::io::Errno::INTR) => {}
                    other => break other?,
                }
            }
            let locked = file.metadata()?;
            let same = |named: &fs::Metadata| (named.dev(), named.ino()) == (locked.dev(), locked.ino());
            if !fs::symlink_metadata(&self.path).is_ok_and(|named| same(&named)) {
                continue;
            }
            if !locked.is_file() || locked.nlink() != 1 || locked.mode() & 0o7777 != UNFINISHED {
                fs::remove_file(&self.path)?;
                continue;
            }
            file.set_len(0)?;
            self.file = Some(file);
            return Ok(());
        }
    }

    fn replace(&mut self, old: &File, path: &Path, text: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(text)?;
        let (old, new) = (old.metadata()?, file.metadata()?);
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            // Only root can give files away; who else may replace the file owns what comes of it.
            let _ = fchown(&*file, Some(old.uid()), Some(old.gid()));
        }
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
        file.sync_all()?;
        fs::rename(&self.path, path)?;
        self.file = None;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if self.file.is_some() {
            // While the lock is held the name is ours; if this fails, the next edit takes the file over.
            let _ = fs::remove_file(&self.path);
        }
    }
}
