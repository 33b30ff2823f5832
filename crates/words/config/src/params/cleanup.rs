//! Parameters of taking a new message into the queue.

use super::row::*;

rows! {
    after bounce;
    always_add_missing_headers: flag(), "no", "cleanup", Honoured("cleanup"), "Adds missing headers to mail from remote clients too.";
    always_bcc: text(0, 0), "", "cleanup", Honoured("cleanup"), "An address that gets a copy of every message.";
    body_checks: text(0, 0), "", "cleanup", NotYet, "Tables of patterns that each line of a message's body is held against, with what to do on a match.";
    body_checks_size_limit: int(0, 0), "51200", "cleanup", NotYet, "How many bytes of each body part body_checks looks at.";
    canonical_classes: text(1, 0), "envelope_sender, envelope_recipient, header_sender, header_recipient", "cleanup", Honoured("cleanup"), "Which addresses canonical_maps rewrites.";
    cleanup_replace_stray_cr_lf: flag(), "yes", "cleanup", Honoured("cleanup"), "Replaces lone CR and LF in content.";
    delay_warning_time: time(0, 0), "0h", "bounce,cleanup", Honoured("bounce, cleanup"), "After what time a sender hears that mail is delayed.";
    detect_8bit_encoding_header: flag(), "yes", "cleanup", Honoured("cleanup"), "Labels eight-bit content that lacks a label.";
    disable_verp_bounces: flag(), "no", "cleanup,oqmgr,qmgr", Honoured("cleanup, qmgr"), "Sends one bounce for all recipients of mail that asked for VERP.";
    duplicate_filter_limit: int(0, 0), "1000", "cleanup,local,showq", Honoured("cleanup, local, queue"), "How many addresses are remembered to drop repeated ones.";
    force_mime_input_conversion: flag(), "no", "cleanup", NotYet, "Converts 8-bit content to quoted-printable as soon as mail comes in.";
    full_name_encoding_charset: text(1, 0), "utf-8", "cleanup", Honoured("cleanup"), "The character set of full names that are not ASCII.";
    header_checks: text(0, 0), "", "cleanup", NotYet, "Tables of patterns that each header of a message is held against, with what to do on a match.";
    hopcount_limit: int(1, 0), "50", "cleanup", Honoured("cleanup"), "How many Received headers make a loop.";
    masquerade_classes: text(0, 0), "envelope_sender, header_sender, header_recipient", "cleanup", Honoured("cleanup"), "Which addresses are masqueraded.";
    masquerade_domains: text(0, 0), "", "cleanup", Honoured("cleanup"), "Domains that hide their subdomains.";
    masquerade_exceptions: text(0, 0), "", "cleanup", Honoured("cleanup"), "Users that are not masqueraded.";
    message_reject_characters: text(0, 0), "", "cleanup", NotYet, "Bytes whose presence in content makes a message be refused.";
    message_strip_characters: text(0, 0), "", "cleanup", NotYet, "Bytes that are taken out of content.";
    mime_header_checks: text(0, 0), "$header_checks", "cleanup", NotYet, "header_checks for headers that describe MIME parts.";
    nested_header_checks: text(0, 0), "$header_checks", "cleanup", NotYet, "header_checks for headers of messages that are attached to messages.";
    non_empty_end_of_header_action: text(1, 0), "fix_quietly", "cleanup", NotYet, "What to do with a message whose headers end with a line that is neither a header nor empty.";
    non_smtpd_milters: text(0, 0), "", "cleanup", NotYet, "Mail filters for mail that does not come in by SMTP.";
    propagate_unmatched_extensions: text(0, 0), "canonical, virtual", "cleanup,local,smtp", Honoured("cleanup, smtp"), "Where an address extension is carried over to the result.";
    queue_file_attribute_count_limit: int(1, 0), "100", "cleanup", Honoured("cleanup"), "How many attributes a queue file may have.";
    recipient_bcc_maps: text(0, 0), "", "cleanup", Honoured("cleanup"), "Copies by recipient.";
    recipient_canonical_classes: text(1, 0), "envelope_recipient, header_recipient", "cleanup", Honoured("cleanup"), "Which addresses recipient_canonical_maps rewrites.";
    sender_bcc_maps: text(0, 0), "", "cleanup", Honoured("cleanup"), "Copies by sender.";
    sender_canonical_classes: text(1, 0), "envelope_sender, header_sender", "cleanup", Honoured("cleanup"), "Which addresses sender_canonical_maps rewrites.";
    undisclosed_recipients_header: text(0, 0), "", "cleanup", Honoured("cleanup"), "The header of a message that names no recipient.";
}
