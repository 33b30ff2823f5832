//! The file behind a cache that is somewhere else: `backup` of a memcache table (memcache_table(5)). It is written as
//! any cache in a file is, and its entries are those that are looked through for old ones.

use crate::{file::FileCache, place::Place};
use config::Values;
use maillog::Logger;
use std::{cell::OnceCell, rc::Rc};
use tables::{Changeable, Registry};
use types::{Lookup, Trouble};
use world::{Answer, Table, World};

/// The backup of one cache, once its table was opened.
pub(crate) struct Backup<W: World>(Rc<OnceCell<Rc<FileCache<W>>>>);

impl<W: World> Backup<W> {
    /// A registry that opens as `registry` does, but for a file that is to be changed, and where that is to be found afterwards.
    pub(crate) fn of(
        world: &W,
        (values, registry): (&Values, &Rc<Registry>),
        log: &Logger,
        entries_max: usize,
    ) -> (Self, Registry) {
        let place = Rc::new(OnceCell::new());
        let opened = Rc::clone(&place);
        let (world, values, log, inner) = (world.clone(), values.clone(), log.clone(), Rc::clone(registry));
        let open: Rc<Changeable> = Rc::new(move |map: &str| match Place::of(map, &values, &log) {
            Ok(Place::File(file)) => {
                let cache = FileCache::open(&world, (file, map.to_owned()), &inner, &log, entries_max);
                // A cache has one backup.
                let _ = opened.set(Rc::clone(&cache));
                Some(Rc::new(InFile { name: map.to_owned(), cache }))
            }
            Ok(Place::Memory | Place::Elsewhere) => None,
            Err(why) => {
                log.warning(&format!("{why}; nothing is written there"));
                None
            }
        });
        (Self(place), registry.with_changeable(open))
    }

    pub(crate) fn file(&self) -> Option<&Rc<FileCache<W>>> {
        self.0.get()
    }
}

/// A cache's file as a table.
struct InFile<W: World> {
    name: String,
    cache: Rc<FileCache<W>>,
}

impl<W: World> Table for InFile<W> {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::later(self.cache.lookup(key))
    }

    fn update<'a>(&'a self, key: &'a [u8], value: &'a [u8]) -> Answer<'a, Result<(), Trouble>> {
        Answer::ready(self.cache.set(key, Some(value)))
    }

    fn delete<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Result<(), Trouble>> {
        Answer::ready(self.cache.set(key, None))
    }
}
