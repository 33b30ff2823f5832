//! Where 3.12, which we follow, differs from Debian's 3.7. Nothing else may differ.

use crate::compare::Told;

/// Parameters that are not in both, or whose default is another, and why.
const PARAMETERS: &[(&str, &[&str])] = &[
    (
        "the type of databases that Postfix makes by itself has its own parameters",
        &[
            "default_cache_db_type",
            "address_verify_map",
            "postscreen_cache_map",
            "alias_database",
            "alias_maps",
        ],
    ),
    (
        "SRV records for the SMTP client",
        &["allow_srv_lookup_fallback", "ignore_srv_lookup_error", "use_srv_lookup"],
    ),
    (
        "3.12 can do without Berkeley DB",
        &[
            "non_bdb_custom_mapping",
            "non_bdb_migration_allow_root_prefixes",
            "non_bdb_migration_allow_user_prefixes",
            "non_bdb_migration_level",
            "non_bdb_migration_log_redirect",
            "non_bdb_migration_service_name",
        ],
    ),
    ("Debian's documents are in a place of its own", &["html_directory", "readme_directory"]),
    ("versions differ", &["mail_release_date", "mail_version", "milter_macro_v"]),
    ("one more name in the list", &["import_environment", "proxy_read_maps"]),
    (
        "headers and MIME",
        &["force_mime_input_conversion", "full_name_encoding_charset", "non_empty_end_of_header_action"],
    ),
    ("mode of the log file", &["maillog_file_permissions"]),
    ("a milter that fails", &["milter_default_action"]),
    ("rewriting of relocated addresses", &["relocated_prefix_enable"]),
    (
        "REQUIRETLS",
        &[
            "requiretls_enable",
            "requiretls_esmtp_header",
            "requiretls_redact_dsn",
            "lmtp_requiretls_policy",
            "smtp_requiretls_policy",
            "tls_required_enable",
        ],
    ),
    (
        "TLS reports, traces and raw public keys",
        &[
            "lmtp_log_tls_feature_status",
            "lmtp_tls_enable_rpk",
            "lmtp_tls_loglevel_maps",
            "lmtp_tls_trace_size_limit",
            "lmtp_tlsrpt_enable",
            "lmtp_tlsrpt_skip_reused_handshakes",
            "lmtp_tlsrpt_socket_name",
            "smtp_log_tls_feature_status",
            "smtp_tls_enable_rpk",
            "smtp_tls_loglevel_maps",
            "smtp_tls_trace_size_limit",
            "smtp_tlsrpt_enable",
            "smtp_tlsrpt_skip_reused_handshakes",
            "smtp_tlsrpt_socket_name",
            "smtpd_tls_enable_rpk",
            "smtpd_tls_loglevel_maps",
            "smtpd_tls_trace_size_limit",
            "tls_trace_rate_limit",
            "tlsproxy_tls_enable_rpk",
        ],
    ),
    ("MTA-STS plug-ins", &["lmtp_tls_enforce_sts_mx_patterns", "smtp_tls_enforce_sts_mx_patterns"]),
    (
        "passwords with a colon",
        &["lmtp_sasl_password_result_delimiter", "smtp_sasl_password_result_delimiter"],
    ),
    (
        "postscreen does TLS by itself",
        &[
            "postscreen_starttls_timeout",
            "postscreen_tls_CAfile",
            "postscreen_tls_CApath",
            "postscreen_tls_always_issue_session_ids",
            "postscreen_tls_ask_ccert",
            "postscreen_tls_ccert_verifydepth",
            "postscreen_tls_cert_file",
            "postscreen_tls_chain_files",
            "postscreen_tls_ciphers",
            "postscreen_tls_dcert_file",
            "postscreen_tls_dh1024_param_file",
            "postscreen_tls_dh512_param_file",
            "postscreen_tls_dkey_file",
            "postscreen_tls_eccert_file",
            "postscreen_tls_eckey_file",
            "postscreen_tls_eecdh_grade",
            "postscreen_tls_enable_rpk",
            "postscreen_tls_exclude_ciphers",
            "postscreen_tls_fingerprint_digest",
            "postscreen_tls_key_file",
            "postscreen_tls_loglevel",
            "postscreen_tls_loglevel_maps",
            "postscreen_tls_mandatory_ciphers",
            "postscreen_tls_mandatory_exclude_ciphers",
            "postscreen_tls_mandatory_protocols",
            "postscreen_tls_protocols",
            "postscreen_tls_req_ccert",
            "postscreen_tls_trace_size_limit",
        ],
    ),
    (
        "opportunistic TLS is the default from compatibility level 3.11 on",
        &[
            "smtp_tls_security_level",
            "lmtp_tls_security_level",
            "smtp_tls_dane_insecure_mx_policy",
            "lmtp_tls_dane_insecure_mx_policy",
            "tlsproxy_client_security_level",
        ],
    ),
    (
        "limits on a client's network, and what it may send",
        &[
            "smtpd_client_ipv4_prefix_length",
            "smtpd_client_ipv6_prefix_length",
            "smtpd_forbid_bare_newline",
            "smtpd_forbid_unauth_pipelining",
            "smtpd_hide_client_session",
            "smtpd_reject_filter_maps",
        ],
    ),
    ("limits of socketmap", &["socketmap_max_query_size", "socketmap_max_reply_size"]),
    (
        "ciphers and curves of today",
        &[
            "tls_eecdh_auto_curves",
            "tls_export_cipherlist",
            "tls_ffdhe_auto_groups",
            "tls_high_cipherlist",
            "tls_low_cipherlist",
            "tls_medium_cipherlist",
            "tls_null_cipherlist",
            "tls_legacy_public_key_fingerprints",
            "tls_trust_server_ccerts",
        ],
    ),
    (
        "old names are looked at in another way",
        &["tlsproxy_client_policy_maps", "tlsproxy_client_loglevel_parameter"],
    ),
];

/// Parameters whose default was chosen when a 3.12 was built.
const OF_A_BUILD: &[(&str, &[&str])] = &[(
    "chosen when it is built; debugger_command refers to it",
    &[
        "daemon_directory",
        "debugger_command",
        "mail_version",
        "manpage_directory",
        "milter_macro_v",
        "shlib_directory",
    ],
)];

/// Leaves out of both what the versions are known to differ in.
pub(crate) fn without_differences(mut theirs: Told, mut ours: Told) -> (Told, Told) {
    theirs.warnings =
        theirs.warnings.into_iter().map(|(line, times)| (without_line_end(line), times)).collect();
    theirs.fatal = theirs.fatal.map(without_line_end);
    if crate::peer::is_newest() {
        for told in [&mut theirs, &mut ours] {
            without_parameters(&mut told.out, OF_A_BUILD);
        }
        return as_far_as_written(theirs, ours);
    }
    if theirs.out.iter().any(|line| line == "mydomain =\\n") && ours.fatal.is_some() {
        // The default of smtp_requiretls_policy cannot be expanded without a domain.
        return (theirs.clone(), theirs);
    }
    ours.warnings.retain(|line, _| !is_about_deprecation(line));
    theirs.warnings.retain(|line, _| !is_about_newer(line));
    if let Some(fatal) = ours.fatal.as_mut().filter(|fatal| fatal.contains("fatal: specify one of ")) {
        // 3.12 separates the options by commas.
        *fatal = fatal.replace(", ", " ");
    }
    ours.warnings = ours.warnings.into_iter().map(|(line, times)| (without_place(&line), times)).collect();
    for told in [&mut theirs, &mut ours] {
        without_parameters(&mut told.out, PARAMETERS);
    }
    as_far_as_written(theirs, ours)
}

/// Before `fatal:` Postfix has written whole blocks of 4096 bytes; where they end depends on the defaults before.
fn as_far_as_written(mut theirs: Told, mut ours: Told) -> (Told, Told) {
    if theirs.fatal.is_some() && ours.fatal.is_some() {
        let common = theirs.out.len().min(ours.out.len()).saturating_sub(1);
        theirs.out.truncate(common);
        ours.out.truncate(common);
    }
    (theirs, ours)
}

/// Postfix's edits take the last line end of a row for part of it: of braces that are not closed, and of a row whose columns are wrong.
fn without_line_end(line: String) -> String {
    if line.contains("warning: master.cf: missing ") {
        line.replace("?\\\"\\n", "\\\"\\n")
    } else if line.contains("fatal: invalid ") && line.contains(" field ") {
        line.replace(" \\\"\\n", "\\\"\\n")
    } else {
        line
    }
}

/// 3.12 says more about where braces are wrong: it names the directory and the service.
fn without_place(line: &str) -> String {
    let Some((place, why)) =
        line.split_once(": missing \\'}\\'").or_else(|| line.split_once(": syntax error after"))
    else {
        return line.to_owned();
    };
    let place = place.replace("warning: ./", "warning: ");
    let place =
        place.split_once("master.cf").map_or(place.clone(), |(before, _)| format!("{before}master.cf"));
    let what = line.strip_suffix(why).and_then(|line| line.rsplit_once(": ")).map_or("", |(_, what)| what);
    format!("{place}: {what}{why}")
}

/// 3.7 does not know newer parameters.
fn is_about_newer(line: &str) -> bool {
    let name = line.split_once(": unused parameter: ").and_then(|(_, setting)| setting.split('=').next());
    name.is_some_and(|name| PARAMETERS.iter().any(|(_, names)| names.contains(&name)))
}

/// 3.9 and later warn about parameters that are to go.
fn is_about_deprecation(line: &str) -> bool {
    line.contains(": support for parameter ")
        || line.contains("warning: See https://www.postfix.org/DEPRECATION_README.html")
}

/// Takes out what is said about parameters that differ, lines that go on with them included.
fn without_parameters(lines: &mut Vec<String>, differing: &[(&str, &[&str])]) {
    let names: Vec<&str> = differing.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let mut gone = false;
    lines.retain(|line| {
        if !line.starts_with(' ') {
            let line = line.strip_prefix("{\\\"").unwrap_or(line);
            let name = line.split([' ', '\\']).next().and_then(|name| name.rsplit('/').next());
            gone = name.is_some_and(|name| names.contains(&name));
        }
        !gone
    });
}
