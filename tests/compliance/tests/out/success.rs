//! Senders who want to hear of success (RFC 3461): who tells them, and what, beside Debian's Postfix.

use crate::{
    bounces::{essence, messages},
    network::{alone, fates},
    sink::Sink,
};
use compliance::system::{System, Which};
use std::{collections::BTreeMap, fs, io::Write, process::Stdio};

const ZONE: &str = "
silent.test A 127.0.0.2
talks.test A 127.0.0.3
";

const SETTINGS: &str = "local_recipient_maps =\nalias_maps =\nmail_spool_directory = $B/mail/spool/\n\
    virtual_mailbox_domains = home.test\nvirtual_mailbox_base = $B/mail\nvirtual_mailbox_maps = texthash:$B/etc/boxes\n\
    virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
    transport_maps = inline:{ { thrown.test = discard: } { lmtp.test = lmtp:inet:127.0.0.4:24 } \
    { final.test = final:inet:127.0.0.4:24 } { knows.test = final:inet:127.0.0.5:24 } }\n";

const RECIPIENTS: &[&str] = &[
    "u@silent.test",
    "u@talks.test",
    "box@home.test",
    "nobody@mx.test",
    "u@thrown.test",
    "u@lmtp.test",
    "u@final.test",
    "u@knows.test",
];

fn run(which: Which) -> BTreeMap<String, Vec<String>> {
    let system = System::prepare(which, SETTINGS);
    let boxes: String = (0..RECIPIENTS.len()).map(|n| format!("s{n}@home.test s{n}/\n")).collect();
    fs::write(system.path("etc/boxes"), format!("{boxes}box@home.test box/\n")).unwrap();
    fs::create_dir(system.path("mail/spool")).unwrap();
    std::os::unix::fs::chown(system.path("mail/spool"), Some(65_534), Some(65_534)).unwrap();
    system.add_services("final unix - - n - - lmtp flags=X\n");
    system.run();
    for (n, recipient) in RECIPIENTS.iter().enumerate() {
        let mut command = system.program("sendmail");
        command.args(["-N", "success", "-R", "hdrs", "-f", &format!("s{n}@home.test")]);
        let mut child = command.args(["--", recipient]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"Subject: x\nMessage-ID: <m@client.test>\n\nbody\n").unwrap();
        assert!(child.wait().unwrap().success(), "{recipient}");
    }
    let queues = ["incoming", "active", "deferred", "trace"];
    system.wait_until("all mail has gone", || {
        let fates = fates(&system.log());
        let settled = RECIPIENTS.iter().all(|recipient| fates.contains_key(*recipient));
        settled && queues.iter().all(|queue| system.queued(queue) == 0)
    });
    let base = system.path("").display().to_string();
    let mut told = BTreeMap::new();
    for (n, recipient) in RECIPIENTS.iter().enumerate() {
        let texts = messages(&system, &format!("s{n}"));
        let notices = texts.iter().map(|text| essence(&text.replace(base.as_str(), "")).join("\n"));
        told.insert((*recipient).to_owned(), notices.collect());
    }
    let mut all = fates(&system.log());
    all.retain(|recipient, _| RECIPIENTS.contains(&recipient.as_str()));
    told.insert("log".to_owned(), all.into_values().flatten().collect());
    told
}

#[test]
fn success_is_told_once_and_by_whom_it_concerns() {
    alone("success::success_is_told_once_and_by_whom_it_concerns", ZONE, || {
        let dsn = "LHLO => 250-talks.test\r\n250 DSN";
        let _servers = [
            Sink::start("127.0.0.2:25", &[]),
            Sink::start("127.0.0.3:25", &["EHLO => 250-talks.test\r\n250 DSN"]),
            Sink::start("127.0.0.4:24", &[]),
            Sink::start("127.0.0.5:24", &[dsn]),
        ];
        let (theirs, ours) = (run(Which::Postfix), run(Which::Posthaste));
        for (recipient, expected) in &theirs {
            assert_eq!(ours.get(recipient), Some(expected), "{recipient}");
        }
        assert!(ours["u@talks.test"].is_empty(), "{ours:#?}");
        assert!(ours["u@silent.test"][0].contains("Action: relayed"), "{ours:#?}");
        assert!(ours["u@final.test"][0].contains("Action: delivered"), "{ours:#?}");
    });
}
