//! What an administrator makes of results and replies (`*_delivery_status_filter`, `smtp_reply_filter`): beside
//! Debian's Postfix.

use crate::{
    network::{alone, fates, submit},
    sink::Sink,
};
use compliance::system::{System, Which};
use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

const ZONE: &str = "
choosy.test A 127.0.0.5
closed.test A 127.0.0.4
";

const SETTINGS: &str = "minimal_backoff_time = 1000s\nsmtpd_reject_unlisted_recipient = no\nsmtp_skip_5xx_greeting = no\nlocal_recipient_maps =\nalias_maps =\n\
    mail_spool_directory = $B/mail/\nvirtual_mailbox_domains = home.test\nvirtual_mailbox_base = $B/mail\n\
    virtual_mailbox_maps = inline:{known@home.test=known/}\nvirtual_uid_maps = static:65534\n\
    virtual_gid_maps = static:65534\n";

const RECIPIENTS: &[&[&str]] = &[
    &["unknown@choosy.test", "later@choosy.test", "fine@choosy.test", "odd@choosy.test"],
    &["user@closed.test"],
    &["user@nowhere.test"],
    &["known@home.test", "unknown@home.test"],
    &["nobody@mx.test", "no-such-user@mx.test"],
];

fn servers() -> [Sink; 2] {
    [
        Sink::start("127.0.0.4:25", &["GREETING => 554 5.3.2 not here"]),
        Sink::start(
            "127.0.0.5:25",
            &[
                "RCPT TO:<unknown@ => 550-5.1.1 no such\r\n550 5.1.1 user",
                "RCPT TO:<later@ => 450 4.2.0 not now",
                "RCPT TO:<odd@ => 451 4.9.9 \u{1}odd\u{fc}",
            ],
        ),
    ]
}

fn run(which: Which, settings: &str, filter: &str) -> Vec<String> {
    let system = System::prepare(which, &format!("{SETTINGS}{settings}"));
    fs::write(system.path("etc/filter"), filter).unwrap();
    system.run();
    for recipients in RECIPIENTS {
        submit(&system, "s@client.test", recipients, "Subject: x\r\n\r\nbody");
    }
    let ours = || {
        let mut fates = fates(&system.log());
        fates.retain(|recipient, _| !recipient.ends_with("@client.test"));
        fates
    };
    let expected: usize = RECIPIENTS.iter().map(|recipients| recipients.len()).sum();
    system.wait_until("each recipient has a fate", || ours().len() == expected);
    let mut seen: Vec<String> = ours().into_values().flatten().collect();
    let told = system.log();
    let told = told.lines().filter_map(|line| Some(line.split_once("]: ")?.1));
    let told =
        told.filter(|text| text.contains("bad status code") || text.contains("replacing server reply"));
    seen.extend(told.filter(|text| !text.contains("client.test")).map(str::to_owned));
    seen.sort();
    seen.dedup();
    seen
}

#[track_caller]
fn same(settings: &str, filter: &str) -> Vec<String> {
    let (theirs, ours) = (run(Which::Postfix, settings, filter), run(Which::Posthaste, settings, filter));
    assert_eq!(ours, theirs, "{settings}");
    ours
}

#[test]
fn results_are_what_the_filter_makes_of_them() {
    alone("statuses::results_are_what_the_filter_makes_of_them", ZONE, || {
        let _servers = servers();
        let filter = "/^5\\.1\\.1 (.*)/ 4.1.9 soft: $1\n/^4\\.2\\.0 (.*)not now(.*)/ 5.2.0   ${1}never${2}\n\
            /^2\\.0\\.0 (.*)/ 2.7.9 seen: $1\n/^5\\.3\\.2/ 2.0.0 nonsense\n/^5\\.4\\.4/ no code\n/^4\\.9\\.9/ 4.9.8\n";
        let all = same("default_delivery_status_filter = regexp:$B/etc/filter\n", filter);
        assert!(all.iter().any(|line| line.contains("dsn=4.1.9, status=deferred (soft: ")), "{all:#?}");
        assert!(all.iter().any(|line| line.contains("dsn=5.2.0, status=bounced (")), "{all:#?}");
        same("smtp_delivery_status_filter = regexp:$B/etc/filter\nsoft_bounce = yes\n", filter);
    });
}

#[test]
fn replies_are_what_the_filter_makes_of_them() {
    alone("statuses::replies_are_what_the_filter_makes_of_them", ZONE, || {
        let _servers = servers();
        let filter = "/^550-5\\.1\\.1 (.*)/ 450-4.1.9 first: $1\n/^550 5\\.1\\.1 (.*)/ 450 4.1.9 second: $1\n\
            /^450 4\\.2\\.0 /  250 2.1.5 never mind\n/\\?odd/ 551 5.9.9 odd indeed\n/^554 5\\.3\\.2/ 220 come in\n\
            /^250 2\\.0\\.0 Ok: queued/ 250 2.6.0 kept\n/^250-PIPELINING/ 250-NOTHING\n";
        let all = same("smtp_reply_filter = regexp:$B/etc/filter\n", filter);
        let replaced = |what: &str| {
            all.iter().any(|line| line.contains("replacing server reply") && line.contains(what))
        };
        assert!(replaced("with \"450 4.1.9 second: user\"") && replaced("?odd"), "{all:#?}");
    });
}

/// A server that answers MAIL a byte at a time, each well within the time limit, all of them not.
fn trickle(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                // A client that goes away ends the session.
                let _ = serve_slowly(&stream);
            });
        }
    });
}

fn serve_slowly(stream: &TcpStream) -> io::Result<()> {
    let (mut output, mut reader) = (stream, BufReader::new(stream));
    output.write_all(b"220 slow.test\r\n")?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let verb = line.split([' ', ':', '\r']).next().unwrap_or_default().to_owned();
        line.clear();
        if verb == "MAIL" {
            for byte in b"250 2.1.0 Ok......\r\n" {
                thread::sleep(Duration::from_millis(150));
                output.write_all(&[*byte])?;
            }
            continue;
        }
        if verb == "DATA" {
            output.write_all(b"354 go\r\n")?;
            while reader.read_line(&mut line)? > 0 && !line.ends_with("\r\n.\r\n") {}
            line.clear();
        }
        output.write_all(b"250 2.0.0 Ok\r\n")?;
    }
    Ok(())
}

fn patience(which: Which, settings: &str) -> Vec<String> {
    let system =
        System::start(which, &format!("minimal_backoff_time = 1000s\nsmtp_mail_timeout = 2s\n{settings}"));
    submit(&system, "s@client.test", &["u@slow.test"], "Subject: x\r\n\r\nbody");
    let fate = || fates(&system.log()).remove("u@slow.test");
    system.wait_until("it has a fate", || fate().is_some());
    fate().unwrap()
}

#[test]
fn deadlines_are_for_whole_replies() {
    alone("statuses::deadlines_are_for_whole_replies", "slow.test A 127.0.0.6\n", || {
        trickle("127.0.0.6:25");
        for (settings, expected) in
            [("", "status=sent"), ("smtp_per_request_deadline = yes\n", "timed out while sending MAIL FROM")]
        {
            let (theirs, ours) = (patience(Which::Postfix, settings), patience(Which::Posthaste, settings));
            assert_eq!(ours, theirs, "{settings}");
            assert!(ours[0].contains(expected), "{settings}{ours:?}");
        }
    });
}
