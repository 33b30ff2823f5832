//! Parameters of virtual mailbox delivery and virtual domains.

use super::row::*;

rows! {
    after verify;
    virtual_alias_address_length_limit: int(1, 0), "1000", "cleanup", Honoured("cleanup"), "How long an address may become by expansion.";
    virtual_alias_domains: text(0, 0), "$virtual_alias_maps", "proxymap,smtpd,trivial-rewrite", Honoured("rewrite"), "Domains that consist of aliases.";
    virtual_alias_expansion_limit: int(1, 0), "1000", "cleanup", Honoured("cleanup"), "How many recipients aliases may make.";
    virtual_alias_maps: text(0, 0), "$virtual_maps", "cleanup,proxymap,smtpd,trivial-rewrite", Honoured("cleanup, smtpd"), "Tables of aliases of all kinds of recipients.";
    virtual_alias_recursion_limit: int(1, 0), "1000", "cleanup", Honoured("cleanup"), "How often aliases are expanded again.";
    virtual_delivery_status_filter: text(0, 0), "$default_delivery_status_filter", "virtual", Honoured("deliver"), "Tables that change status codes and texts of deliveries to virtual mailboxes.";
    virtual_gid_maps: text(0, 0), "", "virtual", Honoured("deliver"), "Tables of the groups that own virtual mailboxes.";
    virtual_mailbox_base: text(1, 0), "", "virtual", Honoured("local"), "Where virtual mailboxes are.";
    virtual_mailbox_domains: text(0, 0), "$virtual_mailbox_maps", "proxymap,smtpd,trivial-rewrite", Honoured("rewrite"), "Domains that consist of virtual mailboxes.";
    virtual_mailbox_limit: long(0, 0), "51200000", "virtual", Honoured("local"), "How big a virtual mailbox may grow.";
    virtual_mailbox_lock: text(1, 0), "fcntl, dotlock", "virtual", Honoured("local"), "How virtual mailboxes are locked.";
    virtual_mailbox_maps: text(0, 0), "", "proxymap,smtpd,trivial-rewrite,virtual", Honoured("deliver, smtpd"), "Tables of virtual mailboxes.";
    virtual_minimum_uid: int(1, 0), "100", "virtual", Honoured("local, master"), "The least user id that a virtual mailbox may have.";
    virtual_transport: text(1, 0), "virtual", "trivial-rewrite", Honoured("rewrite"), "Transport and next hop for virtual mailboxes.";
    virtual_uid_maps: text(0, 0), "", "virtual", Honoured("deliver"), "Tables of the users who own virtual mailboxes.";
}
