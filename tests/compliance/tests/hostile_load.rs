//! Too much of everything: bytes, lines, recipients, connections, patience. Memory and descriptors stay
//! bounded, and others are served.

use compliance::{
    friend::hand_in,
    system::{System, Which},
    wire::{Footprint, Received, Talk},
};
use std::{collections::HashSet, net::Ipv4Addr};

const QUICK: &str = "smtpd_error_sleep_time = 0\nsmtpd_peername_lookup = no\nsmtpd_banner = $myhostname ESMTP\n\
    local_recipient_maps =\nsmtpd_client_connection_count_limit = 0\nsmtpd_forbid_unauth_pipelining = no\n";

fn start(which: Which, settings: &str) -> System {
    System::start(which, &format!("{QUICK}{settings}"))
}

fn relaying(which: Which, received: &Received, settings: &str) -> System {
    let sink = received.server();
    let relay = format!("relayhost = {}\nrelay_domains = dest.test\n{settings}", sink.relayhost());
    start(which, &relay)
}

/// Queue files that are made ahead of time, and as many threads' worth of descriptors again.
const POOL: usize = 64;

const SESSION: &str = "EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<x@dest.test>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n\
    MAIL FROM:<a@c.test>\r\nRCPT TO:<y@dest.test>\r\nBDAT 12\r\nSubject: y\r\nBDAT 5 LAST\r\n\r\ny\r\nQUIT\r\n";

#[test]
fn a_client_may_go_at_any_byte() {
    let received = Received::default();
    let system = relaying(Which::Posthaste, &received, "");
    hand_in(&system, "first@dest.test");
    let before = Footprint::of(system.process("receive"));
    let mut promised = 1;
    let complete = SESSION.find("\r\n.\r\n").expect("a message ends so") + 5;
    for length in 0..=SESSION.len() {
        let mut talk = Talk::to(system.address());
        talk.send(&SESSION.as_bytes()[..length]);
        talk.half_close();
        promised += String::from_utf8_lossy(&talk.rest()).matches("queued as").count();
        // The same with a reset instead of a farewell, before the first message is complete.
        let mut talk = Talk::to(system.address());
        talk.send(&SESSION.as_bytes()[..length.min(complete - 1)]);
        talk.reset();
    }
    hand_in(&system, "last@dest.test");
    system.wait_until("all that was promised has come, and nothing else", || {
        received.messages().len() == promised + 1
    });
    for message in received.messages() {
        let text = String::from_utf8_lossy(&message.data).into_owned();
        let is_whole = ["x", "y", "ok"].iter().any(|name| {
            text.contains(&format!("Subject: {name}\r\n")) && text.ends_with(&format!("\r\n\r\n{name}"))
        });
        assert!(is_whole, "{text:?}");
    }
    system.wait_until("nothing stays behind", || system.queued("incoming") + system.queued("active") == 0);
    let after = Footprint::of(system.process("receive"));
    assert!(after.descriptors <= before.descriptors + POOL, "descriptors: {before:?}, then {after:?}");
    assert!(after.memory_kib < before.memory_kib + 8 * 1024, "memory: {before:?}, then {after:?}");
}

#[test]
fn a_byte_at_a_time_is_a_session_too() {
    let received = Received::default();
    let system = relaying(Which::Posthaste, &received, "");
    let mut slow = Talk::to(system.address());
    for (index, byte) in SESSION.as_bytes().iter().enumerate() {
        assert!(slow.send(&[*byte]));
        if index % 64 == 0 {
            hand_in(&system, "friend@dest.test");
        }
    }
    let said = String::from_utf8_lossy(&slow.rest()).into_owned();
    assert_eq!(said.matches("queued as").count(), 2, "{said}");
    let friends = SESSION.len().div_ceil(64);
    system.wait_until("all has come", || received.messages().len() == friends + 2);
}

#[test]
fn endless_input_ends() {
    let system = start(Which::Posthaste, "message_size_limit = 200000\n");
    let receive = system.process("receive");
    hand_in(&system, "root@mx.test");
    let before = Footprint::of(receive);
    let megabyte = vec![b'x'; 1 << 20];

    // A command line without an end.
    let mut talk = Talk::to(system.address());
    let sent = (0..10).take_while(|_| talk.send(&megabyte)).count();
    let said = String::from_utf8_lossy(&talk.rest()).into_owned();
    // A reset may overtake the reply; what matters is that the server stopped reading.
    assert!(sent < 10 || said.contains("500 5.5.2 Error: command too long"), "{sent} MiB, {said}");

    // Content without an end, in one line and in many, by DATA and by BDAT.
    for piece in [&megabyte, &b"0123456789abcde\r\n".repeat(1 << 16)] {
        let mut talk = Talk::to(system.address());
        talk.send(b"EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<root@mx.test>\r\nDATA\r\n");
        for _ in 0..20 {
            assert!(talk.send(piece));
        }
        talk.send(b"\r\n.\r\nQUIT\r\n");
        let said = String::from_utf8_lossy(&talk.rest()).into_owned();
        assert!(said.contains("552 5.3.4"), "{said}");
        assert!(said.ends_with("221 2.0.0 Bye\r\n"), "{said}");
    }
    let mut talk = Talk::to(system.address());
    talk.send(b"EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<root@mx.test>\r\nBDAT 104857600\r\n");
    let sent = (0..100).take_while(|_| talk.send(&megabyte)).count();
    assert!(sent < 100, "the server read a chunk of hundred megabytes that it had refused");

    let after = Footprint::of(receive);
    assert!(after.memory_kib < before.memory_kib + 4 * 1024, "memory: {before:?}, then {after:?}");
    hand_in(&system, "root@mx.test");
    system.wait_until("nothing half is left", || system.queued("incoming") == 0);
}

#[test]
fn ten_thousand_recipients_are_one_message() {
    const COUNT: usize = 10_000;
    let received = Received::default();
    let system = relaying(Which::Posthaste, &received, "smtpd_recipient_limit = 20000\n");
    let mut script = "EHLO c.test\r\nMAIL FROM:<a@c.test>\r\n".to_owned();
    for number in 0..COUNT {
        script.push_str(&format!("RCPT TO:<u{number}@dest.test>\r\n"));
    }
    script.push_str("DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n");
    let mut talk = Talk::to(system.address());
    assert!(talk.send(script.as_bytes()));
    let said = String::from_utf8_lossy(&talk.rest()).into_owned();
    assert_eq!(said.matches("250 2.1.5 Ok").count(), COUNT);
    assert_eq!(said.matches("queued as").count(), 1, "{}", said.lines().last().unwrap_or_default());
    let recipients = || -> Vec<String> {
        let envelopes = received.messages().into_iter().flat_map(|message| message.envelope);
        envelopes.filter(|line| line.starts_with("RCPT")).collect()
    };
    system.wait_until("all have their copy", || recipients().len() >= COUNT);
    let all = recipients();
    assert_eq!(all.len(), COUNT, "nobody gets two");
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), COUNT);
    system.wait_until("the queue is empty", || system.queued("active") == 0);
}

#[test]
fn too_many_recipients_are_refused_as_postfix_does() {
    let count = |which| {
        let system = start(which, "smtpd_recipient_limit = 100\nsmtpd_recipient_overshoot_limit = 50\n");
        let mut script = "EHLO c.test\r\nMAIL FROM:<a@c.test>\r\n".to_owned();
        (0..300).for_each(|number| script.push_str(&format!("RCPT TO:<u{number}@mx.test>\r\n")));
        let mut talk = Talk::to(system.address());
        talk.send(script.as_bytes());
        talk.half_close();
        let said = String::from_utf8_lossy(&talk.rest()).into_owned();
        said.lines().filter(|line| !line.starts_with("250-")).skip(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(count(Which::Posthaste), count(Which::Postfix));
}

#[test]
fn silent_connections_cost_little_and_keep_nobody_out() {
    const COUNT: u32 = 600;
    let system = start(Which::Posthaste, "default_process_limit = 1000\n");
    let receive = system.process("receive");
    hand_in(&system, "root@mx.test");
    let before = Footprint::of(receive);
    let mut silent: Vec<Talk> = Vec::new();
    for number in 0..COUNT {
        let [_, b, c, d] = (0x0100_0001 + number * 7919).to_be_bytes();
        let client = Ipv4Addr::new(127, b, c, d.max(1));
        let mut talk = Talk::from(client, system.address()).expect("the server listens");
        assert!(talk.reply().is_some_and(|reply| reply.starts_with("220")), "{client}\n{}", system.log());
        match number % 3 {
            0 => {}
            1 => assert!(talk.say("EHLO c.test").starts_with("250")),
            _ => assert!(talk.send(b"EHLO half")),
        }
        silent.push(talk);
    }
    hand_in(&system, "root@mx.test");
    let full = Footprint::of(receive);
    let each_kib = full.memory_kib.saturating_sub(before.memory_kib) / u64::from(COUNT);
    // Programs that are not optimised need about 34: their tasks are large.
    assert!(each_kib <= 48, "{each_kib} KiB for each: {before:?}, then {full:?}");
    drop(silent);
    system.wait_until("their descriptors are closed", || {
        Footprint::of(receive).descriptors <= before.descriptors + POOL
    });
}

#[test]
fn beyond_the_limit_clients_wait_for_those_who_time_out() {
    let system = start(Which::Posthaste, "default_process_limit = 10\nsmtpd_timeout = 2s\n");
    let silent: Vec<Talk> = (1..=40)
        .map(|d| Talk::from(Ipv4Addr::new(127, 8, 8, d), system.address()).expect("the backlog takes it"))
        .collect();
    hand_in(&system, "root@mx.test");
    let said: Vec<String> =
        silent.into_iter().map(|talk| String::from_utf8_lossy(&talk.rest()).into_owned()).collect();
    for text in said {
        let lines: Vec<&str> = text.lines().collect();
        let [greeting, end] = lines[..] else { panic!("{text:?}\n{}", system.log()) };
        assert_eq!(greeting, "220 mx.test ESMTP");
        assert_eq!(end, "421 4.4.2 mx.test Error: timeout exceeded");
    }
}
