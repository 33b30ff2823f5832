//! Empty files made ahead of time. A new message takes one by renaming it: its inode number is in the queue
//! id, and no file is created (or, for a file that comes back, removed) for it.
//!
//! A file in the pool is named by its inode number, so its name never means another file, however often it
//! comes and goes. The rename into `incoming` decides who has it: processes that share the pool may open
//! the same file, and only one rename succeeds.

use crate::{MODE_WRITING, Queue};
use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use world::{Disk, DiskFile, OpenMode};

/// Directories in the pool in which its files are made, each in turn, where they can be placed apart. Then ext4 looks for
/// free inodes in as many places: without a journal it passes over every inode of a place that was freed in the last
/// minute, which for a busy queue in one place are thousands for each new file.
const NURSERIES: usize = 64;

/// Name of the pool's directory: neither a queue of Postfix's nor looked at by its tools.
pub const POOL_DIRECTORY: &str = "pool";

pub(crate) struct Pool<D: Disk> {
    ready: Mutex<VecDeque<Ready<D::File>>>,
    /// Whether there are nurseries, once it is known.
    has_nurseries: OnceLock<bool>,
    /// How many files were made.
    made: AtomicUsize,
}

/// An open, empty file of mode 0600 in the pool.
pub(crate) struct Ready<F> {
    pub(crate) inode: u64,
    pub(crate) file: F,
}

impl<D: Disk> Default for Pool<D> {
    fn default() -> Self {
        Self { ready: Mutex::new(VecDeque::new()), has_nurseries: OnceLock::new(), made: AtomicUsize::new(0) }
    }
}

impl<D: Disk> Pool<D> {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Ready<D::File>>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self) -> Option<Ready<D::File>> {
        self.lock().pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn put(&self, ready: Ready<D::File>) {
        self.lock().push_back(ready);
    }
}

pub(crate) fn pool_path(inode: u64) -> PathBuf {
    Path::new(POOL_DIRECTORY).join(inode.to_string())
}

/// No inode number, so that no file of the pool has its name.
fn nursery(number: usize) -> String {
    format!("{POOL_DIRECTORY}/n{}", number % NURSERIES)
}

/// A name that no queue id can have, and no other process.
fn temporary_path(directory: &str, number: u32) -> PathBuf {
    Path::new(directory).join(format!("{number}.{}", std::process::id()))
}

impl<D: Disk> Queue<D> {
    /// Half of the files are used: it is time for [`Self::refill_pool`].
    #[must_use]
    pub fn is_pool_low(&self) -> bool {
        self.shared.pool.len() <= self.settings().pool_files / 2
    }

    /// Makes files until the pool has [`crate::QueueSettings::pool_files`]. For a blocking thread; new messages do not wait for it. Returns
    /// how many files are ready.
    pub fn refill_pool(&self) -> io::Result<usize> {
        let wanted = self.settings().pool_files;
        while self.shared.pool.len() < wanted {
            let ready = self.create_in_pool()?;
            self.shared.pool.put(ready);
        }
        Ok(self.shared.pool.len())
    }

    /// Takes up the files that earlier processes left in the pool, as many as it has room for. Each is renamed
    /// first, so that no other process can be writing a message into it when it is emptied.
    pub fn adopt_pool(&self) -> io::Result<usize> {
        let mut inodes: Vec<u64> = Vec::new();
        self.disk().list(Path::new(POOL_DIRECTORY), &mut |name| {
            inodes.extend(name.to_str().and_then(|text| text.parse::<u64>().ok()));
            inodes.len() < self.settings().pool_files
        })?;
        for inode in inodes {
            match self.adopt(inode) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(self.shared.pool.len())
    }

    fn adopt(&self, inode: u64) -> io::Result<()> {
        let (path, mine) = (pool_path(inode), temporary_path(POOL_DIRECTORY, 0));
        self.disk().rename(&path, &mine)?;
        let file = self.disk().open(&mine, OpenMode::ReadWrite)?;
        let status = file.status()?;
        if status.inode != inode || status.links != 1 {
            return self.disk().unlink(&mine);
        }
        if status.mode != MODE_WRITING {
            file.set_mode(MODE_WRITING)?;
        }
        if status.size_bytes != 0 {
            file.set_len(0)?;
        }
        self.disk().rename(&mine, &path)?;
        self.shared.pool.put(Ready { inode, file });
        Ok(())
    }

    fn create_in_pool(&self) -> io::Result<Ready<D::File>> {
        let (file, temporary) = self.create_temporary(&self.birthplace())?;
        let inode = file.status()?.inode;
        self.disk().rename(&temporary, &pool_path(inode))?;
        Ok(Ready { inode, file })
    }

    /// The directory of the next file.
    pub(crate) fn birthplace(&self) -> String {
        let pool = &self.shared.pool;
        match pool.has_nurseries.get_or_init(|| self.make_nurseries()) {
            true => nursery(pool.made.fetch_add(1, Ordering::Relaxed)),
            false => POOL_DIRECTORY.to_owned(),
        }
    }

    fn make_nurseries(&self) -> bool {
        let make = |number| self.disk().make_directory(Path::new(&nursery(number)), 0o700).is_ok();
        self.disk().spread_directories(Path::new(POOL_DIRECTORY)) && (0..NURSERIES).all(make)
    }

    /// Creates a file under a name that no queue id can have.
    pub(crate) fn create_temporary(&self, directory: &str) -> io::Result<(D::File, PathBuf)> {
        for attempt in 0..10_000u32 {
            let path = temporary_path(directory, attempt);
            match self.disk().create(&path, MODE_WRITING) {
                Ok(file) => return Ok((file, path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "no free temporary file name"))
    }
}
