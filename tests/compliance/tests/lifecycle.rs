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
    process::Stdio,
};

/// Exit code, and what the command itself logged, without process numbers. Standard error is no terminal here, on which
/// Debian's then says nothing; ours says what is fatal there, too, as 3.12 does.
type Seen = (Option<i32>, Vec<String>);

/// What is started in the background (postsuper after a reload) says its part later: as many lines are waited for.
fn run(machine: &Machine, who: &str, words: &[&str], lines_min: usize) -> Seen {
    let before = machine.events().len();
    let mut command = match who {
        "root" => machine.program("postfix"),
        user => machine.program_as(user, "postfix"),
    };
    let output = command.args(words).output().expect("nsenter starts");
    // How often Postfix looks whether it has stopped depends on the machine.
    let is_ours = |line: &String| {
        let tags = ["postfix/postfix-script: ", "postfix: ", "postfix/postqueue: ", "postfix/postsuper: "];
        tags.iter().any(|tag| line.starts_with(tag)) && !line.contains("waiting for") && !is_of_our_age(line)
    };
    let said = || machine.events().split_off(before).into_iter().filter(is_ours).collect::<Vec<_>>();
    machine.wait_until(&format!("{words:?} has said {lines_min} lines"), || said().len() >= lines_min);
    (output.status.code(), said().iter().map(|line| without_digits(line)).collect())
}

/// Debian's configuration is of version 3.6, which 3.12 says each time.
fn is_of_our_age(line: &str) -> bool {
    ["backwards-compatible default settings", "COMPATIBILITY_README", "To disable backwards compatibility"]
        .iter()
        .any(|text| line.contains(text))
}

fn without_digits(text: &str) -> String {
    text.split(|c: char| c.is_ascii_digit()).filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join("N")
}

/// What each step says: `WHO: words of a postfix command`, or `sh: words for the shell`, on both systems.
fn compare(steps: &[&str]) {
    let story = |which, expected: &[(String, Seen)]| {
        let machine = Machine::new(which, INTERNET_SITE);
        let mut seen: Vec<(String, Seen)> = Vec::new();
        for step in steps {
            let (who, words) = step.split_once(": ").expect("who does what");
            if who == "sh" {
                machine.command("/bin/sh", &["-c", words]);
                continue;
            }
            let words: Vec<&str> = words.split_whitespace().collect();
            let lines_min = expected.get(seen.len()).map_or(0, |(_, (_, lines))| lines.len());
            seen.push(((*step).to_owned(), run(&machine, who, &words, lines_min)));
            if ["abort", "drain"].contains(&words.first().copied().unwrap_or_default()) {
                machine.wait_until("it has ended", || !is_running(&machine));
            }
            if is_running(&machine) {
                machine.wait_until("it answers", || machine.connect().is_some() || !is_running(&machine));
            }
        }
        seen
    };
    let theirs = story(Which::Postfix, &[]);
    let mut ours = story(Which::Posthaste, &theirs);
    for ((step, ours), (_, theirs)) in ours.iter_mut().zip(&theirs) {
        for line in &mut ours.1 {
            // 3.12 knows two more commands.
            *line = line.replace("logrotate, tls, non-bdb)", "logrotate)");
        }
        assert_eq!(ours, theirs, "{step}");
    }
}

#[test]
fn commands_end_and_speak_as_those_of_debian() {
    compare(&[
        "root: status",
        "root: stop",
        "root: reload",
        "root: abort",
        "root: drain",
        "root: flush",
        "root: check",
        "root: start",
        "root: start",
        "root: start-fg",
        "root: status",
        "root: check",
        "root: flush",
        "root: reload",
        "root: logrotate",
        "root: nonsense",
        "root: ",
        "root: stop",
        "root: status",
        "root: start",
        "root: abort",
        "root: start",
        "root: quick-stop",
        "sh: test -e /var/spool/postfix/quick-start",
        "root: status",
        "root: start",
        "sh: test ! -e /var/spool/postfix/quick-start",
        "root: drain",
        "root: status",
        "root: quick-stop",
        "sh: test -e /var/spool/postfix/quick-start",
    ]);
}

#[test]
fn wrong_words_wrong_people_and_wrong_places_are_refused_as_by_debian() {
    compare(&[
        "bob: status",
        "bob: start",
        "bob: -x",
        "root: -x",
        "root: -c",
        "root: -c relative status",
        "root: -c /nonexistent status",
        "root: -D -c /etc/postfix check",
        // Words that mean nothing, but for logrotate.
        "root: status extra",
        "root: logrotate extra",
        "root: start extra",
        "root: reload -x",
        "root: stop extra",
        // The directory of the lock is made by a start that checks.
        "root: quick-stop",
        "sh: rm -r /var/spool/postfix/pid",
        "root: start",
        "root: start",
        "sh: rm /etc/postfix/master.cf",
        "root: check",
        "root: stop",
        "root: start",
    ]);
}

#[test]
fn check_finds_what_debian_s_finds() {
    compare(&[
        "root: start",
        "sh: chmod 777 /var/spool/postfix; chown bob /var/spool/postfix/pid; chgrp mail /var/spool/postfix/public",
        "sh: chmod g+w /etc/postfix/main.cf; chown bob /etc/postfix/dynamicmaps.cf; chmod o+w /etc/postfix/sasl",
        "sh: chmod 770 /var/lib/postfix; touch /var/lib/postfix/x; chown bob /var/lib/postfix/x",
        "sh: touch /var/spool/postfix/corrupt/ABCDEF; mkdir -p /var/spool/postfix/saved/x",
        "sh: mkdir -p /var/spool/postfix/etc; echo x > /var/spool/postfix/etc/passwd; chown bob /var/spool/postfix/etc",
        "root: check",
        "root: stop",
        "root: start",
        "root: stop",
        // What postsuper cannot read ends the check.
        "sh: chown bob /var/spool/postfix/flush",
        "root: check",
        "root: start",
    ]);
}

#[test]
fn on_a_terminal_the_words_are_seen() {
    let story = |which| {
        let machine = Machine::new(which, INTERNET_SITE);
        let program = match which {
            Which::Postfix => "/usr/sbin/postfix".to_owned(),
            Which::Posthaste => machine.path("bin/postfix").display().to_string(),
        };
        let run = |words: &str| {
            let output = machine
                .command("/usr/bin/script", &["-qec", &format!("{program} {words}; true"), "/dev/null"]);
            let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
            let lines =
                text.lines().filter(|line| !line.contains("waiting for") && !line.contains(": note: "));
            let lines = lines.filter(|line| !is_of_our_age(line));
            lines.map(without_digits).collect::<Vec<_>>()
        };
        ["status", "start", "start", "status", "reload", "stop", "logrotate"].map(run)
    };
    assert_eq!(story(Which::Posthaste), story(Which::Postfix));
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
    // Agents and look-ups end when they are idle; they are of no generation.
    let is_of_a_generation = |pid: &String| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        ["receive", "deliver"].iter().any(|name| line.starts_with(name))
    };
    let processes = || children(&machine).into_iter().filter(is_of_a_generation).collect::<Vec<_>>();
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

#[test]
fn in_the_foreground_the_command_lasts_as_long_as_the_mail_system() {
    let story = |which| {
        let machine = Machine::new(which, INTERNET_SITE);
        machine.command("postfix", &["check"]);
        let mut command = machine.program("postfix");
        let mut foreground = command.arg("start-fg").stdout(Stdio::null()).spawn().expect("nsenter starts");
        machine.wait_until("port 25 answers", || machine.connect().is_some());
        assert!(foreground.try_wait().expect("a child").is_none(), "it has not come back");
        let stopped = run(&machine, "root", &["stop"], 1);
        let code = foreground.wait().expect("a child").code();
        machine.wait_for_line("terminating on signal");
        let events = machine
            .events()
            .into_iter()
            .filter(|line| line.contains("/master: ") || line.contains("-script: "));
        // Postfix's master complains when it kills a group in which nobody is left, which chance decides.
        let of_chance = ["daemon started", "waiting for", "fatal: master_sigdeath: "];
        let events = events.filter(|line| of_chance.iter().all(|text| !line.contains(text)));
        (stopped, code, events.collect::<Vec<_>>())
    };
    assert_eq!(story(Which::Posthaste), story(Which::Postfix));
}
