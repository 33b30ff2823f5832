//! Parameters of postscreen.

use super::row::*;

rows! {
    after paths;
    dnsblog_reply_delay: time(0, 0), "0s", "dnsblog", Honoured("receive"), "Delays answers of DNS block lists, for tests.";
    dnsblog_service_name: text(1, 0), "dnsblog", "postscreen", Honoured("receive"), "The service that looks up DNS block lists for postscreen.";
    postscreen_access_list: text(0, 0), "permit_mynetworks", "postscreen", Honoured("postscreen"), "Which clients are let through or turned away before any test.";
    postscreen_allowlist_interfaces: text(0, 0), "${postscreen_whitelist_interfaces?{$postscreen_whitelist_interfaces}:{static:all}}", "postscreen", Honoured("postscreen"), "Addresses of our own at which a client can pass all tests, so that a backup address can be without.";
    postscreen_bare_newline_action: text(1, 0), "ignore", "postscreen", Honoured("postscreen"), "What happens to a client that ends lines with a bare newline.";
    postscreen_bare_newline_enable: flag(), "no", "postscreen", Honoured("postscreen"), "Looks for lines that end with a bare newline.";
    postscreen_bare_newline_ttl: time(1, 0), "30d", "postscreen", Honoured("postscreen"), "How long a passed test for bare newlines counts.";
    postscreen_cache_cleanup_interval: time(0, 0), "12h", "postscreen", Honoured("receive"), "How often old entries are removed from the cache of passed tests.";
    postscreen_cache_map: text(0, 0), "$default_cache_db_type:$data_directory/postscreen_cache", "postscreen,proxymap", Honoured("receive, process"), "The table that remembers which tests a client has passed.";
    postscreen_cache_retention_time: time(1, 0), "7d", "postscreen", Honoured("postscreen"), "How long an entry of the cache is kept after it no longer counts.";
    postscreen_client_connection_count_limit: int(0, 0), "$smtpd_client_connection_count_limit", "postscreen", Honoured("postscreen"), "How many connections of one client postscreen holds at once.";
    postscreen_command_count_limit: int(1, 0), "20", "postscreen", Honoured("postscreen"), "How many commands a client may send in one session with postscreen itself.";
    postscreen_command_filter: text(0, 0), "", "postscreen", Honoured("postscreen"), "Rewrites commands before postscreen reads them.";
    postscreen_command_time_limit: time(1, 0), "${stress?{10}:{300}}s", "postscreen", Honoured("postscreen"), "How long a client may take over one command to postscreen.";
    postscreen_denylist_action: text(1, 0), "${postscreen_blacklist_action?{$postscreen_blacklist_action}:{ignore}}", "postscreen", Honoured("postscreen"), "What happens to a client that postscreen_access_list denies.";
    postscreen_disable_vrfy_command: flag(), "$disable_vrfy_command", "postscreen", Honoured("postscreen"), "Refuses VRFY in postscreen.";
    postscreen_discard_ehlo_keyword_address_maps: text(0, 0), "$smtpd_discard_ehlo_keyword_address_maps", "postscreen", Honoured("postscreen"), "EHLO keywords that postscreen leaves out, by client.";
    postscreen_discard_ehlo_keywords: text(0, 0), "$smtpd_discard_ehlo_keywords", "postscreen", Honoured("postscreen"), "EHLO keywords that postscreen leaves out.";
    postscreen_dnsbl_action: text(1, 0), "ignore", "postscreen", Honoured("postscreen"), "What happens to a client whose score on DNS block lists is too high.";
    postscreen_dnsbl_allowlist_threshold: int(0, 0), "${postscreen_dnsbl_whitelist_threshold?{$postscreen_dnsbl_whitelist_threshold}:{0}}", "postscreen", Honoured("postscreen"), "The score, below zero, with which a client need not pass the tests before the greeting.";
    postscreen_dnsbl_max_ttl: time(1, 0), "${postscreen_dnsbl_ttl?{$postscreen_dnsbl_ttl}:{1}}h", "postscreen", Honoured("postscreen"), "The longest time that a passed DNS block list test counts.";
    postscreen_dnsbl_min_ttl: time(1, 0), "60s", "postscreen", Honoured("postscreen"), "The shortest time that a passed DNS block list test counts.";
    postscreen_dnsbl_reply_map: text(0, 0), "", "postscreen", Honoured("postscreen"), "What replies say in place of the name of a DNS block list.";
    postscreen_dnsbl_sites: text(0, 0), "", "postscreen", Honoured("postscreen"), "DNS block and allow lists, with the answers that count and their weights.";
    postscreen_dnsbl_threshold: int(1, 0), "1", "postscreen", Honoured("postscreen"), "The score from which on a client is denied.";
    postscreen_dnsbl_timeout: time(1, 0), "10s", "postscreen", Honoured("postscreen"), "How long DNS block lists may take to answer.";
    postscreen_enforce_tls: flag(), "$smtpd_enforce_tls", "postscreen", NotYet, "The old way to demand TLS in postscreen.";
    postscreen_expansion_filter: raw(1, 0), "$smtpd_expansion_filter", "postscreen", Honoured("postscreen"), "The characters that postscreen_reject_footer may take over from a client.";
    postscreen_forbidden_commands: text(0, 0), "$smtpd_forbidden_commands", "postscreen,proxymap", Honoured("postscreen"), "Commands that end a session with postscreen.";
    postscreen_greet_action: text(1, 0), "ignore", "postscreen", Honoured("postscreen"), "What happens to a client that speaks before the greeting.";
    postscreen_greet_banner: text(0, 0), "$smtpd_banner", "postscreen", Honoured("postscreen"), "The first half of the greeting, which tempts clients to speak too early.";
    postscreen_greet_ttl: time(1, 0), "1d", "postscreen", Honoured("postscreen"), "How long a passed greeting test counts.";
    postscreen_greet_wait: time(1, 0), "${stress?{2}:{6}}s", "postscreen", Honoured("postscreen"), "How long postscreen waits with the second half of the greeting.";
    postscreen_helo_required: flag(), "$smtpd_helo_required", "postscreen", Honoured("postscreen"), "Wants HELO or EHLO before MAIL in postscreen.";
    postscreen_non_smtp_command_action: text(1, 0), "drop", "postscreen", Honoured("postscreen"), "What happens to a client that sends commands that are not SMTP.";
    postscreen_non_smtp_command_enable: flag(), "no", "postscreen", Honoured("postscreen"), "Looks for commands that are not SMTP.";
    postscreen_non_smtp_command_ttl: time(1, 0), "30d", "postscreen", Honoured("postscreen"), "How long a passed test for commands that are not SMTP counts.";
    postscreen_pipelining_action: text(1, 0), "enforce", "postscreen", Honoured("postscreen"), "What happens to a client that sends several commands without waiting.";
    postscreen_pipelining_enable: flag(), "no", "postscreen", Honoured("postscreen"), "Looks for clients that send several commands without waiting.";
    postscreen_pipelining_ttl: time(1, 0), "30d", "postscreen", Honoured("postscreen"), "How long a passed pipelining test counts.";
    postscreen_post_queue_limit: int(5, 0), "$default_process_limit", "postscreen", Honoured("postscreen"), "How many clients wait for an SMTP server after they have passed.";
    postscreen_pre_queue_limit: int(10, 0), "$default_process_limit", "postscreen", Honoured("postscreen"), "How many clients are tested at once.";
    postscreen_reject_footer: raw(0, 0), "$smtpd_reject_footer", "postscreen", Honoured("postscreen"), "Text that is added to the replies by which postscreen refuses.";
    postscreen_reject_footer_maps: text(0, 0), "$smtpd_reject_footer_maps", "postscreen", Honoured("postscreen"), "Tables of texts to add to replies by which postscreen refuses, by the beginning of the reply.";
    postscreen_starttls_timeout: time(1, 0), "$smtpd_starttls_timeout", "postscreen", NotYet, "How long STARTTLS may take in postscreen.";
    postscreen_upstream_proxy_protocol: text(0, 0), "", "postscreen", Honoured("receive"), "The protocol by which a proxy before postscreen names the real client.";
    postscreen_upstream_proxy_timeout: time(1, 0), "5s", "postscreen", Honoured("receive"), "How long the proxy before postscreen may take to name the real client.";
    postscreen_use_tls: flag(), "$smtpd_use_tls", "postscreen", NotYet, "The old way to offer TLS in postscreen.";
    postscreen_watchdog_timeout: time(10, 0), "10s", "postscreen", NoEffect("nothing that postscreen does can hold up its process"), "After what time postscreen is taken to hang and ends itself.";
}
