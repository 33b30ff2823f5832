//! Empty files made ahead of time. A new message takes one by renaming it: its inode number is in the queue
//! id, and no file is created for it.
//!
//! A name in the pool is never given twice, by whatever process, so it never means another file. The rename into
//! `incoming` decides who has it: processes that share the pool may open the same file, and only one rename
//! succeeds.

use crate::{MODE_WRITING, Queue};
use std::{
    collections::VecDeque,
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use world::{Disk, DiskFile, FileKind, OpenMode};

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
    /// What tells this pool's names from others'.
    nonce: u64,
    /// How many names were given.
    named: AtomicU64,
}

/// An open, empty file of mode 0600 in the pool.
pub(crate) struct Ready<F> {
    pub(crate) path: PathBuf,
    pub(crate) inode: u64,
    pub(crate) file: F,
}

impl<D: Disk> Pool<D> {
    pub(crate) fn new(nonce: u64) -> Self {
        let (ready, has_nurseries) = (Mutex::default(), OnceLock::new());
        Self { ready, has_nurseries, nonce, named: AtomicU64::new(0) }
    }

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

fn nursery(number: usize) -> PathBuf {
    Path::new(POOL_DIRECTORY).join(format!("n{number}"))
}

/// Whether a name in the pool is that of a nursery: no name of a file begins with its letter.
fn is_nursery(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'n')
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
        let mut directories = vec![PathBuf::from(POOL_DIRECTORY)];
        let mut next = 0;
        while let Some(directory) = directories.get(next).cloned() {
            next += 1;
            let room = self.settings().pool_files.saturating_sub(self.shared.pool.len());
            if room == 0 {
                break;
            }
            let mut left = Vec::new();
            self.disk().list(&directory, &mut |name| {
                match is_nursery(name) {
                    true => directories.push(directory.join(name)),
                    false => left.push(directory.join(name)),
                }
                left.len() < room
            })?;
            for path in left {
                match self.adopt(&path, &directory) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(self.shared.pool.len())
    }

    fn adopt(&self, path: &Path, directory: &Path) -> io::Result<()> {
        let mine = self.new_name(directory);
        self.disk().rename(path, &mine)?;
        let file = self.disk().open(&mine, OpenMode::ReadWrite)?;
        let status = file.status()?;
        if status.kind != FileKind::Regular || status.links != 1 {
            return self.disk().unlink(&mine);
        }
        if status.mode != MODE_WRITING {
            file.set_mode(MODE_WRITING)?;
        }
        if status.size_bytes != 0 {
            file.set_len(0)?;
        }
        self.shared.pool.put(Ready { path: mine, inode: status.inode, file });
        Ok(())
    }

    /// A new file under a name that no queue id can have.
    pub(crate) fn create_in_pool(&self) -> io::Result<Ready<D::File>> {
        let path = self.new_name(&self.birthplace());
        let file = self.disk().create(&path, MODE_WRITING)?;
        match file.status() {
            Ok(status) => Ok(Ready { path, inode: status.inode, file }),
            Err(error) => {
                let _ = self.disk().unlink(&path);
                Err(error)
            }
        }
    }

    fn new_name(&self, directory: &Path) -> PathBuf {
        let Pool { named, nonce, .. } = &self.shared.pool;
        directory.join(format!("{}.{nonce:x}", named.fetch_add(1, Ordering::Relaxed)))
    }

    /// The directory of the next file.
    fn birthplace(&self) -> PathBuf {
        let pool = &self.shared.pool;
        match pool.has_nurseries.get_or_init(|| self.make_nurseries()) {
            true => nursery(usize::try_from(pool.named.load(Ordering::Relaxed)).unwrap_or(0) % NURSERIES),
            false => PathBuf::from(POOL_DIRECTORY),
        }
    }

    fn make_nurseries(&self) -> bool {
        let make = |number| self.disk().make_directory(&nursery(number), 0o700).is_ok();
        self.disk().spread_directories(Path::new(POOL_DIRECTORY)) && (0..NURSERIES).all(make)
    }
}
