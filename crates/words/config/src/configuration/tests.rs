use super::*;
use crate::{params as p, report::Severity};

fn load(main: &str, master: &str) -> Configuration {
    Configuration::load(
        main.as_bytes(),
        master.as_bytes(),
        &Paths::in_directory("/e"),
        &Environment::for_tests(),
    )
    .unwrap()
}

/// What is said apart from parameters without effect.
fn check(main: &str, master: &str, expected: &[&str]) {
    let reports = load(main, master).reports();
    let said: Vec<String> =
        reports.iter().filter(|r| r.severity != Severity::Note).map(ToString::to_string).collect();
    assert_eq!(said, expected, "{main:?} {master:?}");
}

#[test]
fn wrong_values_are_named_with_file_and_line() {
    let check = |main: &str, text: &str| {
        check(&format!("\n{main}\n"), "", &[&format!("fatal: /e/main.cf, line 2: {text}")]);
    };
    check(
        "trigger_timeout = 5x",
        "parameter trigger_timeout: bad time value or unit: 5x; specify a time such as 30s, 5m, 2h or 1d, at least 1s",
    );
    check(
        "in_flow_delay = 11s",
        "invalid in_flow_delay: 11 (max 10); specify a time such as 30s or 5m, from 0s to 10s",
    );
    check("soft_bounce = maybe", "bad boolean configuration: soft_bounce = maybe; specify yes or no");
    check(
        "hash_queue_depth = 1a",
        "bad numerical configuration: hash_queue_depth = 1a; specify a whole number of at least 1",
    );
    check(
        "line_length_limit = 3",
        "invalid line_length_limit parameter value 3 < 512; specify a whole number of at least 512",
    );
    check("myorigin =", "bad string length 0 < 1: myorigin = ; specify a value");
    check(
        "compatibility_level = x",
        "malformed compatibility level syntax: \"x\"; specify a level such as 3.6",
    );
    check("myorigin = a, b", "myorigin parameter setting must not contain multiple values: a, b");
    check(
        "relayhost = LOCALHOST.localdomain",
        "myhostname and relayhost parameter settings must not be identical: localhost.localdomain",
    );
    check(
        "inet_protocols = ipv4, foo",
        "unknown inet_protocols value \"foo\" in \"ipv4, foo\"; specify any of all, ipv4, ipv6",
    );
    check(
        "myhostname = mail_.-x",
        "parameter myhostname: bad parameter value: mail_.-x; specify a name such as mail.example.com",
    );
    check(
        "default_verp_delimiters = +*",
        "parameters default_verp_delimiters and verp_delimiter_filter: bad second VERP delimiter character",
    );
    check(
        "maillog_file = /tmp/log",
        "maillog_file value '/tmp/log' does not match any prefix in maillog_file_prefixes",
    );
}

#[test]
fn what_one_program_cannot_use_stops_its_services_only() {
    let services = "smtp inet n - n - - smtpd\nsub inet n - n - - smtpd -o smtpd_timeout=1h\n\
                    relay unix - - n - - smtp\nlmtp unix - - n - - lmtp\nflush unix n - n - - flush\n";
    let time = "parameter smtpd_timeout: bad time value or unit: 5x; specify a time such as 30s, 5m, 2h or 1d, at least 1s";
    check(
        "smtpd_timeout = 5x\n",
        "",
        &[&format!("warning: /e/main.cf, line 1: {time}; the default is taken")],
    );
    check(
        "smtpd_timeout = 5x\n",
        services,
        &[&format!("error: /e/main.cf, line 1: {time}; the service smtp is out of order until then")],
    );
    check(
        "lmtp_address_preference = x\n",
        services,
        &[
            "error: /e/main.cf, line 1: bad lmtp_address_preference value: x; specify one of any, ipv4, ipv6; \
           the service lmtp is out of order until then",
        ],
    );
    check(
        "reject_tempfail_action = reject\n",
        services,
        &["error: /e/main.cf, line 1: bad configuration: unknown_helo_hostname_tempfail_action = reject; \
           specify one of defer_if_permit, defer; the services smtp, sub are out of order until then"],
    );
    check(
        "notify_classes = all\n",
        "bounce unix - - n - - bounce\n",
        &[
            "fatal: /e/main.cf, line 1: unknown notify_classes value \"all\" in \"all\"; specify any of bounce, 2bounce, data, \
         delay, policy, protocol, resource, software",
        ],
    );
    let configuration = load("smtpd_timeout = 5x\nlmtp_address_preference = x\n", services);
    let rows = &configuration.master_cf().rows;
    let stopped: Vec<(&str, u32)> = rows
        .iter()
        .filter_map(|row| Some((row.name.as_str(), configuration.out_of_order(row)?.line)))
        .collect();
    assert_eq!(stopped, [("smtp", 1), ("lmtp", 2)]);
    assert_eq!(configuration.fatal(), None);
}

#[test]
fn rows_of_master_cf_have_values_of_their_own() {
    let check = |row: &str, expected: &[&str]| check("", &format!("\n{row}\n"), expected);
    check(
        "a inet n - n - - smtpd -o smtpd_forbid_bare_newline=x",
        &[
            "error: /e/master.cf, line 2: bad parameter value: 'smtpd_forbid_bare_newline = x'; specify one of normalize, \
           yes, note, reject, no; the service a is out of order until then",
        ],
    );
    check(
        "cleanup unix n - n - 0 cleanup -o header_from_format=x",
        &[
            "fatal: /e/master.cf, line 2: invalid setting: \"header_from_format = x\"; specify one of standard, obsolete",
        ],
    );
    check("a unix - - n - - local -o smtpd_forbid_bare_newline=x", &[]);
    check(
        "a unix - - n - - local -o mailbox_size_limit=5",
        &[
            "error: /e/master.cf, line 2: configuration error: mailbox_size_limit is smaller than message_size_limit; \
           the service a is out of order until then",
        ],
    );
    check(
        "a inet n - n - - smtpd more",
        &[
            "error: /e/master.cf, line 2: unexpected command-line argument: more; the service a is out of order until then",
        ],
    );
    check(
        "a inet n - n - 2 postscreen",
        &[
            "error: /e/master.cf, line 2: service a requires a process limit of 1; the service a is out of order until then",
        ],
    );
    check(
        "verify unix - - n - - verify",
        &[
            "warning: /e/master.cf, line 2: service verify requires a process limit of 1; Postfix's verify does not start so",
        ],
    );
    check("a unix - - n - - pipe user=nobody argv=/bin/true", &[]);
    let configuration = load("smtpd_timeout = 5x\n", "a unix - - n - - local -o mailbox_size_limit=5\n");
    let wrong = configuration.out_of_order(&configuration.master_cf().rows[0]).unwrap();
    assert_eq!((wrong.file.as_str(), wrong.line), ("/e/master.cf", 1));
}

#[test]
fn what_nobody_looks_at_is_not_wrong() {
    let smtp = "smtp unix - - n - - smtp\nsmtp inet n - n - - smtpd\n";
    check("mynetworks_style = x\nmynetworks = 127.0.0.1\n", "", &[]);
    check("smtp_dns_support_level = disabled\nsmtp_host_lookup = x\n", smtp, &[]);
    check("smtpd_proxy_options = x\n", smtp, &[]);
    check("smtpd_tls_wrappermode = yes\nsmtpd_tls_security_level = x\n", smtp, &[]);
}

#[test]
fn what_postfix_puts_right_is_a_warning() {
    let check = |main: &str, expected: &str| {
        check(&format!("{main}\n"), "", &[&format!("warning: /e/main.cf, line 1: {expected}")]);
    };
    check("queue_minfree = 100", "queue_minfree(100) should be at least 1.5*message_size_limit(10240000)");
    check(
        "bounce_queue_lifetime = 6d",
        "bounce_queue_lifetime is larger than maximal_queue_lifetime - adjusting bounce_queue_lifetime",
    );
    check("known_tcp_ports = x", "known_tcp_ports: in \"x\" is not in \"name = value\" form");
    check(
        "maillog_file_permissions = 0666",
        "ignoring bad permissions: maillog_file_permissions = 0666; specify one of 0600, 0640, 0644, 600, 640, 644",
    );
    check(
        "default_destination_concurrency_negative_feedback = 2",
        "default_destination_concurrency_negative_feedback: ignoring malformed or unreasonable feedback: 2; \
         specify a number from 0 to 1",
    );
}

#[test]
fn a_wrong_value_falls_to_the_default() {
    let configuration = load("smtpd_timeout = 5x\nhash_queue_depth = -1\n", "");
    assert_eq!(configuration.values().time(p::smtpd_timeout).as_secs(), 300);
    assert_eq!(configuration.values().int(p::hash_queue_depth), 1);
}

#[test]
fn recursion_is_named_with_file_and_line() {
    check(
        "a = $b\nb = $a\nmydestination = $a\n",
        "",
        &[
            "fatal: /e/main.cf, line 1: parameter a: macro processing error: unreasonable macro call nesting: \"a\"",
            "fatal: /e/main.cf, line 2: parameter b: macro processing error: unreasonable macro call nesting: \"b\"",
            "fatal: /e/main.cf, line 3: parameter mydestination: macro processing error: unreasonable macro call nesting: \"b\"",
        ],
    );
}

#[test]
fn names_are_known_if_something_refers_to_them() {
    check("mynames = x\n", "", &["warning: /e/main.cf, line 1: unused parameter: mynames=x"]);
    check("mynames = x\nmydestination = $mynames\n", "", &[]);
    check("mydestination = $mynames\n", "", &["warning: /e/main.cf, line 1: undefined parameter: mynames"]);
    check("smtpd_restriction_classes = mine\nmine = permit\n", "", &[]);
    check("relay_destination_rate_delay = 1s\n", "relay unix - - - - - smtp\n", &[]);
    check(
        "relay_destination_rate_delay = 1s\n",
        "",
        &["warning: /e/main.cf, line 1: unused parameter: relay_destination_rate_delay=1s"],
    );
    check("policy_time_limit = 1\n", "policy unix - - - - - spawn\n", &[]);
    check("virtual_alias_maps = mysql:my\nmy_query = x\n", "", &[]);
    check(
        "",
        "\n\nsmtp inet n - - - - smtpd -o mine=1\n",
        &["warning: /e/master.cf, line 3: unused parameter: mine=1"],
    );
    check("smtpd_client_restrictions = $mine\n", "smtp inet n - - - - smtpd -o mine=1\n", &[]);
    check(
        "virtual_maps = hash:/x\n",
        "",
        &[
            "warning: /e/main.cf, line 1: support for parameter \"virtual_maps\" will be removed; instead, specify \"virtual_alias_maps\"",
        ],
    );
    check(
        "process_id = 3\n",
        "",
        &["warning: /e/main.cf, line 1: read-only parameter assignment: process_id=3"],
    );
}

#[test]
fn a_comment_behind_a_value_is_warned_about() {
    check(
        "transport_maps = hash:/x #comment here\n",
        "",
        &["warning: /e/main.cf, line 1: #comment after other text is not allowed: #comment here..."],
    );
}

#[test]
fn rows_see_their_own_settings_over_main_cf() {
    let configuration = load(
        "smtpd_timeout = 9s\nmyhostname = mx.test\n",
        "smtp inet n - - - - smtpd\n587 inet n - - - - smtpd -o smtpd_timeout=8 -o { smtpd_banner = $myhostname $service_name }\n",
    );
    let rows = &configuration.master_cf().rows;
    assert_eq!(configuration.values_for(&rows[0]).time(p::smtpd_timeout).as_secs(), 9);
    let values = configuration.values_for(&rows[1]);
    assert_eq!(values.time(p::smtpd_timeout).as_secs(), 8);
    assert_eq!(values.text(p::smtpd_banner), "mx.test 587");
    assert_eq!(values.text(p::process_name), "smtpd");
}

/// seed: S056
#[test]
fn what_a_dash_means_depends_on_the_compatibility_level_and_the_process_limit() {
    let check = |main: &str, chroot, max_proc| {
        let configuration = load(main, "smtp inet n - - - - smtpd\n");
        let row = &configuration.master_cf().rows[0];
        assert_eq!((row.chroot, row.max_proc), (chroot, max_proc), "{main}");
    };
    check("", true, 100);
    check("compatibility_level = 1\n", false, 100);
    check("compatibility_level = 3.6\ndefault_process_limit = 7\n", false, 7);
}

#[test]
fn a_hostile_file_costs_no_more_than_its_size() {
    let one_long_line = format!("mydestination = {}\n", "$myhostname ".repeat(100_000));
    let many = (0..5_000).map(|n| format!("n{n} = $n{}\n", n + 1)).collect::<String>();
    let doubling = (0..20).map(|n| format!("d{n} = $d{m}$d{m}\n", m = n + 1)).collect::<String>()
        + "mynetworks = $d0\nd20 = x\n";
    for main in [one_long_line, many, doubling] {
        let configuration = load(&main, "");
        let _ = configuration.reports();
        let _ = configuration.values().text(p::mydestination);
        let _ = configuration.values().text(p::mynetworks);
    }
}

#[test]
fn what_daemons_cannot_be_told_is_said_once() {
    let reports = load("", "\na unix - - n - - local -v -v -D\nb unix - - n - - local\n").reports();
    let notes: Vec<String> =
        reports.iter().map(ToString::to_string).filter(|text| text.contains("service ")).collect();
    assert_eq!(
        notes,
        [
            "note: /e/master.cf, line 2: service a: -v has no effect: only smtpd, smtp and lmtp log what is said in their sessions",
            "note: /e/master.cf, line 2: service a: -D has no effect: services share processes; attach to one by its id",
        ]
    );
}
