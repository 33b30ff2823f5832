use crate::tests::{play, settings};
use crate::{Notice, Protocol};

/// What the postmaster hears: the subject of it, and what was said.
fn told(protocol: Protocol, classes: &str, server: &[&str]) -> Option<Vec<String>> {
    let settings = settings(protocol, &[("notify_classes", classes)]);
    let mut run = play(&settings, server, &["a@x"], false);
    let Notice { protocol, server, transcript, .. } = run.session.take_notice()?;
    let lines = transcript.lines().map(|line| String::from_utf8_lossy(&line).into_owned());
    Some([format!("{protocol} {server}")].into_iter().chain(lines).collect())
}

const REFUSING: [&str; 4] = ["220 mx.test ESMTP", "250 mx.test", "501 5.5.4 what", "250 reset"];

#[test]
fn errors_of_protocol_are_told_with_all_that_was_said() {
    let expected = [
        "SMTP mx.test[192.0.2.1]:25",
        "In:  220 mx.test ESMTP",
        "Out: EHLO client.test",
        "In:  250 mx.test",
        "Out: MAIL FROM:<s@x.test>",
        "In:  501 5.5.4 what",
        "Out: RSET",
        "In:  250 reset",
        "Out: QUIT",
    ];
    assert_eq!(told(Protocol::Smtp, "protocol", &REFUSING).unwrap(), expected);
    let lmtp = told(Protocol::Lmtp, "bounce, protocol", &REFUSING).unwrap();
    assert_eq!((lmtp[0].as_str(), lmtp[2].as_str()), ("LMTP mx.test[192.0.2.1]:25", "Out: LHLO client.test"));
    assert_eq!(told(Protocol::Smtp, "bounce, resource, software", &REFUSING), None);
}

#[test]
fn what_is_no_reply_is_told_and_what_is_only_a_refusal_is_not() {
    let check = |server: &[&str], last: Option<&str>| {
        let told = told(Protocol::Smtp, "protocol", server);
        assert_eq!(told.and_then(|mut lines| lines.pop()).as_deref(), last, "{server:?}");
    };
    let greeting = ["220 mx.test ESMTP", "250 mx.test"];
    let with = |more: &[&'static str]| [&greeting[..], more].concat();
    check(&["hello|220 mx.test ESMTP", "250 mx.test", "<close>"], Some("Out: MAIL FROM:<s@x.test>"));
    // Even where no reply comes after it.
    check(&["hello|220-mx.test", "<close>"], Some("In:  220-mx.test"));
    check(&["500 no"], Some("Out: QUIT"));
    check(&["354 go"], Some("Out: QUIT"));
    check(&["554 no"], None);
    check(&with(&["550 no", "250 reset"]), None);
    check(&with(&["555 no", "250 reset"]), Some("Out: QUIT"));
    check(&with(&["<close>"]), None);
    check(&["220 mx.test", "500 no", "250 mx.test", "550 no", "250 ok"], None);
}

#[test]
fn a_notice_is_given_once() {
    let settings = settings(Protocol::Smtp, &[("notify_classes", "protocol")]);
    let mut run = play(&settings, &REFUSING, &["a@x"], false);
    assert!(run.session.take_notice().is_some());
    assert_eq!(run.session.take_notice(), None);
}

#[test]
fn replaced_lines_are_shown_as_they_came() {
    let settings = settings(Protocol::Smtp, &[("notify_classes", "protocol")]);
    let mut run = play(&settings, &[], &["a@x"], false);
    run.session.line_replaced(&"2xx odd".into(), &"500 odd".into());
    run.session.remember(b"250-first\n500 odd\n500 odd", true);
    let lines: Vec<_> = run.session.take_notice().unwrap().transcript.lines().collect();
    let expected = ["In:  250-first", "In:  2xx odd", "Replaced-by: ", "     500 odd", "In:  500 odd"];
    assert_eq!(lines, expected.map(|line| line.as_bytes().to_vec()));
}
