//! The calendar in the local time zone, for log lines.

use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Sat", "Sun", "Mon", "Tue", "Wed", "Thu", "Fri"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A point in time, taken apart in the local time zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalTime {
    /// Full year.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// East of Greenwich.
    pub offset_seconds: i32,
}

impl LocalTime {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |span| span.as_secs());
        Self::at(i64::try_from(seconds).unwrap_or(0))
    }

    /// `seconds` after 1970.
    #[must_use]
    pub fn at(seconds: i64) -> Self {
        let time: libc::time_t = seconds;
        // SAFETY: `tm` is plain data, for which zeroes are valid; both pointers live through the call, and
        // localtime_r writes nowhere else.
        let parts = unsafe {
            let mut parts: libc::tm = std::mem::zeroed();
            libc::localtime_r(&raw const time, &raw mut parts);
            parts
        };
        let small = |value: i32| u8::try_from(value).unwrap_or(0);
        Self {
            year: parts.tm_year.saturating_add(1900),
            month: small(parts.tm_mon.saturating_add(1)),
            day: small(parts.tm_mday),
            hour: small(parts.tm_hour),
            minute: small(parts.tm_min),
            second: small(parts.tm_sec),
            offset_seconds: i32::try_from(parts.tm_gmtoff).unwrap_or(0),
        }
    }

    /// `Sat Nov 21 02:10:10 2026`, as asctime(3) has it, without the line end.
    #[must_use]
    pub fn asctime(&self) -> String {
        // Zeller's congruence: the year starts in March.
        let (month, year) = match self.month {
            0..=2 => (i32::from(self.month) + 12, self.year.saturating_sub(1)),
            month => (i32::from(month), self.year),
        };
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        let day =
            i64::from(self.day) + i64::from(13 * (month + 1) / 5) + i64::from(year) + i64::from(leap_days);
        let day = usize::try_from(day.rem_euclid(7)).unwrap_or(0);
        format!("{} {} {}", DAYS.get(day).unwrap_or(&"Sat"), self.syslog_stamp(), self.year)
    }

    /// `Nov 21 02:10:10`, with a blank before a day of one digit: RFC 3164 section 4.1.2.
    #[must_use]
    pub fn syslog_stamp(&self) -> String {
        format!("{} {:2} {:02}:{:02}:{:02}", self.month_name(), self.day, self.hour, self.minute, self.second)
    }

    /// `Nov 21 02:10:10`, with a zero before a day of one digit, as postlogd(8) writes it.
    #[must_use]
    pub fn file_stamp(&self) -> String {
        format!(
            "{} {:02} {:02}:{:02}:{:02}",
            self.month_name(),
            self.day,
            self.hour,
            self.minute,
            self.second
        )
    }

    fn month_name(&self) -> &'static str {
        MONTHS.get(usize::from(self.month).wrapping_sub(1)).unwrap_or(&"Jan")
    }

    /// `2026-11-21T02:10:10+01:00` (RFC 3339).
    #[must_use]
    pub fn rfc3339(&self) -> String {
        let Self { year, month, day, hour, minute, second, offset_seconds } = *self;
        let sign = if offset_seconds < 0 { '-' } else { '+' };
        let minutes = offset_seconds.unsigned_abs() / 60;
        format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{:02}:{:02}",
            minutes / 60,
            minutes % 60
        )
    }
}

/// The abbreviation of the local time zone at that time: `CET`.
#[must_use]
pub fn zone_name(seconds: i64) -> String {
    let time: libc::time_t = seconds;
    // SAFETY: as in [`LocalTime::at`]; `tm_zone` then points to a string that the C library keeps for as long
    // as the process lives, and is copied at once.
    let name = unsafe {
        let mut parts: libc::tm = std::mem::zeroed();
        libc::localtime_r(&raw const time, &raw mut parts);
        if parts.tm_zone.is_null() {
            return String::new();
        }
        std::ffi::CStr::from_ptr(parts.tm_zone)
    };
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_those_of_their_readers() {
        let time = LocalTime { month: 11, day: 3, hour: 2, minute: 1, second: 9, ..LocalTime::default() };
        assert_eq!(time.syslog_stamp(), "Nov  3 02:01:09");
        assert_eq!(time.file_stamp(), "Nov 03 02:01:09");
        let time = LocalTime { year: 2026, offset_seconds: -12_600, ..time };
        assert_eq!(time.rfc3339(), "2026-11-03T02:01:09-03:30");
    }

    #[test]
    fn asctime_knows_the_day_of_the_week() {
        let check = |year, month, day, expected: &str| {
            assert_eq!(LocalTime { year, month, day, ..LocalTime::default() }.asctime(), expected);
        };
        check(1970, 1, 1, "Thu Jan  1 00:00:00 1970");
        check(2000, 2, 29, "Tue Feb 29 00:00:00 2000");
        check(2026, 11, 21, "Sat Nov 21 00:00:00 2026");
    }

    #[test]
    fn local_time_and_offset_give_the_same_instant() {
        let at = LocalTime::at(1_700_000_000);
        let of_day = i64::from(at.hour) * 3600 + i64::from(at.minute) * 60 + i64::from(at.second);
        assert_eq!((of_day - i64::from(at.offset_seconds)).rem_euclid(86_400), 1_700_000_000 % 86_400);
    }
}
