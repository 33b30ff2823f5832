//! What the postmaster is told of sessions in which something went wrong (postconf(5) `notify_classes`), beside Debian's.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    system::{System, Which, files},
    wire::{Server, Talk},
};
use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::PathBuf,
};

const ALL: &str = "notify_classes = bounce, 2bounce, data, delay, policy, protocol, resource, software\n";

/// Two mailboxes for the postmaster.
const MAILBOXES: &str = "error_notice_recipient = errors@home.test\nbounce_notice_recipient = bounces@home.test\n\
     virtual_mailbox_domains = home.test\nvirtual_mailbox_base = $B/mail\n\
     virtual_mailbox_maps = inline:{ { errors@home.test = errors/ } { bounces@home.test = bounces/ } }\n\
     virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
     transport_maps = inline:{ { mx.test = discard: } }\n";

const SERVER: &str = "local_recipient_maps = inline:{ { known = x } }\n\
     smtpd_client_restrictions = permit\n\
     smtpd_helo_restrictions = check_helo_access inline:{ { bad.test = REJECT no such client } }\n\
     smtpd_sender_restrictions = check_sender_access inline:{ { data.test = dunno } { odd.test = no_such_class } }\n\
     smtpd_recipient_restrictions = check_recipient_access inline:{ { refused@mx.test = REJECT it is refused } },\n\
     \x20 warn_if_reject check_recipient_access inline:{ { warned@mx.test = REJECT } },\n\
     \x20 check_recipient_access inline:{ { warned@mx.test = OK } { failing@mx.test = broken } },\n\
     \x20 permit_mynetworks, reject_unauth_destination\n\
     smtpd_restriction_classes = broken\nbroken = check_client_access fail:always\n\
     smtpd_authorized_xclient_hosts = 127.0.0.1\n\
     smtpd_error_sleep_time = 0\nsmtpd_hard_error_limit = 6\nsmtpd_history_flush_threshold = 24\n\
     relay_domains = relay.test\nrelay_recipient_maps = fail:always\n\
     message_size_limit = 3000\ndisable_vrfy_command = yes\n";

/// The messages in the postmaster's mailboxes that were not seen before, by mailbox.
struct Postmaster {
    seen: HashSet<PathBuf>,
}

impl Postmaster {
    fn news(&mut self, system: &System) -> Vec<String> {
        let mut news = Vec::new();
        for name in ["errors", "bounces"] {
            for path in files(&system.path("mail").join(name).join("new")) {
                if self.seen.insert(path.clone()) {
                    let text = String::from_utf8_lossy(&fs::read(&path).expect("a message")).into_owned();
                    news.push(format!("{name}:\n{}", without_moment(&text)));
                }
            }
        }
        news.sort();
        news
    }
}

/// A message without what depends on the moment: times, ids and ports.
fn without_moment(text: &str) -> String {
    let mut lines = Vec::new();
    let mut is_received = false;
    for line in text.lines() {
        is_received = line.starts_with("Received:") || (is_received && line.starts_with(['\t', ' ']));
        let name = line.split(':').next().unwrap_or_default();
        if is_received || ["Date", "Message-Id", "Message-ID"].contains(&name) {
            lines.push(name.trim().split(' ').next().unwrap_or_default().to_owned());
        } else {
            lines.push(without_numbers(line));
        }
    }
    lines.join("\n")
}

/// Ports behind addresses, and queue ids.
fn without_numbers(line: &str) -> String {
    let mut text = line.to_owned();
    for mark in ["127.0.0.1]:", "queued as "] {
        if let Some(at) = text.find(mark) {
            let from = at + mark.len();
            let length = text[from..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len() - from);
            text.replace_range(from..from + length, "N");
        }
    }
    text
}

/// Everything that is in the queue is delivered.
fn wait_for_rest(system: &System) {
    system.wait_until("the queue is empty and the log complete", || {
        let log = system.log();
        ["incoming", "active", "maildrop"].iter().all(|queue| system.queued(queue) == 0)
            && log.matches("(queue active)").count()
                == log.lines().filter(|line| line.ends_with(": removed")).count()
    });
}

/// What is said in a session; the server may hang up. Without QUIT it ends in the middle.
fn session(system: &System, lines: &[&str]) {
    let ended = system.log().matches("disconnect from").count();
    let mut talk = Talk::to(system.address());
    talk.reply();
    for line in lines {
        if talk.say(line).is_empty() {
            break;
        }
    }
    drop(talk);
    system.wait_until("the session is over", || system.log().matches("disconnect from").count() > ended);
}

const SESSIONS: &[(&str, &[&str])] = &[
    ("nothing wrong", &["EHLO c.test", "NOOP", "QUIT"]),
    ("an unknown command", &["EHLO c.test", "FOO bar", "QUIT"]),
    ("an empty line, and bytes that nobody can print", &["", "HELO \x01x\u{e9}", "QUIT"]),
    (
        "a long line that is folded",
        &[
            "EHLO c.test",
            "MAIL FROM:<a@b.test> that is not what MAIL should look like, by any standard of ours",
            "QUIT",
        ],
    ),
    ("a policy", &["EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<refused@mx.test>", "QUIT"]),
    (
        "a policy that only warns",
        &["EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<warned@mx.test>", "QUIT"],
    ),
    (
        "a refusal that is delayed",
        &["EHLO bad.test", "MAIL FROM:<a@b.test>", "RCPT TO:<known@mx.test>", "QUIT"],
    ),
    (
        "a recipient that is not there",
        &["EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<unknown@mx.test>", "QUIT"],
    ),
    (
        "a table that does not answer",
        &["EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<failing@mx.test>", "QUIT"],
    ),
    (
        "a list that does not answer",
        &["EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<known@relay.test>", "QUIT"],
    ),
    ("a table that is wrong", &["EHLO c.test", "MAIL FROM:<a@odd.test>", "RCPT TO:<known@mx.test>", "QUIT"]),
    ("a lost connection", &["EHLO c.test", "RCPT TO:<known@mx.test>"]),
    ("a lost connection without a mistake", &["EHLO c.test", "MAIL FROM:<a@b.test>"]),
    ("too many errors", &["EHLO c.test", "A", "B", "C", "D", "E", "F", "G", "H"]),
    ("size", &["EHLO c.test", "MAIL FROM:<a@b.test> SIZE=4000", "MAIL FROM:<a@b.test> SIZE=x", "QUIT"]),
    ("VRFY", &["EHLO c.test", "VRFY known", "QUIT"]),
    ("a secret", &["EHLO c.test", "NOOP", "AUTH PLAIN", "QUIT"]),
    (
        "a message forgives",
        &["EHLO c.test", "FOO", "MAIL FROM:<a@b.test>", "RCPT TO:<known@mx.test>", "DATA", "x\r\n.", "QUIT"],
    ),
    (
        "a message forgives what came before",
        &[
            "EHLO c.test",
            "FOO",
            "MAIL FROM:<a@b.test>",
            "RCPT TO:<known@mx.test>",
            "DATA",
            "x\r\n.",
            "BAR",
            "QUIT",
        ],
    ),
    (
        "a long history",
        &[
            "EHLO c.test",
            "FOO",
            "NOOP",
            "NOOP",
            "NOOP",
            "NOOP",
            "NOOP",
            "RSET",
            "BAR",
            "NOOP",
            "RSET",
            "RSET",
            "RSET",
            "NOOP",
            "RSET",
            "NOOP",
            "NOOP",
            "NOOP",
            "QUIT",
        ],
    ),
    (
        "another client",
        &["EHLO c.test", "FOO", "XCLIENT NAME=spike.example ADDR=192.0.2.8", "EHLO d.test", "RCPT x", "QUIT"],
    ),
    (
        "a message that is too large",
        &["EHLO c.test", "MAIL FROM:<a@b.test>", "RCPT TO:<known@mx.test>", "DATA", "LARGE", "QUIT"],
    ),
    ("no recipients", &["EHLO c.test", "MAIL FROM:<a@b.test>", "DATA", "QUIT"]),
    ("a chunk", &["EHLO c.test", "BDAT x", "QUIT"]),
    ("XFORWARD", &["EHLO c.test", "XFORWARD NAME=x", "QUIT"]),
];

/// What the postmaster hears of each session.
fn heard(which: Which, settings: &str, sessions: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let system = System::start(which, &format!("{MAILBOXES}{settings}"));
    let mut postmaster = Postmaster { seen: HashSet::new() };
    // Of the session that found out whether it runs.
    system.wait_until("its first session is over", || system.log().contains("disconnect from"));
    wait_for_rest(&system);
    postmaster.news(&system);
    let large = "a line of text\r\n".repeat(250) + ".";
    let hear = |(name, lines): &(&str, &[&str])| {
        let lines: Vec<&str> =
            lines.iter().map(|line| if *line == "LARGE" { large.as_str() } else { line }).collect();
        session(&system, &lines);
        wait_for_rest(&system);
        ((*name).to_owned(), postmaster.news(&system))
    };
    sessions.iter().map(hear).collect()
}

#[test]
fn the_postmaster_hears_of_sessions_what_postfix_says() {
    let settings = format!("{ALL}{SERVER}");
    let expected = heard(Which::Postfix, &settings, SESSIONS);
    let count: usize = expected.iter().map(|(_, notices)| notices.len()).sum();
    assert!(count > 15, "{expected:?}");
    for (ours, theirs) in heard(Which::Posthaste, &settings, SESSIONS).into_iter().zip(expected) {
        assert_eq!(ours, theirs);
    }
}

/// Sessions with trouble of every class but `resource`.
fn classes_are_told(classes: &[&str]) {
    let names = ["policy", "not there", "answer", "wrong", "unknown"];
    let has_name = |(name, _): &&(&str, &[&str])| names.iter().any(|part| name.contains(part));
    let sessions: Vec<_> = SESSIONS.iter().filter(has_name).copied().collect();
    for classes in classes {
        let settings = format!(
            "notify_classes = {classes}\nmail_name = Other\nheader_from_format = obsolete\nsmtputf8_enable = no\n{SERVER}"
        );
        let expected = heard(Which::Postfix, &settings, &sessions);
        let is_silent = expected.iter().all(|(_, notices)| notices.is_empty());
        assert_eq!(is_silent, classes.is_empty(), "{classes}: {expected:?}");
        assert_eq!(heard(Which::Posthaste, &settings, &sessions), expected, "{classes}");
    }
}

#[test]
fn only_what_is_wanted_is_told() {
    classes_are_told(&["", "bounce", "policy, data"]);
}

#[test]
fn trouble_of_ours_is_told_as_such() {
    classes_are_told(&["data", "software", "protocol, resource"]);
}

#[test]
fn missing_space_is_told_by_default() {
    let sessions: &[(&str, &[&str])] = &[("no space", &["EHLO c.test", "MAIL FROM:<a@b.test>", "QUIT"])];
    let settings = "queue_minfree = 1000000000000000\n";
    let expected = heard(Which::Postfix, settings, sessions);
    assert_eq!(expected[0].1.len(), 1);
    assert_eq!(heard(Which::Posthaste, settings, sessions), expected);
}

#[test]
fn what_is_refused_at_once_is_told_too() {
    let settings = format!(
        "{ALL}smtpd_delay_reject = no\nsmtpd_error_sleep_time = 0\n\
         smtpd_client_restrictions = check_client_access inline:{{ {{ 127.0.0.1 = REJECT }} }}\n"
    );
    let sessions: &[(&str, &[&str])] = &[("at once", &["EHLO c.test", "NOOP", "QUIT"])];
    let expected = heard(Which::Postfix, &settings, sessions);
    assert_eq!(expected[0].1.len(), 1);
    assert_eq!(heard(Which::Posthaste, &settings, sessions), expected);
}

#[test]
fn clients_that_do_too_much_are_told() {
    let settings = "notify_classes = policy\nsmtpd_client_event_limit_exceptions =\n\
         smtpd_client_message_rate_limit = 1\n";
    let mail = "MAIL FROM:<a@b.test>";
    let sessions: &[(&str, &[&str])] = &[("too much mail", &["EHLO c.test", mail, "RSET", mail, "QUIT"])];
    let expected = heard(Which::Postfix, settings, sessions);
    assert_eq!(expected[0].1.len(), 1);
    assert_eq!(heard(Which::Posthaste, settings, sessions), expected);
}

/// A server that says one thing after the other, whatever it hears, and hangs up; content is read up to its end.
fn server(replies: &'static [&'static str]) -> Server {
    Server::start(move |stream: TcpStream| {
        let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
        for (number, reply) in replies.iter().enumerate() {
            if (&stream).write_all(format!("{reply}\r\n").as_bytes()).is_err() || number + 1 == replies.len()
            {
                return;
            }
            let mut line = String::new();
            loop {
                line.clear();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if !reply.starts_with("354") || line == ".\r\n" {
                    break;
                }
            }
        }
    })
}

const SERVERS: &[&[&str]] = &[
    &["220 x ESMTP", "250 x", "501 5.5.4 I do not know\tMAIL", "250 reset", "221 bye"],
    &["220 x ESMTP", "250 x", "250 ok", "550 5.1.1 nobody", "250 reset", "221 bye"],
    &["220 x ESMTP", "250 x", "250 ok", "555 odd", "250 reset", "221 bye"],
    &["220 x ESMTP", "250 x", "250 ok", "250 ok", "250 this is no answer to DATA", "250 reset", "221 bye"],
    &["220 x ESMTP", "250 x", "250 ok", "250 ok", "354 go", "502 5.5.1 no", "221 bye"],
    &[
        "220 x ESMTP",
        "250 x",
        "250 ok",
        "250 ok",
        "354 go",
        "This is no reply\r\n\r\n250 2.0.0 but this is",
        "221 bye",
    ],
    &[
        "220 x ESMTP",
        "250-x\r\n250 PIPELINING",
        "250 ok",
        "503 5.5.1 odd",
        "554 no recipients",
        "250 reset",
        "221 bye",
    ],
    &["500 what", "221 bye"],
    &["220 x ESMTP", "nonsense"],
];

/// What the postmaster hears of messages that go to such servers, by either protocol.
fn client_heard(which: Which, sender: &str) -> Vec<String> {
    let (mailboxes, _) = MAILBOXES.split_once("transport_maps").expect("its last line");
    let servers: Vec<Server> = SERVERS.iter().map(|replies| server(replies)).collect();
    let route = |(number, server): (usize, &Server)| {
        let relay = server.relayhost();
        format!("{{ s{number}.test = smtp:{relay} }} {{ l{number}.test = lmtp:inet:{relay} }} ")
    };
    let routes: String = servers.iter().enumerate().map(route).collect();
    let settings = format!(
        "{mailboxes}notify_classes = protocol\nmaximal_queue_lifetime = 0\nsmtp_skip_quit_response = no\n\
         transport_maps = inline:{{ {{ mx.test = discard: }} {routes} }}\n"
    );
    let system = System::start(which, &settings);
    let mut client = compliance::smtp::Client::connect(system.address()).expect("a session");
    for number in 0..servers.len() {
        for letter in ["s", "l"] {
            let recipient = format!("you@{letter}{number}.test");
            let reply = client.send(sender, &[&recipient], "Subject: x\r\n\r\nbody").expect("a reply");
            assert!(reply.starts_with("250 "), "{reply}");
        }
    }
    drop(client);
    wait_for_rest(&system);
    let mut postmaster = Postmaster { seen: HashSet::new() };
    postmaster.news(&system)
}

#[test]
fn the_postmaster_hears_of_servers_what_postfix_says() {
    let expected = client_heard(Which::Postfix, "me@mx.test");
    assert!(expected.len() >= 12, "{expected:?}");
    let ours = client_heard(Which::Posthaste, "me@mx.test");
    assert_eq!(ours.len(), expected.len(), "{ours:?} {expected:?}");
    for (ours, theirs) in ours.iter().zip(&expected) {
        assert_eq!(ours, theirs);
    }
}

/// Rows of smtp with tables that do not answer, and the server's words up to its farewell.
const BROKEN_TABLES: &[(&str, &str, &[&str])] = &[
    ("ehlo", "smtp_discard_ehlo_keyword_address_maps=fail:always", &["220 x ESMTP", "250 x", "221 bye"]),
    ("old", "smtp_discard_ehlo_keyword_address_maps=fail:always", OLD),
    ("several", "smtp_reply_filter=fail:always", &["220-x\r\n220 ESMTP", "221 bye"]),
    ("replies", "smtp_reply_filter=fail:always", &["220 x ESMTP", "221 bye"]),
    ("pix", "smtp_pix_workaround_maps=fail:always", WILLING),
];

const OLD: &[&str] = &["220 x", "500 x", "250 x", "250 ok", "250 ok", "354 go", "250 taken", "221 bye"];
const WILLING: &[&str] = &["220 x ESMTP", "250 x", "250 ok", "250 ok", "354 go", "250 taken", "221 bye"];

/// What the postmaster hears of messages whose transport's tables do not answer, and what becomes of them.
fn broken_tables_heard(which: Which, classes: &str) -> Vec<String> {
    let (mailboxes, _) = MAILBOXES.split_once("transport_maps").expect("its last line");
    let servers: Vec<Server> = BROKEN_TABLES.iter().map(|(_, _, replies)| server(replies)).collect();
    let named = || BROKEN_TABLES.iter().map(|(name, ..)| *name).zip(&servers);
    let routes: String =
        named().map(|(name, server)| format!("{{ {name}.test = {name}:{} }} ", server.relayhost())).collect();
    let settings = format!(
        "{mailboxes}notify_classes = {classes}\nsmtp_skip_quit_response = no\n\
         transport_maps = inline:{{ {{ mx.test = discard: }} {routes} }}\n"
    );
    let system = System::prepare(which, &settings);
    let row = |(name, option, _): &(&str, &str, _)| format!("{name} unix - - n - - smtp -o {option}\n");
    system.add_services(&BROKEN_TABLES.iter().map(row).collect::<String>());
    system.run();
    let mut postmaster = Postmaster { seen: HashSet::new() };
    let mut client = compliance::smtp::Client::connect(system.address()).expect("a session");
    let mut told = 0;
    let mut hear = |(name, server): (&str, &Server)| {
        let recipient = format!("you@{name}.test");
        let reply = client.send("me@mx.test", &[&recipient], "Subject: x\r\n\r\nbody").expect("a reply");
        assert!(reply.starts_with("250 "), "{reply}");
        let fate = || {
            let log = system.log();
            let line = log.lines().find(|line| line.contains(&format!("to=<{recipient}>")))?;
            Some(line.split_once(", dsn=")?.1.replace(&server.relayhost()[12..], "N"))
        };
        system.wait_until("the message is tried", || fate().is_some());
        // The delivery need not wait for what the postmaster is to be told.
        let telling = ["ehlo", "several", "replies"].contains(&name) && classes.contains("data");
        told += usize::from(telling);
        system.wait_until("the postmaster is told", || files(&system.path("mail/errors/new")).len() >= told);
        system.wait_until("the queue is at rest", || {
            ["incoming", "active", "maildrop"].iter().all(|queue| system.queued(queue) == 0)
        });
        format!("{name}: {:?} {:?}", fate(), postmaster.news(&system))
    };
    named().map(&mut hear).collect()
}

#[test]
fn the_postmaster_hears_of_our_tables_in_trouble_what_postfix_says() {
    for (classes, count) in [("data", 3), ("protocol, software", 0)] {
        let expected = broken_tables_heard(Which::Postfix, classes);
        let told = expected.iter().filter(|text| text.contains("Transcript of session")).count();
        assert_eq!(told, count, "{expected:?}");
        for (ours, theirs) in broken_tables_heard(Which::Posthaste, classes).iter().zip(&expected) {
            assert_eq!(ours, theirs);
        }
    }
}

#[test]
fn the_postmaster_does_not_hear_of_the_way_of_notifications() {
    for sender in ["", "double-bounce@mx.test"] {
        let expected = client_heard(Which::Postfix, sender);
        assert_eq!(expected, [""; 0]);
        assert_eq!(client_heard(Which::Posthaste, sender), expected, "{sender}");
    }
}
