//! Parameters whose values are words of a fixed list: what else is wrong, what Postfix says of it and what it does.

use crate::{
    params::{self as p, Id},
    text::Tokens,
};

/// How the words make a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One word, in upper or lower case.
    One,
    /// One word as it is written here, or nothing.
    Exact,
    /// Words as they are written here, separated by white space and commas.
    Set,
    /// The same in upper or lower case.
    AnyCaseSet,
}

use Form::{AnyCaseSet, Exact, One, Set};

/// Parameters with one list of words.
#[derive(Debug)]
pub(crate) struct Choice {
    parameters: &'static [Id],
    form: Form,
    words: &'static [&'static str],
    /// Postfix's words: `{n}` stands for the parameter, `{v}` for its value, `{w}` for the wrong word.
    wrong: &'static str,
    /// A wrong value is warned about, and the default is taken.
    only_warns: bool,
    may_be_empty: bool,
}

const UNKNOWN: &str = "unknown {n} value \"{w}\" in \"{v}\"";
const ACTION: &str = "bad {n} value: {v}";
const TLS_LEVEL: &str = "Invalid TLS level \"{v}\"";

/// Any number of words; nothing else.
const fn set(parameters: &'static [Id], words: &'static [&'static str]) -> Choice {
    Choice { parameters, form: Set, words, wrong: UNKNOWN, only_warns: false, may_be_empty: true }
}

/// One word in any case.
const fn one(parameters: &'static [Id], words: &'static [&'static str], wrong: &'static str) -> Choice {
    Choice { parameters, form: One, words, wrong, only_warns: false, may_be_empty: false }
}

/// One word in any case, or nothing.
const fn one_or_none(
    parameters: &'static [Id],
    words: &'static [&'static str],
    wrong: &'static str,
) -> Choice {
    Choice { may_be_empty: true, ..one(parameters, words, wrong) }
}

const LOG_WORDS: &[&str] = &[
    "0",
    "none",
    "1",
    "routine",
    "2",
    "debug",
    "3",
    "ssl-expert",
    "4",
    "ssl-developer",
    "5",
    "6",
    "7",
    "8",
    "9",
    "summary",
    "untrusted",
    "peercert",
    "certmatch",
    "verbose",
    "cache",
    "dane",
    "ssl-debug",
    "ssl-handshake-packet-dump",
    "ssl-session-packet-dump",
    "trace",
];
const FACILITIES: &[&str] = &[
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "security", "syslog", "user",
    "uucp", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const ALIAS_TYPES: &[&str] = &["alias", "forward", "include"];
const ADDRESS_CLASSES: &[&str] =
    &["envelope_sender", "envelope_recipient", "header_sender", "header_recipient"];
const MAIL_SOURCES: &[&str] = &["sendmail", "smtpd", "qmqpd", "forward", "bounce", "notify", "verify", "all"];
const CLIENT_LEVELS: &[&str] =
    &["none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure"];
const SERVER_LEVELS: &[&str] = &["none", "may", "encrypt", "fingerprint", "verify", "secure"];
const LOCKS: &[&str] = &["fcntl", "dotlock", "flock"];

/// All of them.
const CHOICES: &[Choice] = &[
    set(&[p::inet_protocols], &["all", "ipv4", "ipv6"]),
    Choice {
        wrong: "unknown mynetworks mask style value \"{w}\" in \"{v}\"",
        ..set(&[p::mynetworks_style], &["host", "subnet", "class"])
    },
    Choice {
        form: Exact,
        ..one(&[p::syslog_facility], FACILITIES, "parameter {n}: unrecognized value: {v}")
    },
    one(&[p::info_log_address_format], &["external", "internal"], "invalid parameter setting \"{n} = {v}\""),
    one(
        &[p::non_bdb_migration_level],
        &["disable", "enable-redirect", "enable-reindex"],
        "invalid non-Berkeley-DB migration level: '{v}'",
    ),
    set(&[p::smtputf8_autodetect_classes], MAIL_SOURCES),
    set(
        &[p::internal_mail_filter_classes],
        &["bounce", "notify", "sendmail", "smtpd", "qmqpd", "forward", "verify"],
    ),
    set(
        &[p::notify_classes],
        &["bounce", "2bounce", "data", "delay", "policy", "protocol", "resource", "software"],
    ),
    Choice {
        only_warns: true,
        ..one(
            &[p::maillog_file_permissions],
            &["0600", "0640", "0644", "600", "640", "644"],
            "ignoring bad permissions: {n} = {v}",
        )
    },
    // Clean-up.
    one(&[p::header_from_format], &["standard", "obsolete"], "invalid setting: \"{n} = {v}\""),
    set(
        &[p::propagate_unmatched_extensions],
        &["canonical", "virtual", "alias", "forward", "include", "generic"],
    ),
    set(&[p::canonical_classes, p::masquerade_classes], ADDRESS_CLASSES),
    set(&[p::sender_canonical_classes], &["envelope_sender", "header_sender"]),
    set(&[p::recipient_canonical_classes], &["envelope_recipient", "header_recipient"]),
    one(
        &[p::non_empty_end_of_header_action],
        &["fix_quietly", "add_header", "reject"],
        "bad {n} value: '{v}'",
    ),
    // Ways in.
    set(
        &[p::receive_override_options],
        &["no_unknown_recipient_checks", "no_address_mappings", "no_header_body_checks", "no_milters"],
    ),
    one(
        &[p::smtpd_forbid_bare_newline],
        &["normalize", "yes", "note", "reject", "no"],
        "bad parameter value: '{n} = {v}'",
    ),
    one(
        &[
            p::unknown_helo_hostname_tempfail_action,
            p::unknown_address_tempfail_action,
            p::unverified_recipient_tempfail_action,
            p::unverified_sender_tempfail_action,
        ],
        &["defer_if_permit", "defer"],
        "bad configuration: {n} = {v}",
    ),
    set(&[p::smtpd_proxy_options], &["speed_adjust"]),
    Choice {
        form: Exact,
        ..one_or_none(
            &[p::smtpd_upstream_proxy_protocol, p::postscreen_upstream_proxy_protocol],
            &["haproxy"],
            "unsupported {n} value: {v}",
        )
    },
    one_or_none(
        &[p::smtpd_tls_security_level, p::postscreen_tls_security_level, p::tlsproxy_tls_security_level],
        SERVER_LEVELS,
        TLS_LEVEL,
    ),
    one(
        &[
            p::postscreen_bare_newline_action,
            p::postscreen_denylist_action,
            p::postscreen_dnsbl_action,
            p::postscreen_greet_action,
            p::postscreen_non_smtp_command_action,
            p::postscreen_pipelining_action,
        ],
        &["ignore", "continue", "enforce", "drop"],
        ACTION,
    ),
    Choice {
        form: Exact,
        ..one(&[p::sendmail_fix_line_endings], &["always", "strict", "never"], "invalid {n} value: {v}")
    },
    Choice {
        only_warns: true,
        ..one(
            &[p::milter_default_action],
            &["accept", "reject", "tempfail", "quarantine", "shutdown"],
            "unrecognized default action: {n} = {v}",
        )
    },
    // Ways out.
    one_or_none(
        &[p::smtp_dns_support_level, p::lmtp_dns_support_level],
        &["disabled", "enabled", "dnssec"],
        "invalid {n}: \"{v}\"",
    ),
    one(&[p::smtp_tls_dane_insecure_mx_policy], &["may", "encrypt", "dane"], "invalid {n}: \"{v}\""),
    set(&[p::smtp_host_lookup, p::lmtp_host_lookup], &["dns", "native"]),
    set(&[p::smtp_dns_resolver_options, p::lmtp_dns_resolver_options], &["res_defnames", "res_dnsrch"]),
    one(
        &[p::smtp_address_verify_target, p::lmtp_address_verify_target],
        &["rcpt", "data"],
        "bad protocol stage: \"{n} = {v}\"",
    ),
    one(&[p::smtp_address_preference, p::lmtp_address_preference], &["any", "ipv4", "ipv6"], ACTION),
    one_or_none(
        &[p::smtp_tls_security_level, p::lmtp_tls_security_level],
        CLIENT_LEVELS,
        "invalid tls security level: \"{v}\"",
    ),
    set(&[p::allow_mail_to_commands, p::allow_mail_to_files], ALIAS_TYPES),
    set(&[p::prepend_delivered_header], &["command", "file", "forward"]),
    Choice { may_be_empty: false, ..set(&[p::mailbox_delivery_lock], LOCKS) },
    set(&[p::virtual_mailbox_lock], LOCKS),
    Choice {
        only_warns: true,
        form: AnyCaseSet,
        ..set(
            &[
                p::smtp_tls_loglevel,
                p::lmtp_tls_loglevel,
                p::smtpd_tls_loglevel,
                p::postscreen_tls_loglevel,
                p::tlsproxy_client_loglevel,
                p::tlsproxy_tls_loglevel,
            ],
            LOG_WORDS,
        )
    },
];

impl Choice {
    /// The list that a parameter's value is chosen from.
    pub(crate) fn of(id: Id) -> Option<&'static Self> {
        CHOICES.iter().find(|choice| choice.parameters.contains(&id))
    }

    /// All parameters with a list.
    pub(crate) fn parameters() -> impl Iterator<Item = Id> {
        CHOICES.iter().flat_map(|choice| choice.parameters.iter().copied())
    }

    /// True if a wrong value is warned about only.
    pub(crate) const fn only_warns(&self) -> bool {
        self.only_warns
    }

    /// What to write instead of a wrong value.
    pub(crate) fn remedy(&self) -> String {
        let how = if matches!(self.form, One | Exact) { "one" } else { "any" };
        let or_nothing = if self.may_be_empty && how == "one" { ", or nothing" } else { "" };
        format!("specify {how} of {}{or_nothing}", self.words.join(", "))
    }

    /// Whether a value is made of the words; if not, why, in Postfix's words.
    pub(crate) fn check(&self, name: &str, value: &str) -> Result<(), String> {
        let knows = |word: &str| {
            let any_case = matches!(self.form, One | AnyCaseSet);
            self.words.iter().any(|known| *known == word || any_case && known.eq_ignore_ascii_case(word))
        };
        let say = |word: &str| self.wrong.replace("{n}", name).replace("{w}", word).replace("{v}", value);
        if matches!(self.form, One | Exact) {
            let fine = knows(value) || value.is_empty() && self.may_be_empty;
            return if fine { Ok(()) } else { Err(say(value)) };
        }
        let mut words = Tokens { rest: value, separators: b", \t\r\n", braces: false };
        let count = words.clone().count();
        if let Some(word) = words.find(|word| !knows(word)) {
            return Err(say(word));
        }
        if self.parameters == [p::mynetworks_style] && count != 1 {
            return Err(format!("bad {name} value: {value}; specify exactly one value"));
        }
        if count == 0 && !self.may_be_empty {
            return Err(format!("parameter {name} specifies no applicable mailbox locking method"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
