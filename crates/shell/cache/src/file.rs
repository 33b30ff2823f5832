//! A cache in a table file: changes are gathered in memory and written together.

use crate::{
    changed::Changed,
    rare::Rare,
    table_file::{Changes, TableFile},
};
use maillog::Logger;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tables::Registry;
use types::{Lookup, Trouble};
use world::{Table, Tables, World};

/// How long changes are gathered before they are written.
const SOON: Duration = Duration::from_secs(1);
/// At most, where writing takes long.
const LATEST: Duration = Duration::from_secs(60);
/// Writing takes at most one part in so many of the time.
const SHARE: u32 = 10;
/// Entries of a listing that may be ahead of its reader.
const AHEAD_MAX: usize = 200;

/// A key and its value, or why there are no more.
pub(crate) type Entry = Result<(Vec<u8>, Vec<u8>), String>;

pub(crate) struct FileCache<W: World> {
    file: TableFile,
    /// As log lines name it.
    name: String,
    world: W,
    log: Logger,
    registry: Rc<Registry>,
    table: RefCell<Rc<dyn Table>>,
    /// Not written yet.
    fresh: RefCell<Changes>,
    /// Being written.
    writing: RefCell<Arc<Changes>>,
    entries_max: usize,
    /// Until the next write.
    delay: Cell<Duration>,
    state: State,
    /// Of `state`, and of the size of `fresh`.
    changed: Changed,
    warning: Rare,
}

#[derive(Default)]
struct State {
    is_writing: Cell<bool>,
    /// Somebody will write what is fresh.
    is_scheduled: Cell<bool>,
    is_closing: Cell<bool>,
    /// The file's content has been found damaged.
    is_suspect: Cell<bool>,
}

impl<W: World> FileCache<W> {
    pub(crate) fn open(
        world: &W,
        (file, name): (TableFile, String),
        registry: &Rc<Registry>,
        log: &Logger,
        entries_max: usize,
    ) -> Rc<Self> {
        if let Err(why) = file.prepare(log) {
            log.warning(&format!("{name}: {why}; entries wait in memory"));
        }
        let table = registry.try_open(&file.to_string()).unwrap_or_else(|_| registry.open("internal:none"));
        Rc::new(Self {
            file,
            name,
            world: world.clone(),
            log: log.clone(),
            registry: Rc::clone(registry),
            table: RefCell::new(table),
            fresh: RefCell::default(),
            writing: RefCell::default(),
            entries_max,
            delay: Cell::new(SOON),
            state: State::default(),
            changed: Changed::default(),
            warning: Rare::default(),
        })
    }

    pub(crate) async fn lookup(self: &Rc<Self>, key: &[u8]) -> Lookup {
        if let Some(changed) = self.changed_to(key) {
            return changed.map_or(Lookup::Absent, Lookup::Found);
        }
        let table = Rc::clone(&self.table.borrow());
        let answer = table.lookup(key).await;
        if let Lookup::TryAgain(_) = &answer {
            self.suspect();
        }
        answer
    }

    /// What a key will be in the file, if that is not in it yet.
    pub(crate) fn changed_to(&self, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let fresh = self.fresh.borrow().get(key).cloned();
        fresh.or_else(|| self.writing.borrow().get(key).cloned())
    }

    pub(crate) fn set(self: &Rc<Self>, key: &[u8], value: Option<&[u8]>) -> Result<(), Trouble> {
        let mut fresh = self.fresh.borrow_mut();
        if fresh.len() >= self.entries_max && !fresh.contains_key(key) {
            let max = self.entries_max;
            return Err(Trouble::new(format!("{max} changes wait to be written (cache_memory_entry_limit)")));
        }
        fresh.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        drop(fresh);
        self.schedule();
        Ok(())
    }

    /// Looks into the file's content soon.
    pub(crate) fn suspect(self: &Rc<Self>) {
        self.state.is_suspect.set(true);
        self.schedule();
    }

    fn schedule(self: &Rc<Self>) {
        if self.is_crowded() {
            self.changed.wake();
        }
        if self.state.is_closing.get() || self.state.is_scheduled.replace(true) {
            return;
        }
        let cache = Rc::clone(self);
        self.world.spawn(async move {
            while cache.has_work() && !cache.state.is_closing.get() {
                let early = cache.changed.until(|| cache.state.is_closing.get() || cache.is_crowded());
                cache.world.timeout(cache.delay.get(), early).await;
                cache.write().await;
            }
            cache.state.is_scheduled.set(false);
        });
    }

    fn has_work(&self) -> bool {
        self.state.is_suspect.get() || !self.fresh.borrow().is_empty()
    }

    /// So many changes that they should be written now. Those that could not be written wait for their time.
    pub(crate) fn is_crowded(&self) -> bool {
        self.delay.get() < LATEST && self.fresh.borrow().len() > self.entries_max / 2
    }

    /// Writes all changes; after that, if all went well, there are none from before.
    pub(crate) async fn write(self: &Rc<Self>) {
        let state = &self.state;
        self.changed.until(|| !state.is_writing.get()).await;
        if !self.has_work() {
            return;
        }
        state.is_writing.set(true);
        let changes = Arc::new(self.fresh.take());
        self.writing.replace(Arc::clone(&changes));
        let (file, is_suspect, begun) = (self.file.clone(), state.is_suspect.take(), self.world.now());
        let work = Arc::clone(&changes);
        let written = self.world.blocking(move || file.write(&work, is_suspect)).await;
        let took = self.world.now().since(begun);
        match written {
            Ok(written) => {
                self.delay.set((took * SHARE).clamp(SOON, LATEST));
                written.mended.into_iter().for_each(|text| self.log.warning(&text));
                for key in written.refused {
                    let text =
                        format!("{}: could not update entry for {}", self.name, maillog::printable(&key));
                    self.warning.warn(&self.log, self.world.now(), &format!("{text}: the key is too long"));
                }
            }
            Err(why) => {
                self.delay.set(LATEST);
                self.keep_unwritten(&changes);
                let text = format!("{}: {why}; changes wait in memory", self.name);
                self.warning.warn(&self.log, self.world.now(), &text);
            }
        }
        if let Ok(table) = self.registry.try_open(&self.file.to_string()) {
            self.table.replace(table);
        }
        self.writing.replace(Arc::default());
        state.is_writing.set(false);
        self.changed.wake();
    }

    /// Takes changes back that could not be written.
    fn keep_unwritten(&self, changes: &Changes) {
        let mut fresh = self.fresh.borrow_mut();
        for (key, value) in changes {
            if fresh.len() < self.entries_max {
                fresh.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
    }

    /// The entries of the file, as of now.
    pub(crate) fn entries(&self) -> W::Walk<Entry> {
        let file = self.file.clone();
        self.world.walk(AHEAD_MAX, move |give: &mut dyn FnMut(Entry) -> bool| file.each(give))
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.state.is_closing.get()
    }

    /// Writes what there is, in this thread. What another thread is writing is written again: that one may be cut off.
    pub(crate) fn close_now(&self) {
        self.state.is_closing.set(true);
        let mut changes = Changes::clone(&self.writing.borrow());
        changes.append(&mut self.fresh.take());
        if changes.is_empty() {
            return;
        }
        if let Err(why) = self.file.write(&changes, false) {
            self.log.warning(&format!("{}: {why}; its last changes are lost", self.name));
        }
    }

    /// Writes what there is, and leaves what comes later in memory.
    pub(crate) async fn close(self: &Rc<Self>) {
        self.state.is_closing.set(true);
        self.changed.wake();
        self.write().await;
    }
}
