//! Names that are going or gone.

/// Old names that still count where they are set (as the default of the name that replaced them), and that have no default.
pub const LEGACY: [&str; 13] = [
    "virtual_maps",
    "fallback_relay",
    "authorized_verp_clients",
    "smtpd_client_connection_limit_exceptions",
    "postscreen_dnsbl_ttl",
    "postscreen_blacklist_action",
    "postscreen_dnsbl_whitelist_threshold",
    "postscreen_whitelist_interfaces",
    "lmtp_per_record_deadline",
    "smtp_per_record_deadline",
    "smtpd_per_record_deadline",
    "tlsproxy_client_level",
    "tlsproxy_client_policy",
];

/// What to do instead of setting a deprecated parameter, in Postfix's words.
#[must_use]
pub(super) fn replacement(name: &str) -> Option<&'static str> {
    Some(match name {
        "disable_dns_lookups" => "specify \"smtp_dns_support_level\"",
        "lmtp_use_tls" | "lmtp_tls_enforce_peername" => "specify \"lmtp_tls_security_level\"",
        "lmtp_enforce_tls" => "lmtp_tls_security_level",
        "postscreen_use_tls" | "postscreen_enforce_tls" => "specify \"postscreen_tls_security_level\"",
        "smtp_use_tls" | "smtp_enforce_tls" | "smtp_tls_enforce_peername" => {
            "specify \"smtp_tls_security_level\""
        }
        "smtpd_use_tls" | "smtpd_enforce_tls" => "specify \"smtpd_tls_security_level\"",
        "tlsproxy_client_use_tls" | "tlsproxy_client_enforce_tls" | "tlsproxy_client_level" => {
            "specify \"tlsproxy_client_security_level\""
        }
        "tlsproxy_use_tls" | "tlsproxy_enforce_tls" => "specify \"tlsproxy_tls_security_level\"",
        "lmtp_tls_per_site" => "specify \"lmtp_tls_policy_maps\"",
        "smtp_tls_per_site" => "specify \"smtp_tls_policy_maps\"",
        "tlsproxy_client_per_site" | "tlsproxy_client_policy" => "specify \"tlsproxy_client_policy_maps\"",
        "smtpd_tls_dh1024_param_file" | "smtpd_tls_eecdh_grade" => "do not specify (leave at default)",
        "lmtp_cname_overrides_servername"
        | "smtp_cname_overrides_servername"
        | "tlsproxy_client_loglevel_parameter" => "do not specify",
        "authorized_verp_clients" => "specify \"smtpd_authorized_verp_clients\"",
        "fallback_relay" => "specify \"smtp_fallback_relay\"",
        "lmtp_per_record_deadline" => "specify \"lmtp_per_request_deadline\"",
        "postscreen_blacklist_action" => "specify \"postscreen_denylist_action\"",
        "postscreen_dnsbl_ttl" => "specify \"postscreen_dnsbl_max_ttl\"",
        "postscreen_dnsbl_whitelist_threshold" => "specify \"postscreen_dnsbl_allowlist_threshold\"",
        "postscreen_whitelist_interfaces" => "specify \"postscreen_allowlist_interfaces\"",
        "smtpd_client_connection_limit_exceptions" => "specify \"smtpd_client_event_limit_exceptions\"",
        "smtpd_per_record_deadline" => "specify \"smtpd_per_request_deadline\"",
        "smtp_per_record_deadline" => "specify \"smtp_per_request_deadline\"",
        "virtual_maps" => "specify \"virtual_alias_maps\"",
        _ => return None,
    })
}
