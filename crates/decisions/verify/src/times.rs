//! When an entry counts, and when a probe is due.

use crate::Entry;
use config::{Values, params as p};
use types::{Lookup, Trouble};
use wire::verify::{AddressStatus, Verified};

/// A probe without a result is lost after so many seconds.
const PROBE_SECONDS: i64 = 1000;

/// How long results count, in seconds, and what is remembered (postconf(5)).
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each field is the parameter of the same name of postconf(5)")]
pub struct Times {
    pub address_verify_positive_expire_time: i64,
    pub address_verify_positive_refresh_time: i64,
    pub address_verify_negative_expire_time: i64,
    pub address_verify_negative_refresh_time: i64,
    pub address_verify_negative_cache: bool,
}

/// What to do about a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// For whoever asked.
    pub answer: Verified,
    /// A probe is due.
    pub probe: bool,
    /// The entry is to be this from now on.
    pub store: Option<Entry>,
    /// The entry is to go.
    pub forget: bool,
    /// The entry is none.
    pub is_malformed: bool,
}

impl Times {
    /// The view of one row of master.cf.
    #[must_use]
    pub fn load(values: &Values) -> Self {
        let seconds = |id| i64::try_from(values.time(id).as_secs()).unwrap_or(i64::MAX / 4);
        Self {
            address_verify_positive_expire_time: seconds(p::address_verify_positive_expire_time),
            address_verify_positive_refresh_time: seconds(p::address_verify_positive_refresh_time),
            address_verify_negative_expire_time: seconds(p::address_verify_negative_expire_time),
            address_verify_negative_refresh_time: seconds(p::address_verify_negative_refresh_time),
            address_verify_negative_cache: values.bool(p::address_verify_negative_cache),
        }
    }

    fn is_expired(&self, entry: &Entry, now: i64) -> bool {
        let counts = match entry.verified.status {
            AddressStatus::Deliverable => self.address_verify_positive_expire_time,
            _ => self.address_verify_negative_expire_time,
        };
        entry.updated.saturating_add(counts) < now
    }

    fn needs_refresh(&self, entry: &Entry, now: i64) -> bool {
        let counts = match entry.verified.status {
            AddressStatus::Deliverable => self.address_verify_positive_refresh_time,
            _ => self.address_verify_negative_refresh_time,
        };
        entry.updated.saturating_add(counts) < now
    }

    /// What is known of an address, at `now`, in seconds since 1970, and what is to be found out.
    #[must_use]
    pub fn on_query(&self, found: &Lookup, now: i64) -> Reaction {
        let of = |status, reason: &str| Verified { status, reason: reason.into() };
        let value = match found {
            Lookup::TryAgain(Trouble { .. }) => {
                let answer = of(AddressStatus::Deferred, "Address verification status unavailable");
                return Reaction { answer, probe: false, store: None, forget: false, is_malformed: false };
            }
            Lookup::Absent => None,
            Lookup::Found(value) => Some(value),
        };
        let parsed = value.and_then(|value| Entry::parse(value));
        let is_malformed = value.is_some() && parsed.is_none();
        let may_probe = |entry: &Entry| now.saturating_sub(entry.probed) > PROBE_SECONDS;
        let known = parsed.filter(|entry| !may_probe(entry) || !self.is_expired(entry, now));
        let forget = value.is_some() && known.is_none() && !self.address_verify_negative_cache;
        let entry = known.unwrap_or_else(|| Entry {
            verified: of(AddressStatus::InProgress, "Address verification in progress"),
            probed: 0,
            updated: 0,
        });
        let probe = may_probe(&entry) && self.needs_refresh(&entry, now);
        // Without a memory for failures, nothing is noted of a probe that may become one.
        let is_noted = probe && (entry.updated != 0 || self.address_verify_negative_cache);
        let answer = entry.verified.clone();
        let store = is_noted.then_some(Entry { probed: now, ..entry });
        Reaction { answer, probe, store, forget, is_malformed }
    }

    /// A probe has ended. A failure does not hide that the address was good, as long as that counts: some of the next
    /// probes may do better.
    #[must_use]
    pub fn on_update(&self, present: Option<&[u8]>, result: &Verified, now: i64) -> Option<Entry> {
        let hides = result.status != AddressStatus::Deliverable && present.is_some_and(Entry::says_good);
        let reason = maillog::printable(&result.reason).into();
        (!hides).then_some(Entry {
            verified: Verified { reason, status: result.status },
            probed: 0,
            updated: now,
        })
    }

    /// Whether an entry stays in the table.
    #[must_use]
    pub fn keeps(&self, value: &[u8], now: i64) -> bool {
        Entry::parse(value).is_some_and(|entry| {
            now.saturating_sub(entry.probed) < PROBE_SECONDS || !self.is_expired(&entry, now)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_000_000;

    fn times(negative_cache: &str) -> Times {
        Times::load(&Values::for_tests(&[
            ("address_verify_positive_expire_time", "1000h"),
            ("address_verify_positive_refresh_time", "100h"),
            ("address_verify_negative_expire_time", "10h"),
            ("address_verify_negative_refresh_time", "1h"),
            ("address_verify_negative_cache", negative_cache),
        ]))
    }

    /// The answer's number, `probe` if one is sent, and what is stored.
    fn query(negative_cache: &str, value: &str) -> String {
        let found = if value.is_empty() { Lookup::Absent } else { Lookup::Found(value.into()) };
        let Reaction { answer, probe, store, forget, is_malformed } =
            times(negative_cache).on_query(&found, NOW);
        let mut said = vec![format!("{} {}", answer.status.number(), answer.reason)];
        said.extend(probe.then(|| "probe".to_owned()));
        said.extend(store.map(|entry| String::from_utf8(entry.encode()).unwrap()));
        said.extend(forget.then(|| "forget".to_owned()));
        said.extend(is_malformed.then(|| "malformed".to_owned()));
        said.join(", ")
    }

    fn hours_ago(hours: i64) -> i64 {
        NOW - hours * 3600
    }

    #[test]
    fn an_unknown_address_is_probed_once() {
        let todo = "3 Address verification in progress";
        assert_eq!(query("yes", ""), format!("{todo}, probe, 3:{NOW}:0:Address verification in progress"));
        assert_eq!(query("yes", &format!("3:{}:0:Address verification in progress", NOW - 1000)), todo);
        let again = query("yes", &format!("3:{}:0:Address verification in progress", NOW - 1001));
        assert_eq!(again, query("yes", ""), "the first probe is lost");
        assert_eq!(query("no", ""), format!("{todo}, probe"));
    }

    #[test]
    fn results_count_for_their_time() {
        let good = |hours| query("yes", &format!("0:0:{}:fine", hours_ago(hours)));
        assert_eq!(good(100), "0 fine");
        let fresh = format!("0 fine, probe, 0:{NOW}:{}:fine", hours_ago(101));
        assert_eq!(good(101), fresh);
        let anew = "3 Address verification in progress, probe";
        assert!(good(1001).starts_with(anew), "{}", good(1001));
        for status in [1, 2] {
            let bad = |hours| query("yes", &format!("{status}:0:{}:no", hours_ago(hours)));
            assert_eq!(bad(1), format!("{status} no"));
            assert_eq!(bad(2), format!("{status} no, probe, {status}:{NOW}:{}:no", hours_ago(2)));
            assert!(bad(11).starts_with(anew), "{}", bad(11));
        }
        let refreshed = query("yes", &format!("0:{}:{}:fine", NOW - 5, hours_ago(2000)));
        assert_eq!(refreshed, "0 fine", "an expired result counts while its probe is under way");
    }

    #[test]
    fn what_is_no_entry_is_begun_anew() {
        assert!(query("yes", "nonsense").ends_with("malformed"));
        assert!(query("yes", "nonsense").contains("probe, 3:"));
        assert_eq!(query("no", "nonsense"), "3 Address verification in progress, probe, forget, malformed");
        let trouble = Lookup::TryAgain(Trouble::new("disk"));
        let reaction = times("yes").on_query(&trouble, NOW);
        assert_eq!(reaction.answer.reason, "Address verification status unavailable");
        assert!(!reaction.probe && reaction.store.is_none());
    }

    #[test]
    fn a_failure_does_not_hide_a_good_result() {
        let update = |present: Option<&str>, status| {
            let result = Verified { status, reason: "why\n?".into() };
            let stored = times("yes").on_update(present.map(str::as_bytes), &result, NOW);
            stored.map(|entry| String::from_utf8(entry.encode()).unwrap())
        };
        use AddressStatus as A;
        assert_eq!(update(None, A::Undeliverable), Some(format!("2:0:{NOW}:why??")));
        assert_eq!(update(Some("2:0:5:no"), A::Deferred), Some(format!("1:0:{NOW}:why??")));
        assert_eq!(update(Some("0:0:5:yes"), A::Deferred), None);
        assert_eq!(update(Some("0:0:5:yes"), A::Deliverable), Some(format!("0:0:{NOW}:why??")));
    }

    #[test]
    fn old_entries_go() {
        let keeps = |value: String| times("yes").keeps(value.as_bytes(), NOW);
        assert!(keeps(format!("0:0:{}:x", hours_ago(1000))));
        assert!(!keeps(format!("0:0:{}:x", hours_ago(1001))));
        assert!(keeps(format!("0:{}:{}:x", NOW - 999, hours_ago(1001))));
        assert!(!keeps(format!("2:0:{}:x", hours_ago(11))));
        assert!(!keeps("nonsense".into()));
    }
}
