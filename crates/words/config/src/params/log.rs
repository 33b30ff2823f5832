//! Parameters of logging.

use super::row::*;

rows! {
    after local;
    backwards_bounce_logfile_compatibility: flag(), "yes", "global", NotYet, "";
    delay_logging_resolution_limit: int(0, 6), "2", "global", NotYet, "";
    empty_address_local_login_sender_maps_lookup_key: text(0, 0), "<>", "postdrop", NotYet, "";
    info_log_address_format: text(1, 0), "external", "global,smtpd", NotYet, "";
    maillog_file: text(0, 0), "", "global", NotYet, "";
    maillog_file_compressor: text(1, 0), "gzip", "global", NotYet, "";
    maillog_file_permissions: text(1, 0), "0600", "global", NotYet, "";
    maillog_file_prefixes: text(1, 0), "/var, /dev/stdout", "global", NotYet, "";
    maillog_file_rotate_suffix: text(1, 0), "%Y%m%d-%H%M%S", "global", NotYet, "";
    postlogd_watchdog_timeout: time(10, 0), "10s", "postlogd", NotYet, "";
    respectful_logging: flag(), "${{$compatibility_level} <level {3.6} ? {no} : {yes}}", "global,postscreen", NotYet, "";
    syslog_facility: text(1, 0), "mail", "global", NotYet, "";
    syslog_name: text(1, 0), "${multi_instance_name?{$multi_instance_name}:{postfix}}", "global", NotYet, "";
}
