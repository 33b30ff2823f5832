//! Parameters of virtual mailbox delivery and virtual domains.

use super::row::*;

rows! {
    after verify;
    virtual_alias_address_length_limit: int(1, 0), "1000", "cleanup", NotYet, "";
    virtual_alias_domains: text(0, 0), "$virtual_alias_maps", "proxymap,smtpd,trivial-rewrite", NotYet, "";
    virtual_alias_expansion_limit: int(1, 0), "1000", "cleanup", NotYet, "";
    virtual_alias_maps: text(0, 0), "$virtual_maps", "cleanup,proxymap,smtpd,trivial-rewrite", NotYet, "";
    virtual_alias_recursion_limit: int(1, 0), "1000", "cleanup", NotYet, "";
    virtual_delivery_status_filter: text(0, 0), "$default_delivery_status_filter", "virtual", NotYet, "";
    virtual_gid_maps: text(0, 0), "", "virtual", NotYet, "";
    virtual_mailbox_base: text(1, 0), "", "virtual", NotYet, "";
    virtual_mailbox_domains: text(0, 0), "$virtual_mailbox_maps", "proxymap,smtpd,trivial-rewrite", NotYet, "";
    virtual_mailbox_limit: long(0, 0), "51200000", "virtual", NotYet, "";
    virtual_mailbox_lock: text(1, 0), "fcntl, dotlock", "virtual", NotYet, "";
    virtual_mailbox_maps: text(0, 0), "", "proxymap,smtpd,trivial-rewrite,virtual", NotYet, "";
    virtual_minimum_uid: int(1, 0), "100", "virtual", NotYet, "";
    virtual_transport: text(1, 0), "virtual", "trivial-rewrite", NotYet, "";
    virtual_uid_maps: text(0, 0), "", "virtual", NotYet, "";
}
