//! Clients that take their time, and clients that come in crowds: each hears what Postfix tells it, and others are served
//! meanwhile.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    system::{System, Which},
    wire::Talk,
};
use std::{net::Ipv4Addr, thread, time::Duration};

const BASE: &str = "smtpd_peername_lookup = no\nsmtpd_banner = hello\nlocal_recipient_maps =\nlocal_transport = discard:\n\
    smtpd_discard_ehlo_keywords = silent-discard, etrn, dsn\nsmtpd_error_sleep_time = 0\n";

/// Between two words of a slow client: much less than the time that it has for all of them.
const PAUSE: Duration = Duration::from_millis(300);

fn talk(system: &System, client: [u8; 4]) -> Talk {
    let mut talk = Talk::from(Ipv4Addr::from(client), system.address()).expect("the server listens");
    assert_eq!(talk.reply().as_deref().map(str::trim_end), Some("220 hello"), "{}", system.log());
    talk
}

/// Somebody else hands in a message.
fn serves_a_friend(system: &System) {
    let mut friend = talk(system, [127, 0, 0, 1]);
    for line in ["EHLO friend", "MAIL FROM:<f@c.test>", "RCPT TO:<root@mx.test>"] {
        let reply = friend.say(line);
        assert!(reply.starts_with("250"), "{line}: {reply}\n{}", system.log());
    }
    assert!(friend.say("DATA").starts_with("354"));
    let reply = friend.say("Subject: x\r\n\r\nx\r\n.");
    assert!(reply.starts_with("250 2.0.0 Ok: queued"), "{reply}");
}

/// Says a word again and again, with pauses, until the server has enough; returns what it said.
fn drip(mut slow: Talk, word: &[u8]) -> String {
    while slow.send(word) {
        thread::sleep(PAUSE);
    }
    String::from_utf8_lossy(&slow.rest()).into_owned()
}

fn timeouts(system: &System) -> Vec<String> {
    let log = system.log();
    let lines = log.lines().filter_map(|line| line.split_once(": timeout after "));
    // How many bytes came depends on the moment.
    lines.map(|(_, text)| text.chars().filter(|c| !c.is_ascii_digit()).collect()).collect()
}

#[test]
fn with_a_deadline_a_slow_client_is_let_go() {
    let settings = "smtpd_per_request_deadline = yes\nsmtpd_timeout = 2s\nsmtpd_min_data_rate = 500\n";
    let story = |which| {
        let system = System::start(which, &format!("{BASE}{settings}"));
        let command = drip(talk(&system, [127, 0, 1, 1]), b"N");
        let mut content = talk(&system, [127, 0, 1, 2]);
        for line in ["EHLO c", "MAIL FROM:<a@c.test>", "RCPT TO:<root@mx.test>", "DATA"] {
            content.say(line);
        }
        serves_a_friend(&system);
        let content = drip(content, b"x: y\r\n");
        system.wait_until("both are in the log", || timeouts(&system).len() >= 2);
        (command, content, timeouts(&system))
    };
    let (expected, seen) = (story(Which::Postfix), story(Which::Posthaste));
    assert_eq!(seen, expected);
    assert_eq!(seen.0, "421 4.4.2 mx.test Error: timeout exceeded\r\n");
    assert_eq!(seen.1, "421 4.4.2 mx.test Error: timeout exceeded\r\n");
}

#[test]
fn a_crowd_from_one_address_is_bounded_and_others_are_served() {
    let settings =
        "smtpd_client_connection_count_limit = 10\nmynetworks = 127.0.0.1\ndefault_process_limit = 40\n";
    let story = |which| {
        let system = System::start(which, &format!("{BASE}{settings}"));
        let crowd: Vec<Talk> = (0..10).map(|_| talk(&system, [127, 0, 1, 1])).collect();
        let refused: Vec<String> = (0..15)
            .map(|_| {
                let more =
                    Talk::from(Ipv4Addr::new(127, 0, 1, 1), system.address()).expect("the server listens");
                String::from_utf8_lossy(&more.rest()).into_owned()
            })
            .collect();
        // Many addresses with a connection each, some of which are reset.
        let many: Vec<Talk> = (1..=15).map(|last| talk(&system, [127, 0, 2, last])).collect();
        serves_a_friend(&system);
        many.into_iter().step_by(2).for_each(Talk::reset);
        serves_a_friend(&system);
        drop(crowd);
        refused
    };
    let (expected, seen) = (story(Which::Postfix), story(Which::Posthaste));
    assert_eq!(seen, expected);
    assert!(
        seen.iter().all(|reply| reply == "421 4.7.0 mx.test Error: too many connections from 127.0.1.1\r\n")
    );
}
