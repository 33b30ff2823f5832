//! Other ways into mailboxes: transports and commands in their place, mail for users that nobody knows, forward files
//! of all kinds.

use crate::story::{
    add_users, both_prepared, deliver_all, each_setting, essence, open_place, write, write_for,
};
use compliance::{machine::Machine, system::files};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
};

/// Who has how many messages, and what they say of themselves.
fn boxes(machine: &Machine, below: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for path in files(&machine.path(below)) {
        let shown = path.strip_prefix(machine.path("")).expect("below").display().to_string();
        let shown = shown.split("/new/").next().unwrap_or_default().to_owned();
        seen.push(format!("{shown}: {}", essence(&fs::read_to_string(&path).expect("text"), machine)));
    }
    seen.sort();
    seen
}

const TO: [&str; 4] =
    ["alice+x@debian.test", "bob@debian.test", "nobody-there@debian.test", "info@debian.test"];

fn prepare(machine: &Machine) {
    write(machine, "etc/aliases", "info: alice, away@far.test\npostmaster: root\n");
    write(machine, "etc/postfix/users", "alice discard:told\nbob local\n");
    write(machine, "etc/postfix/unknown", "nobody-there discard:unknown\n");
    write(machine, "etc/postfix/commands", "alice cat > $M/home/alice/got\n");
    write(machine, "etc/postfix/cycle.cf", "");
    write_for(machine, 61_002, "home/bob/.forward", "alice, \\bob\n");
}

fn a_transport_in_place_of_mailboxes(settings: &str) {
    let settings =
        format!("recipient_delimiter = +\nlocal_recipient_maps =\nrelayhost = [127.0.0.9]\n{settings}");
    // A transport that leads back to local(8) would go on for ever in Postfix.
    let to: &[&str] =
        if settings.contains("users") { &["alice@debian.test", "info@debian.test"] } else { &TO };
    both_prepared(&settings, prepare, |machine| {
        let mut seen = deliver_all(machine, to);
        // Why a table gives no answer is not in Postfix's text.
        seen.iter_mut().for_each(|line| *line = line.replace(": fail:broken always fails", ""));
        seen.extend(boxes(machine, "mail"));
        seen
    });
}

each_setting! {
    a_transport_in_place_of_mailboxes:
    mailbox_transport_with_a_next_hop = "mailbox_transport = discard:silently\n",
    mailbox_transport_without_a_next_hop = "mailbox_transport = discard\n",
    mailbox_transport_maps = "mailbox_transport_maps = texthash:/etc/postfix/users\nmailbox_transport =\n",
    mailbox_transport_that_returns = "mailbox_transport = error:5.7.1 no mailboxes here\n",
    mailbox_transport_maps_that_fail = "mailbox_transport_maps = fail:broken\n",
}

fn a_way_for_users_that_nobody_knows(settings: &str) {
    let settings =
        format!("recipient_delimiter = +\nlocal_recipient_maps =\nrelayhost = [127.0.0.9]\n{settings}");
    both_prepared(&settings, prepare, |machine| {
        let to =
            ["alice@debian.test", "nobody-there@debian.test", "who+knows@debian.test", "mailer-daemon@mx"];
        let mut seen = deliver_all(machine, &to);
        seen.extend(boxes(machine, "mail"));
        seen
    });
}

each_setting! {
    a_way_for_users_that_nobody_knows:
    fallback_transport = "fallback_transport = discard:unknown\n",
    fallback_transport_maps = "fallback_transport_maps = texthash:/etc/postfix/unknown\n",
    fallback_transport_that_returns = "fallback_transport = error:5.1.1 who is that\n",
    luser_relay_to_a_user = "luser_relay = bob\n",
    luser_relay_with_an_extension = "luser_relay = alice+$local\n",
    luser_relay_to_itself = "luser_relay = $user@debian.test\n",
    luser_relay_elsewhere = "luser_relay = $local@far.test\n",
    luser_relay_by_extension = "luser_relay = ${extension?alice}${extension:bob}\n",
    luser_relay_to_a_command = "luser_relay = |cat\n",
    luser_relay_to_nobody = "luser_relay = nobody-else\n",
}

fn a_command_in_place_of_mailboxes(settings: &str) {
    let prepare = |machine: &Machine| {
        prepare(machine);
        write(machine, "etc/postfix/patterns", "/^(al)ice$/ cat > $HOME/$1\n/^bob$/ exit 67\n");
    };
    let settings = format!("recipient_delimiter = +\nlocal_recipient_maps =\n{settings}");
    both_prepared(&settings, prepare, |machine| {
        let mut seen = deliver_all(machine, &["alice+x@debian.test", "bob@debian.test", "none@debian.test"]);
        // Each process that opens the table complains of its first line.
        seen.dedup_by(|line, other| line == other && line.contains("patterns, line 1: "));
        seen.extend(boxes(machine, "home"));
        seen.extend(boxes(machine, "mail"));
        seen
    });
}

each_setting! {
    a_command_in_place_of_mailboxes:
    mailbox_command = "mailbox_command = cat > $HOME/got; exit 0\n",
    mailbox_command_maps = "mailbox_command_maps = texthash:/etc/postfix/commands\nhome_mailbox = Maildir/\n",
    mailbox_command_maps_of_patterns = "mailbox_command_maps = regexp:/etc/postfix/patterns\n",
    mailbox_command_after_a_transport = "mailbox_command = exit 75\nmailbox_transport = discard:first\n",
}

fn a_home_that_is_not_there(settings: &str) {
    let prepare = |machine: &Machine| {
        add_users(machine, 61_300, &["homeless", "closed"]);
        fs::remove_dir(machine.path("home/homeless")).expect("an empty directory");
        fs::set_permissions(machine.path("home/closed"), fs::Permissions::from_mode(0o000)).expect("ours");
        chown(machine.path("home/closed"), Some(0), Some(0)).expect("root may give");
    };
    both_prepared(settings, prepare, |machine| {
        deliver_all(machine, &["homeless@debian.test", "closed@debian.test", "alice@debian.test"])
    });
}

each_setting! {
    a_home_that_is_not_there:
    homes_are_required = "require_home_directory = yes\n",
    homes_are_not_required = "require_home_directory = no\nhome_mailbox = Maildir/\n",
}

/// Users with a forward file each; the name says what is special.
fn forwards(machine: &Machine) {
    let names = [
        "plain", "empty", "link", "open", "others", "unread", "folder", "away", "missing", "file", "command",
        "include", "selfish", "ring1", "ring2", "quoted", "bad", "comma",
    ];
    add_users(machine, 61_400, &names);
    let texts = [
        ("plain", "bob\n"),
        ("empty", "# nothing\n\n"),
        ("open", "bob\n"),
        ("others", "bob\n"),
        ("unread", "bob\n"),
        ("away", "someone@far.test, \\away\n"),
        ("missing", "nobody-there, bob\n"),
        ("file", "~/copy, $M/home/file/other\n"),
        ("command", "\"|cat > $HOME/got\"\n|\"exit 0\"\n|exit 1\n"),
        ("include", ":include:$M/home/include/list\n"),
        ("selfish", "selfish, selfish@debian.test, \\selfish\n"),
        ("ring1", "ring2\n"),
        ("ring2", "ring1\n"),
        ("quoted", "\"bob\", Bob <bob@debian.test> (the other), <alice>\n"),
        ("bad", "@, bob@, <>, a b c, bob\n"),
        ("comma", ",,bob,,\n,alice\n"),
    ];
    for (name, text) in texts {
        let uid = names.iter().zip(61_400..).find(|(known, _)| *known == &name).map_or(0, |(_, uid)| uid);
        write_for(machine, uid, &format!("home/{name}/.forward"), text);
    }
    write_for(machine, 61_411, "home/include/list", "alice, bob\n");
    let mode = |name: &str, mode| {
        let path = machine.path("home").join(name).join(".forward");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
    };
    mode("open", 0o646);
    mode("unread", 0o200);
    chown(machine.path("home/others/.forward"), Some(61_002), None).expect("root may give");
    symlink(machine.path("home/plain/.forward"), machine.path("home/link/.forward")).expect("a free name");
    fs::create_dir(machine.path("home/folder/.forward")).expect("a free name");
}

#[test]
fn forward_files_of_all_kinds() {
    let settings =
        "local_destination_concurrency_limit = 20\nlocal_recipient_maps =\nrelayhost = [127.0.0.9]\n";
    both_prepared(settings, forwards, |machine| {
        let names = [
            "plain", "empty", "link", "open", "others", "unread", "folder", "away", "missing", "file",
            "command", "include", "selfish", "ring1", "quoted", "bad", "comma",
        ];
        let names = names.map(|name| format!("{name}@debian.test"));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut seen = deliver_all(machine, &names);
        for below in ["home/file/copy", "home/file/other", "home/command/got"] {
            seen.push(essence(&fs::read_to_string(machine.path(below)).expect("text"), machine));
        }
        seen
    });
}

#[test]
fn forward_files_by_extension_and_place() {
    let settings = "recipient_delimiter = +-\n\
        forward_path = $home/.forward${recipient_delimiter}${extension}, $home/.forward, /etc/forward/$user\n\
        propagate_unmatched_extensions = canonical, virtual, alias, forward, include\n";
    let prepare = |machine: &Machine| {
        write(machine, "etc/aliases", "team: alice, bob\nteam+x: alice\nlist: :include:/etc/list\n");
        write(machine, "etc/list", "alice, bob\n");
        write_for(machine, 61_001, "home/alice/.forward", "alice, bob\n");
        write_for(machine, 61_001, "home/alice/.forward+x", "alice\n");
        write_for(machine, 61_001, "home/alice/.forward-y_z", "bob\n");
        fs::create_dir(machine.path("etc/forward")).expect("a fresh directory");
        write_for(machine, 61_002, "etc/forward/bob", "\\bob, alice\n");
    };
    both_prepared(settings, prepare, |machine| {
        let to = [
            "alice",
            "alice+x",
            "\"alice-y;z\"",
            "alice+other",
            "bob+b",
            "team+x",
            "team+y",
            "team",
            "list+l",
            "alice+../x",
        ];
        let to: Vec<String> = to.iter().map(|name| format!("{name}@debian.test")).collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        let mut seen = deliver_all(machine, &to);
        for name in ["alice", "bob"] {
            let text = fs::read_to_string(machine.path("mail").join(name)).expect("a mailbox");
            let mut marks: Vec<&str> = text
                .lines()
                .filter(|line| line.starts_with("X-Original-To") || line.starts_with("Delivered-To"))
                .collect();
            marks.sort_unstable();
            seen.push(format!("{name}: {marks:?}"));
        }
        seen
    });
}

fn headers_and_owners_as_they_are_configured(settings: &str) {
    let prepare = |machine: &Machine| {
        let aliases =
            "team: alice, bob, \"|cat > $M/home/open/got\"\nowner-team: bob\nall: alice, alice, bob, alice\n";
        write(machine, "etc/aliases", aliases);
        open_place(machine);
        write_for(machine, 61_001, "home/alice/.forward", "\\alice, bob\n");
    };
    both_prepared(settings, prepare, |machine| {
        let mut seen = deliver_all(machine, &["team@debian.test", "all@debian.test", "alice@debian.test"]);
        seen.push(essence(&fs::read_to_string(machine.path("home/open/got")).expect("text"), machine));
        for name in ["alice", "bob"] {
            let text = fs::read_to_string(machine.path("mail").join(name)).unwrap_or_default();
            let heads = ["X-Original-To", "Delivered-To", "Return-Path"];
            let mut marks: Vec<&str> =
                text.lines().filter(|line| heads.iter().any(|head| line.starts_with(head))).collect();
            marks.sort_unstable();
            seen.push(format!("{name}: {marks:?}"));
        }
        seen
    });
}

each_setting! {
    headers_and_owners_as_they_are_configured:
    delivered_to_in_forwarded_mail_only = "prepend_delivered_header = forward\n",
    delivered_to_nowhere = "prepend_delivered_header =\nfrozen_delivered_to = no\n",
    owners_that_are_expanded = "expand_owner_alias = yes\nreset_owner_alias = yes\n",
    owners_that_are_nothing_special = "owner_request_special = no\nfrozen_delivered_to = no\n",
    no_forward_path = "forward_path =\n",
}

/// Without a forward file: Postfix forgets that it has followed one, too, and crashes.
#[test]
fn duplicates_beyond_the_limit() {
    let prepare = |machine: &Machine| {
        write(
            machine,
            "etc/aliases",
            "all: alice, bob, alice, bob, /dev/null, /dev/null\ntwice: alice, alice\n",
        );
    };
    both_prepared("duplicate_filter_limit = 1\n", prepare, |machine| {
        deliver_all(machine, &["all@debian.test", "twice@debian.test"])
    });
}
