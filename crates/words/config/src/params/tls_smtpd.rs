//! Parameters of TLS in the SMTP server.

use super::row::*;

rows! {
    after tls_smtp;
    smtpd_enforce_tls: flag(), "no", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_starttls_timeout: time(1, 0), "${stress?{10}:{300}}s", "postscreen,smtpd", NotYet, "";
    smtpd_tls_CAfile: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_CApath: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_always_issue_session_ids: flag(), "yes", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_ask_ccert: flag(), "no", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_auth_only: flag(), "no", "smtpd", NotYet, "";
    smtpd_tls_ccert_verifydepth: int(0, 0), "9", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_cert_file: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_chain_files: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_ciphers: text(1, 0), "medium", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_dcert_file: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_dh1024_param_file: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_dh512_param_file: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_dkey_file: text(0, 0), "$smtpd_tls_dcert_file", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_eccert_file: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_eckey_file: text(0, 0), "$smtpd_tls_eccert_file", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_eecdh_grade: text(1, 0), "auto", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_enable_rpk: flag(), "no", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_exclude_ciphers: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_fingerprint_digest: text(1, 0), "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}", "global,postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_key_file: text(0, 0), "$smtpd_tls_cert_file", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_loglevel: text(0, 0), "0", "postscreen,smtpd,tls,tlsmgr,tlsproxy", NotYet, "";
    smtpd_tls_loglevel_maps: text(0, 0), "", "postscreen,smtpd", NotYet, "";
    smtpd_tls_mandatory_ciphers: text(1, 0), "medium", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_mandatory_exclude_ciphers: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_mandatory_protocols: text(0, 0), ">=TLSv1", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_protocols: text(0, 0), ">=TLSv1", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_received_header: flag(), "no", "smtpd", NotYet, "";
    smtpd_tls_req_ccert: flag(), "no", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_security_level: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "";
    smtpd_tls_session_cache_database: text(0, 0), "", "tlsmgr", NotYet, "";
    smtpd_tls_session_cache_timeout: time(0, 8640000), "3600s", "tlsmgr", NotYet, "";
    smtpd_tls_trace_size_limit: int(0, 0), "102400", "postscreen,smtpd", NotYet, "";
    smtpd_tls_wrappermode: flag(), "no", "smtpd", NotYet, "";
    smtpd_use_tls: flag(), "no", "postscreen,smtpd,tlsproxy", NotYet, "";
}
