//! RFC 5322 dates in local time.

use std::fmt::Write as _;
use types::WallTime;

/// The local time zone at some moment: who makes a date has asked the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalZone {
    /// Seconds east of UTC.
    pub utc_offset_seconds: i32,
    /// Abbreviation, for the comment at the end: `CET`.
    pub name: String,
}

impl LocalZone {
    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self { utc_offset_seconds: 0, name: "UTC".to_owned() }
    }
}

struct Civil {
    year: i64,
    month: usize,
    day: i64,
    weekday: usize,
    hour: i64,
    minute: i64,
    second: i64,
}

/// Breaks seconds since 1970 into a date of the Gregorian calendar.
fn civil(seconds: i64) -> Civil {
    let days = seconds.div_euclid(86_400);
    let of_day = seconds.rem_euclid(86_400);
    // Eras of 400 years that begin on 1 March: leap days come last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    Civil {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month: usize::try_from(month).unwrap_or(1),
        day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
        weekday: usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
        hour: of_day / 3_600,
        minute: of_day / 60 % 60,
        second: of_day % 60,
    }
}

/// Beyond this no calendar makes sense; keeps the arithmetic of hostile time stamps in range.
const SECONDS_MAX: i64 = 253_402_300_799;

fn local(when: WallTime, zone: &LocalZone) -> Civil {
    civil(when.seconds.clamp(-SECONDS_MAX, SECONDS_MAX) + i64::from(zone.utc_offset_seconds))
}

fn month_name(date: &Civil) -> &'static str {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    MONTHS.get(date.month.wrapping_sub(1)).unwrap_or(&"Jan")
}

/// A time as logs begin with it and `$localtime` of a reject footer shows it: `Jun 05 08:09:10`.
#[must_use]
pub fn log_time(when: WallTime, zone: &LocalZone) -> String {
    let t = local(when, zone);
    format!("{} {:02} {:02}:{:02}:{:02}", month_name(&t), t.day, t.hour, t.minute, t.second)
}

/// A date as Postfix writes it: `Wed, 05 Jun 2024 08:09:10 +0200 (CEST)`.
#[must_use]
pub fn mail_date(when: WallTime, zone: &LocalZone) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    let t = local(when, zone);
    let offset_minutes = zone.utc_offset_seconds / 60;
    let day = DAYS.get(t.weekday).unwrap_or(&"Sun");
    let month = month_name(&t);
    let mut text = String::with_capacity(40);
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "{day}, {:02} {month} {:04} {:02}:{:02}:{:02} {}{:02}{:02} ({})",
        t.day,
        t.year,
        t.hour,
        t.minute,
        t.second,
        // Postfix prints the sign of the hours, so that half an hour west has a plus.
        if offset_minutes / 60 < 0 { '-' } else { '+' },
        (offset_minutes / 60).abs(),
        offset_minutes.abs() % 60,
        zone.name
    );
    text
}

/// `20240605080910` in UTC: the time in a message id of ours.
#[must_use]
pub fn message_id_time(when: WallTime) -> String {
    let t = civil(when.seconds.clamp(-SECONDS_MAX, SECONDS_MAX));
    format!("{:04}{:02}{:02}{:02}{:02}{:02}", t.year, t.month, t.day, t.hour, t.minute, t.second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(seconds: i64, offset: i32, name: &str, expected: &str) {
        let zone = LocalZone { utc_offset_seconds: offset, name: name.to_owned() };
        assert_eq!(mail_date(WallTime::new(seconds, 0), &zone), expected);
    }

    #[test]
    fn writes_dates_as_postfix_does() {
        check(0, 0, "UTC", "Thu, 01 Jan 1970 00:00:00 +0000 (UTC)");
        check(1_717_567_750, 7_200, "CEST", "Wed, 05 Jun 2024 08:09:10 +0200 (CEST)");
        check(951_782_400, 0, "UTC", "Tue, 29 Feb 2000 00:00:00 +0000 (UTC)");
        check(4_107_542_400, 0, "UTC", "Mon, 01 Mar 2100 00:00:00 +0000 (UTC)");
        check(1_717_567_750, -12_600, "NDT", "Wed, 05 Jun 2024 02:39:10 -0330 (NDT)");
        check(1_717_567_750, -1_800, "X", "Wed, 05 Jun 2024 05:39:10 +0030 (X)");
        check(-1, 0, "UTC", "Wed, 31 Dec 1969 23:59:59 +0000 (UTC)");
    }

    #[test]
    fn footers_have_local_time() {
        let zone = LocalZone { utc_offset_seconds: 7_200, name: "CEST".to_owned() };
        assert_eq!(log_time(WallTime::new(1_717_567_750, 0), &zone), "Jun 05 08:09:10");
    }

    #[test]
    fn message_ids_have_utc() {
        assert_eq!(message_id_time(WallTime::new(1_717_567_750, 0)), "20240605060910");
    }

    proptest! {
        #[test]
        fn any_time_is_written(seconds in any::<i64>(), offset in any::<i32>()) {
            let zone = LocalZone { utc_offset_seconds: offset, name: String::new() };
            let _ = mail_date(WallTime::new(seconds, 0), &zone);
        }
    }
}
