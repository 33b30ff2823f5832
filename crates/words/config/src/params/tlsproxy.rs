//! Parameters of tlsproxy.

use super::row::*;

rows! {
    after tls_smtpd;
    tlsproxy_client_CAfile: text(0, 0), "$smtp_tls_CAfile", "tlsproxy", NotYet, "";
    tlsproxy_client_CApath: text(0, 0), "$smtp_tls_CApath", "tlsproxy", NotYet, "";
    tlsproxy_client_cert_file: text(0, 0), "$smtp_tls_cert_file", "tlsproxy", NotYet, "";
    tlsproxy_client_chain_files: text(0, 0), "$smtp_tls_chain_files", "tlsproxy", NotYet, "";
    tlsproxy_client_dcert_file: text(0, 0), "$smtp_tls_dcert_file", "tlsproxy", NotYet, "";
    tlsproxy_client_dkey_file: text(0, 0), "$smtp_tls_dkey_file", "tlsproxy", NotYet, "";
    tlsproxy_client_eccert_file: text(0, 0), "$smtp_tls_eccert_file", "tlsproxy", NotYet, "";
    tlsproxy_client_eckey_file: text(0, 0), "$smtp_tls_eckey_file", "tlsproxy", NotYet, "";
    tlsproxy_client_enforce_tls: flag(), "$smtp_enforce_tls", "tlsproxy", NotYet, "";
    tlsproxy_client_fingerprint_digest: text(1, 0), "$smtp_tls_fingerprint_digest", "tlsproxy", NotYet, "";
    tlsproxy_client_key_file: text(0, 0), "$smtp_tls_key_file", "tlsproxy", NotYet, "";
    tlsproxy_client_loglevel: text(0, 0), "$smtp_tls_loglevel", "tlsproxy", NotYet, "";
    tlsproxy_client_per_site: text(0, 0), "$smtp_tls_per_site", "tlsproxy", NotYet, "";
    tlsproxy_client_policy_maps: text(0, 0), "${tlsproxy_client_policy?{$tlsproxy_client_policy}:{$smtp_tls_policy_maps}}", "tlsproxy", NotYet, "";
    tlsproxy_client_scert_verifydepth: int(0, 0), "$smtp_tls_scert_verifydepth", "tlsproxy", NotYet, "";
    tlsproxy_client_security_level: text(0, 0), "${tlsproxy_client_level?{$tlsproxy_client_level}:{$smtp_tls_security_level}}", "global,tlsproxy", NotYet, "";
    tlsproxy_client_use_tls: flag(), "$smtp_use_tls", "tlsproxy", NotYet, "";
    tlsproxy_enforce_tls: flag(), "$smtpd_enforce_tls", "tlsproxy", NotYet, "";
    tlsproxy_service_name: text(1, 0), "tlsproxy", "postscreen,smtp,smtpd", NotYet, "";
    tlsproxy_tls_CAfile: text(0, 0), "$smtpd_tls_CAfile", "tlsproxy", NotYet, "";
    tlsproxy_tls_CApath: text(0, 0), "$smtpd_tls_CApath", "tlsproxy", NotYet, "";
    tlsproxy_tls_always_issue_session_ids: flag(), "$smtpd_tls_always_issue_session_ids", "tlsproxy", NotYet, "";
    tlsproxy_tls_ask_ccert: flag(), "$smtpd_tls_ask_ccert", "tlsproxy", NotYet, "";
    tlsproxy_tls_ccert_verifydepth: int(0, 0), "$smtpd_tls_ccert_verifydepth", "tlsproxy", NotYet, "";
    tlsproxy_tls_cert_file: text(0, 0), "$smtpd_tls_cert_file", "tlsproxy", NotYet, "";
    tlsproxy_tls_chain_files: text(0, 0), "$smtpd_tls_chain_files", "tlsproxy", NotYet, "";
    tlsproxy_tls_ciphers: text(1, 0), "$smtpd_tls_ciphers", "tlsproxy", NotYet, "";
    tlsproxy_tls_dcert_file: text(0, 0), "$smtpd_tls_dcert_file", "tlsproxy", NotYet, "";
    tlsproxy_tls_dh1024_param_file: text(0, 0), "$smtpd_tls_dh1024_param_file", "tlsproxy", NotYet, "";
    tlsproxy_tls_dh512_param_file: text(0, 0), "$smtpd_tls_dh512_param_file", "tlsproxy", NotYet, "";
    tlsproxy_tls_dkey_file: text(0, 0), "$smtpd_tls_dkey_file", "tlsproxy", NotYet, "";
    tlsproxy_tls_eccert_file: text(0, 0), "$smtpd_tls_eccert_file", "tlsproxy", NotYet, "";
    tlsproxy_tls_eckey_file: text(0, 0), "$smtpd_tls_eckey_file", "tlsproxy", NotYet, "";
    tlsproxy_tls_eecdh_grade: text(1, 0), "$smtpd_tls_eecdh_grade", "tlsproxy", NotYet, "";
    tlsproxy_tls_enable_rpk: flag(), "$smtpd_tls_enable_rpk", "tlsproxy", NotYet, "";
    tlsproxy_tls_exclude_ciphers: text(0, 0), "$smtpd_tls_exclude_ciphers", "tlsproxy", NotYet, "";
    tlsproxy_tls_fingerprint_digest: text(1, 0), "$smtpd_tls_fingerprint_digest", "tlsproxy", NotYet, "";
    tlsproxy_tls_key_file: text(0, 0), "$smtpd_tls_key_file", "tlsproxy", NotYet, "";
    tlsproxy_tls_loglevel: text(0, 0), "$smtpd_tls_loglevel", "tlsproxy", NotYet, "";
    tlsproxy_tls_mandatory_ciphers: text(1, 0), "$smtpd_tls_mandatory_ciphers", "tlsproxy", NotYet, "";
    tlsproxy_tls_mandatory_exclude_ciphers: text(0, 0), "$smtpd_tls_mandatory_exclude_ciphers", "tlsproxy", NotYet, "";
    tlsproxy_tls_mandatory_protocols: text(0, 0), "$smtpd_tls_mandatory_protocols", "tlsproxy", NotYet, "";
    tlsproxy_tls_protocols: text(0, 0), "$smtpd_tls_protocols", "tlsproxy", NotYet, "";
    tlsproxy_tls_req_ccert: flag(), "$smtpd_tls_req_ccert", "tlsproxy", NotYet, "";
    tlsproxy_tls_security_level: text(0, 0), "$smtpd_tls_security_level", "tlsproxy", NotYet, "";
    tlsproxy_use_tls: flag(), "$smtpd_use_tls", "tlsproxy", NotYet, "";
    tlsproxy_watchdog_timeout: time(10, 0), "10s", "tlsproxy", NotYet, "";
}
