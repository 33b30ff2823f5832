//! What senders and postmasters are told: beside Debian's Postfix, field by field.

use crate::{
    network::{alone, fates, sendmail, submit},
    sink::Sink,
};
use compliance::system::{System, Which, files};
use std::{collections::BTreeMap, fs};

const ZONE: &str = "
choosy.test A 127.0.0.5
fussy.test A 127.0.0.6
";

const SETTINGS: &str = "maximal_queue_lifetime = 0\nlocal_recipient_maps =\nmessage_size_limit = 20000\n\
    mailbox_size_limit = 20000\nvirtual_mailbox_limit = 20000\nbounce_size_limit = 3000\n\
    virtual_mailbox_domains = home.test\nvirtual_mailbox_base = $B/mail\nvirtual_mailbox_maps = texthash:$B/etc/boxes\n\
    virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
    virtual_alias_maps = inline:{ { postmaster@mx.test = postmaster@home.test } }\n\
    transport_maps = inline:{ { closed.test = error:5.7.1 we are closed } { later.test = retry:4.3.1 come back } }\n";

/// Sender, recipient, and whether the message is long.
const FAILURES: &[(&str, &str, bool)] = &[
    ("s1", "user@closed.test", false),
    ("s2", "unknown@choosy.test", false),
    ("s3", "user@fussy.test", false),
    ("s4", "user@later.test", false),
    ("s5", "no-such-user@mx.test", false),
    ("s6", "full@home.test", false),
    ("s7", "user@closed.test", true),
    ("s8", "unknown@choosy.test", false),
];

fn start(which: Which, settings: &str) -> System {
    let system = System::prepare(which, settings);
    let boxes: String = FAILURES.iter().map(|(name, ..)| format!("{name}@home.test {name}/\n")).collect();
    let boxes = format!("{boxes}postmaster@home.test postmaster/\nfull@home.test full\n");
    fs::write(system.path("etc/boxes"), boxes).unwrap();
    let full = system.path("mail/full");
    fs::write(&full, vec![b'\n'; 19_990]).unwrap();
    std::os::unix::fs::chown(&full, Some(65_534), Some(65_534)).unwrap();
    system.command("postfix", &["start"]);
    system.wait_until("the SMTP port answers", || std::net::TcpStream::connect(system.address()).is_ok());
    system
}

pub(crate) fn messages(system: &System, name: &str) -> Vec<String> {
    let paths = files(&system.path("mail").join(name).join("new"));
    paths.iter().map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()).collect()
}

/// A notification without what depends on the moment, and without the prose of its first part.
pub(crate) fn essence(message: &str) -> Vec<String> {
    let message = message.replace("\n\t", " ").replace("\n    ", " ");
    let mark = "boundary=\"";
    let boundaries: Vec<&str> =
        message.split(mark).skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let text = boundaries.iter().fold(message.clone(), |text, boundary| text.replace(boundary, "BOUNDARY"));
    let varies =
        ["Date", "Received", "Message-Id", "Message-ID", "X-Postfix-Queue-ID", "Arrival-Date", "References"];
    let mut lines = Vec::new();
    let mut is_prose = false;
    for line in text.lines() {
        if line == "Content-Description: Notification" {
            is_prose = true;
        } else if line.starts_with("--BOUNDARY") {
            is_prose = false;
        }
        let name = line.split(':').next().unwrap_or_default();
        if !is_prose {
            lines.push(if varies.contains(&name) { name.to_owned() } else { line.to_owned() });
        }
    }
    lines
}

/// Which notification lines were logged.
fn notifications(log: &str) -> Vec<String> {
    let kinds =
        log.lines().filter_map(|line| line.split_once("/bounce[")?.1.split_once(": ")?.1.split_once(": "));
    let kinds = kinds.filter(|(_, text)| text.contains("notification"));
    // `kind: id` of the notification, or `id: why there is none`.
    let piece = |text: &str| text.split(": ").find(|piece| piece.contains("notification")).map(str::to_owned);
    let mut kinds: Vec<_> = kinds.filter_map(|(_, text)| piece(text)).collect();
    kinds.sort();
    kinds
}

type Seen = (BTreeMap<String, Vec<Vec<String>>>, Vec<String>, BTreeMap<String, Vec<String>>);

fn failures(which: Which) -> Seen {
    let system = start(which, &format!("{SETTINGS}notify_classes = bounce, 2bounce\n"));
    for (sender, recipient, is_long) in FAILURES {
        let body =
            if *is_long { "a line of text that is repeated\n".repeat(200) } else { "body\n".to_owned() };
        let sender = format!("{sender}@home.test");
        sendmail(
            &system,
            &sender,
            &[recipient],
            &format!("Subject: x\nFrom: {sender}\nTo: {recipient}\n\n{body}"),
        );
    }
    submit(&system, "", &["no-such-user@mx.test"], "Subject: returned\r\n\r\nbody");
    let boxes = || FAILURES.iter().map(|(name, ..)| *name).chain(["postmaster"]);
    let count = || boxes().map(|name| messages(&system, name).len()).sum::<usize>();
    // Each sender is told, and the postmaster of each, and of the one without a sender.
    system.wait_until("everyone was told", || count() == 2 * FAILURES.len() + 1);
    system.wait_until("the queue is empty", || {
        ["incoming", "active", "deferred", "bounce", "defer"].iter().all(|queue| system.queued(queue) == 0)
    });
    // The last lines may come a moment after the last file has gone.
    system.wait_until("the log is complete", || {
        let log = system.log();
        log.matches(": removed").count() == log.matches("(queue active)").count()
    });
    // The directory differs; as it may be cut by the end of a line, only its name counts.
    let base = system.path("").display().to_string();
    let mut told = BTreeMap::new();
    for name in boxes() {
        let mut texts: Vec<_> =
            messages(&system, name).iter().map(|text| essence(&text.replace(base.as_str(), ""))).collect();
        texts.sort();
        told.insert(name.to_owned(), texts);
    }
    (told, notifications(&system.log()), fates(&system.log().replace(base.as_str(), "")))
}

#[test]
fn failures_are_reported_as_postfix_reports_them() {
    alone("bounces::failures_are_reported_as_postfix_reports_them", ZONE, || {
        let _sinks = [
            Sink::start("127.0.0.5:25", &["RCPT TO:<unknown@ => 550 5.1.1 no such user"]),
            Sink::start("127.0.0.6:25", &[". => 554-5.6.0 do not like it\r\n554 5.6.0 at all"]),
        ];
        let (theirs, ours) = (failures(Which::Postfix), failures(Which::Posthaste));
        assert_eq!(ours.2, theirs.2);
        assert_eq!(ours.1, theirs.1);
        for (name, expected) in &theirs.0 {
            assert_eq!(ours.0.get(name), Some(expected), "mailbox of {name}");
        }
    });
}

#[test]
fn a_notification_that_fails_ends_with_the_postmaster() {
    alone("bounces::a_notification_that_fails_ends_with_the_postmaster", ZONE, || {
        let story = |which, settings: &str| {
            let system = start(which, &format!("{SETTINGS}{settings}"));
            submit(&system, "gone@mx.test", &["no-such-user@mx.test"], "Subject: x\r\n\r\nbody");
            system.wait_until("the last message is removed", || {
                let log = system.log();
                let begun = log.matches("(queue active)").count();
                begun >= 2 && log.matches(": removed").count() == begun && system.queued("incoming") == 0
            });
            let notes: Vec<_> = messages(&system, "postmaster").iter().map(|text| essence(text)).collect();
            (notes, notifications(&system.log()), fates(&system.log()))
        };
        for settings in [
            // Nobody wants to hear of it; the postmaster does; the postmaster is unknown as well.
            "notify_classes =\n",
            "notify_classes = 2bounce\n",
            "notify_classes = 2bounce\nvirtual_alias_maps = inline:{ { postmaster@mx.test = gone@mx.test } }\n",
        ] {
            assert_eq!(story(Which::Posthaste, settings), story(Which::Postfix, settings), "{settings}");
        }
    });
}
