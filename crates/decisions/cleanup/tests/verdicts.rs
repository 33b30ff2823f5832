//! What happens to messages that cannot be accepted, and to tables that cannot be asked.

mod support;

use bstr::BStr;
use cleanup::{Cleanup, Fault, SmtpClient, Source, Verdict};
use proptest::prelude::*;
use queue_format::RecordType;
use std::rc::Rc;
use support::{Log, now, records, service, start};
use types::{Address, BodyEncoding, DsnReturn, Recipient, WallTime};

const CLIENT: SmtpClient<'static> = SmtpClient {
    name: "client.test",
    reverse_name: "client.test",
    address: "2001:db8::1",
    port: "1234",
    origin: "client.test[2001:db8::1]",
    server_address: "2001:db8::2",
    server_port: "25",
    helo: None,
    protocol: "SMTP",
    is_local_rewrite: false,
    encoding: BodyEncoding::Unknown,
    dsn_return: DsnReturn::Unset,
    dsn_envid: None,
    verp: None,
    login: None,
    sasl_sender: None,
    forwarded: None,
    ident: None,
};

const NOW: WallTime = WallTime { seconds: 1_717_567_750, micros: 0 };

fn open(settings: &[(&str, &str)], recipients: &[&str]) -> (Cleanup, Rc<Log>) {
    let mut all = vec![("myhostname", "mx.test"), ("myorigin", "mx.test"), ("mydomain", "test")];
    all.extend_from_slice(settings);
    let (mut cleanup, log) = start(&service(&all), "ABC", Source::Smtpd, NOW, NOW);
    now(cleanup.open_smtp(&CLIENT, &"s@x.test".into()));
    for recipient in recipients {
        now(cleanup.recipient(&Recipient { address: Address::from(*recipient), ..Recipient::default() }));
    }
    now(cleanup.begin_smtp_content(&CLIENT, None, &[]));
    (cleanup, log)
}

fn end(mut cleanup: Cleanup, content: &[u8]) -> (Verdict, Vec<String>) {
    now(cleanup.content(content));
    now(cleanup.end_content());
    let verdict = now(cleanup.finish());
    (verdict, cleanup.writer().take(|_, bytes| records(bytes)))
}

#[track_caller]
fn check(settings: &[(&str, &str)], recipients: &[&str], content: &str, expected: &str) {
    let (verdict, _) = end(open(settings, recipients).0, content.as_bytes());
    let text = match verdict {
        Verdict::Accepted { recipients, .. } => format!("accepted {recipients}"),
        Verdict::Refuse(refusal) if refusal.reply.is_temporary() => format!("defer {}", refusal.reply),
        Verdict::Refuse(refusal) => format!("reject {}", refusal.reply),
        other => format!("{other:?}"),
    };
    assert_eq!(text, expected);
}

const TEXT: &str = "Subject: t\r\n\r\nbody\r\n";

#[test]
fn limits_reject() {
    let hops = "Received: x\r\n".repeat(49) + TEXT;
    check(&[], &["a@x.test"], &hops, "reject 554 5.4.0 Error: too many hops");
    check(&[], &["a@x.test"], &hops["Received: x\r\n".len()..], "accepted 1");
    let big = "x".repeat(98) + "\r\n";
    let size = &[("message_size_limit", "100000")];
    check(size, &["a@x.test"], &big.repeat(1_001), "reject 552 5.3.4 Error: message file too big");
    check(&[], &[], TEXT, "reject 550 5.1.0 Error: no recipients specified");
}

#[test]
fn a_table_that_cannot_be_asked_defers() {
    let names = [
        "virtual_alias_maps",
        "canonical_maps",
        "sender_canonical_maps",
        "recipient_canonical_maps",
        "sender_bcc_maps",
        "recipient_bcc_maps",
    ];
    for name in names {
        check(&[(name, "fail:")], &["a@x.test"], TEXT, "defer 451 4.3.0 Error: queue file write error");
    }
    let canonical = &[("canonical_maps", "fail:"), ("canonical_classes", "header_sender")];
    check(canonical, &["a@x.test"], "From: a@b.c\r\n\r\n", "accepted 1");
}

#[test]
fn expansion_has_limits() {
    let table = "inline:{ {l@x.test = a@x.test b@x.test c@x.test} {1@x.test = 2@x.test} {2@x.test = 3@x.test} \
                 {e@x.test = name@x.test, not@@quite} }";
    let alias = ("virtual_alias_maps", table);
    check(&[alias], &["l@x.test"], TEXT, "accepted 3");
    let expected = "defer 451 4.6.0 Alias expansion error";
    check(&[alias, ("virtual_alias_expansion_limit", "2")], &["l@x.test"], TEXT, expected);
    check(&[alias, ("virtual_alias_recursion_limit", "1")], &["1@x.test"], TEXT, expected);
    check(&[alias, ("virtual_alias_address_length_limit", "7")], &["l@x.test"], TEXT, expected);
}

#[test]
fn duplicates_are_dropped_as_long_as_there_is_room() {
    let twice = ["a@x.test", "A@x.test", "b@x.test", "b@x.test"];
    check(&[("enable_original_recipient", "no")], &twice, TEXT, "accepted 2");
    check(
        &[("enable_original_recipient", "no"), ("duplicate_filter_limit", "1")],
        &twice,
        TEXT,
        "accepted 3",
    );
    check(
        &[("receive_override_options", "no_address_mappings"), ("always_bcc", "b@c")],
        &["a@x.test"],
        TEXT,
        "accepted 1",
    );
}

#[test]
fn a_strangers_headers_are_left_alone() {
    let (_, file) = end(open(&[], &["a@x.test"]).0, b"From: root\r\nBcc: x\r\n\r\nbody\r\n");
    assert!(file.contains(&"N From: root".to_owned()), "{file:?}");
    assert!(
        !file.iter().any(|r| r.contains("Bcc") || r.contains("Message-Id") || r.contains("Date:")),
        "{file:?}"
    );
    assert!(
        file.contains(&"N Received: from client.test (client.test [IPv6:2001:db8::1])".to_owned()),
        "{file:?}"
    );
    assert!(file.contains(&"A client_address_type=10".to_owned()));
}

#[test]
fn a_hidden_session_shows_only_us() {
    let (_, file) = end(open(&[("smtpd_hide_client_session", "yes")], &["a@x.test"]).0, b"\r\n");
    assert!(file.contains(&"N Received: by mx.test (Postfix) id ABC;".to_owned()), "{file:?}");
}

#[test]
fn stray_line_ends_become_blanks() {
    let (_, file) = end(open(&[], &["a@x.test"]).0, b"Subject: t\r\n\r\na\rb\r\r\n");
    assert!(file.contains(&"N a b ".to_owned()), "{file:?}");
}

#[test]
fn what_a_local_user_cannot_know_goes_back_by_mail() {
    let settings = [("myhostname", "mx.test"), ("myorigin", "mx.test")];
    let (mut cleanup, _) = start(&service(&settings), "ABC", Source::Pickup, NOW, NOW);
    now(cleanup.record(RecordType::TIME, b"1 2"));
    now(cleanup.record(RecordType::SENDER, b"user"));
    now(cleanup.record(RecordType::RECIPIENT, b"other"));
    cleanup.begin_pickup_content(1_000, NOW);
    for _ in 0..50 {
        now(cleanup.content_record(b"Received: x", true));
    }
    now(cleanup.end_content());
    let Verdict::Bounce { status, message, .. } = now(cleanup.finish()) else { panic!("no bounce") };
    assert_eq!((status.dsn.to_string().as_str(), &status.reason[..]), ("5.4.0", &b"too many hops"[..]));
    assert_eq!((message.sender.to_string().as_str(), message.arrival.seconds), ("user@mx.test", 1));
    let file = cleanup.writer().take(|_, bytes| records(bytes));
    assert!(file.contains(&"R other@mx.test".to_owned()), "{file:?}");
}

/// What nobody can be told of, or need not be.
#[test]
fn what_cannot_go_back_says_whose_fault_it_is() {
    let check = |settings: &[(&str, &str)], records: &[(RecordType, &str)], expected: (Fault, _)| {
        let all = [&[("myhostname", "mx.test"), ("myorigin", "mx.test")], settings].concat();
        let (mut cleanup, _) = start(&service(&all), "ABC", Source::Pickup, NOW, NOW);
        for (record_type, data) in records {
            now(cleanup.record(*record_type, data.as_bytes()));
        }
        cleanup.begin_pickup_content(1_000, NOW);
        now(cleanup.end_content());
        let verdict = now(cleanup.finish());
        let Verdict::Refuse(refusal) = verdict else { panic!("{records:?}: {verdict:?}") };
        assert_eq!((refusal.fault, refusal.summary), expected, "{records:?}");
    };
    let (time, sender) = ((RecordType::TIME, "1 2"), (RecordType::SENDER, "user"));
    let recipient = (RecordType::RECIPIENT, "other");
    check(&[], &[time, sender], (Fault::NoRecipients, Some("no recipients specified")));
    check(&[], &[time, recipient], (Fault::Records, Some("internal protocol error")));
    check(&[], &[time, sender, sender, recipient], (Fault::Records, Some("internal protocol error")));
    let fails = &[("virtual_alias_maps", "fail:")];
    check(fails, &[time, sender, recipient], (Fault::Other, Some("queue file write error")));
    let loops =
        &[("virtual_alias_maps", "inline:{ {other@mx.test = a b} }"), ("virtual_alias_expansion_limit", "1")];
    check(loops, &[time, sender, recipient], (Fault::Other, None));
}

#[test]
fn the_message_id_is_logged() {
    let (cleanup, log) = open(&[("local_header_rewrite_clients", "")], &["a@x.test"]);
    end(cleanup, b"Message-ID: <1@x>\r\n\r\n");
    assert_eq!(log.0.take(), ["ABC: message-id=<1@x>"]);
    let (cleanup, log) = open(&[], &["a@x.test"]);
    end(cleanup, b"\r\n");
    assert_eq!(log.0.take(), ["ABC: message-id=<>"]);
}

#[test]
fn the_beginning_may_be_written_before_the_end_is_known() {
    let (mut cleanup, _) = open(&[], &["a@x.test"]);
    let mut file = cleanup.writer().take(|_, bytes| bytes.to_vec());
    now(cleanup.content(TEXT.as_bytes()));
    now(cleanup.end_content());
    let Verdict::Accepted { size_patch: Some(patch), .. } = now(cleanup.finish()) else { panic!("no patch") };
    file.extend(cleanup.writer().take(|_, bytes| bytes.to_vec()));
    let offset = usize::try_from(patch.offset).unwrap();
    file[offset..offset + patch.bytes.len()].copy_from_slice(&patch.bytes);
    let (mut whole, _) = open(&[], &["a@x.test"]);
    now(whole.content(TEXT.as_bytes()));
    now(whole.end_content());
    now(whole.finish());
    assert_eq!(whole.writer().take(|_, bytes| bytes.to_vec()), file);
}

proptest! {
    #[test]
    fn chunks_do_not_matter(content in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '),
        Just(b':'), Just(b'-'), any::<u8>()], 0..200), cut in 1_usize..50) {
        let settings = [("line_length_limit", "10"), ("header_size_limit", "30")];
        let (mut pieces, _) = open(&settings, &["a@x.test"]);
        for chunk in content.chunks(cut) {
            now(pieces.content(chunk));
        }
        now(pieces.end_content());
        let verdict = now(pieces.finish());
        let pieces = pieces.writer().take(|_, bytes| records(bytes));
        let (whole_verdict, whole) = end(open(&settings, &["a@x.test"]).0, &content);
        prop_assert_eq!(pieces, whole);
        prop_assert_eq!(format!("{verdict:?}"), format!("{whole_verdict:?}"));
    }

    #[test]
    fn any_maildrop_record_is_taken(data in proptest::collection::vec((any::<u8>(),
        proptest::collection::vec(any::<u8>(), 0..40)), 0..20)) {
        let (mut cleanup, _) = start(&service(&[]), "ABC", Source::Pickup, NOW, NOW);
        for (record_type, data) in &data {
            now(cleanup.record(RecordType(*record_type), data));
        }
        cleanup.begin_pickup_content(1, NOW);
        for (_, data) in &data {
            now(cleanup.content_record(data, true));
        }
        now(cleanup.end_content());
        now(cleanup.finish());
    }
}

#[test]
fn helo_is_no_way_into_the_header() {
    let (mut cleanup, _) = start(&service(&[]), "ABC", Source::Smtpd, NOW, NOW);
    let client = SmtpClient { helo: Some(BStr::new("a\r\nX: y")), ..CLIENT };
    now(cleanup.open_smtp(&client, &"s@x.test".into()));
    now(cleanup.begin_smtp_content(&client, None, &[]));
    let file = cleanup.writer().take(|_, bytes| records(bytes));
    assert!(file.iter().all(|record| !record.starts_with("N X:")), "{file:?}");
}

/// The first wish for VERP that can be met counts, and whoever has none to return to cannot have one.
#[test]
fn a_wish_for_verp_is_checked() {
    let check = |sender: &str, wishes: &[&str], expected: &[&str], warnings: &[&str]| {
        let settings = [("myhostname", "mx.test"), ("myorigin", "mx.test")];
        let (mut cleanup, log) = start(&service(&settings), "ABC", Source::Pickup, NOW, NOW);
        now(cleanup.record(RecordType::TIME, b"1 2"));
        now(cleanup.record(RecordType::SENDER, sender.as_bytes()));
        for wish in wishes {
            now(cleanup.record(RecordType::VERP, wish.as_bytes()));
        }
        let file = cleanup.writer().take(|_, bytes| records(bytes));
        let found: Vec<_> = file.iter().filter_map(|record| record.strip_prefix("V ")).collect();
        assert_eq!(found, expected, "{sender} {wishes:?}");
        assert_eq!(log.0.borrow().as_slice(), warnings, "{sender} {wishes:?}");
    };
    check("list", &["+=", "-="], &["+="], &[]);
    let bad = r#"warning: ABC: ignoring bad VERP request: "+?""#;
    check("list", &["+\n", "-="], &["-="], &[bad]);
    check("list", &["+\n"], &[], &[bad]);
    let null = "warning: ABC: ignoring VERP request for null sender";
    check("", &["+="], &[], &[null]);
    check("mailer-daemon@mx.test", &["+="], &[], &[null]);
}
