//! Parameters of address verification.

use super::row::*;

rows! {
    after tlsproxy;
    address_verify_cache_cleanup_interval: time(0, 0), "12h", "verify", NotYet, "";
    address_verify_default_transport: text(1, 0), "$default_transport", "trivial-rewrite", NotYet, "";
    address_verify_local_transport: text(1, 0), "$local_transport", "trivial-rewrite", NotYet, "";
    address_verify_map: text(0, 0), "$default_cache_db_type:$data_directory/verify_cache", "proxymap,verify", NotYet, "";
    address_verify_negative_cache: flag(), "yes", "global", NotYet, "";
    address_verify_negative_expire_time: time(1, 0), "3d", "verify", NotYet, "";
    address_verify_negative_refresh_time: time(1, 0), "3h", "verify", NotYet, "";
    address_verify_pending_request_limit: int(1, 0), "5000", "oqmgr,qmgr", NotYet, "";
    address_verify_poll_count: int(1, 0), "${stress?{1}:{3}}", "smtpd", NotYet, "";
    address_verify_poll_delay: time(1, 0), "3s", "smtpd", NotYet, "";
    address_verify_positive_expire_time: time(1, 0), "31d", "verify", NotYet, "";
    address_verify_positive_refresh_time: time(1, 0), "7d", "verify", NotYet, "";
    address_verify_relay_transport: text(1, 0), "$relay_transport", "trivial-rewrite", NotYet, "";
    address_verify_relayhost: text(0, 0), "$relayhost", "trivial-rewrite", NotYet, "";
    address_verify_sender: text(0, 0), "$double_bounce_sender", "global,smtpd,verify", NotYet, "";
    address_verify_sender_dependent_default_transport_maps: text(0, 0), "$sender_dependent_default_transport_maps", "", NotYet, "";
    address_verify_sender_dependent_relayhost_maps: text(0, 0), "$sender_dependent_relayhost_maps", "trivial-rewrite", NotYet, "";
    address_verify_sender_ttl: time(0, 0), "0s", "smtpd,verify", NotYet, "";
    address_verify_service_name: text(1, 0), "verify", "global", NotYet, "";
    address_verify_transport_maps: text(0, 0), "$transport_maps", "trivial-rewrite", NotYet, "";
    address_verify_virtual_transport: text(1, 0), "$virtual_transport", "trivial-rewrite", NotYet, "";
}
