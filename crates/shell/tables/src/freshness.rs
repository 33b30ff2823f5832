//! Tables that notice that their file was rebuilt.
//!
//! Postfix's processes look at their tables' files between requests and start anew when one has changed.
//! Here a process lives long, so a table looks at its file itself: at most once in 20 milliseconds, with
//! one stat(2): a script that builds a table and sends mail finds it in force, and reopens when the file is another one or has changed. If it cannot be reopened, look-ups
//! fail until it can: an old answer could let mail through that a new table would stop.

use crate::{OpenError, Options, Source, lent, open};
use std::{
    cell::{Cell, RefCell},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use types::Trouble;
use world::TableOwner;

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// File systems stamp with the kernel's tick: a file changed this recently may change again unseen.
const TICK: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    owner: u32,
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What tells one state of a file from another; `None` if it is not there.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    let data = lent::metadata(path).ok()?;
    Some(Stamp {
        owner: data.uid(),
        device: data.dev(),
        inode: data.ino(),
        size: data.size(),
        modified: (data.mtime(), data.mtime_nsec()),
        changed: (data.ctime(), data.ctime_nsec()),
    })
}

impl Stamp {
    /// Whether another change could leave the same stamp.
    pub(crate) fn is_hot(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = Duration::new(
            u64::try_from(self.changed.0).unwrap_or(0),
            u32::try_from(self.changed.1).unwrap_or(0),
        );
        now < changed + TICK
    }
}

/// A table kept fresh.
pub(crate) struct Fresh {
    map_type: String,
    name: String,
    options: Options,
    file: Option<PathBuf>,
    source: RefCell<Result<Rc<dyn Source>, Trouble>>,
    stamp: Cell<Option<Stamp>>,
    looked: Cell<Instant>,
    owner: Cell<TableOwner>,
}

/// A table that is no file stands in the configuration.
fn owner(file: Option<&PathBuf>, stamp: Option<&Stamp>) -> TableOwner {
    match (file, stamp) {
        (None, _) => TableOwner::Trusted,
        (Some(_), Some(stamp)) => TableOwner::of_file(stamp.owner),
        (Some(_), None) => TableOwner::Unknown,
    }
}

impl Fresh {
    pub(crate) fn open(map_type: &str, name: &str, options: &Options) -> Result<Self, OpenError> {
        let file = open::file_of(map_type, name);
        // Before opening: what changes in between is noticed at the next look.
        let found = file.as_deref().and_then(stamp);
        let owner = owner(file.as_ref(), found.as_ref());
        let stamp = found.filter(|stamp| !stamp.is_hot());
        let source = open::open(map_type, name, options)?;
        Ok(Self {
            map_type: map_type.to_owned(),
            name: name.to_owned(),
            options: options.clone(),
            file,
            source: RefCell::new(Ok(source.into())),
            stamp: Cell::new(stamp),
            looked: Cell::new(Instant::now()),
            owner: Cell::new(owner),
        })
    }

    /// A table that could not be opened, which it is tried again to do.
    pub(crate) fn unusable(map_type: &str, name: &str, options: &Options, trouble: Trouble) -> Self {
        Self {
            map_type: map_type.to_owned(),
            name: name.to_owned(),
            options: options.clone(),
            file: open::file_of(map_type, name),
            source: RefCell::new(Err(trouble)),
            stamp: Cell::new(None),
            looked: Cell::new(Instant::now()),
            owner: Cell::new(TableOwner::Unknown),
        }
    }

    /// Looks at the file, if it is time.
    fn look(&self) {
        let Some(file) = &self.file else { return };
        let now = Instant::now();
        if now.duration_since(self.looked.get()) < LOOK_EVERY {
            return;
        }
        self.looked.set(now);
        let current = stamp(file);
        let usable = self.source.borrow().is_ok();
        if usable && current == self.stamp.get() && current.is_some() {
            return;
        }
        self.reopen(current);
    }

    fn reopen(&self, current: Option<Stamp>) {
        self.owner.set(owner(self.file.as_ref(), current.as_ref()));
        let previous = self.source.borrow().as_ref().ok().map(Rc::clone);
        if let (Some(current), Some(stamp), Some(previous)) = (current, self.stamp.get(), &previous)
            && self.map_type == "lmdb"
            && current.inode == stamp.inode
            && previous.refresh().is_ok()
        {
            self.stamp.set(Some(current).filter(|stamp| !stamp.is_hot()));
            return;
        }
        let opened = open::open(&self.map_type, &self.name, &self.options);
        if let Err(error) = &opened
            && previous.is_some()
        {
            self.options.warn(&format!("{}:{} is unavailable. {error}", self.map_type, self.name));
        }
        self.stamp.set(current.filter(|stamp| !stamp.is_hot()));
        *self.source.borrow_mut() = match opened {
            Ok(source) => Ok(source.into()),
            Err(error) => Err(Trouble::new(error.to_string())),
        };
    }
}

impl Source for Fresh {
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        self.look();
        match &*self.source.borrow() {
            Ok(source) => source.find(key, value),
            Err(trouble) => Err(trouble.clone()),
        }
    }

    fn is_pattern(&self) -> bool {
        self.source.borrow().as_ref().map_or(true, |source| source.is_pattern())
    }

    fn may_hang(&self, key: &[u8]) -> bool {
        self.look();
        self.source.borrow().as_ref().is_ok_and(|source| source.may_hang(key))
    }

    fn owner(&self) -> TableOwner {
        self.owner.get()
    }
}
