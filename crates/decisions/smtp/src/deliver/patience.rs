//! How long a server may take (postconf(5) `smtp_per_request_deadline`, `smtp_min_data_rate`).

use std::time::Duration;
use types::Instant;

/// With a deadline, what is left of the time for one request, one reply or the content; without, every operation has
/// all of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    has_deadline: bool,
    limit: Duration,
    left: Duration,
}

impl Patience {
    pub(super) fn new(has_deadline: bool, limit: Duration) -> Self {
        Self { has_deadline, limit, left: limit }
    }

    /// How long the next operation may take.
    pub(super) fn left(&self) -> Duration {
        self.left
    }

    /// An operation began and ended, and moved so many bytes of content at this rate at least.
    pub(super) fn spend(&mut self, began: Instant, ended: Instant, earned: Duration) {
        if self.has_deadline {
            self.left = (self.left.saturating_sub(ended.since(began)) + earned).min(self.limit);
        }
    }

    /// What so many bytes earn.
    pub(super) fn earned(bytes: usize, min_data_rate: u32) -> Duration {
        Duration::from_secs_f64(bytes as f64 / f64::from(min_data_rate.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_shrinks_and_content_earns_time_up_to_the_limit() {
        let at = |seconds: u64| Instant::default() + Duration::from_secs(seconds);
        let limit = Duration::from_secs(10);
        let mut patience = Patience::new(true, limit);
        patience.spend(at(0), at(7), Duration::ZERO);
        assert_eq!(patience.left(), Duration::from_secs(3));
        patience.spend(at(7), at(8), Patience::earned(1000, 500));
        assert_eq!(patience.left(), Duration::from_secs(4));
        patience.spend(at(8), at(8), Patience::earned(100_000, 500));
        assert_eq!(patience.left(), limit);
        patience.spend(at(8), at(30), Duration::ZERO);
        assert_eq!(patience.left(), Duration::ZERO);
        let mut without = Patience::new(false, limit);
        without.spend(at(0), at(9), Duration::ZERO);
        assert_eq!(without.left(), limit);
    }
}
