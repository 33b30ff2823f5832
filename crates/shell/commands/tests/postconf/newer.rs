//! What Debian's 3.7 does not have: JSON, `-q`, `-PP`, deprecated names. The expected texts are those of Postfix 3.12.

use crate::peer::{Folder, Whose, run_in};

const MAIN: &str = "compatibility_level = 3.6\nmynetworks =\nmyhostname = mx.test\nfoo = a \"b\" \\c\t\u{1} \u{fc}\nrelayhost = $foo\n\
    unused_one = x\nsmtpd_use_tls = yes\nfallback_relay = y\ntlsproxy_client_loglevel_parameter = q\n\
    local_recipient_maps = hash:/x # comment\n";
const MASTER: &str = "smtp inet n - y - - smtpd\n -o relayhost=$foo -o { smtpd_client_restrictions = a b } -v -o smtp_use_tls=no\n\
    relay unix - - y - - smtp op { x y }\n";

/// What is printed, and what is said in the order of lines: Postfix's own order is that of a hash table.
fn shown(args: &[&str]) -> (String, Vec<String>) {
    let run = run_in(&Folder::new(MAIN.as_bytes(), MASTER.as_bytes()), Whose::Ours, args);
    let mut said: Vec<String> = run.said().lines().map(str::to_owned).collect();
    said.sort_unstable();
    (String::from_utf8(run.out).unwrap(), said)
}

#[track_caller]
fn check(args: &[&str], expected: &str) {
    assert_eq!(shown(args).0, expected, "{args:?}");
}

/// seed: S043
#[test]
fn security_of_outgoing_mail_depends_on_the_compatibility_level() {
    check(
        &["-d", "smtp_tls_security_level"],
        "smtp_tls_security_level = ${{$compatibility_level} <level {3.11} ? {} : {may}}\n",
    );
    check(&["-dx", "smtp_tls_security_level"], "smtp_tls_security_level =\n");
    check(
        &["-x", "-o", "compatibility_level=3.11", "smtp_tls_security_level"],
        "smtp_tls_security_level = may\n",
    );
}

#[test]
fn settings_are_printed_as_json() {
    check(
        &["-j", "foo", "relayhost"],
        "{\"foo\": \"a \\\"b\\\" \\\\c\\t\\u0001 ü\"}\n{\"relayhost\": \"$foo\"}\n",
    );
    check(&["-jx", "relayhost"], "{\"relayhost\": \"a \\\"b\\\" \\\\c\\t\\u0001 ü\"}\n");
    check(&["-dj", "biff"], "{\"biff\": \"yes\"}\n");
    check(&["-Mj", "relay"], "{\"relay/unix\": \"relay unix - - y - - smtp op {x y}\"}\n");
    check(
        &["-Fj", "smtp/inet/command"],
        "{\"smtp/inet/command\": \"smtpd -o relayhost=$foo -o {smtpd_client_restrictions=a b} -v -o smtp_use_tls=no\"}\n",
    );
    check(&["-Pj", "smtp/*/smtp_use_tls"], "{\"smtp/inet/smtp_use_tls\": \"no\"}\n");
}

#[test]
fn parameters_that_a_service_does_not_set_are_shown_twice_asked() {
    check(
        &["-PP", "relay/unix/biff", "smtp/inet/relayhost"],
        "smtp/inet/relayhost = $foo\nrelay/unix/biff = yes\n",
    );
    check(&["-PPh", "relay/unix/process_name", "relay/unix/service_name"], "smtp\nrelay\n");
    check(&["-PPx", "-o", "foo=changed", "relay/unix/relayhost"], "relay/unix/relayhost = changed\n");
    // Old names have a value where they are asked for.
    check(&["-PP", "relay/unix/virtual_maps"], "relay/unix/virtual_maps = \n".replace(" \n", "\n").as_str());
    check(
        &["-PPC", "user"],
        "smtp/inet/fallback_relay = y\nsmtp/inet/foo = a \"b\" \\c \u{1} ü\nsmtp/inet/relayhost = $foo\n\
        smtp/inet/smtp_use_tls = no\nsmtp/inet/smtpd_client_restrictions = a b\nrelay/unix/fallback_relay = y\n\
        relay/unix/foo = a \"b\" \\c \u{1} ü\n",
    );
}

#[test]
fn deprecated_and_unused_names_are_told_of_unless_that_is_not_wanted() {
    let expected = [
        "postconf: warning: ./main.cf: #comment after other text is not allowed: # comment...",
        "postconf: warning: ./main.cf: support for parameter \"fallback_relay\" will be removed; instead, specify \"smtp_fallback_relay\"",
        "postconf: warning: ./main.cf: support for parameter \"smtpd_use_tls\" will be removed; instead, specify \"smtpd_tls_security_level\"",
        "postconf: warning: ./main.cf: support for parameter tlsproxy_client_loglevel_parameter has been removed; instead, do not specify",
        "postconf: warning: ./main.cf: unused parameter: unused_one=x",
        "postconf: warning: ./master.cf: support for parameter \"smtp_use_tls\" will be removed; instead, specify \"smtp_tls_security_level\"",
        "postconf: warning: See https://www.postfix.org/DEPRECATION_README.html for details",
    ];
    assert_eq!(shown(&["-n"]).1, expected);
    // What is wrong with a value is said all the same.
    assert_eq!(shown(&["-qn"]).1, expected[..1]);
    assert_eq!(shown(&["-q", "-P"]).1, expected[..1]);
}

#[test]
fn what_does_not_go_together_is_told() {
    let check = |args: &[&str], expected: &str| {
        let run = run_in(&Folder::new(b"", b""), Whose::Ours, args);
        assert_eq!((run.code, run.said()), (Some(1), format!("postconf: fatal: {expected}\n")), "{args:?}");
    };
    check(&["-jf"], "with option -j, do not specify -f");
    check(&["-j", "-h"], "with option -j, do not specify -h");
    check(&["-PP", "-e", "a=b"], "specify one of -e, -PP");
    check(&["-n", "-d"], "specify one of -d, -n");
    check(&["-T", "x", "-T", "y"], "At most one -T <mode> option may be specified");
}

/// As of a Postfix that is built without SASL: a plug-in that is listed is one that works.
///
/// seed: S044
#[test]
fn no_way_to_log_in_is_offered_that_is_not_there() {
    for option in ["-a", "-A"] {
        let run = run_in(&Folder::new(MAIN.as_bytes(), MASTER.as_bytes()), Whose::Ours, &[option]);
        assert_eq!((run.code, run.out.as_slice(), run.said().as_str()), (Some(0), &b""[..], ""), "{option}");
    }
}
