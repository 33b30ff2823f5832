//! Opening a mailbox in a place where somebody else may put links, FIFOs or other people's files.
//!
//! The rules are those of Postfix's safe_open(3): what is there must be one file under one name, and nobody may have
//! exchanged it meanwhile; what is not there is created exclusively. Opening never waits, so that a FIFO holds
//! nobody up.

use crate::credentials::Identity;
use rustix::{
    fs::{FileType, Mode, OFlags, Stat},
    io::Errno,
};
use std::{fs::File, io, path::Path};

/// Why a file was not opened.
#[derive(Debug)]
pub struct Refused {
    /// The error of the system, or what stands for it.
    pub errno: Errno,
    /// What was tried, and the system's text.
    pub text: String,
}

impl Refused {
    /// `what: Text of the error`.
    #[must_use]
    pub fn new(errno: Errno, what: impl std::fmt::Display) -> Self {
        Self { errno, text: format!("{what}: {}", text_of(errno)) }
    }

    fn rule(errno: Errno, text: impl Into<String>) -> Self {
        Self { errno, text: text.into() }
    }
}

/// The system's text of an error, without its number.
#[must_use]
pub fn text_of(errno: Errno) -> String {
    let text = io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Opens `path` for appending, or creates it with mode 0600 and gives it to `owner`.
///
/// # Errors
/// The rules of this module, or the system's.
pub fn append_or_create(path: &Path, owner: Option<Identity>) -> Result<File, Refused> {
    match existing(path) {
        Err(refused) if refused.errno == Errno::NOENT => {}
        opened_or_refused => return opened_or_refused,
    }
    match create(path, owner) {
        // Somebody was faster.
        Err(refused) if refused.errno == Errno::EXIST => existing(path),
        created => created,
    }
}

fn flags() -> OFlags {
    OFlags::APPEND | OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC
}

fn existing(path: &Path) -> Result<File, Refused> {
    let file = rustix::fs::open(path, flags(), Mode::empty())
        .map(File::from)
        .map_err(|errno| Refused::new(errno, "cannot open file"))?;
    let open = rustix::fs::fstat(&file).map_err(|errno| Refused::new(errno, "status of open file"))?;
    if open.st_nlink != 1 {
        return Err(Refused::rule(Errno::PERM, format!("file has {} hard links", open.st_nlink)));
    }
    if kind(&open) == FileType::Directory {
        return Err(Refused::rule(Errno::ISDIR, "file is a directory"));
    }
    let named = rustix::fs::lstat(path).map_err(|errno| Refused {
        errno: Errno::PERM,
        ..Refused::new(errno, "file status changed unexpectedly")
    })?;
    if kind(&named) == FileType::Symlink {
        return match named.st_uid == 0 && is_roots_alone(path.parent()) {
            true => Ok(file),
            false => Err(Refused::rule(Errno::PERM, "file is a symbolic link")),
        };
    }
    let facts = |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_nlink, stat.st_mode);
    match facts(&open) == facts(&named) {
        true => Ok(file),
        false => Err(Refused::rule(Errno::PERM, "file status changed unexpectedly")),
    }
}

/// Whether nobody but root can change names there: a link of root's in such a directory was put there by root.
fn is_roots_alone(directory: Option<&Path>) -> bool {
    let facts = directory.and_then(|directory| rustix::fs::stat(directory).ok());
    facts.is_some_and(|facts| facts.st_uid == 0 && facts.st_mode & 0o022 == 0)
}

fn kind(facts: &Stat) -> FileType {
    FileType::from_raw_mode(facts.st_mode)
}

fn create(path: &Path, owner: Option<Identity>) -> Result<File, Refused> {
    let flags = flags() | OFlags::CREATE | OFlags::EXCL;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
        .map(File::from)
        .map_err(|errno| Refused::new(errno, "cannot create file exclusively"))?;
    if let Some(Identity { uid, gid }) = owner {
        // It stays where it is: somebody may have opened it already.
        std::os::unix::fs::fchown(&file, Some(uid), Some(gid)).map_err(|error| {
            Refused::new(Errno::from_io_error(&error).unwrap_or(Errno::IO), "cannot change file ownership")
        })?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{MetadataExt, symlink},
        path::PathBuf,
    };

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("posthaste-open-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }
        fn at(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
        fn refusal(&self, name: &str) -> String {
            append_or_create(&self.at(name), None).unwrap_err().text
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_made_once_and_opened_again() {
        let place = Place::new("made");
        let path = place.at("box");
        for _ in 0..2 {
            let file = append_or_create(&path, None).unwrap();
            assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o600);
        }
        assert_eq!(fs::metadata(&path).unwrap().nlink(), 1);
    }

    #[test]
    fn what_is_not_one_plain_name_of_one_file_is_refused() {
        let place = Place::new("refused");
        fs::write(place.at("file"), "").unwrap();
        symlink(place.at("file"), place.at("link")).unwrap();
        symlink(place.at("nothing"), place.at("dangling")).unwrap();
        fs::create_dir(place.at("directory")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, place.at("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        fs::hard_link(place.at("file"), place.at("twin")).unwrap();
        assert_eq!(place.refusal("twin"), "file has 2 hard links");
        fs::remove_file(place.at("twin")).unwrap();
        assert_eq!(place.refusal("directory"), "cannot open file: Is a directory");
        assert_eq!(place.refusal("fifo"), "cannot open file: No such device or address");
        assert_eq!(
            place.refusal("missing/file"),
            "cannot create file exclusively: No such file or directory"
        );
        // A link of root's in a directory of root's is the administrator's own; anyone else's is refused.
        if crate::credentials::effective_uid() == 0 {
            append_or_create(&place.at("link"), None).unwrap();
            std::os::unix::fs::lchown(place.at("link"), Some(65534), None).unwrap();
        }
        assert_eq!(place.refusal("link"), "file is a symbolic link");
        assert_eq!(place.refusal("dangling"), "cannot open file: No such file or directory");
        assert!(!place.at("nothing").exists());
    }

    #[test]
    fn a_mailbox_that_is_exchanged_all_the_time_never_leads_to_another_file() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let place = Place::new("race");
        fs::write(place.at("secret"), "secret\n").unwrap();
        symlink(place.at("secret"), place.at("link")).unwrap();
        if crate::credentials::effective_uid() == 0 {
            std::os::unix::fs::lchown(place.at("link"), Some(65534), None).unwrap();
        }
        let secret = fs::metadata(place.at("secret")).unwrap().ino();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Link, hard link, plain file, nothing: in turn, each put there at once.
                while !stop.load(Ordering::Relaxed) {
                    symlink(place.at("secret"), place.at("next")).unwrap();
                    let _ = std::os::unix::fs::lchown(place.at("next"), Some(65534), None);
                    fs::rename(place.at("next"), place.at("box")).unwrap();
                    fs::hard_link(place.at("secret"), place.at("next")).unwrap();
                    fs::rename(place.at("next"), place.at("box")).unwrap();
                    fs::write(place.at("next"), "").unwrap();
                    fs::rename(place.at("next"), place.at("box")).unwrap();
                    fs::remove_file(place.at("box")).unwrap();
                }
            });
            let mut opened = 0;
            while opened < 500 {
                if let Ok(file) = append_or_create(&place.at("box"), None) {
                    assert_ne!(file.metadata().unwrap().ino(), secret);
                    opened += 1;
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn a_new_file_belongs_to_the_owner_that_was_asked_for() {
        if crate::credentials::effective_uid() != 0 {
            return;
        }
        let place = Place::new("owner");
        append_or_create(&place.at("box"), Some(Identity { uid: 1234, gid: 2345 })).unwrap();
        let facts = fs::metadata(place.at("box")).unwrap();
        assert_eq!((facts.uid(), facts.gid(), facts.mode() & 0o7777), (1234, 2345, 0o600));
    }
}
