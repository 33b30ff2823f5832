//! Parameters of names of services.

use super::row::*;

rows! {
    after rewrite;
    bounce_service_name: text(1, 0), "bounce", "global", Honoured("deliver, receive"), "The service that keeps lists of failed recipients and makes bounces.";
    cleanup_service_name: text(1, 0), "cleanup", "global", Honoured("process"), "The row of master.cf whose settings clean up new mail.";
    connection_cache_service_name: text(1, 0), "scache", "smtp", NoEffect("idle connections stay in the process that uses them; there is no cache server"), "The service that keeps idle connections for all clients.";
    defer_service_name: text(1, 0), "defer", "global", Honoured("deliver"), "The service that keeps lists of recipients who have to wait.";
    error_service_name: text(1, 0), "error", "global", NotYet, "The transport for mail that must fail.";
    flush_service_name: text(1, 0), "flush", "global", Honoured("postdrop"), "The service that knows which deferred mail is for which destination.";
    pickup_service_name: text(1, 0), "pickup", "global", Honoured("postdrop"), "The service that takes in mail that local users submitted.";
    postlog_service_name: text(1, 0), "postlog", "global", NotYet, "The service that writes maillog_file.";
    proxymap_service_name: text(1, 0), "proxymap", "global", Honoured("commands"), "The service that looks up `proxy:` tables.";
    proxywrite_service_name: text(1, 0), "proxywrite", "global", Honoured("commands"), "The service that changes `proxy:` tables.";
    queue_service_name: text(1, 0), "qmgr", "global", Honoured("postdrop, process"), "The name of the queue manager's service.";
    rewrite_service_name: text(1, 0), "rewrite", "global", Honoured("process"), "The row of master.cf whose settings rewrite and resolve addresses.";
    showq_service_name: text(1, 0), "showq", "global", Honoured("postdrop"), "The service that lists the queue.";
    trace_service_name: text(1, 0), "trace", "global", Honoured("deliver"), "The service that keeps lists for reports of successful deliveries.";
}
