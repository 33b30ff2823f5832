//! Addresses that change on the way out (`smtp_generic_maps`), and headers that master.cf adds (`flags=DOR`): byte for
//! byte beside Debian's Postfix.

use compliance::{
    client::Client,
    sink::{Sink, Taken},
    system::{System, Which},
};
use std::fs;

const GENERIC: &str = "\
user@mx.test public@example.com
@inside.test @example.net
joe joe@example.org
quoted@mx.test \"a b\"@example.com
two@mx.test one@example.com, other@example.com
same@mx.test same@mx.test
bare@mx.test someone
list+tag@mx.test tagged@example.com
list@mx.test list@example.com
g\u{fc}n@mx.test green@example.com
";

/// Headers without those that the way adds; `|` ends a line.
const MESSAGES: &[&str] = &[
    "From: user@mx.test|To: a@away.test||body user@mx.test",
    "From: The User <user@mx.test>|To: \"Quoted, Name\" <user@inside.test>, other@away.test||body",
    "From: user@mx.test (a comment)|Sender: <joe>|Reply-To: joe@mx.test, user+ext@mx.test||body",
    "From: quoted@mx.test|To: \"a b\"@mx.test, \"user\"@mx.test, us.er@mx.test|Cc: group: user@mx.test, x@inside.test;||body",
    "From: two@mx.test|To: same@mx.test, bare@mx.test, list+tag@mx.test, list+other@mx.test||body",
    "From: USER@MX.TEST|To: <@route.test:user@mx.test>|Resent-From: user@mx.test|Resent-To: x@inside.test||body",
    "From: user@mx.test|Subject: about user@mx.test|X-From: user@mx.test|Return-Path: <user@mx.test>|Errors-To: user@mx.test||body",
    "From : user@mx.test|To:user@inside.test|Disposition-Notification-To: user@mx.test||body",
    "From: a@inside.test,| b@inside.test,|\tc@inside.test, averyveryverylongname@inside.test, d@away.test, e@inside.test, f@inside.test||body",
    "To: undisclosed-recipients:;|From: <>||body",
    "From: user@mx.test|Content-Type: multipart/mixed; boundary=b||--b|From: user@mx.test||part|--b|Content-Type: message/rfc822||From: user@mx.test||inner|--b--",
    "From: user@mx.test|Content-Transfer-Encoding: 8bit|To: g\u{fc}n@mx.test, \"gr\u{fc}n\" <user@mx.test>||gr\u{fc}n",
    "From: user@mx.test|no header at all",
    "From: broken <user@mx.test|To: user@mx.test>, ,, x@inside.test (|Cc: \"user@mx.test||body",
    "Subject: no addresses||.|..|From: user@mx.test",
];

const ENVELOPES: &[(&str, &str)] = &[
    ("user@mx.test", "a@away.test"),
    ("", "user@inside.test"),
    ("joe@mx.test", "list+x@mx.test"),
    ("quoted@mx.test", "two@mx.test"),
];

fn run(which: Which, keywords: &'static [&'static str], settings: &str) -> Vec<(String, String)> {
    let sink = Sink::start(keywords).unwrap();
    let common = "mydestination = localhost\nrelay_domains = mx.test, inside.test, away.test\nrelay_recipient_maps =\n\
        relay_transport = smtp:[127.0.0.1]:PORT\nsmtp_generic_maps = texthash:$B/etc/generic\nrecipient_delimiter = +\n\
        smtpd_error_sleep_time = 0\nin_flow_delay = 0\nsmtputf8_enable = no\nsmtp_destination_recipient_limit = 1\n\
        virtual_alias_domains = alias.test\nvirtual_alias_maps = inline:{x@alias.test=user@inside.test}\n\
        flagged_destination_recipient_limit = 1\ntransport_maps = inline:{away.test=flagged:[127.0.0.1]:PORT}\n";
    let settings = format!("{common}{settings}").replace("PORT", &sink.port.to_string());
    let system = System::prepare(which, &settings);
    fs::write(system.path("etc/generic"), GENERIC).unwrap();
    system.add_services("flagged unix - - n - - smtp flags=DOR\n");
    system.run();
    let mut sent = 0;
    for (sender, recipient) in ENVELOPES {
        let mut client = Client::connect(system.address()).unwrap();
        for (n, message) in MESSAGES.iter().enumerate() {
            let recipients = [(*recipient).to_owned(), "x@alias.test".to_owned()];
            client
                .envelope(&format!("MAIL FROM:<{sender}> BODY=8BITMIME"), &recipients, b"DATA\r\n")
                .unwrap();
            let message =
                format!("X-Number: {n}|Date: Thu, 1 Apr 1999 00:00:00 +0000|Message-ID: <{n}@x>|{message}");
            let reply = client.content(message.replace('|', "\r\n").as_bytes()).unwrap();
            assert!(reply.starts_with("250"), "{message}: {reply}");
            sent += 2;
        }
        client.say(b"QUIT\r\n").unwrap();
    }
    system.wait_until("everything was sent", || sink.taken().len() == sent);
    let mut taken: Vec<_> = sink.taken().iter().map(seen).collect();
    taken.sort();
    let warnings = system.log();
    let warnings = warnings.lines().filter(|line| line.contains("/smtp[") && line.contains("multi-valued"));
    let mut warnings: Vec<_> = warnings.map(|line| line.split_once("]: ").unwrap().1.to_owned()).collect();
    warnings.sort();
    taken.push(("log".to_owned(), warnings.join("\n")));
    taken
}

fn seen(taken: &Taken) -> (String, String) {
    let text: String = taken.content.iter().map(|&byte| char::from(byte)).collect();
    let mut lines = Vec::new();
    let mut is_received = false;
    for line in text.split("\r\n") {
        let is_new =
            ["Received:", "Resent-Date:", "Resent-Message-Id:"].iter().any(|name| line.starts_with(name));
        is_received = is_new || is_received && line.starts_with(['\t', ' ']);
        if !is_received {
            lines.push(line);
        }
    }
    let mail = taken.mail.split(' ').filter(|word| !word.starts_with("SIZE=")).collect::<Vec<_>>().join(" ");
    let number = lines.iter().position(|line| line.starts_with("X-Number")).map_or("", |at| lines[at]);
    (format!("{number} {mail} {}", taken.recipients.join(" ")), lines.join("\n"))
}

#[track_caller]
fn same(keywords: &'static [&'static str], settings: &str) -> Vec<(String, String)> {
    let (theirs, ours) = (run(Which::Postfix, keywords, settings), run(Which::Posthaste, keywords, settings));
    let differ: Vec<_> = theirs.iter().zip(&ours).filter(|(a, b)| a != b).collect();
    assert!(
        differ.is_empty(),
        "{} of {} differ: {:#?}",
        differ.len(),
        theirs.len(),
        &differ[..differ.len().min(5)]
    );
    assert_eq!(ours.len(), theirs.len());
    ours
}

#[test]
fn local_addresses_become_public_ones() {
    let seen = same(&["PIPELINING", "8BITMIME", "SIZE", "DSN"], "");
    let text = format!("{seen:?}");
    assert!(
        text.contains("From: public@example.com") && text.contains("MAIL FROM:<public@example.com>"),
        "{text}"
    );
    assert!(text.contains("Return-Path: <public@example.com>"), "{text}");
    same(
        &[],
        "propagate_unmatched_extensions = generic\nsmtp_quote_rfc821_envelope = no\nlocal_header_rewrite_clients =\n",
    );
    same(&["8BITMIME"], "smtp_generic_maps =\n");
}
