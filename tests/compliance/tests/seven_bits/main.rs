//! 8-bit mail to a server without 8BITMIME: what reaches it is the same to the byte, from Debian's Postfix and from
//! Posthaste.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod shapes;

use compliance::{
    client::Client,
    sink::{Sink, Taken},
    system::{System, Which},
};
use shapes::Shape;
use std::collections::BTreeMap;

/// Headers stay as they are, but for the one that every hop adds. Lines are taken as long as they come.
const SETTINGS: &str = "relay_domains = relay.test\nrelay_recipient_maps =\nlocal_header_rewrite_clients =\n\
    relay_transport = smtp:[127.0.0.1]:PORT\nsmtpd_error_sleep_time = 0\nsmtpd_peername_lookup = no\n\
    in_flow_delay = 0\nsmtputf8_enable = no\nmaximal_queue_lifetime = 0\nbounce_size_limit = 1000\n";

#[derive(Default)]
struct Outcome {
    /// By number of the message: MAIL, and the content behind the header that was added.
    taken: BTreeMap<usize, (String, Vec<u8>)>,
    /// By number of the message: how it ended.
    fates: BTreeMap<usize, String>,
}

fn run(which: Which, keywords: &'static [&'static str], settings: &str, shapes: &[Shape]) -> Outcome {
    let sink = Sink::start(keywords).unwrap();
    let settings = format!("{SETTINGS}{settings}").replace("PORT", &sink.port.to_string());
    let system = System::start(which, &settings);
    for (chunk, some) in shapes.chunks(25).enumerate() {
        let mut client = Client::connect(system.address()).unwrap();
        for (n, shape) in some.iter().enumerate() {
            let recipients = [format!("m{}@relay.test", chunk * 25 + n)];
            // What a client does not say, nobody knows.
            let body = if n % 2 == 0 { " BODY=8BITMIME" } else { "" };
            let replies =
                client.envelope(&format!("MAIL FROM:<s@client.test>{body}"), &recipients, b"DATA\r\n");
            assert!(replies.unwrap().last().unwrap().starts_with("354"), "{}", shape.name);
            let reply = client.content(&shape.content).unwrap();
            assert!(reply.starts_with("250"), "{}: {reply}", shape.name);
        }
        client.say(b"QUIT\r\n").unwrap();
    }
    let mut outcome = Outcome::default();
    system.wait_until("each message has its fate", || {
        outcome.fates = fates(&system.log());
        outcome.fates.len() == shapes.len()
    });
    let port = sink.port.to_string();
    outcome.fates.values_mut().for_each(|fate| *fate = fate.replace(&port, "PORT"));
    outcome.taken = sink.taken().iter().map(received).collect();
    outcome
}

fn number(text: &str) -> Option<usize> {
    text.split_once("<m")?.1.split_once("@relay.test>")?.0.parse().ok()
}

fn received(taken: &Taken) -> (usize, (String, Vec<u8>)) {
    let number = number(&taken.recipients.concat()).unwrap();
    let text = &taken.content;
    assert!(text.starts_with(b"Received: "), "{}", text.escape_ascii());
    let mut at = 0;
    while at == 0 || matches!(text.get(at), Some(b' ' | b'\t')) {
        at += text[at..].iter().position(|&byte| byte == b'\n').unwrap() + 1;
    }
    // The size counts the header that was added, with its queue id.
    let mail = taken.mail.split(" SIZE=").next().unwrap();
    let has_size = taken.mail.contains(" SIZE=");
    let parameters = taken.mail.split(' ').filter(|word| word.starts_with("BODY=")).collect::<String>();
    (number, (format!("{mail} size: {has_size} {parameters}"), text[at..].to_vec()))
}

fn fates(log: &str) -> BTreeMap<usize, String> {
    let fate = |line: &str| {
        let (_, rest) = line.split_once(": to=<m").map(|_| line.split_once(": to=").unwrap())?;
        let relay = rest.split(", ").find(|word| word.starts_with("relay="))?;
        Some((number(rest)?, format!("{relay} {}", &rest[rest.find("dsn=")?..])))
    };
    log.lines().filter_map(fate).collect()
}

fn show(bytes: &[u8], around: usize) -> String {
    let end = bytes.len().min(around + 100);
    bytes.get(around.saturating_sub(60)..end).unwrap_or_default().escape_ascii().to_string()
}

/// Both systems with the same mail; what differs is told all at once.
fn compare(keywords: &'static [&'static str], settings: &str) -> (Outcome, Vec<Shape>) {
    let shapes = shapes::all();
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| run(Which::Postfix, keywords, settings, &shapes));
        let ours = run(Which::Posthaste, keywords, settings, &shapes);
        (theirs.join().unwrap(), ours)
    });
    let mut differences = Vec::new();
    for (number, shape) in shapes.iter().enumerate() {
        let name = &shape.name;
        let (a, b) = (theirs.fates.get(&number), ours.fates.get(&number));
        if a != b {
            differences.push(format!("{name}\n  theirs: {a:?}\n  ours:   {b:?}"));
        }
        let (Some(a), Some(b)) = (theirs.taken.get(&number), ours.taken.get(&number)) else {
            if theirs.taken.contains_key(&number) != ours.taken.contains_key(&number) {
                differences.push(format!("{name}: only one system has sent it"));
            }
            continue;
        };
        if a.0 != b.0 {
            differences.push(format!("{name}\n  theirs: {}\n  ours:   {}", a.0, b.0));
        }
        if a.1 != b.1 {
            let at = a.1.iter().zip(&b.1).position(|(a, b)| a != b).unwrap_or(a.1.len().min(b.1.len()));
            let (theirs, ours) = (show(&a.1, at), show(&b.1, at));
            differences.push(format!("{name} at byte {at}\n  theirs: {theirs}\n  ours:   {ours}"));
        }
    }
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), shapes.len(), differences.join("\n"));
    (ours, shapes)
}

#[test]
fn what_was_converted_is_the_same() {
    let (outcome, shapes) = compare(&["PIPELINING", "SIZE 50000000"], "");
    assert!(shapes.len() >= 300, "{}", shapes.len());
    let at = shapes.iter().position(|shape| shape.name == "eight bits").unwrap();
    let (mail, content) = &outcome.taken[&at];
    // The announced size would be that before the conversion.
    assert_eq!(mail, "MAIL FROM:<s@client.test> size: false ");
    let expected = "Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn =3D 1\r\n..\r\n...\r\ntrailing=20\r\ntab=09\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(content), expected);
    let too_deep = shapes.iter().position(|shape| shape.name == "110 levels").unwrap();
    let fate = &outcome.fates[&too_deep];
    assert!(fate.ends_with("dsn=5.6.0, status=bounced (MIME nesting exceeds safety limit)"), "{fate}");
}

#[test]
fn small_limits_cut_at_the_same_places() {
    compare(
        &[],
        "smtp_line_length_limit = 60\nmime_nesting_limit = 2\nmime_boundary_length_limit = 40\n\
         header_size_limit = 300\nline_length_limit = 512\n",
    );
}

#[test]
fn mail_stays_as_it_is_where_it_may() {
    compare(&["8BITMIME", "SIZE"], "");
    compare(&["SIZE"], "disable_mime_output_conversion = yes\n");
}
