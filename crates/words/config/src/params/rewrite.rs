//! Parameters of address rewriting and resolving.

use super::row::*;

rows! {
    after qmqpd;
    allow_min_user: flag(), "no", "trivial-rewrite", Honoured("rewrite"), "Lets a recipient begin with a hyphen.";
    allow_percent_hack: flag(), "yes", "trivial-rewrite", Honoured("rewrite"), "Reads user%domain as user@domain.";
    append_at_myorigin: flag(), "yes", "trivial-rewrite", Honoured("rewrite"), "Completes an address without domain with myorigin.";
    default_transport: text(1, 0), "smtp", "trivial-rewrite", Honoured("rewrite"), "Transport and next hop for everything else.";
    empty_address_recipient: text(1, 0), "MAILER-DAEMON", "cleanup,showq,trivial-rewrite", Honoured("cleanup, queue, rewrite"), "Who gets mail to the empty address.";
    empty_address_relayhost_maps_lookup_key: text(1, 0), "<>", "trivial-rewrite", Honoured("rewrite"), "What stands for the empty sender in the table of relay hosts.";
    relay_transport: text(1, 0), "relay", "trivial-rewrite", Honoured("rewrite"), "Transport and next hop for relay_domains.";
    relocated_maps: text(0, 0), "", "proxymap,trivial-rewrite", Honoured("rewrite"), "Tables of people who moved.";
    relocated_prefix_enable: flag(), "yes", "trivial-rewrite", Honoured("rewrite"), "Puts a text before a new address.";
    remote_header_rewrite_domain: text(0, 0), "", "cleanup,trivial-rewrite", Honoured("cleanup, rewrite"), "Completes headers from other clients with this domain.";
    resolve_dequoted_address: flag(), "yes", "trivial-rewrite", Honoured("rewrite"), "Resolves the address as if it had no quotes.";
    resolve_null_domain: flag(), "no", "trivial-rewrite", Honoured("rewrite"), "Takes user@ for a local address.";
    resolve_numeric_domain: flag(), "no", "trivial-rewrite", Honoured("rewrite"), "Takes user@1.2.3.4 for user@[1.2.3.4].";
    sender_dependent_relayhost_maps: text(0, 0), "", "trivial-rewrite", Honoured("rewrite"), "relayhost by sender.";
    show_user_unknown_table_name: flag(), "yes", "smtpd,trivial-rewrite", Honoured("rewrite, smtpd"), "Names the table in replies about unknown users.";
    swap_bangpath: flag(), "yes", "trivial-rewrite", Honoured("rewrite"), "Reads host!user as user@host.";
    transport_maps: text(0, 0), "", "proxymap,trivial-rewrite", Honoured("rewrite"), "Tables from recipient to transport and next hop.";
}
