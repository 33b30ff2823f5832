//! Parameters of tlsproxy.

use super::row::*;

rows! {
    after tls_smtpd;
    tlsproxy_client_CAfile: text(0, 0), "$smtp_tls_CAfile", "tlsproxy", NotYet, "In tlsproxy as a client: a file with the certificates of the authorities that are trusted.";
    tlsproxy_client_CApath: text(0, 0), "$smtp_tls_CApath", "tlsproxy", NotYet, "In tlsproxy as a client: a directory with the certificates of the authorities that are trusted.";
    tlsproxy_client_cert_file: text(0, 0), "$smtp_tls_cert_file", "tlsproxy", NotYet, "In tlsproxy as a client: the file with the client's RSA certificate.";
    tlsproxy_client_chain_files: text(0, 0), "$smtp_tls_chain_files", "tlsproxy", NotYet, "In tlsproxy as a client: files with keys and certificate chains, in place of those for each algorithm.";
    tlsproxy_client_dcert_file: text(0, 0), "$smtp_tls_dcert_file", "tlsproxy", NotYet, "In tlsproxy as a client: the file with the client's DSA certificate.";
    tlsproxy_client_dkey_file: text(0, 0), "$smtp_tls_dkey_file", "tlsproxy", NotYet, "In tlsproxy as a client: the file with the key of the client's DSA certificate.";
    tlsproxy_client_eccert_file: text(0, 0), "$smtp_tls_eccert_file", "tlsproxy", NotYet, "In tlsproxy as a client: the file with the client's ECDSA certificate.";
    tlsproxy_client_eckey_file: text(0, 0), "$smtp_tls_eckey_file", "tlsproxy", NotYet, "In tlsproxy as a client: the file with the key of the client's ECDSA certificate.";
    tlsproxy_client_enforce_tls: flag(), "$smtp_enforce_tls", "tlsproxy", NotYet, "The old way to demand TLS in tlsproxy's client side.";
    tlsproxy_client_fingerprint_digest: text(1, 0), "$smtp_tls_fingerprint_digest", "tlsproxy", NotYet, "In tlsproxy as a client: the digest that fingerprints are made with.";
    tlsproxy_client_key_file: text(0, 0), "$smtp_tls_key_file", "tlsproxy", NotYet, "In tlsproxy as a client: the file with the key of the client's RSA certificate.";
    tlsproxy_client_loglevel: text(0, 0), "$smtp_tls_loglevel", "tlsproxy", NotYet, "In tlsproxy as a client: how much is logged about TLS.";
    tlsproxy_client_per_site: text(0, 0), "$smtp_tls_per_site", "tlsproxy", NotYet, "The old table of TLS use of tlsproxy's client side, by destination.";
    tlsproxy_client_policy_maps: text(0, 0), "${tlsproxy_client_policy?{$tlsproxy_client_policy}:{$smtp_tls_policy_maps}}", "tlsproxy", NotYet, "Tables of security level and other TLS details of tlsproxy's client side, by destination.";
    tlsproxy_client_scert_verifydepth: int(0, 0), "$smtp_tls_scert_verifydepth", "tlsproxy", NotYet, "In tlsproxy as a client: how long a chain of certificates may be.";
    tlsproxy_client_security_level: text(0, 0), "${tlsproxy_client_level?{$tlsproxy_client_level}:{$smtp_tls_security_level}}", "tlsproxy", NotYet, "In tlsproxy as a client: whether TLS is used, and how a server must prove who it is.";
    tlsproxy_client_use_tls: flag(), "$smtp_use_tls", "tlsproxy", NotYet, "The old way to use TLS in tlsproxy's client side.";
    tlsproxy_enforce_tls: flag(), "$smtpd_enforce_tls", "tlsproxy", NotYet, "The old way to demand TLS of clients of tlsproxy.";
    tlsproxy_service_name: text(1, 0), "tlsproxy", "postscreen,smtp,smtpd", NotYet, "The service that does TLS for postscreen and for connections that are kept.";
    tlsproxy_tls_CAfile: text(0, 0), "$smtpd_tls_CAfile", "tlsproxy", NotYet, "In tlsproxy: a file with the certificates of the authorities that may vouch for clients.";
    tlsproxy_tls_CApath: text(0, 0), "$smtpd_tls_CApath", "tlsproxy", NotYet, "In tlsproxy: a directory with the certificates of the authorities that may vouch for clients.";
    tlsproxy_tls_always_issue_session_ids: flag(), "$smtpd_tls_always_issue_session_ids", "tlsproxy", NotYet, "In tlsproxy: gives TLS session ids also to clients whose sessions are not kept.";
    tlsproxy_tls_ask_ccert: flag(), "$smtpd_tls_ask_ccert", "tlsproxy", NotYet, "In tlsproxy: asks clients for a certificate.";
    tlsproxy_tls_ccert_verifydepth: int(0, 0), "$smtpd_tls_ccert_verifydepth", "tlsproxy", NotYet, "In tlsproxy: how long a chain of certificates may be.";
    tlsproxy_tls_cert_file: text(0, 0), "$smtpd_tls_cert_file", "tlsproxy", NotYet, "In tlsproxy: the file with the server's RSA certificate.";
    tlsproxy_tls_chain_files: text(0, 0), "$smtpd_tls_chain_files", "tlsproxy", NotYet, "In tlsproxy: files with keys and certificate chains, in place of those for each algorithm.";
    tlsproxy_tls_ciphers: text(1, 0), "$smtpd_tls_ciphers", "tlsproxy", NotYet, "In tlsproxy: the least cipher grade where TLS is optional.";
    tlsproxy_tls_dcert_file: text(0, 0), "$smtpd_tls_dcert_file", "tlsproxy", NotYet, "In tlsproxy: the file with the server's DSA certificate.";
    tlsproxy_tls_dh1024_param_file: text(0, 0), "$smtpd_tls_dh1024_param_file", "tlsproxy", NotYet, "In tlsproxy: a file with Diffie-Hellman parameters, or `auto`.";
    tlsproxy_tls_dh512_param_file: text(0, 0), "$smtpd_tls_dh512_param_file", "tlsproxy", NoEffect("Postfix ignores it too: there are no export ciphers any more"), "In tlsproxy: a file with Diffie-Hellman parameters for export ciphers.";
    tlsproxy_tls_dkey_file: text(0, 0), "$smtpd_tls_dkey_file", "tlsproxy", NotYet, "In tlsproxy: the file with the key of the server's DSA certificate.";
    tlsproxy_tls_eccert_file: text(0, 0), "$smtpd_tls_eccert_file", "tlsproxy", NotYet, "In tlsproxy: the file with the server's ECDSA certificate.";
    tlsproxy_tls_eckey_file: text(0, 0), "$smtpd_tls_eckey_file", "tlsproxy", NotYet, "In tlsproxy: the file with the key of the server's ECDSA certificate.";
    tlsproxy_tls_eecdh_grade: text(1, 0), "$smtpd_tls_eecdh_grade", "tlsproxy", NoEffect("Postfix ignores it too: the best curve that both sides know is used"), "In tlsproxy: the old security grade of elliptic-curve key exchange.";
    tlsproxy_tls_enable_rpk: flag(), "$smtpd_tls_enable_rpk", "tlsproxy", NotYet, "In tlsproxy: asks for a raw public key in place of a certificate.";
    tlsproxy_tls_exclude_ciphers: text(0, 0), "$smtpd_tls_exclude_ciphers", "tlsproxy", NotYet, "In tlsproxy: ciphers and algorithms that are never used.";
    tlsproxy_tls_fingerprint_digest: text(1, 0), "$smtpd_tls_fingerprint_digest", "tlsproxy", NotYet, "In tlsproxy: the digest that fingerprints of client certificates are made with.";
    tlsproxy_tls_key_file: text(0, 0), "$smtpd_tls_key_file", "tlsproxy", NotYet, "In tlsproxy: the file with the key of the server's RSA certificate.";
    tlsproxy_tls_loglevel: text(0, 0), "$smtpd_tls_loglevel", "tlsproxy", NotYet, "In tlsproxy: how much is logged about TLS.";
    tlsproxy_tls_mandatory_ciphers: text(1, 0), "$smtpd_tls_mandatory_ciphers", "tlsproxy", NotYet, "In tlsproxy: the least cipher grade where TLS is mandatory.";
    tlsproxy_tls_mandatory_exclude_ciphers: text(0, 0), "$smtpd_tls_mandatory_exclude_ciphers", "tlsproxy", NotYet, "In tlsproxy: further ciphers that are not used where TLS is mandatory.";
    tlsproxy_tls_mandatory_protocols: text(0, 0), "$smtpd_tls_mandatory_protocols", "tlsproxy", NotYet, "In tlsproxy: the versions of TLS where TLS is mandatory.";
    tlsproxy_tls_protocols: text(0, 0), "$smtpd_tls_protocols", "tlsproxy", NotYet, "In tlsproxy: the versions of TLS where TLS is optional.";
    tlsproxy_tls_req_ccert: flag(), "$smtpd_tls_req_ccert", "tlsproxy", NotYet, "In tlsproxy: wants a trusted certificate of clients, where TLS is mandatory.";
    tlsproxy_tls_security_level: text(0, 0), "$smtpd_tls_security_level", "tlsproxy", NotYet, "In tlsproxy: whether TLS is offered or demanded.";
    tlsproxy_use_tls: flag(), "$smtpd_use_tls", "tlsproxy", NotYet, "The old way to offer TLS in tlsproxy.";
    tlsproxy_watchdog_timeout: time(10, 0), "10s", "tlsproxy", NotYet, "After what time tlsproxy is taken to hang and ends itself.";
}
