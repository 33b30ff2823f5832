//! Parameters of TLS in the LMTP client.

use super::row::*;

rows! {
    after tls;
    lmtp_enforce_tls: flag(), "no", "smtp", NotYet, "The old way to demand TLS of servers.";
    lmtp_starttls_timeout: time(1, 0), "300s", "smtp", NotYet, "How long the reply to STARTTLS and the handshake may take.";
    lmtp_tls_CAfile: text(0, 0), "", "smtp", NotYet, "A file with the certificates of the authorities that are trusted.";
    lmtp_tls_CApath: text(0, 0), "", "smtp", NotYet, "A directory with the certificates of the authorities that are trusted.";
    lmtp_tls_block_early_mail_reply: flag(), "no", "smtp", NotYet, "Looks for servers whose replies betray commands that somebody put before ours.";
    lmtp_tls_cert_file: text(0, 0), "", "smtp", NotYet, "The file with the client's RSA certificate.";
    lmtp_tls_chain_files: text(0, 0), "", "smtp", NotYet, "Files with keys and certificate chains, in place of those for each algorithm.";
    lmtp_tls_ciphers: text(1, 0), "medium", "smtp", NotYet, "The least cipher grade where TLS is optional.";
    lmtp_tls_connection_reuse: flag(), "no", "smtp", NotYet, "Keeps TLS connections open for further mail.";
    lmtp_tls_dcert_file: text(0, 0), "", "smtp", NotYet, "The file with the client's DSA certificate.";
    lmtp_tls_dkey_file: text(0, 0), "$lmtp_tls_dcert_file", "smtp", NotYet, "The file with the key of the client's DSA certificate.";
    lmtp_tls_eccert_file: text(0, 0), "", "smtp", NotYet, "The file with the client's ECDSA certificate.";
    lmtp_tls_eckey_file: text(0, 0), "$lmtp_tls_eccert_file", "smtp", NotYet, "The file with the key of the client's ECDSA certificate.";
    lmtp_tls_enable_rpk: flag(), "no", "smtp", NotYet, "Asks for a raw public key in place of a certificate.";
    lmtp_tls_enforce_peername: flag(), "yes", "smtp", NotYet, "Where the old way demands TLS, wants the right name in the certificate too.";
    lmtp_tls_enforce_sts_mx_patterns: flag(), "yes", "smtp", NotYet, "Takes host names from the patterns of an MTA-STS policy.";
    lmtp_tls_exclude_ciphers: text(0, 0), "", "smtp", NotYet, "Ciphers and algorithms that are never used.";
    lmtp_tls_fingerprint_cert_match: text(0, 0), "", "smtp", NotYet, "Fingerprints of server certificates for the level `fingerprint`.";
    lmtp_tls_fingerprint_digest: text(1, 0), "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}", "smtp,tls", NotYet, "The digest that fingerprints are made with.";
    lmtp_tls_force_insecure_host_tlsa_lookup: flag(), "no", "smtp", NotYet, "Looks up TLSA records of hosts whose addresses were not secure.";
    lmtp_tls_key_file: text(0, 0), "$lmtp_tls_cert_file", "smtp", NotYet, "The file with the key of the client's RSA certificate.";
    lmtp_tls_loglevel: text(0, 0), "0", "smtp,tlsmgr", NotYet, "How much is logged about TLS.";
    lmtp_tls_loglevel_maps: text(0, 0), "", "smtp", NotYet, "How much is logged about TLS, by peer.";
    lmtp_tls_mandatory_ciphers: text(1, 0), "medium", "smtp", NotYet, "The least cipher grade where TLS is mandatory.";
    lmtp_tls_mandatory_exclude_ciphers: text(0, 0), "", "smtp", NotYet, "Further ciphers that are not used where TLS is mandatory.";
    lmtp_tls_mandatory_protocols: text(0, 0), ">=TLSv1", "smtp", NotYet, "The versions of TLS where TLS is mandatory.";
    lmtp_tls_note_starttls_offer: flag(), "no", "smtp", NotYet, "Logs servers that offer STARTTLS where it is not used.";
    lmtp_tls_per_site: text(0, 0), "", "smtp", NotYet, "The old table of TLS use by destination.";
    lmtp_tls_policy_maps: text(0, 0), "", "smtp", NotYet, "Tables of security level and other TLS details by destination.";
    lmtp_tls_protocols: text(0, 0), ">=TLSv1", "smtp", NotYet, "The versions of TLS where TLS is optional.";
    lmtp_tls_scert_verifydepth: int(0, 0), "9", "smtp", NotYet, "How long a chain of certificates may be.";
    lmtp_tls_secure_cert_match: text(1, 0), "nexthop", "smtp", NotYet, "What name a certificate must have at the level `secure`.";
    lmtp_tls_security_level: text(0, 0), "", "smtp", NotYet, "Whether TLS is used, and how a server must prove who it is.";
    lmtp_tls_servername: text(0, 0), "", "smtp", NotYet, "The name that the server is asked for in the handshake.";
    lmtp_tls_session_cache_database: text(0, 0), "", "tlsmgr", NotYet, "The table of TLS sessions that can be resumed.";
    lmtp_tls_session_cache_timeout: time(0, 8640000), "3600s", "tlsmgr", NotYet, "How long a TLS session can be resumed.";
    lmtp_tls_trace_size_limit: int(0, 0), "102400", "smtp", NotYet, "How big a transcript of a handshake may become.";
    lmtp_tls_trust_anchor_file: text(0, 0), "", "smtp", NotYet, "Files with certificates or keys that are trusted in place of authorities.";
    lmtp_tls_verify_cert_match: text(1, 0), "hostname", "smtp", NotYet, "What name a certificate must have at the level `verify`.";
    lmtp_tls_wrappermode: flag(), "no", "smtp", NotYet, "Begins TLS at once, without STARTTLS.";
    lmtp_tlsrpt_enable: flag(), "no", "smtp", NotYet, "Reports how TLS worked, for TLSRPT.";
    lmtp_tlsrpt_skip_reused_handshakes: flag(), "no", "smtp", NotYet, "Leaves resumed TLS sessions out of reports for TLSRPT.";
    lmtp_tlsrpt_socket_name: text(0, 0), "", "smtp", NotYet, "The socket of the program that collects reports for TLSRPT.";
    lmtp_use_tls: flag(), "no", "smtp", NotYet, "The old way to use TLS where servers offer it.";
}
