//! Mail for root itself, and for other users with number 0: whose the mailbox is, and what is not done with root's
//! rights.

use crate::story::{both_prepared, deliver_all, essence, fact, open_place, write, write_for};
use compliance::{machine::Machine, system::files};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

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
        seen.push(fact(&path));
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

/// Who gets mail, and what there is of it afterwards, in places.
fn mail_is_delivered(settings: &str, to: &[&str], places: &[&str]) {
    both_prepared(settings, prepare, |machine| {
        let mut seen = deliver_all(machine, to);
        seen.extend(places.iter().flat_map(|below| left(machine, below)));
        seen
    });
}

#[test]
fn root_has_a_mailbox_in_the_spool() {
    let to = ["root@debian.test", "toor@debian.test", "postmaster@debian.test"];
    mail_is_delivered("biff = no\n", &to, &["mail/root", "mail/toor"]);
}

#[test]
fn root_has_a_mailbox_at_home() {
    mail_is_delivered("home_mailbox = mbox\n", &["root@debian.test"], &["home/root/mbox"]);
}

#[test]
fn root_has_a_maildir_at_home() {
    mail_is_delivered(
        "home_mailbox = Maildir/\n",
        &["root@debian.test"],
        &["home/root/Maildir", "home/root/Maildir/cur"],
    );
}

#[test]
fn root_has_a_maildir_in_the_spool() {
    let to = ["root@debian.test", "alice@debian.test"];
    mail_is_delivered("mail_spool_directory = /var/mail/\n", &to, &["mail/root"]);
}

#[test]
fn what_roots_forward_file_names_is_not_done_as_root() {
    let settings = "allow_mail_to_commands = alias, forward\nrecipient_delimiter = +\n";
    both_prepared(
        settings,
        |machine| {
            prepare(machine);
            open_place(machine);
            let text = "\\root, alice\n\"|id -un > $M/home/open/who; echo $HOME $LOGNAME $SHELL > $M/home/open/env\"\n\
                $M/home/open/file, ~/tilde\n";
            write_for(machine, 0, "home/root/.forward", text);
            write_for(machine, 0, "home/root/.forward+list", "\"|id -un > $M/home/open/list\"\n");
            // toor is the same user, with a home of its own name only.
            let path = machine.path("home/root/.forward");
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours");
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
            open_place(machine);
        },
        |machine| {
            let mut seen = deliver_all(machine, &["root@debian.test", "alice@debian.test"]);
            seen.extend(left(machine, "home/open/root"));
            seen.extend(left(machine, "home/open/alice"));
            seen
        },
    );
}
