//! The typed view of the client's parameters; each field has the parameter's name without `smtp_` or `lmtp_`.

mod load;

use crate::{Features, PixWorkarounds, VerifyTarget};
use config::{NotifyClasses, TcpPorts};
use message::ScannerLimits;
use std::{net::IpAddr, time::Duration};
use types::{BodyEncoding, MessageAttributes};
use wire::EhloKeywords;

/// Which of the two protocols a service speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// smtp(8): `smtp_*` parameters, MX look-ups.
    #[default]
    Smtp,
    /// lmtp(8): `lmtp_*` parameters, a reply for each recipient.
    Lmtp,
}

impl Protocol {
    /// What the names of its parameters begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Lmtp => "lmtp",
        }
    }
}

/// How long to wait for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `smtp_connect_timeout`
    pub connect: Duration,
    /// `smtp_helo_timeout` (lmtp: `lmtp_lhlo_timeout`)
    pub helo: Duration,
    /// `smtp_xforward_timeout`
    pub xforward: Duration,
    /// `smtp_mail_timeout`
    pub mail: Duration,
    /// `smtp_rcpt_timeout`
    pub rcpt: Duration,
    /// `smtp_data_init_timeout`
    pub data_init: Duration,
    /// `smtp_data_xfer_timeout`
    pub data_xfer: Duration,
    /// `smtp_data_done_timeout`
    pub data_done: Duration,
    /// `smtp_rset_timeout`
    pub rset: Duration,
    /// `smtp_quit_timeout`
    pub quit: Duration,
}

/// `smtp_address_preference`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressPreference {
    /// `any`
    #[default]
    Any,
    /// `ipv4`
    Ipv4,
    /// `ipv6`
    Ipv6,
}

/// `smtp_host_lookup`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLookup {
    /// `dns`
    pub dns: bool,
    /// `native`
    pub native: bool,
}

/// How names become addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSettings {
    /// `inet_protocols` has ipv4.
    pub ipv4: bool,
    /// `inet_protocols` has ipv6.
    pub ipv6: bool,
    /// `smtp_address_preference`
    pub address_preference: AddressPreference,
    /// `smtp_randomize_addresses`
    pub randomize_addresses: bool,
    /// `smtp_balance_inet_protocols`
    pub balance_inet_protocols: bool,
    /// `smtp_mx_address_limit`, 0 for none
    pub mx_address_limit: usize,
    /// `smtp_mx_session_limit`, 0 for none
    pub mx_session_limit: usize,
    /// `smtp_host_lookup`
    pub host_lookup: HostLookup,
    /// `smtp_dns_support_level` is not `disabled`.
    pub has_dns: bool,
    /// `ignore_mx_lookup_error`
    pub ignore_mx_lookup_error: bool,
    /// `smtp_defer_if_no_mx_address_found`
    pub defer_if_no_mx_address_found: bool,
    /// `smtp_cname_overrides_servername`: a host is known by the name that its alias stands for.
    pub cname_overrides_servername: bool,
    /// `smtp_bind_address`
    pub bind_address: Option<IpAddr>,
    /// `smtp_bind_address6`
    pub bind_address6: Option<IpAddr>,
    /// `smtp_bind_address_enforce`
    pub bind_address_enforce: bool,
}

/// Details of the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// `smtp_always_send_ehlo`
    pub always_send_ehlo: bool,
    /// `smtp_never_send_ehlo`
    pub never_send_ehlo: bool,
    /// `smtp_skip_5xx_greeting`
    pub skip_5xx_greeting: bool,
    /// `smtp_skip_quit_response`
    pub skip_quit_response: bool,
    /// `smtp_quote_rfc821_envelope`
    pub quote_rfc821_envelope: bool,
    /// `disable_mime_output_conversion`
    pub disable_mime_output_conversion: bool,
    /// `smtp_discard_ehlo_keywords`
    pub discard_ehlo_keywords: EhloKeywords,
    /// `smtp_per_request_deadline`: the timeouts are for whole requests and replies.
    pub per_request_deadline: bool,
    /// `smtp_min_data_rate` in bytes a second: what content must achieve where there are deadlines.
    pub min_data_rate: u32,
    /// `smtp_send_xforward_command`
    pub send_xforward_command: bool,
    /// `helpful_warnings`
    pub helpful_warnings: bool,
}

/// What old firewalls need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixSettings {
    /// `smtp_pix_workarounds`
    pub workarounds: Option<PixWorkarounds>,
    /// `smtp_pix_workaround_threshold_time`: how old a message must be before its final dot is delayed.
    pub threshold_time: Duration,
    /// `smtp_pix_workaround_delay_time`
    pub delay_time: Duration,
}

/// Connection reuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// `smtp_connection_cache_on_demand`
    pub on_demand: bool,
    /// `smtp_connection_cache_time_limit`
    pub time_limit: Duration,
    /// `smtp_connection_reuse_time_limit`
    pub reuse_time_limit: Duration,
    /// `smtp_connection_reuse_count_limit`, 0 for none
    pub reuse_count_limit: u32,
}

/// Everything that one smtp(8) or lmtp(8) service is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpSettings {
    /// Which protocol.
    pub protocol: Protocol,
    /// `myhostname`
    pub myhostname: String,
    /// `smtp_helo_name`
    pub helo_name: String,
    /// `smtp_tcp_port`
    pub tcp_port: String,
    /// What names of ports stand for.
    pub tcp_ports: TcpPorts,
    /// `relayhost`
    pub relayhost: String,
    /// `smtp_fallback_relay`
    pub fallback_relay: Vec<String>,
    /// `line_length_limit`: for replies.
    pub line_length_limit: usize,
    /// `smtp_line_length_limit`: for content, 0 for none.
    pub smtp_line_length_limit: usize,
    /// `header_size_limit`, `mime_nesting_limit`, `mime_boundary_length_limit`: where content is converted.
    pub scanner: ScannerLimits,
    /// `soft_bounce`
    pub soft_bounce: bool,
    /// `smtp_address_verify_target`: how far probes go.
    pub address_verify_target: VerifyTarget,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Addresses.
    pub addresses: AddressSettings,
    /// Conversation.
    pub quirks: Quirks,
    /// Workarounds.
    pub pix: PixSettings,
    /// Connection reuse.
    pub cache: CacheSettings,
    /// What the postmaster is told about of what this client meets: as far as that goes, `notify_classes`.
    pub notify_classes: NotifyClasses,
    /// `double_bounce_sender`, with our name: sender of mail about which nobody is told.
    pub double_bounce_sender: String,
    /// A setting that this client cannot fulfil (encryption or login demanded), as `name = value`: mail
    /// waits rather than going out without.
    pub unfulfilled: Option<String>,
}

impl SmtpSettings {
    /// Whether the postmaster hears of what can go wrong in a session with a server: what is no proper SMTP, and tables of
    /// ours that do not answer.
    #[must_use]
    pub const fn tells_postmaster(&self) -> bool {
        self.notify_classes.has_any(NotifyClasses::PROTOCOL.with(NotifyClasses::DATA))
    }

    /// Whether a message is converted to seven bits for a server with these features: whenever it may have eight and
    /// the server did not offer to take them.
    #[must_use]
    pub fn downgrades(&self, features: &Features, message: &MessageAttributes) -> bool {
        !self.quirks.disable_mime_output_conversion
            && !features.eight_bit_mime
            && message.encoding != BodyEncoding::SevenBit
    }
}
