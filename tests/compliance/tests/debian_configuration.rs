//! The configuration that Debian's package generates, unchanged, at the usual places, on port 25.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    machine::{INTERNET_SITE, LOCAL_ONLY, Machine},
    system::Which,
};
use std::{fs, os::unix::fs::MetadataExt};

/// What a system did: its log without ids, sizes and times, and what stands in the mailbox.
struct Run {
    events: Vec<String>,
    mailbox: String,
}

/// Starts, takes a message for a local user, delivers it.
fn run(which: Which, main_cf: &str) -> Run {
    let machine = Machine::new(which, main_cf);
    let started = machine.command("postfix", &["start"]);
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    if which == Which::Posthaste {
        // What postfix-script says of an old compatibility_level, and else only what is not offered yet, in a few lines.
        let is_of_the_level = |line: &&str| {
            let words = [
                "is using backwards-compatible",
                "COMPATIBILITY_README",
                "To disable backwards compatibility",
            ];
            words.iter().any(|word| line.contains(word))
        };
        let others: Vec<&str> = said.lines().filter(|line| !is_of_the_level(line)).collect();
        assert!(others.len() <= 3, "{said}");
        assert!(others.iter().all(|line| line.contains(" has no effect yet")), "{said}");
    }
    machine.wait_until("port 25 answers", || machine.connect().is_some());
    let said = machine.send("root@debian.test", "postmaster", "Subject: hello\n\nbody");
    assert!(said.starts_with("250 2.0.0 Ok: queued as "), "{said}");
    machine.wait_for_line("status=sent");
    machine.wait_for_line(": removed");
    let mailbox = fs::read_to_string(machine.path("mail/alice")).expect("a mailbox");
    for (uid, pid) in processes(&machine) {
        assert_ne!(uid, 0, "process {pid} of the mail system is root");
    }
    for line in machine.log() {
        let priority = line.strip_prefix('<').and_then(|rest| rest.split_once('>')?.0.parse::<u8>().ok());
        assert!(priority.is_some_and(|number| number / 8 == 2), "not of syslog's mail facility: {line}");
    }
    Run { events: machine.events(), mailbox }
}

/// User and number of every process that master started.
fn processes(machine: &Machine) -> Vec<(u32, String)> {
    let master = fs::read_to_string(machine.path("spool/pid/master.pid")).expect("a running master");
    let children = format!("/proc/{0}/task/{0}/children", master.trim());
    let children = fs::read_to_string(children).expect("a living master");
    let owner = |pid: &str| Some((fs::metadata(format!("/proc/{pid}")).ok()?.uid(), pid.to_owned()));
    children.split_whitespace().filter_map(owner).collect()
}

/// The delivery's line from `to=` on, without times.
fn delivered(run: &Run) -> String {
    let line = run.events.iter().find(|line| line.contains("status=")).expect("a delivery is logged");
    let words = line.split(", ").filter(|word| !word.starts_with("delay"));
    words.map(|word| word.split_once(": to=").map_or(word, |(_, to)| to)).collect::<Vec<_>>().join(", ")
}

fn warnings(run: &Run) -> Vec<&String> {
    run.events.iter().filter(|line| line.contains("warning: ")).collect()
}

fn check(main_cf: &str) {
    let (theirs, ours) = (run(Which::Postfix, main_cf), run(Which::Posthaste, main_cf));
    assert_eq!(delivered(&ours), delivered(&theirs));
    let headers = |run: &Run| {
        let lines = run.mailbox.lines().filter(|line| !line.starts_with([' ', '\t']));
        lines.map(|line| line.split([':', ' ']).next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(headers(&ours), headers(&theirs));
    assert_eq!(warnings(&theirs), Vec::<&String>::new());
    let of_ours = warnings(&ours);
    assert_eq!(of_ours.len(), 1, "{of_ours:?}");
    assert!(of_ours[0].contains("smtpd_tls_security_level = may: TLS is not offered yet"), "{of_ours:?}");
}

/// All of this is read from the system's log socket.
///
/// seed: S126, S150
#[test]
fn an_internet_site_starts_and_delivers() {
    check(INTERNET_SITE);
}

#[test]
fn a_local_only_system_starts_and_delivers() {
    check(LOCAL_ONLY);
}
