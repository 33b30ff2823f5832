//! Too many clients (STRESS_README): a service all of whose places are taken serves the clients that come then, and those of
//! the time after, with the values that its parameters have where `stress` is set.

use std::{cell::Cell, time::Duration};
use types::Instant;

/// How long a service is under stress after its last place was taken.
const CALM_AFTER: Duration = Duration::from_secs(1000);

/// How busy a service is, and was lately.
#[derive(Debug)]
pub struct Stress {
    /// How many sessions it may have; `maxproc` of master.cf.
    sessions_max: usize,
    until: Cell<Option<Instant>>,
    said: Cell<Option<Instant>>,
}

/// What a new session finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The session gets the values for stress.
    pub is_stressed: bool,
    /// No more sessions fit, which was not said for a while.
    pub is_news: bool,
}

impl Stress {
    /// A service that may have so many sessions; 0 is no limit.
    #[must_use]
    pub const fn new(sessions_max: usize) -> Self {
        Self { sessions_max, until: Cell::new(None), said: Cell::new(None) }
    }

    /// A session begins, and now so many places are taken, its own included. One that is always alone, or
    /// never too many, knows no stress.
    pub fn session_begins(&self, taken: usize, now: Instant) -> Load {
        let is_full = self.sessions_max > 1 && taken >= self.sessions_max;
        if is_full {
            self.until.set(Some(now + CALM_AFTER));
        }
        let is_news = is_full && self.said.get().is_none_or(|at| now.since(at) > CALM_AFTER);
        if is_news {
            self.said.set(Some(now));
        }
        Load { is_stressed: self.until.get().is_some_and(|until| now < until), is_news }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn stress_begins_with_the_last_place_and_lasts() {
        let stress = Stress::new(3);
        let check = |taken: usize, seconds: u64, is_stressed: bool, is_news: bool| {
            let expected = Load { is_stressed, is_news };
            assert_eq!(stress.session_begins(taken, at(seconds)), expected, "{taken} at {seconds}");
        };
        check(1, 0, false, false);
        check(2, 1, false, false);
        check(3, 2, true, true);
        check(3, 3, true, false);
        check(1, 1002, true, false);
        check(1, 1003, false, false);
        check(3, 1004, true, true);
        check(3, 1500, true, false);
        check(1, 2499, true, false);
        check(1, 2500, false, false);
    }

    #[test]
    fn without_a_limit_or_with_one_place_there_is_none() {
        for sessions_max in [0, 1] {
            let calm = Load { is_stressed: false, is_news: false };
            assert_eq!(Stress::new(sessions_max).session_begins(1, at(0)), calm);
        }
    }
}
