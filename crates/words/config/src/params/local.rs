//! Parameters of local delivery.

use super::row::*;

rows! {
    after lmtp;
    allow_mail_to_commands: text(0, 0), "alias, forward", "local", Honoured("local"), "Where `|command` may be used: aliases, .forward files, included lists.";
    allow_mail_to_files: text(0, 0), "alias, forward", "local", Honoured("local"), "Where `/file` may be used: aliases, .forward files, included lists.";
    biff: flag(), "yes", "local", Honoured("local"), "Tells users who are logged in that mail has come.";
    command_expansion_filter: text(1, 0), "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "local", Honoured("local"), "The characters that mailbox_command and command_execution_directory may take over from mail; others become underscores.";
    command_time_limit: time(1, 0), "1000s", "local,pipe,postconf,spawn", Honoured("deliver, local"), "How long a command that mail is delivered to may take.";
    expand_owner_alias: flag(), "no", "local", Honoured("local"), "Uses what owner- aliases stand for as the sender.";
    fallback_transport: text(0, 0), "", "local", Honoured("local"), "The transport for local recipients that are unknown.";
    fallback_transport_maps: text(0, 0), "", "local", Honoured("deliver"), "Transports for local recipients that are unknown, by recipient.";
    forward_expansion_filter: text(1, 0), "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "local", Honoured("local, master"), "The characters that forward_path may take over from mail; others become underscores.";
    forward_path: raw(0, 0), "$home/.forward${recipient_delimiter}${extension}, $home/.forward", "local", Honoured("local"), "Where a user's .forward is looked for.";
    frozen_delivered_to: flag(), "yes", "local", Honoured("local"), "Keeps Delivered-To: the recipient while aliases and forward files are expanded.";
    home_mailbox: text(0, 0), "", "local", Honoured("local"), "The mailbox below a user's home directory.";
    local_command_shell: text(0, 0), "", "local", Honoured("local"), "The shell that runs commands of local deliveries.";
    local_delivery_status_filter: text(0, 0), "$default_delivery_status_filter", "local", Honoured("deliver"), "Tables that change status codes and texts of local deliveries.";
    local_destination_concurrency_limit: int(0, 0), "2", "", NotYet, "How many local deliveries to one recipient run at once.";
    local_destination_recipient_limit: int(0, 0), "1", "", NotYet, "How many recipients one local delivery carries.";
    local_header_rewrite_clients: text(0, 0), "permit_inet_interfaces", "smtpd", Honoured("smtpd"), "Whose headers are completed with our own domain.";
    local_login_sender_maps: text(0, 0), "static:*", "postdrop", Honoured("postdrop, tables"), "Tables of the sender addresses that a local user may use.";
    local_recipient_maps: text(0, 0), "proxy:unix:passwd.byname $alias_maps", "proxymap,smtpd", Honoured("smtpd"), "Tables of the recipients in our own domains.";
    local_transport: text(1, 0), "local:$myhostname", "trivial-rewrite", Honoured("rewrite"), "Transport and next hop for our own domains.";
    luser_relay: raw(0, 0), "", "local", Honoured("local"), "Where mail for unknown local recipients goes.";
    mailbox_command: raw(0, 0), "", "local", Honoured("local"), "The command that delivers to a user.";
    mailbox_command_maps: text(0, 0), "", "local", Honoured("agents, deliver"), "Commands that deliver to users, by recipient.";
    mailbox_size_limit: long(0, 0), "51200000", "local", Honoured("local"), "How big a mailbox may grow.";
    mailbox_transport: text(0, 0), "", "local", Honoured("local"), "The transport for all local recipients.";
    mailbox_transport_maps: text(0, 0), "", "local", Honoured("deliver"), "Transports for local recipients, by recipient.";
    prepend_delivered_header: text(0, 0), "command, file, forward", "local", Honoured("local"), "Where Delivered-To is added.";
    reset_owner_alias: flag(), "no", "local", Honoured("local"), "Lets owner- aliases of inner lists count.";
    strict_mailbox_ownership: flag(), "yes", "local,virtual", Honoured("local"), "Delivers only to mailboxes that their user owns.";
    sun_mailtool_compatibility: flag(), "no", "local", NotYet, "Locks mailboxes with lock files only.";
}
