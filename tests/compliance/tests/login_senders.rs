//! local_login_sender_maps: who may submit mail under which sender address. The same submissions beside Debian's Postfix:
//! exit codes, what sendmail and `sendmail -bs` say, log lines, what is in maildrop.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    machine::{INTERNET_SITE, Machine},
    plain::difference,
    system::{Which, files},
};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

const USERS: [&str; 4] = ["alice", "bob", "root", "4000001"];

const SENDERS: [&str; 9] = [
    "alice@debian.test",
    "alice+list@debian.test",
    "ALICE@Debian.Test",
    "alice",
    "anybody@example.com",
    "anybody@sub.example.com",
    "",
    "two words@debian.test",
    "uid@debian.test",
];

/// A machine whose mail system has run once, so that its directories are there.
fn stopped(which: Which, settings: &str) -> Machine {
    let machine = Machine::new(which, &format!("{INTERNET_SITE}{settings}"));
    machine.command("postfix", &["start"]);
    machine.command("postfix", &["stop"]);
    machine
}

fn submissions(which: Which, settings: &str) -> Vec<String> {
    let machine = stopped(which, settings);
    let before = machine.events().len();
    fs::write(machine.path("etc/postfix/senders"), "bob bob@debian.test, <>\n").expect("space");
    fs::write(machine.path("etc/postfix/patterns"), "/^(.*)$/ $1 $1@debian.test\n").expect("space");
    let mut seen = Vec::new();
    for user in USERS {
        for sender in SENDERS {
            let mut command = machine.program_as(user, "sendmail");
            command.args(["-i", "-f", sender, "bob@debian.test"]);
            let output = machine.feed(command, "Subject: test\n\ntext\n");
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            seen.push(format!("{user} <{sender}>: {:?} {text}", output.status.code()));
        }
    }
    // Postfix 3.7 says what sendmail was not told, too, while it removes the file.
    let mut events = machine.events().split_off(before);
    events.retain(|line| !line.contains("close error") && !line.contains("unexpected EOF"));
    seen.extend(events);
    seen.push(format!("{} in maildrop", in_maildrop(&machine)));
    seen
}

/// Complete submissions; Postfix leaves the others there for a day, as files that pickup passes by.
fn in_maildrop(machine: &Machine) -> usize {
    let is_ready =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|facts| facts.permissions().mode() & 0o700 == 0o700);
    files(&machine.path("spool/maildrop")).iter().filter(|path| is_ready(path)).count()
}

fn check(settings: &str) {
    let (theirs, ours) = (submissions(Which::Postfix, settings), submissions(Which::Posthaste, settings));
    assert_eq!(difference(&ours.join("\n"), &theirs.join("\n")), None);
}

#[test]
fn by_default_everybody_may_use_every_sender() {
    check("local_login_sender_maps = static:*\n");
}

#[test]
fn patterns_of_addresses_domains_and_the_empty_address() {
    check(
        "recipient_delimiter = +\nlocal_login_sender_maps = inline:{ { alice = alice@debian.test @example.com } \
         { root = * } { uid:4000001 = uid@debian.test } }, texthash:/etc/postfix/senders\n",
    );
}

#[test]
fn another_word_for_the_empty_address_and_quoted_patterns() {
    check(
        "local_login_sender_maps = inline:{ { bob = null, \"two words\"@debian.test } { alice = <> } }\n\
         empty_address_local_login_sender_maps_lookup_key = null\n",
    );
}

#[test]
fn patterns_made_of_login_names() {
    check("local_login_sender_maps = regexp:/etc/postfix/patterns\n");
}

#[test]
fn nobody_may_when_no_table_knows_anybody() {
    check("local_login_sender_maps = inline:{ { nobody = * } }\n");
}

#[test]
fn a_session_hears_that_its_sender_is_not_allowed() {
    let of = |which| {
        let settings = "local_login_sender_maps = inline:{ { alice = alice@debian.test } }\n";
        let machine = stopped(which, settings);
        let dialogue = |sender: &str| {
            format!(
                "HELO x\nMAIL FROM:<{sender}>\nRCPT TO:<bob@debian.test>\nDATA\nSubject: test\n\ntext\n.\nQUIT\n"
            )
            .replace('\n', "\r\n")
        };
        let mut seen = Vec::new();
        for sender in ["alice@debian.test", "bob@debian.test"] {
            let mut command = machine.program_as("alice", "sendmail");
            command.arg("-bs");
            let output = machine.feed(command, &dialogue(sender));
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            // A name of the queue file.
            let text = text.lines().map(|line| line.split(" queued as ").next().unwrap_or_default());
            seen.push(format!("{:?} {}", output.status.code(), text.collect::<Vec<_>>().join("\n")));
        }
        seen.push(format!("{} in maildrop", in_maildrop(&machine)));
        seen
    };
    let (theirs, ours) = (of(Which::Postfix), of(Which::Posthaste));
    assert_eq!(ours, theirs);
}

#[test]
fn a_table_that_cannot_be_asked_puts_mail_off() {
    // The text of the log says more than Postfix's.
    let of = |which| {
        let settings = "local_login_sender_maps = fail:broken\n";
        let machine = stopped(which, settings);
        let mut command = machine.program_as("alice", "sendmail");
        command.args(["-f", "alice@debian.test", "bob@debian.test"]);
        let output = machine.feed(command, "Subject: test\n\ntext\n");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = text.lines().last().unwrap_or_default().to_owned();
        (output.status.code(), last, in_maildrop(&machine))
    };
    assert_eq!(of(Which::Posthaste), of(Which::Postfix));
}
