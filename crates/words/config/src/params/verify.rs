//! Parameters of address verification.

use super::row::*;

rows! {
    after tlsproxy;
    address_verify_cache_cleanup_interval: time(0, 0), "12h", "verify", Honoured("deliver"), "How often old entries are removed from the table of probed addresses.";
    address_verify_default_transport: text(1, 0), "$default_transport", "trivial-rewrite", Honoured("rewrite"), "default_transport for probes.";
    address_verify_local_transport: text(1, 0), "$local_transport", "trivial-rewrite", Honoured("rewrite"), "local_transport for probes.";
    address_verify_map: text(0, 0), "$default_cache_db_type:$data_directory/verify_cache", "proxymap,verify", Honoured("process, deliver"), "The table that remembers what probes found out.";
    address_verify_negative_cache: flag(), "yes", "global", Honoured("verify, qmgr"), "Remembers addresses that do not exist too.";
    address_verify_negative_expire_time: time(1, 0), "3d", "verify", Honoured("verify"), "How long it is remembered that an address does not exist.";
    address_verify_negative_refresh_time: time(1, 0), "3h", "verify", Honoured("verify"), "After what time an address that did not exist is probed again.";
    address_verify_pending_request_limit: int(1, 0), "5000", "oqmgr,qmgr", Honoured("qmgr"), "How many probes may be under way.";
    address_verify_poll_count: int(1, 0), "${stress?{1}:{3}}", "smtpd", Honoured("smtpd"), "How often a server asks for the result of a probe before it answers without.";
    address_verify_poll_delay: time(1, 0), "3s", "smtpd", Honoured("smtpd"), "The pause between two questions for the result of a probe.";
    address_verify_positive_expire_time: time(1, 0), "31d", "verify", Honoured("verify"), "How long it is remembered that an address exists.";
    address_verify_positive_refresh_time: time(1, 0), "7d", "verify", Honoured("verify"), "After what time an address that existed is probed again.";
    address_verify_relay_transport: text(1, 0), "$relay_transport", "trivial-rewrite", Honoured("rewrite"), "relay_transport for probes.";
    address_verify_relayhost: text(0, 0), "$relayhost", "trivial-rewrite", Honoured("rewrite"), "relayhost for probes.";
    address_verify_sender: text(0, 0), "$double_bounce_sender", "smtpd,verify", Honoured("verify"), "The sender of probes.";
    address_verify_sender_dependent_default_transport_maps: text(0, 0), "$sender_dependent_default_transport_maps", "", Honoured("rewrite"), "sender_dependent_default_transport_maps for probes.";
    address_verify_sender_dependent_relayhost_maps: text(0, 0), "$sender_dependent_relayhost_maps", "trivial-rewrite", Honoured("rewrite"), "sender_dependent_relayhost_maps for probes.";
    address_verify_sender_ttl: time(0, 0), "0s", "smtpd,verify", Honoured("verify"), "After what time the sender of probes changes; 0 for never.";
    address_verify_service_name: text(1, 0), "verify", "global", Honoured("deliver, receive"), "The service that probes addresses.";
    address_verify_transport_maps: text(0, 0), "$transport_maps", "trivial-rewrite", Honoured("rewrite"), "transport_maps for probes.";
    address_verify_virtual_transport: text(1, 0), "$virtual_transport", "trivial-rewrite", Honoured("rewrite"), "virtual_transport for probes.";
}
