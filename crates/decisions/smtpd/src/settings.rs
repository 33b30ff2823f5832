//! The parameters of an SMTP server, as one service of master.cf has them.

use std::time::Duration;

/// postconf(5) `smtpd_forbid_bare_newline`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForbidBareNewline {
    /// `no`
    No,
    /// `normalize`, and `yes`, its older name.
    Normalize,
    /// `note`: as normalize, and the disconnect line says so.
    Note,
    /// `reject`
    Reject,
}

/// Bounds of a session.
#[derive(Clone, Debug)]
pub struct Limits {
    /// postconf(5) `smtpd_timeout`
    pub smtpd_timeout: Duration,
    /// postconf(5) `smtpd_per_request_deadline`
    pub smtpd_per_request_deadline: bool,
    /// postconf(5) `smtpd_min_data_rate`, bytes a second
    pub smtpd_min_data_rate: u64,
    /// postconf(5) `line_length_limit`, bytes
    pub line_length_limit: usize,
    /// postconf(5) `message_size_limit`, bytes; 0 is no limit
    pub message_size_limit: u64,
    /// postconf(5) `smtpd_soft_error_limit`
    pub smtpd_soft_error_limit: u32,
    /// postconf(5) `smtpd_hard_error_limit`
    pub smtpd_hard_error_limit: u32,
    /// postconf(5) `smtpd_error_sleep_time`
    pub smtpd_error_sleep_time: Duration,
    /// postconf(5) `smtpd_junk_command_limit`
    pub smtpd_junk_command_limit: u32,
    /// postconf(5) `smtpd_recipient_limit`
    pub smtpd_recipient_limit: usize,
    /// postconf(5) `smtpd_recipient_overshoot_limit`
    pub smtpd_recipient_overshoot_limit: u32,
}

/// What is spoken.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// postconf(5) `smtpd_helo_required`
    pub smtpd_helo_required: bool,
    /// postconf(5) `strict_rfc821_envelopes`
    pub strict_rfc821_envelopes: bool,
    /// postconf(5) `disable_vrfy_command`
    pub disable_vrfy_command: bool,
    /// postconf(5) `smtputf8_enable`
    pub smtputf8_enable: bool,
    /// postconf(5) `strict_smtputf8`
    pub strict_smtputf8: bool,
    /// postconf(5) `smtpd_forbid_bare_newline`
    pub smtpd_forbid_bare_newline: ForbidBareNewline,
    /// postconf(5) `smtpd_forbid_bare_newline_reject_code`
    pub smtpd_forbid_bare_newline_reject_code: u16,
    /// postconf(5) `smtpd_forbid_unauth_pipelining`
    pub smtpd_forbid_unauth_pipelining: bool,
    /// postconf(5) `smtpd_delay_open_until_valid_rcpt`
    pub smtpd_delay_open_until_valid_rcpt: bool,
    /// postconf(5) `smtpd_noop_commands` or `smtpd_command_filter` is set.
    pub commands_are_screened: bool,
    /// postconf(5) `soft_bounce`
    pub soft_bounce: bool,
    /// postconf(5) `smtpd_delay_reject`
    pub smtpd_delay_reject: bool,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct SmtpdSettings {
    /// postconf(5) `myhostname`
    pub myhostname: String,
    /// postconf(5) `smtpd_banner`
    pub smtpd_banner: String,
    /// Bounds.
    pub limits: Limits,
    /// What is spoken.
    pub protocol: Protocol,
}
