//! The main job, on both systems: in by SMTP, durable, out to a mailbox.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::system::{System, Which, files};
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

/// Says lines to the server, reading one reply after each; multi-line replies count as one.
fn converse(system: &System, lines: &[&str]) -> Vec<String> {
    let stream = TcpStream::connect(system.address()).expect("the server listens");
    let mut reader = BufReader::new(stream.try_clone().expect("a socket can be duplicated"));
    let mut replies = vec![reply(&mut reader)];
    for line in lines {
        write!(&stream, "{line}\r\n").expect("the server reads");
        replies.push(reply(&mut reader));
    }
    replies
}

fn reply(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    while line.get(3..4).is_none_or(|mark| mark != " ") {
        line.clear();
        let count = reader.read_line(&mut line).expect("the server answers in text");
        assert!(count > 0, "the server hung up");
    }
    line.trim_end().to_owned()
}

fn deliver_one(which: Which) -> String {
    let system = System::start(
        which,
        "virtual_mailbox_domains = example.test\nvirtual_mailbox_base = $B/mail\n\
         virtual_mailbox_maps = static:inbox/\nvirtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534",
    );
    let body =
        "Subject: first\r\nFrom: a@example.org\r\nTo: joe@example.test\r\n\r\n..dot\r\n8\u{fc}bit\r\n.";
    let said =
        ["EHLO client.test", "MAIL FROM:<a@example.org>", "RCPT TO:<joe@example.test>", "DATA", body, "QUIT"];
    let replies = converse(&system, &said);
    let codes: Vec<&str> = replies.iter().map(|reply| &reply[..3]).collect();
    assert_eq!(codes, ["220", "250", "250", "250", "354", "250", "221"], "{replies:?}");
    let inbox = system.path("mail/inbox/new");
    system.wait_until("the mail is in the mailbox", || files(&inbox).len() == 1);
    system.wait_until("the queue is empty", || system.queued("active") + system.queued("incoming") == 0);
    let text = std::fs::read(&files(&inbox)[0]).expect("a delivered message");
    String::from_utf8(text).expect("what was sent is UTF-8")
}

/// What does not depend on the moment: the body, and the headers' names.
fn essence(message: &str) -> (Vec<String>, String) {
    let (header, body) = message.split_once("\n\n").expect("a message has a body");
    let lines = header.lines().filter(|line| !line.starts_with([' ', '\t']));
    (lines.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect(), body.to_owned())
}

#[test]
fn both_systems_deliver_the_same() {
    let (theirs, ours) = (deliver_one(Which::Postfix), deliver_one(Which::Posthaste));
    assert_eq!(essence(&ours), essence(&theirs));
}
