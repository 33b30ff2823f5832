//! Parameters of where files and directories are.

use super::row::*;

rows! {
    after milter;
    command_directory: text(1, 0), "/usr/sbin", "global,postfix,postmulti", Honoured("commands"), "Where the commands are.";
    command_execution_directory: raw(0, 0), "", "local", NotYet, "";
    config_directory: text(0, 0), "/etc/postfix", "global,master,postconf,postfix,postmulti", Honoured("config-files, process"), "Where main.cf and master.cf are.";
    cyrus_sasl_config_path: text(0, 0), "", "smtp,smtpd,xsasl", NotYet, "";
    daemon_directory: text(1, 0), "/usr/lib/postfix/sbin", "global,postfix,postmulti", NotYet, "";
    data_directory: text(1, 0), "/var/lib/postfix", "global,postfix,postmulti", Honoured("master, process"), "Where data that daemons write is kept.";
    execution_directory_expansion_filter: text(1, 0), "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "local", NotYet, "";
    html_directory: text(1, 0), "no", "postfix", Honoured("commands"), "Where HTML documentation is, for those who ask postconf.";
    mail_spool_directory: text(0, 0), "/var/mail", "local,virtual", Honoured("local"), "Where mailboxes are.";
    mailq_path: text(1, 0), "/usr/bin/mailq", "postfix", Honoured("commands"), "Where mailq is installed, for those who ask postconf.";
    manpage_directory: text(1, 0), "/usr/share/man", "postfix", Honoured("commands"), "Where manual pages are, for those who ask postconf.";
    meta_directory: text(1, 0), "/etc/postfix", "global,postfix,postmulti,smtpd", NotYet, "";
    newaliases_path: text(1, 0), "/usr/bin/newaliases", "postfix", Honoured("commands"), "Where newaliases is installed, for those who ask postconf.";
    openssl_path: text(1, 0), "openssl", "tls", NotYet, "";
    process_id_directory: text(1, 0), "pid", "global", Honoured("master"), "Where lock files of processes are, below queue_directory.";
    queue_directory: text(1, 0), "/var/spool/postfix", "global,master,postconf,postfix,postmulti", Honoured("logsink, master, postdrop, process"), "The queue.";
    readme_directory: text(1, 0), "no", "postfix", Honoured("commands"), "Where README files are, for those who ask postconf.";
    require_home_directory: flag(), "no", "local", NotYet, "";
    sample_directory: text(1, 0), "/etc/postfix", "postfix", Honoured("commands"), "Where sample configurations are, for those who ask postconf.";
    sendmail_path: text(1, 0), "/usr/sbin/sendmail", "postfix", Honoured("commands"), "Where sendmail is installed, for those who ask postconf.";
    shlib_directory: text(1, 0), "/usr/lib/postfix", "global,postfix,postmulti,smtpd", NotYet, "";
}
