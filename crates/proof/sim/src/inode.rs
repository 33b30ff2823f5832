//! What a disk has of a file, and what it may have forgotten after a stop.

use crate::Chance;
use std::{path::PathBuf, time::Duration};
use types::{Instant, WallTime};

/// After this time the kernel has written everything by itself (ext4: five seconds for names, thirty for contents).
pub const WRITEBACK: Duration = Duration::from_secs(35);

#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) modified: WallTime,
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
    Mode(u32),
    Modified(WallTime),
}

#[derive(Debug, Default)]
pub(crate) struct Inode {
    pub(crate) content: Content,
    durable: Content,
    unsynced: Vec<(Instant, Change)>,
    /// All names since the last sync, oldest first; `None` is "no name".
    names: Vec<(Instant, Option<PathBuf>)>,
    pub(crate) locked_by: Option<u64>,
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

fn is_written_back(at: Instant, now: Instant) -> bool {
    now.since(at) >= WRITEBACK
}

impl Inode {
    /// A new file: before, it had no name.
    pub(crate) fn new(now: Instant, mode: u32, name: PathBuf) -> Self {
        let mut inode = Self { names: vec![(now, None)], ..Self::default() };
        inode.apply(now, Change::Mode(mode));
        inode.name(now, Some(name));
        inode
    }

    pub(crate) fn apply(&mut self, now: Instant, change: Change) {
        self.content.apply(&change);
        self.unsynced.push((now, change));
    }

    pub(crate) fn grows_by(&self, change: &Change) -> bool {
        let size = self.content.bytes.len() as u64;
        match change {
            Change::Write(offset, bytes) => offset.saturating_add(bytes.len() as u64) > size,
            Change::Length(length) => *length > size,
            Change::Mode(_) | Change::Modified(_) => false,
        }
    }

    pub(crate) fn name(&mut self, now: Instant, name: Option<PathBuf>) {
        self.names.push((now, name));
    }

    pub(crate) fn present_name(&self) -> Option<&PathBuf> {
        self.names.last()?.1.as_ref()
    }

    pub(crate) fn had_name(&self, is_it: impl Fn(&PathBuf) -> bool) -> bool {
        self.names.iter().any(|(_, name)| name.as_ref().is_some_and(&is_it))
    }

    pub(crate) fn sync_name(&mut self) {
        if let Some(last) = self.names.pop() {
            self.names = vec![last];
        }
    }

    pub(crate) fn sync(&mut self) {
        self.durable = self.content.clone();
        self.unsynced.clear();
        self.sync_name();
    }

    /// What the disk has of it after a stop; `None` when it has no name. `is_taken` says which names younger files have.
    pub(crate) fn after_stop(
        self,
        now: Instant,
        chance: &mut Chance,
        is_taken: impl Fn(&PathBuf) -> bool,
    ) -> Option<(PathBuf, Self)> {
        let surely = self.names.iter().rposition(|(at, _)| is_written_back(*at, now)).unwrap_or(0);
        let start = surely + chance.below(self.names.len() - surely);
        let content = self.content_after_stop(now, chance);
        let mut later = self.names.into_iter().skip(start).map(|(_, name)| name);
        let name = later.find(|name| name.as_ref().is_none_or(|name| !is_taken(name)))??;
        let names = vec![(now, Some(name.clone()))];
        Some((name, Self { durable: content.clone(), content, names, ..Self::default() }))
    }

    fn content_after_stop(&self, now: Instant, chance: &mut Chance) -> Content {
        let mut content = self.durable.clone();
        let keep_all = chance.one_in(3);
        for (at, change) in &self.unsynced {
            let is_kept = keep_all || is_written_back(*at, now);
            if !is_kept && chance.one_in(2) {
                continue;
            }
            match change {
                Change::Write(offset, data) if !is_kept && chance.one_in(4) => {
                    let cut = chance.below(data.len());
                    content.apply(&Change::Write(*offset, data[..cut].to_vec()));
                }
                change => content.apply(change),
            }
        }
        content
    }
}
