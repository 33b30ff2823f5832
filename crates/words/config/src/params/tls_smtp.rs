//! Parameters of TLS in the SMTP client.

use super::row::*;

rows! {
    after tls_postscreen;
    smtp_enforce_tls: flag(), "no", "smtp,tlsproxy", NotYet, "";
    smtp_starttls_timeout: time(1, 0), "300s", "smtp", NotYet, "";
    smtp_tls_CAfile: text(0, 0), "", "smtp,tlsproxy", NotYet, "";
    smtp_tls_CApath: text(0, 0), "", "smtp,tlsproxy", NotYet, "";
    smtp_tls_block_early_mail_reply: flag(), "no", "smtp", NotYet, "";
    smtp_tls_cert_file: text(0, 0), "", "smtp,tlsproxy", NotYet, "";
    smtp_tls_chain_files: text(0, 0), "", "smtp,tlsproxy", NotYet, "";
    smtp_tls_ciphers: text(1, 0), "medium", "smtp", NotYet, "";
    smtp_tls_connection_reuse: flag(), "no", "smtp", NotYet, "";
    smtp_tls_dane_insecure_mx_policy: text(0, 0), "dane", "smtp", NotYet, "";
    smtp_tls_dcert_file: text(0, 0), "", "smtp,tlsproxy", NotYet, "";
    smtp_tls_dkey_file: text(0, 0), "$smtp_tls_dcert_file", "smtp,tlsproxy", NotYet, "";
    smtp_tls_eccert_file: text(0, 0), "", "smtp,tlsproxy", NotYet, "";
    smtp_tls_eckey_file: text(0, 0), "$smtp_tls_eccert_file", "smtp,tlsproxy", NotYet, "";
    smtp_tls_enable_rpk: flag(), "no", "smtp", NotYet, "";
    smtp_tls_enforce_peername: flag(), "yes", "smtp", NotYet, "";
    smtp_tls_enforce_sts_mx_patterns: flag(), "yes", "smtp", NotYet, "";
    smtp_tls_exclude_ciphers: text(0, 0), "", "smtp", NotYet, "";
    smtp_tls_fingerprint_cert_match: text(0, 0), "", "smtp", NotYet, "";
    smtp_tls_fingerprint_digest: text(1, 0), "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}", "global,posttls-finger,smtp,tls,tlsproxy", NotYet, "";
    smtp_tls_force_insecure_host_tlsa_lookup: flag(), "no", "smtp", NotYet, "";
    smtp_tls_key_file: text(0, 0), "$smtp_tls_cert_file", "smtp,tlsproxy", NotYet, "";
    smtp_tls_loglevel: text(0, 0), "0", "smtp,tls,tlsmgr,tlsproxy", NotYet, "";
    smtp_tls_loglevel_maps: text(0, 0), "", "smtp", NotYet, "";
    smtp_tls_mandatory_ciphers: text(1, 0), "medium", "smtp", NotYet, "";
    smtp_tls_mandatory_exclude_ciphers: text(0, 0), "", "smtp", NotYet, "";
    smtp_tls_mandatory_protocols: text(0, 0), ">=TLSv1", "smtp", NotYet, "";
    smtp_tls_note_starttls_offer: flag(), "no", "smtp", NotYet, "";
    smtp_tls_per_site: text(0, 0), "", "smtp,tlsproxy", NotYet, "";
    smtp_tls_policy_maps: text(0, 0), "", "smtp,tlsproxy", NotYet, "";
    smtp_tls_protocols: text(0, 0), ">=TLSv1", "smtp", NotYet, "";
    smtp_tls_scert_verifydepth: int(0, 0), "9", "smtp,tlsproxy", NotYet, "";
    smtp_tls_secure_cert_match: text(1, 0), "nexthop, dot-nexthop", "smtp", NotYet, "";
    smtp_tls_security_level: text(0, 0), "${{$compatibility_level} <level {3.11} ? {} : {may}}", "global,smtp,tlsproxy", NotYet, "";
    smtp_tls_servername: text(0, 0), "", "smtp", NotYet, "";
    smtp_tls_session_cache_database: text(0, 0), "", "tlsmgr", NotYet, "";
    smtp_tls_session_cache_timeout: time(0, 8640000), "3600s", "tlsmgr", NotYet, "";
    smtp_tls_trace_size_limit: int(0, 0), "102400", "smtp", NotYet, "";
    smtp_tls_trust_anchor_file: text(0, 0), "", "smtp", NotYet, "";
    smtp_tls_verify_cert_match: text(1, 0), "hostname", "smtp", NotYet, "";
    smtp_tls_wrappermode: flag(), "no", "smtp", NotYet, "";
    smtp_tlsrpt_enable: flag(), "no", "smtp", NotYet, "";
    smtp_tlsrpt_skip_reused_handshakes: flag(), "no", "global,smtp", NotYet, "";
    smtp_tlsrpt_socket_name: text(0, 0), "", "smtp", NotYet, "";
    smtp_use_tls: flag(), "no", "smtp,tlsproxy", NotYet, "";
}
