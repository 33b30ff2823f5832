//! Parameters of logging.

use super::row::*;

rows! {
    after local;
    backwards_bounce_logfile_compatibility: flag(), "yes", "global", Honoured("process, queue"), "Writes bounce logs in the old form besides the new one.";
    delay_logging_resolution_limit: int(0, 6), "2", "global", Honoured("process, qmgr"), "How many digits behind the point delays have in the log.";
    empty_address_local_login_sender_maps_lookup_key: text(0, 0), "<>", "postdrop", Honoured("tables"), "What stands for the empty sender in local_login_sender_maps.";
    info_log_address_format: text(1, 0), "external", "global,smtpd", NotYet, "Whether the log shows addresses quoted as in SMTP, or as they are inside.";
    maillog_file: text(0, 0), "", "global", Honoured("commands, logsink"), "The log file, instead of syslog.";
    maillog_file_compressor: text(1, 0), "gzip", "global", Honoured("commands"), "What compresses a rotated log file.";
    maillog_file_permissions: text(1, 0), "0600", "global", Honoured("logsink"), "The access mode of a new log file.";
    maillog_file_prefixes: text(1, 0), "/var, /dev/stdout", "global", Honoured("logsink"), "Where a log file may be.";
    maillog_file_rotate_suffix: text(1, 0), "%Y%m%d-%H%M%S", "global", Honoured("commands"), "What the name of a rotated log file ends with.";
    postlogd_watchdog_timeout: time(10, 0), "10s", "postlogd", NotYet, "After what time postlogd is taken to hang and ends itself.";
    respectful_logging: flag(), "${{$compatibility_level} <level {3.6} ? {no} : {yes}}", "global,postscreen", Honoured("postscreen"), "Says allowlist and denylist in the log.";
    syslog_facility: text(1, 0), "mail", "global", Honoured("logsink"), "The facility of log lines.";
    syslog_name: text(1, 0), "${multi_instance_name?{$multi_instance_name}:{postfix}}", "global", Honoured("logsink, process"), "What log lines begin with.";
}
