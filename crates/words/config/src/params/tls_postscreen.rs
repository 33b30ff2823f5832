//! Parameters of TLS in postscreen.

use super::row::*;

rows! {
    after tls_lmtp;
    postscreen_tls_CAfile: text(0, 0), "$smtpd_tls_CAfile", "postscreen", NotYet, "";
    postscreen_tls_CApath: text(0, 0), "$smtpd_tls_CApath", "postscreen", NotYet, "";
    postscreen_tls_always_issue_session_ids: flag(), "$smtpd_tls_always_issue_session_ids", "postscreen", NotYet, "";
    postscreen_tls_ask_ccert: flag(), "$smtpd_tls_ask_ccert", "postscreen", NotYet, "";
    postscreen_tls_ccert_verifydepth: int(0, 0), "$smtpd_tls_ccert_verifydepth", "postscreen", NotYet, "";
    postscreen_tls_cert_file: text(0, 0), "$smtpd_tls_cert_file", "postscreen", NotYet, "";
    postscreen_tls_chain_files: text(0, 0), "$smtpd_tls_chain_files", "postscreen", NotYet, "";
    postscreen_tls_ciphers: text(1, 0), "$smtpd_tls_ciphers", "postscreen", NotYet, "";
    postscreen_tls_dcert_file: text(0, 0), "$smtpd_tls_dcert_file", "postscreen", NotYet, "";
    postscreen_tls_dh1024_param_file: text(0, 0), "$smtpd_tls_dh1024_param_file", "postscreen", NotYet, "";
    postscreen_tls_dh512_param_file: text(0, 0), "$smtpd_tls_dh512_param_file", "postscreen", NotYet, "";
    postscreen_tls_dkey_file: text(0, 0), "$smtpd_tls_dkey_file", "postscreen", NotYet, "";
    postscreen_tls_eccert_file: text(0, 0), "$smtpd_tls_eccert_file", "postscreen", NotYet, "";
    postscreen_tls_eckey_file: text(0, 0), "$smtpd_tls_eckey_file", "postscreen", NotYet, "";
    postscreen_tls_eecdh_grade: text(1, 0), "$smtpd_tls_eecdh_grade", "postscreen", NotYet, "";
    postscreen_tls_enable_rpk: flag(), "$smtpd_tls_enable_rpk", "postscreen", NotYet, "";
    postscreen_tls_exclude_ciphers: text(0, 0), "$smtpd_tls_exclude_ciphers", "postscreen", NotYet, "";
    postscreen_tls_fingerprint_digest: text(1, 0), "$smtpd_tls_fingerprint_digest", "postscreen", NotYet, "";
    postscreen_tls_key_file: text(0, 0), "$smtpd_tls_key_file", "postscreen", NotYet, "";
    postscreen_tls_loglevel: text(0, 0), "$smtpd_tls_loglevel", "postscreen", NotYet, "";
    postscreen_tls_loglevel_maps: text(0, 0), "$smtpd_tls_loglevel_maps", "postscreen", NotYet, "";
    postscreen_tls_mandatory_ciphers: text(1, 0), "$smtpd_tls_mandatory_ciphers", "postscreen", NotYet, "";
    postscreen_tls_mandatory_exclude_ciphers: text(0, 0), "$smtpd_tls_mandatory_exclude_ciphers", "postscreen", NotYet, "";
    postscreen_tls_mandatory_protocols: text(0, 0), "$smtpd_tls_mandatory_protocols", "postscreen", NotYet, "";
    postscreen_tls_protocols: text(0, 0), "$smtpd_tls_protocols", "postscreen", NotYet, "";
    postscreen_tls_req_ccert: flag(), "$smtpd_tls_req_ccert", "postscreen", NotYet, "";
    postscreen_tls_security_level: text(0, 0), "$smtpd_tls_security_level", "postscreen", NotYet, "";
    postscreen_tls_trace_size_limit: int(0, 0), "$smtpd_tls_trace_size_limit", "postscreen", NotYet, "";
}
