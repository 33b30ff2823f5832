//! Parameters of mail filters (milters).

use super::row::*;

rows! {
    after master;
    milter_command_timeout: time(1, 0), "30s", "cleanup,milter,smtpd", NotYet, "How long a mail filter may take to answer a command.";
    milter_connect_macros: text(0, 0), "j {daemon_name} {daemon_addr} v _", "cleanup,smtpd", NotYet, "The macros that mail filters get when a client connects.";
    milter_connect_timeout: time(1, 0), "30s", "cleanup,milter,smtpd", NotYet, "How long connecting to a mail filter, and agreeing with it, may take.";
    milter_content_timeout: time(1, 0), "300s", "cleanup,milter,smtpd", NotYet, "How long a mail filter may take over a message's content.";
    milter_data_macros: text(0, 0), "i", "cleanup,smtpd", NotYet, "The macros that mail filters get at DATA.";
    milter_default_action: text(1, 0), "shutdown", "cleanup,milter,smtpd", NotYet, "What happens to mail if a mail filter fails.";
    milter_end_of_data_macros: text(0, 0), "i", "cleanup,smtpd", NotYet, "The macros that mail filters get at the end of a message.";
    milter_end_of_header_macros: text(0, 0), "i", "cleanup,smtpd", NotYet, "The macros that mail filters get at the end of the headers.";
    milter_header_checks: text(0, 0), "", "cleanup", NotYet, "Tables of patterns that headers made by mail filters are held against.";
    milter_helo_macros: text(0, 0), "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}", "cleanup,smtpd", NotYet, "The macros that mail filters get at HELO.";
    milter_macro_daemon_name: text(1, 0), "$myhostname", "cleanup,smtpd", NotYet, "The value of the macro {daemon_name}.";
    milter_macro_defaults: text(0, 0), "", "cleanup,smtpd", NotYet, "Values of macros that have none otherwise.";
    milter_macro_v: text(1, 0), "$mail_name $mail_version", "cleanup,smtpd", NotYet, "The value of the macro v, the name and version of the mail system.";
    milter_mail_macros: text(0, 0), "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}", "cleanup,smtpd", NotYet, "The macros that mail filters get at MAIL.";
    milter_protocol: text(1, 0), "6", "cleanup,milter,smtpd", NotYet, "The version of the mail filter protocol, and its options.";
    milter_rcpt_macros: text(0, 0), "i {rcpt_addr} {rcpt_host} {rcpt_mailer}", "cleanup,smtpd", NotYet, "The macros that mail filters get at RCPT.";
    milter_unknown_command_macros: text(0, 0), "", "cleanup,smtpd", NotYet, "The macros that mail filters get at an unknown command.";
}
