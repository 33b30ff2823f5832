//! The parameters of an SMTP server, as one service of master.cf has them.

use crate::{client_limits::ClientLimits, restrictions::RestrictionLists, unverified::UnverifiedSettings};
use config::{Invalid, NotifyClasses, Protocols, Values, params as p};
use std::time::Duration;
use types::VerpDelimiters;

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
    /// postconf(5) `smtpd_history_flush_threshold`
    pub smtpd_history_flush_threshold: usize,
}

/// What is spoken.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// Mail is taken under TLS only: `smtpd_tls_security_level` above `may`, or `smtpd_enforce_tls`, or
    /// `smtpd_tls_wrappermode`. As long as there is no TLS, that means: from nobody.
    pub requires_tls: bool,
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
    /// postconf(5) `smtpd_reject_filter_maps`, `smtpd_reject_footer` or `smtpd_reject_footer_maps` is set.
    pub refusals_are_dressed: bool,
    /// postconf(5) `inet_protocols`
    pub inet_protocols: Protocols,
    /// postconf(5) `smtpd_client_port_logging`
    pub smtpd_client_port_logging: bool,
    /// postconf(5) `smtpd_peername_lookup`: whether to call [`crate::peer_name`]
    pub smtpd_peername_lookup: bool,
    /// postconf(5) `default_verp_delimiters`
    pub default_verp_delimiters: VerpDelimiters,
    /// postconf(5) `verp_delimiter_filter`
    pub verp_delimiter_filter: String,
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
    /// What one client may do how often.
    pub client_limits: ClientLimits,
    /// What is spoken.
    pub protocol: Protocol,
    /// Who may do what.
    pub restrictions: RestrictionLists,
    /// What rejects say.
    pub codes: Codes,
    /// Addresses that are probed.
    pub unverified: UnverifiedSettings,
    /// postconf(5) `notify_classes`
    pub notify_classes: NotifyClasses,
}

/// What is done where DNS fails for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TempfailAction {
    /// `defer`: refuse for now.
    Defer,
    /// `defer_if_permit`: refuse for now, unless something else refuses for good.
    DeferIfPermit,
}

impl TempfailAction {
    pub(crate) fn load(values: &Values, id: p::Id) -> Result<Self, Invalid> {
        match values.text(id) {
            "defer" => Ok(Self::Defer),
            "defer_if_permit" => Ok(Self::DeferIfPermit),
            text => Err(Invalid::value(id.name(), text, "want defer or defer_if_permit, not")),
        }
    }
}

/// Reply codes and texts of rejects.
#[derive(Clone, Debug)]
pub struct Codes {
    /// postconf(5) `reject_code`
    pub reject_code: u16,
    /// postconf(5) `defer_code`
    pub defer_code: u16,
    /// postconf(5) `access_map_reject_code`
    pub access_map_reject_code: u16,
    /// postconf(5) `access_map_defer_code`
    pub access_map_defer_code: u16,
    /// postconf(5) `relay_domains_reject_code`
    pub relay_domains_reject_code: u16,
    /// postconf(5) `non_fqdn_reject_code`
    pub non_fqdn_reject_code: u16,
    /// postconf(5) `invalid_hostname_reject_code`
    pub invalid_hostname_reject_code: u16,
    /// postconf(5) `unknown_address_reject_code`
    pub unknown_address_reject_code: u16,
    /// postconf(5) `unknown_local_recipient_reject_code`
    pub unknown_local_recipient_reject_code: u16,
    /// postconf(5) `unknown_virtual_alias_reject_code`
    pub unknown_virtual_alias_reject_code: u16,
    /// postconf(5) `unknown_virtual_mailbox_reject_code`
    pub unknown_virtual_mailbox_reject_code: u16,
    /// postconf(5) `unknown_relay_recipient_reject_code`
    pub unknown_relay_recipient_reject_code: u16,
    /// postconf(5) `multi_recipient_bounce_reject_code`
    pub multi_recipient_bounce_reject_code: u16,
    /// postconf(5) `maps_rbl_reject_code`
    pub maps_rbl_reject_code: u16,
    /// postconf(5) `unknown_client_reject_code`
    pub unknown_client_reject_code: u16,
    /// postconf(5) `unknown_hostname_reject_code`
    pub unknown_hostname_reject_code: u16,
    /// postconf(5) `plaintext_reject_code`
    pub plaintext_reject_code: u16,
    /// postconf(5) `unknown_helo_hostname_tempfail_action`
    pub unknown_helo_hostname_tempfail_action: TempfailAction,
    /// postconf(5) `unknown_address_tempfail_action`
    pub unknown_address_tempfail_action: TempfailAction,
    /// postconf(5) `show_user_unknown_table_name`
    pub show_user_unknown_table_name: bool,
}

impl SmtpdSettings {
    /// The typed view of one service. What Postfix stops at with `fatal:` is an error;
    /// [`RestrictionLists::problems`] has what is to be warned about.
    pub fn load(values: &Values) -> Result<Self, Invalid> {
        Ok(Self {
            myhostname: values.text(p::myhostname).to_owned(),
            smtpd_banner: values.text(p::smtpd_banner).to_owned(),
            limits: Limits::load(values),
            client_limits: ClientLimits::load(values),
            protocol: Protocol::load(values)?,
            restrictions: RestrictionLists::load(values)?,
            codes: Codes::load(values)?,
            unverified: UnverifiedSettings::load(values)?,
            notify_classes: values.notify_classes(),
        })
    }
}

impl SmtpdSettings {
    /// The same for `sendmail -bs`, which nobody reaches over a network: without restrictions, without TLS, and without
    /// telling the postmaster.
    pub fn load_stand_alone(values: &Values) -> Result<Self, Invalid> {
        let mut protocol = Protocol::load(values)?;
        protocol.requires_tls = false;
        Ok(Self {
            myhostname: values.text(p::myhostname).to_owned(),
            smtpd_banner: values.text(p::smtpd_banner).to_owned(),
            limits: Limits::load(values),
            client_limits: ClientLimits::default(),
            protocol,
            restrictions: RestrictionLists::none(),
            codes: Codes::load(values)?,
            unverified: UnverifiedSettings::load(values)?,
            notify_classes: NotifyClasses::default(),
        })
    }
}

impl Limits {
    fn load(values: &Values) -> Self {
        let count = |id| u32::try_from(values.int(id).max(0)).unwrap_or(u32::MAX);
        let size = |id| u64::try_from(values.int(id)).unwrap_or(0);
        Self {
            smtpd_timeout: values.time(p::smtpd_timeout),
            smtpd_per_request_deadline: values.bool(p::smtpd_per_request_deadline),
            smtpd_min_data_rate: size(p::smtpd_min_data_rate),
            line_length_limit: usize::try_from(size(p::line_length_limit)).unwrap_or(usize::MAX),
            message_size_limit: size(p::message_size_limit),
            smtpd_soft_error_limit: count(p::smtpd_soft_error_limit),
            smtpd_hard_error_limit: count(p::smtpd_hard_error_limit),
            smtpd_error_sleep_time: values.time(p::smtpd_error_sleep_time),
            smtpd_junk_command_limit: count(p::smtpd_junk_command_limit),
            smtpd_recipient_limit: usize::try_from(size(p::smtpd_recipient_limit)).unwrap_or(usize::MAX),
            smtpd_recipient_overshoot_limit: count(p::smtpd_recipient_overshoot_limit),
            smtpd_history_flush_threshold: usize::try_from(size(p::smtpd_history_flush_threshold))
                .unwrap_or(usize::MAX),
        }
    }
}

impl Protocol {
    fn load(values: &Values) -> Result<Self, Invalid> {
        let text = values.text(p::smtpd_forbid_bare_newline);
        let smtpd_forbid_bare_newline = match text.to_ascii_lowercase().as_str() {
            "normalize" | "yes" => ForbidBareNewline::Normalize,
            "note" => ForbidBareNewline::Note,
            "reject" => ForbidBareNewline::Reject,
            "no" => ForbidBareNewline::No,
            _ => {
                let why = "want normalize, reject, note, yes or no, not";
                return Err(Invalid::value("smtpd_forbid_bare_newline", text, why));
            }
        };
        let is_set = |id| !values.text(id).trim().is_empty();
        Ok(Self {
            requires_tls: requires_tls(values),
            smtpd_helo_required: values.bool(p::smtpd_helo_required),
            strict_rfc821_envelopes: values.bool(p::strict_rfc821_envelopes),
            disable_vrfy_command: values.bool(p::disable_vrfy_command),
            smtputf8_enable: values.bool(p::smtputf8_enable),
            strict_smtputf8: values.bool(p::strict_smtputf8),
            smtpd_forbid_bare_newline,
            smtpd_forbid_bare_newline_reject_code: code(values, p::smtpd_forbid_bare_newline_reject_code),
            smtpd_forbid_unauth_pipelining: values.bool(p::smtpd_forbid_unauth_pipelining),
            smtpd_delay_open_until_valid_rcpt: values.bool(p::smtpd_delay_open_until_valid_rcpt),
            commands_are_screened: is_set(p::smtpd_noop_commands) || is_set(p::smtpd_command_filter),
            soft_bounce: values.bool(p::soft_bounce),
            smtpd_delay_reject: values.bool(p::smtpd_delay_reject),
            refusals_are_dressed: [
                p::smtpd_reject_filter_maps,
                p::smtpd_reject_footer,
                p::smtpd_reject_footer_maps,
            ]
            .iter()
            .any(|id| !values.text(*id).is_empty()),
            inet_protocols: values.inet_protocols(),
            smtpd_client_port_logging: values.bool(p::smtpd_client_port_logging),
            smtpd_peername_lookup: values.bool(p::smtpd_peername_lookup),
            default_verp_delimiters: default_verp_delimiters(values)?,
            verp_delimiter_filter: values.text(p::verp_delimiter_filter).to_owned(),
        })
    }
}

impl Codes {
    fn load(values: &Values) -> Result<Self, Invalid> {
        Ok(Self {
            reject_code: code(values, p::reject_code),
            defer_code: code(values, p::defer_code),
            access_map_reject_code: code(values, p::access_map_reject_code),
            access_map_defer_code: code(values, p::access_map_defer_code),
            relay_domains_reject_code: code(values, p::relay_domains_reject_code),
            non_fqdn_reject_code: code(values, p::non_fqdn_reject_code),
            invalid_hostname_reject_code: code(values, p::invalid_hostname_reject_code),
            unknown_address_reject_code: code(values, p::unknown_address_reject_code),
            unknown_local_recipient_reject_code: code(values, p::unknown_local_recipient_reject_code),
            unknown_virtual_alias_reject_code: code(values, p::unknown_virtual_alias_reject_code),
            unknown_virtual_mailbox_reject_code: code(values, p::unknown_virtual_mailbox_reject_code),
            unknown_relay_recipient_reject_code: code(values, p::unknown_relay_recipient_reject_code),
            multi_recipient_bounce_reject_code: code(values, p::multi_recipient_bounce_reject_code),
            maps_rbl_reject_code: code(values, p::maps_rbl_reject_code),
            unknown_client_reject_code: code(values, p::unknown_client_reject_code),
            unknown_hostname_reject_code: code(values, p::unknown_hostname_reject_code),
            plaintext_reject_code: code(values, p::plaintext_reject_code),
            unknown_helo_hostname_tempfail_action: TempfailAction::load(
                values,
                p::unknown_helo_hostname_tempfail_action,
            )?,
            unknown_address_tempfail_action: TempfailAction::load(
                values,
                p::unknown_address_tempfail_action,
            )?,
            show_user_unknown_table_name: values.bool(p::show_user_unknown_table_name),
        })
    }
}

/// A reply code; what is none is noticed where it is used, as Postfix does.
fn code(values: &Values, id: config::params::Id) -> u16 {
    u16::try_from(values.int(id)).unwrap_or(0)
}

fn default_verp_delimiters(values: &Values) -> Result<VerpDelimiters, Invalid> {
    let id = p::default_verp_delimiters;
    let (text, filter) = (values.text(id), values.text(p::verp_delimiter_filter));
    VerpDelimiters::parse(text.as_bytes(), filter)
        .ok_or_else(|| Invalid::value(id.name(), text, "want two characters of verp_delimiter_filter, not"))
}

fn requires_tls(values: &Values) -> bool {
    let is_enforced = match values.text(p::smtpd_tls_security_level) {
        "" => values.bool(p::smtpd_enforce_tls),
        level => !matches!(level, "none" | "may"),
    };
    is_enforced || values.bool(p::smtpd_tls_wrappermode)
}
