//! `debug_peer_list` and `-v` in master.cf: what is said is logged, to and from these peers only, in Debian's words.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    system::{System, Which},
    wire::{Received, Talk},
};
use std::{fs, net::Ipv4Addr, thread};

const QUIET: &str = "smtpd_peername_lookup = no\nrelay_domains = out.test\nsmtpd_discard_ehlo_keywords = chunking, smtputf8, etrn, \
    pipelining, vrfy, dsn, enhancedstatuscodes, 8bitmime, size, starttls\n";

/// What a service has logged of what was said: `< PEER: TEXT`.
fn said(system: &System, service: &str) -> Vec<String> {
    let log = system.log();
    let tag = format!("postfix/{service}[");
    let lines = log.lines().filter(|line| line.contains(&tag)).filter_map(|line| line.split_once("]: "));
    let lines = lines.map(|(_, text)| text).filter(|text| text.starts_with("< ") || text.starts_with("> "));
    // Queue ids and sizes differ.
    let plain = |line: &str| match line.split_once("queued as ").or_else(|| line.split_once(" SIZE=")) {
        Some((before, _)) => before.to_owned(),
        None => line.to_owned(),
    };
    lines.map(plain).collect()
}

/// A client that sends a message, or only says who it is.
fn converse(system: &System, from: Ipv4Addr, has_mail: bool) {
    let mut talk = Talk::from(from, system.address()).expect("it listens");
    talk.reply();
    if !has_mail {
        talk.say("EHLO c.test");
        talk.say("QUIT");
        return;
    }
    for line in ["EHLO c.test", "MAIL FROM:<a@c.test>", "RCPT TO:<b@out.test>", "nonsense  \u{1}x", "DATA"] {
        talk.say(line);
    }
    talk.say("Subject: x\r\n\r\n> secret\r\n.");
    talk.say("QUIT");
}

/// Two clients of which one is watched, and the way out to a server that is watched if `out` says so.
fn story(which: Which, settings: &str) -> (Vec<String>, Vec<String>) {
    let received = Received::default();
    let relay = received.server().relayhost();
    let port = relay.rsplit(':').next().expect("a port").to_owned();
    let system = System::start(
        which,
        &format!("{QUIET}transport_maps = inline:{{ {{ out.test = smtp:{relay} }} }}\n{settings}"),
    );
    converse(&system, Ipv4Addr::new(127, 0, 0, 1), true);
    converse(&system, Ipv4Addr::new(127, 0, 0, 2), false);
    system.wait_until("it is delivered", || system.log().contains(": removed"));
    // Neither waits for the answer to QUIT.
    let client = said(&system, "smtp").into_iter().filter(|line| !line.ends_with(" 221 bye"));
    let client = client.map(|line| line.replace(&port, "PORT")).collect();
    (said(&system, "smtpd"), client)
}

#[test]
fn watched_peers_are_logged_as_by_debian() {
    let settings = "debug_peer_list = 127.0.0.1\nsmtp_send_xforward_command = no\n";
    let theirs = thread::spawn(move || story(Which::Postfix, settings));
    let (server, client) = story(Which::Posthaste, settings);
    let (their_server, their_client) = theirs.join().expect("no failure");
    assert_eq!(server, their_server);
    assert_eq!(client, their_client);
    for line in ["< unknown[127.0.0.1]: MAIL FROM:<a@c.test>", "> unknown[127.0.0.1]: 250 2.1.0 Ok"] {
        assert!(server.contains(&line.to_owned()), "{server:?}");
    }
    assert!(client.contains(&"> 127.0.0.1[127.0.0.1]:PORT: DATA".to_owned()), "{client:?}");
    let all = server.iter().chain(&client);
    assert!(all.clone().all(|line| !line.contains("secret") && !line.contains("127.0.0.2")), "{all:?}");
}

#[test]
fn nobody_is_watched_by_default() {
    assert_eq!(story(Which::Posthaste, ""), (vec![], vec![]));
    assert_eq!(story(Which::Posthaste, "debug_peer_list = 192.0.2.1, other.test\n"), (vec![], vec![]));
    // Mail does not depend on a list that cannot be asked.
    assert_eq!(story(Which::Posthaste, "debug_peer_list = fail:x\n"), (vec![], vec![]));
}

/// The log names a list that cannot be asked, once for each client.
#[test]
fn a_list_in_trouble_is_named_as_by_debian() {
    let text = "]: warning: debug_peer_list: fail:x: table lookup problem";
    for which in [Which::Postfix, Which::Posthaste] {
        let system = System::start(which, &format!("{QUIET}debug_peer_list = fail:x\n"));
        let told = || system.log().lines().filter(|line| line.contains(text)).count();
        system.wait_until("the client that found it ready is gone", || {
            system.log().contains(": disconnect from") && told() == 1
        });
        converse(&system, Ipv4Addr::new(127, 0, 0, 2), false);
        system.wait_until("the session is logged", || system.log().matches(": disconnect from").count() == 2);
        assert_eq!(told(), 2, "{which:?}: {}", system.log());
    }
}

/// A next hop is a peer too, whatever the names of its hosts.
#[test]
fn a_next_hop_may_be_watched() {
    let (server, client) =
        story(Which::Posthaste, "debug_peer_list = pcre:{{/^\\[127\\.0\\.0\\.1\\]:/ yes}}\n");
    assert_eq!(server, [""; 0]);
    assert_eq!(client.iter().filter(|line| line.ends_with(": DATA")).count(), 1, "{client:?}");
}

#[test]
fn a_verbose_row_watches_everybody() {
    let system = System::prepare(Which::Posthaste, QUIET);
    let path = system.path("etc/master.cf");
    let text = fs::read_to_string(&path).expect("master.cf was prepared");
    fs::write(&path, text.replacen(" smtpd\n", " smtpd -v\n", 1)).expect("space");
    system.run();
    let mut talk = Talk::to(system.address());
    talk.reply();
    talk.say("EHLO c.test");
    talk.say("AUTH PLAIN AHNlY3JldAA=");
    talk.say("QUIT");
    system.wait_until("the session is logged", || {
        said(&system, "smtpd").iter().any(|line| line.contains("221 "))
    });
    let said = said(&system, "smtpd");
    assert!(said.contains(&"< unknown[127.0.0.1]: AUTH PLAIN ...".to_owned()), "{said:?}");
    assert!(
        !system.log().contains("AHNl") && !system.log().contains("has no effect: only smtpd"),
        "{}",
        system.log()
    );
}
