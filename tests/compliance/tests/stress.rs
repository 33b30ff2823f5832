//! More clients than a service may have: those that come then are served in a hurry, and master says so. STRESS_README

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    system::{System, Which, free_port},
    wire::Talk,
};
use std::net::{Ipv4Addr, SocketAddr};

/// A service with two places beside the one that every system has.
fn start(which: Which, options: &str) -> (System, SocketAddr) {
    let settings = "smtpd_peername_lookup = no\nsmtpd_banner = hello\nlocal_recipient_maps =\n\
        smtpd_discard_ehlo_keywords = silent-discard, etrn, dsn\nmax_idle = 600s\n";
    let system = System::prepare(which, settings);
    let port = free_port();
    system.add_services(&format!("0.0.0.0:{port} inet n - n - 2 smtpd {options}\n"));
    system.run();
    (system, SocketAddr::from(([127, 0, 0, 1], port)))
}

fn connect(server: SocketAddr) -> Talk {
    let mut talk = Talk::from(Ipv4Addr::new(127, 0, 1, 1), server).expect("the server listens");
    assert!(talk.reply().is_some_and(|reply| reply.starts_with("220")));
    talk
}

/// What master warned of, without the port and without what Postfix 3.12 says differently.
fn warnings(system: &System, server: SocketAddr) -> Vec<String> {
    let log = system.log();
    let lines = log.lines().filter_map(|line| line.split_once("/master[")?.1.split_once("]: warning: "));
    let port = server.port().to_string();
    lines.map(|(_, text)| text.replace(&port, "PORT").replace("http://", "https://")).collect()
}

#[test]
fn who_takes_the_last_place_is_served_in_a_hurry() {
    let story = |which| {
        let (system, server) = start(which, "-o smtpd_timeout=${stress?{1}:{500}}s");
        let mut calm = connect(server);
        let hurried = connect(server);
        let waiting = Talk::from(Ipv4Addr::new(127, 0, 1, 1), server).expect("the kernel takes it");
        let told = String::from_utf8_lossy(&hurried.rest()).into_owned();
        // The place that is free again is taken in a hurry, too; who was there before has all the time.
        let told_next = String::from_utf8_lossy(&waiting.rest()).into_owned();
        let reply = calm.say("NOOP");
        system.wait_until("master has said so", || warnings(&system, server).len() >= 3);
        (told, told_next, reply, warnings(&system, server))
    };
    let (expected, seen) = (story(Which::Postfix), story(Which::Posthaste));
    assert_eq!(seen, expected);
    assert_eq!(seen.0, "421 4.4.2 mx.test Error: timeout exceeded\r\n");
    assert_eq!(seen.2.trim_end(), "250 2.0.0 Ok");
    let first = "service \"0.0.0.0:PORT\" ([0.0.0.0]:PORT) has reached its process limit \"2\": new clients may \
                 experience noticeable delays";
    assert_eq!(seen.3[0], first);
}

/// With the defaults, one error is too many then.
#[test]
fn a_hurried_client_may_make_one_error() {
    let story = |which| {
        let (_system, server) = start(which, "");
        let mut calm = connect(server);
        let mut hurried = connect(server);
        let replies = [calm.say("XYZZY"), calm.say("NOOP"), hurried.say("XYZZY")];
        (replies, String::from_utf8_lossy(&hurried.rest()).into_owned())
    };
    let (expected, seen) = (story(Which::Postfix), story(Which::Posthaste));
    assert_eq!(seen, expected);
    assert_eq!(seen.1, "421 4.7.0 mx.test Error: too many errors\r\n");
}

/// What else depends on `stress`: restrictions do where they say so.
#[test]
fn restrictions_may_depend_on_stress() {
    let options = "-o {smtpd_recipient_restrictions=${stress?{reject}:{permit}}} -o mynetworks=127.0.0.0/8";
    let story = |which| {
        let (_system, server) = start(which, options);
        let [mut calm, mut hurried] = [connect(server), connect(server)];
        [&mut calm, &mut hurried].map(|talk| {
            ["EHLO c", "MAIL FROM:<a@c.test>", "RCPT TO:<root@mx.test>"].map(|line| talk.say(line))
        })
    };
    let (expected, seen) = (story(Which::Postfix), story(Which::Posthaste));
    assert_eq!(seen, expected);
    assert!(seen[0][2].starts_with("250") && seen[1][2].starts_with("554"), "{seen:?}");
}

/// Clients of this host only are nobody's stress.
#[test]
fn a_service_for_this_host_knows_no_stress() {
    let story = |which| {
        let system = System::prepare(which, "smtpd_peername_lookup = no\nsmtpd_banner = hello\n");
        let port = free_port();
        system.add_services(&format!("127.0.0.1:{port} inet n - n - 2 smtpd\n"));
        system.run();
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        let mut open = [connect(server), connect(server)];
        open.each_mut().map(|talk| ["XYZZY", "NOOP"].map(|line| talk.say(line)))
    };
    let (expected, seen) = (story(Which::Postfix), story(Which::Posthaste));
    assert_eq!(seen, expected);
    assert!(seen[1][1].starts_with("250"), "{seen:?}");
}
