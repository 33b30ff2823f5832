//! A spool that the queue crate wrote is a spool of Debian's Postfix: read by postcat, left alone by postsuper,
//! delivered by qmgr and smtp.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test and its helpers")]

mod debian;

use debian::{Instance, free_port, run, text};
use queue::{Claimed, Queue, QueueSettings, RealDisk};
use queue_format::{Envelope, LogEntry, RecordType, Sizes, Writer};
use std::path::Path;
use types::{Dsn, QueueId, QueueName, Status, WallTime};

const NOW: WallTime = WallTime { seconds: 1_780_000_000, micros: 500_000 };

/// A queue file as Postfix's cleanup writes one, place holders for edits included.
fn file(id: &QueueId, recipients: &[String], body: &[&[u8]]) -> Vec<u8> {
    let mut writer = Writer::new();
    let at = writer.sizes(&Sizes::default());
    writer.time(NOW);
    writer.attribute("create_time", NOW.seconds.to_string().as_bytes());
    writer.attribute("log_ident", id.as_str().as_bytes());
    writer.attribute("rewrite_context", b"local");
    writer.record(RecordType::SENDER, b"sender@example.com");
    for recipient in recipients {
        writer.attribute("dsn_orig_rcpt", format!("rfc822;{recipient}").as_bytes());
        writer.record(RecordType::ORIGINAL_RECIPIENT, recipient.as_bytes());
        writer.record(RecordType::RECIPIENT, recipient.as_bytes());
    }
    writer.record(RecordType::CONTENT, b"");
    let data_offset = writer.position();
    writer.line(b"Subject: written by another hand", 2048);
    writer.pointer(0);
    writer.line(b"", 2048);
    for line in body {
        writer.line(line, 2048);
    }
    writer.pointer(0);
    let content = writer.position() - data_offset;
    let sizes = Sizes {
        content_records_bytes: content,
        data_offset,
        recipients: recipients.len() as u64,
        content_bytes: content,
        ..Sizes::default()
    };
    writer.record(RecordType::EXTRACTED, b"");
    writer.record(RecordType::END, b"");
    assert!(writer.patch_sizes(at, &sizes));
    writer.bytes().to_vec()
}

/// Writes messages through the queue; every fifth is deferred with its second recipient done and its first in
/// the defer log.
fn write_spool(queue: &Queue<RealDisk>, count: usize) -> usize {
    queue.adopt_pool().unwrap();
    queue.refill_pool().unwrap();
    let mut to_deliver = 0;
    for number in 0..count {
        let long = vec![b'x'; 5_000];
        let body: [&[u8]; 3] = [b"a line", &long, b".starts with a dot"];
        let recipients: Vec<_> = (0..2).map(|n| format!("u{number}-{n}@sink.test")).collect();
        let mut message = queue.new_message(NOW).unwrap();
        let bytes = file(&message.id(), &recipients, &body);
        message.append(&bytes).unwrap();
        let id = message.commit().unwrap();
        to_deliver += 2;
        if number % 5 == 0 {
            let Claimed::Taken(active) = queue.claim(NOW, QueueName::Incoming, &id, true).unwrap() else {
                panic!("{id} was not taken")
            };
            let envelope = Envelope::read(&active, 100).unwrap();
            let [first, second] = &envelope.batch.recipients[..] else { panic!("{envelope:?}") };
            let entry = LogEntry::new(first, &Status::new(Dsn::temporary(4, 1), "not now"), "delayed");
            queue.append_log(QueueName::Defer, &id, &[entry]).unwrap();
            active.mark_done(second.offset).unwrap();
            queue.defer(active, NOW).unwrap();
            to_deliver -= 1;
        }
    }
    to_deliver
}

fn delivered(directory: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        all += &text(&std::fs::read(entry.path()).unwrap_or_default());
    }
    all
}

#[test]
fn debians_postfix_takes_our_spool_as_its_own() {
    for long_ids in [false, true] {
        let sink_port = free_port();
        let yes = if long_ids { "yes" } else { "no" };
        let settings = format!("relayhost = [127.0.0.1]:{sink_port}\nenable_long_queue_ids = {yes}\n");
        let mut instance = Instance::new("ourspool", &settings);
        let queue_settings = QueueSettings { enable_long_queue_ids: long_ids, ..QueueSettings::default() };
        let queue = Queue::new(RealDisk::open(&instance.spool()).unwrap(), queue_settings);
        queue.make_directories().unwrap();
        let to_deliver = write_spool(&queue, 20);
        for name in ["pool", "incoming", "deferred", "defer"] {
            run("chown", &["-R", "postfix", &instance.spool().join(name).to_string_lossy()]);
        }
        let names = ["incoming", "deferred", "defer"].map(|name| instance.files(name));
        assert_eq!(names.each_ref().map(Vec::len), [16, 4, 4]);
        for checked in [instance.debian("postsuper", &["-s"]), instance.debian("postsuper", &["-p"])] {
            assert_eq!((text(&checked.stderr).as_str(), checked.status.code()), ("", Some(0)));
        }
        assert_eq!(
            ["incoming", "deferred", "defer"].map(|name| instance.files(name)),
            names,
            "renamed nothing"
        );
        let checked = instance.debian("postfix", &["check"]);
        assert_eq!(
            (text(&checked.stderr).as_str(), checked.status.code()),
            ("", Some(0)),
            "{}",
            instance.log()
        );
        for file in names[0].iter().chain(&names[1]) {
            let id = file.rsplit('/').next().unwrap();
            let shown = instance.debian("postcat", &["-q", id]);
            assert!(shown.status.success() && shown.stderr.is_empty(), "{}", text(&shown.stderr));
            assert!(text(&shown.stdout).contains("MESSAGE FILE END"), "{}", text(&shown.stdout));
        }

        let sink = instance.directory.join("sink");
        std::fs::create_dir(&sink).unwrap();
        run("chown", &["postfix", &sink.to_string_lossy()]);
        let template = format!("{}/m.", sink.display());
        let listen = format!("127.0.0.1:{sink_port}");
        instance.keep("/usr/sbin/smtp-sink", &["-u", "postfix", "-d", &template, &listen, "100"]);
        instance.wait_until("smtp-sink to listen", || std::net::TcpStream::connect(&listen).is_ok());
        instance.start();
        let sent = || instance.log().matches("status=sent").count();
        instance.wait_until("delivery", || sent() == to_deliver);
        instance.wait_until("the queue to drain", || {
            ["incoming", "active", "deferred", "defer"].iter().all(|name| instance.files(name).is_empty())
        });
        let mail = delivered(&sink);
        assert_eq!(mail.matches("Subject: written by another hand").count(), 20);
        assert!(!mail.contains("u0-1@sink.test"), "a recipient that was done is left alone");
        let log = instance.log();
        let warnings: Vec<_> = log.lines().filter(|line| line.contains("warning")).collect();
        assert!(warnings.is_empty(), "{warnings:#?}");
    }
}
