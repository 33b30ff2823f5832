//! Queue files and queue tools beside Debian's Postfix: what it wrote we read, what we print it prints.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test and its helpers")]

mod debian;

use debian::{Instance, run, text};
use queue::{Queue, QueueSettings, RealDisk};
use queue_format::{Envelope, Reader, RecipientState, Recipients};
use std::collections::BTreeSet;
use types::QueueName;

fn ours(instance: &Instance, command: &str, args: &[&str]) -> std::process::Output {
    instance.ours(env!("CARGO_BIN_EXE_command-under-test"), &[command], args)
}

const DELIVERIES: &str = "transport_maps = inline:{ {ok.test = discard:} {later.test = retry:4.0.0 try later} }\n\
    defer_transports = smtp\n";

/// An instance whose deferred queue holds messages of many shapes.
fn with_deferred_mail(name: &str, settings: &str) -> Instance {
    let instance = Instance::new(name, &format!("{DELIVERIES}{settings}"));
    instance.start();
    let long = "x".repeat(5_000);
    let long_header = format!("Subject: {}\n {}\n\nbody\n", "y".repeat(900), "z".repeat(900));
    let shapes: [(&[&str], &str); 8] = [
        (&["-f", "sender@example.com", "a@later.test"], "Subject: plain\n\nbody\n"),
        (&["-f", "", "b@later.test"], "no header at all\n"),
        (&["-f", "s@x.test", "done@ok.test", "c@later.test", "done2@ok.test"], "Subject: some done\n\n.\n"),
        (&["-F", "Full Name", "-f", "s@x.test", "d@later.test"], &format!("Subject: l\n\n{long}\n{long}")),
        (&["-f", "s@x.test", "e@later.test"], &long_header),
        (&["-N", "success,delay", "-V", "envid+20x", "-R", "hdrs", "-f", "s@x.test", "f@later.test"], "\n\n"),
        (&["-f", "s p@x.test", "\"q q\"@later.test"], "Subject: quoted\n\nno final newline"),
        (&["-XV", "-f", "s@x.test", "g@later.test", "h@later.test"], " starts with a blank\n\nbody\n"),
    ];
    for (args, message) in &shapes {
        instance.sendmail(args, message.as_bytes());
    }
    let server = format!("127.0.0.1:{}", instance.smtp_port);
    run("/usr/sbin/smtp-source", &["-m", "3", "-r", "30", "-l", "3000", "-t", "many@relay.test", &server]);
    instance.wait_until("mail to be deferred", || instance.files("deferred").len() == shapes.len() + 3);
    instance
}

/// Compares line by line, so that a difference is one line to look at.
fn same(ours: &str, theirs: &str, what: &[&str]) {
    for (number, (our_line, their_line)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(our_line, their_line, "{what:?} line {number}");
    }
    assert_eq!(ours.len(), theirs.len(), "{what:?}");
}

#[test]
fn postcat_prints_what_debians_prints() {
    let instance = with_deferred_mail("postcat", "");
    let option_sets: &[&[&str]] = &[
        &[],
        &["-v"],
        &["-o"],
        &["-e"],
        &["-h"],
        &["-b"],
        &["-bh"],
        &["-eb"],
        &["-d"],
        &["-vo"],
        &["-vr"],
        &["-r"],
        &["-do"],
        &["-vdor"],
        &["-s", "97"],
        &["-os", "0"],
    ];
    for file in instance.files("deferred") {
        let id = file.rsplit('/').next().unwrap();
        let path = instance.spool().join(&file);
        let path = path.to_string_lossy();
        for options in option_sets {
            for target in [&["-q", id][..], &[&*path]] {
                let args = [*options, target].concat();
                let (theirs, ours) = (instance.debian("postcat", &args), ours(&instance, "postcat", &args));
                same(&text(&ours.stdout), &text(&theirs.stdout), &args);
                assert_eq!(ours.status.code(), theirs.status.code(), "{args:?}");
            }
        }
    }
    for args in [&["-q", "0000000"][..], &["-q", "../x"], &["/nonexistent"], &["/etc/hostname"], &["-Z"]] {
        let (theirs, ours) = (instance.debian("postcat", args), ours(&instance, "postcat", args));
        assert_eq!(ours.status.code(), theirs.status.code(), "{args:?}");
        let theirs = text(&theirs.stderr).replace("/usr/sbin/postcat", "postcat");
        assert_eq!(text(&ours.stderr), theirs, "{args:?}");
    }
}

/// What is done is skipped, what is to be done is found, with the reasons of its last try.
#[test]
fn debians_deferred_spool_is_read_right() {
    let instance = with_deferred_mail("spool", "enable_long_queue_ids = yes");
    instance.stop();
    let settings = QueueSettings { enable_long_queue_ids: true, ..QueueSettings::default() };
    let queue = Queue::new(RealDisk::open(&instance.spool()).unwrap(), settings);
    let mut ids = Vec::new();
    queue
        .scan(QueueName::Deferred, &mut |entry| {
            assert!(entry.is_ready());
            assert_eq!(queue::decode_inode(entry.id.as_str()), Some((entry.status.inode, true)));
            ids.push(entry.id);
            true
        })
        .unwrap();
    assert_eq!(ids.len(), instance.files("deferred").len());
    let mut done = BTreeSet::new();
    for id in ids {
        assert!(instance.spool().join(queue.path(QueueName::Deferred, &id)).exists());
        let file = queue.open_for_reading(QueueName::Deferred, &id).unwrap().unwrap();
        let envelope = Envelope::read(&file, 7).unwrap();
        assert!(envelope.oddities.is_empty(), "{:?}", envelope.oddities);
        let mut todo = Vec::new();
        let mut batch = envelope.batch.clone();
        loop {
            todo.extend(batch.recipients.iter().map(|r| (r.offset, r.address.to_string())));
            let Some(offset) = batch.next_offset else { break };
            batch = envelope.more_recipients(&file, offset, 7).unwrap();
        }
        assert!(todo.iter().all(|(_, address)| !address.ends_with("@ok.test")), "{todo:?}");
        let mut walk = Recipients::new(Reader::new(&file));
        while let Some(entry) = walk.next_recipient().unwrap() {
            if entry.state == RecipientState::Done {
                done.insert(entry.recipient.address.to_string());
            }
        }
        let mut log = queue.read_log(QueueName::Defer, &id).unwrap().expect("a deferred message has its log");
        let mut logged = Vec::new();
        while let Some(entry) = log.next_entry().unwrap() {
            assert_eq!(entry.action, "delayed");
            assert!(entry.reason == "try later" || entry.reason == "deferred transport", "{entry:?}");
            assert!(entry.status == "4.0.0" || entry.status == "4.3.2", "{entry:?}");
            logged.push(entry.offset);
        }
        logged.sort_unstable();
        let mut offsets: Vec<_> = todo.iter().map(|(offset, _)| *offset).collect();
        offsets.sort_unstable();
        assert_eq!(logged, offsets);
    }
    assert_eq!(done, ["done@ok.test", "done2@ok.test"].map(str::to_owned).into());
}

/// Every option, on two equal spools: Debian's command on one, ours on the other.
#[test]
fn postsuper_does_and_says_what_debians_does() {
    let theirs = with_deferred_mail("postsuper", "");
    theirs.stop();
    let ours_spool = Instance::new("postsuper", DELIVERIES);
    for queue in ["deferred", "defer"] {
        let from = theirs.spool().join(queue).join(".");
        let to = ours_spool.spool().join(queue);
        assert!(run("cp", &["-a", &from.to_string_lossy(), &to.to_string_lossy()]).status.success());
    }
    // The copies have other inode numbers: the first repair renames them all.
    let repaired = ours(&ours_spool, "postsuper", &["-s"]);
    let count = ours_spool.files("deferred").len();
    let expected = format!(
        "postsuper: Renamed to match inode number: {count} messages\n\
        postsuper: warning: QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS\n"
    );
    assert_eq!((text(&repaired.stderr), repaired.status.code()), (expected, Some(0)));
    let again = ours_spool.debian("postsuper", &["-s"]);
    assert_eq!((text(&again.stderr).as_str(), again.status.code()), ("", Some(0)));
    assert_eq!(ours_spool.files("deferred").len(), theirs.files("deferred").len());
    assert_eq!(
        ours_spool.files("defer").len(),
        ours_spool.files("deferred").len(),
        "logs are renamed with their messages"
    );

    same_scripts(&theirs, &ours_spool);
}

/// Runs command lines on both spools; IDn stands for the n-th message, whose name differs between them.
fn same_scripts(theirs: &Instance, ours_spool: &Instance) {
    let sets = [theirs, ours_spool].map(|instance| {
        let mut files = instance.files("deferred");
        files.sort_by_key(|file| std::fs::read(instance.spool().join(file)).unwrap());
        files.iter().map(|file| file.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>()
    });
    let scripts: &[&[&str]] = &[
        &["-h", "ID0", "-h", "ID1"],
        &["-H", "ID0"],
        &["-h", "NOSUCH"],
        &["-h", "bad/name"],
        &["-f", "ID1"],
        &["-e", "ID2"],
        &["-e", "ID2"],
        &["-r", "ID3"],
        &["-d", "ID4"],
        &["-d", "ID4"],
        &["-d", "ID5", "deferred"],
        &["-d", "ID6", "hold"],
        &["-h", "ALL", "deferred"],
        &["-f", "ALL"],
        &["-H", "ALL"],
        &["-e", "ALL", "deferred"],
        &["-s"],
        &["-p"],
        &["-r", "ALL", "nosuch"],
        &["-r", "ALL", "deferred"],
        &["-d", "ALL", "maildrop"],
        &["-d", "ALL"],
        &["-Z"],
        &["-c", "relative"],
    ];
    for script in scripts {
        let mut results = Vec::new();
        for (instance, ids) in [(theirs, &sets[0]), (ours_spool, &sets[1])] {
            let named: Vec<&str> = script
                .iter()
                .map(|word| {
                    word.strip_prefix("ID").map_or(*word, |n| ids[n.parse::<usize>().unwrap()].as_str())
                })
                .collect();
            let output = if results.is_empty() {
                instance.debian("postsuper", &named)
            } else {
                ours(instance, "postsuper", &named)
            };
            let mut said = text(&output.stderr);
            for (number, id) in ids.iter().enumerate() {
                said = said.replace(id.as_str(), &format!("ID{number}"));
            }
            let counts =
                ["maildrop", "deferred", "hold", "defer", "incoming"].map(|q| instance.files(q).len());
            results.push((said, output.status.code(), counts));
        }
        assert_eq!(results[1], results[0], "{script:?}");
    }
}
