//! From configuration values to the typed view.

use super::{
    AddressPreference, AddressSettings, CacheSettings, HostLookup, PixSettings, Protocol, Quirks,
    SmtpSettings, Timeouts,
};
use crate::{PixWorkarounds, VerifyTarget};
use config::{Values, params as p};
use message::{MimeLimits, ScannerLimits};
use std::net::IpAddr;
use wire::EhloKeywords;

/// Asks for a parameter by the name that it has for this protocol.
macro_rules! pick {
    ($values:expr, $protocol:expr, $ask:ident, $smtp:ident, $lmtp:ident) => {
        match $protocol {
            Protocol::Smtp => $values.$ask(p::$smtp),
            Protocol::Lmtp => $values.$ask(p::$lmtp),
        }
    };
}

impl SmtpSettings {
    /// The view of one row of master.cf whose program is smtp or lmtp.
    pub fn load(values: &Values, protocol: Protocol) -> Result<Self, config::Invalid> {
        let v = values;
        let own = |text: &str| text.to_owned();
        Ok(Self {
            protocol,
            myhostname: own(v.text(p::myhostname)),
            helo_name: own(pick!(v, protocol, text, smtp_helo_name, lmtp_lhlo_name)),
            tcp_port: own(pick!(v, protocol, text, smtp_tcp_port, lmtp_tcp_port)),
            tcp_ports: v.tcp_ports(),
            relayhost: own(v.text(p::relayhost)),
            fallback_relay: pick!(v, protocol, list, smtp_fallback_relay, lmtp_fallback_relay)
                .into_iter()
                .map(own)
                .collect(),
            line_length_limit: count(v.int(p::line_length_limit)),
            smtp_line_length_limit: count(pick!(
                v,
                protocol,
                int,
                smtp_line_length_limit,
                lmtp_line_length_limit
            )),
            scanner: ScannerLimits {
                header_size_limit: count(v.int(p::header_size_limit)),
                mime: Some(MimeLimits {
                    mime_nesting_limit: count(v.int(p::mime_nesting_limit)),
                    mime_boundary_length_limit: count(v.int(p::mime_boundary_length_limit)),
                }),
            },
            soft_bounce: v.bool(p::soft_bounce),
            address_verify_target: verify_target(v, protocol)?,
            timeouts: timeouts(v, protocol),
            addresses: addresses(v, protocol)?,
            quirks: quirks(v, protocol),
            pix: pix(v, protocol),
            cache: cache(v, protocol),
            notify_classes: v.notify_classes(),
            double_bounce_sender: format!("{}@{}", v.text(p::double_bounce_sender), v.text(p::myhostname)),
            unfulfilled: unfulfilled(v, protocol),
        })
    }
}

fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

fn verify_target(v: &Values, protocol: Protocol) -> Result<VerifyTarget, config::Invalid> {
    let text = pick!(v, protocol, text, smtp_address_verify_target, lmtp_address_verify_target);
    match text.to_ascii_lowercase().as_str() {
        "rcpt" => Ok(VerifyTarget::Rcpt),
        "data" => Ok(VerifyTarget::Data),
        _ => {
            let name = format!("{}_address_verify_target", protocol.prefix());
            Err(config::Invalid::value(&name, text, "want rcpt or data, not"))
        }
    }
}

fn timeouts(v: &Values, protocol: Protocol) -> Timeouts {
    let connect = pick!(v, protocol, time, smtp_connect_timeout, lmtp_connect_timeout);
    Timeouts {
        // 0 leaves it to the system, which gives up after about this long.
        connect: if connect.is_zero() { std::time::Duration::from_secs(130) } else { connect },
        helo: pick!(v, protocol, time, smtp_helo_timeout, lmtp_lhlo_timeout),
        xforward: pick!(v, protocol, time, smtp_xforward_timeout, lmtp_xforward_timeout),
        mail: pick!(v, protocol, time, smtp_mail_timeout, lmtp_mail_timeout),
        rcpt: pick!(v, protocol, time, smtp_rcpt_timeout, lmtp_rcpt_timeout),
        data_init: pick!(v, protocol, time, smtp_data_init_timeout, lmtp_data_init_timeout),
        data_xfer: pick!(v, protocol, time, smtp_data_xfer_timeout, lmtp_data_xfer_timeout),
        data_done: pick!(v, protocol, time, smtp_data_done_timeout, lmtp_data_done_timeout),
        rset: pick!(v, protocol, time, smtp_rset_timeout, lmtp_rset_timeout),
        quit: pick!(v, protocol, time, smtp_quit_timeout, lmtp_quit_timeout),
    }
}

fn addresses(v: &Values, protocol: Protocol) -> Result<AddressSettings, config::Invalid> {
    let protocols = v.inet_protocols();
    let lookup = pick!(v, protocol, list, smtp_host_lookup, lmtp_host_lookup);
    let support = pick!(v, protocol, text, smtp_dns_support_level, lmtp_dns_support_level);
    let has_dns = match support {
        "" => !v.bool(p::disable_dns_lookups),
        level => !level.eq_ignore_ascii_case("disabled"),
    };
    let preference = match pick!(v, protocol, text, smtp_address_preference, lmtp_address_preference) {
        "ipv4" => AddressPreference::Ipv4,
        "ipv6" => AddressPreference::Ipv6,
        _ => AddressPreference::Any,
    };
    Ok(AddressSettings {
        ipv4: protocols.ipv4,
        ipv6: protocols.ipv6,
        address_preference: preference,
        randomize_addresses: pick!(v, protocol, bool, smtp_randomize_addresses, lmtp_randomize_addresses),
        balance_inet_protocols: pick!(
            v,
            protocol,
            bool,
            smtp_balance_inet_protocols,
            lmtp_balance_inet_protocols
        ),
        mx_address_limit: count(pick!(v, protocol, int, smtp_mx_address_limit, lmtp_mx_address_limit)),
        mx_session_limit: count(pick!(v, protocol, int, smtp_mx_session_limit, lmtp_mx_session_limit)),
        host_lookup: HostLookup {
            dns: has_dns && lookup.contains(&"dns"),
            // Without DNS there is nothing else.
            native: !has_dns || lookup.contains(&"native"),
        },
        has_dns,
        ignore_mx_lookup_error: v.bool(p::ignore_mx_lookup_error),
        defer_if_no_mx_address_found: pick!(
            v,
            protocol,
            bool,
            smtp_defer_if_no_mx_address_found,
            lmtp_defer_if_no_mx_address_found
        ),
        cname_overrides_servername: pick!(
            v,
            protocol,
            bool,
            smtp_cname_overrides_servername,
            lmtp_cname_overrides_servername
        ),
        bind_address: bind_address(v, pick(protocol, p::smtp_bind_address, p::lmtp_bind_address))?,
        bind_address6: bind_address(v, pick(protocol, p::smtp_bind_address6, p::lmtp_bind_address6))?,
        bind_address_enforce: pick!(v, protocol, bool, smtp_bind_address_enforce, lmtp_bind_address_enforce),
    })
}

const fn pick(protocol: Protocol, smtp: p::Id, lmtp: p::Id) -> p::Id {
    match protocol {
        Protocol::Smtp => smtp,
        Protocol::Lmtp => lmtp,
    }
}

/// An address with or without brackets.
fn bind_address(v: &Values, id: p::Id) -> Result<Option<IpAddr>, config::Invalid> {
    let text = v.text(id);
    if text.is_empty() {
        return Ok(None);
    }
    let bare = text.strip_prefix('[').map_or(Some(text), |rest| rest.strip_suffix(']'));
    let address = bare.and_then(|bare| bare.parse().ok());
    address.map(Some).ok_or_else(|| config::Invalid::value(id.name(), text, "specify an IP address"))
}

fn quirks(v: &Values, protocol: Protocol) -> Quirks {
    let discarded = pick!(v, protocol, text, smtp_discard_ehlo_keywords, lmtp_discard_lhlo_keywords);
    let is_smtp = protocol == Protocol::Smtp;
    Quirks {
        always_send_ehlo: is_smtp && v.bool(p::smtp_always_send_ehlo),
        never_send_ehlo: is_smtp && v.bool(p::smtp_never_send_ehlo),
        skip_5xx_greeting: pick!(v, protocol, bool, smtp_skip_5xx_greeting, lmtp_skip_5xx_greeting),
        skip_quit_response: pick!(v, protocol, bool, smtp_skip_quit_response, lmtp_skip_quit_response),
        quote_rfc821_envelope: pick!(
            v,
            protocol,
            bool,
            smtp_quote_rfc821_envelope,
            lmtp_quote_rfc821_envelope
        ),
        disable_mime_output_conversion: v.bool(p::disable_mime_output_conversion),
        // Unknown words are no mistake: another version may know them.
        discard_ehlo_keywords: EhloKeywords::parse(discarded).0,
        per_request_deadline: pick!(v, protocol, bool, smtp_per_request_deadline, lmtp_per_request_deadline),
        min_data_rate: u32::try_from(pick!(v, protocol, int, smtp_min_data_rate, lmtp_min_data_rate))
            .unwrap_or(u32::MAX),
        send_xforward_command: pick!(
            v,
            protocol,
            bool,
            smtp_send_xforward_command,
            lmtp_send_xforward_command
        ),
        helpful_warnings: v.bool(p::helpful_warnings),
    }
}

fn pix(v: &Values, protocol: Protocol) -> PixSettings {
    let words = pick!(v, protocol, text, smtp_pix_workarounds, lmtp_pix_workarounds);
    PixSettings {
        workarounds: PixWorkarounds::parse(words),
        threshold_time: pick!(
            v,
            protocol,
            time,
            smtp_pix_workaround_threshold_time,
            lmtp_pix_workaround_threshold_time
        ),
        delay_time: pick!(v, protocol, time, smtp_pix_workaround_delay_time, lmtp_pix_workaround_delay_time),
    }
}

fn cache(v: &Values, protocol: Protocol) -> CacheSettings {
    let reuses =
        pick!(v, protocol, int, smtp_connection_reuse_count_limit, lmtp_connection_reuse_count_limit);
    CacheSettings {
        on_demand: pick!(v, protocol, bool, smtp_connection_cache_on_demand, lmtp_connection_cache_on_demand),
        time_limit: pick!(
            v,
            protocol,
            time,
            smtp_connection_cache_time_limit,
            lmtp_connection_cache_time_limit
        ),
        reuse_time_limit: pick!(
            v,
            protocol,
            time,
            smtp_connection_reuse_time_limit,
            lmtp_connection_reuse_time_limit
        ),
        reuse_count_limit: u32::try_from(reuses).unwrap_or(0),
    }
}

/// What the administrator demands and this client cannot do yet. To send without would be a breach (encryption) or
/// would turn into a bounce what is our lack (login).
fn unfulfilled(v: &Values, protocol: Protocol) -> Option<String> {
    let prefix = protocol.prefix();
    let named = |name: &str| v.named(&format!("{prefix}_{name}")).unwrap_or_default().trim().to_owned();
    let level = named("tls_security_level").to_ascii_lowercase();
    let is_on = |name: &str| named(name).eq_ignore_ascii_case("yes");
    let stated = |name: &str| Some(format!("{prefix}_{name} = {}", named(name)));
    if !matches!(level.as_str(), "" | "none" | "may") {
        return stated("tls_security_level");
    }
    // Without a level, the old parameter decides.
    let switches = ["tls_wrappermode", "sasl_auth_enable"];
    let legacy = level.is_empty() && is_on("enforce_tls");
    let switch = if legacy { Some("enforce_tls") } else { switches.into_iter().find(|name| is_on(name)) };
    let table = ["tls_policy_maps", "tls_per_site"].into_iter().find(|name| !named(name).is_empty());
    switch.or(table).and_then(stated)
}
