//! Debian's own rows, places that run out, a proxy, lists that are silent, reload and stop.

use crate::{
    MAIL, RCPT, entry_of,
    talk::{End, Hear, Say, Talk, connect, converse, log_of, run, screened},
};
use compliance::{
    machine::{INTERNET_SITE, Machine},
    network,
    plain::told_alike,
    system::{System, Which},
};
use std::{
    fs,
    io::Write,
    time::{SystemTime, UNIX_EPOCH},
};

/// The rows as they stand in comments in Debian's master.cf, in force.
fn uncommented(text: &str) -> String {
    let rows = [
        "smtp      inet  n       -       y       -       1       postscreen",
        "smtpd     pass",
        "dnsblog",
        "tlsproxy",
    ];
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(row) if rows.iter().any(|start| row.starts_with(start)) => row.to_owned(),
        None if line.starts_with("smtp      inet") => format!("#{line}"),
        _ => line.to_owned(),
    });
    lines.flat_map(|line| [line, "\n".to_owned()]).collect()
}

fn from_the_package(which: Which) -> Vec<String> {
    let own = "postscreen_access_list =\npostscreen_greet_wait = 1s\nhome_mailbox =\n";
    let machine = Machine::new(which, &format!("{INTERNET_SITE}{own}"));
    let path = machine.path("etc/postfix/master.cf");
    let text = uncommented(&fs::read_to_string(&path).unwrap());
    let in_force = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(["smtpd     pass", "dnsblog", "tlsproxy"].map(in_force), [1, 1, 1], "{text}");
    fs::write(&path, text).unwrap();
    machine.command("postfix", &["start"]);
    machine.wait_until("port 25 answers", || machine.connect().is_some());
    let reply = machine.send("a@example.com", "alice@debian.test", "Subject: x\n\nText");
    machine.wait_until("the mail is delivered", || {
        fs::read_to_string(machine.path("mail/alice")).is_ok_and(|text| text.contains("Subject: x"))
    });
    let events = machine.events();
    assert!(!events.iter().any(|line| line.contains("not offered yet: ")), "{events:#?}");
    let passed = events.iter().filter(|line| line.contains(": PASS NEW [127.0.0.1]"));
    vec![reply.split(" as ").next().unwrap_or_default().to_owned(), passed.count().min(1).to_string()]
}

#[test]
fn debians_commented_rows_work_when_they_are_uncommented() {
    assert_eq!(told_alike(from_the_package), ["250 2.0.0 Ok: queued", "1"]);
}

fn crowd(which: Which) -> Vec<String> {
    let system = screened(which, "postscreen_client_connection_count_limit = 2\npostscreen_greet_wait = 3s");
    run(&system);
    let first: Vec<_> = (0..2).map(|_| Talk::new(connect(&system, 81))).collect();
    let is_there = || log_of(&system, 81).iter().filter(|line| line.contains("CONNECT")).count() == 2;
    system.wait_until("both are tested", is_there);
    let mut third = Talk::new(connect(&system, 81));
    third.act(End);
    drop(first);
    system.wait_until("all have gone", || {
        log_of(&system, 81).iter().filter(|line| line.contains("DISCONNECT")).count() == 3
    });
    let mut told = third.text;
    told.extend(log_of(&system, 81));
    told
}

#[test]
fn one_client_has_only_so_many_connections() {
    let told = told_alike(crowd).join("\n");
    assert!(told.contains("421 4.7.0 Error: too many connections"), "{told}");
    assert!(told.contains("NOQUEUE: reject: CONNECT from [127.0.0.81]:PORT: too many connections"), "{told}");
}

/// What a proxy says before its client, and what the client says.
fn proxied(which: Which) -> Vec<String> {
    let settings = "postscreen_upstream_proxy_protocol = haproxy\npostscreen_greet_action = enforce\n\
        postscreen_upstream_proxy_timeout = 2s\npostscreen_denylist_action = drop\n\
        postscreen_access_list = inline:{ {127.0.0.91 = reject} }";
    let system = screened(which, settings);
    run(&system);
    let mut told = Vec::new();
    for header in [
        "PROXY TCP4 127.0.0.91 192.0.2.1 4000 25\r\n",
        "PROXY TCP4 127.0.0.92 192.0.2.1 4000 25\r\nHELO spam.test\r\n",
        "PROXY TCP4 127.0.0.93 192.0.2.1 4000 25\r\n",
        "EHLO client.test\r\n",
        "",
    ] {
        let mut talk = Talk::new(connect(&system, 90));
        talk.stream.write_all(header.as_bytes()).unwrap();
        talk.act(Hear);
        talk.act(Say("QUIT\r\n"));
        talk.act(End);
        told.push(format!("{}\n{}", header.trim_end(), talk.text.join("\n")));
    }
    system.wait_until("all is logged", || {
        let log = system.log();
        log.contains("haproxy read: time limit exceeded") && log.contains("PASS NEW [127.0.0.93]:4000")
    });
    for client in [91, 92, 93] {
        told.push(log_of(&system, client).join("\n"));
    }
    let log = system.log();
    let warnings = log.lines().filter_map(|line| line.split_once("haproxy read: ")).map(|(_, why)| why);
    // Those that only looked whether the port answers said nothing.
    told.extend(warnings.filter(|why| *why != "EOF").map(str::to_owned));
    told
}

#[test]
fn a_proxy_says_who_the_client_is() {
    let told = told_alike(proxied).join("\n");
    for line in [
        "521 5.3.2 Service currently unavailable",
        "PREGREET 16 after TIME from [127.0.0.92]:PORT: HELO spam.test\\r\\n",
        "421 4.3.2 No system resources",
    ] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

const SILENT: &str = "\
95.0.0.127.silent.test DROP
95.0.0.127.bad.test A 127.0.0.2
96.0.0.127.silent.test DROP
97.0.0.127.silent.test DROP
97.0.0.127.also.test DROP
";

fn silence(which: Which) -> Vec<String> {
    let settings = "postscreen_dnsbl_action = enforce\npostscreen_greet_wait = 3s\n\
        postscreen_dnsbl_sites = silent.test*4 bad.test*2 also.test*-1";
    let system = screened(which, settings);
    run(&system);
    let talk = converse(
        &system,
        &[
            (95, &[Hear, Say("HELO x\r\n"), Say(MAIL), Say(RCPT), Say("QUIT\r\n"), End]),
            (96, &[Hear, Say("QUIT\r\n"), End]),
            (97, &[Hear, Say("QUIT\r\n"), End]),
        ],
    );
    // What a dnsblog that was given up says, and when, is its own affair.
    let own = |text: &String| -> String {
        text.split_inclusive('\n').filter(|line| !line.contains("lookup error")).collect()
    };
    talk.iter().map(own).collect()
}

#[test]
fn a_list_that_is_silent_counts_for_nothing() {
    network::alone("lifecycle::a_list_that_is_silent_counts_for_nothing", SILENT, |_| {
        let told = told_alike(silence).join("\n");
        assert!(told.contains("DNSBL rank 2 for [127.0.0.95]:PORT"), "{told}");
        assert!(told.contains("PASS NEW [127.0.0.96]:PORT"), "{told}");
    });
}

/// Lists that answer too late.
fn lateness(which: Which) -> Vec<String> {
    let settings = "postscreen_dnsbl_action = enforce\npostscreen_dnsbl_timeout = 1s\ndnsblog_reply_delay = 2s\n\
        postscreen_dnsbl_sites = bad.test also.test\npostscreen_greet_wait = 4s";
    let system = screened(which, settings);
    run(&system);
    let mut told = converse(&system, &[(95, &[Hear, Say("QUIT\r\n"), End])]);
    let log = system.log();
    let warnings =
        log.lines().filter_map(|line| line.split_once("warning: ")).map(|(_, text)| text.to_owned());
    let mut late: Vec<_> = warnings.filter(|text| text.starts_with("dnsblog reply timeout")).collect();
    late.sort();
    // The client that only looked whether the port answers is asked about, too.
    late.dedup();
    told.extend(late);
    told
}

#[test]
fn a_list_that_is_late_counts_for_nothing() {
    network::alone("lifecycle::a_list_that_is_late_counts_for_nothing", SILENT, |_| {
        let told = told_alike(lateness);
        assert!(told[0].contains("PASS NEW [127.0.0.95]:PORT"), "{told:?}");
        let late = ["dnsblog reply timeout 1s for also.test", "dnsblog reply timeout 1s for bad.test"];
        assert_eq!(told[1..], late);
    });
}

/// A client that no list has is asked about again when the name server's "no" has run out: after a minute, by the SOA
/// record of the test's zone (RFC 2308).
#[test]
fn a_no_counts_as_long_as_the_name_server_says() {
    network::alone("lifecycle::a_no_counts_as_long_as_the_name_server_says", SILENT, |_| {
        let settings =
            "postscreen_greet_banner =\npostscreen_dnsbl_min_ttl = 1s\npostscreen_dnsbl_sites = bad.test";
        let system = screened(Which::Posthaste, settings);
        run(&system);
        converse(&system, &[(98, &[Hear, Say("QUIT\r\n"), End])]);
        let until = entry_of(&system, 98).split(';').nth(1).unwrap().parse::<u64>().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        // Nobody waits in this test as long as the least time that would be otherwise.
        assert!((now + 2..=now + 60).contains(&until), "{until} - {now}");
    });
}

/// A client that has read the first line of the greeting.
fn waiting(system: &System, client: u8) -> Talk {
    let talk = Talk::new(connect(system, client));
    system.wait_until("it is tested", || log_of(system, client).iter().any(|line| line.contains("CONNECT")));
    talk
}

fn reloaded(which: Which) -> Vec<String> {
    let system = screened(which, "postscreen_greet_wait = 3s");
    run(&system);
    let mut early = waiting(&system, 85);
    system.command("postfix", &["reload"]);
    let mut late = waiting(&system, 86);
    for talk in [&mut early, &mut late] {
        [Hear, Say("EHLO x\r\n"), Say("QUIT\r\n"), End].into_iter().for_each(|step| talk.act(step));
    }
    let told = [early.text, late.text].concat();
    system.wait_until("both have passed", || system.log().matches("PASS NEW [127.0.0.8").count() == 2);
    told
}

#[test]
fn clients_that_wait_are_served_across_a_reload() {
    let told = told_alike(reloaded);
    assert_eq!(told.iter().filter(|line| *line == "220 mx.test ESMTP Postfix").count(), 2, "{told:?}");
}

/// Postfix's process outlives the others for a while, and tells them to come back.
#[test]
fn clients_that_wait_are_let_go_at_a_stop() {
    let system = screened(Which::Posthaste, "postscreen_greet_wait = 60s");
    run(&system);
    let mut talk = waiting(&system, 87);
    system.command("postfix", &["stop"]);
    talk.act(End);
    assert_eq!(talk.text.last().map(String::as_str), Some("(closed)"));
}
