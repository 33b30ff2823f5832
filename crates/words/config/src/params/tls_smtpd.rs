//! Parameters of TLS in the SMTP server.

use super::row::*;

rows! {
    after tls_smtp;
    smtpd_enforce_tls: flag(), "no", "postscreen,smtpd,tlsproxy", NotYet, "The old way to demand TLS of clients.";
    smtpd_starttls_timeout: time(1, 0), "${stress?{10}:{300}}s", "postscreen,smtpd", NotYet, "How long the handshake after STARTTLS may take.";
    smtpd_tls_CAfile: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "A file with the certificates of the authorities that may vouch for clients.";
    smtpd_tls_CApath: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "A directory with the certificates of the authorities that may vouch for clients.";
    smtpd_tls_always_issue_session_ids: flag(), "yes", "postscreen,smtpd,tlsproxy", NotYet, "Gives TLS session ids also to clients whose sessions are not kept.";
    smtpd_tls_ask_ccert: flag(), "no", "postscreen,smtpd,tlsproxy", NotYet, "Asks clients for a certificate.";
    smtpd_tls_auth_only: flag(), "no", "smtpd", NotYet, "Lets clients log in only within TLS.";
    smtpd_tls_ccert_verifydepth: int(0, 0), "9", "postscreen,smtpd,tlsproxy", NotYet, "How long a chain of certificates may be.";
    smtpd_tls_cert_file: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "The file with the server's RSA certificate.";
    smtpd_tls_chain_files: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "Files with keys and certificate chains, in place of those for each algorithm.";
    smtpd_tls_ciphers: text(1, 0), "medium", "postscreen,smtpd,tlsproxy", NotYet, "The least cipher grade where TLS is optional.";
    smtpd_tls_dcert_file: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "The file with the server's DSA certificate.";
    smtpd_tls_dh1024_param_file: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "A file with Diffie-Hellman parameters, or `auto`.";
    smtpd_tls_dh512_param_file: text(0, 0), "", "postscreen,smtpd,tlsproxy", NoEffect("Postfix ignores it too: there are no export ciphers any more"), "A file with Diffie-Hellman parameters for export ciphers.";
    smtpd_tls_dkey_file: text(0, 0), "$smtpd_tls_dcert_file", "postscreen,smtpd,tlsproxy", NotYet, "The file with the key of the server's DSA certificate.";
    smtpd_tls_eccert_file: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "The file with the server's ECDSA certificate.";
    smtpd_tls_eckey_file: text(0, 0), "$smtpd_tls_eccert_file", "postscreen,smtpd,tlsproxy", NotYet, "The file with the key of the server's ECDSA certificate.";
    smtpd_tls_eecdh_grade: text(1, 0), "auto", "postscreen,smtpd,tlsproxy", NoEffect("Postfix ignores it too: the best curve that both sides know is used"), "The old security grade of elliptic-curve key exchange.";
    smtpd_tls_enable_rpk: flag(), "no", "postscreen,smtpd,tlsproxy", NotYet, "Asks for a raw public key in place of a certificate.";
    smtpd_tls_exclude_ciphers: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "Ciphers and algorithms that are never used.";
    smtpd_tls_fingerprint_digest: text(1, 0), "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}", "postscreen,smtpd,tlsproxy", NotYet, "The digest that fingerprints of client certificates are made with.";
    smtpd_tls_key_file: text(0, 0), "$smtpd_tls_cert_file", "postscreen,smtpd,tlsproxy", NotYet, "The file with the key of the server's RSA certificate.";
    smtpd_tls_loglevel: text(0, 0), "0", "postscreen,smtpd,tls,tlsmgr,tlsproxy", NotYet, "How much is logged about TLS.";
    smtpd_tls_loglevel_maps: text(0, 0), "", "postscreen,smtpd", NotYet, "How much is logged about TLS, by peer.";
    smtpd_tls_mandatory_ciphers: text(1, 0), "medium", "postscreen,smtpd,tlsproxy", NotYet, "The least cipher grade where TLS is mandatory.";
    smtpd_tls_mandatory_exclude_ciphers: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "Further ciphers that are not used where TLS is mandatory.";
    smtpd_tls_mandatory_protocols: text(0, 0), ">=TLSv1", "postscreen,smtpd,tlsproxy", NotYet, "The versions of TLS where TLS is mandatory.";
    smtpd_tls_protocols: text(0, 0), ">=TLSv1", "postscreen,smtpd,tlsproxy", NotYet, "The versions of TLS where TLS is optional.";
    smtpd_tls_received_header: flag(), "no", "smtpd", NotYet, "Names protocol and cipher in the Received header.";
    smtpd_tls_req_ccert: flag(), "no", "postscreen,smtpd,tlsproxy", NotYet, "Wants a trusted certificate of clients, where TLS is mandatory.";
    smtpd_tls_security_level: text(0, 0), "", "postscreen,smtpd,tlsproxy", NotYet, "Whether TLS is offered or demanded.";
    smtpd_tls_session_cache_database: text(0, 0), "", "tlsmgr", NotYet, "The table of TLS sessions that can be resumed.";
    smtpd_tls_session_cache_timeout: time(0, 8640000), "3600s", "tlsmgr", NotYet, "How long a TLS session can be resumed.";
    smtpd_tls_trace_size_limit: int(0, 0), "102400", "postscreen,smtpd", NotYet, "How big a transcript of a handshake may become.";
    smtpd_tls_wrappermode: flag(), "no", "smtpd", NotYet, "Begins TLS at once, without STARTTLS.";
    smtpd_use_tls: flag(), "no", "postscreen,smtpd,tlsproxy", NotYet, "The old way to offer TLS.";
}
