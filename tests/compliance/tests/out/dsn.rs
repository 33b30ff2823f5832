//! What senders want to hear of their mail, said over SMTP (RFC 3461): who is told what, and what the next server is
//! told, beside Debian's Postfix.

use crate::{
    bounces::{essence, messages},
    network::{alone, fates},
    sink::Sink,
};
use compliance::{
    client::Client,
    system::{System, Which},
};
use std::{collections::BTreeMap, fs};

const ZONE: &str = "
silent.test A 127.0.0.2
talks.test A 127.0.0.3
";

const SETTINGS: &str = "smtpd_reject_unlisted_recipient = no\nlocal_recipient_maps =\nalias_maps =\nmail_spool_directory = $B/mail/spool/\n\
    virtual_mailbox_domains = home.test\nvirtual_mailbox_base = $B/mail\nvirtual_mailbox_maps = texthash:$B/etc/boxes\n\
    virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\nsmtp_connection_cache_on_demand = no\n\
    virtual_alias_maps = inline:{ { both@mx.test = box@home.test, u@silent.test } }\n\
    transport_maps = inline:{ { bad.test = error:5.7.1 not here } { thrown.test = discard: } }\n";

/// Parameters of MAIL, the recipient, parameters of RCPT.
const CASES: &[(&str, &str, &str)] = &[
    ("", "u@bad.test", "NOTIFY=NEVER"),
    ("", "u@bad.test", "NOTIFY=SUCCESS,DELAY"),
    ("RET=HDRS ENVID=env+2Bid", "u@bad.test", "NOTIFY=FAILURE ORCPT=rfc822;first+2Bchoice@old.test"),
    ("RET=FULL", "u@bad.test", "ORCPT=x-other;some+20thing"),
    ("RET=FULL ENVID=QQ314159", "box@home.test", "NOTIFY=SUCCESS ORCPT=rfc822;box@old.test"),
    ("", "box@home.test", "NOTIFY=FAILURE,DELAY"),
    ("ENVID=a+3Db", "u@silent.test", "NOTIFY=SUCCESS,FAILURE"),
    ("ENVID=a+3Db RET=HDRS", "u@talks.test", "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@old.test"),
    ("RET=HDRS", "u@talks.test", "NOTIFY=NEVER"),
    ("", "u@talks.test", ""),
    ("", "both@mx.test", "NOTIFY=SUCCESS"),
    ("", "u@thrown.test", "NOTIFY=SUCCESS"),
];

/// How many of them are told something.
const NOTICES: usize = 6;

fn send(system: &System, number: usize, (mail, recipient, rcpt): (&str, &str, &str)) {
    let mut client = Client::connect(system.address()).unwrap();
    let mut say = |line: &str, code: &str| {
        let reply = client.say(format!("{}\r\n", line.trim_end()).as_bytes()).unwrap();
        assert!(reply.starts_with(code), "{line}: {reply}");
    };
    say(&format!("MAIL FROM:<s{number}@home.test> {mail}"), "250");
    say(&format!("RCPT TO:<{recipient}> {rcpt}"), "250");
    say("DATA", "354");
    say("Subject: x\r\nMessage-ID: <m@client.test>\r\n\r\nbody\r\n.", "250");
    say("QUIT", "221");
}

/// A line without the parts that begin so.
fn without(line: &str, separator: &str, start: &str) -> String {
    let parts = line.split(separator).filter(|part| !part.starts_with(start));
    parts.collect::<Vec<_>>().join(separator)
}

fn run(which: Which, servers: &[Sink]) -> BTreeMap<String, Vec<String>> {
    let system = System::prepare(which, SETTINGS);
    let boxes: String = (0..CASES.len()).map(|n| format!("s{n}@home.test s{n}/\n")).collect();
    fs::write(system.path("etc/boxes"), format!("{boxes}box@home.test box/\n")).unwrap();
    fs::create_dir(system.path("mail/spool")).unwrap();
    system.run();
    for (number, case) in CASES.iter().enumerate() {
        send(&system, number, *case);
    }
    let queues = ["incoming", "active", "deferred", "bounce", "defer", "trace"];
    let all = CASES.len() + 1;
    system.wait_until("all mail has gone", || {
        let log = system.log();
        let settled = log.lines().filter(|line| line.contains(" status="));
        let (notices, own): (Vec<_>, Vec<_>) = settled.partition(|line| line.contains(": to=<s"));
        own.len() >= all && notices.len() >= NOTICES && queues.iter().all(|queue| system.queued(queue) == 0)
    });
    let base = system.path("").display().to_string();
    let mut told = BTreeMap::new();
    for (number, case) in CASES.iter().enumerate() {
        let texts = messages(&system, &format!("s{number}"));
        let notices = texts.iter().map(|text| essence(&text.replace(base.as_str(), "")).join("\n"));
        told.insert(format!("{number:02} {case:?}"), notices.collect());
    }
    // Which message finds a connection open, and which comes first, is a matter of time.
    let told_of = |line: String| without(&line, ", ", "conn_use=");
    let mut log: Vec<String> = fates(&system.log()).into_values().flatten().map(told_of).collect();
    log.sort();
    told.insert("log".to_owned(), log);
    let mut commands: Vec<String> = servers.iter().flat_map(Sink::take_commands).collect();
    commands.retain(|line| line.starts_with("MAIL") || line.starts_with("RCPT"));
    // Queue ids are longer or shorter, and so are messages.
    commands = commands.iter().map(|line| without(line, " ", "SIZE=")).collect();
    commands.sort();
    told.insert("servers".to_owned(), commands);
    told
}

#[test]
fn senders_hear_what_they_asked_for_over_smtp() {
    alone("dsn::senders_hear_what_they_asked_for_over_smtp", ZONE, || {
        let servers = [
            Sink::start("127.0.0.2:25", &[]),
            Sink::start("127.0.0.3:25", &["EHLO => 250-talks.test\r\n250 DSN"]),
        ];
        let theirs = run(Which::Postfix, &servers);
        let ours = run(Which::Posthaste, &servers);
        for (case, expected) in &theirs {
            assert_eq!(ours.get(case), Some(expected), "{case}");
        }
        let told = |number: usize| {
            let start = format!("{number:02} ");
            theirs.iter().find(|(case, _)| case.starts_with(&start)).unwrap().1.join("\n")
        };
        assert!(told(0).is_empty() && told(1).is_empty(), "{theirs:#?}");
        assert!(told(2).contains("Original-Envelope-Id: env+id") && !told(2).contains("body"), "{theirs:#?}");
        assert!(told(2).contains("Original-Recipient: rfc822;first+choice@old.test"), "{theirs:#?}");
        assert!(told(3).contains("body"), "{theirs:#?}");
        assert!(told(4).contains("Action: delivered") && told(6).contains("Action: relayed"), "{theirs:#?}");
        let mail = "MAIL FROM:<s7@home.test> ENVID=a+3Db RET=HDRS".to_owned();
        assert!(theirs["servers"].contains(&mail), "{theirs:#?}");
    });
}
