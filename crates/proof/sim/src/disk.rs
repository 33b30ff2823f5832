//! A disk that forgets: what was not synced may be lost, in any combination, when the machine stops, and it can
//! stop between any two calls.
//!
//! Weaker than any real file system on purpose: names and contents are independent, writes to one file survive
//! in any subset, a write can be cut short. What stays ordered is the history of one file's name,
//! since a rename is atomic. What is older than [`crate::WRITEBACK`] the kernel has written by itself, if the disk is
//! told the time.

use crate::{
    Chance,
    inode::{Change, Inode},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use types::{Instant, WallTime};
use world::{Disk, DiskFile, FileKind, FileStatus, OpenMode};

/// A disk in memory. Clones share it.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// An open file.
#[derive(Debug)]
pub struct SimFile {
    state: Arc<Mutex<State>>,
    inode: u64,
    handle: u64,
    boot: u64,
}

#[derive(Debug, Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    directories: BTreeSet<PathBuf>,
    boot: u64,
    calls: u64,
    stop_at: Option<u64>,
    handles: u64,
    nonces: u64,
    free_bytes: u64,
    now: Instant,
    latency_max: Duration,
    trouble: Option<(Chance, usize)>,
    lie: Option<Lie>,
    /// Inodes whose sync was promised, and the call at which it comes about.
    promised: Vec<(u64, u64)>,
}

/// How a disk breaks its promises: what the checkers must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Syncs nothing below this directory, and says that it did.
    SkipsSync(&'static str),
    /// Says that something is synced, and does it so many calls later.
    SyncsLate(u64),
    /// Writes of one byte, as marks of recipients are, are forgotten.
    DropsMarks,
}

impl Default for SimDisk {
    fn default() -> Self {
        let state = State { free_bytes: u64::MAX / 4, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the machine before the call after the next `calls` calls.
    pub fn stop_after(&self, calls: u64) {
        let mut state = lock(&self.state);
        state.stop_at = Some(state.calls + calls);
    }

    /// The machine stops now.
    pub fn stop(&self) {
        self.stop_after(0);
    }

    /// Whether this is the same disk.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// Tells the disk the time.
    pub fn set_now(&self, now: Instant) {
        lock(&self.state).now = now;
    }

    /// Work on the disk takes no longer than this.
    #[must_use]
    pub fn latency_max(&self) -> Duration {
        lock(&self.state).latency_max
    }

    /// Sets [`Self::latency_max`].
    pub fn set_latency_max(&self, span: Duration) {
        lock(&self.state).latency_max = span;
    }

    /// From now on one in so many syncs, and writes that make a file longer, fails; 0 for none.
    pub fn set_trouble(&self, seed: u64, one_in: usize) {
        lock(&self.state).trouble = (one_in > 0).then(|| (Chance::new(seed), one_in));
    }

    /// From now on the disk does not do what it says.
    pub fn set_lie(&self, lie: Lie) {
        lock(&self.state).lie = Some(lie);
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        lock(&self.state).calls
    }

    /// Whether the machine has stopped: every call fails until [`Self::restart`].
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        lock(&self.state).is_stopped()
    }

    /// Sets the free space.
    pub fn set_free_bytes(&self, bytes: u64) {
        lock(&self.state).free_bytes = bytes;
    }

    /// The machine comes up again, with everything that was synced and some of the rest. Files that were open
    /// are useless.
    pub fn restart(&self, chance: &mut Chance) {
        let mut state = lock(&self.state);
        state.come_up();
        let now = state.now;
        let mut names: BTreeMap<PathBuf, u64> = BTreeMap::new();
        let inodes = std::mem::take(&mut state.inodes);
        // Younger files choose first: an older file that gave up its name cannot take it back.
        for (number, inode) in inodes.into_iter().rev() {
            if let Some((name, inode)) = inode.after_stop(now, chance, |name| names.contains_key(name)) {
                names.insert(name, number);
                state.inodes.insert(number, inode);
            }
        }
        state.names = names;
    }

    /// The programs were killed, and the machine goes on: nothing is lost but open files.
    pub fn kill(&self) {
        let mut state = lock(&self.state);
        state.come_up();
        state.inodes.values_mut().for_each(|inode| inode.locked_by = None);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}

impl State {
    fn is_stopped(&self) -> bool {
        self.stop_at.is_some_and(|stop_at| self.calls >= stop_at)
    }

    fn come_up(&mut self) {
        self.boot += 1;
        self.stop_at = None;
        self.promised.clear();
    }

    /// Counts a call; fails when the machine has stopped.
    fn call(&mut self) -> io::Result<()> {
        if self.is_stopped() {
            return Err(io::Error::other("the machine has stopped"));
        }
        self.calls += 1;
        while let Some((due, number)) = self.promised.first().copied().filter(|(due, _)| *due <= self.calls) {
            self.promised.retain(|promise| *promise != (due, number));
            self.inodes.get_mut(&number).into_iter().for_each(Inode::sync);
        }
        Ok(())
    }

    /// Counts a call that can go wrong.
    fn call_to_write(&mut self) -> io::Result<()> {
        self.call()?;
        let Some((chance, one_in)) = &mut self.trouble else { return Ok(()) };
        if !chance.one_in(*one_in) {
            return Ok(());
        }
        let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::Other];
        Err(kinds[chance.below(kinds.len())].into())
    }

    fn sync(&mut self, number: u64) -> io::Result<()> {
        let (calls, lie) = (self.calls, self.lie);
        let inode = self.inode_mut(number)?;
        match lie {
            Some(Lie::SkipsSync(below))
                if inode.present_name().is_some_and(|name| name.starts_with(below)) => {}
            Some(Lie::SyncsLate(later)) => self.promised.push((calls + later, number)),
            _ => inode.sync(),
        }
        Ok(())
    }

    fn inode_at(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| missing(path))
    }

    fn inode_mut(&mut self, number: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&number).ok_or_else(|| io::Error::other("no such inode"))
    }

    fn require_parent(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let exists = parent.as_os_str().is_empty() || self.directories.contains(parent);
        if exists { Ok(()) } else { Err(missing(path)) }
    }

    fn create(&mut self, path: &Path, mode: u32) -> io::Result<u64> {
        self.require_parent(path)?;
        let number = (1..).find(|n| !self.inodes.contains_key(n)).unwrap_or(u64::MAX);
        self.inodes.insert(number, Inode::new(self.now, mode, path.to_owned()));
        self.names.insert(path.to_owned(), number);
        Ok(number)
    }

    fn status(&self, number: u64) -> io::Result<FileStatus> {
        let inode = self.inodes.get(&number).ok_or_else(|| io::Error::other("no such inode"))?;
        Ok(FileStatus {
            kind: FileKind::Regular,
            inode: number,
            links: u64::from(inode.present_name().is_some()),
            size_bytes: inode.content.bytes.len() as u64,
            mode: inode.content.mode,
            uid: 0,
            modified: inode.content.modified,
            accessed: inode.content.modified,
        })
    }
}

impl SimDisk {
    fn handle(&self, state: &mut State, inode: u64) -> SimFile {
        state.handles += 1;
        SimFile { state: Arc::clone(&self.state), inode, handle: state.handles, boot: state.boot }
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn create(&self, path: &Path, mode: u32) -> io::Result<SimFile> {
        let mut state = lock(&self.state);
        state.call()?;
        if state.names.contains_key(path) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, path.display().to_string()));
        }
        let number = state.create(path, mode)?;
        Ok(self.handle(&mut state, number))
    }

    fn open(&self, path: &Path, how: OpenMode) -> io::Result<SimFile> {
        let mut state = lock(&self.state);
        state.call()?;
        let number = match (state.inode_at(path), how) {
            (Ok(number), _) => number,
            (Err(_), OpenMode::Append(mode)) => state.create(path, mode)?,
            (Err(error), _) => return Err(error),
        };
        Ok(self.handle(&mut state, number))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.call()?;
        let (now, number) = (state.now, state.inode_at(from)?);
        state.require_parent(to)?;
        if let Some(replaced) = state.names.insert(to.to_owned(), number).filter(|old| *old != number) {
            state.inode_mut(replaced)?.name(now, None);
        }
        if from != to {
            state.names.remove(from);
        }
        state.inode_mut(number)?.name(now, Some(to.to_owned()));
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.call()?;
        let number = state.inode_at(path)?;
        state.names.remove(path);
        let now = state.now;
        state.inode_mut(number)?.name(now, None);
        Ok(())
    }

    fn make_directory(&self, path: &Path, _mode: u32) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.call()?;
        state.require_parent(path)?;
        state.directories.insert(path.to_owned());
        Ok(())
    }

    fn nonce(&self) -> u64 {
        let mut state = lock(&self.state);
        state.nonces += 1;
        state.nonces
    }

    fn status(&self, path: &Path) -> io::Result<FileStatus> {
        let mut state = lock(&self.state);
        state.call()?;
        let number = state.inode_at(path)?;
        state.status(number)
    }

    fn list(&self, path: &Path, visit: &mut dyn FnMut(&OsStr) -> bool) -> io::Result<()> {
        let names: Vec<OsString> = {
            let mut state = lock(&self.state);
            state.call()?;
            let files = state.names.keys().filter(|name| name.parent() == Some(path));
            let directories = state.directories.iter().filter(|name| name.parent() == Some(path));
            files.chain(directories).filter_map(|name| name.file_name().map(OsStr::to_owned)).collect()
        };
        for name in names {
            if !visit(&name) {
                break;
            }
        }
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.call()?;
        let is_here = |name: &PathBuf| name.parent() == Some(path);
        for inode in state.inodes.values_mut().filter(|inode| inode.had_name(is_here)) {
            inode.sync_name();
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let mut state = lock(&self.state);
        state.call()?;
        Ok(state.free_bytes)
    }
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = lock(&self.state);
        if state.boot != self.boot {
            return Err(io::Error::other("the file was open before the machine stopped"));
        }
        Ok(state)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inode) -> T) -> io::Result<T> {
        let mut state = self.state()?;
        state.call()?;
        Ok(work(state.inode_mut(self.inode)?))
    }

    fn change(&self, change: impl FnOnce(&Inode) -> Change) -> io::Result<()> {
        let mut state = self.state()?;
        let change = change(state.inode_mut(self.inode)?);
        // What is there already is overwritten in its place, and times and modes need no space.
        if state.inode_mut(self.inode)?.grows_by(&change) {
            state.call_to_write()?;
        } else {
            state.call()?;
        }
        let (now, lie) = (state.now, state.lie);
        let inode = state.inode_mut(self.inode)?;
        match (change, lie) {
            (Change::Write(_, bytes), Some(Lie::DropsMarks)) if bytes.len() == 1 => {}
            (change, _) => inode.apply(now, change),
        }
        Ok(())
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let is_current = state.boot == self.boot;
        if let Some(inode) = state.inodes.get_mut(&self.inode).filter(|_| is_current)
            && inode.locked_by == Some(self.handle)
        {
            inode.locked_by = None;
        }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(|inode| {
            let bytes = &inode.content.bytes;
            let rest = usize::try_from(offset).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            count
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(|_| Change::Write(offset, bytes.to_vec()))
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.change(|inode| Change::Write(inode.content.bytes.len() as u64, bytes.to_vec()))
    }

    fn set_len(&self, size_bytes: u64) -> io::Result<()> {
        self.change(|_| Change::Length(size_bytes))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state()?;
        state.call_to_write()?;
        state.sync(self.inode)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.change(|_| Change::Mode(mode))
    }

    fn set_modified(&self, at: WallTime) -> io::Result<()> {
        self.change(|_| Change::Modified(at))
    }

    fn status(&self) -> io::Result<FileStatus> {
        self.with(|_| ())?;
        lock(&self.state).status(self.inode)
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.with(|inode| match inode.locked_by {
            Some(other) if other != self.handle => false,
            _ => {
                inode.locked_by = Some(self.handle);
                true
            }
        })
    }
}
