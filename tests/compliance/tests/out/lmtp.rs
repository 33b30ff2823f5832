//! lmtp(8), and where hosts are looked up: beside Debian's Postfix.

use crate::{
    network::{alone, fates, submit},
    sink::Sink,
};
use compliance::system::{System, Which};
use std::collections::BTreeMap;

const ZONE: &str = "store.test A 127.0.0.2\nbackup.test A 127.0.0.3\nstore.test MX 10 backup.test\n";

/// What the log says of the recipients of one message, and what the servers were told.
fn run(which: Which, sinks: &[Sink], settings: &str, recipients: &[&str]) -> BTreeMap<String, Vec<String>> {
    let before: Vec<usize> = sinks.iter().map(|sink| sink.commands().len()).collect();
    let common = "minimal_backoff_time = 1000s\nsmtpd_peername_lookup = no\nlmtp_connection_cache_on_demand = no\n\
        smtp_connection_cache_on_demand = no\nrelay_domains = box.test\nrelay_recipient_maps =\n";
    let system = System::start(which, &format!("{common}{settings}"));
    submit(&system, "s@client.test", recipients, "Subject: x\r\n\r\nbody");
    let ours = || {
        let mut fates = fates(&system.log());
        fates.retain(|recipient, _| recipients.contains(&recipient.as_str()));
        fates
    };
    system.wait_until("each recipient has a fate", || ours().len() == recipients.len());
    system.wait_until("the servers' sessions are over", || {
        sinks.iter().zip(&before).all(|(sink, before)| {
            let commands = sink.commands();
            commands.len() == *before || commands.last().is_some_and(|last| last == "QUIT")
        })
    });
    let mut seen = ours();
    for (n, (sink, before)) in sinks.iter().zip(before).enumerate() {
        let without_size = |line: &String| {
            line.split(' ').filter(|word| !word.starts_with("SIZE=")).collect::<Vec<_>>().join(" ")
        };
        seen.insert(format!("server {n}"), sink.commands()[before..].iter().map(without_size).collect());
    }
    let log = system.log();
    let warnings = log.lines().filter(|line| line.contains("mtp[") && line.contains("warning: "));
    seen.insert(
        "log".to_owned(),
        warnings.map(|line| line.split_once("]: ").unwrap().1.to_owned()).collect(),
    );
    seen
}

#[track_caller]
fn same(sinks: &[Sink], settings: &str, recipients: &[&str]) -> BTreeMap<String, Vec<String>> {
    let theirs = run(Which::Postfix, sinks, settings, recipients);
    let ours = run(Which::Posthaste, sinks, settings, recipients);
    assert_eq!(ours, theirs, "{settings}");
    ours
}

#[test]
fn each_recipient_has_its_reply() {
    alone("lmtp::each_recipient_has_its_reply", ZONE, || {
        let rules: &[&str] = &[
            "RCPT TO:<unknown@ => 550 5.1.1 no such box",
            ". full@ => 452 4.2.2 box is full",
            ". never@ => 552 5.2.2 box is full for good",
        ];
        let sinks = [Sink::start("127.0.0.2:24", rules), Sink::start("127.0.0.3:24", &[])];
        let all = ["a@box.test", "full@box.test", "unknown@box.test", "never@box.test", "b@box.test"];
        let seen = same(&sinks, "relay_transport = lmtp:inet:[127.0.0.2]\n", &all);
        assert!(
            seen["full@box.test"][0].contains("452 4.2.2 box is full (in reply to end of DATA command)"),
            "{seen:#?}"
        );
        // No MX look-up, whatever the form.
        same(&sinks, "relay_transport = lmtp:store.test\n", &all);
        same(&sinks, "relay_transport = lmtp:inet:store.test:24\nlmtp_lhlo_name = other.test\n", &all);
        same(&sinks, "relay_transport = lmtp:[127.0.0.9]\nlmtp_fallback_relay = [backup.test]\n", &all[..1]);
        same(&sinks, "relay_transport = lmtp:[127.0.0.2]:lmtp\nlmtp_tcp_port = 99\n", &all[..1]);
        let unix = "relay_transport = lmtp:unix:/nonexistent/socket\nlmtp_fallback_relay = [backup.test]\n";
        let seen = same(&sinks, unix, &all[..1]);
        assert!(seen["log"].iter().any(|line| line.contains("setting for non-TCP connections")), "{seen:#?}");
        sinks[0].obey(&["DATA => 451 4.3.0 not now"]);
        same(&sinks, "relay_transport = lmtp:[127.0.0.2]\n", &all[..2]);
        sinks[0].obey(&["LHLO => 500 5.5.1 what"]);
        same(&sinks, "relay_transport = lmtp:[127.0.0.2]\n", &all[..2]);
    });
}

#[test]
fn hosts_are_looked_up_where_it_is_said() {
    alone("lmtp::hosts_are_looked_up_where_it_is_said", ZONE, || {
        let sinks = [Sink::start("127.0.0.1:2525", &[]), Sink::start("127.0.0.2:2525", &[])];
        let local = "relay_transport = smtp:[localhost]:2525\n";
        for settings in [
            "",
            "smtp_host_lookup = native\n",
            "smtp_host_lookup = dns, native\n",
            "smtp_dns_support_level = disabled\n",
            "smtp_dns_support_level = enabled\n",
            "disable_dns_lookups = yes\n",
        ] {
            same(&sinks, &format!("{local}{settings}"), &["u@box.test"]);
        }
        // Without DNS there are no mail exchangers either.
        let mx = "relay_transport = smtp:store.test:2525\n";
        same(&sinks, &format!("{mx}smtp_host_lookup = native\n"), &["u@box.test"]);
        same(&sinks, &format!("{mx}smtp_dns_support_level = disabled\n"), &["u@box.test"]);
    });
}
