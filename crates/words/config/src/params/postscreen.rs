//! Parameters of postscreen.

use super::row::*;

rows! {
    after paths;
    dnsblog_reply_delay: time(0, 0), "0s", "dnsblog", NotYet, "";
    dnsblog_service_name: text(1, 0), "dnsblog", "postscreen", NotYet, "";
    postscreen_access_list: text(0, 0), "permit_mynetworks", "postscreen", NotYet, "";
    postscreen_allowlist_interfaces: text(0, 0), "${postscreen_whitelist_interfaces?{$postscreen_whitelist_interfaces}:{static:all}}", "postscreen", NotYet, "";
    postscreen_bare_newline_action: text(1, 0), "ignore", "postscreen", NotYet, "";
    postscreen_bare_newline_enable: flag(), "no", "postscreen", NotYet, "";
    postscreen_bare_newline_ttl: time(1, 0), "30d", "postscreen", NotYet, "";
    postscreen_cache_cleanup_interval: time(0, 0), "12h", "postscreen", NotYet, "";
    postscreen_cache_map: text(0, 0), "$default_cache_db_type:$data_directory/postscreen_cache", "postscreen,proxymap", NotYet, "";
    postscreen_cache_retention_time: time(1, 0), "7d", "postscreen", NotYet, "";
    postscreen_client_connection_count_limit: int(0, 0), "$smtpd_client_connection_count_limit", "postscreen", NotYet, "";
    postscreen_command_count_limit: int(1, 0), "20", "postscreen", NotYet, "";
    postscreen_command_filter: text(0, 0), "", "postscreen", NotYet, "";
    postscreen_command_time_limit: time(1, 0), "${stress?{10}:{300}}s", "postscreen", NotYet, "";
    postscreen_denylist_action: text(1, 0), "${postscreen_blacklist_action?{$postscreen_blacklist_action}:{ignore}}", "postscreen", NotYet, "";
    postscreen_disable_vrfy_command: flag(), "$disable_vrfy_command", "postscreen", NotYet, "";
    postscreen_discard_ehlo_keyword_address_maps: text(0, 0), "$smtpd_discard_ehlo_keyword_address_maps", "postscreen", NotYet, "";
    postscreen_discard_ehlo_keywords: text(0, 0), "$smtpd_discard_ehlo_keywords", "postscreen", NotYet, "";
    postscreen_dnsbl_action: text(1, 0), "ignore", "postscreen", NotYet, "";
    postscreen_dnsbl_allowlist_threshold: int(0, 0), "${postscreen_dnsbl_whitelist_threshold?{$postscreen_dnsbl_whitelist_threshold}:{0}}", "postscreen", NotYet, "";
    postscreen_dnsbl_max_ttl: time(1, 0), "${postscreen_dnsbl_ttl?{$postscreen_dnsbl_ttl}:{1}}h", "postscreen", NotYet, "";
    postscreen_dnsbl_min_ttl: time(1, 0), "60s", "postscreen", NotYet, "";
    postscreen_dnsbl_reply_map: text(0, 0), "", "postscreen", NotYet, "";
    postscreen_dnsbl_sites: text(0, 0), "", "postscreen", NotYet, "";
    postscreen_dnsbl_threshold: int(1, 0), "1", "postscreen", NotYet, "";
    postscreen_dnsbl_timeout: time(1, 0), "10s", "postscreen", NotYet, "";
    postscreen_enforce_tls: flag(), "$smtpd_enforce_tls", "postscreen", NotYet, "";
    postscreen_expansion_filter: raw(1, 0), "$smtpd_expansion_filter", "postscreen", NotYet, "";
    postscreen_forbidden_commands: text(0, 0), "$smtpd_forbidden_commands", "postscreen,proxymap", NotYet, "";
    postscreen_greet_action: text(1, 0), "ignore", "postscreen", NotYet, "";
    postscreen_greet_banner: text(0, 0), "$smtpd_banner", "postscreen", NotYet, "";
    postscreen_greet_ttl: time(1, 0), "1d", "postscreen", NotYet, "";
    postscreen_greet_wait: time(1, 0), "${stress?{2}:{6}}s", "postscreen", NotYet, "";
    postscreen_helo_required: flag(), "$smtpd_helo_required", "postscreen", NotYet, "";
    postscreen_non_smtp_command_action: text(1, 0), "drop", "postscreen", NotYet, "";
    postscreen_non_smtp_command_enable: flag(), "no", "postscreen", NotYet, "";
    postscreen_non_smtp_command_ttl: time(1, 0), "30d", "postscreen", NotYet, "";
    postscreen_pipelining_action: text(1, 0), "enforce", "postscreen", NotYet, "";
    postscreen_pipelining_enable: flag(), "no", "postscreen", NotYet, "";
    postscreen_pipelining_ttl: time(1, 0), "30d", "postscreen", NotYet, "";
    postscreen_post_queue_limit: int(5, 0), "$default_process_limit", "postscreen", NotYet, "";
    postscreen_pre_queue_limit: int(10, 0), "$default_process_limit", "postscreen", NotYet, "";
    postscreen_reject_footer: raw(0, 0), "$smtpd_reject_footer", "postscreen", NotYet, "";
    postscreen_reject_footer_maps: text(0, 0), "$smtpd_reject_footer_maps", "postscreen", NotYet, "";
    postscreen_starttls_timeout: time(1, 0), "$smtpd_starttls_timeout", "postscreen", NotYet, "";
    postscreen_upstream_proxy_protocol: text(0, 0), "", "postscreen", NotYet, "";
    postscreen_upstream_proxy_timeout: time(1, 0), "5s", "postscreen", NotYet, "";
    postscreen_use_tls: flag(), "$smtpd_use_tls", "postscreen", NotYet, "";
    postscreen_watchdog_timeout: time(10, 0), "10s", "postscreen", NotYet, "";
}
