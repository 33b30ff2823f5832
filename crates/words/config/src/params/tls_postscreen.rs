//! Parameters of TLS in postscreen.

use super::row::*;

rows! {
    after tls_lmtp;
    postscreen_tls_CAfile: text(0, 0), "$smtpd_tls_CAfile", "postscreen", NotYet, "In postscreen: a file with the certificates of the authorities that may vouch for clients.";
    postscreen_tls_CApath: text(0, 0), "$smtpd_tls_CApath", "postscreen", NotYet, "In postscreen: a directory with the certificates of the authorities that may vouch for clients.";
    postscreen_tls_always_issue_session_ids: flag(), "$smtpd_tls_always_issue_session_ids", "postscreen", NotYet, "In postscreen: gives TLS session ids also to clients whose sessions are not kept.";
    postscreen_tls_ask_ccert: flag(), "$smtpd_tls_ask_ccert", "postscreen", NotYet, "In postscreen: asks clients for a certificate.";
    postscreen_tls_ccert_verifydepth: int(0, 0), "$smtpd_tls_ccert_verifydepth", "postscreen", NotYet, "In postscreen: how long a chain of certificates may be.";
    postscreen_tls_cert_file: text(0, 0), "$smtpd_tls_cert_file", "postscreen", NotYet, "In postscreen: the file with the server's RSA certificate.";
    postscreen_tls_chain_files: text(0, 0), "$smtpd_tls_chain_files", "postscreen", NotYet, "In postscreen: files with keys and certificate chains, in place of those for each algorithm.";
    postscreen_tls_ciphers: text(1, 0), "$smtpd_tls_ciphers", "postscreen", NotYet, "In postscreen: the least cipher grade where TLS is optional.";
    postscreen_tls_dcert_file: text(0, 0), "$smtpd_tls_dcert_file", "postscreen", NotYet, "In postscreen: the file with the server's DSA certificate.";
    postscreen_tls_dh1024_param_file: text(0, 0), "$smtpd_tls_dh1024_param_file", "postscreen", NotYet, "In postscreen: a file with Diffie-Hellman parameters, or `auto`.";
    postscreen_tls_dh512_param_file: text(0, 0), "$smtpd_tls_dh512_param_file", "postscreen", NoEffect("Postfix ignores it too: there are no export ciphers any more"), "In postscreen: a file with Diffie-Hellman parameters for export ciphers.";
    postscreen_tls_dkey_file: text(0, 0), "$smtpd_tls_dkey_file", "postscreen", NotYet, "In postscreen: the file with the key of the server's DSA certificate.";
    postscreen_tls_eccert_file: text(0, 0), "$smtpd_tls_eccert_file", "postscreen", NotYet, "In postscreen: the file with the server's ECDSA certificate.";
    postscreen_tls_eckey_file: text(0, 0), "$smtpd_tls_eckey_file", "postscreen", NotYet, "In postscreen: the file with the key of the server's ECDSA certificate.";
    postscreen_tls_eecdh_grade: text(1, 0), "$smtpd_tls_eecdh_grade", "postscreen", NoEffect("Postfix ignores it too: the best curve that both sides know is used"), "In postscreen: the old security grade of elliptic-curve key exchange.";
    postscreen_tls_enable_rpk: flag(), "$smtpd_tls_enable_rpk", "postscreen", NotYet, "In postscreen: asks for a raw public key in place of a certificate.";
    postscreen_tls_exclude_ciphers: text(0, 0), "$smtpd_tls_exclude_ciphers", "postscreen", NotYet, "In postscreen: ciphers and algorithms that are never used.";
    postscreen_tls_fingerprint_digest: text(1, 0), "$smtpd_tls_fingerprint_digest", "postscreen", NotYet, "In postscreen: the digest that fingerprints of client certificates are made with.";
    postscreen_tls_key_file: text(0, 0), "$smtpd_tls_key_file", "postscreen", NotYet, "In postscreen: the file with the key of the server's RSA certificate.";
    postscreen_tls_loglevel: text(0, 0), "$smtpd_tls_loglevel", "postscreen", NotYet, "In postscreen: how much is logged about TLS.";
    postscreen_tls_loglevel_maps: text(0, 0), "$smtpd_tls_loglevel_maps", "postscreen", NotYet, "In postscreen: how much is logged about TLS, by peer.";
    postscreen_tls_mandatory_ciphers: text(1, 0), "$smtpd_tls_mandatory_ciphers", "postscreen", NotYet, "In postscreen: the least cipher grade where TLS is mandatory.";
    postscreen_tls_mandatory_exclude_ciphers: text(0, 0), "$smtpd_tls_mandatory_exclude_ciphers", "postscreen", NotYet, "In postscreen: further ciphers that are not used where TLS is mandatory.";
    postscreen_tls_mandatory_protocols: text(0, 0), "$smtpd_tls_mandatory_protocols", "postscreen", NotYet, "In postscreen: the versions of TLS where TLS is mandatory.";
    postscreen_tls_protocols: text(0, 0), "$smtpd_tls_protocols", "postscreen", NotYet, "In postscreen: the versions of TLS where TLS is optional.";
    postscreen_tls_req_ccert: flag(), "$smtpd_tls_req_ccert", "postscreen", NotYet, "In postscreen: wants a trusted certificate of clients, where TLS is mandatory.";
    postscreen_tls_security_level: text(0, 0), "$smtpd_tls_security_level", "postscreen", NotYet, "In postscreen: whether TLS is offered or demanded.";
    postscreen_tls_trace_size_limit: int(0, 0), "$smtpd_tls_trace_size_limit", "postscreen", NotYet, "In postscreen: how big a transcript of a handshake may become.";
}
