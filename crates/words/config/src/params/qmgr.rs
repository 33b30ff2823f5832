//! Parameters of the queue manager.

use super::row::*;

rows! {
    after postscreen;
    bounce_queue_lifetime: time(0, 8640000), "5d", "oqmgr,qmgr", NotYet, "";
    confirm_delay_cleared: flag(), "no", "oqmgr,qmgr", NotYet, "";
    default_delivery_slot_cost: int(0, 0), "5", "postconf,qmgr", NotYet, "";
    default_delivery_slot_discount: int(0, 100), "50", "postconf,qmgr", NotYet, "";
    default_delivery_slot_loan: int(0, 0), "3", "postconf,qmgr", NotYet, "";
    default_destination_concurrency_failed_cohort_limit: int(0, 0), "1", "oqmgr,postconf,qmgr", NotYet, "";
    default_destination_concurrency_limit: int(0, 0), "20", "oqmgr,postconf,qmgr", NotYet, "";
    default_destination_concurrency_negative_feedback: text(1, 0), "1", "oqmgr,postconf,qmgr", NotYet, "";
    default_destination_concurrency_positive_feedback: text(1, 0), "1", "oqmgr,postconf,qmgr", NotYet, "";
    default_destination_rate_delay: time(0, 0), "0s", "oqmgr,postconf,qmgr", NotYet, "";
    default_destination_recipient_limit: int(0, 0), "50", "oqmgr,postconf,qmgr", NotYet, "";
    default_extra_recipient_limit: int(0, 0), "1000", "postconf,qmgr", NotYet, "";
    default_filter_nexthop: text(0, 0), "", "oqmgr,qmgr", NotYet, "";
    default_minimum_delivery_slots: int(0, 0), "3", "postconf,qmgr", NotYet, "";
    default_recipient_limit: int(0, 0), "20000", "postconf,qmgr", NotYet, "";
    default_recipient_refill_delay: time(1, 0), "5s", "postconf,qmgr", NotYet, "";
    default_recipient_refill_limit: int(1, 0), "100", "postconf,qmgr", NotYet, "";
    default_transport_rate_delay: time(0, 0), "0s", "oqmgr,postconf,qmgr", NotYet, "";
    defer_transports: text(0, 0), "", "oqmgr,qmgr", NotYet, "";
    destination_concurrency_feedback_debug: flag(), "no", "oqmgr,qmgr", NotYet, "";
    initial_destination_concurrency: int(1, 0), "5", "oqmgr,postconf,qmgr", NotYet, "";
    maximal_backoff_time: time(1, 0), "4000s", "oqmgr,qmgr", NotYet, "";
    maximal_queue_lifetime: time(0, 8640000), "5d", "bounce,oqmgr,qmgr", NotYet, "";
    minimal_backoff_time: time(1, 0), "300s", "oqmgr,qmgr,smtp", NotYet, "";
    qmgr_clog_warn_time: time(0, 0), "300s", "oqmgr,qmgr", NotYet, "";
    qmgr_daemon_timeout: time(1, 0), "1000s", "oqmgr,qmgr", NotYet, "";
    qmgr_fudge_factor: int(10, 100), "100", "oqmgr", NotYet, "";
    qmgr_ipc_timeout: time(1, 0), "60s", "oqmgr,qmgr", NotYet, "";
    qmgr_message_active_limit: int(1, 0), "20000", "oqmgr,qmgr", NotYet, "";
    qmgr_message_recipient_limit: int(1, 0), "20000", "oqmgr,qmgr", NotYet, "";
    qmgr_message_recipient_minimum: int(1, 0), "10", "qmgr", NotYet, "";
    queue_run_delay: time(1, 0), "300s", "oqmgr,qmgr,smtp", NotYet, "";
    transport_retry_time: time(1, 0), "60s", "oqmgr,qmgr", NotYet, "";
}
