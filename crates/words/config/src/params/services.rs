//! Parameters of names of services.

use super::row::*;

rows! {
    after rewrite;
    bounce_service_name: text(1, 0), "bounce", "global", NotYet, "";
    cleanup_service_name: text(1, 0), "cleanup", "global", NotYet, "";
    connection_cache_service_name: text(1, 0), "scache", "smtp", NotYet, "";
    defer_service_name: text(1, 0), "defer", "global", NotYet, "";
    error_service_name: text(1, 0), "error", "global", NotYet, "";
    flush_service_name: text(1, 0), "flush", "global", NotYet, "";
    pickup_service_name: text(1, 0), "pickup", "global", NotYet, "";
    postlog_service_name: text(1, 0), "postlog", "global", NotYet, "";
    proxymap_service_name: text(1, 0), "proxymap", "global", NotYet, "";
    proxywrite_service_name: text(1, 0), "proxywrite", "global", NotYet, "";
    queue_service_name: text(1, 0), "qmgr", "global", Honoured("receive"), "The name of the queue manager's service.";
    rewrite_service_name: text(1, 0), "rewrite", "global", NotYet, "";
    showq_service_name: text(1, 0), "showq", "global", NotYet, "";
    trace_service_name: text(1, 0), "trace", "global", NotYet, "";
}
