//! Parameters of where files and directories are.

use super::row::*;

rows! {
    after milter;
    command_directory: text(1, 0), "/usr/sbin", "global,postfix,postmulti", Honoured("submit"), "Where the commands are.";
    command_execution_directory: raw(0, 0), "", "local", Honoured("local"), "The directory in which commands of local deliveries run.";
    config_directory: text(0, 0), "/etc/postfix", "global,master,postconf,postfix,postmulti", Honoured("config, process"), "Where main.cf and master.cf are.";
    cyrus_sasl_config_path: text(0, 0), "", "smtp,smtpd,xsasl", NotYet, "Where the Cyrus library looks for its configuration.";
    daemon_directory: text(1, 0), "/usr/lib/postfix/sbin", "global,postfix,postmulti", NoEffect("all services are in the program itself; nothing is looked for there"), "Where the programs of master.cf are.";
    data_directory: text(1, 0), "/var/lib/postfix", "global,postfix,postmulti", Honoured("commands, master, process"), "Where data that daemons write is kept.";
    execution_directory_expansion_filter: text(1, 0), "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "local", Honoured("local"), "The characters that command_execution_directory may take over from mail; others become underscores.";
    html_directory: text(1, 0), "no", "postfix", Honoured("postconf"), "Where HTML documentation is, for those who ask postconf.";
    mail_spool_directory: text(0, 0), "/var/mail", "local,virtual", Honoured("local, master"), "Where mailboxes are.";
    mailq_path: text(1, 0), "/usr/bin/mailq", "postfix", Honoured("postconf"), "Where mailq is installed, for those who ask postconf.";
    manpage_directory: text(1, 0), "/usr/share/man", "postfix", Honoured("postconf"), "Where manual pages are, for those who ask postconf.";
    meta_directory: text(1, 0), "/etc/postfix", "global,postfix,postmulti,smtpd", Honoured("commands"), "Where files are that all instances share: postfix-files, dynamicmaps.cf, templates of main.cf and master.cf.";
    newaliases_path: text(1, 0), "/usr/bin/newaliases", "postfix", Honoured("postconf"), "Where newaliases is installed, for those who ask postconf.";
    openssl_path: text(1, 0), "openssl", "tls", NotYet, "The openssl command that `postfix tls` runs.";
    process_id_directory: text(1, 0), "pid", "global", Honoured("commands, master"), "Where lock files of processes are, below queue_directory.";
    queue_directory: text(1, 0), "/var/spool/postfix", "global,master,postconf,postfix,postmulti", Honoured("commands, logsink, master, postdrop, process, receive, submit"), "The queue.";
    readme_directory: text(1, 0), "no", "postfix", Honoured("postconf"), "Where README files are, for those who ask postconf.";
    require_home_directory: flag(), "no", "local", Honoured("local"), "Waits with mail for a user whose home directory is missing.";
    sample_directory: text(1, 0), "/etc/postfix", "postfix", Honoured("postconf"), "Where sample configurations are, for those who ask postconf.";
    sendmail_path: text(1, 0), "/usr/sbin/sendmail", "postfix", Honoured("postconf"), "Where sendmail is installed, for those who ask postconf.";
    shlib_directory: text(1, 0), "/usr/lib/postfix", "global,postfix,postmulti,smtpd", NoEffect("all table types are in the program itself; nothing is loaded"), "Where shared libraries and plug-ins of table types are.";
}
