//! Answers, remembered for as long as they say and no longer.

use std::{collections::HashMap, time::Duration};
use types::Instant;
use world::{DnsAnswer, RecordType};

/// The longest that any answer is remembered.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug)]
struct Entry {
    answer: DnsAnswer,
    expires: Instant,
}

/// At most so many answers; when full, expired ones make room first, then any.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: HashMap<(String, RecordType), Entry>,
    entries_max: usize,
}

impl Cache {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { entries: HashMap::new(), entries_max }
    }

    pub(crate) fn get(&self, now: Instant, key: &(String, RecordType)) -> Option<DnsAnswer> {
        self.entries.get(key).filter(|entry| entry.expires > now).map(|entry| entry.answer.clone())
    }

    /// How long an answer will be remembered.
    pub(crate) fn lifetime(&self, now: Instant, key: &(String, RecordType)) -> Option<Duration> {
        self.entries.get(key).filter(|entry| entry.expires > now).map(|entry| entry.expires.since(now))
    }

    pub(crate) fn put(
        &mut self,
        now: Instant,
        key: (String, RecordType),
        answer: DnsAnswer,
        lifetime: Duration,
    ) {
        if lifetime.is_zero() || self.entries_max == 0 {
            return;
        }
        if self.entries.len() >= self.entries_max && !self.entries.contains_key(&key) {
            self.entries.retain(|_, entry| entry.expires > now);
            if self.entries.len() >= self.entries_max
                && let Some(any) = self.entries.keys().next().cloned()
            {
                self.entries.remove(&any);
            }
        }
        self.entries.insert(key, Entry { answer, expires: now + lifetime.min(LIFETIME_MAX) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_in_time_and_stays_small() {
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        let key = |n: u32| (format!("h{n}"), RecordType::A);
        let mut cache = Cache::new(10);
        cache.put(at(0), key(0), DnsAnswer::NoName, Duration::from_secs(60));
        assert_eq!(cache.get(at(59), &key(0)), Some(DnsAnswer::NoName));
        assert_eq!(cache.lifetime(at(50), &key(0)), Some(Duration::from_secs(10)));
        assert_eq!(cache.lifetime(at(60), &key(0)), None);
        assert_eq!(cache.get(at(60), &key(0)), None);
        cache.put(at(0), key(1), DnsAnswer::NoName, Duration::ZERO);
        assert_eq!(cache.get(at(0), &key(1)), None);
        for n in 0..100 {
            cache.put(at(0), key(n), DnsAnswer::NoData, Duration::from_secs(60));
        }
        assert_eq!(cache.entries.len(), 10);
        assert_eq!(cache.get(at(1), &key(99)), Some(DnsAnswer::NoData));
    }
}
