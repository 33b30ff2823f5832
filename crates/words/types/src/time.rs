//! Time as an argument: decisions never read a clock.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

/// A point on the monotonic clock, in nanoseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    nanos: u64,
}

impl Instant {
    /// From nanoseconds since the clock's start; only clocks call this.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self { nanos }
    }

    /// Nanoseconds since the clock's start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.nanos
    }

    /// Time since `earlier`, zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self { nanos: self.nanos.saturating_add(span) }
    }
}

/// Calendar time in UTC: seconds and microseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// 0 to 999,999.
    pub micros: u32,
}

impl WallTime {
    /// From its parts; microseconds of a second and more are carried over.
    #[must_use]
    pub const fn new(seconds: i64, micros: u32) -> Self {
        Self { seconds: seconds.saturating_add((micros / 1_000_000) as i64), micros: micros % 1_000_000 }
    }

    /// Time since `earlier`, zero if `earlier` is later (clocks are set back now and then).
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let micros = |t: Self| i128::from(t.seconds) * 1_000_000 + i128::from(t.micros);
        Duration::from_micros(u64::try_from(micros(self) - micros(earlier)).unwrap_or(0))
    }
}

impl Add<Duration> for WallTime {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        Self::new(self.seconds.saturating_add(seconds), self.micros + span.subsec_micros())
    }
}

impl Sub<Duration> for WallTime {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        let micros = i128::from(self.seconds) * 1_000_000 + i128::from(self.micros);
        let micros = micros - i128::try_from(span.as_micros()).unwrap_or(i128::MAX / 2);
        let seconds = i64::try_from(micros.div_euclid(1_000_000)).unwrap_or(i64::MIN);
        Self::new(seconds, u32::try_from(micros.rem_euclid(1_000_000)).unwrap_or(0))
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.seconds, self.micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_carries_and_borrows_microseconds() {
        let t = WallTime::new(10, 900_000);
        assert_eq!(t + Duration::from_millis(200), WallTime::new(11, 100_000));
        assert_eq!(t - Duration::from_secs_f64(1.0), WallTime::new(9, 900_000));
        assert_eq!(WallTime::new(11, 100_000) - Duration::from_millis(200), t);
        assert_eq!(t.since(WallTime::new(11, 0)), Duration::ZERO);
    }
}
