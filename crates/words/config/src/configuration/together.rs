//! Values that are wrong by more than their kind: names, characters, and values that do not go together.

use super::reports::Finding;
use crate::{
    number,
    params::{self as p, Id},
    ports,
    report::Severity,
    text,
    values::Values,
};

/// Everything of that kind, in no special order.
pub(super) fn check(values: &Values) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    names(values, &mut findings);
    addresses(values, &mut findings);
    logging(values, &mut findings);
    sizes(values, &mut findings);
    queue(values, &mut findings);
    clients(values, &mut findings);
    findings.0
}

/// Whether anybody looks at the value of a parameter, as others are set.
pub(super) fn counts(values: &Values, id: Id) -> bool {
    match id {
        p::mynetworks_style => !values.is_set(p::mynetworks),
        p::smtpd_tls_security_level => !values.bool(p::smtpd_tls_wrappermode),
        p::smtpd_proxy_options => !values.text(p::smtpd_proxy_filter).is_empty(),
        p::smtp_host_lookup => has_dns(values, p::smtp_dns_support_level),
        p::lmtp_host_lookup => has_dns(values, p::lmtp_dns_support_level),
        _ => true,
    }
}

fn has_dns(values: &Values, level: Id) -> bool {
    match values.text(level) {
        "" => !values.bool(p::disable_dns_lookups),
        level => !level.eq_ignore_ascii_case("disabled"),
    }
}

struct Findings(Vec<Finding>);

impl Findings {
    fn fatal(&mut self, id: Id, text: String) {
        self.0.push(Finding::new(id, Severity::Fatal, text));
    }

    fn warn(&mut self, id: Id, text: String) {
        self.0.push(Finding::new(id, Severity::Warning, text));
    }
}

fn names(values: &Values, findings: &mut Findings) {
    // The domain is made from the host's name.
    let wrong_name =
        [p::myhostname, p::mydomain].into_iter().find(|id| !text::is_hostname(values.text(*id), false));
    if let Some(id) = wrong_name {
        let wrong = format!("parameter {}: bad parameter value: {}", id.name(), values.text(id));
        findings.fatal(id, format!("{wrong}; specify a name such as mail.example.com"));
    }
    let (hostname, relayhost) = (values.text(p::myhostname), values.text(p::relayhost));
    if hostname.eq_ignore_ascii_case(relayhost) {
        let text = "myhostname and relayhost parameter settings must not be identical";
        findings.fatal(p::relayhost, format!("{text}: {hostname}"));
    }
    let origin = values.text(p::myorigin);
    if origin.contains([' ', ',', '\t', '\r', '\n']) {
        let text = "myorigin parameter setting must not contain multiple values";
        findings.fatal(p::myorigin, format!("{text}: {origin}"));
    }
    let sender = values.text(p::address_verify_sender);
    for (is_wrong, how) in
        [(sender.starts_with('@'), "start"), (sender.len() > 1 && sender.ends_with('@'), "end")]
    {
        if is_wrong {
            let text = format!("parameter address_verify_sender: value \"{sender}\" must not {how} with '@'");
            findings.fatal(p::address_verify_sender, text);
        }
    }
    let (_, wrong_ports) = ports::known_tcp_ports(values.text(p::known_tcp_ports));
    for wrong in wrong_ports {
        findings.warn(p::known_tcp_ports, format!("known_tcp_ports: {wrong}"));
    }
}

/// Addresses and names of hosts.
fn addresses(values: &Values, findings: &mut Findings) {
    if let Err(why) = values.checked_interfaces() {
        findings.fatal(
            p::inet_interfaces,
            format!("{why}; specify all, loopback-only, or addresses of this host"),
        );
    }
    if let Err(why) = values.checked_proxies() {
        findings.fatal(p::proxy_interfaces, format!("{why}; specify an address"));
    }
    let has_ipv6 = values.list(p::inet_protocols).iter().any(|name| matches!(*name, "all" | "ipv6"));
    if has_ipv6 && !values.environment().has_ipv6 {
        let why = "disabling IPv6 name/address support: Address family not supported by protocol";
        findings.warn(p::inet_protocols, format!("inet_protocols: {why}"));
    }
    for id in [p::smtp_bind_address, p::smtp_bind_address6, p::lmtp_bind_address, p::lmtp_bind_address6] {
        let text = values.text(id);
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if !text.is_empty() && bare.parse::<std::net::IpAddr>().is_err() {
            findings
                .fatal(id, format!("bad {} parameter: {text}; specify an address of this host", id.name()));
        }
    }
}

fn logging(values: &Values, findings: &mut Findings) {
    let file = values.text(p::maillog_file);
    let matches = |prefix: &str| file.starts_with(prefix);
    if !file.is_empty() && !values.list(p::maillog_file_prefixes).into_iter().any(matches) {
        let text = "does not match any prefix in maillog_file_prefixes";
        findings.fatal(p::maillog_file, format!("maillog_file value '{file}' {text}"));
    }
}

/// Limits of sizes that leave no room for what another one lets in.
fn sizes(values: &Values, findings: &mut Findings) {
    let message = values.int(p::message_size_limit);
    for id in [p::mailbox_size_limit, p::virtual_mailbox_limit] {
        let (name, limit) = (id.name(), values.int(id));
        if limit > 0 && message <= 0 {
            let text = format!("configuration error: {name} is limited but message_size_limit is unlimited");
            findings.fatal(id, text);
        } else if limit > 0 && limit < message {
            findings.fatal(id, format!("configuration error: {name} is smaller than message_size_limit"));
        }
    }
    let free = values.int(p::queue_minfree);
    if free > 0 && message > 0 && free.saturating_mul(2) < message.saturating_mul(3) {
        let text = format!("queue_minfree({free}) should be at least 1.5*message_size_limit({message})");
        findings.warn(p::queue_minfree, text);
    }
}

fn queue(values: &Values, findings: &mut Findings) {
    let smaller = |findings: &mut Findings, id: Id, other: Id, how: &str| {
        let (name, other) = (id.name(), other.name());
        findings.warn(id, format!("{name} is {how} than {other} - adjusting {name}"));
    };
    if values.int(p::qmgr_message_recipient_limit) < values.int(p::qmgr_message_active_limit) {
        smaller(findings, p::qmgr_message_recipient_limit, p::qmgr_message_active_limit, "smaller");
    }
    if values.time(p::bounce_queue_lifetime) > values.time(p::maximal_queue_lifetime) {
        smaller(findings, p::bounce_queue_lifetime, p::maximal_queue_lifetime, "larger");
    }
    let feedbacks = [
        p::default_destination_concurrency_positive_feedback,
        p::default_destination_concurrency_negative_feedback,
    ];
    for id in feedbacks {
        let text = values.text(id);
        if number::feedback(text).is_none() {
            let what = "ignoring malformed or unreasonable feedback";
            findings.warn(id, format!("{}: {what}: {text}; specify a number from 0 to 1", id.name()));
        }
    }
    verp(values, findings);
    if values.bool(p::disable_mime_input_processing) && values.bool(p::force_mime_input_conversion) {
        let text =
            "do not specify both disable_mime_input_processing=yes and force_mime_input_conversion=yes";
        findings.fatal(p::force_mime_input_conversion, text.to_owned());
    }
}

fn verp(values: &Values, findings: &mut Findings) {
    let allowed = values.text(p::verp_delimiter_filter);
    let delimiters = values.text(p::default_verp_delimiters);
    let wrong = delimiters.chars().zip(["first", "second"]).find(|(c, _)| !allowed.contains(*c));
    if let Some((_, which)) = wrong {
        let names = "parameters default_verp_delimiters and verp_delimiter_filter";
        let text = format!("{names}: bad {which} VERP delimiter character");
        findings.fatal(p::default_verp_delimiters, text);
    }
}

/// What clients and servers of SMTP need besides.
fn clients(values: &Values, findings: &mut Findings) {
    for (enable, maps) in [
        (p::smtp_sasl_auth_enable, p::smtp_sasl_password_maps),
        (p::lmtp_sasl_auth_enable, p::lmtp_sasl_password_maps),
    ] {
        if values.bool(enable) && values.text(maps).is_empty() {
            let name = maps.name();
            findings
                .fatal(enable, format!("specify a password table via the `{name}' configuration parameter"));
        }
    }
    for (old, new) in
        [(p::smtp_tls_per_site, p::smtp_tls_policy_maps), (p::lmtp_tls_per_site, p::lmtp_tls_policy_maps)]
    {
        if !values.text(old).is_empty() && !values.text(new).is_empty() {
            findings.warn(old, format!("{} ignored when {} is not empty.", old.name(), new.name()));
        }
    }
    let level = values.text(p::smtpd_tls_security_level);
    let is_for_clients =
        ["fingerprint", "verify", "secure"].iter().any(|word| word.eq_ignore_ascii_case(level));
    if is_for_clients && counts(values, p::smtpd_tls_security_level) {
        let text = format!("smtpd_tls_security_level: unsupported TLS level \"{level}\", using \"encrypt\"");
        findings.warn(p::smtpd_tls_security_level, text);
    }
    if values.bool(p::sun_mailtool_compatibility) {
        let text = "deprecated parameter, use \"mailbox_delivery_lock = dotlock\" instead";
        findings.warn(p::sun_mailtool_compatibility, format!("sun_mailtool_compatibility: {text}"));
    }
}
