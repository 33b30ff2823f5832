//! access(5), OTHER ACTIONS: what an access table wants done to a message stands in its queue file, beside Debian's.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    smtp::{Client, queue_id},
    system::{System, Which},
};

const SETTINGS: &str = "local_recipient_maps =\n\
     smtpd_sender_restrictions = check_sender_access inline:{ {nobody@example.org = DISCARD} }, \
     check_sender_access inline:{ {example.org = PREPEND X-First: one} }\n\
     smtpd_recipient_restrictions = check_recipient_access inline:{ {mx.test = PREPEND X-Second: two} }, \
     check_recipient_access inline:{ {mx.test = HOLD} }, \
     check_recipient_access inline:{ {mx.test = FILTER smtp:[127.0.0.1]:9} }, \
     check_recipient_access inline:{ {mx.test = REDIRECT other@example.net} }\n\
     smtpd_data_restrictions = check_sender_access inline:{ {example.org = PREPEND X-Third: three} }\n\
     smtpd_end_of_data_restrictions = check_sender_access inline:{ {example.org = BCC copy@example.net} }";

/// The records and headers that these actions are about, in their order, as postcat(1) shows them.
fn records(system: &System, id: &str) -> Vec<String> {
    let output = system.command("postcat", &["-q", id]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let wanted = [
        "content_filter:",
        "redirect_to:",
        "recipient:",
        "original_recipient:",
        "named_attribute: dsn_orig_rcpt",
        "X-",
        "Received:",
        "Subject:",
        "*** HEADER EXTRACTED",
    ];
    let name = |line: &str| match line.split_once(": ") {
        Some(("Received", _)) => "Received".to_owned(),
        _ if line.starts_with("***") => "*** HEADER EXTRACTED".to_owned(),
        _ => line.to_owned(),
    };
    text.lines().filter(|line| wanted.iter().any(|start| line.starts_with(start))).map(name).collect()
}

fn held(which: Which) -> Vec<String> {
    let system = System::start(which, SETTINGS);
    let mut client = Client::connect(system.address()).expect("a session");
    let reply = client.send("me@example.org", &["you@mx.test"], "Subject: hello\r\n\r\nbody");
    let id = queue_id(&reply.expect("a reply")).expect("it is taken");
    system.wait_until("the message is held", || system.queued("hold") == 1);
    let records = records(&system, &id);
    // Nothing of it is left for the next message of the session.
    let reply = client.send("me@other.test", &["you@example.com"], "Subject: hello\r\n\r\nbody");
    assert!(reply.expect("a reply").starts_with("250 "), "{}", system.log());
    assert_eq!(system.queued("hold"), 1);
    records
}

#[test]
fn actions_on_a_message_are_in_its_queue_file() {
    let expected = held(Which::Postfix);
    assert!(expected.iter().any(|line| line == "redirect_to: other@example.net"), "{expected:?}");
    assert_eq!(held(Which::Posthaste), expected);
}

fn discarded(which: Which) {
    let system = System::start(which, SETTINGS);
    let mut client = Client::connect(system.address()).expect("a session");
    let reply = client.send("nobody@example.org", &["you@mx.test"], "Subject: hello\r\n\r\nbody");
    let id = queue_id(&reply.expect("a reply")).expect("it is taken, as it seems");
    client.command("QUIT").expect("a reply");
    let queues = ["incoming", "active", "deferred", "hold"];
    let is_there = queues.iter().any(|queue| system.path("spool").join(queue).join(&id).exists());
    assert!(!is_there, "{}", system.log());
    system.wait_until("the log tells", || system.log().contains("triggers DISCARD action;"));
}

#[test]
fn a_discarded_message_is_accepted_and_gone() {
    discarded(Which::Postfix);
    discarded(Which::Posthaste);
}
