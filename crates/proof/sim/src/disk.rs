//! A disk that forgets: what was not synced may be lost, in any combination, when the machine stops, and it can
//! stop between any two calls.
//!
//! Weaker than any real file system on purpose: names and contents are independent, writes to one file survive
//! in any subset, a write can be cut short. What stays ordered is the history of one file's name,
//! since a rename is atomic.

use crate::Chance;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use types::WallTime;
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
    free_bytes: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    mode: u32,
    modified: WallTime,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
    Mode(u32),
    Modified(WallTime),
}

#[derive(Debug, Default)]
struct Inode {
    content: Content,
    durable: Content,
    unsynced: Vec<Change>,
    /// All names since the last sync, oldest first; `None` is "no name".
    name_history: Vec<Option<PathBuf>>,
    locked_by: Option<u64>,
}

impl Content {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write(offset, data) => {
                let start = usize::try_from(*offset).unwrap_or(usize::MAX);
                let end = start.saturating_add(data.len());
                if self.bytes.len() < end {
                    self.bytes.resize(end, 0);
                }
                self.bytes[start..end].copy_from_slice(data);
            }
            Change::Length(len) => self.bytes.resize(usize::try_from(*len).unwrap_or(usize::MAX), 0),
            Change::Mode(mode) => self.mode = *mode,
            Change::Modified(at) => self.modified = *at,
        }
    }
}

impl Inode {
    fn apply(&mut self, change: Change) {
        self.content.apply(&change);
        self.unsynced.push(change);
    }

    fn name(&mut self, name: Option<PathBuf>) {
        self.name_history.push(name);
    }

    fn sync_name(&mut self) {
        if let Some(last) = self.name_history.pop() {
            self.name_history = vec![last];
        }
    }

    fn sync(&mut self) {
        self.durable = self.content.clone();
        self.unsynced.clear();
        self.sync_name();
    }

    /// What the disk has of the content after a stop.
    fn content_after_stop(&self, chance: &mut Chance) -> Content {
        let mut content = self.durable.clone();
        let keep_all = chance.one_in(3);
        for change in &self.unsynced {
            if !keep_all && chance.one_in(2) {
                continue;
            }
            match change {
                Change::Write(offset, data) if !keep_all && chance.one_in(4) => {
                    let cut = chance.below(data.len());
                    content.apply(&Change::Write(*offset, data[..cut].to_vec()));
                }
                change => content.apply(change),
            }
        }
        content
    }
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
        state.boot += 1;
        state.stop_at = None;
        let mut names: BTreeMap<PathBuf, u64> = BTreeMap::new();
        let inodes = std::mem::take(&mut state.inodes);
        // Younger files choose first: an older file that gave up its name cannot take it back.
        for (number, inode) in inodes.into_iter().rev() {
            let history = &inode.name_history;
            let start = chance.below(history.len());
            let content = inode.content_after_stop(chance);
            let name = history
                .iter()
                .skip(start)
                .find(|name| name.as_ref().is_none_or(|name| !names.contains_key(name)));
            if let Some(Some(name)) = name {
                names.insert(name.clone(), number);
                let durable = content.clone();
                let name_history = vec![Some(name.clone())];
                let inode = Inode { content, durable, name_history, ..Inode::default() };
                state.inodes.insert(number, inode);
            }
        }
        state.names = names;
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

    /// Counts a call; fails when the machine has stopped.
    fn call(&mut self) -> io::Result<()> {
        if self.is_stopped() {
            return Err(io::Error::other("the machine has stopped"));
        }
        self.calls += 1;
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
        let mut inode = Inode { name_history: vec![None], ..Inode::default() };
        inode.apply(Change::Mode(mode));
        inode.name(Some(path.to_owned()));
        self.inodes.insert(number, inode);
        self.names.insert(path.to_owned(), number);
        Ok(number)
    }

    fn status(&self, number: u64) -> io::Result<FileStatus> {
        let inode = self.inodes.get(&number).ok_or_else(|| io::Error::other("no such inode"))?;
        Ok(FileStatus {
            kind: FileKind::Regular,
            inode: number,
            links: u64::from(matches!(inode.name_history.last(), Some(Some(_)))),
            size_bytes: inode.content.bytes.len() as u64,
            mode: inode.content.mode,
            uid: 0,
            modified: inode.content.modified,
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
        let number = state.inode_at(from)?;
        state.require_parent(to)?;
        if let Some(replaced) = state.names.insert(to.to_owned(), number).filter(|old| *old != number) {
            state.inode_mut(replaced)?.name(None);
        }
        if from != to {
            state.names.remove(from);
        }
        state.inode_mut(number)?.name(Some(to.to_owned()));
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.call()?;
        let number = state.inode_at(path)?;
        state.names.remove(path);
        state.inode_mut(number)?.name(None);
        Ok(())
    }

    fn make_directory(&self, path: &Path, _mode: u32) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.call()?;
        state.require_parent(path)?;
        state.directories.insert(path.to_owned());
        Ok(())
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
        let is_here = |name: &Option<PathBuf>| name.as_ref().is_some_and(|n| n.parent() == Some(path));
        for inode in state.inodes.values_mut().filter(|inode| inode.name_history.iter().any(is_here)) {
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
    fn with<T>(&self, work: impl FnOnce(&mut Inode) -> T) -> io::Result<T> {
        let mut state = lock(&self.state);
        state.call()?;
        if state.boot != self.boot {
            return Err(io::Error::other("the file was open before the machine stopped"));
        }
        Ok(work(state.inode_mut(self.inode)?))
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
        self.with(|inode| inode.apply(Change::Write(offset, bytes.to_vec())))
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.with(|inode| {
            let end = inode.content.bytes.len() as u64;
            inode.apply(Change::Write(end, bytes.to_vec()));
        })
    }

    fn set_len(&self, size_bytes: u64) -> io::Result<()> {
        self.with(|inode| inode.apply(Change::Length(size_bytes)))
    }

    fn sync(&self) -> io::Result<()> {
        self.with(Inode::sync)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.with(|inode| inode.apply(Change::Mode(mode)))
    }

    fn set_modified(&self, at: WallTime) -> io::Result<()> {
        self.with(|inode| inode.apply(Change::Modified(at)))
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
