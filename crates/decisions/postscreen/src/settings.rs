//! The parameters of postscreen, as its row of master.cf has them.

use crate::{Test, Tests, lists::DnsblDomain};
use ::dnsbl::Answers;
use config::{Invalid, Values, params as p};
use std::time::Duration;
use wire::EhloKeywords;

/// What happens to a client that fails a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The test counts for nothing now, and is done again next time.
    Ignore,
    /// Further tests are done, and every recipient is refused.
    Enforce,
    /// The connection is closed at once.
    Drop,
}

impl Action {
    fn load(values: &Values, id: p::Id) -> Result<Self, Invalid> {
        match values.text(id).to_ascii_lowercase().as_str() {
            // Its name before Postfix 2.8.
            "ignore" | "continue" => Ok(Self::Ignore),
            "enforce" => Ok(Self::Enforce),
            "drop" => Ok(Self::Drop),
            other => Err(Invalid::value(id.name(), other, "want ignore, enforce or drop, not")),
        }
    }
}

/// A time limit, and the shorter one under stress (postconf(5) `stress`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StressTime {
    normal: Duration,
    stressed: Duration,
}

impl StressTime {
    fn load(values: &Values, id: p::Id) -> Self {
        let under = |stress| values.with(&[("stress", stress)]).time(id);
        Self { normal: under(""), stressed: under("yes") }
    }

    /// The one that counts.
    #[must_use]
    pub const fn under(self, is_stressed: bool) -> Duration {
        if is_stressed { self.stressed } else { self.normal }
    }
}

/// A test after the greeting.
#[derive(Clone, Copy, Debug)]
pub struct DeepTest {
    /// What happens to those who fail.
    pub action: Action,
    /// How long having passed counts, in seconds.
    pub ttl_seconds: i64,
}

/// DNS block and allow lists.
#[derive(Clone, Debug)]
pub struct DnsblSettings {
    /// postconf(5) `postscreen_dnsbl_sites`, each domain once
    pub postscreen_dnsbl_sites: Vec<DnsblDomain>,
    /// Which answers of a list may be listings.
    pub answers: Answers,
    /// postconf(5) `postscreen_dnsbl_action`
    pub postscreen_dnsbl_action: Action,
    /// postconf(5) `postscreen_dnsbl_threshold`
    pub postscreen_dnsbl_threshold: i64,
    /// postconf(5) `postscreen_dnsbl_allowlist_threshold`; without effect from 0 up
    pub postscreen_dnsbl_allowlist_threshold: i64,
    /// postconf(5) `postscreen_dnsbl_min_ttl`, seconds
    pub postscreen_dnsbl_min_ttl: i64,
    /// postconf(5) `postscreen_dnsbl_max_ttl`, seconds
    pub postscreen_dnsbl_max_ttl: i64,
    /// postconf(5) `postscreen_dnsbl_timeout`
    pub postscreen_dnsbl_timeout: Duration,
}

/// How many and how long.
#[derive(Clone, Debug)]
pub struct Limits {
    /// postconf(5) `postscreen_client_connection_count_limit`; 0 is no limit
    pub postscreen_client_connection_count_limit: usize,
    /// postconf(5) `postscreen_pre_queue_limit`
    pub postscreen_pre_queue_limit: usize,
    /// postconf(5) `postscreen_post_queue_limit`
    pub postscreen_post_queue_limit: usize,
    /// postconf(5) `postscreen_command_count_limit`
    pub postscreen_command_count_limit: usize,
    /// postconf(5) `postscreen_command_time_limit`
    pub postscreen_command_time_limit: StressTime,
    /// postconf(5) `line_length_limit`, bytes
    pub line_length_limit: usize,
}

/// What the server after the greeting says and wants.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// postconf(5) `myhostname`
    pub myhostname: String,
    /// postconf(5) `smtpd_banner`
    pub smtpd_banner: String,
    /// postconf(5) `message_size_limit`
    pub message_size_limit: i64,
    /// postconf(5) `disable_vrfy_command`: is it announced?
    pub disable_vrfy_command: bool,
    /// postconf(5) `postscreen_disable_vrfy_command`: is it carried out?
    pub postscreen_disable_vrfy_command: bool,
    /// postconf(5) `postscreen_helo_required`
    pub postscreen_helo_required: bool,
    /// postconf(5) `postscreen_discard_ehlo_keywords`
    pub postscreen_discard_ehlo_keywords: EhloKeywords,
    /// postconf(5) `smtputf8_enable`
    pub smtputf8_enable: bool,
    /// Nothing but STARTTLS will do (postconf(5) `postscreen_tls_security_level`).
    pub requires_tls: bool,
    /// postconf(5) `soft_bounce`
    pub soft_bounce: bool,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The tests that are switched on.
    pub enabled: Tests,
    /// postconf(5) `postscreen_denylist_action`
    pub postscreen_denylist_action: Action,
    /// postconf(5) `postscreen_greet_banner`; empty: no test
    pub postscreen_greet_banner: String,
    /// postconf(5) `postscreen_greet_action`
    pub postscreen_greet_action: Action,
    /// postconf(5) `postscreen_greet_ttl`, seconds
    pub postscreen_greet_ttl: i64,
    /// postconf(5) `postscreen_greet_wait`
    pub postscreen_greet_wait: StressTime,
    /// DNS lists.
    pub dnsbl: DnsblSettings,
    /// postconf(5) `postscreen_pipelining_action` and its kin
    pub pipelining: DeepTest,
    /// postconf(5) `postscreen_non_smtp_command_action` and its kin
    pub non_smtp_command: DeepTest,
    /// postconf(5) `postscreen_bare_newline_action` and its kin
    pub bare_newline: DeepTest,
    /// postconf(5) `postscreen_cache_retention_time`, seconds
    pub postscreen_cache_retention_time: i64,
    /// Counts and times.
    pub limits: Limits,
    /// Words.
    pub protocol: Protocol,
    /// postconf(5) `smtpd_service_name`
    pub smtpd_service_name: String,
    /// postconf(5) `respectful_logging`
    pub respectful_logging: bool,
    /// The same, because of an old default.
    pub has_old_respectful_logging: bool,
    /// postconf(5) `delay_logging_resolution_limit`
    pub delay_logging_resolution_limit: u8,
}

fn seconds(values: &Values, id: p::Id) -> i64 {
    i64::try_from(values.time(id).as_secs()).unwrap_or(i64::MAX)
}

fn count(values: &Values, id: p::Id) -> usize {
    usize::try_from(values.int(id)).unwrap_or(0)
}

impl Settings {
    /// The typed view of one service.
    ///
    /// # Errors
    /// What Postfix stops at with `fatal:`.
    pub fn load(values: &Values) -> Result<Self, Invalid> {
        let dnsbl = DnsblSettings::load(values)?;
        let mut enabled = Tests::NONE;
        let mut enable = |test, is_on| {
            if is_on {
                enabled.add(test);
            }
        };
        enable(Test::Pregreet, !values.text(p::postscreen_greet_banner).is_empty());
        enable(Test::Dnsbl, !dnsbl.postscreen_dnsbl_sites.is_empty());
        enable(Test::Pipelining, values.bool(p::postscreen_pipelining_enable));
        enable(Test::NonSmtp, values.bool(p::postscreen_non_smtp_command_enable));
        enable(Test::BareNewline, values.bool(p::postscreen_bare_newline_enable));
        let deep = |action, ttl| {
            Ok(DeepTest { action: Action::load(values, action)?, ttl_seconds: seconds(values, ttl) })
        };
        Ok(Self {
            enabled,
            postscreen_denylist_action: Action::load(values, p::postscreen_denylist_action)?,
            postscreen_greet_banner: values.text(p::postscreen_greet_banner).to_owned(),
            postscreen_greet_action: Action::load(values, p::postscreen_greet_action)?,
            postscreen_greet_ttl: seconds(values, p::postscreen_greet_ttl),
            postscreen_greet_wait: StressTime::load(values, p::postscreen_greet_wait),
            dnsbl,
            pipelining: deep(p::postscreen_pipelining_action, p::postscreen_pipelining_ttl)?,
            non_smtp_command: deep(
                p::postscreen_non_smtp_command_action,
                p::postscreen_non_smtp_command_ttl,
            )?,
            bare_newline: deep(p::postscreen_bare_newline_action, p::postscreen_bare_newline_ttl)?,
            postscreen_cache_retention_time: seconds(values, p::postscreen_cache_retention_time),
            limits: Limits::load(values),
            protocol: Protocol::load(values),
            smtpd_service_name: values.text(p::smtpd_service_name).to_owned(),
            respectful_logging: values.bool(p::respectful_logging),
            has_old_respectful_logging: values.has_old_default(p::respectful_logging)
                && !values.bool(p::respectful_logging),
            delay_logging_resolution_limit: u8::try_from(values.int(p::delay_logging_resolution_limit))
                .unwrap_or(2),
        })
    }

    /// How long a test counts as passed that a client has failed without consequences, in seconds.
    pub(crate) fn min_ttl(&self) -> i64 {
        let deep = [self.pipelining, self.non_smtp_command, self.bare_newline].map(|test| test.ttl_seconds);
        let early = self.postscreen_greet_ttl.min(self.dnsbl.postscreen_dnsbl_min_ttl);
        deep.into_iter().fold(early, i64::min)
    }

    pub(crate) const fn deep(&self, test: Test) -> DeepTest {
        match test {
            Test::NonSmtp => self.non_smtp_command,
            Test::BareNewline => self.bare_newline,
            Test::Pipelining | Test::Pregreet | Test::Dnsbl => self.pipelining,
        }
    }
}

impl DnsblSettings {
    fn load(values: &Values) -> Result<Self, Invalid> {
        Ok(Self {
            postscreen_dnsbl_sites: DnsblDomain::parse_list(values.text(p::postscreen_dnsbl_sites))?,
            answers: Answers::load(values),
            postscreen_dnsbl_action: Action::load(values, p::postscreen_dnsbl_action)?,
            postscreen_dnsbl_threshold: values.int(p::postscreen_dnsbl_threshold),
            postscreen_dnsbl_allowlist_threshold: values.int(p::postscreen_dnsbl_allowlist_threshold),
            postscreen_dnsbl_min_ttl: seconds(values, p::postscreen_dnsbl_min_ttl),
            postscreen_dnsbl_max_ttl: seconds(values, p::postscreen_dnsbl_max_ttl),
            postscreen_dnsbl_timeout: values.time(p::postscreen_dnsbl_timeout),
        })
    }
}

impl Limits {
    fn load(values: &Values) -> Self {
        Self {
            postscreen_client_connection_count_limit: count(
                values,
                p::postscreen_client_connection_count_limit,
            ),
            postscreen_pre_queue_limit: count(values, p::postscreen_pre_queue_limit),
            postscreen_post_queue_limit: count(values, p::postscreen_post_queue_limit),
            postscreen_command_count_limit: count(values, p::postscreen_command_count_limit),
            postscreen_command_time_limit: StressTime::load(values, p::postscreen_command_time_limit),
            line_length_limit: count(values, p::line_length_limit),
        }
    }
}

impl Protocol {
    fn load(values: &Values) -> Self {
        let requires_tls = match values.text(p::postscreen_tls_security_level) {
            "" => values.bool(p::postscreen_enforce_tls),
            level => !matches!(level, "none" | "may"),
        };
        Self {
            myhostname: values.text(p::myhostname).to_owned(),
            smtpd_banner: values.text(p::smtpd_banner).to_owned(),
            message_size_limit: values.int(p::message_size_limit),
            disable_vrfy_command: values.bool(p::disable_vrfy_command),
            postscreen_disable_vrfy_command: values.bool(p::postscreen_disable_vrfy_command),
            postscreen_helo_required: values.bool(p::postscreen_helo_required),
            postscreen_discard_ehlo_keywords: EhloKeywords::parse(
                values.text(p::postscreen_discard_ehlo_keywords),
            )
            .0,
            smtputf8_enable: values.bool(p::smtputf8_enable),
            requires_tls,
            soft_bounce: values.bool(p::soft_bounce),
        }
    }
}
