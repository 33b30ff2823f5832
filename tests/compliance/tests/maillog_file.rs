//! `maillog_file`: who may write to it, how it is rotated, and what unprivileged programs say through postlog.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    machine::{INTERNET_SITE, Machine},
    system::Which,
};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Below root's own directory of the queue, which every machine has for itself.
const MAILLOG: &str = "/var/spool/postfix/maillog";

fn with_file(which: Which, more: &str) -> Machine {
    let settings = format!("{INTERNET_SITE}maillog_file = {MAILLOG}\ncompatibility_level = 3.6\n{more}");
    Machine::start(which, &settings)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The files that rotations have made, unpacked.
fn rotated(machine: &Machine) -> Vec<(PathBuf, String)> {
    let names = fs::read_dir(machine.path("spool")).expect("a queue").flatten().map(|entry| entry.path());
    let packed = names.filter(|path| path.extension().is_some_and(|extension| extension == "gz"));
    packed
        .map(|path| {
            let output = Command::new("gzip").arg("-dc").arg(&path).output().expect("gzip is installed");
            (path, String::from_utf8_lossy(&output.stdout).into_owned())
        })
        .collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

#[test]
fn a_rotation_leaves_a_packed_file_and_a_new_one() {
    for which in [Which::Postfix, Which::Posthaste] {
        let machine = with_file(which, "");
        let file = machine.path("spool/maillog");
        assert!(machine.send("a@example.org", "alice@debian.test", "Subject: x\n\nx").starts_with("250 "));
        machine.wait_until("the delivery is logged", || text(&file).contains("status=sent"));
        let output = machine.program("postfix").arg("logrotate").output().expect("nsenter starts");
        assert_eq!(output.status.code(), Some(0), "{which:?}");
        let [(name, old)] = &rotated(&machine)[..] else { panic!("{which:?}: one packed file") };
        let suffix = name.file_name().expect("a file").to_string_lossy().into_owned();
        // maillog_file_rotate_suffix = %Y%m%d-%H%M%S
        let digits = suffix.trim_start_matches("maillog.").trim_end_matches(".gz");
        assert_eq!((digits.len(), digits.find('-')), (15, Some(8)), "{suffix}");
        assert!(old.contains("status=sent") && !old.contains("second"), "{which:?}: {old}");
        machine.command("postlog", &["-t", "somebody", "second"]);
        machine.wait_until("the new file is in use", || {
            text(&file).contains("somebody[") && text(&file).contains("second")
        });
        assert!(!text(&file).contains("status=sent"), "{which:?}");
    }
}

#[test]
fn no_line_is_lost_by_rotations_under_load() {
    let machine =
        with_file(Which::Posthaste, "maillog_file_rotate_suffix = %s%N\nsmtpd_peername_lookup = no\n");
    let file = machine.path("spool/maillog");
    let mut ids = Vec::new();
    for _ in 0..3 {
        let mut rotation = machine.program("postfix").arg("logrotate").spawn().expect("nsenter starts");
        let mut is_running = true;
        while is_running {
            is_running = rotation.try_wait().expect("a child").is_none();
            let reply = machine.send("a@example.org", "alice@debian.test", "Subject: x\n\nx");
            let id = reply.rsplit(' ').next().unwrap_or_default().to_owned();
            assert!(reply.starts_with("250 2.0.0 Ok: queued as"), "{reply}");
            ids.push(id);
            // Somebody who may not open the file.
            let words = ["-t", "bob", &format!("number {}", ids.len())];
            assert!(
                machine.program_as("bob", "postlog").args(words).status().expect("nsenter starts").success()
            );
        }
        assert!(rotation.wait().expect("a child").success());
    }
    let all = || rotated(&machine).into_iter().map(|(_, text)| text).chain([text(&file)]).collect::<String>();
    let is_complete = |all: &str| ids.iter().all(|id| all.contains(&format!("{id}: removed")));
    machine.wait_until("all is delivered", || is_complete(&all()));
    let all = all();
    for (number, id) in ids.iter().enumerate() {
        for what in ["client=", "message-id=", "from=<a@example.org>", "to=<alice@debian.test>", "removed"] {
            let count = all.matches(&format!("{id}: {what}")).count();
            assert_eq!(count, 1, "{id}: {what}");
        }
        let said = all.lines().filter(|line| line.ends_with(&format!(": number {}", number + 1))).count();
        assert_eq!(said, 1, "number {}", number + 1);
    }
    assert!(!all.contains("log lines were lost"), "{all}");
}

#[test]
fn the_file_has_the_permissions_that_are_asked_for_and_nobody_forges_lines() {
    for (setting, expected) in [
        ("", 0o600),
        ("maillog_file_permissions = 0640\n", 0o640),
        ("maillog_file_permissions = 0644\n", 0o644),
    ] {
        let machine = with_file(Which::Posthaste, setting);
        let file = machine.path("spool/maillog");
        assert_eq!(mode(&file), expected, "{setting}");
        if setting.is_empty() {
            let said = |words: &[&str]| {
                let output =
                    machine.program_as("bob", "postlog").args(words).output().expect("nsenter starts");
                assert!(output.status.success());
            };
            said(&[
                "-t",
                "x\nNov 21 00:00:00 mx postfix/qmgr[1]",
                "a\nNov 21 00:00:00 mx postfix/qmgr[1]: forged",
            ]);
            said(&["-t", "bob", "the end"]);
            machine.wait_until("it is logged", || text(&file).contains(": the end\n"));
            let text = text(&file);
            assert!(text.contains("?Nov 21 00:00:00 mx postfix/qmgr[1]: forged\n"), "{text}");
            assert!(!text.lines().any(|line| line.starts_with("Nov 21 00:00:00")), "{text}");
        }
    }
}

/// master makes its sockets one after the other, and whoever finds none prints its lines itself.
fn wait_for_postlogd(machine: &Machine) {
    let socket = machine.path("spool/public/postlog");
    machine.wait_until("postlogd's socket is there", || {
        UnixDatagram::unbound().expect("a socket").connect(&socket).is_ok()
    });
}

#[test]
fn in_a_container_all_comes_to_standard_output() {
    let settings = format!("{INTERNET_SITE}maillog_file = /dev/stdout\n");
    let machine = Machine::new(Which::Posthaste, &settings);
    let out = machine.path("stdout");
    let mut command = machine.program("postfix");
    command.arg("start-fg").stdout(Stdio::from(fs::File::create(&out).expect("space")));
    let mut foreground = command.spawn().expect("nsenter starts");
    machine.wait_until("port 25 answers", || machine.connect().is_some());
    wait_for_postlogd(&machine);
    let printed =
        machine.program_as("bob", "postlog").args(["-t", "bob", "hello"]).output().expect("nsenter starts");
    assert!(printed.stdout.is_empty(), "it is not bob's output that is meant");
    assert!(machine.send("a@example.org", "alice@debian.test", "Subject: x\n\nx").starts_with("250 "));
    for expected in ["postfix/master[", "bob[", "status=sent", "postfix/qmgr["] {
        machine.wait_until(&format!("{expected} is there"), || text(&out).contains(expected));
    }
    machine.command("postfix", &["stop"]);
    foreground.wait().expect("a child");
    assert!(text(&out).contains("postfix/postfix-script["), "{}", text(&out));
}

/// The text of long lines behind the process number, by its length and its ends.
fn long_lines(which: Which, destination: &str) -> Vec<String> {
    let settings = format!(
        "{INTERNET_SITE}maillog_file = {destination}\ncompatibility_level = 3.6\nlocal_recipient_maps =\n\
         header_size_limit = 20000\n"
    );
    let machine = Machine::new(which, &settings);
    let stdout = machine.path("stdout");
    let (out, err) = (fs::File::create(&stdout).expect("a new file"), Stdio::null());
    let mut foreground = machine.program("postfix");
    let mut foreground = foreground.arg("start-fg").stdout(out).stderr(err).spawn().expect("nsenter starts");
    machine.wait_until("port 25 answers", || machine.connect().is_some());
    if !destination.is_empty() {
        wait_for_postlogd(&machine);
    }
    let long = "x".repeat(5_000);
    for (severity, text) in [("info", &*long), ("warn", &long), ("info", &format!("\t{long}\u{7f}"))] {
        machine.command("postlog", &["-t", "long/one", "-p", severity, text]);
    }
    let message = format!("Message-ID: <{long}@x.test>\nSubject: x\n\nx");
    assert!(machine.send("a@example.org", "alice@debian.test", &message).starts_with("250 "));
    let socket = UnixDatagram::unbound().expect("a socket");
    // Nobody listens for lines of others where syslog takes them all.
    if !destination.is_empty() {
        machine.wait_until("postlogd takes lines", || {
            socket.send_to(b"datagram[1]: somebody else", machine.path("spool/public/postlog")).is_ok()
        });
        let sent =
            socket.send_to(format!("datagram[1]: {long}").as_bytes(), machine.path("spool/public/postlog"));
        assert_eq!(sent.ok(), Some(5_013));
    }
    let lines = || -> Vec<String> {
        match destination {
            "" => machine.log(),
            "/dev/stdout" => text(&stdout).lines().map(str::to_owned).collect(),
            _ => text(&machine.path("spool/maillog")).lines().map(str::to_owned).collect(),
        }
    };
    let count = if destination.is_empty() { 4 } else { 5 };
    let long_ones = || lines().into_iter().filter(|line| line.contains("xxxxxxxx")).collect::<Vec<_>>();
    machine.wait_until("all of it is logged", || {
        long_ones().len() >= count && lines().iter().any(|line| line.contains("status=sent"))
    });
    machine.command("postfix", &["stop"]);
    let _ = foreground.wait();
    let mut seen: Vec<String> = long_ones()
        .iter()
        .map(|line| {
            let (start, text) = line.split_once("]: ").expect("a process number");
            let tag = start.rsplit(' ').next().unwrap_or_default().split('[').next().unwrap_or_default();
            let kind = text.split("xxxx").next().unwrap_or_default();
            let kind = kind.split_once("message-id=").map_or(kind, |_| "message-id");
            format!("{tag} {kind} {} {}", text.len(), text.trim_start_matches(|c| c != 'x').trim_matches('x'))
        })
        .collect();
    seen.sort();
    seen
}

#[test]
fn long_lines_are_cut_in_syslog() {
    assert_eq!(long_lines(Which::Posthaste, ""), long_lines(Which::Postfix, ""));
}

#[test]
fn long_lines_are_cut_in_a_file() {
    assert_eq!(long_lines(Which::Posthaste, MAILLOG), long_lines(Which::Postfix, MAILLOG));
}

#[test]
fn long_lines_are_cut_on_standard_output() {
    // As in a file, which Postfix shows.
    assert_eq!(long_lines(Which::Posthaste, "/dev/stdout"), long_lines(Which::Posthaste, MAILLOG));
}
