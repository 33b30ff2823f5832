//! Mail for root itself, and for other users with number 0: whose the mailbox is, and what is not done with root's
//! rights.

use crate::story::{both_prepared, deliver_all, essence, fact, write, write_for};
use compliance::{machine::Machine, system::files};
use std::{fs, os::unix::fs::MetadataExt};

/// root lives in the machine, and `toor` is root, too. No alias takes root's mail away.
fn prepare(machine: &Machine) {
    let home = machine.path("home/root");
    fs::create_dir(&home).expect("a fresh directory");
    let passwd = fs::read_to_string(machine.path("etc/passwd")).expect("a text file");
    let home = home.display().to_string();
    let changed =
        passwd.replace(":/root:", &format!(":{home}:")) + &format!("toor:x:0:0:Toor:{home}:/bin/sh\n");
    fs::write(machine.path("etc/passwd"), changed).expect("space");
    write(machine, "etc/aliases", "postmaster: root\n");
}

/// What is in a mailbox or maildir, and whose it is.
fn left(machine: &Machine, below: &str) -> Vec<String> {
    let path = machine.path(below);
    let mut seen = Vec::new();
    if path.is_dir() {
        for file in files(&path) {
            let facts = fs::metadata(&file).expect("a file");
            let folder = file
                .parent()
                .and_then(|folder| folder.strip_prefix(&path).ok().map(|f| f.display().to_string()));
            let text = fs::read_to_string(&file).expect("text");
            seen.push(format!(
                "{folder:?} {:o} {}:{} {}",
                facts.mode(),
                facts.uid(),
                facts.gid(),
                essence(&text, machine)
            ));
        }
    } else if path.exists() {
        seen.push(fact(&path));
        seen.push(essence(&fs::read_to_string(&path).expect("text"), machine));
    }
    seen
}

#[test]
fn root_has_a_mailbox_in_the_spool() {
    both_prepared("biff = no\n", prepare, |machine| {
        let mut seen =
            deliver_all(machine, &["root@debian.test", "toor@debian.test", "postmaster@debian.test"]);
        seen.extend(left(machine, "mail/root"));
        seen.extend(left(machine, "mail/toor"));
        seen
    });
}

#[test]
fn root_has_a_mailbox_at_home() {
    both_prepared("home_mailbox = mbox\n", prepare, |machine| {
        let mut seen = deliver_all(machine, &["root@debian.test"]);
        seen.extend(left(machine, "home/root/mbox"));
        seen
    });
}

#[test]
fn root_has_a_maildir_at_home() {
    both_prepared("home_mailbox = Maildir/\n", prepare, |machine| {
        let mut seen = deliver_all(machine, &["root@debian.test"]);
        seen.extend(left(machine, "home/root/Maildir"));
        seen.push(fact(&machine.path("home/root/Maildir/cur")));
        seen
    });
}

#[test]
fn root_has_a_maildir_in_the_spool() {
    both_prepared("mail_spool_directory = /var/mail/\n", prepare, |machine| {
        let mut seen = deliver_all(machine, &["root@debian.test", "alice@debian.test"]);
        seen.extend(left(machine, "mail/root"));
        seen
    });
}

#[test]
fn what_roots_forward_file_names_is_not_done_as_root() {
    let settings = "allow_mail_to_commands = alias, forward\nrecipient_delimiter = +\n";
    both_prepared(
        settings,
        |machine| {
            prepare(machine);
            fs::create_dir(machine.path("home/open")).expect("a fresh directory");
            fs::set_permissions(
                machine.path("home/open"),
                std::os::unix::fs::PermissionsExt::from_mode(0o777),
            )
            .expect("ours");
            let text = "\\root, alice\n\"|id -un > $M/home/open/who; echo $HOME $LOGNAME $SHELL > $M/home/open/env\"\n\
                $M/home/open/file, ~/tilde\n";
            write_for(machine, 0, "home/root/.forward", text);
            write_for(machine, 0, "home/root/.forward+list", "\"|id -un > $M/home/open/list\"\n");
            // toor is the same user, with a home of its own name only.
            fs::set_permissions(
                machine.path("home/root/.forward"),
                std::os::unix::fs::PermissionsExt::from_mode(0o600),
            )
            .expect("ours");
        },
        |machine| {
            let mut seen =
                deliver_all(machine, &["root@debian.test", "root+list@debian.test", "root+x/y@debian.test"]);
            for below in [
                "mail/root",
                "home/open/who",
                "home/open/env",
                "home/open/file",
                "home/open/list",
                "home/root/tilde",
            ] {
                seen.push(below.to_owned());
                seen.extend(left(machine, below));
            }
            seen
        },
    );
}

#[test]
fn a_command_for_root_is_run_by_somebody_else() {
    let settings = "mailbox_command = id -un > $M/home/open/$LOGNAME; echo $HOME $USER >> $M/home/open/$LOGNAME\n\
        default_privs = games\n";
    both_prepared(
        settings,
        |machine| {
            prepare(machine);
            fs::create_dir(machine.path("home/open")).expect("a fresh directory");
            fs::set_permissions(
                machine.path("home/open"),
                std::os::unix::fs::PermissionsExt::from_mode(0o777),
            )
            .expect("ours");
        },
        |machine| {
            let mut seen = deliver_all(machine, &["root@debian.test", "alice@debian.test"]);
            seen.extend(left(machine, "home/open/root"));
            seen.extend(left(machine, "home/open/alice"));
            seen
        },
    );
}
