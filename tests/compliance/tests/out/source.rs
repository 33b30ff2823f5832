//! Where connections come from: beside Debian's Postfix.

use crate::{
    network::{alone, fates, submit},
    sink::Sink,
};
use compliance::system::{System, Which};
use std::process::Command;

const ZONE: &str = "away.test A 127.0.0.2\n";

/// Where the sink saw the message come from, its fate, and what else the client logs.
fn run(which: Which, sink: &Sink, settings: &str) -> Vec<String> {
    let before = sink.peers().len();
    let system = System::start(which, &format!("minimal_backoff_time = 1000s\n{settings}"));
    let id = submit(&system, "s@client.test", &["u@away.test"], "Subject: x\r\n\r\nbody");
    system.wait_until("it has a fate", || system.log().contains(&format!("{id}: to=<")));
    let mut seen: Vec<String> = sink.peers()[before..].iter().map(|peer| format!("from {peer}")).collect();
    for line in system.log().lines().filter(|line| line.contains("/smtp[")) {
        match fates(line).into_values().flatten().next() {
            Some(fate) => seen.push(fate),
            None => seen.push(line.split_once("]: ").unwrap().1.to_owned()),
        }
    }
    seen
}

#[test]
fn connections_come_from_the_address_that_is_set() {
    alone("source::connections_come_from_the_address_that_is_set", ZONE, || {
        let added = Command::new("ip").args(["addr", "add", "10.9.9.9/32", "dev", "lo"]).status().unwrap();
        assert!(added.success());
        let sink = Sink::start("127.0.0.2:25", &[]);
        let cases = [
            ("smtp_bind_address = 127.0.0.77\n", "from 127.0.0.77"),
            ("smtp_bind_address = [127.0.0.78]\nsmtp_bind_address_enforce = yes\n", "from 127.0.0.78"),
            (
                "smtp_bind_address = 192.0.2.9\n",
                "warning: smtp_connect_addr: bind 192.0.2.9: Cannot assign requested address",
            ),
            (
                "smtp_bind_address = 192.0.2.9\nsmtp_bind_address_enforce = yes\n",
                "server configuration error",
            ),
            // The only address of a virtual host, unless it is a loopback address.
            ("inet_interfaces = 10.9.9.9\n", "from 10.9.9.9"),
            ("inet_interfaces = 10.9.9.9, 127.0.0.1\n", "from 127.0.0.1"),
            ("inet_interfaces = 127.0.0.1\n", "from 127.0.0.1"),
            ("inet_interfaces = 10.9.9.9\nsmtp_bind_address = 127.0.0.77\n", "from 127.0.0.77"),
        ];
        for (settings, expected) in cases {
            let (theirs, ours) =
                (run(Which::Postfix, &sink, settings), run(Which::Posthaste, &sink, settings));
            assert_eq!(ours, theirs, "{settings}");
            assert!(ours.iter().any(|line| line.contains(expected)), "{settings}{ours:#?}");
        }
    });
}
