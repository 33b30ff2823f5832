//! The mail spool: a directory that its users may not write. What stands at a mailbox's place, and who put it there,
//! decides; beside Debian's Postfix for every kind of directory.

use crate::story::{BODY, add_users, fact, sent, settled, write_as};
use compliance::{
    machine::{INTERNET_SITE, Machine},
    system::Which,
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, lchown, symlink},
    path::Path,
};

const FIRST_UID: u32 = 61_100;

/// What is at the mailbox's place before the mail comes: the user's name, and who puts what there.
type Obstacle = (&'static str, fn(&Path, u32));

const OBSTACLES: &[Obstacle] = &[
    ("nothing", |_, _| {}),
    ("own", |path, uid| write_as(uid, path, "old\n")),
    ("group", |path, uid| {
        write_as(uid, path, "old\n");
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).expect("our own file");
    }),
    ("others", |path, _| write_as(61_001, path, "theirs\n")),
    ("roots", |path, _| fs::write(path, "root's\n").expect("space")),
    ("readonly", |path, uid| {
        write_as(uid, path, "old\n");
        fs::set_permissions(path, fs::Permissions::from_mode(0o400)).expect("our own file");
    }),
    ("ownlink", |path, uid| {
        write_as(uid, &beside(path, "target"), "target\n");
        symlink(beside(path, "target"), path).expect("a free name");
        lchown(path, Some(uid), Some(uid)).expect("root may give");
    }),
    ("rootlink", |path, uid| {
        write_as(uid, &beside(path, "target"), "target\n");
        symlink(beside(path, "target"), path).expect("a free name");
    }),
    ("dangling", |path, uid| {
        symlink(beside(path, "target"), path).expect("a free name");
        lchown(path, Some(uid), Some(uid)).expect("root may give");
    }),
    ("hardlink", |path, uid| {
        write_as(uid, path, "twice\n");
        fs::hard_link(path, beside(path, "twin")).expect("a free name");
    }),
    ("directory", |path, uid| {
        fs::create_dir(path).expect("a free name");
        chown(path, Some(uid), Some(uid)).expect("root may give");
    }),
    ("fifo", |path, uid| {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a free name");
        chown(path, Some(uid), Some(uid)).expect("root may give");
    }),
    ("null", |path, _| {
        mknodat(CWD, path, FileType::CharacterDevice, Mode::from_raw_mode(0o666), rustix::fs::makedev(1, 3))
            .expect("a free name");
    }),
    ("stale", |path, _| fs::write(beside(path, "lock"), "").expect("space")),
    ("lockdir", |path, _| fs::create_dir(beside(path, "lock")).expect("a free name")),
];

fn beside(path: &Path, what: &str) -> std::path::PathBuf {
    path.with_extension(what)
}

/// The log's word on each, and what is in the spool afterwards.
fn outcome(which: Which, mode: u32) -> Vec<String> {
    let settings = "deliver_lock_attempts = 4\ndeliver_lock_delay = 1s\nstale_lock_time = 1s\n\
        mailbox_delivery_lock = fcntl, dotlock\nbiff = no\nlocal_destination_concurrency_limit = 20\n";
    let machine = Machine::new(which, &format!("{INTERNET_SITE}{settings}"));
    fs::set_permissions(machine.path("mail"), fs::Permissions::from_mode(mode)).expect("our own directory");
    let names: Vec<&str> = OBSTACLES.iter().map(|(name, _)| *name).collect();
    add_users(&machine, FIRST_UID, &names);
    for ((name, place), uid) in OBSTACLES.iter().zip(FIRST_UID..) {
        place(&machine.path("mail").join(name), uid);
    }
    machine.command("postfix", &["start"]);
    machine.wait_until("port 25 answers", || machine.connect().is_some());
    for name in &names {
        sent(&machine, &format!("{name}@debian.test"));
    }
    let mut seen: Vec<String> =
        names.iter().flat_map(|name| settled(&machine, &format!("{name}@debian.test"))).collect();
    let mut warnings: Vec<String> =
        machine.events().into_iter().filter(|line| line.contains("local: warning")).collect();
    warnings.sort();
    seen.extend(warnings);
    let mut left: Vec<_> = fs::read_dir(machine.path("mail"))
        .expect("a directory")
        .map(|e| e.expect("an entry").path())
        .collect();
    left.sort();
    seen.extend(left.iter().map(|path| fact(path)));
    seen
}

fn same(mode: u32) {
    assert_eq!(outcome(Which::Posthaste, mode), outcome(Which::Postfix, mode), "{mode:o}");
}

#[test]
fn a_spool_that_only_root_may_write() {
    same(0o755);
}

#[test]
fn a_spool_that_a_group_may_write() {
    same(0o2775);
}

#[test]
fn a_spool_that_a_group_may_write_and_does_not_hand_on() {
    same(0o775);
}

#[test]
fn a_spool_that_everyone_may_write() {
    same(0o1777);
}

#[test]
fn a_spool_that_is_not_there() {
    let outcome = |which| {
        let machine = Machine::start(which, &format!("{INTERNET_SITE}mail_spool_directory = /nonexistent\n"));
        let said = machine.send("sender@example.org", "alice@debian.test", BODY);
        assert!(said.starts_with("250 "), "{said}");
        settled(&machine, "alice@debian.test")
    };
    assert_eq!(outcome(Which::Posthaste), outcome(Which::Postfix));
}
