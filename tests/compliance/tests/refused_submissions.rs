//! What becomes of a local submission that cleanup cannot accept: nobody waits for a reply, so its sender hears of
//! it by mail, or the file stays. Beside Debian's Postfix: log lines, notifications, what is left.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    plain::{Plain, difference, without_prose},
    system::{System, Which, files},
};
use std::{
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    process::Stdio,
};

const SETTINGS: &str = "hopcount_limit = 5\nmessage_size_limit = 10000\nmailbox_size_limit = 10000\n\
    virtual_mailbox_limit = 0\nvirtual_mailbox_domains = home.test\nvirtual_mailbox_base = $B/mail\n\
    virtual_mailbox_maps = inline:{ { joe@home.test = joe/ } { ann@home.test = ann/ } { root@home.test = root/ } }\n\
    virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\nmyorigin = home.test\n\
    alternate_config_directories = $B/large\nvirtual_alias_expansion_limit = 3\n\
    virtual_alias_recursion_limit = 3\nvirtual_alias_address_length_limit = 60\n\
    virtual_alias_maps = inline:{ { many@home.test = a@x.test b@x.test c@x.test d@x.test } \
    { loop@home.test = l1@home.test } { l1@home.test = l2@home.test } { l2@home.test = l3@home.test } \
    { l3@home.test = l4@home.test } { l4@home.test = l5@home.test } \
    { long@home.test = a.very.long.name.that.goes.on.and.on.and.on.and.on@and.on.test } }\n";

/// How a submission ends.
#[derive(Clone, Copy)]
enum End {
    /// Its sender has been told, and every message about it has gone.
    Returned,
    /// It is not in maildrop any more, with a warning.
    Gone,
    /// It is still there, and this was logged, which is said of no other file.
    Kept(&'static str),
}

struct Story {
    system: System,
    /// How much of the log has been told.
    seen: usize,
}

/// What stays is tried again, perhaps already, each time under another queue id; and what stayed before may have been.
/// The lines of the first try of which this was said.
fn one_try(log: &str, text: &str) -> String {
    let said = log.lines().find(|line| line.contains(text)).expect("it was waited for");
    let about = said.split_once("]: ").map_or(said, |(_, rest)| rest).trim_start_matches("warning: ");
    let about = about.split_once("error writing ").map_or(about, |(_, rest)| rest);
    let id = about.split(':').next().unwrap_or_default();
    log.lines().filter(|line| line.contains(id)).flat_map(|line| [line, "\n"]).collect()
}

impl Story {
    fn begin(which: Which, settings: &str) -> Self {
        let system = System::prepare(which, &format!("{SETTINGS}{settings}"));
        let main_cf = fs::read_to_string(system.path("etc/main.cf")).expect("it was prepared");
        fs::create_dir(system.path("large")).expect("a fresh directory");
        let large = main_cf.replace("message_size_limit = 10000", "message_size_limit = 1000000");
        fs::write(system.path("large/main.cf"), large).expect("space");
        fs::copy(system.path("etc/master.cf"), system.path("large/master.cf")).expect("space");
        system.run();
        let seen = system.log().len();
        Self { system, seen }
    }

    /// `sendmail` with a configuration that lets larger mail into maildrop.
    fn submit(&mut self, arguments: &[&str], message: &str) -> String {
        let mut command = self.system.program("sendmail");
        command.env("MAIL_CONFIG", self.system.path("large")).args(arguments);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().expect("sendmail starts");
        child.stdin.take().expect("a pipe").write_all(message.as_bytes()).expect("sendmail reads");
        let output = child.wait_with_output().expect("a child");
        format!("{:?} {}", output.status.code(), String::from_utf8_lossy(&output.stderr))
    }

    /// Waits until what was submitted has come to its end. Tells what was logged, what is left in maildrop, and who
    /// got what.
    fn end(&mut self, end: End) -> Vec<String> {
        let system = &self.system;
        let news = || system.log().get(self.seen..).unwrap_or_default().to_owned();
        system.wait_until("the submission has an end", || {
            let is_idle = ["incoming", "active", "bounce"].iter().all(|queue| system.queued(queue) == 0);
            let log = news();
            let is_over = match end {
                End::Kept(text) => log.contains(text),
                End::Gone => {
                    let is_warning = |line: &str| line.contains("/pickup[") && line.contains("warning: ");
                    system.queued("maildrop") == 0 && log.lines().any(is_warning)
                }
                End::Returned => {
                    system.queued("maildrop") == 0
                        && log.contains("status=bounced")
                        && log.matches("(queue active)").count() == log.matches(": removed\n").count()
                }
            };
            is_idle && is_over
        });
        self.flush_log();
        let mut log = self.system.log().get(self.seen..).unwrap_or_default().to_owned();
        if let End::Kept(text) = end {
            log = one_try(&log, text);
        }
        let plain = Plain::new(&log);
        // 3.7 does not say of what is not queued that it is removed; what it had not written yet is a warning of chance, and
        // so is a file system's clock that has passed a second before its own.
        let is_told = |line: &&str| {
            let passed_by = [": removed", "/smtpd[", "/master[", "unexpected EOF in data"];
            let passed_by = passed_by.iter().chain(&["file system clock is", "resetting file time stamps"]);
            !passed_by.into_iter().any(|text| line.contains(text))
        };
        let told = log.lines().filter(is_told);
        // Several processes write: what counts is who said what.
        let mut told: Vec<String> = told.filter_map(|line| plain.log_line(line)).collect();
        told.sort();
        told.push(format!("{} left in maildrop", system.queued("maildrop")));
        for name in ["joe", "ann", "root"] {
            let mut texts = Vec::new();
            for path in files(&system.path("mail").join(name)) {
                let text = String::from_utf8_lossy(&fs::read(&path).expect("mail")).into_owned();
                texts.push(format!("{name} got:\n{}", without_prose(&plain.text(&text))));
                fs::remove_file(path).expect("a file");
            }
            texts.sort();
            told.extend(texts);
        }
        for path in files(&system.path("spool/maildrop")) {
            fs::remove_file(path).expect("a file");
        }
        self.seen = system.log().len();
        told
    }
}

impl Story {
    /// Postfix's lines go through one more process: when that has written a later one, all are there.
    fn flush_log(&self) {
        let mark = format!("mark at {}", self.seen);
        self.system.command("postlog", &["-t", "mark", &mark]);
        self.system.wait_until("the log is complete", || self.system.log().contains(&mark));
    }
}

fn compare(case: &str, story: impl Fn(Which) -> Vec<String>) {
    let (theirs, ours) = (story(Which::Postfix), story(Which::Posthaste));
    assert!(!theirs.is_empty());
    let difference = difference(&ours.join("\n"), &theirs.join("\n"));
    assert!(difference.is_none(), "{case}: {}", difference.unwrap_or_default());
}

fn with_hops() -> String {
    format!("{}Subject: round and round\n\nThe body.\n", "Received: by some.where; some day\n".repeat(6))
}

fn large() -> String {
    format!(
        "Subject: large\nTo: ann@home.test\n\n{}",
        "A line of a message that is too large.\n".repeat(1_000)
    )
}

/// Notifications are made as bounce(8) makes them, with the original message where it is whole and wanted.
#[test]
fn the_sender_hears_of_what_cleanup_refuses_for_good() {
    compare("refusals", |which| {
        let mut story = Story::begin(which, "");
        let mut told = Vec::new();
        let hops = with_hops();
        let cases: [(&str, &[&str], &str); 8] = [
            ("too many hops", &["-f", "joe@home.test", "ann@home.test"], &hops),
            ("two recipients, -t", &["-f", "joe", "-t", "x@y.test"], &format!("To: ann, bob@x.test\n{hops}")),
            ("RET=HDRS", &["-f", "joe", "-R", "hdrs", "-V", "an-id", "ann@home.test"], &hops),
            ("8 bit", &["-f", "joe", "-B", "8BITMIME", "ann@home.test"], &format!("X-Name: \u{fc}\n{hops}")),
            ("null sender", &["-f", "<>", "ann@home.test"], &hops),
            ("too large", &["-f", "joe", "ann@home.test"], &large()),
            ("too large, -t", &["-f", "joe", "-t"], &large()),
            ("too large and too many hops", &["-f", "joe", "ann"], &format!("{hops}{}", large())),
        ];
        for (name, arguments, message) in cases {
            let output = story.submit(arguments, message);
            told.push(format!("--- {name}: {output}"));
            told.extend(story.end(End::Returned));
        }
        if which == Which::Posthaste {
            let log = story.system.log();
            assert_eq!(log.matches(": removed (discarded)").count(), cases.len(), "{log}");
        }
        told
    });
}

/// Postfix begins a notification and takes it back; the message goes all the same.
#[test]
fn nobody_hears_of_it_where_the_sender_wants_that() {
    compare("NOTIFY=NEVER", |which| {
        let mut story = Story::begin(which, "");
        let mut told =
            vec![story.submit(&["-f", "joe@home.test", "-N", "never", "ann@home.test"], &with_hops())];
        told.extend(story.end(End::Returned).into_iter().filter(|line| !line.contains("ID2")));
        told
    });
}

#[test]
fn the_postmaster_hears_of_it_where_notify_classes_say_so() {
    compare("postmaster", |which| {
        let settings = "notify_classes = bounce, 2bounce\nbounce_notice_recipient = root\n\
            2bounce_notice_recipient = root\n";
        let mut story = Story::begin(which, settings);
        let mut told = Vec::new();
        for sender in ["joe@home.test", "<>", "double-bounce@home.test"] {
            told.push(story.submit(&["-f", sender, "ann@home.test"], &with_hops()));
            told.extend(story.end(End::Returned));
        }
        told
    });
}

/// A table that cannot be asked, an expansion without end, soft_bounce: the file stays for another try.
#[test]
fn what_may_be_accepted_later_stays_in_maildrop() {
    compare("kept", |which| {
        let mut story = Story::begin(which, "");
        let mut told = Vec::new();
        // The file before may be tried once more while this one is waited for.
        let own_words = [
            ("many", "expansion size for many@home.test -- message not accepted, try again later"),
            ("loop", "nesting for loop@home.test -- message not accepted, try again later"),
            ("long", "result a.very.long.name"),
        ];
        for (name, text) in own_words {
            told.push(
                story.submit(&["-f", "joe@home.test", &format!("{name}@home.test")], "Subject: x\n\nx\n"),
            );
            told.extend(story.end(End::Kept(text)));
        }
        told
    });
    compare("soft bounce", |which| {
        let mut story = Story::begin(which, "soft_bounce = yes\n");
        let output = story.submit(&["-f", "joe@home.test", "ann@home.test"], &with_hops());
        let mut told = story.end(End::Kept("error writing"));
        told.push(output);
        told
    });
}

/// What is for nobody is nobody's loss; what is no message is kept for a human, where Postfix removes it.
#[test]
fn what_is_no_submission_does_not_stay_in_maildrop() {
    let story = |which| {
        let mut story = Story::begin(which, "");
        let mut told = Vec::new();
        let record = |kind: u8, data: &str| {
            let length = u8::try_from(data.len()).expect("a short record");
            [&[kind, length], data.as_bytes()].concat()
        };
        let content =
            [record(b'M', ""), record(b'N', "Subject: x"), record(b'X', ""), record(b'E', "")].concat();
        let cases: [(&str, &[(u8, &str)]); 6] = [
            ("no recipients", &[(b'T', "1"), (b'S', "joe")]),
            ("recipients that are done", &[(b'T', "1"), (b'S', "joe"), (b'D', "ann")]),
            ("no sender", &[(b'T', "1"), (b'R', "ann")]),
            ("unknown record", &[(b'T', "1"), (b'S', "joe"), (b'?', ""), (b'R', "ann")]),
            ("two senders", &[(b'T', "1"), (b'S', "joe"), (b'S', "ann"), (b'R', "ann")]),
            ("unknown rewriting context", &[(b'A', "rewrite_context=x"), (b'S', "joe"), (b'R', "ann")]),
        ];
        let mut set_aside = 0;
        for (number, (name, envelope)) in cases.into_iter().enumerate() {
            let records: Vec<u8> = envelope.iter().flat_map(|(kind, data)| record(*kind, data)).collect();
            let path = story.system.path(&format!("spool/maildrop/ABCDEF{number}00"));
            fs::write(&path, [records, content.clone()].concat()).expect("space");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o744)).expect("our own file");
            let mut pickup =
                UnixStream::connect(story.system.path("spool/public/pickup")).expect("pickup listens");
            pickup.write_all(b"W").expect("pickup reads");
            told.push(format!("--- {name}"));
            let mut end = story.end(End::Gone);
            // How much cleanup has seen when pickup breaks off is chance.
            end.retain(|line| !line.contains("; moved to corrupt") && !line.starts_with("cleanup:"));
            told.extend(end);
            set_aside += usize::from(story.system.queued("corrupt") > set_aside);
        }
        (told, set_aside)
    };
    let (theirs, ours) = (story(Which::Postfix), story(Which::Posthaste));
    let difference = difference(&ours.0.join("\n"), &theirs.0.join("\n"));
    assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    assert_eq!((ours.1, theirs.1), (4, 0));
}
