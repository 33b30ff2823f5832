//! Removing old entries, a few at a time, at intervals that go on across restarts.

use crate::{Inner, Keep, LAST_CLEANUP, Store};
use maillog::Severity;
use std::{
    rc::{Rc, Weak},
    time::Duration,
};
use world::{Walk, World};

/// Entries that are looked at in one go.
const AT_ONCE: usize = 100;

#[derive(Default)]
struct Count {
    retained: u64,
    dropped: u64,
}

/// How a run ended.
enum Run {
    Full,
    /// The cache is being closed.
    Closing,
    Failed(String),
}

pub(crate) fn begin<W: World>(cache: &Rc<Inner<W>>, interval: Duration, keep: Keep) {
    if interval.is_zero() {
        return;
    }
    if let (Store::Remote(..), None) = (&cache.store, cache.store.file()) {
        let name = &cache.name;
        cache.log.warning(&format!(
            "{name}: old entries cannot be found in this type of table; set its cleanup interval to 0, and a ttl in the table's file"
        ));
        return;
    }
    let (world, cache) = (cache.world.clone(), Rc::downgrade(cache));
    world.clone().spawn(async move {
        let Some(mut pause) = first_pause(&cache, interval).await else { return };
        loop {
            world.sleep(pause).await;
            let Some(cache) = cache.upgrade() else { return };
            if cache.is_closing() {
                return;
            }
            run(&cache, &keep).await;
            pause = interval;
        }
    });
}

/// Until the first run, which is due an interval after the last.
async fn first_pause<W: World>(cache: &Weak<Inner<W>>, interval: Duration) -> Option<Duration> {
    let cache = cache.upgrade()?;
    let last = cache.get(LAST_CLEANUP).await.ok().flatten();
    let last = last.and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse::<i64>().ok());
    let past = last.map(|last| u64::try_from(cache.world.wall().seconds.saturating_sub(last)).unwrap_or(0));
    Some(past.map_or(Duration::ZERO, |past| interval.saturating_sub(Duration::from_secs(past))))
}

async fn run<W: World>(cache: &Inner<W>, keep: &Keep) {
    let mut count = Count::default();
    let ended = match &cache.store {
        Store::Memory(_) => cache.clean_memory(keep, &mut count).await,
        Store::File(_) | Store::Remote(..) => cache.clean_file(keep, &mut count).await,
    };
    let Count { retained, dropped } = count;
    let name = &cache.name;
    let what = match &ended {
        Run::Full => "full",
        Run::Closing if retained + dropped == 0 => return,
        Run::Closing => "partial",
        Run::Failed(why) => {
            cache.log.warning(&format!("{name}: sequence error: {why}"));
            cache.log.warning(&format!("{name}: cache cleanup scan terminated due to error"));
            "partial"
        }
    };
    let text = format!("cache {name} {what} cleanup: retained={retained} dropped={dropped} entries");
    cache.log.write(Severity::Info, &text);
    if let Run::Full = ended {
        cache.change(LAST_CLEANUP, Some(cache.world.wall().seconds.to_string().as_bytes())).await;
    }
}

impl<W: World> Inner<W> {
    fn is_closing(&self) -> bool {
        self.store.file().is_some_and(|file| file.is_closing())
    }

    async fn clean_memory(&self, keep: &Keep, count: &mut Count) -> Run {
        let Store::Memory(memory) = &self.store else { return Run::Full };
        let mut number = 0;
        loop {
            let entries = memory.borrow().after(number, AT_ONCE);
            if entries.is_empty() {
                return Run::Full;
            }
            for (at, key, value) in entries {
                number = at;
                self.judge(&key, &value, keep, count).await;
            }
            self.world.give_way().await;
        }
    }

    async fn clean_file(&self, keep: &Keep, count: &mut Count) -> Run {
        let Some(file) = self.store.file() else { return Run::Full };
        let entries = file.entries();
        loop {
            let (some, is_last) = entries.take(AT_ONCE).await;
            for entry in some {
                match entry {
                    Err(why) => {
                        file.suspect();
                        return Run::Failed(why);
                    }
                    // What has just been set is not old, what is gone is gone.
                    Ok((key, _)) if file.changed_to(&key).is_some() => count.retained += 1,
                    Ok((key, value)) => self.judge(&key, &value, keep, count).await,
                }
            }
            if is_last {
                return Run::Full;
            }
            if file.is_closing() {
                return Run::Closing;
            }
            if file.is_crowded() {
                file.write().await;
            }
        }
    }

    async fn judge(&self, key: &[u8], value: &[u8], keep: &Keep, count: &mut Count) {
        if key == LAST_CLEANUP {
        } else if keep(key, value, self.world.wall().seconds) {
            count.retained += 1;
        } else {
            count.dropped += 1;
            self.change(key, None).await;
        }
    }
}
