//! Mail that cannot be delivered now: when it is tried again, and what ends that.

use crate::{
    network::{alone, fates, submit},
    sink::Sink,
};
use compliance::system::{System, Which, files};
use std::{
    fs,
    time::{Duration, SystemTime},
};

const ZONE: &str = "
slow.test MX 10 sink.test
sink.test A 127.0.0.2
other.test A 127.0.0.3
";

const CONTENT: &str = "Subject: x\r\nMessage-ID: <m@client.test>\r\n\r\nbody";

/// Tries follow each other within seconds.
const FAST: &str = "minimal_backoff_time = 1s\nmaximal_backoff_time = 2s\nqueue_run_delay = 1s\n";

/// Tries only by command: what is deferred stays so.
const SLOW: &str = "minimal_backoff_time = 1000s\nmaximal_backoff_time = 2000s\nqueue_run_delay = 300s\n";

const LATER: &[&str] = &["RCPT => 450 4.2.0 not now"];

#[test]
fn deferred_mail_is_tried_again_until_it_is_taken() {
    alone("retry::deferred_mail_is_tried_again_until_it_is_taken", ZONE, || {
        let sink = Sink::start("127.0.0.2:25", LATER);
        let system = System::start(Which::Posthaste, FAST);
        let id = submit(&system, "s@client.test", &["r@slow.test"], CONTENT);
        let tries = || sink.commands().iter().filter(|line| line.starts_with("RCPT")).count();
        system.wait_until("it was tried thrice", || tries() >= 3);
        sink.obey(&[]);
        system.wait_until("it is delivered", || sink.messages().len() == 1);
        system.wait_until("it is removed", || system.log().contains(&format!("{id}: removed")));
        let fates = &fates(&system.log())["r@slow.test"];
        assert!(fates.len() == tries(), "{fates:?}");
        let (last, before) = fates.split_last().unwrap();
        assert!(last.contains("status=sent"), "{last}");
        assert!(
            before
                .iter()
                .all(|line| line.contains("status=deferred (host sink.test[127.0.0.2] said: 450 4.2.0"))
        );
        assert_eq!(files(&system.path("spool/defer")).len() + files(&system.path("spool/deferred")).len(), 0);
    });
}

/// The log's story of a message that nobody takes, up to its end: service and text, ids by order of appearance.
fn story_of_expiry(which: Which) -> Vec<String> {
    let settings = "maximal_queue_lifetime = 4s\nbounce_queue_lifetime = 4s\ndelay_warning_time = 2s\n\
        virtual_mailbox_domains = home.test\nvirtual_mailbox_base = $B/mail\nvirtual_mailbox_maps = static:inbox/\n\
        virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n";
    let system = System::start(which, &format!("{FAST}{settings}"));
    let inbox = system.path("mail/inbox/new");
    let id = submit(&system, "s@home.test", &["r@slow.test"], CONTENT);
    system.wait_until("it has come to an end", || system.log().contains(&format!("{id}: removed")));
    system.wait_until("both notifications have arrived", || files(&inbox).len() == 2);
    let mut subjects: Vec<String> = files(&inbox)
        .iter()
        .filter_map(|path| {
            let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
            text.lines().find(|line| line.starts_with("Subject: ")).map(str::to_owned)
        })
        .collect();
    subjects.sort();
    let of_it = |line: &&str| line.contains(&format!(": {id}: ")) && !line.contains("smtpd[");
    let log = system.log();
    for line in log.lines().filter(of_it) {
        let text = line.split_once(&format!(": {id}: ")).unwrap().1;
        let service = line.split_once('[').unwrap().0.rsplit('/').next().unwrap();
        let text = match text.split_once("notification: ") {
            Some((kind, _)) => format!("{kind}notification"),
            None if text.starts_with("to=<") => {
                format!("{} {}", text.split(',').next().unwrap(), &text[text.find("dsn=").unwrap()..])
            }
            None => text.to_owned(),
        };
        let story = format!("{service}: {text}");
        // How many tries there are in the time depends on the moment.
        if subjects.last() != Some(&story)
            && !(service == "qmgr" && text.starts_with("from=") && text.ends_with("active)"))
        {
            subjects.push(story);
        }
    }
    subjects.dedup();
    subjects
}

#[test]
fn what_nobody_takes_is_warned_of_and_then_returned() {
    alone("retry::what_nobody_takes_is_warned_of_and_then_returned", ZONE, || {
        let _sink = Sink::start("127.0.0.2:25", LATER);
        let (theirs, ours) = (story_of_expiry(Which::Postfix), story_of_expiry(Which::Posthaste));
        assert_eq!(ours, theirs);
    });
}

#[test]
fn an_administrator_can_have_mail_tried_at_once() {
    alone("retry::an_administrator_can_have_mail_tried_at_once", ZONE, || {
        let sink = Sink::start("127.0.0.2:25", LATER);
        let system = System::start(Which::Posthaste, SLOW);
        let ids: Vec<_> = (0..4)
            .map(|n| submit(&system, "s@client.test", &[&format!("r{n}@slow.test")], CONTENT))
            .collect();
        system.wait_until("all are deferred", || system.queued("deferred") == 4);
        sink.obey(&[]);
        system.command("postqueue", &["-i", &ids[2]]);
        system.wait_until("the one is delivered", || sink.messages().len() == 1);
        assert_eq!(sink.messages()[0].recipients, ["r2@slow.test"]);
        system
            .wait_until("three are left", || system.queued("deferred") == 3 && system.queued("active") == 0);
        system.command("postqueue", &["-f"]);
        system.wait_until("all are delivered", || sink.messages().len() == 4);
        system.wait_until("the queue is empty", || system.queued("deferred") + system.queued("active") == 0);
    });
}

#[test]
fn a_restart_keeps_the_time_of_the_next_try() {
    alone("retry::a_restart_keeps_the_time_of_the_next_try", ZONE, || {
        let sink = Sink::start("127.0.0.2:25", LATER);
        let other = Sink::start("127.0.0.3:25", &[]);
        let system = System::start(Which::Posthaste, SLOW);
        submit(&system, "s@client.test", &["r@slow.test"], CONTENT);
        system.wait_until("it is deferred", || system.queued("deferred") == 1);
        let next_try =
            || fs::metadata(&files(&system.path("spool/deferred"))[0]).unwrap().modified().unwrap();
        let before = next_try();
        let ahead = before.duration_since(SystemTime::now()).unwrap();
        assert!(ahead > Duration::from_secs(900) && ahead <= Duration::from_secs(1001), "{ahead:?}");
        system.command("postfix", &["stop"]);
        system.command("postfix", &["start"]);
        system.wait_until("it serves again", || std::net::TcpStream::connect(system.address()).is_ok());
        submit(&system, "s@client.test", &["r@other.test"], CONTENT);
        system.wait_until("new mail goes out", || other.messages().len() == 1);
        assert_eq!((next_try(), sink.sessions()), (before, 1));
    });
}

#[test]
fn damaged_content_is_set_aside() {
    alone("retry::damaged_content_is_set_aside", ZONE, || {
        let sink = Sink::start("127.0.0.2:25", LATER);
        let story = |which| {
            let system = System::start(which, SLOW);
            sink.obey(LATER);
            submit(&system, "s@client.test", &["r@slow.test"], CONTENT);
            system.wait_until("it is deferred", || system.queued("deferred") == 1);
            let file = files(&system.path("spool/deferred")).remove(0);
            let modified = fs::metadata(&file).unwrap().modified().unwrap();
            let mut bytes = fs::read(&file).unwrap();
            let at = bytes.windows(4).position(|window| window == b"body").unwrap();
            // The record's type becomes one that content does not have.
            bytes[at - 2] = b'?';
            fs::write(&file, &bytes).unwrap();
            fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
            sink.obey(&[]);
            system.command("postqueue", &["-f"]);
            system.wait_until("it is set aside", || system.queued("corrupt") == 1);
            assert_eq!(system.queued("deferred") + system.queued("active"), 0);
            fates(&system.log())["r@slow.test"].last().unwrap().clone()
        };
        assert_eq!(story(Which::Posthaste), story(Which::Postfix));
        assert_eq!(sink.messages().len(), 0);
    });
}
