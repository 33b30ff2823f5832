//! Parameters of mail filters (milters).

use super::row::*;

rows! {
    after master;
    milter_command_timeout: time(1, 0), "30s", "cleanup,milter,smtpd", NotYet, "";
    milter_connect_macros: text(0, 0), "j {daemon_name} {daemon_addr} v _", "cleanup,smtpd", NotYet, "";
    milter_connect_timeout: time(1, 0), "30s", "cleanup,milter,smtpd", NotYet, "";
    milter_content_timeout: time(1, 0), "300s", "cleanup,milter,smtpd", NotYet, "";
    milter_data_macros: text(0, 0), "i", "cleanup,smtpd", NotYet, "";
    milter_default_action: text(1, 0), "shutdown", "cleanup,milter,smtpd", NotYet, "";
    milter_end_of_data_macros: text(0, 0), "i", "cleanup,smtpd", NotYet, "";
    milter_end_of_header_macros: text(0, 0), "i", "cleanup,smtpd", NotYet, "";
    milter_header_checks: text(0, 0), "", "cleanup", NotYet, "";
    milter_helo_macros: text(0, 0), "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}", "cleanup,smtpd", NotYet, "";
    milter_macro_daemon_name: text(1, 0), "$myhostname", "cleanup,smtpd", NotYet, "";
    milter_macro_defaults: text(0, 0), "", "cleanup,smtpd", NotYet, "";
    milter_macro_v: text(1, 0), "$mail_name $mail_version", "cleanup,smtpd", NotYet, "";
    milter_mail_macros: text(0, 0), "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}", "cleanup,smtpd", NotYet, "";
    milter_protocol: text(1, 0), "6", "cleanup,milter,smtpd", NotYet, "";
    milter_rcpt_macros: text(0, 0), "i {rcpt_addr} {rcpt_host} {rcpt_mailer}", "cleanup,smtpd", NotYet, "";
    milter_unknown_command_macros: text(0, 0), "", "cleanup,smtpd", NotYet, "";
}
