//! What is remembered for a time, in a table that Postfix can read and write too (Postfix: dict_cache(3)): probed
//! addresses, clients that have passed postscreen.
//!
//! ```text
//! look-up ─▶ changes in memory ─▶ table file        update, delete ─▶ changes in memory ─(soon)─▶ table file
//! ```
//!
//! A file is changed in one piece after a second or more, whatever was gathered meanwhile, and when the cache is closed; two
//! processes may have one file. Entries in memory are bounded by `cache_memory_entry_limit`, whatever the size of the
//! table. What a crash takes is the changes of the last moments, which is what a cache may lose.
//!
//! Diagnostics: a damaged file is moved aside, with a warning, and begun anew. A file that cannot be written to is a warning, at
//! most once a second, and changes wait in memory. Nothing is fatal.

mod backup;
mod changed;
mod cleanup;
mod file;
mod memory;
mod place;
mod rare;
mod table_file;

use backup::Backup;
use config::{Values, own};
use file::FileCache;
use maillog::Logger;
use memory::Memory;
use place::Place;
use rare::Rare;
use std::{cell::RefCell, rc::Rc, time::Duration};
use tables::Registry;
use types::{Lookup, Trouble};
use world::{Table, World};

/// Says of an entry, at the time of the calendar in seconds, whether it stays.
pub type Keep = Rc<dyn Fn(&[u8], &[u8], i64) -> bool>;

/// The entry that says when the last cleanup was complete.
const LAST_CLEANUP: &[u8] = b"_LAST_CACHE_CLEANUP_COMPLETED_";

/// Which cache.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `type:name` as main.cf has it, `$name`s expanded; empty for memory alone.
    pub map: String,
    /// What stands in log lines for one in memory.
    pub memory_name: &'static str,
    /// How often old entries are looked for; zero for never.
    pub cleanup_interval: Duration,
}

/// A cache. Clones share it.
pub struct Cache<W: World>(Rc<Inner<W>>);

impl<W: World> Clone for Cache<W> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

struct Inner<W: World> {
    /// As log lines name it.
    name: String,
    world: W,
    log: Logger,
    store: Store<W>,
    lookup_warning: Rare,
    update_warning: Rare,
}

enum Store<W: World> {
    Memory(RefCell<Memory>),
    File(Rc<FileCache<W>>),
    /// A table behind a connection, and perhaps a file behind that.
    Remote(Rc<dyn Table>, Backup<W>),
}

impl<W: World> Store<W> {
    /// The file that is written, and looked through for old entries.
    fn file(&self) -> Option<&Rc<FileCache<W>>> {
        match self {
            Self::Memory(_) => None,
            Self::File(file) => Some(file),
            Self::Remote(_, backup) => backup.file(),
        }
    }
}

impl<W: World> Cache<W> {
    /// Opens a cache, and begins to look for old entries. `values` are those of the service, whose tables `registry`
    /// opens; warnings go to `log`. A cache that cannot be had is one in memory, and a warning.
    pub fn open(
        world: &W,
        settings: Settings,
        (values, registry): (&Values, &Rc<Registry>),
        log: &Logger,
        keep: Keep,
    ) -> Self {
        let entries_max =
            usize::try_from(values.own_number(&own::CACHE_MEMORY_ENTRY_LIMIT)).unwrap_or(0).max(1);
        let Settings { map, memory_name, cleanup_interval } = settings;
        let in_memory = || Store::Memory(RefCell::new(Memory::new(entries_max)));
        let (name, store) = match Place::of(&map, values, log) {
            Ok(Place::Memory) => (memory_name.to_owned(), in_memory()),
            Ok(Place::Elsewhere) => {
                let (backup, registry) = Backup::of(world, (values, registry), log, entries_max);
                let table = registry.try_open(&map);
                let store =
                    table.map(|table| Store::Remote(table, backup)).map_err(|error| error.to_string());
                (map, store.unwrap_or_else(|why| instead(log, &why, in_memory())))
            }
            Ok(Place::File(table)) => {
                let file = FileCache::open(world, (table, map.clone()), registry, log, entries_max);
                (map, Store::File(file))
            }
            Err(why) => (map, instead(log, &why, in_memory())),
        };
        let (lookup_warning, update_warning) = (Rare::default(), Rare::default());
        let (world, log) = (world.clone(), log.clone());
        let inner = Rc::new(Inner { name, world, log, store, lookup_warning, update_warning });
        cleanup::begin(&inner, cleanup_interval, keep);
        Self(inner)
    }

    /// Looks an entry up. Trouble has been logged.
    pub async fn lookup(&self, key: &[u8]) -> Lookup {
        let answer = match &self.0.store {
            Store::Memory(memory) => memory.borrow().get(key).map_or(Lookup::Absent, Lookup::Found),
            Store::File(file) => file.lookup(key).await,
            Store::Remote(table, _) => table.lookup(key).await,
        };
        if let Lookup::TryAgain(why) = &answer {
            let (name, key) = (&self.0.name, maillog::printable(key));
            let text = format!("{name}: cache lookup for '{key}' failed due to error: {why}");
            self.0.lookup_warning.warn(&self.0.log, self.0.world.now(), &text);
        }
        answer
    }

    /// Sets an entry. What is looked up from now on is this.
    pub async fn update(&self, key: &[u8], value: &[u8]) {
        self.0.change(key, Some(value)).await;
    }

    /// Removes an entry, if it is there.
    pub async fn delete(&self, key: &[u8]) {
        self.0.change(key, None).await;
    }

    /// Writes what is not written yet, and ends the work on old entries. To be called when a process stops.
    pub async fn close(&self) {
        if let Some(file) = self.0.store.file() {
            file.close().await;
        }
    }
}

impl<W: World> Cache<W> {
    /// The same at once, while nothing else of this process goes on: it ends, and what would happen meanwhile must not.
    pub fn close_now(&self) {
        if let Some(file) = self.0.store.file() {
            file.close_now();
        }
    }
}

impl<W: World> Inner<W> {
    async fn change(&self, key: &[u8], value: Option<&[u8]>) {
        let changed = match &self.store {
            Store::Memory(memory) => {
                memory.borrow_mut().set(key, value);
                Ok(())
            }
            Store::File(file) => file.set(key, value),
            Store::Remote(table, _) => match value {
                Some(value) => table.update(key, value).await,
                None => table.delete(key).await,
            },
        };
        if let Err(why) = changed {
            let what = if value.is_some() { "update" } else { "delete" };
            let (name, key) = (&self.name, maillog::printable(key));
            let text = format!("{name}: could not {what} entry for {key}: {why}");
            self.update_warning.warn(&self.log, self.world.now(), &text);
        }
    }

    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        match &self.store {
            Store::Memory(memory) => Ok(memory.borrow().get(key)),
            Store::File(file) => file.lookup(key).await.into_result(),
            Store::Remote(table, _) => table.lookup(key).await.into_result(),
        }
    }
}

fn instead<S>(log: &Logger, why: &str, memory: S) -> S {
    log.warning(&format!("{why}; until then this cache is in memory only"));
    memory
}

#[cfg(test)]
mod tests;
