//! Real deliveries below a temporary directory, as the user who runs the test.

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use agents::{Content, Office, Owner, Settings, Standing, Tables, perform};
use bstr::BString;
use local::{
    LocalSettings, VirtualSettings,
    agent::{Answer, Names, Origin, Reply, Request, Source, Task},
};
use maps::Maps;
use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};
use types::{Address, Outcome, WallTime};
use world::{Caution, Tables as _};

struct Home {
    directory: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
    standing: Standing,
}

struct Silent;

impl maillog::Sink for Silent {
    fn write(&self, _line: maillog::Line<'_>) {}
}

impl Home {
    fn new(settings: &[(&'static str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = directory.path().to_str().expect("plain name").to_owned();
        let mut settings: Vec<_> = settings.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        settings.push(("virtual_mailbox_base", place));
        Self { directory, settings, standing: Standing::User }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// `@H@` in aliases is the home directory.
    fn office(&self, task: &Task) -> Office {
        let place = self.directory.path().to_str().expect("plain name");
        let settings: Vec<_> = self.settings.iter().map(|(n, v)| (*n, v.replace("@H@", place))).collect();
        let pairs: Vec<_> = settings.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let values = config::Values::for_tests(&pairs);
        let logger = maillog::Logger::new(Rc::new(Silent), "local", 1);
        let registry = tables::Registry::new(&values, logger);
        let uid = match task {
            Task::Virtual { .. } => 1_000,
            _ => fs::metadata(self.directory.path()).expect("our own directory").uid(),
        };
        Office {
            settings: Settings {
                local: LocalSettings::load(&values),
                virtual_: VirtualSettings::load(&values),
                hostname: "mx.test".into(),
            },
            owner: Owner {
                name: "joe".into(),
                uid,
                home: self.directory.path().into(),
                shell: "/bin/sh".into(),
                standing: self.standing,
                errands: None,
            },
            tables: Tables {
                aliases: maps::split_list(values.text(config::params::alias_maps))
                    .map(|item| registry.open_with(item, Caution::Paranoid))
                    .collect(),
                mailbox_command_maps: Maps::none("mailbox_command_maps"),
            },
        }
    }

    fn deliver(&self, task: Task, content: &[u8]) -> Reply {
        self.deliver_to("joe", task, content)
    }

    fn deliver_to(&self, user: &str, task: Task, content: &[u8]) -> Reply {
        let office = self.office(&task);
        let request = Request {
            task,
            names: Names {
                recipient: format!("{user}+e;x@Here").as_str().into(),
                user: user.into(),
                local: format!("{user}+e;x").into(),
                domain: "here".into(),
                extension: Some("e;x".into()),
            },
            sender: "a@b".into(),
            original: Address::null(),
            delivered_to: "joe@here".into(),
        };
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(content).expect("space for a test message");
        let now = WallTime::new(1_377_029_606, 640_219);
        perform(now, "Tue Aug 20 20:13:26 2013", &office, &request, &Content::new(file))
    }

    fn command(&self, command: &str) -> (Outcome, String) {
        let origin = Origin::new(Source::Mailbox);
        let task = Task::Command { origin, command: command.into(), environment: Vec::new() };
        outcome(&self.deliver(task, b"Subject: x\n\nbody"))
    }
}

fn joe() -> Task {
    Task::Local { forward: true, mailbox: true }
}

fn outcome(reply: &Reply) -> (Outcome, String) {
    match &reply.answer {
        Answer::Done { outcome, status, .. } => (*outcome, format!("{} {}", status.dsn, status.reason)),
        other => panic!("unexpected answer: {other:?}"),
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
    let forward = Answer::List {
        path: file.to_str().unwrap().into(),
        is_extension_used: false,
        text: "joe@away\n".into(),
    };
    assert_eq!(home.deliver(joe(), b"x\n").answer, forward);
    let only = Task::Local { forward: false, mailbox: true };
    assert_eq!(outcome(&home.deliver(only, b"x\n")).0, Outcome::Sent);
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    let reply = home.deliver(joe(), b"x\n");
    assert_eq!(outcome(&reply).0, Outcome::Sent);
    assert!(reply.warnings[0].ends_with(b"is world writable"));
    let look = Task::Local { forward: true, mailbox: false };
    assert_eq!(home.deliver(look, b"").answer, Answer::Nothing);
}

#[test]
fn an_agent_serves_its_own_user_only() {
    let home = Home::new(&[("home_mailbox", "Maildir/")]);
    assert_eq!(outcome(&home.deliver_to("jane", joe(), b"x\n")).0, Outcome::Deferred);
}

#[test]
fn a_command_gets_the_message_and_says_what_became_of_it() {
    let check = |command: &str, expected: (Outcome, &str)| {
        let home = Home::new(&[("mailbox_command", command)]);
        let (outcome, text) = home.command(command);
        assert_eq!((outcome, text.as_str()), expected, "{command}");
    };
    let bounced = |text| (Outcome::Bounced, text);
    check("/bin/true", (Outcome::Sent, "2.0.0 delivered to command: /bin/true"));
    check("exit 0", (Outcome::Sent, "2.0.0 delivered to command: exit 0"));
    check("exit 67", bounced("5.1.1 user unknown"));
    check("echo full; exit 75", (Outcome::Deferred, "4.3.0 temporary failure. Command output: full "));
    check("echo 4.2.2 quota; exit 1", (Outcome::Deferred, "4.2.2 quota "));
    check("exit 9", bounced("5.3.0 Command died with status 9: \"exit 9\""));
    check("kill -9 $$", (Outcome::Deferred, "4.3.0 Command died with signal 9: \"kill -9 $$\""));
    let missing =
        "4.3.0 temporary failure. Command output: local: fatal: execvp /no/such: No such file or directory ";
    check("/no/such", (Outcome::Deferred, missing));
}

#[test]
fn a_command_sees_clean_values_and_no_more() {
    let command = "cat > $HOME/got; env | sort > $HOME/env; id -G > $HOME/groups; pwd > $HOME/cwd";
    let home = Home::new(&[
        ("mailbox_command", command),
        ("command_execution_directory", "$home"),
        ("export_environment", "{TZ=UTC} NOT_THERE"),
        ("recipient_delimiter", "+"),
    ]);
    assert_eq!(home.command(command).0, Outcome::Sent);
    let read = |name: &str| fs::read_to_string(home.path(name)).unwrap();
    let text = "From a@b  Tue Aug 20 20:13:26 2013\nReturn-Path: <a@b>\nDelivered-To: joe@here\n\
                Subject: x\n\nbody\n";
    assert_eq!(read("got"), text);
    let place = home.directory.path().canonicalize().unwrap();
    let place = place.to_str().unwrap();
    assert_eq!(read("cwd").trim(), place);
    let env = read("env");
    let mut names: Vec<&str> =
        env.lines().filter(|line| !line.starts_with("PWD=") && !line.starts_with("_=")).collect();
    names.retain(|line| !line.starts_with("OLDPWD") && !line.starts_with("SHLVL"));
    let home_line = format!("HOME={}", home.directory.path().to_str().unwrap());
    let expected = [
        "DOMAIN=here",
        "EXTENSION=e_x",
        &home_line,
        "LOCAL=joe+e_x",
        "LOGNAME=joe",
        "PATH=/usr/bin:/bin",
        "RECIPIENT=joe+e_x@Here",
        "SENDER=a@b",
        "SHELL=/bin/sh",
        "TZ=UTC",
        "USER=joe",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_command_that_does_not_end_is_ended_with_all_that_it_started() {
    for command in
        ["sleep 100", "sleep 100 & cat >/dev/null; exec sleep 100 >&- 2>&-", "exec 0<&-; sleep 100"]
    {
        let home = Home::new(&[("mailbox_command", command), ("command_time_limit", "1s")]);
        let begun = Instant::now();
        let (word, text) = home.command(command);
        assert_eq!(word, Outcome::Bounced, "{text}");
        assert_eq!(text, format!("5.3.0 Command time limit exceeded: \"{command}\""));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    // Much output, and input that nobody reads, hold nothing up.
    for command in ["yes | head -c 1000000; exit 1", "exec 0<&-; exit 0"] {
        let home = Home::new(&[("mailbox_command", command)]);
        let (word, text) = home.command(command);
        assert_eq!(word, if command.ends_with('0') { Outcome::Sent } else { Outcome::Bounced }, "{text}");
        assert!(text.len() < 4_500);
    }
}

#[test]
fn only_what_stands_there_is_done() {
    let aliases = "inline:{ {pipe = \"|touch @H@/ran\"} {file = @H@/box} {lists = :include:@H@/list} }";
    let mut home = Home::new(&[
        ("alias_maps", aliases),
        ("mailbox_command", "true"),
        ("allow_mail_to_commands", "alias, forward, include"),
    ]);
    let place = home.directory.path().to_str().unwrap().to_owned();
    fs::write(home.path("list"), format!("\"|touch {place}/ran\"\n")).unwrap();
    fs::write(home.path(".forward"), format!("\"|touch {place}/ran\"\n")).unwrap();
    let alias = |name: &str| Origin::new(Source::Alias(name.into()));
    let touch = |origin, name: &str| {
        let command = format!("touch {place}/{name}").into();
        Task::Command { origin, command, environment: Vec::new() }
    };
    let chain = |path: &str| Origin { includes: vec![format!("{place}/{path}").into()], ..alias("lists") };
    // As a user: the aliases are root's, so that they are not this agent's to carry out.
    for (task, why) in [
        (touch(alias("pipe"), "ran"), "another user"),
        (touch(alias("pipe"), "other"), "does not stand there"),
        (touch(alias("nobody"), "ran"), "no alias nobody"),
        (touch(Origin::new(Source::Mailbox), "ran"), "does not stand there"),
        (touch(Origin::new(Source::Forward), "other"), "does not stand there"),
        (Task::File { origin: alias("file"), path: "/etc/passwd".into() }, "does not stand there"),
        (Task::Include { origin: alias("lists"), path: "/etc/passwd".into() }, "does not stand there"),
    ] {
        let (word, text) = outcome(&home.deliver(task, b"x\n"));
        assert_eq!(word, Outcome::Deferred, "{text}");
        assert!(text.contains(why), "{text}");
    }
    assert_eq!(outcome(&home.deliver(touch(Origin::new(Source::Forward), "ran"), b"x\n")).0, Outcome::Sent);
    fs::remove_file(home.path("ran")).unwrap();
    // As default_privs.
    home.standing = Standing::Default { for_root: false };
    assert_eq!(outcome(&home.deliver(touch(alias("pipe"), "ran"), b"x\n")).0, Outcome::Sent);
    fs::remove_file(home.path("ran")).unwrap();
    let file = Task::File { origin: alias("file"), path: format!("{place}/box").into() };
    assert_eq!(outcome(&home.deliver(file, b"x\n")).1, format!("2.0.0 delivered to file: {place}/box"));
    assert!(outcome(&home.deliver(touch(chain("else"), "ran"), b"x\n")).1.contains("does not stand there"));
    let is_root = fs::metadata(home.path("list")).unwrap().uid() == 0;
    let (word, text) = outcome(&home.deliver(touch(chain("list"), "ran"), b"x\n"));
    // A list of root's goes with default_privs, a user's list with that user's.
    assert_eq!(word == Outcome::Sent, is_root, "{text}");
    assert!(outcome(&home.deliver(joe(), b"x\n")).1.contains("was asked to deliver"));
}

#[test]
fn files_take_mail_unless_they_are_programs() {
    let aliases =
        "inline:{ {file = @H@/box} {program = @H@/program} {null = /dev/null} {directory = @H@/dir/} }";
    let mut home = Home::new(&[("alias_maps", aliases)]);
    home.standing = Standing::Default { for_root: false };
    let place = home.directory.path().to_str().unwrap().to_owned();
    fs::write(home.path("program"), "").unwrap();
    fs::set_permissions(home.path("program"), Permissions::from_mode(0o755)).unwrap();
    let file = |name: &str, path: String| {
        let origin = Origin::new(Source::Alias(name.into()));
        outcome(&home.deliver(Task::File { origin, path: path.into() }, b"From x\n"))
    };
    assert_eq!(file("file", format!("{place}/box")).0, Outcome::Sent);
    let text = "From a@b  Tue Aug 20 20:13:26 2013\nReturn-Path: <a@b>\nDelivered-To: joe@here\n>From x\n\n";
    assert_eq!(fs::read_to_string(home.path("box")).unwrap(), text);
    let refused = format!("5.7.1 cannot append message to file {place}/program: file is executable");
    assert_eq!(file("program", format!("{place}/program")), (Outcome::Bounced, refused));
    assert_eq!(file("null", "/dev/null".into()).1, "2.0.0 delivered to file: /dev/null");
    assert_eq!(file("directory", format!("{place}/dir/")).1, "2.0.0 delivered to maildir");
    only_file(&home.path("dir/new"));
}

#[test]
fn include_files_are_read_as_their_owner() {
    let aliases = "inline:{ {l = :include:@H@/list} {d = :include:@H@} {w = :include:@H@/open} {n = :include:@H@/none} }";
    let mut home = Home::new(&[("alias_maps", aliases)]);
    home.standing = Standing::Default { for_root: false };
    for (name, mode) in [("list", 0o644), ("open", 0o646)] {
        fs::write(home.path(name), "jane\n").unwrap();
        fs::set_permissions(home.path(name), Permissions::from_mode(mode)).unwrap();
    }
    let place = home.directory.path().to_str().unwrap().to_owned();
    let read = |name: &str, below: &str| {
        let origin = Origin::new(Source::Alias(name.into()));
        home.deliver(Task::Include { origin, path: format!("{place}{below}").into() }, b"")
    };
    let uid = fs::metadata(home.path("list")).unwrap().uid();
    match read("l", "/list").answer {
        Answer::List { text, .. } => assert_eq!((text, uid), (BString::from("jane\n"), 0)),
        other => assert_eq!(other, Answer::Owner { uid }),
    }
    for (name, below, why) in [
        ("d", "", "is not a regular file"),
        ("w", "/open", "is world writable"),
        ("n", "/none", "No such file or directory"),
    ] {
        let reply = read(name, below);
        assert_eq!(outcome(&reply), (Outcome::Bounced, "5.3.5 mail system configuration error".into()));
        assert!(reply.warnings[0].ends_with(why.as_bytes()), "{:?}", reply.warnings);
    }
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
