//! Clients that mean harm. What they are told is what Postfix tells them, what goes onward is what was promised,
//! and others are served meanwhile.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    friend,
    system::{System, Which},
    wire::{Received, Talk, wait_for},
};
use std::{net::Ipv4Addr, thread};

/// Where both should behave alike whatever the version's defaults.
const ALIKE: &str = "smtpd_forbid_unauth_pipelining = no\nsmtpd_banner = $myhostname ESMTP\n\
    smtpd_error_sleep_time = 0\nsmtpd_peername_lookup = no\nlocal_recipient_maps =\n";

fn start(which: Which, settings: &str) -> System {
    System::start(which, &format!("{ALIKE}{settings}"))
}

/// The replies without what differs by nature: ids, and the list of extensions.
fn essence(replies: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(replies);
    let lines = text.split_inclusive('\n').filter(|line| !line.starts_with("250-"));
    let mask = |line: &str| match line.split_once("queued as ") {
        Some((before, _)) => format!("{before}queued as ID"),
        None if line.starts_with("250 ") && !line.starts_with("250 2") && !line.contains("mx.test") => {
            "250 extensions".to_owned()
        }
        None => line.trim_end_matches('\n').to_owned(),
    };
    lines.map(mask).collect()
}

/// All of a script at once, then silence.
fn replies(system: &System, script: &[u8]) -> Vec<String> {
    let mut talk = Talk::to(system.address());
    talk.send(script);
    talk.half_close();
    essence(&talk.rest())
}

const ENVELOPE: &str = "EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<root@mx.test>\r\n";

/// What a client may say that it should not. Each is sent in one piece.
fn scripts() -> Vec<(&'static str, Vec<u8>)> {
    let plain = |text: &str| text.as_bytes().to_vec();
    let message = "DATA\r\nSubject: x\r\n\r\nx\r\n.";
    let mut scripts = vec![
        ("nothing", plain("")),
        ("line ends only", plain("\r\n\r\n\n\r\r\nQUIT\r\n")),
        ("NUL", b"NO\0OP\r\nEHLO a\0b\r\nMAIL FROM:<a\0b@c.test>\r\nQUIT\r\n".to_vec()),
        ("NUL in a recipient", after_envelope("RCPT TO:<r\0oot@mx.test>\r\nRSET")),
        ("bare LF in commands", plain("EHLO c.test\nMAIL FROM:<a@c.test>\nRSET\nQUIT\n")),
        ("bare CR in commands", plain("EHLO c.test\rMAIL FROM:<a@c.test>\r\nNOOP\r\nQUIT\r\n")),
        ("after QUIT", plain("QUIT\r\nNOOP\r\nEHLO c.test\r\n")),
        (
            "commands out of order",
            plain("RCPT TO:<root@mx.test>\r\nDATA\r\nMAIL FROM:<a@c.test>\r\nQUIT\r\n"),
        ),
        ("a transaction twice", after_envelope("MAIL FROM:<b@c.test>\r\nRSET\r\nDATA\r\nNOOP")),
        ("EHLO resets", after_envelope("EHLO again.test\r\nDATA")),
        ("side commands do not", after_envelope(&format!("NOOP\r\nVRFY root\r\nXYZZY\r\n{message}"))),
        ("a bad side command", after_envelope(&format!("VRFY\r\nVRFY <>\r\nAUTH\r\nAUTH X Y\r\n{message}"))),
        ("DATA with words", after_envelope(&format!("DATA now\r\n{message}"))),
        ("only a dot", after_envelope("DATA\r\n.")),
        ("dots", after_envelope("DATA\r\n..\r\n...\r\n.x\r\n.\r.\r\n.")),
        ("BDAT zero", after_envelope("BDAT 0\r\nBDAT 0 LAST")),
        ("BDAT zero last", after_envelope("BDAT 0 LAST")),
        ("BDAT negative", after_envelope("BDAT -1\r\nBDAT -1 LAST\r\nRSET")),
        (
            "BDAT too large a number",
            after_envelope("BDAT 99999999999999999999999\r\nBDAT 18446744073709551616 LAST"),
        ),
        ("BDAT nonsense", after_envelope("BDAT\r\nBDAT x\r\nBDAT 1 FIRST\r\nBDAT 1 LAST LAST\r\nBDAT 0x1")),
        ("BDAT then DATA", after_envelope("BDAT 3\r\na\r\nDATA\r\nRSET\r\nNOOP")),
        ("BDAT, RSET, BDAT", after_envelope("BDAT 3\r\na\r\nRSET\r\nBDAT 3 LAST\r\nb\r\nNOOP")),
        (
            "BDAT, MAIL",
            after_envelope(
                "BDAT 3\r\na\r\nMAIL FROM:<x@c.test>\r\nRCPT TO:<root@mx.test>\r\nBDAT 3 LAST\r\nb\r\n",
            ),
        ),
        ("BDAT, NOOP, BDAT", after_envelope("BDAT 3\r\na\r\nNOOP\r\nVRFY root\r\nBDAT 3 LAST\r\nb\r\n")),
        ("BDAT in the midst of a line", after_envelope("BDAT 5\r\nSubjeBDAT 9 LAST\r\nct: x\r\n\r\n")),
        ("BDAT CR, then LF", after_envelope("BDAT 2\r\na\rBDAT 2 LAST\r\n\nb")),
        ("BDAT without a transaction", plain("EHLO c.test\r\nBDAT 4 LAST\r\nabcdQUIT\r\n")),
        ("BDAT that never comes", after_envelope("BDAT 1000 LAST\r\nabc")),
        ("unknown commands", plain(&format!("EHLO c.test\r\n{}QUIT\r\n", "XYZZY\r\n".repeat(25)))),
        ("junk", plain(&format!("EHLO c.test\r\n{}QUIT\r\n", "NOOP\r\n".repeat(110)))),
        ("HTTP", plain("GET / HTTP/1.1\r\nHost: x\r\n\r\n")),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("8 bit", b"EHLO \xff\xfe\r\nMAIL FROM:<\xff@c.test>\r\nXYZ\xff\r\nQUIT\r\n".to_vec()),
        (
            "null sender and recipients",
            plain(
                "EHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<>\r\nRCPT TO:<@>\r\nRCPT TO:<\"\">\r\nRCPT TO:<\"\"@mx.test>\r\nRCPT TO:<root@>\r\nRCPT TO:root\r\nRCPT TO:\r\nQUIT\r\n",
            ),
        ),
        (
            "parameters",
            plain(
                "EHLO c.test\r\nMAIL FROM:<a@c.test> SIZE=99999999999999999999\r\nMAIL FROM:<a@c.test> SIZE=-1\r\nMAIL FROM:<a@c.test> SIZE=x\r\nMAIL FROM:<a@c.test> BODY=\r\nMAIL FROM:<a@c.test> X\r\nMAIL FROM:<a@c.test> SIZE=999999999\r\nQUIT\r\n",
            ),
        ),
    ];
    let long = |size: usize| {
        let mut script = b"EHLO ".to_vec();
        script.resize(5 + size, b'x');
        script.extend_from_slice(b"\r\nNOOP\r\nQUIT\r\n");
        script
    };
    scripts.extend([("a line of 600", long(600)), ("a line of 2040", long(2040))]);
    scripts.extend(chunks());
    scripts.extend(long_arguments());
    scripts
}

/// What may follow an envelope, and QUIT.
fn after_envelope(text: &str) -> Vec<u8> {
    format!("{ENVELOPE}{text}\r\nQUIT\r\n").into_bytes()
}

/// Sizes of chunks that are none, and chunks among other commands.
fn chunks() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("BDAT leading zeros", after_envelope("BDAT 0003\r\na\r\nBDAT 00 LAST")),
        ("BDAT with a sign", after_envelope("BDAT +3\r\nBDAT 3+\r\nBDAT 3. LAST")),
        ("BDAT and white space", after_envelope("bdat \t 3   last  \r\na\r\nNOOP")),
        ("BDAT 2^63", after_envelope("BDAT 9223372036854775808\r\nBDAT 9223372036854775808 LAST")),
        ("BDAT 2^64-1", after_envelope("BDAT 18446744073709551615\r\nRSET")),
        ("BDAT zero again and again", after_envelope(&"BDAT 0\r\n".repeat(30))),
        ("BDAT, RCPT", after_envelope("BDAT 3\r\na\r\nRCPT TO:<root@mx.test>\r\nBDAT 0 LAST")),
        ("BDAT, EHLO", after_envelope("BDAT 3\r\na\r\nEHLO again.test\r\nBDAT 3 LAST\r\nb\r\nNOOP")),
        ("BDAT, QUIT", after_envelope("BDAT 3\r\na\r\nQUIT")),
        ("BDAT after the last", after_envelope("BDAT 3 LAST\r\na\r\nBDAT 3 LAST\r\nb\r\nBDAT 3\r\nc\r\n")),
        ("BDAT with a dot", after_envelope("BDAT 9 LAST\r\na\r\n.\r\nb\r\nNOOP")),
        ("BDAT with commands", after_envelope("BDAT 6 LAST\r\nRSET\r\nNOOP")),
        ("DATA, BDAT", after_envelope("DATA\r\nx\r\n.\r\nBDAT 3 LAST\r\na\r\n")),
        ("DATA with BDAT in it", after_envelope("DATA\r\nBDAT 3 LAST\r\nx\r\n.")),
        ("DATA in BDAT, and a dot", after_envelope("BDAT 3\r\na\r\nDATA\r\nx\r\n.\r\nBDAT 0 LAST")),
    ]
}

/// Lines full of what costs the most to read.
fn long_arguments() -> Vec<(&'static str, Vec<u8>)> {
    let plain = |text: &str| text.as_bytes().to_vec();
    let parameters = " A=B".repeat(480);
    let routes = "@r.test,".repeat(200);
    vec![
        ("many parameters", plain(&format!("EHLO c.test\r\nMAIL FROM:<a@c.test>{parameters}\r\nQUIT\r\n"))),
        (
            "many sizes",
            plain(&format!("EHLO c.test\r\nMAIL FROM:<a@c.test>{}\r\nQUIT\r\n", " SIZE=1".repeat(250))),
        ),
        (
            "a long route",
            after_envelope(&format!(
                "RCPT TO:<{routes}@r.test:root@mx.test>\r\nRCPT TO:<{routes}root@mx.test>"
            )),
        ),
        (
            "many at signs",
            after_envelope(&format!(
                "RCPT TO:<{}>\r\nRCPT TO:<a{}mx.test>",
                "@".repeat(900),
                "@".repeat(900)
            )),
        ),
        (
            "many of ours",
            after_envelope(&format!(
                "RCPT TO:<root{}>\r\nRCPT TO:<root{}@mx.test>",
                "@mx.test".repeat(100),
                "%mx.test".repeat(100)
            )),
        ),
        (
            "many quotes",
            after_envelope(&format!(
                "RCPT TO:<{}@mx.test>\r\nRCPT TO:<{}@mx.test>",
                "\"\"".repeat(400),
                "\\".repeat(901)
            )),
        ),
        (
            "many brackets",
            after_envelope(&format!(
                "RCPT TO:{}root@mx.test{}\r\nRCPT TO:<{}@mx.test>",
                "<".repeat(500),
                ">".repeat(500),
                "(".repeat(900)
            )),
        ),
    ]
}

#[test]
fn what_no_client_should_say_is_answered_as_postfix_answers() {
    let (theirs, ours) = (start(Which::Postfix, ""), start(Which::Posthaste, ""));
    let mut differences = Vec::new();
    for (name, script) in scripts() {
        let (expected, found) = (replies(&theirs, &script), replies(&ours, &script));
        if expected != found {
            differences.push(format!("{name}:\n  Postfix   {expected:#?}\n  Posthaste {found:#?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    friend::hand_in(&ours, "root@mx.test");
}

/// Line ends that one server takes for the end of a message and another does not.
const ENDS: [&str; 24] = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\r",
    "\r\r\n.\r\r\n",
    "\r\n.\r\r\n",
    "\r\r\n.\r\n",
    "\n\r.\r\n",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
    "\n..\n",
    "\r\n..\r\n",
    "\n.\r",
    "\n\n.\r\n",
    "\r\n\r.\r\n",
    "\n.\r\r\n",
    "\r\n.\n.\r\n",
    "\r\n\0\n.\r\n",
    "\r\n.\r\0\n",
    "\r\0\n.\r\n",
    "\n\n.\n\n",
    "\r\n.\r\n",
];

/// Sends each attempt in one session; says what came out at the other end, by attempt.
fn smuggle(which: Which, policy: &str, client: Ipv4Addr) -> Vec<Vec<String>> {
    let received = Received::default();
    let sink = received.server();
    let system = start(
        which,
        &format!(
            "smtpd_forbid_bare_newline = {policy}\nsmtpd_forbid_bare_newline_exclusions = 127.0.0.2\n\
             relayhost = {}\ninitial_destination_concurrency = 1\nrelay_domains = dest.test\n",
            sink.relayhost()
        ),
    );
    let mut results = Vec::new();
    for (index, end) in ENDS.iter().enumerate() {
        let script = format!(
            "EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<n{index}@dest.test>\r\nDATA\r\nSubject: n{index}\r\n\r\nbefore{end}\
             MAIL FROM:<evil@c.test>\r\nRCPT TO:<n{index}@dest.test>\r\nDATA\r\nSubject: n{index} smuggled\r\n\r\nevil\r\n.\r\nQUIT\r\n"
        );
        let mut talk = Talk::from(client, system.address()).expect("the server listens");
        talk.send(script.as_bytes());
        let said = talk.rest();
        let queued = String::from_utf8_lossy(&said).matches("queued as").count();
        let to = format!("n{index}@dest.test");
        let mine = || -> Vec<_> {
            received
                .messages()
                .into_iter()
                .filter(|m| m.envelope.iter().any(|line| line.contains(&to)))
                .collect()
        };
        wait_for(&format!("{which:?} has relayed {end:?}"), || mine().len() >= queued);
        let mut bodies: Vec<String> = mine().iter().map(|message| body(&message.data)).collect();
        bodies.sort();
        results.push(bodies);
    }
    results
}

/// What is left when the headers of every system are gone; the bytes are as on the wire.
fn body(data: &[u8]) -> String {
    assert!(is_clean(data), "not clean: {:?}", String::from_utf8_lossy(data));
    let text = String::from_utf8_lossy(data).into_owned();
    let start = text.find("Subject:").unwrap_or(0);
    let (subject, rest) = text.get(start..).unwrap_or_default().split_once("\r\n").unwrap_or_default();
    let body = rest.split_once("\r\n\r\n").map_or(rest, |(_, body)| body);
    format!("{subject}|{body}")
}

/// Every CR has its LF and every LF its CR, and no line is a lone dot.
fn is_clean(data: &[u8]) -> bool {
    let without = String::from_utf8_lossy(data).replace("\r\n", "|");
    !without.contains(['\r', '\n']) && !without.contains("|.|")
}

#[test]
fn nothing_is_smuggled_past_a_server_that_forbids_bare_newlines() {
    for policy in ["normalize", "reject"] {
        let stranger = Ipv4Addr::new(127, 0, 0, 3);
        let theirs = thread::spawn(move || smuggle(Which::Postfix, policy, stranger));
        let ours = smuggle(Which::Posthaste, policy, stranger);
        let theirs = theirs.join().expect("Postfix did its work");
        for ((end, ours), theirs) in ENDS.iter().zip(&ours).zip(&theirs) {
            assert_eq!(ours, theirs, "{policy} {end:?}");
            let is_true_end = end.contains("\r\n.\r\n");
            assert!(ours.len() <= 1 || is_true_end, "{policy} {end:?} made two of one: {ours:?}");
        }
    }
}

#[test]
fn trusted_clients_may_end_a_message_as_they_always_could() {
    let trusted = Ipv4Addr::new(127, 0, 0, 2);
    let theirs = thread::spawn(move || smuggle(Which::Postfix, "normalize", trusted));
    let ours = smuggle(Which::Posthaste, "normalize", trusted);
    let theirs = theirs.join().expect("Postfix did its work");
    for ((end, ours), theirs) in ENDS.iter().zip(&ours).zip(&theirs) {
        assert_eq!(ours, theirs, "{end:?}");
    }
}
