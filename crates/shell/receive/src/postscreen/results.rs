//! `postscreen_cache_map`: which clients have passed.

use cache::{Cache, Settings};
use config::{Values, params as p};
use maillog::Logger;
use postscreen::{Results, Screening};
use std::rc::Rc;
use tables::Registry;
use types::Lookup;
use world::{Answer, World};

/// The cache; without one every client is new each time.
pub(crate) struct CachedResults<W: World>(Option<Cache<W>>);

impl<W: World> Clone for CachedResults<W> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<W: World> CachedResults<W> {
    pub(super) fn open(
        world: &W,
        (values, registry): (&Values, &Rc<Registry>),
        screening: &Rc<Screening>,
        log: &Logger,
    ) -> Self {
        let map = values.text(p::postscreen_cache_map).to_owned();
        if map.is_empty() {
            return Self(None);
        }
        let cleanup_interval = values.time(p::postscreen_cache_cleanup_interval);
        let settings = Settings { map, memory_name: "postscreen_cache", cleanup_interval };
        let screening = Rc::clone(screening);
        let keep = Rc::new(move |_: &[u8], entry: &[u8], now: i64| screening.keeps(entry, now));
        Self(Some(Cache::open(world, settings, (values, registry), log, keep)))
    }

    pub(super) async fn update(&self, client: &str, record: &str) {
        if let Some(cache) = &self.0 {
            cache.update(client.as_bytes(), record.as_bytes()).await;
        }
    }

    /// Writes what is not written yet: the process stops.
    pub(crate) async fn close(&self) {
        if let Some(cache) = &self.0 {
            cache.close().await;
        }
    }
}

impl<W: World> Results for CachedResults<W> {
    fn lookup<'a>(&'a self, client: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        let Some(cache) = &self.0 else { return Answer::ready(None) };
        Answer::later(async move {
            match cache.lookup(client.as_bytes()).await {
                Lookup::Found(entry) => Some(entry),
                // A client that cannot be looked up is tested.
                Lookup::Absent | Lookup::TryAgain(_) => None,
            }
        })
    }
}
