//! Parameters of notifications.

use super::row::*;

rows! {
    after row;
    double_bounce_notice_recipient = "2bounce_notice_recipient": text(1, 0), "postmaster", "bounce", NotYet, "";
    bounce_size_limit: int(1, 0), "50000", "bounce", NotYet, "";
    bounce_template_file: text(0, 0), "", "bounce,postconf", NotYet, "";
    delay_notice_recipient: text(1, 0), "postmaster", "bounce", NotYet, "";
    enable_threaded_bounces: flag(), "no", "bounce", NotYet, "";
    requiretls_redact_dsn: flag(), "yes", "bounce", NotYet, "";
}
