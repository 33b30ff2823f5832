//! Aliases that are more than a name: lists in files, files that take mail, owners, who may do what, loops.

use crate::story::{both_prepared, deliver_all, essence, fact, open_place, write, write_for};
use compliance::{
    machine::Machine,
    system::{Which, files},
};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
};

fn set_mode(machine: &Machine, below: &str, mode: u32) {
    fs::set_permissions(machine.path(below), fs::Permissions::from_mode(mode)).expect("our own file");
}

fn mailboxes(machine: &Machine) -> Vec<String> {
    let mut seen = Vec::new();
    for path in files(&machine.path("mail")) {
        let text = fs::read_to_string(&path).expect("text");
        // Mail from one sender comes in any order.
        let text = essence(&text, machine);
        let mut messages: Vec<String> = text
            .split("From sender@example.org TIME")
            .flat_map(|text| text.split("From MAILER-DAEMON TIME"))
            .map(without_prose)
            .collect();
        messages.sort();
        seen.push(format!(
            "{}: {messages:?}",
            path.display().to_string().rsplit('/').next().unwrap_or_default()
        ));
    }
    seen.sort();
    seen
}

/// Of a notification, who is told what of whom; any other message as it is.
fn without_prose(message: &str) -> String {
    let is_notification = message.contains("\nFrom: Mail Delivery System");
    let names = ["X-Original-To: ", "To: ", "X-Postfix-Sender: ", "Final-Recipient: ", "Return-Path: "];
    let names = names.into_iter().chain(["Action: ", "Status: ", "Diagnostic-Code: "]);
    let is_told = |line: &&str| !is_notification || names.clone().any(|name| line.starts_with(name));
    message.lines().filter(is_told).collect::<Vec<_>>().join("\n")
}

const LISTS: &str = "\
friends: :include:/etc/lists/friends
users: :include:/etc/lists/alices
link: :include:/etc/lists/link
nested: :include:/etc/lists/nested
circle: :include:/etc/lists/circle
relative: :include:etc/lists/friends
missing: :include:/etc/lists/missing
directory: :include:/etc/lists
open: :include:/etc/lists/open
nobodys: :include:/etc/lists/nobodys
commands: :include:/etc/lists/commands
file: :include:/etc/lists/file
empty: :include:/etc/lists/empty
upper: \":INCLUDE:/etc/lists/friends\"
quoted: \":include:/etc/lists/a list\"
owned: :include:/etc/lists/friends, bob
owner-owned: bob
team: alice, nobody-there, \"|exit 67\", \"|exit 75\"
owner-team: bob
owner-team+x: alice
both: friends, alice, bob
";

fn lists(machine: &Machine) {
    write(machine, "etc/aliases", LISTS);
    fs::create_dir(machine.path("etc/lists")).expect("a fresh directory");
    let root = |name: &str, text: &str| write(machine, &format!("etc/lists/{name}"), text);
    root("friends", "# comment\nalice, bob\n\nAlice Again <alice@debian.test>\n");
    root("nested", ":include:/etc/lists/friends\n:include:/etc/lists/alices, bob\n");
    root("circle", "alice\n:include:/etc/lists/circle\n");
    root("open", "alice\n");
    root("commands", "alice\n\"|exit 0\"\nbob\n");
    root("file", "/etc/lists/box\nbob\n");
    root("empty", "# nobody\n");
    root("a list", "bob");
    for name in ["friends", "nested", "circle", "commands", "file", "empty", "a list"] {
        set_mode(machine, &format!("etc/lists/{name}"), 0o644);
    }
    set_mode(machine, "etc/lists/open", 0o666);
    write_for(machine, 61_001, "etc/lists/alices", "alice, bob\n");
    set_mode(machine, "etc/lists/alices", 0o600);
    write_for(machine, 4_000_000, "etc/lists/nobodys", "alice\n");
    symlink("friends", machine.path("etc/lists/link")).expect("a free name");
}

#[test]
fn lists_in_files() {
    let names = LISTS.lines().filter_map(|line| line.split_once(':').map(|(name, _)| name));
    let names: Vec<String> = names.map(|name| format!("{name}@debian.test")).collect();
    both_prepared("local_destination_concurrency_limit = 20\n", lists, |machine| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut seen = deliver_all(machine, &names);
        seen.extend(mailboxes(machine));
        seen
    });
}

#[test]
fn commands_and_files_in_lists_where_they_are_allowed() {
    let settings = "allow_mail_to_commands = include\nallow_mail_to_files = include\n";
    let prepare = |machine: &Machine| {
        lists(machine);
        let more = "pipe: \"|exit 0\"\nsink: /dev/null\ntheirs: :include:/etc/lists/theirs\n";
        write(machine, "etc/aliases", &format!("{LISTS}{more}"));
        open_place(machine);
        write_for(
            machine,
            61_001,
            "etc/lists/theirs",
            "\"|id -un > $M/home/open/who\"\n$M/home/open/box\n~/box\n",
        );
        write_for(
            machine,
            61_001,
            "home/alice/.forward",
            "/dev/null, \"|exit 0\", :include:/etc/lists/theirs\n",
        );
    };
    both_prepared(settings, prepare, |machine| {
        let to = ["commands", "file", "pipe", "sink", "theirs", "alice"];
        let to: Vec<String> = to.iter().map(|name| format!("{name}@debian.test")).collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        let mut seen = deliver_all(machine, &to);
        for below in ["home/open/who", "home/open/box", "home/alice/box"] {
            seen.push(fact(&machine.path(below)));
            seen.push(essence(&fs::read_to_string(machine.path(below)).expect("text"), machine));
        }
        seen
    });
}

#[test]
fn files_that_take_mail() {
    let aliases = "\
box: $M/home/open/box
maildir: $M/home/open/maildir/
program: $M/home/open/program
null: /dev/null
full: /dev/full
fifo: $M/home/open/fifo
link: $M/home/open/link
twin: $M/home/open/twin
directory: $M/home/open/directory
closed: $M/home/alice/private/box
readonly: $M/home/readonly/box
theirs: $M/home/open/theirs
tilde: ~/box
user: ~alice/box
locked: $M/home/open/locked
twice: $M/home/open/twice, $M/home/open/twice
";
    let prepare = |machine: &Machine| {
        write(machine, "etc/aliases", aliases);
        open_place(machine);
        for below in ["home/readonly", "home/open/directory", "home/alice/private"] {
            fs::create_dir(machine.path(below)).expect("a fresh directory");
        }
        set_mode(machine, "home/open", 0o777);
        set_mode(machine, "home/alice/private", 0o700);
        write(machine, "home/open/program", "#!/bin/sh\n");
        set_mode(machine, "home/open/program", 0o777);
        write_for(machine, 61_001, "home/open/theirs", "old\n");
        write(machine, "home/open/target", "old\n");
        write(machine, "home/open/twin", "old\n");
        for name in ["target", "twin"] {
            set_mode(machine, &format!("home/open/{name}"), 0o666);
        }
        symlink(machine.path("home/open/target"), machine.path("home/open/link")).expect("a free name");
        fs::hard_link(machine.path("home/open/twin"), machine.path("home/open/twin2")).expect("a free name");
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, machine.path("home/open/fifo"), fifo, mode, 0).expect("free");
        write(machine, "home/readonly/box", "");
        set_mode(machine, "home/readonly/box", 0o666);
        write(machine, "home/open/locked.lock", "");
    };
    let settings = "deliver_lock_attempts = 1\nlocal_destination_concurrency_limit = 20\n";
    both_prepared(settings, prepare, |machine| {
        let names = aliases.lines().filter_map(|line| line.split_once(':').map(|(name, _)| name));
        let names: Vec<String> = names.map(|name| format!("{name}@debian.test")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut seen = deliver_all(machine, &names);
        for name in ["box", "twice", "theirs", "target", "twin"] {
            let path = machine.path("home/open").join(name);
            seen.push(fact(&path));
            seen.push(essence(&fs::read_to_string(&path).expect("text"), machine));
        }
        seen.push(fact(&machine.path("home/readonly/box")));
        seen.push(format!("{}", files(&machine.path("home/open/maildir")).len()));
        seen
    });
}

#[test]
fn an_alias_file_of_an_ordinary_user_has_that_users_rights() {
    let aliases =
        "cmd: \"|id -un > $M/home/open/cmd\"\nbox: ~/box\nlist: :include:$M/home/open/list\nplain: bob\n";
    let prepare = |machine: &Machine| {
        open_place(machine);
        write(machine, "home/open/list", "bob\n");
        set_mode(machine, "home/open/list", 0o600);
        chown(machine.path("home/open/list"), Some(61_001), None).expect("root may give");
        write(machine, "etc/alices", aliases);
        machine.command("postalias", &["hash:/etc/alices"]);
        chown(machine.path("etc/alices.db"), Some(61_001), Some(61_001)).expect("root may give");
        write(machine, "etc/strange", "stranger: bob\n");
        machine.command("postalias", &["hash:/etc/strange"]);
        chown(machine.path("etc/strange.db"), Some(4_000_000), None).expect("root may give");
    };
    let settings = "alias_maps = hash:/etc/aliases, hash:/etc/alices, hash:/etc/strange\n";
    both_prepared(settings, prepare, |machine| {
        let names = ["cmd", "box", "list", "plain", "stranger"].map(|name| format!("{name}@debian.test"));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut seen = deliver_all(machine, &names);
        // Behind the table's name Postfix writes what it knows of the table, and this server why there is no owner.
        for line in &mut seen {
            if let Some((start, _)) = line.split_once("hash:/etc/strange") {
                *line = format!("{start}hash:/etc/strange");
            }
        }
        seen.extend(["home/open/cmd", "home/alice/box"].map(|below| {
            let path = machine.path(below);
            format!("{} {}", fact(&path), essence(&fs::read_to_string(&path).expect("text"), machine))
        }));
        seen
    });
}

#[test]
fn loops_and_twins() {
    let aliases = "\
loop1: loop2
loop2: loop3, alice
loop3: loop1
self: self, alice
alice: alice
twins: alice, alice, Alice, alice@debian.test, alice@mx
nested: twins, bob, twins
";
    let prepare = |machine: &Machine| {
        write(machine, "etc/aliases", aliases);
        write_for(machine, 61_002, "home/bob/.forward", "bob, alice, nested\n");
    };
    both_prepared("", prepare, |machine| {
        let names =
            ["loop1", "self", "alice", "twins", "nested", "bob"].map(|name| format!("{name}@debian.test"));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut seen = deliver_all(machine, &names);
        if machine.which == Which::Postfix {
            // 3.12 stops at the recipient, one step before the alias, and says so.
            for line in &mut seen {
                let newer =
                    line.replace("(alias database loop for loop2)", "(recipient nesting limit exceeded)");
                let warning = "recipient nesting limit exceeded for loop2@debian.test";
                *line = newer.replace("alias database loop for loop2", warning);
            }
        }
        seen.extend(mailboxes(machine));
        seen
    });
}
