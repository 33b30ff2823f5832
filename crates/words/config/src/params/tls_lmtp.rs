//! Parameters of TLS in the LMTP client.

use super::row::*;

rows! {
    after tls;
    lmtp_enforce_tls: flag(), "no", "smtp", NotYet, "";
    lmtp_starttls_timeout: time(1, 0), "300s", "smtp", NotYet, "";
    lmtp_tls_CAfile: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_CApath: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_block_early_mail_reply: flag(), "no", "smtp", NotYet, "";
    lmtp_tls_cert_file: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_chain_files: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_ciphers: text(1, 0), "medium", "smtp", NotYet, "";
    lmtp_tls_connection_reuse: flag(), "no", "smtp", NotYet, "";
    lmtp_tls_dcert_file: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_dkey_file: text(0, 0), "$lmtp_tls_dcert_file", "smtp", NotYet, "";
    lmtp_tls_eccert_file: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_eckey_file: text(0, 0), "$lmtp_tls_eccert_file", "smtp", NotYet, "";
    lmtp_tls_enable_rpk: flag(), "no", "smtp", NotYet, "";
    lmtp_tls_enforce_peername: flag(), "yes", "smtp", NotYet, "";
    lmtp_tls_enforce_sts_mx_patterns: flag(), "yes", "smtp", NotYet, "";
    lmtp_tls_exclude_ciphers: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_fingerprint_cert_match: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_fingerprint_digest: text(1, 0), "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}", "global,smtp,tls", NotYet, "";
    lmtp_tls_force_insecure_host_tlsa_lookup: flag(), "no", "smtp", NotYet, "";
    lmtp_tls_key_file: text(0, 0), "$lmtp_tls_cert_file", "smtp", NotYet, "";
    lmtp_tls_loglevel: text(0, 0), "0", "smtp,tlsmgr", NotYet, "";
    lmtp_tls_loglevel_maps: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_mandatory_ciphers: text(1, 0), "medium", "smtp", NotYet, "";
    lmtp_tls_mandatory_exclude_ciphers: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_mandatory_protocols: text(0, 0), ">=TLSv1", "smtp", NotYet, "";
    lmtp_tls_note_starttls_offer: flag(), "no", "smtp", NotYet, "";
    lmtp_tls_per_site: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_policy_maps: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_protocols: text(0, 0), ">=TLSv1", "smtp", NotYet, "";
    lmtp_tls_scert_verifydepth: int(0, 0), "9", "smtp", NotYet, "";
    lmtp_tls_secure_cert_match: text(1, 0), "nexthop", "smtp", NotYet, "";
    lmtp_tls_security_level: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_servername: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_session_cache_database: text(0, 0), "", "tlsmgr", NotYet, "";
    lmtp_tls_session_cache_timeout: time(0, 8640000), "3600s", "tlsmgr", NotYet, "";
    lmtp_tls_trace_size_limit: int(0, 0), "102400", "smtp", NotYet, "";
    lmtp_tls_trust_anchor_file: text(0, 0), "", "smtp", NotYet, "";
    lmtp_tls_verify_cert_match: text(1, 0), "hostname", "smtp", NotYet, "";
    lmtp_tls_wrappermode: flag(), "no", "smtp", NotYet, "";
    lmtp_tlsrpt_enable: flag(), "no", "smtp", NotYet, "";
    lmtp_tlsrpt_skip_reused_handshakes: flag(), "no", "smtp", NotYet, "";
    lmtp_tlsrpt_socket_name: text(0, 0), "", "smtp", NotYet, "";
    lmtp_use_tls: flag(), "no", "smtp", NotYet, "";
}
