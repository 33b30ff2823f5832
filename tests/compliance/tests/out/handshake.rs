//! What is said before the first message, and what of it depends on the server: beside Debian's Postfix, command by
//! command and line by line.

use crate::{
    network::{alone, fates, submit},
    sink::Sink,
};
use compliance::{
    client::Client,
    system::{System, Which},
};

const ZONE: &str = "
plain.test A 127.0.0.2
stars.test A 127.0.0.3
odd.test A 127.0.0.4
old.test A 127.0.0.5
filter.test A 127.0.0.6
sulky.test A 127.0.0.7
pipes.test A 127.0.0.8
utf8.test A 127.0.0.9
choice.test MX 10 plain.test
choice.test MX 20 utf8.test
never.test MX 10 plain.test
never.test MX 20 filter.test
";

const ALL: &[&str] =
    &["stars.test", "odd.test", "old.test", "filter.test", "sulky.test", "pipes.test", "plain.test"];

type Servers = Vec<(&'static str, Sink)>;

fn servers() -> Servers {
    let xforward = "250-filter.test\r\n250-SIZE 1000000\r\n250-DSN\r\n250-8BITMIME\r\n";
    let all = format!("EHLO => {xforward}250 XFORWARD NAME ADDR proto HELO SOURCE PORT IDENT WHAT");
    let few = format!("EHLO => {xforward}250-PIPELINING\r\n250 XFORWARD=NAME SOURCE");
    let odd = "EHLO => 250-odd.test\r\n250-SIZE=12x\r\n250-SMTPUTF8\r\n250-pipelining \r\n250 what is this";
    vec![
        ("plain", Sink::start("127.0.0.2:25", &["EHLO => 250-plain.test\r\n250-SIZE\r\n250 8BITMIME"])),
        ("stars", Sink::start("127.0.0.3:25", &["GREETING => 220 **2*0 *** *"])),
        ("odd", Sink::start("127.0.0.4:25", &[odd])),
        ("old", Sink::start("127.0.0.5:25", &["GREETING => 220 old.test here", "EHLO => 502 what"])),
        ("filter", Sink::start("127.0.0.6:25", &[&all])),
        (
            "sulky",
            Sink::start(
                "127.0.0.7:25",
                &[&all, "XFORWARD NAME => 501 5.5.4 no\r\n", "XFORWARD => 550 5.7.1 never"],
            ),
        ),
        ("pipes", Sink::start("127.0.0.8:25", &[&few])),
        ("utf8", Sink::start("127.0.0.9:25", &[])),
    ]
}

/// What each server was told, and what the log says besides.
fn run(which: Which, servers: &Servers, settings: &str, domains: &[&str]) -> Vec<String> {
    let before: Vec<usize> = servers.iter().map(|(_, sink)| sink.commands().len()).collect();
    let system = System::start(which, &format!("maximal_queue_lifetime = 0\n{settings}"));
    for domain in domains {
        let recipient = format!("u@{domain}");
        let id = submit(&system, "s@client.test", &[&recipient], "Subject: x\r\n\r\nbody");
        system.wait_until("it is gone", || system.log().contains(&format!("{id}: removed")));
    }
    let mut told = Vec::new();
    for ((name, sink), before) in servers.iter().zip(before) {
        told.extend(
            sink.commands()[before..].iter().map(|line| format!("{name}: {}", without_what_varies(line))),
        );
    }
    let log = system.log();
    let by_client = log.lines().filter(|line| line.contains("/smtp["));
    let text = |line: &str| line.split_once("]: ").unwrap().1.to_owned();
    for line in by_client.map(text).filter(|line| !line.contains("@client.test")) {
        match line.split_once(": ") {
            Some((_, rest)) if rest.starts_with("to=<") => {
                told.extend(fates(&format!("x/smtp[1]: {line}")).into_values().flatten());
            }
            // 3.7 separates names by blanks.
            Some((id, rest)) if id.chars().all(|c| c.is_ascii_hexdigit()) => {
                told.push(rest.replace(", ", " "));
            }
            _ => told.push(line.replace(", ", " ")),
        }
    }
    told
}

fn without_what_varies(line: &str) -> String {
    let words = line.split(' ').map(|word| match word.split_once('=') {
        Some((name @ ("IDENT" | "PORT" | "SIZE"), _)) => format!("{name}=..."),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn same(servers: &Servers, settings: &str, domains: &[&str]) -> Vec<String> {
    let theirs = run(Which::Postfix, servers, settings, domains);
    let ours = run(Which::Posthaste, servers, settings, domains);
    let missing: Vec<_> = theirs.iter().filter(|line| !ours.contains(line)).collect();
    let more: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).collect();
    assert!(ours == theirs, "{settings}theirs only: {missing:#?}\nours only: {more:#?}\n{ours:#?}");
    ours
}

#[test]
fn servers_are_greeted_as_they_announce_themselves() {
    alone("handshake::servers_are_greeted_as_they_announce_themselves", ZONE, || {
        let servers = servers();
        let told = same(&servers, "", ALL);
        assert!(told.contains(&"stars: HELO mx.test".to_owned()), "{told:#?}");
        same(&servers, "smtp_always_send_ehlo = no\nsmtp_pix_workarounds =\n", ALL);
        same(
            &servers,
            "smtp_never_send_ehlo = yes\nsmtp_helo_name = other.name.test\n",
            &["plain.test", "old.test"],
        );
        same(&servers, "smtp_pix_workaround_maps = inline:{127.0.0.3=delay_dotcrlf}\n", &["stars.test"]);
        let delayed = "smtp_pix_workaround_threshold_time = 0\nsmtp_pix_workaround_delay_time = 1s\n";
        same(&servers, delayed, &["stars.test"]);
    });
}

#[test]
fn keywords_of_a_server_can_be_ignored() {
    alone("handshake::keywords_of_a_server_can_be_ignored", ZONE, || {
        let servers = servers();
        let told = same(
            &servers,
            "smtp_discard_ehlo_keywords = Size dsn, nonsense\nsmtp_send_xforward_command = yes\n",
            ALL,
        );
        assert!(told.iter().any(|line| line == "discarding EHLO keywords: SIZE DSN"), "{told:#?}");
        same(&servers, "smtp_discard_ehlo_keywords = 8bitmime, xforward, silent-discard\n", ALL);
        let maps = "smtp_discard_ehlo_keyword_address_maps = inline:{{127.0.0.6=pipelining 8bitmime}, {127.0.0.8=pipelining}}\n\
            smtp_discard_ehlo_keywords = size\n";
        same(&servers, maps, ALL);
    });
}

#[test]
fn a_filter_is_told_where_mail_came_from() {
    alone("handshake::a_filter_is_told_where_mail_came_from", ZONE, || {
        let servers = servers();
        let told = same(&servers, "smtp_send_xforward_command = yes\n", ALL);
        let expected = "filter: XFORWARD NAME=localhost ADDR=127.0.0.1 PORT=...";
        assert!(told.iter().any(|line| line == expected), "{told:#?}");
        same(
            &servers,
            "smtp_send_xforward_command = yes\nsmtpd_peername_lookup = no\nlocal_header_rewrite_clients =\n",
            ALL,
        );
    });
}

/// One message whose recipient needs UTF-8; what the client logs.
fn international(which: Which, domain: &str) -> Vec<String> {
    let system = System::start(which, "smtputf8_enable = yes\nsmtpd_peername_lookup = no\n");
    let mut client = Client::connect(system.address()).unwrap();
    let recipients = [format!("gr\u{fc}n@{domain}")];
    client.envelope("MAIL FROM:<s@client.test> SMTPUTF8", &recipients, b"DATA\r\n").unwrap();
    let reply = client.content(b"Subject: x\r\n\r\nbody\r\n").unwrap();
    let id = reply.rsplit(' ').next().unwrap();
    system.wait_until("it is gone", || system.log().contains(&format!("{id}: removed")));
    let mut lines = Vec::new();
    for line in system.log().lines().filter(|line| line.contains("/smtp[") && line.contains(id)) {
        match fates(line).into_values().flatten().next() {
            Some(fate) => lines.push(fate),
            None => lines.push(line.split_once(&format!("{id}: ")).unwrap().1.to_owned()),
        }
    }
    lines
}

#[test]
fn mail_that_needs_utf8_goes_where_it_is_taken() {
    alone("handshake::mail_that_needs_utf8_goes_where_it_is_taken", ZONE, || {
        let _servers = servers();
        let direct = international(Which::Posthaste, "utf8.test");
        assert_eq!(direct, international(Which::Postfix, "utf8.test"));
        assert_eq!(direct.len(), 1, "{direct:?}");
        // Debian's 3.7 gives up at the first server; 3.12 tries the next, in these words.
        let why = "message requires SMTPUTF8, but no server was found that supports SMTPUTF8. The last attempted server was";
        let sent = "relay=utf8.test[127.0.0.9]:25, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as ID)";
        let expected =
            [format!("{why} plain.test[127.0.0.2]"), format!("smtp: <gr\u{fc}n@choice.test>, {sent}")];
        assert_eq!(international(Which::Posthaste, "choice.test"), expected);
        let last = "filter.test[127.0.0.6]";
        let expected = [
            format!("{why} plain.test[127.0.0.2]"),
            format!(
                "smtp: <gr\u{fc}n@never.test>, relay={last}:25, dsn=5.6.7, status=bounced ({why} {last})"
            ),
        ];
        assert_eq!(international(Which::Posthaste, "never.test"), expected);
    });
}
