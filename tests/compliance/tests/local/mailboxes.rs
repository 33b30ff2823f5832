//! mbox and maildir, forward files and aliases of ordinary users.

use crate::story::{BODY, both, essence, result, sent, write_as};
use compliance::system::files;
use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
};

#[test]
fn an_mbox_grows_by_the_same_bytes_with_the_same_owner_and_mode() {
    both("", |machine| {
        sent(machine, "alice+tag@debian.test");
        let mut seen = vec![result(machine, "alice+tag@debian.test")];
        machine.wait_for_line("removed");
        sent(machine, "alice");
        seen.push(result(machine, "alice@debian.test"));
        let mailbox = machine.path("mail/alice");
        let facts = fs::metadata(&mailbox).expect("a mailbox");
        seen.push(format!("{} {} {:o}", facts.uid(), facts.gid(), facts.mode()));
        machine.wait_until("both are there", || {
            fs::read_to_string(&mailbox).is_ok_and(|text| text.matches("\nend\n").count() == 2)
        });
        seen.push(essence(&fs::read_to_string(&mailbox).expect("a mailbox"), machine));
        seen.push(format!("{:?}", files(&machine.path("mail")).len()));
        seen
    });
}

#[test]
fn a_mailbox_that_another_program_has_locked_is_left_alone_until_it_is_free() {
    both("deliver_lock_attempts = 2\ndeliver_lock_delay = 1s\nminimal_backoff_time = 1s", |machine| {
        let mailbox = machine.path("mail/bob");
        write_as(61002, &mailbox, "");
        let file = File::options().write(true).open(&mailbox).expect("a mailbox");
        rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::LockExclusive).expect("a lock");
        sent(machine, "bob@debian.test");
        let first = result(machine, "bob@debian.test");
        let length_while_locked = fs::metadata(&mailbox).expect("a mailbox").len();
        drop(file);
        fs::write(machine.path("mail/bob.lock"), "").expect("a lock file");
        machine.command("postqueue", &["-f"]);
        machine.wait_until("the lock file is in the way", || {
            machine.events().iter().filter(|line| line.contains("status=deferred")).count() >= 2
        });
        let second = machine.events().into_iter().rfind(|line| line.contains("status=deferred"));
        let second = second.expect("it was seen").rsplit_once('(').map(|(_, why)| why.to_owned());
        fs::remove_file(machine.path("mail/bob.lock")).expect("our own file");
        machine.command("postqueue", &["-f"]);
        machine.wait_for_line("status=sent");
        vec![first, length_while_locked.to_string(), second.expect("a reason")]
    });
}

#[test]
fn forward_files_aliases_owners_and_unknown_users() {
    both("home_mailbox = Maildir/", |machine| {
        let aliases =
            "postmaster: root\nroot: alice\nlist: alice, bob\nowner-list: bob\nboth: alice,\n nobody-here\n";
        fs::write(machine.path("etc/aliases"), aliases).expect("space");
        machine.command("newaliases", &[]);
        write_as(61002, &machine.path("home/bob/.forward"), "# all to\n\\bob, alice\n");
        let mut seen = Vec::new();
        for to in ["alice", "bob", "list", "nobody-here", "postmaster"] {
            let said = machine.send("sender@example.org", &format!("{to}@debian.test"), BODY);
            seen.push(format!("{to}: {}", said.get(..9).unwrap_or_default()));
        }
        // alice: own, by bob's forward file, by the list and its bob, by postmaster.
        let inboxes = |user: &str| files(&machine.path(&format!("home/{user}/Maildir/new")));
        machine.wait_until("all have come", || inboxes("alice").len() >= 5 && inboxes("bob").len() >= 2);
        for user in ["alice", "bob"] {
            let read = |path: &std::path::PathBuf| {
                let text = fs::read_to_string(path).expect("a message");
                let facts = fs::metadata(path).expect("a message");
                format!("{} {:o} {}", facts.uid(), facts.mode(), essence(&text, machine))
            };
            let mut texts: Vec<String> = inboxes(user).iter().map(read).collect();
            texts.sort();
            seen.extend(texts);
        }
        seen
    });
}

#[test]
fn a_full_mailbox_bounces_with_the_same_words() {
    both("mailbox_size_limit = 2000\nmessage_size_limit = 2000", |machine| {
        write_as(61001, &machine.path("mail/alice"), &"x".repeat(1990));
        sent(machine, "alice@debian.test");
        let length = || fs::metadata(machine.path("mail/alice")).expect("a mailbox").len();
        let seen = result(machine, "alice@debian.test");
        vec![seen, length().to_string()]
    });
}
