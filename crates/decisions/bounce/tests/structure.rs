//! Whatever the original contains, the notification has exactly three parts, and the third is the original.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's way to fail")]

use bounce::{BounceSettings, Composer, Kind, Line, Original, plan};
use config::Values;
use message::LocalZone;
use proptest::prelude::*;
use queue_format::LogEntry;
use types::{
    Address, BodyEncoding, Dsn, DsnReturn, MessageAttributes, Recipient, SendOptions, Status, WallTime,
};

const ID: &str = "4F2A81C3D";
const NOW: i64 = 1_700_000_000;

fn compose(
    settings: &BounceSettings,
    kind: Kind,
    message: &MessageAttributes,
    entries: &[LogEntry],
    content: &[(Vec<u8>, bool)],
) -> Vec<u8> {
    let plan = plan(settings, kind, &message.sender, message.dsn_return);
    let notification = plan.notifications.first().expect("a notification");
    let zone = LocalZone::utc();
    let message_id = "<1@x>".into();
    let original =
        Original { queue_id: ID.parse().unwrap(), message, message_id: Some(message_id), has_content: true };
    let mut composer = Composer::new(WallTime::new(NOW, 0), &zone, settings, notification, original);
    let pieces = || content.iter().map(|(bytes, is_complete)| Line { bytes, is_complete: *is_complete });
    pieces().for_each(|line| composer.check(line));
    let mut out = Vec::new();
    let mut put = |line: Line<'_>| {
        out.extend_from_slice(line.bytes);
        if line.is_complete {
            out.push(b'\n');
        }
    };
    assert!(composer.begin(entries, &mut put));
    for line in pieces() {
        if !composer.original(line, &mut put) {
            break;
        }
    }
    composer.end(&mut put);
    out
}

/// The parts between boundary lines, by what the header says the boundary is, in the laxest reading: every line that
/// begins with the delimiter counts.
fn parts(mail: &[u8]) -> Vec<Vec<u8>> {
    let start = b"\tboundary=\"".as_slice();
    let lines: Vec<&[u8]> = mail.split(|byte| *byte == b'\n').collect();
    let boundary = lines.iter().find_map(|line| line.strip_prefix(start)).unwrap();
    let delimiter = [b"--", &boundary[..boundary.len() - 1]].concat();
    let mut parts = vec![Vec::new()];
    for line in lines {
        if line.starts_with(&delimiter) {
            parts.push(Vec::new());
        } else {
            parts.last_mut().unwrap().push(line.to_vec());
        }
    }
    parts.into_iter().map(|lines| lines.join(&b'\n')).collect()
}

fn settings(more: &[(&str, &str)]) -> BounceSettings {
    let mut all = vec![("myhostname", "mx.test"), ("bounce_size_limit", "1000000")];
    all.extend_from_slice(more);
    BounceSettings::load(&Values::for_tests(&all), None).0
}

fn entry(address: &str, dsn: Dsn, reason: &[u8], action: &str) -> LogEntry {
    let recipient = Recipient { address: Address::from(address), offset: 7, ..Recipient::default() };
    LogEntry::new(&recipient, &Status::new(dsn, reason), action)
}

fn attributes() -> MessageAttributes {
    MessageAttributes {
        arrival: WallTime::new(NOW - 60, 0),
        sender: Address::from("sender@x.test"),
        content_bytes: 500,
        encoding: BodyEncoding::SevenBit,
        ..MessageAttributes::default()
    }
}

fn content(text: &str) -> Vec<(Vec<u8>, bool)> {
    text.lines().map(|line| (line.as_bytes().to_vec(), true)).collect()
}

fn check(kind: Kind, more: &[(&str, &str)], message: &MessageAttributes, entries: &[LogEntry], name: &str) {
    let found = compose(&settings(more), kind, message, entries, &content("Subject: x\nTo: y\n z\n\nbody\n"));
    let found = String::from_utf8_lossy(&found);
    // The introduction is free prose.
    let found =
        match (found.find("This is the mail system at host mx.test.\n"), found.find("The mail system\n")) {
            (Some(start), Some(end)) => format!("{}[text]\n{}", &found[..start], &found[end + 16..]),
            _ => found.into_owned(),
        };
    let path = format!("{}/tests/{name}.eml", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap());
}

#[test]
fn a_failure_in_full() {
    let mut failed = entry(
        "bob@y.test",
        Dsn::permanent(1, 1),
        b"host mx.y.test[192.0.2.1] said: 550 5.1.1 <bob@y.test>: User unknown (in reply to RCPT TO command)",
        "failed",
    );
    failed.mta_type = "dns".into();
    failed.mta_name = "mx.y.test".into();
    failed.diag_type = "smtp".into();
    failed.diag_text = "550 5.1.1 <bob@y.test>: User unknown".into();
    let mut expanded = entry("ann@y.test", Dsn::permanent(0, 0), b"mailbox gone", "failed");
    expanded.original = "team@x.test".into();
    check(
        Kind::Failure,
        &[("smtputf8_enable", "no"), ("enable_threaded_bounces", "yes")],
        &attributes(),
        &[failed, expanded],
        "failure",
    );
}

#[test]
fn a_delay_returns_the_header_and_says_until_when() {
    let mut message = attributes();
    message.encoding = BodyEncoding::EightBit;
    message.dsn_envid = "envelope-1".into();
    let late = entry("bob@y.test", Dsn::temporary(4, 1), b"connection refused", "delayed");
    check(Kind::Delay, &[], &message, &[late], "delay");
}

#[test]
fn utf8_addresses_are_typed() {
    let mut message = attributes();
    message.sender = Address::from("sändér@x.test");
    message.send_options = SendOptions(SendOptions::SMTPUTF8_REQUESTED | SendOptions::SMTPUTF8_SENDER);
    message.dsn_return = DsnReturn::Headers;
    let failed = entry("bøb@y.test", Dsn::permanent(1, 1), b"no", "failed");
    check(Kind::Failure, &[("smtputf8_enable", "yes")], &message, &[failed], "utf8");
}

#[test]
fn nobody_who_said_never_is_reported() {
    let settings = settings(&[]);
    let message = attributes();
    let mut silent = entry("bob@y.test", Dsn::permanent(1, 1), b"no", "failed");
    silent.dsn_notify = types::DsnNotify(types::DsnNotify::NEVER);
    let plan = plan(&settings, Kind::Failure, &message.sender, DsnReturn::Unset);
    let original =
        Original { queue_id: ID.parse().unwrap(), message: &message, message_id: None, has_content: true };
    let zone = LocalZone::utc();
    let mut composer =
        Composer::new(WallTime::new(NOW, 0), &zone, &settings, &plan.notifications[0], original);
    assert!(!composer.begin(&[silent], &mut |_| panic!("nothing to say")));
}

#[test]
fn a_template_file_replaces_what_it_can() {
    let values = Values::for_tests(&[
        ("myhostname", "mx.test"),
        ("bounce_template_file", "/etc/bounce.cf"),
        ("delay_warning_time", "4h"),
    ]);
    let file = b"# mine\nfailure_template = <<EOF\nCharset: utf-8\nFrom: MD <md@x>\nSubject: nope\nPostmaster-Subject: pm\n\nhere is $myhostname,\nafter ${delay_warning_time_hours}h of $maximal_queue_lifetime_days d\xc3\xa4ys\nEOF\n\nsuccess_template = <<X\nSubject: fine\nPostmaster-Subject: no such\n\ntext\nX\nfoo_template = x\n";
    let (settings, warnings) = BounceSettings::load(&values, Some(file));
    assert_eq!(
        warnings,
        [
            "/etc/bounce.cf, line 19: unknown template name: foo_template -- ignoring this template",
            "/etc/bounce.cf: inapplicable \"Postmaster-Subject\" header label in success template -- ignoring this template",
        ]
    );
    let failed = entry("bob@y.test", Dsn::permanent(1, 1), b"no", "failed");
    let mail = compose(&settings, Kind::Failure, &attributes(), &[failed], &content("A: b\n\nc"));
    let mail = String::from_utf8(mail).unwrap();
    assert!(mail.starts_with("From: MD <md@x>\nSubject: nope\n"), "{mail}");
    assert!(mail.contains("charset=utf-8\n"), "{mail}");
    assert!(mail.contains("\nhere is mx.test,\nafter 4h of 5 däys\n"), "{mail}");
}

/// Lines that try to look like our boundary among others.
fn hostile_line() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let base = format!("--{ID}.{NOW}/mx.test");
    let line = prop_oneof![
        2 => Just(base.clone().into_bytes()),
        2 => (0_u32..2000, ".{0,3}").prop_map(move |(n, tail)| format!("{base}.{n}{tail}").into_bytes()),
        1 => Just(format!("--{ID}.{NOW}/mx.test--").into_bytes()),
        1 => Just(Vec::new()),
        3 => prop::collection::vec(any::<u8>().prop_map(|byte| if byte == b'\n' { b'\r' } else { byte }), 0..200),
        1 => Just(vec![b'x'; 3000]),
        1 => Just(b"\r\0\r".to_vec()),
        1 => Just(b"Subject: x".to_vec()),
    ];
    (line, prop::bool::weighted(0.9))
}

#[test]
fn an_empty_piece_hides_no_boundary() {
    let lines = [(Vec::new(), false), (format!("--{ID}.{NOW}/mx.test").into_bytes(), true)];
    let entries = [entry("a@x", Dsn::permanent(1, 1), b"no", "failed")];
    let mail = compose(&settings(&[]), Kind::Failure, &attributes(), &entries, &lines);
    assert_eq!(parts(&mail).len(), 5, "preamble, three parts, end");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_original_cannot_forge_a_part(
        lines in prop::collection::vec(hostile_line(), 0..40),
        reason in prop::collection::vec(any::<u8>(), 0..300),
        address in "[ -~\r\n]{1,30}",
        with_headers_only in any::<bool>(),
    ) {
        let settings = settings(&[]);
        let mut message = attributes();
        message.dsn_return = if with_headers_only { DsnReturn::Headers } else { DsnReturn::Full };
        let entries = [entry(&address, Dsn::permanent(1, 1), &reason, "failed")];
        let mail = compose(&settings, Kind::Failure, &message, &entries, &lines);
        let parts = parts(&mail);
        prop_assert_eq!(parts.len(), 5, "preamble, three parts, end");
        if !with_headers_only {
            let mut returned = Vec::new();
            for (line, is_complete) in &lines {
                returned.extend_from_slice(line);
                if *is_complete {
                    returned.push(b'\n');
                }
            }
            let third = &parts[3];
            let start = b"\n\nReturn-Path: <sender@x.test>\n".as_slice();
            let at = third.windows(start.len()).position(|window| window == start).unwrap() + start.len();
            prop_assert!(third[at..].starts_with(&returned));
            prop_assert!(third.len() - at - returned.len() <= 1);
        }
    }
}
