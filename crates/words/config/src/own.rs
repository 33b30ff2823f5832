//! Parameters that Postfix does not have. To Postfix they are names of the administrator's own that nothing reads, so a
//! main.cf with them still suits it.

use crate::number;
use std::time::Duration;

/// One of them, of some type.
#[derive(Clone, Copy, Debug)]
pub struct Own<T> {
    /// As main.cf has it.
    pub name: &'static str,
    /// Where main.cf does not.
    pub default: T,
    /// What it is for.
    pub doc: &'static str,
}

/// Of whatever type.
#[derive(Clone, Copy, Debug)]
pub enum AnyOwn {
    /// A span of time; a number without a unit is seconds.
    Time(&'static Own<Duration>),
    /// A whole number, 0 or more.
    Number(&'static Own<i64>),
    /// One of some words, of which the first is the default.
    Word(&'static Own<&'static [&'static str]>),
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `anvil_client_limit`
pub static ANVIL_CLIENT_LIMIT: Own<i64> = Own {
    name: "anvil_client_limit",
    default: 100_000,
    doc: "How many clients are remembered for counts and rates; beyond, those that are gone are forgotten early.",
};
/// `cache_memory_entry_limit`
pub static CACHE_MEMORY_ENTRY_LIMIT: Own<i64> = Own {
    name: "cache_memory_entry_limit",
    default: 100_000,
    doc: "How many entries of a cache are held in memory: all of one without a table, else those not yet written.",
};
/// `dnsbl_answers`
pub static DNSBL_ANSWERS: Own<&[&str]> = Own {
    name: "dnsbl_answers",
    default: &["documented", "any"],
    doc: "Which answers of a DNS block or allow list are listings: those that lists document (127.0.0.0/8 without 127.255.255.0/24), or any.",
};
/// `lookup_process_limit`
pub static LOOKUP_PROCESS_LIMIT: Own<i64> = Own {
    name: "lookup_process_limit",
    default: 10,
    doc: "How many processes at once, for each of receive and deliver, ask tables that may hang.",
};
/// `lookup_reply_size_limit`
pub static LOOKUP_REPLY_SIZE_LIMIT: Own<i64> = Own {
    name: "lookup_reply_size_limit",
    default: 16 << 20,
    doc: "How many bytes a table's server may answer to one query.",
};
/// `lookup_time_limit`
pub static LOOKUP_TIME_LIMIT: Own<Duration> = Own {
    name: "lookup_time_limit",
    default: seconds(10),
    doc: "How long a table or user database that may hang may take to answer.",
};
/// `maillog_file_format`
pub static MAILLOG_FILE_FORMAT: Own<&[&str]> = Own {
    name: "maillog_file_format",
    default: &["postfix", "json"],
    doc: "How the lines of maillog_file are written.",
};
/// `maillog_wait_limit`
pub static MAILLOG_WAIT_LIMIT: Own<Duration> = Own {
    name: "maillog_wait_limit",
    default: seconds(1),
    doc: "How long to wait for a logger that does not read; then lines are counted instead.",
};
/// `reload_drain_time_limit`
pub static RELOAD_DRAIN_TIME_LIMIT: Own<Duration> = Own {
    name: "reload_drain_time_limit",
    default: seconds(3_600),
    doc: "How long an older generation may finish its sessions and deliveries.",
};
/// `service_failure_limit`
pub static SERVICE_FAILURE_LIMIT: Own<i64> = Own {
    name: "service_failure_limit",
    default: 5,
    doc: "How often a process may end by itself within service_throttle_time before it has to wait.",
};
/// `smtpd_account_connection_count_limit`
pub static SMTPD_ACCOUNT_CONNECTION_COUNT_LIMIT: Own<i64> = Own {
    name: "smtpd_account_connection_count_limit",
    default: 0,
    doc: "How many sessions an account that has logged in may have at once; 0 is no limit.",
};
/// `smtpd_account_connection_rate_limit`
pub static SMTPD_ACCOUNT_CONNECTION_RATE_LIMIT: Own<i64> = Own {
    name: "smtpd_account_connection_rate_limit",
    default: 0,
    doc: "How often an account may log in in anvil_rate_time_unit; 0 is no limit.",
};
/// `smtpd_account_message_rate_limit`
pub static SMTPD_ACCOUNT_MESSAGE_RATE_LIMIT: Own<i64> = Own {
    name: "smtpd_account_message_rate_limit",
    default: 0,
    doc: "How many messages an account may begin in anvil_rate_time_unit; 0 is no limit.",
};
/// `smtpd_account_recipient_rate_limit`
pub static SMTPD_ACCOUNT_RECIPIENT_RATE_LIMIT: Own<i64> = Own {
    name: "smtpd_account_recipient_rate_limit",
    default: 0,
    doc: "How many recipients an account may name in anvil_rate_time_unit; 0 is no limit.",
};

/// All of them, in the order of their names.
pub static ALL: [AnyOwn; 14] = [
    AnyOwn::Number(&ANVIL_CLIENT_LIMIT),
    AnyOwn::Number(&CACHE_MEMORY_ENTRY_LIMIT),
    AnyOwn::Word(&DNSBL_ANSWERS),
    AnyOwn::Number(&LOOKUP_PROCESS_LIMIT),
    AnyOwn::Number(&LOOKUP_REPLY_SIZE_LIMIT),
    AnyOwn::Time(&LOOKUP_TIME_LIMIT),
    AnyOwn::Word(&MAILLOG_FILE_FORMAT),
    AnyOwn::Time(&MAILLOG_WAIT_LIMIT),
    AnyOwn::Time(&RELOAD_DRAIN_TIME_LIMIT),
    AnyOwn::Number(&SERVICE_FAILURE_LIMIT),
    AnyOwn::Number(&SMTPD_ACCOUNT_CONNECTION_COUNT_LIMIT),
    AnyOwn::Number(&SMTPD_ACCOUNT_CONNECTION_RATE_LIMIT),
    AnyOwn::Number(&SMTPD_ACCOUNT_MESSAGE_RATE_LIMIT),
    AnyOwn::Number(&SMTPD_ACCOUNT_RECIPIENT_RATE_LIMIT),
];

/// The one of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static AnyOwn> {
    ALL.iter().find(|own| own.name() == name)
}

impl AnyOwn {
    /// As main.cf has it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Time(own) => own.name,
            Self::Number(own) => own.name,
            Self::Word(own) => own.name,
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn doc(&self) -> &'static str {
        match self {
            Self::Time(own) => own.doc,
            Self::Number(own) => own.doc,
            Self::Word(own) => own.doc,
        }
    }

    /// What a value may be.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Time(_) => "time".to_owned(),
            Self::Number(_) => "number".to_owned(),
            Self::Word(own) => own.default.join(" or "),
        }
    }

    /// The default, as main.cf would have it.
    #[must_use]
    pub fn default(&self) -> String {
        match self {
            Self::Time(own) => format!("{}s", own.default.as_secs()),
            Self::Number(own) => own.default.to_string(),
            Self::Word(own) => own.default.first().copied().unwrap_or_default().to_owned(),
        }
    }

    /// What is wrong with a value, if something is.
    pub(crate) fn wrong(&self, text: &str) -> Option<String> {
        let (is_good, remedy) = match self {
            Self::Time(_) => (time(text).is_some(), "specify a time such as 30s, 5m or 1h".to_owned()),
            Self::Number(_) => (number(text).is_some(), "specify a whole number of at least 0".to_owned()),
            Self::Word(own) => (own.default.contains(&text), format!("specify {}", self.kind())),
        };
        (!is_good).then(|| format!("bad value for {}: {text}; {remedy}", self.name()))
    }
}

pub(crate) fn time(text: &str) -> Option<Duration> {
    let seconds = number::time_in_seconds(text.trim(), 's')
        .filter(|_| text.trim().starts_with(|c: char| c.is_ascii_digit()))?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

pub(crate) fn number(text: &str) -> Option<i64> {
    number::integer(text).filter(|number| *number >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Values, params};

    #[test]
    fn they_are_in_order_and_none_is_postfixs() {
        assert!(ALL.windows(2).all(|pair| pair[0].name() < pair[1].name()));
        assert!(ALL.iter().all(|own| params::by_spelling(own.name()).is_none() && own.doc().ends_with('.')));
    }

    #[test]
    fn values_are_taken_and_bad_ones_named() {
        let values =
            |value: &str| Values::for_tests(&[("lookup_time_limit", value), ("lookup_process_limit", value)]);
        assert_eq!(values("2m").own_time(&LOOKUP_TIME_LIMIT), Duration::from_secs(120));
        assert_eq!(values("soon").own_time(&LOOKUP_TIME_LIMIT), Duration::from_secs(10));
        assert_eq!(values("7").own_number(&LOOKUP_PROCESS_LIMIT), 7);
        assert_eq!(values("-7").own_number(&LOOKUP_PROCESS_LIMIT), 10);
        assert_eq!(Values::for_tests(&[]).own_word(&MAILLOG_FILE_FORMAT), "postfix");
        let wrong = |name: &str, value: &str| by_name(name).unwrap().wrong(value);
        assert_eq!(wrong("lookup_time_limit", "2m"), None);
        assert!(wrong("lookup_time_limit", "soon").unwrap().contains("specify a time"));
        assert!(wrong("lookup_process_limit", "-1").is_some());
        assert_eq!(wrong("maillog_file_format", "json"), None);
        assert!(wrong("maillog_file_format", "xml").unwrap().ends_with("specify postfix or json"));
    }
}
