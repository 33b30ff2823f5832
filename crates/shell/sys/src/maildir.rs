//! A file of a maildir: written in `tmp` and linked into `new` when it is complete.
//!
//! Names are Postfix's: `seconds.VdeviceIinodeMmicroseconds.host`.

use crate::safe_open::Refused;
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
};
use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

/// A file in `tmp`. Dropped without [`MaildirFile::keep`], it is removed.
#[derive(Debug)]
pub struct MaildirFile {
    maildir: PathBuf,
    temporary: PathBuf,
    since_epoch: Duration,
    host: String,
}

impl Drop for MaildirFile {
    fn drop(&mut self) {
        // After the link the mail is delivered: a name that stays in tmp does no harm there.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

impl MaildirFile {
    /// Creates a file, and the directories up to it (0700) where they are missing. `host` may be any name.
    ///
    /// # Errors
    /// The system's, with the name of the file.
    pub fn create(maildir: &Path, since_epoch: Duration, host: &str) -> Result<(Self, File), Refused> {
        let host = host.replace('/', "\\057").replace(':', "\\072");
        let tmp = maildir.join("tmp");
        let temporary = tmp.join(format!("{}.P{}.{host}", since_epoch.as_secs(), std::process::id()));
        let open = || {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            rustix::fs::open(&temporary, flags, Mode::RUSR | Mode::WUSR).map(File::from)
        };
        let opened = match open() {
            Err(Errno::NOENT) => make_directory(&tmp).and_then(|()| open()),
            opened => opened,
        };
        let file = opened.map_err(|errno| refused(errno, &temporary))?;
        Ok((Self { maildir: maildir.to_owned(), temporary, since_epoch, host }, file))
    }

    /// Gives the file its name in `new`, durably. `file` has been written and synced.
    ///
    /// # Errors
    /// The system's, with the name that was wanted.
    pub fn keep(self, file: &File) -> Result<(), Refused> {
        let facts = rustix::fs::fstat(file).map_err(|errno| refused(errno, &self.temporary))?;
        let (seconds, micros) = (self.since_epoch.as_secs(), self.since_epoch.subsec_micros());
        let name = format!("{seconds}.V{:x}I{:x}M{micros}.{}", facts.st_dev, facts.st_ino, self.host);
        let new = self.maildir.join("new");
        let wanted = new.join(name);
        let link = || {
            let here = rustix::fs::CWD;
            rustix::fs::linkat(here, &self.temporary, here, &wanted, AtFlags::empty())
        };
        let linked = match link() {
            Err(Errno::NOENT) => {
                // Only `new` is needed; `cur` is for the reader.
                let _ = make_directory(&self.maildir.join("cur"));
                make_directory(&new).and_then(|()| link())
            }
            linked => linked,
        };
        // The name must survive a power cut as the content does; without it the mail would be lost, because its
        // queue file is removed next.
        let synced = linked.and_then(|()| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::fsync(rustix::fs::open(&new, flags, Mode::empty())?)
        });
        synced.map_err(|errno| refused(errno, &wanted))
    }
}

fn refused(errno: Errno, path: &Path) -> Refused {
    Refused::new(errno, format_args!("create maildir file {}", path.display()))
}

/// Makes what is missing of a path, for its user alone, and in the group of this process, also where the directory
/// above hands its own on.
fn make_directory(path: &Path) -> Result<(), Errno> {
    match rustix::fs::stat(path) {
        Ok(facts) if FileType::from_raw_mode(facts.st_mode) == FileType::Directory => return Ok(()),
        Ok(_) => return Err(Errno::NOTDIR),
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    path.parent().map_or(Ok(()), make_directory)?;
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let facts = rustix::fs::stat(path)?;
    let group = rustix::process::getegid();
    match facts.st_gid == group.as_raw() {
        true => Ok(()),
        false => rustix::fs::chown(path, None, Some(group)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, io::Write};

    #[test]
    fn a_file_appears_complete_or_not_at_all() {
        let maildir = std::env::temp_dir().join(format!("posthaste-maildir-{}", std::process::id()));
        let _ = fs::remove_dir_all(&maildir);
        let now = Duration::new(1_377_029_606, 640_219_000);
        drop(MaildirFile::create(&maildir, now, "a/b:c").unwrap());
        assert_eq!(fs::read_dir(maildir.join("tmp")).unwrap().count(), 0);
        let (begun, mut file) = MaildirFile::create(&maildir, now, "a/b:c").unwrap();
        file.write_all(b"x").unwrap();
        begun.keep(&file).unwrap();
        let names: Vec<_> =
            fs::read_dir(maildir.join("new")).unwrap().map(|e| e.unwrap().file_name()).collect();
        let name = names[0].to_str().unwrap();
        assert!(name.starts_with("1377029606.V") && name.ends_with("M640219.a\\057b\\072c"), "{name}");
        assert_eq!(fs::read_dir(maildir.join("tmp")).unwrap().count(), 0);
        assert!(maildir.join("cur").is_dir());
        fs::remove_dir_all(&maildir).unwrap();
        let refused = MaildirFile::create(Path::new("/proc/nowhere"), now, "h").unwrap_err();
        assert!(refused.text.starts_with("create maildir file /proc/nowhere/tmp/"), "{}", refused.text);
    }
}
