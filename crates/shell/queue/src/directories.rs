//! The directories below `queue_directory`, as data: who makes and checks them is master and `postfix check`.

use crate::{POOL_DIRECTORY, Queue};
use std::{io, path::Path};
use world::Disk;

/// Whom a directory must belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// root
    Root,
    /// `mail_owner`
    MailOwner,
    /// `mail_owner`, with group `setgid_group`
    MailOwnerAndSetgidGroup,
}

/// One directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectorySpec {
    /// Name below `queue_directory`; empty for itself.
    pub name: &'static str,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: Owner,
}

const fn spec(name: &'static str, mode: u32, owner: Owner) -> DirectorySpec {
    DirectorySpec { name, mode, owner }
}

/// All directories, with the modes and owners that Postfix gives them, and our pool of empty files.
pub const DIRECTORIES: &[DirectorySpec] = &[
    spec("", 0o755, Owner::Root),
    spec("active", 0o700, Owner::MailOwner),
    spec("bounce", 0o700, Owner::MailOwner),
    spec("corrupt", 0o700, Owner::MailOwner),
    spec("defer", 0o700, Owner::MailOwner),
    spec("deferred", 0o700, Owner::MailOwner),
    spec("flush", 0o700, Owner::MailOwner),
    spec("hold", 0o700, Owner::MailOwner),
    spec("incoming", 0o700, Owner::MailOwner),
    spec("private", 0o700, Owner::MailOwner),
    spec("maildrop", 0o730, Owner::MailOwnerAndSetgidGroup),
    spec("public", 0o710, Owner::MailOwnerAndSetgidGroup),
    spec("pid", 0o755, Owner::Root),
    spec("saved", 0o700, Owner::MailOwner),
    spec("trace", 0o700, Owner::MailOwner),
    spec(POOL_DIRECTORY, 0o700, Owner::MailOwner),
];

impl<D: Disk> Queue<D> {
    /// Makes all directories that are missing, without looking at owners: for a system that runs as a normal
    /// user, and for tests.
    pub fn make_directories(&self) -> io::Result<()> {
        for directory in DIRECTORIES.iter().filter(|directory| !directory.name.is_empty()) {
            self.disk().make_directory(Path::new(directory.name), directory.mode)?;
        }
        Ok(())
    }
}
