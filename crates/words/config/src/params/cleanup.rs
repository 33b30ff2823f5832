//! Parameters of taking a new message into the queue.

use super::row::*;

rows! {
    after bounce;
    always_add_missing_headers: flag(), "no", "cleanup", NotYet, "";
    always_bcc: text(0, 0), "", "cleanup", NotYet, "";
    body_checks: text(0, 0), "", "cleanup", NotYet, "";
    body_checks_size_limit: int(0, 0), "51200", "cleanup", NotYet, "";
    canonical_classes: text(1, 0), "envelope_sender, envelope_recipient, header_sender, header_recipient", "cleanup", NotYet, "";
    cleanup_replace_stray_cr_lf: flag(), "yes", "cleanup", NotYet, "";
    delay_warning_time: time(0, 0), "0h", "bounce,cleanup", NotYet, "";
    detect_8bit_encoding_header: flag(), "yes", "cleanup", NotYet, "";
    disable_verp_bounces: flag(), "no", "cleanup,oqmgr,qmgr", NotYet, "";
    duplicate_filter_limit: int(0, 0), "1000", "cleanup,local,showq", NotYet, "";
    force_mime_input_conversion: flag(), "no", "cleanup", NotYet, "";
    full_name_encoding_charset: text(1, 0), "utf-8", "cleanup", NotYet, "";
    header_checks: text(0, 0), "", "cleanup", NotYet, "";
    hopcount_limit: int(1, 0), "50", "cleanup", NotYet, "";
    masquerade_classes: text(0, 0), "envelope_sender, header_sender, header_recipient", "cleanup", NotYet, "";
    masquerade_domains: text(0, 0), "", "cleanup", NotYet, "";
    masquerade_exceptions: text(0, 0), "", "cleanup", NotYet, "";
    message_reject_characters: text(0, 0), "", "cleanup", NotYet, "";
    message_strip_characters: text(0, 0), "", "cleanup", NotYet, "";
    mime_header_checks: text(0, 0), "$header_checks", "cleanup", NotYet, "";
    nested_header_checks: text(0, 0), "$header_checks", "cleanup", NotYet, "";
    non_empty_end_of_header_action: text(1, 0), "fix_quietly", "cleanup", NotYet, "";
    non_smtpd_milters: text(0, 0), "", "cleanup", NotYet, "";
    propagate_unmatched_extensions: text(0, 0), "canonical, virtual", "cleanup,local,smtp", NotYet, "";
    queue_file_attribute_count_limit: int(1, 0), "100", "cleanup", NotYet, "";
    recipient_bcc_maps: text(0, 0), "", "cleanup", NotYet, "";
    recipient_canonical_classes: text(1, 0), "envelope_recipient, header_recipient", "cleanup", NotYet, "";
    sender_bcc_maps: text(0, 0), "", "cleanup", NotYet, "";
    sender_canonical_classes: text(1, 0), "envelope_sender, header_sender", "cleanup", NotYet, "";
    undisclosed_recipients_header: text(0, 0), "", "cleanup", NotYet, "";
}
