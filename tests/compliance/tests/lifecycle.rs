//! `postfix start stop reload ...`: exit codes and words compared, what a reload may not do, and what comes back
//! after a crash.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    machine::{INTERNET_SITE, Machine, reply},
    system::Which,
};
use std::{
    fs,
    io::{BufReader, Write},
    os::unix::fs::MetadataExt,
};

/// Exit code, and what was logged meanwhile by the command itself, without process numbers. Standard error is no terminal
/// here, on which Postfix then says nothing; ours says what is fatal there, too.
fn run(machine: &Machine, words: &[&str]) -> (Option<i32>, Vec<String>) {
    let before = machine.events().len();
    let output = machine.program("postfix").args(words).output().expect("nsenter starts");
    // Postfix waits for a second at least before it looks whether it has stopped.
    let events = machine.events().split_off(before);
    let logged = events
        .iter()
        .filter(|line| line.contains("postfix-script: ") && !line.contains("waiting for"))
        .map(|line| without_digits(line));
    (output.status.code(), logged.collect())
}

fn without_digits(text: &str) -> String {
    text.split(|c: char| c.is_ascii_digit()).filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join("N")
}

#[test]
fn commands_end_and_speak_as_those_of_debian() {
    let table: &[&[&str]] = &[
        &["status"],
        &["stop"],
        &["reload"],
        &["abort"],
        &["start"],
        &["start"],
        &["status"],
        &["check"],
        &["flush"],
        &["reload"],
        &["logrotate"],
        &["nonsense"],
        &["stop"],
        &["status"],
        &["start"],
        &["abort"],
    ];
    let story = |which| {
        let machine = Machine::new(which, INTERNET_SITE);
        let mut seen = Vec::new();
        for words in table {
            seen.push((words.join(" "), run(&machine, words)));
            if ["start", "reload"].contains(&words[0]) && machine.path("spool/pid/master.pid").exists() {
                machine.wait_until("it answers", || {
                    machine.connect().is_some()
                        || machine.program("postfix").arg("status").status().is_err()
                        || !is_running(&machine)
                });
            }
        }
        seen
    };
    let (theirs, ours) = (story(Which::Postfix), story(Which::Posthaste));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        // The list of commands in a usage message is that of the version.
        if ours.0 == "nonsense" {
            assert_eq!(ours.1.0, theirs.1.0);
        } else {
            assert_eq!(ours, theirs);
        }
    }
}

fn is_running(machine: &Machine) -> bool {
    let pid = fs::read_to_string(machine.path("spool/pid/master.pid")).unwrap_or_default();
    !pid.trim().is_empty() && fs::exists(format!("/proc/{}", pid.trim())).unwrap_or(false)
}

/// Numbers of the processes that master has now.
fn children(machine: &Machine) -> Vec<String> {
    let pid = fs::read_to_string(machine.path("spool/pid/master.pid")).expect("a running master");
    let path = format!("/proc/{0}/task/{0}/children", pid.trim());
    fs::read_to_string(path).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_reload_refuses_nobody_cuts_nobody_and_takes_the_new_configuration() {
    let machine = Machine::start(Which::Posthaste, INTERNET_SITE);
    let open = machine.connect().expect("port 25 answers");
    let mut open_reader = BufReader::new(open.try_clone().expect("a socket can be duplicated"));
    assert!(reply(&mut open_reader).starts_with("220 "));
    for line in ["EHLO client.test", "MAIL FROM:<a@example.org>"] {
        write!(&open, "{line}\r\n").expect("the server reads");
        assert!(reply(&mut open_reader).starts_with("250 "));
    }
    let main_cf = machine.path("etc/postfix/main.cf");
    let text = fs::read_to_string(&main_cf).expect("our own file");
    // The program was replaced, too: the new generation runs the new file.
    let (program, new) = (machine.path("bin/posthaste"), machine.path("bin/new"));
    fs::copy(&program, &new).expect("space");
    fs::rename(&new, &program).expect("the same directory");
    let mut accepted = 0;
    for round in 0..3 {
        fs::write(&main_cf, format!("{text}smtpd_banner = round {round}\n")).expect("space");
        machine.command("postfix", &["reload"]);
        let mut is_new = false;
        machine.wait_until("the new configuration is in force", || {
            let stream = machine.connect().expect("no connection is refused");
            let mut reader = BufReader::new(stream.try_clone().expect("a socket can be duplicated"));
            is_new |= reply(&mut reader) == format!("220 round {round}");
            assert!(
                machine.send("a@example.org", "alice@debian.test", "Subject: x\n\nx").starts_with("250 ")
            );
            accepted += 1;
            is_new
        });
    }
    write!(&open, "RCPT TO:<alice@debian.test>\r\nDATA\r\n").expect("the old session goes on");
    assert!(reply(&mut open_reader).starts_with("250 ") && reply(&mut open_reader).starts_with("354 "));
    write!(&open, "Subject: old\r\n\r\nx\r\n.\r\nQUIT\r\n").expect("the old session goes on");
    assert!(reply(&mut open_reader).starts_with("250 ") && reply(&mut open_reader).starts_with("221 "));
    let mailbox = machine.path("mail/alice");
    let count = || fs::read_to_string(&mailbox).unwrap_or_default().matches("\nSubject: ").count();
    machine.wait_until("all mail is there", || count() == accepted + 1);
    // Agents end when they are idle; they are of no generation.
    let is_agent = |pid: &String| {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|text| text.contains("agent"))
    };
    let processes = || children(&machine).into_iter().filter(|pid| !is_agent(pid)).collect::<Vec<_>>();
    machine.wait_until("old generations are gone", || processes().len() <= 2);
    let own = fs::metadata(&program).expect("the new file");
    for pid in processes() {
        let runs = fs::metadata(format!("/proc/{pid}/exe")).expect("a living process");
        assert_eq!(runs.ino(), own.ino(), "process {pid} runs the old file");
    }
}

#[test]
fn processes_that_are_killed_come_back_and_no_mail_is_lost() {
    let machine = Machine::start(Which::Posthaste, INTERNET_SITE);
    for round in 0..2 {
        assert!(machine.send("a@example.org", "alice@debian.test", "Subject: x\n\nx").starts_with("250 "));
        let before = children(&machine);
        for pid in &before {
            // One that follows another into its end is gone already.
            let _ = machine.program("/bin/kill").args(["-9", pid]).output();
        }
        machine.wait_until("others run", || {
            let now = children(&machine);
            now.len() >= 2 && now.iter().all(|pid| !before.contains(pid)) && machine.connect().is_some()
        });
        let count = || {
            fs::read_to_string(machine.path("mail/alice")).unwrap_or_default().matches("\nSubject: ").count()
        };
        machine.wait_until("the mail is there", || count() > round);
    }
    assert!(machine.events().iter().any(|line| line.contains("killed by signal 9")));
}

#[test]
fn triggers_may_be_fifos_as_in_older_files() {
    let machine = Machine::new(Which::Posthaste, INTERNET_SITE);
    let path = machine.path("etc/postfix/master.cf");
    let text = fs::read_to_string(&path).expect("our own file");
    let old = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            // No wake-up: what is not told is not found.
            ["pickup" | "qmgr", "unix", ..] => format!("{} fifo n - n 0 1 {}\n", words[0], words[0]),
            _ => format!("{line}\n"),
        }
    };
    fs::write(&path, text.lines().map(old).collect::<String>()).expect("space");
    machine.command("postfix", &["start"]);
    machine.wait_until("port 25 answers", || machine.connect().is_some());
    let count =
        || fs::read_to_string(machine.path("mail/alice")).unwrap_or_default().matches("\nSubject: ").count();
    for round in 1..4 {
        assert!(machine.send("a@example.org", "alice@debian.test", "Subject: x\n\nx").starts_with("250 "));
        machine.wait_until("mail from outside is there", || count() == 2 * round - 1);
        let mut sendmail = machine.program_as("bob", "sendmail");
        sendmail.args(["alice@debian.test"]);
        assert!(machine.feed(sendmail, "Subject: x\n\nx\n").status.success());
        machine.wait_until("mail of a user is there", || count() == 2 * round);
    }
}
