//! Real deliveries below a temporary directory, as the user who runs the test.

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use agents::{Content, Owner, Settings, perform};
use bstr::BString;
use local::{
    LocalSettings, VirtualSettings,
    agent::{Reply, Request, Task},
};
use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};
use types::{Address, Outcome, WallTime};

struct Home {
    directory: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
}

impl Home {
    fn new(settings: &[(&'static str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = directory.path().to_str().expect("plain name").to_owned();
        let mut settings: Vec<_> = settings.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        settings.push(("virtual_mailbox_base", place));
        Self { directory, settings }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    fn deliver(&self, task: Task, content: &[u8]) -> Reply {
        let pairs: Vec<_> = self.settings.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let values = config::Values::for_tests(&pairs);
        let settings = Settings {
            local: LocalSettings::load(&values),
            virtual_: VirtualSettings::load(&values),
            hostname: "mx.test".into(),
        };
        let uid = match task {
            Task::Local { .. } => fs::metadata(self.directory.path()).expect("our own directory").uid(),
            Task::Virtual { .. } => 1_000,
        };
        let owner = Owner { name: "joe".into(), uid, home: self.directory.path().into(), errands: None };
        let request = Request {
            task,
            sender: "a@b".into(),
            original: Address::null(),
            delivered_to: "joe@here".into(),
        };
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(content).expect("space for a test message");
        let now = WallTime::new(1_377_029_606, 640_219);
        perform(now, "Tue Aug 20 20:13:26 2013", &settings, &owner, &request, &Content::new(file))
    }
}

fn joe() -> Task {
    Task::Local { user: "joe".into(), extension: BString::default(), mailbox_only: false }
}

fn outcome(reply: &Reply) -> (Outcome, String) {
    match reply {
        Reply::Done { outcome, status, .. } => (*outcome, format!("{} {}", status.dsn, status.reason)),
        Reply::Forward { text, .. } => panic!("unexpected forward file: {text}"),
    }
}

fn only_file(directory: &Path) -> PathBuf {
    let mut names: Vec<_> =
        fs::read_dir(directory).expect("a directory").map(|e| e.unwrap().path()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names.remove(0)
}

#[test]
fn a_maildir_is_made_on_the_fly_and_gets_one_complete_file() {
    let home = Home::new(&[("home_mailbox", "Maildir/")]);
    let reply = home.deliver(joe(), b"Subject: x\n\nbody");
    assert_eq!(outcome(&reply), (Outcome::Sent, "2.0.0 delivered to maildir".into()));
    let file = only_file(&home.path("Maildir/new"));
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("1377029606.V") && name.ends_with("M640219.mx.test"), "{name}");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text, "Return-Path: <a@b>\nDelivered-To: joe@here\nSubject: x\n\nbody\n");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(home.path("Maildir/tmp")).unwrap().count(), 0);
    assert!(home.path("Maildir/cur").is_dir());
}

#[test]
fn an_mbox_grows_under_its_locks() {
    let home = Home::new(&[("home_mailbox", "mbox"), ("mailbox_delivery_lock", "dotlock, fcntl")]);
    for _ in 0..2 {
        let reply = home.deliver(joe(), b"Subject: x\n\nFrom me\n");
        assert_eq!(outcome(&reply), (Outcome::Sent, "2.0.0 delivered to mailbox".into()));
    }
    let one = "From a@b  Tue Aug 20 20:13:26 2013\nReturn-Path: <a@b>\nDelivered-To: joe@here\n\
               Subject: x\n\n>From me\n\n";
    assert_eq!(fs::read_to_string(home.path("mbox")).unwrap(), one.repeat(2));
    assert!(!home.path("mbox.lock").exists());
}

#[test]
fn a_locked_mbox_defers_and_stays_as_it_is() {
    let home = Home::new(&[
        ("home_mailbox", "mbox"),
        ("mailbox_delivery_lock", "dotlock"),
        ("deliver_lock_attempts", "2"),
        ("deliver_lock_delay", "1s"),
    ]);
    fs::write(home.path("mbox.lock"), "").unwrap();
    let (word, reason) = outcome(&home.deliver(joe(), b"x\n"));
    assert_eq!(word, Outcome::Deferred);
    assert!(reason.contains("4.2.0 cannot update mailbox"), "{reason}");
    assert!(reason.contains("unable to create lock file"), "{reason}");
    assert!(!home.path("mbox").exists());
}

#[test]
fn a_full_mailbox_bounces_and_is_cut_back() {
    let home = Home::new(&[("home_mailbox", "mbox"), ("mailbox_size_limit", "1000")]);
    fs::write(home.path("mbox"), "old\n").unwrap();
    let (word, reason) = outcome(&home.deliver(joe(), &b"x".repeat(2_000)));
    assert_eq!(word, Outcome::Bounced);
    assert!(reason.starts_with("5.2.2 "), "{reason}");
    assert_eq!(fs::read_to_string(home.path("mbox")).unwrap(), "old\n");
}

#[test]
fn a_mailbox_that_is_no_plain_file_of_the_user_is_left_alone() {
    let home = Home::new(&[("home_mailbox", "mbox")]);
    fs::write(home.path("other"), "theirs\n").unwrap();
    std::os::unix::fs::symlink(home.path("other"), home.path("mbox")).unwrap();
    // A link of root's in a directory of root's would be followed.
    let _ = std::os::unix::fs::lchown(home.path("mbox"), Some(65534), None);
    assert_eq!(outcome(&home.deliver(joe(), b"x\n")).0, Outcome::Bounced);
    fs::remove_file(home.path("mbox")).unwrap();
    fs::hard_link(home.path("other"), home.path("mbox")).unwrap();
    assert_eq!(outcome(&home.deliver(joe(), b"x\n")).0, Outcome::Bounced);
    assert_eq!(fs::read_to_string(home.path("other")).unwrap(), "theirs\n");
}

#[test]
fn forward_files_are_handed_back_unless_they_cannot_be_trusted() {
    let home = Home::new(&[("home_mailbox", "Maildir/")]);
    let file = home.path(".forward");
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(&file)
        .unwrap()
        .write_all(b"joe@away\n")
        .unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let forward = Reply::Forward { text: "joe@away\n".into(), is_extension_used: false };
    assert_eq!(home.deliver(joe(), b"x\n"), forward);
    let only = Task::Local { user: "joe".into(), extension: BString::default(), mailbox_only: true };
    assert_eq!(outcome(&home.deliver(only, b"x\n")).0, Outcome::Sent);
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    let reply = home.deliver(joe(), b"x\n");
    assert_eq!(outcome(&reply).0, Outcome::Sent);
    assert!(matches!(reply, Reply::Done { warnings, .. } if warnings[0].ends_with(b"is world writable")));
}

#[test]
fn an_agent_serves_its_own_user_only() {
    let home = Home::new(&[("home_mailbox", "Maildir/")]);
    let jane = Task::Local { user: "jane".into(), extension: BString::default(), mailbox_only: false };
    assert_eq!(outcome(&home.deliver(jane, b"x\n")).0, Outcome::Deferred);
}

#[test]
fn virtual_mailboxes_stay_below_their_base() {
    let home = Home::new(&[]);
    let virtual_ = |mailbox: &str| home.deliver(Task::Virtual { mailbox: mailbox.into() }, b"x\n");
    assert_eq!(outcome(&virtual_("example/joe/")).0, Outcome::Sent);
    only_file(&home.path("example/joe/new"));
    let (word, reason) = outcome(&virtual_("../joe/"));
    assert_eq!((word, reason.as_str()), (Outcome::Deferred, "4.3.5 bad mailbox path ../joe/"));
}
