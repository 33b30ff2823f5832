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
    check(
        "\nsmtpd_timeout = 5x\n",
        "",
        &["fatal: /e/main.cf, line 2: parameter smtpd_timeout: bad time value or unit: 5x"],
    );
    check("smtpd_timeout = 0\n", "", &["fatal: /e/main.cf, line 1: invalid smtpd_timeout: 0 (min 1)"]);
    check("in_flow_delay = 11s\n", "", &["fatal: /e/main.cf, line 1: invalid in_flow_delay: 11 (max 10)"]);
    check(
        "soft_bounce = maybe\n",
        "",
        &["fatal: /e/main.cf, line 1: bad boolean configuration: soft_bounce = maybe"],
    );
    check(
        "hash_queue_depth = 1a\n",
        "",
        &["fatal: /e/main.cf, line 1: bad numerical configuration: hash_queue_depth = 1a"],
    );
    check(
        "line_length_limit = 3\n",
        "",
        &["fatal: /e/main.cf, line 1: invalid line_length_limit parameter value 3 < 512"],
    );
    check("myorigin =\n", "", &["fatal: /e/main.cf, line 1: bad string length 0 < 1: myorigin = "]);
    check(
        "compatibility_level = x\n",
        "",
        &["fatal: /e/main.cf, line 1: malformed compatibility level syntax: \"x\""],
    );
    check(
        "myorigin = a, b\n",
        "",
        &["fatal: /e/main.cf, line 1: myorigin parameter setting must not contain multiple values: a, b"],
    );
    check(
        "myhostname = a.b\nrelayhost = A.b\n",
        "",
        &[
            "fatal: /e/main.cf, line 2: myhostname and relayhost parameter settings must not be identical: a.b",
        ],
    );
    check(
        "",
        "\nsmtp inet n - - - - smtpd -o smtpd_timeout=z\n",
        &["fatal: /e/master.cf, line 2: parameter smtpd_timeout: bad time value or unit: z"],
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
