//! Lines of anvil(8).

use std::fmt;

/// The greatest counts of the recent past.
#[derive(Clone, Debug)]
pub enum AnvilEvent<'a> {
    /// Events in a time unit.
    MaxRate {
        /// `connection`, `message`, `recipient`, `newtls`, `auth`.
        what: &'a str,
        /// How many.
        value: u32,
        /// postconf(5) `anvil_rate_time_unit`
        unit_seconds: u64,
        /// `service:client`
        who: &'a str,
        /// When, as syslog writes it: `Nov  3 02:10:10`.
        at: &'a str,
    },
    /// Connections at once.
    MaxCount {
        /// How many.
        value: u32,
        /// `service:client`
        who: &'a str,
        /// When.
        at: &'a str,
    },
    /// Clients that were remembered at once.
    MaxCacheSize {
        /// How many.
        value: u32,
        /// When.
        at: &'a str,
    },
}

impl fmt::Display for AnvilEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxRate { what, value, unit_seconds, who, at } => {
                write!(f, "statistics: max {what} rate {value}/{unit_seconds}s for ({who}) at {at}")
            }
            Self::MaxCount { value, who, at } => {
                write!(f, "statistics: max connection count {value} for ({who}) at {at}")
            }
            Self::MaxCacheSize { value, at } => write!(f, "statistics: max cache size {value} at {at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_logged_as_anvil_logs_them() {
        let (who, at) = ("smtp:192.0.2.1", "Nov  3 02:10:10");
        let rate = AnvilEvent::MaxRate { what: "connection", value: 7, unit_seconds: 60, who, at };
        let expected = "statistics: max connection rate 7/60s for (smtp:192.0.2.1) at Nov  3 02:10:10";
        assert_eq!(rate.to_string(), expected);
        let count = AnvilEvent::MaxCount { value: 2, who, at };
        let expected = "statistics: max connection count 2 for (smtp:192.0.2.1) at Nov  3 02:10:10";
        assert_eq!(count.to_string(), expected);
        let size = AnvilEvent::MaxCacheSize { value: 1, at };
        assert_eq!(size.to_string(), "statistics: max cache size 1 at Nov  3 02:10:10");
    }
}
