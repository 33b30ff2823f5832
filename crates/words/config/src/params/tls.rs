//! Parameters of every TLS user.

use super::row::*;

rows! {
    after tables;
    tls_append_default_CA: flag(), "no", "tls", NotYet, "";
    tls_config_file: text(0, 0), "default", "tls", NotYet, "";
    tls_config_name: text(0, 0), "", "tls", NotYet, "";
    tls_daemon_random_bytes: int(1, 0), "32", "tls", NotYet, "";
    tls_dane_digests: text(1, 0), "sha512 sha256", "tls", NotYet, "";
    tls_disable_workarounds: text(0, 0), "", "tls", NotYet, "";
    tls_eecdh_auto_curves: text(0, 0), "X25519 X448 prime256v1 secp384r1 secp521r1 ", "tls", NotYet, "";
    tls_eecdh_strong_curve: text(0, 0), "prime256v1", "tls", NotYet, "";
    tls_eecdh_ultra_curve: text(0, 0), "secp384r1", "tls", NotYet, "";
    tls_export_cipherlist: text(0, 0), "", "tls", NotYet, "";
    tls_fast_shutdown_enable: flag(), "yes", "tls", NotYet, "";
    tls_ffdhe_auto_groups: text(0, 0), "ffdhe2048 ffdhe3072 ", "tls", NotYet, "";
    tls_high_cipherlist: text(1, 0), "aNULL:-aNULL:HIGH:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:@STRENGTH", "tls", NotYet, "";
    tls_low_cipherlist: text(0, 0), "", "tls", NotYet, "";
    tls_medium_cipherlist: text(1, 0), "aNULL:-aNULL:HIGH:MEDIUM:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:+RC4:@STRENGTH", "tls", NotYet, "";
    tls_null_cipherlist: text(1, 0), "eNULL:!kDH:!kECDH:!aDSS:!MD5:!aNULL", "tls", NotYet, "";
    tls_preempt_cipherlist: flag(), "no", "tls", NotYet, "";
    tls_random_bytes: int(1, 0), "32", "tlsmgr", NotYet, "";
    tls_random_exchange_name: text(0, 0), "${data_directory}/prng_exch", "tlsmgr", NotYet, "";
    tls_random_prng_update_period: time(1, 0), "3600s", "tlsmgr", NotYet, "";
    tls_random_reseed_period: time(1, 0), "3600s", "tlsmgr", NotYet, "";
    tls_random_source: text(0, 0), "dev:/dev/urandom", "tlsmgr", NotYet, "";
    tls_required_enable: flag(), "yes", "global", Honoured("cleanup"), "Heeds the header TLS-Required.";
    tls_server_sni_maps: text(0, 0), "", "tls", NotYet, "";
    tls_session_ticket_cipher: text(0, 0), "aes-256-cbc", "tls", NotYet, "";
    tls_ssl_options: text(0, 0), "", "tls", NotYet, "";
    tls_trace_rate_limit: int(0, 0), "1", "tls", NotYet, "";
    tls_trust_server_ccerts: flag(), "no", "tls", NotYet, "";
    tls_wildcard_matches_multiple_labels: flag(), "yes", "tls", NotYet, "";
    tlsmgr_service_name: text(1, 0), "tlsmgr", "tls", NotYet, "";
}
