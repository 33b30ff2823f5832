//! Parameters of notifications.

use super::row::*;

rows! {
    after row;
    double_bounce_notice_recipient = "2bounce_notice_recipient": text(1, 0), "postmaster", "bounce", Honoured("bounce"), "Who gets what could not be returned.";
    bounce_size_limit: int(1, 0), "50000", "bounce", Honoured("bounce"), "How much of the original is returned.";
    bounce_template_file: text(0, 0), "", "bounce,postconf", Honoured("bounce, process"), "Texts of notices.";
    delay_notice_recipient: text(1, 0), "postmaster", "bounce", Honoured("bounce"), "Who gets copies of delayed mail's headers.";
    enable_threaded_bounces: flag(), "no", "bounce", Honoured("bounce"), "Notices refer to the original's thread.";
    requiretls_redact_dsn: flag(), "yes", "bounce", NotYet, "Returns only the headers of a message that came with REQUIRETLS, so that the notice itself need not be protected.";
}
