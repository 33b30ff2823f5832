use super::*;
use crate::{
    Answer, Ask,
    session::tests::{Bench, yes},
};
use types::Dsn;

const ALL: (&str, &str) =
    ("notify_classes", "bounce, 2bounce, data, delay, policy, protocol, resource, software");
const PATIENT: (&str, &str) = ("smtpd_forbid_unauth_pipelining", "no");

/// What the postmaster is told: what went wrong, the reason, the first and the last line, and how many lines there are.
fn told(own: &[(&str, &str)], input: &str) -> Vec<String> {
    let mut bench = Bench::new(&[&[PATIENT, ("smtpd_banner", "mx ESMTP")], own].concat());
    bench.run(input.as_bytes(), 1000);
    bench.notices.iter().map(shown).collect()
}

fn shown(notice: &Notice) -> String {
    let lines = lines(notice);
    let ends = (lines.first().map_or("", String::as_str), lines.last().map_or("", String::as_str));
    let reason = notice.reason.unwrap_or("-");
    format!("{} | {reason} | {} | {} | {}", names(notice.trouble), ends.0, ends.1, lines.len())
}

fn lines(notice: &Notice) -> Vec<String> {
    notice.transcript.lines().map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}

fn names(trouble: NotifyClasses) -> String {
    let names = [
        (NotifyClasses::BOUNCE, "bounce"),
        (NotifyClasses::DATA, "data"),
        (NotifyClasses::POLICY, "policy"),
        (NotifyClasses::PROTOCOL, "protocol"),
        (NotifyClasses::RESOURCE, "resource"),
        (NotifyClasses::SOFTWARE, "software"),
    ];
    let names: Vec<&str> =
        names.into_iter().filter(|(class, _)| trouble.has_any(*class)).map(|(_, name)| name).collect();
    names.join("+")
}

#[test]
fn the_postmaster_hears_at_the_end_of_a_session() {
    let expected = "protocol | - | Out: 220 mx ESMTP | Out: 221 2.0.0 Bye | 5";
    assert_eq!(told(&[ALL], "FOO\r\nQUIT\r\n"), [expected]);
    assert_eq!(
        told(&[ALL], "HELO x\r\nRCPT TO:<a@b>\r\n"),
        ["protocol | lost connection | Out: 220 mx ESMTP | Out: 503 5.5.1 Error: need MAIL command | 5"]
    );
    let none: [&str; 0] = [];
    assert_eq!(told(&[ALL], "EHLO x\r\nQUIT\r\n"), none);
    assert_eq!(told(&[ALL], "EHLO x\r\nMAIL FROM:<a@b>\r\n"), none);
    assert_eq!(told(&[], "FOO\r\nQUIT\r\n"), none);
    assert_eq!(told(&[("notify_classes", "policy")], "FOO\r\nQUIT\r\n"), none);
    assert_eq!(told(&[("notify_classes", "")], "FOO\r\nQUIT\r\n"), none);
}

#[test]
fn a_message_makes_earlier_mistakes_forgotten() {
    let message = "HELO x\r\nFOO\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nx\r\n.\r\n";
    assert_eq!(told(&[ALL], &format!("{message}QUIT\r\n")), [""; 0]);
    let expected = "protocol | - | Out: 220 mx ESMTP | Out: 221 2.0.0 Bye | 16";
    assert_eq!(told(&[ALL], &format!("{message}BAR\r\nQUIT\r\n")), [expected]);
}

#[test]
fn a_long_history_is_flushed() {
    let flush = ("smtpd_history_flush_threshold", "6");
    let commands = "FOO\r\nNOOP\r\nNOOP\r\nNOOP\r\nBAR\r\nQUIT\r\n";
    assert_eq!(
        told(&[ALL, flush], commands),
        [
            "protocol | - | Out: 220 mx ESMTP | Out: 250 2.0.0 Ok | 7",
            "protocol | - | In:  NOOP | Out: 221 2.0.0 Bye | 6",
        ]
    );
    // Without a mistake it is forgotten.
    assert_eq!(
        told(&[ALL, flush], "NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nBAR\r\nQUIT\r\n"),
        ["protocol | - | In:  NOOP | Out: 221 2.0.0 Bye | 6"]
    );
    // RSET and EHLO look for that themselves, before they are answered.
    assert_eq!(
        told(&[ALL, ("smtpd_history_flush_threshold", "3")], "FOO\r\nRSET\r\nQUIT\r\n"),
        ["protocol | - | Out: 220 mx ESMTP | In:  RSET | 4"]
    );
}

#[test]
fn the_client_of_xclient_is_named_and_begins_with_nothing() {
    let mut bench = Bench::new(&[ALL, PATIENT]);
    bench.run(b"EHLO x\r\nFOO\r\nXCLIENT NAME=a.example ADDR=192.0.2.7\r\nEHLO y\r\nBAR\r\nQUIT\r\n", 1000);
    let ends: Vec<_> = bench.notices.iter().map(|n| (n.client.as_str(), lines(n).pop().unwrap())).collect();
    assert_eq!(
        ends,
        [
            ("a.example[192.0.2.7]", "In:  XCLIENT NAME=a.example ADDR=192.0.2.7".to_owned()),
            ("a.example[192.0.2.7]", "Out: 221 2.0.0 Bye".to_owned()),
        ]
    );
    // The greeting and the answer to EHLO are the ones that were given.
    let replies = String::from_utf8(bench.replies).unwrap();
    let said: Vec<String> = bench
        .notices
        .iter()
        .flat_map(lines)
        .filter_map(|line| line.strip_prefix("Out: ").map(str::to_owned))
        .collect();
    assert_eq!(said, replies.lines().collect::<Vec<_>>());
}

#[test]
fn each_refusal_is_of_a_class() {
    let check = |input: &str, own: &[(&str, &str)], expected: &str| {
        let told = told(&[&[ALL][..], own].concat(), &format!("EHLO x\r\n{input}\r\nQUIT\r\n"));
        let class = told.first().map_or("", |text| text.split(" | ").next().unwrap_or_default());
        assert_eq!(class, expected, "{input}");
    };
    check("MAIL FROM:<a@b.c> SIZE=x", &[], "protocol");
    check("MAIL FROM:<a@b.c> SIZE=99999999999999999999", &[], "policy");
    check("VRFY x", &[("disable_vrfy_command", "yes")], "policy");
    check("HELO", &[], "protocol");
    check("XFORWARD FOO=x", &[], "protocol");
    check("AUTH PLAIN", &[], "protocol");
    check("DATA", &[], "protocol");
    check("MAIL FROM:<a@b.c>\r\nDATA", &[], "");
    check("STARTTLS", &[], "protocol");
    check(&"x".repeat(3000), &[], "protocol");
    check("MAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nBDAT 900 LAST", &[], "policy");
    let long = format!("MAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n{}\r\n.", "x\r\n".repeat(300));
    check(&long, &[], "bounce");
    check("NOOP\nNOOP", &[("smtpd_forbid_bare_newline", "reject")], "protocol");
}

#[test]
fn what_judges_and_the_shell_find_counts() {
    let refuse = |ask: &Ask| match ask {
        Ask::Rcpt { .. } => Answer::Refuse(Reply::new(451, Dsn::temporary(3, 0), "no")),
        ask => yes(ask),
    };
    let mut bench = Bench::new(&[ALL, PATIENT]);
    (bench.answer, bench.trouble) = (refuse, NotifyClasses::DATA);
    bench.run(b"EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nQUIT\r\n", 1000);
    assert_eq!(bench.notices.iter().map(|n| names(n.trouble)).collect::<Vec<_>>(), ["data"]);

    let mut bench = Bench::new(&[PATIENT]);
    bench.is_full = true;
    bench.run(b"EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n.\r\nQUIT\r\n", 1000);
    assert_eq!(bench.notices.iter().map(|n| names(n.trouble)).collect::<Vec<_>>(), ["resource"]);
}

#[test]
fn secrets_are_not_shown() {
    let mut bench = Bench::new(&[ALL, PATIENT]);
    let input = "EHLO x\r\nAUTH PLAIN c2VjcmV0\r\nauth  LOGIN\tc2VjcmV0\r\nAUTH LOGIN\r\nc2VjcmV0\r\nNOOP\r\nc2VjcmV0\r\n";
    bench.run(input.as_bytes(), 1000);
    let heard: Vec<String> =
        bench.notices.iter().flat_map(lines).filter(|line| line.starts_with("In:")).collect();
    assert_eq!(
        heard,
        [
            "In:  EHLO x",
            "In:  AUTH PLAIN ...",
            "In:  auth  LOGIN ...",
            "In:  AUTH LOGIN",
            "In:  ...",
            "In:  NOOP",
            "In:  c2VjcmV0",
        ]
    );
}

#[test]
fn an_idle_session_has_little_to_remember() {
    let mut history = History::new(NotifyClasses::RESOURCE);
    history.transcript.said_as_usual(BANNER, 1);
    history.heard(b"EHLO client.example.com", (2048, false));
    history.transcript.said_as_usual(EHLO, 11);
    assert!(history.transcript.capacity_bytes() <= 64, "{history:?}");
    assert!(size_of::<History>() <= 40);
}
