//! The queue on a real file system. Links are never followed: a name that somebody replaced by a
//! symbolic link is an error, not a way out of the queue.

use rustix::fs::{self, AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps};
use std::{
    ffi::OsStr,
    fs::File,
    hash::{BuildHasher, RandomState},
    io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::FileExt, fs::MetadataExt},
    },
    path::Path,
};
use types::WallTime;
use world::{Disk, DiskFile, FileKind, FileStatus, OpenMode};

/// The directory tree below one directory.
#[derive(Debug)]
pub struct RealDisk {
    root: OwnedFd,
}

impl RealDisk {
    /// The tree below `root` (`queue_directory`).
    pub fn open(root: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: fs::open(root, flags, Mode::empty())? })
    }

    /// Removes an empty directory.
    pub fn remove_directory(&self, path: &Path) -> io::Result<()> {
        Ok(fs::unlinkat(&self.root, path, AtFlags::REMOVEDIR)?)
    }

    fn open_at(&self, path: &Path, flags: OFlags, mode: u32) -> io::Result<RealFile> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = fs::openat(&self.root, path, flags, Mode::from_raw_mode(mode))?;
        Ok(RealFile { file: File::from(file) })
    }
}

/// An open file of a [`RealDisk`].
#[derive(Debug)]
pub struct RealFile {
    file: File,
}

impl Disk for RealDisk {
    type File = RealFile;

    fn create(&self, path: &Path, mode: u32) -> io::Result<RealFile> {
        self.open_at(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode)
    }

    fn open(&self, path: &Path, how: OpenMode) -> io::Result<RealFile> {
        match how {
            OpenMode::Read => self.open_at(path, OFlags::RDONLY, 0),
            OpenMode::ReadWrite => self.open_at(path, OFlags::RDWR, 0),
            OpenMode::Append(mode) => {
                self.open_at(path, OFlags::RDWR | OFlags::CREATE | OFlags::APPEND, mode)
            }
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(fs::renameat(&self.root, from, &self.root, to)?)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        Ok(fs::unlinkat(&self.root, path, AtFlags::empty())?)
    }

    fn make_directory(&self, path: &Path, mode: u32) -> io::Result<()> {
        match fs::mkdirat(&self.root, path, Mode::from_raw_mode(mode)) {
            Err(rustix::io::Errno::EXIST) => Ok(()),
            result => Ok(result?),
        }
    }

    /// chattr(1), attribute T.
    fn spread_directories(&self, path: &Path) -> bool {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let set = fs::openat(&self.root, path, flags, Mode::empty()).and_then(|directory| {
            let attributes = fs::ioctl_getflags(&directory)?;
            fs::ioctl_setflags(&directory, attributes | fs::IFlags::TOPDIR)
        });
        set.is_ok()
    }

    fn nonce(&self) -> u64 {
        RandomState::new().hash_one(std::process::id())
    }

    fn status(&self, path: &Path) -> io::Result<FileStatus> {
        let stat = fs::statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = match fs::FileType::from_raw_mode(stat.st_mode) {
            fs::FileType::RegularFile => FileKind::Regular,
            fs::FileType::Directory => FileKind::Directory,
            _ => FileKind::Other,
        };
        Ok(FileStatus {
            kind,
            inode: stat.st_ino,
            links: stat.st_nlink,
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            modified: wall_time(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            accessed: wall_time(stat.st_atime, i64::try_from(stat.st_atime_nsec).unwrap_or(0)),
        })
    }

    fn list(&self, path: &Path, visit: &mut dyn FnMut(&OsStr) -> bool) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = fs::openat(&self.root, path, flags, Mode::empty())?;
        for entry in fs::Dir::new(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." && !visit(OsStr::from_bytes(name)) {
                break;
            }
        }
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::fsync(fs::openat(&self.root, path, flags, Mode::empty())?)?)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = fs::fstatvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn wall_time(seconds: i64, nanos: i64) -> WallTime {
    WallTime::new(seconds, u32::try_from(nanos / 1_000).unwrap_or(0))
}

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                // A regular file gives less than asked only where it ends.
                Ok(count) if count < rest.len() => return Ok(filled + count),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let end = self.file.metadata()?.len();
        self.file.write_all_at(bytes, end)
    }

    fn set_len(&self, size_bytes: u64) -> io::Result<()> {
        self.file.set_len(size_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(fs::fchmod(&self.file, Mode::from_raw_mode(mode))?)
    }

    fn set_modified(&self, at: WallTime) -> io::Result<()> {
        let nanos = i64::from(at.micros) * 1_000;
        let time = Timespec { tv_sec: at.seconds, tv_nsec: nanos };
        Ok(fs::futimens(&self.file, &Timestamps { last_access: time, last_modification: time })?)
    }

    fn status(&self) -> io::Result<FileStatus> {
        let metadata = self.file.metadata()?;
        let kind = match (metadata.is_file(), metadata.is_dir()) {
            (true, _) => FileKind::Regular,
            (_, true) => FileKind::Directory,
            _ => FileKind::Other,
        };
        Ok(FileStatus {
            kind,
            inode: metadata.ino(),
            links: metadata.nlink(),
            size_bytes: metadata.len(),
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            modified: wall_time(metadata.mtime(), metadata.mtime_nsec()),
            accessed: wall_time(metadata.atime(), metadata.atime_nsec()),
        })
    }

    fn try_lock(&self) -> io::Result<bool> {
        match fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
