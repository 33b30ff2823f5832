//! The few file operations that the queue and mailboxes need, as a trait, so that the simulator can lose
//! unsynced writes and stop between any two of them.
//!
//! Calls block; shell loops run the slow ones (sync) through [`crate::World::blocking`].
//! Paths are relative to the root that the implementation was made for (`queue_directory`).

use std::{io, path::Path, sync::Arc};
use types::WallTime;

/// How to open an existing file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Read only.
    Read,
    /// Read and overwrite in place.
    ReadWrite,
    /// Append; created with the given mode when missing.
    Append(u32),
}

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// The part of stat(2) that the queue looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// Kind of file.
    pub kind: FileKind,
    /// Inode number: queue ids are made of it.
    pub inode: u64,
    /// Number of names.
    pub links: u64,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Last modification: for a deferred message, the time of its next try.
    pub modified: WallTime,
    /// Last access, as far as the file system keeps it.
    pub accessed: WallTime,
}

/// An open file.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads at an offset; fewer bytes than asked only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all bytes at an offset.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Writes all bytes at the end.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts or extends.
    fn set_len(&self, size_bytes: u64) -> io::Result<()>;
    /// Makes content, size, and the name under which the file was last created or renamed, durable.
    fn sync(&self) -> io::Result<()>;
    /// Changes the permission bits (0700 says that a queue file is complete).
    fn set_mode(&self, mode: u32) -> io::Result<()>;
    /// Sets the modification time.
    fn set_modified(&self, at: WallTime) -> io::Result<()>;
    /// Status of the open file.
    fn status(&self) -> io::Result<FileStatus>;
    /// Takes an exclusive lock without waiting; false when another process has it.
    fn try_lock(&self) -> io::Result<bool>;
}

/// A tree of directories.
pub trait Disk: Send + Sync + 'static {
    /// Its open files.
    type File: DiskFile;

    /// Creates a file that did not exist.
    fn create(&self, path: &Path, mode: u32) -> io::Result<Self::File>;
    /// Opens a file that exists.
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Self::File>;
    /// Renames, replacing what stands at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Makes a directory; one that exists is not an error.
    fn make_directory(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Asks that directories that will be made in this one be placed far from each other; whether the file system can.
    fn spread_directories(&self, _path: &Path) -> bool {
        false
    }
    /// A number that nobody else who makes names in this tree was given, to tell names apart.
    fn nonce(&self) -> u64;
    /// Status without following a link.
    fn status(&self, path: &Path) -> io::Result<FileStatus>;
    /// Names in a directory, without `.` and `..`, in any order; stops when `visit` says false.
    fn list(&self, path: &Path, visit: &mut dyn FnMut(&std::ffi::OsStr) -> bool) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Free space in bytes for unprivileged writers.
    fn free_bytes(&self) -> io::Result<u64>;
}

impl<D: Disk> Disk for Arc<D> {
    type File = D::File;

    fn create(&self, path: &Path, mode: u32) -> io::Result<D::File> {
        (**self).create(path, mode)
    }
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<D::File> {
        (**self).open(path, how)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (**self).rename(from, to)
    }
    fn unlink(&self, path: &Path) -> io::Result<()> {
        (**self).unlink(path)
    }
    fn make_directory(&self, path: &Path, mode: u32) -> io::Result<()> {
        (**self).make_directory(path, mode)
    }
    fn spread_directories(&self, path: &Path) -> bool {
        (**self).spread_directories(path)
    }
    fn nonce(&self) -> u64 {
        (**self).nonce()
    }
    fn status(&self, path: &Path) -> io::Result<FileStatus> {
        (**self).status(path)
    }
    fn list(&self, path: &Path, visit: &mut dyn FnMut(&std::ffi::OsStr) -> bool) -> io::Result<()> {
        (**self).list(path, visit)
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        (**self).sync_directory(path)
    }
    fn free_bytes(&self) -> io::Result<u64> {
        (**self).free_bytes()
    }
}
