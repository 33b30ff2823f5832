//! Who may submit mail, see the queue and flush it: authorized_submit_users, authorized_mailq_users,
//! authorized_flush_users beside Debian's: exit codes, words, log.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    machine::{INTERNET_SITE, Machine},
    plain::told_alike,
    system::{Which, files},
};
use std::{
    fs,
    time::{Duration, SystemTime},
};

const PARAMETERS: [&str; 3] = ["authorized_submit_users", "authorized_mailq_users", "authorized_flush_users"];

/// Two with a mailbox, root, mail_owner, and a number without a name.
const USERS: [&str; 5] = ["alice", "bob", "root", "postfix", "61999"];

const COMMANDS: [&str; 5] =
    ["sendmail -i bob", "postqueue -p", "sendmail -q", "postqueue -i ABCDEF", "postqueue -s debian.test"];

/// What all three parameters say.
const RULES: &[&str] = &[
    "static:anyone",
    "",
    "alice",
    "ALICE",
    "!alice, static:anyone",
    "static:anyone, !alice",
    "!alice !root static:all",
    "unknown",
    "!unknown, static:anyone",
    "texthash:/etc/users",
    "!texthash:/etc/users, static:anyone",
    "/etc/names",
    "61001",
    BROKEN,
];

/// Nobody is let in by a table that cannot be opened; the words are each system's own.
const BROKEN: &str = "hash:/etc/nonexistent";

fn story(which: Which) -> Vec<String> {
    let machine = Machine::new(which, INTERNET_SITE);
    machine.command("postfix", &["start"]);
    machine.command("postfix", &["stop"]);
    fs::write(machine.path("etc/users"), "alice yes\n").expect("space");
    fs::write(machine.path("etc/names"), "# who may\n!alice\nbob root\nunknown\n").expect("space");
    let main_cf = machine.path("etc/postfix/main.cf");
    let before = fs::read_to_string(&main_cf).expect("our own file");
    let mut told = Vec::new();
    for rule in RULES {
        let settings: String = PARAMETERS.iter().map(|name| format!("{name} = {rule}\n")).collect();
        fs::write(&main_cf, format!("{before}{settings}")).expect("space");
        // Postfix waits until a file that is being edited is some seconds old.
        let file = fs::File::options().write(true).open(&main_cf).expect("our own file");
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).expect("our own file");
        for user in USERS {
            for command in COMMANDS {
                let mut what = run(&machine, user, command);
                if *rule == BROKEN {
                    what = what.lines().filter(|line| !line.contains(": ")).collect();
                }
                told.push(format!("--- {user} {command} ({rule})\n{what}"));
            }
        }
    }
    told
}

fn run(machine: &Machine, user: &str, words: &str) -> String {
    let before = machine.events().len();
    let (program, arguments) = words.split_once(' ').expect("a command and its options");
    let mut command = machine.program_as(user, program);
    command.args(arguments.split(' '));
    let output = machine.feed(command, "Subject: x\n\nx\n");
    let mut told = format!("{:?}\n{}", output.status.code(), String::from_utf8_lossy(&output.stderr));
    for line in machine.events().split_off(before) {
        told += &format!("log: {line}\n");
    }
    for path in files(&machine.path("spool/maildrop")) {
        told += "one message\n";
        fs::remove_file(path).expect("a file");
    }
    told
}

#[test]
fn those_who_are_listed_may_and_others_are_told_as_by_debian() {
    let theirs = told_alike(story);
    for text in ["one message", "not allowed to submit", "not allowed to view", "not allowed to flush"] {
        assert!(theirs.iter().any(|told| told.contains(text)), "{text}");
    }
}
