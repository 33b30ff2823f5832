//! Parameters of address rewriting and resolving.

use super::row::*;

rows! {
    after qmqpd;
    allow_min_user: flag(), "no", "trivial-rewrite", NotYet, "";
    allow_percent_hack: flag(), "yes", "trivial-rewrite", NotYet, "";
    append_at_myorigin: flag(), "yes", "trivial-rewrite", NotYet, "";
    default_transport: text(1, 0), "smtp", "trivial-rewrite", NotYet, "";
    empty_address_recipient: text(1, 0), "MAILER-DAEMON", "cleanup,showq,trivial-rewrite", NotYet, "";
    empty_address_relayhost_maps_lookup_key: text(1, 0), "<>", "trivial-rewrite", NotYet, "";
    relay_transport: text(1, 0), "relay", "trivial-rewrite", NotYet, "";
    relocated_maps: text(0, 0), "", "proxymap,trivial-rewrite", NotYet, "";
    relocated_prefix_enable: flag(), "yes", "trivial-rewrite", NotYet, "";
    remote_header_rewrite_domain: text(0, 0), "", "cleanup,trivial-rewrite", NotYet, "";
    resolve_dequoted_address: flag(), "yes", "trivial-rewrite", NotYet, "";
    resolve_null_domain: flag(), "no", "trivial-rewrite", NotYet, "";
    resolve_numeric_domain: flag(), "no", "trivial-rewrite", NotYet, "";
    sender_dependent_relayhost_maps: text(0, 0), "", "trivial-rewrite", NotYet, "";
    show_user_unknown_table_name: flag(), "yes", "smtpd,trivial-rewrite", NotYet, "";
    swap_bangpath: flag(), "yes", "trivial-rewrite", NotYet, "";
    transport_maps: text(0, 0), "", "proxymap,trivial-rewrite", NotYet, "";
}
