//! Programs that people send mail with: swaks, curl, s-nail, and smtp-source with many sessions.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use compliance::system::{System, Which, files};
use std::{
    fs,
    process::{Command, Output},
};

const SETTINGS: &str = "virtual_mailbox_domains = example.test\nvirtual_mailbox_base = $B/mail\n\
    virtual_mailbox_maps = static:inbox/\nvirtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
    smtpd_peername_lookup = no\nin_flow_delay = 0\n";

const BODY: &str = "The body.\n.one dot\n..two dots\n8\u{fc}bit\n";

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error} (make prepare)"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// What is in the inbox once so many messages are there and nothing is queued.
fn inbox(system: &System, count: usize) -> Vec<String> {
    let inbox = system.path("mail/inbox/new");
    system.wait_until("all mail is in the mailbox", || files(&inbox).len() >= count);
    system.wait_until("the queue is empty", || system.queued("active") + system.queued("incoming") == 0);
    let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    files(&inbox).into_iter().map(read).collect()
}

fn swaks(system: &System, more: &[&str]) {
    let server = system.address().to_string();
    let mut command = Command::new("swaks");
    command.args(["--server", &server, "--helo", "client.test", "--from", "swaks@example.org"]);
    run(command.args(["--to", "joe@example.test,jane@example.test", "--body", BODY]).args(more));
}

fn curl(system: &System) {
    let file = system.path("mail/message");
    fs::write(&file, format!("From: curl@example.org\nSubject: curl\n\n{BODY}")).unwrap();
    let mut command = Command::new("curl");
    command.args(["-sS", "--crlf", "--url", &format!("smtp://{}/client.test", system.address())]);
    command.args(["--mail-from", "curl@example.org", "--mail-rcpt", "joe@example.test"]).arg("-T");
    run(command.arg(&file));
    fs::remove_file(file).unwrap();
}

fn s_nail(system: &System) {
    let file = system.path("mail/text");
    fs::write(&file, BODY).unwrap();
    let mta = format!("mta=smtp://{}", system.address());
    let mut command = Command::new("s-nail");
    command.env("LC_ALL", "C.UTF-8").env("HOME", system.path("mail"));
    command.args([
        "-:/",
        "-Sv15-compat",
        "-Ssmtp-auth=none",
        "-Ssendwait",
        "-Sfrom=nail@example.org",
        "-S",
        &mta,
    ]);
    command.args(["-s", "nail", "joe@example.test"]).stdin(fs::File::open(&file).unwrap());
    run(&mut command);
    fs::remove_file(file).unwrap();
}

fn clients_are_served(which: Which) {
    let system = System::start(which, SETTINGS);
    swaks(&system, &["--h-Subject", "swaks"]);
    swaks(&system, &["--h-Subject", "swaks", "--pipeline"]);
    curl(&system);
    s_nail(&system);
    let mails = inbox(&system, 6);
    for (subject, count) in [("swaks", 4), ("curl", 1), ("nail", 1)] {
        let header = format!("\nSubject: {subject}\n");
        let of_client: Vec<_> = mails.iter().filter(|mail| mail.contains(&header)).collect();
        assert_eq!(of_client.len(), count, "{which:?}, {subject}: {mails:#?}");
        for mail in of_client {
            // s-nail encodes what is not ASCII.
            let body = mail.split_once("\n\n").unwrap().1.replace("=C3=BC", "\u{fc}");
            let is_whole = ["The body.\n", "\n.one dot\n", "\n..two dots\n", "\n8\u{fc}bit\n"];
            assert!(is_whole.iter().all(|part| body.contains(part)), "{which:?}, {subject}: {mail}");
        }
    }
}

#[test]
fn swaks_curl_and_s_nail_send_mail_to_posthaste() {
    clients_are_served(Which::Posthaste);
}

#[test]
fn swaks_curl_and_s_nail_send_mail_to_postfix() {
    clients_are_served(Which::Postfix);
}

#[test]
fn many_sessions_at_once_lose_nothing() {
    let system = System::start(Which::Posthaste, SETTINGS);
    let server = format!("inet:{}", system.address());
    let mut command = Command::new("smtp-source");
    command.args(["-s", "50", "-m", "500", "-r", "2", "-l", "3000", "-N", "-f", "source@example.org"]);
    run(command.args(["-t", "joe@example.test", &server]));
    let mut one_each = Command::new("smtp-source");
    run(one_each.args(["-d", "-s", "20", "-m", "200", "-t", "jane@example.test", &server]));
    let mails = inbox(&system, 1200);
    assert_eq!(mails.len(), 1200);
    let log = system.log();
    let unwanted: Vec<_> =
        log.lines().filter(|line| line.contains("warning:") || line.contains("reject:")).collect();
    assert!(unwanted.is_empty(), "{unwanted:#?}");
}
