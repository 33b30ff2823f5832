//! Parameters of every TLS user.

use super::row::*;

rows! {
    after tables;
    tls_append_default_CA: flag(), "no", "tls", NotYet, "Trusts the system's certification authorities besides the configured ones.";
    tls_config_file: text(0, 0), "default", "tls", NotYet, "The configuration file that the OpenSSL library reads.";
    tls_config_name: text(0, 0), "", "tls", NotYet, "The application name under which OpenSSL looks for settings in its configuration file.";
    tls_daemon_random_bytes: int(1, 0), "32", "tls", NoEffect("random numbers come from the kernel"), "How many random bytes a daemon asks tlsmgr for.";
    tls_dane_digests: text(1, 0), "sha512 sha256", "tls", NotYet, "The digests that TLSA records may use, best first.";
    tls_disable_workarounds: text(0, 0), "", "tls", NotYet, "OpenSSL's workarounds that are turned off.";
    tls_eecdh_auto_curves: text(0, 0), "X25519 X448 prime256v1 secp384r1 secp521r1 ", "tls", NotYet, "The elliptic curves for key exchange, best first.";
    tls_eecdh_strong_curve: text(0, 0), "prime256v1", "tls", NoEffect("Postfix ignores it too: the best curve that both sides know is used"), "The curve of the old security grade `strong`.";
    tls_eecdh_ultra_curve: text(0, 0), "secp384r1", "tls", NoEffect("Postfix ignores it too: the best curve that both sides know is used"), "The curve of the old security grade `ultra`.";
    tls_export_cipherlist: text(0, 0), "", "tls", NoEffect("Postfix ignores it too: there are no export ciphers any more"), "The ciphers of the old grade `export`.";
    tls_fast_shutdown_enable: flag(), "yes", "tls", NotYet, "Does not wait until the peer has confirmed the end of TLS.";
    tls_ffdhe_auto_groups: text(0, 0), "ffdhe2048 ffdhe3072 ", "tls", NotYet, "The finite-field groups for key exchange, best first.";
    tls_high_cipherlist: text(1, 0), "aNULL:-aNULL:HIGH:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:@STRENGTH", "tls", NotYet, "The ciphers of the grade `high`.";
    tls_low_cipherlist: text(0, 0), "", "tls", NoEffect("Postfix ignores it too: there are no low-grade ciphers any more"), "The ciphers of the old grade `low`.";
    tls_medium_cipherlist: text(1, 0), "aNULL:-aNULL:HIGH:MEDIUM:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:+RC4:@STRENGTH", "tls", NotYet, "The ciphers of the grade `medium`.";
    tls_null_cipherlist: text(1, 0), "eNULL:!kDH:!kECDH:!aDSS:!MD5:!aNULL", "tls", NotYet, "The ciphers of the grade `null`, which authenticate without encrypting.";
    tls_preempt_cipherlist: flag(), "no", "tls", NotYet, "Lets the server's order of ciphers count, not the client's.";
    tls_random_bytes: int(1, 0), "32", "tlsmgr", NoEffect("random numbers come from the kernel"), "How many random bytes tlsmgr reads at a time.";
    tls_random_exchange_name: text(0, 0), "${data_directory}/prng_exch", "tlsmgr", NoEffect("random numbers come from the kernel"), "The file in which tlsmgr keeps the state of its random number generator.";
    tls_random_prng_update_period: time(1, 0), "3600s", "tlsmgr", NoEffect("random numbers come from the kernel"), "How often tlsmgr saves the state of its random number generator.";
    tls_random_reseed_period: time(1, 0), "3600s", "tlsmgr", NoEffect("random numbers come from the kernel"), "The longest time between two readings of outside randomness.";
    tls_random_source: text(0, 0), "dev:/dev/urandom", "tlsmgr", NoEffect("random numbers come from the kernel"), "Where tlsmgr gets randomness from.";
    tls_required_enable: flag(), "yes", "global", Honoured("cleanup"), "Heeds the header TLS-Required.";
    tls_server_sni_maps: text(0, 0), "", "tls", NotYet, "Tables of key and certificate files by the server name that a client asks for.";
    tls_session_ticket_cipher: text(0, 0), "aes-256-cbc", "tls", NotYet, "The cipher of session tickets; empty for no tickets.";
    tls_ssl_options: text(0, 0), "", "tls", NotYet, "OpenSSL's options that are turned on.";
    tls_trace_rate_limit: int(0, 0), "1", "tls", NotYet, "How many transcripts of TLS handshakes are written in anvil_rate_time_unit.";
    tls_trust_server_ccerts: flag(), "no", "tls", NotYet, "Accepts client certificates that were made for servers only.";
    tls_wildcard_matches_multiple_labels: flag(), "yes", "tls", NotYet, "Lets `*` in a certificate stand for more than one label.";
    tlsmgr_service_name: text(1, 0), "tlsmgr", "tls", NoEffect("TLS sessions are kept in the process that uses them"), "The service that keeps TLS session caches and random numbers.";
}
