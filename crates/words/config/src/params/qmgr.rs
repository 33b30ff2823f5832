//! Parameters of the queue manager.

use super::row::*;

rows! {
    after postscreen;
    bounce_queue_lifetime: time(0, 8640000), "5d", "oqmgr,qmgr", Honoured("qmgr"), "How long an undeliverable notice is tried.";
    confirm_delay_cleared: flag(), "no", "oqmgr,qmgr", NotYet, "Tells the sender when a delayed message went out after all.";
    default_delivery_slot_cost: int(0, 0), "5", "postconf,qmgr", Honoured("qmgr"), "How many deliveries of a big message earn a slot for a small one.";
    default_delivery_slot_discount: int(0, 100), "50", "postconf,qmgr", Honoured("qmgr"), "How much of a slot is granted, in percent.";
    default_delivery_slot_loan: int(0, 0), "3", "postconf,qmgr", Honoured("qmgr"), "How many slots are granted beforehand.";
    default_destination_concurrency_failed_cohort_limit: int(0, 0), "1", "oqmgr,postconf,qmgr", Honoured("qmgr"), "After how many rounds of failures a destination counts as dead.";
    default_destination_concurrency_limit: int(0, 0), "20", "oqmgr,postconf,qmgr", Honoured("qmgr"), "How many deliveries to one destination run at once.";
    default_destination_concurrency_negative_feedback: text(1, 0), "1", "oqmgr,postconf,qmgr", Honoured("qmgr"), "How much a failure lowers the concurrency.";
    default_destination_concurrency_positive_feedback: text(1, 0), "1", "oqmgr,postconf,qmgr", Honoured("qmgr"), "How much a success raises the concurrency.";
    default_destination_rate_delay: time(0, 0), "0s", "oqmgr,postconf,qmgr", Honoured("qmgr"), "The pause between deliveries to one destination.";
    default_destination_recipient_limit: int(0, 0), "50", "oqmgr,postconf,qmgr", Honoured("qmgr"), "How many recipients one delivery carries.";
    default_extra_recipient_limit: int(0, 0), "1000", "postconf,qmgr", Honoured("qmgr"), "How many recipients more than the limit a preempting message may hold in memory.";
    default_filter_nexthop: text(0, 0), "", "oqmgr,qmgr", Honoured("qmgr"), "The next hop for a content filter that names none.";
    default_minimum_delivery_slots: int(0, 0), "3", "postconf,qmgr", Honoured("qmgr"), "How many deliveries a message must need before it can be preempted.";
    default_recipient_limit: int(0, 0), "20000", "postconf,qmgr", Honoured("qmgr"), "How many recipients of one transport are held in memory.";
    default_recipient_refill_delay: time(1, 0), "5s", "postconf,qmgr", Honoured("qmgr"), "After what time recipients are read from the file again.";
    default_recipient_refill_limit: int(1, 0), "100", "postconf,qmgr", Honoured("qmgr"), "How many recipients are read at once.";
    default_transport_rate_delay: time(0, 0), "0s", "oqmgr,postconf,qmgr", Honoured("qmgr"), "The pause between deliveries of one transport.";
    defer_transports: text(0, 0), "", "oqmgr,qmgr", Honoured("qmgr"), "Transports whose mail waits until it is asked for.";
    destination_concurrency_feedback_debug: flag(), "no", "oqmgr,qmgr", NotYet, "Logs how each delivery changes the concurrency of its destination.";
    initial_destination_concurrency: int(1, 0), "5", "oqmgr,postconf,qmgr", Honoured("qmgr"), "How many deliveries to a new destination start at once.";
    maximal_backoff_time: time(1, 0), "4000s", "oqmgr,qmgr", Honoured("qmgr"), "The longest pause between two tries.";
    maximal_queue_lifetime: time(0, 8640000), "5d", "bounce,oqmgr,qmgr", Honoured("bounce, qmgr"), "How long a message is tried.";
    minimal_backoff_time: time(1, 0), "300s", "oqmgr,qmgr,smtp", Honoured("qmgr"), "The shortest pause between two tries.";
    qmgr_clog_warn_time: time(0, 0), "300s", "oqmgr,qmgr", Honoured("qmgr"), "How often a clogged queue is warned about.";
    qmgr_daemon_timeout: time(1, 0), "1000s", "oqmgr,qmgr", NotYet, "After what time the queue manager is taken to hang and ends itself.";
    qmgr_fudge_factor: int(10, 100), "100", "oqmgr", NoEffect("it is for Postfix's old queue manager only"), "How much of the delivery agents one big message may take, in percent.";
    qmgr_ipc_timeout: time(1, 0), "60s", "oqmgr,qmgr", NoEffect("the queue manager and its agents are in one process"), "How long a message between the queue manager and its agents may take.";
    qmgr_message_active_limit: int(1, 0), "20000", "oqmgr,qmgr", Honoured("deliver, qmgr"), "How many messages are active.";
    qmgr_message_recipient_limit: int(1, 0), "20000", "oqmgr,qmgr", Honoured("qmgr"), "How many recipients are held in memory.";
    qmgr_message_recipient_minimum: int(1, 0), "10", "qmgr", Honoured("qmgr"), "How many recipients of each message are held in memory at least.";
    queue_run_delay: time(1, 0), "300s", "oqmgr,qmgr,smtp", Honoured("qmgr"), "The pause between two looks at deferred mail.";
    transport_retry_time: time(1, 0), "60s", "oqmgr,qmgr", Honoured("qmgr"), "When a transport that failed is tried again.";
}
