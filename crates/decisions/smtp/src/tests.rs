//! Conversations as text: what the server says (`S:`), what we must say (`C:`), and what it means.

use crate::{
    Action, Content, ContentReader, Ending, Envelope, Failure, Input, MappedAddresses, Peer, Protocol,
    Session, SmtpSettings, Verdict,
};
use config::Values;
use proptest::prelude::*;
use std::{
    io,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use types::{
    Address, BodyEncoding, DeliveryRequest, Instant, MessageAttributes, Nexthop, QueueName, Recipient,
    Transport, WallTime,
};

struct Bytes(Vec<u8>);

impl Content for Bytes {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap().min(self.0.len());
        let size = buffer.len().min(self.0.len() - start);
        buffer[..size].copy_from_slice(&self.0[start..start + size]);
        Ok(size)
    }
}

fn record(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut length = data.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend_from_slice(data);
    bytes
}

fn queue_file(records: &[(u8, &[u8])]) -> Bytes {
    let mut bytes: Vec<u8> = records.iter().flat_map(|(kind, data)| record(*kind, data)).collect();
    bytes.extend(record(b'X', b""));
    bytes.extend(record(b'E', b""));
    Bytes(bytes)
}

/// The result of something that has nothing to wait for.
pub(crate) fn now<T>(task: impl Future<Output = T>) -> T {
    match pin!(task).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("this should not have to wait"),
    }
}

fn encoded(content: &Bytes, limit: usize) -> Vec<u8> {
    let mut reader = ContentReader::new(0, content.0.len() as u64, limit);
    let mut out = Vec::new();
    while now(reader.next_chunk(content, &mut out)).unwrap() != crate::Chunk::Last {}
    out
}

pub(crate) fn settings(protocol: Protocol, set: &[(&str, &str)]) -> Rc<SmtpSettings> {
    let values = Values::for_tests(&[&[("myhostname", "client.test")], set].concat());
    Rc::new(SmtpSettings::load(&values, protocol).unwrap())
}

fn request(recipients: &[&str]) -> DeliveryRequest {
    let recipient = |address: &&str| Recipient { address: Address::from(*address), ..Recipient::default() };
    DeliveryRequest {
        queue_id: "7602C72C2".parse().unwrap(),
        queue_name: QueueName::Active,
        transport: Transport::new("smtp"),
        nexthop: Nexthop::new("example.test"),
        recipients: recipients.iter().map(recipient).collect(),
        message: Rc::new(MessageAttributes {
            sender: Address::from("s@x.test"),
            size_bytes: 100,
            encoding: BodyEncoding::SevenBit,
            ..MessageAttributes::default()
        }),
        active_since: WallTime::default(),
        agent_since: WallTime::default(),
    }
}

pub(crate) struct Run {
    pub(crate) session: Session,
    said: String,
    verdicts: Vec<String>,
}

fn describe(verdict: &Verdict) -> String {
    let failure = |f: &Failure| format!("{} {}", f.status.dsn, f.status.reason);
    match verdict {
        Verdict::Sent(place, reply) => format!("{place} sent {} {}", reply.dsn, reply.one_line()),
        Verdict::Failed(place, f) => format!("{place} failed {}", failure(f)),
        Verdict::AllFailed(f) => format!("all failed {}", failure(f)),
    }
}

/// Plays the server's part; `<close>` and `<silence>` are lines of the server's part too.
pub(crate) fn play(
    settings: &Rc<SmtpSettings>,
    server: &[&str],
    recipients: &[&str],
    stays_open: bool,
) -> Run {
    let peer = Peer {
        name: "mx.test".into(),
        address: "192.0.2.1".into(),
        port: Some(25),
        nexthop: "example.test".into(),
        is_best: true,
        detects_loops: settings.protocol == Protocol::Smtp,
    };
    let now = Instant::default();
    let mut session = Session::new(now, Rc::clone(settings), peer);
    let content = queue_file(&[(b'N', b"Subject: x"), (b'N', b""), (b'N', b".dot"), (b'L', b"end")]);
    let (mut said, mut verdicts) = (String::new(), Vec::new());
    let mut lines = server.iter();
    let mut begun = false;
    let mut action = session.step(now, Input::Connected);
    loop {
        let input = match action {
            Action::Write(_) => {
                said.push_str(std::str::from_utf8(session.output()).unwrap());
                Input::Written
            }
            Action::Read(_) => match lines.next() {
                None | Some(&"<close>") => Input::Lost(Ending::Closed),
                Some(&"<silence>") => Input::Lost(Ending::TimedOut),
                Some(text) => {
                    let text = text.replace('|', "\r\n") + "\r\n";
                    action = session.step(now, Input::Received(text.as_bytes()));
                    continue;
                }
            },
            Action::SendContent(_) => {
                let out = encoded(&content, settings.smtp_line_length_limit);
                session.output().extend_from_slice(&out);
                Input::ContentDone
            }
            Action::Idle if !begun => {
                begun = true;
                let request = request(recipients);
                let all: Vec<usize> = (0..recipients.len()).collect();
                let envelope =
                    Envelope::new(settings, session.features(), &request, &all, &MappedAddresses::default());
                action = session.begin(envelope, stays_open);
                continue;
            }
            Action::Idle | Action::Close => break,
        };
        action = session.step(now, input);
    }
    said.push_str(std::str::from_utf8(session.output()).unwrap());
    verdicts.extend(session.take_verdicts().iter().map(describe));
    Run { session, said: said.replace("\r\n", "|"), verdicts }
}

#[track_caller]
fn check(server: &[&str], recipients: &[&str], said: &str, verdicts: &[&str]) {
    let run = play(&settings(Protocol::Smtp, &[]), server, recipients, false);
    assert_eq!((run.said.as_str(), run.verdicts), (said, verdicts.iter().map(|v| (*v).to_owned()).collect()));
}

const BODY: &str = "Subject: x||..dot|end|.|QUIT|";

#[test]
fn a_whole_session_is_few_writes_with_pipelining() {
    let said = format!(
        "EHLO client.test|MAIL FROM:<s@x.test> SIZE=100 BODY=7BIT|RCPT TO:<a@x>|RCPT TO:<\"b c\"@x>|DATA|{BODY}"
    );
    check(
        &[
            "220 mx.test ESMTP",
            "250-mx.test|250-PIPELINING|250-SIZE 0|250 8BITMIME",
            "250 ok|250 ok|250 ok|354 go",
            "250 2.0.0 queued",
        ],
        &["a@x", "b c@x"],
        &said,
        &["0 sent 2.0.0 250 2.0.0 queued", "1 sent 2.0.0 250 2.0.0 queued"],
    );
}

#[test]
fn without_pipelining_each_command_waits() {
    check(
        &["220 mx.test", "500 what", "250 mx.test", "250 ok", "250 ok", "354 go", "250 ok"],
        &["a@x"],
        &format!("EHLO client.test|HELO client.test|MAIL FROM:<s@x.test>|RCPT TO:<a@x>|DATA|{BODY}"),
        &["0 sent 2.0.0 250 ok"],
    );
}

#[test]
fn refusals_are_told_in_postfix_words() {
    let greeting = ["220 mx.test ESMTP", "250 mx.test"];
    let start = "EHLO client.test|MAIL FROM:<s@x.test>|";
    let with = |more: &[&'static str]| [&greeting[..], more].concat();
    check(
        &["554 5.7.1 go away"],
        &["a@x"],
        "QUIT|",
        &["all failed 4.7.1 host mx.test[192.0.2.1] refused to talk to me: 554 5.7.1 go away"],
    );
    check(
        &["220 mx.test ESMTP", "421-4.3.2 too|421 4.3.2 busy"],
        &["a@x"],
        "EHLO client.test|QUIT|",
        &["all failed 4.3.2 host mx.test[192.0.2.1] refused to talk to me: 421-4.3.2 too 421 4.3.2 busy"],
    );
    check(
        &with(&["550 no", "250 reset"]),
        &["a@x"],
        &format!("{start}RSET|QUIT|"),
        &["all failed 5.0.0 host mx.test[192.0.2.1] said: 550 no (in reply to MAIL FROM command)"],
    );
    check(
        &with(&["250 ok", "550 5.1.1 no user", "450 4.2.0 later", "250 reset"]),
        &["a@x", "b@x"],
        &format!("{start}RCPT TO:<a@x>|RCPT TO:<b@x>|RSET|QUIT|"),
        &[
            "0 failed 5.1.1 host mx.test[192.0.2.1] said: 550 5.1.1 no user (in reply to RCPT TO command)",
            "1 failed 4.2.0 host mx.test[192.0.2.1] said: 450 4.2.0 later (in reply to RCPT TO command)",
        ],
    );
    check(
        &with(&["250 ok", "250 ok", "354 go", "554 5.7.1 spam"]),
        &["a@x"],
        &format!("{start}RCPT TO:<a@x>|DATA|{}", BODY.strip_suffix("QUIT|").unwrap().to_owned() + "QUIT|"),
        &["all failed 5.7.1 host mx.test[192.0.2.1] said: 554 5.7.1 spam (in reply to end of DATA command)"],
    );
    check(
        &with(&["354 what"]),
        &["a@x"],
        &format!("{start}RSET|"),
        &["all failed 5.5.0 host mx.test[192.0.2.1] said: 354 what (in reply to MAIL FROM command)"],
    );
    check(
        &["220 mx.test ESMTP", "250 CLIENT.test"],
        &["a@x"],
        "EHLO client.test|QUIT|",
        &["all failed 5.4.6 mail for example.test loops back to myself"],
    );
}

#[test]
fn pipelined_refusals_stop_before_content() {
    let hello = ["220 mx.test ESMTP", "250-mx.test|250 PIPELINING"];
    let commands = "EHLO client.test|MAIL FROM:<s@x.test>|RCPT TO:<a@x>|DATA|";
    check(
        &[&hello[..], &["250 ok|550 no|554 no valid recipients", "250 reset"]].concat(),
        &["a@x"],
        &format!("{commands}RSET|QUIT|"),
        &["0 failed 5.0.0 host mx.test[192.0.2.1] said: 550 no (in reply to RCPT TO command)"],
    );
    // A server that takes DATA without a recipient gets an empty message for nobody (RFC 2920 3.1).
    check(
        &[&hello[..], &["250 ok|550 no|354 go", "250 nobody"]].concat(),
        &["a@x"],
        &format!("{commands}.|QUIT|"),
        &["0 failed 5.0.0 host mx.test[192.0.2.1] said: 550 no (in reply to RCPT TO command)"],
    );
}

#[test]
fn a_lost_connection_says_where() {
    let hello = ["220 mx.test ESMTP", "250 mx.test"];
    let check_lost = |server: &[&str], text: &str| {
        let run = play(&settings(Protocol::Smtp, &[]), server, &["a@x"], false);
        assert_eq!(run.verdicts, [format!("all failed 4.4.2 {text}")]);
    };
    let lost = "lost connection with mx.test[192.0.2.1] while";
    let late = "conversation with mx.test[192.0.2.1] timed out while";
    check_lost(&["<close>"], &format!("{lost} receiving the initial server greeting"));
    check_lost(&["<silence>"], &format!("{late} receiving the initial server greeting"));
    check_lost(&["220 x", "<close>"], &format!("{lost} performing the EHLO handshake"));
    check_lost(&["220 x", "502 x", "<close>"], &format!("{lost} performing the HELO handshake"));
    check_lost(&[&hello[..], &["<close>"]].concat(), &format!("{lost} sending MAIL FROM"));
    check_lost(&[&hello[..], &["250 ok", "<silence>"]].concat(), &format!("{late} sending RCPT TO"));
    check_lost(
        &[&hello[..], &["250 ok", "250 ok", "<close>"]].concat(),
        &format!("{lost} sending DATA command"),
    );
    let end = "sending end of data -- message may be sent more than once";
    check_lost(&[&hello[..], &["250 ok", "250 ok", "354 go", "<close>"]].concat(), &format!("{lost} {end}"));
}

#[test]
fn lmtp_has_a_reply_for_each_recipient() {
    let server = [
        "220 x",
        "250-x|250 PIPELINING",
        "250 ok|250 ok|550 no|250 ok|354 go",
        "250 2.1.5 a|452 4.2.2 full|221 bye",
    ];
    let run = play(&settings(Protocol::Lmtp, &[]), &server, &["a@x", "b@x", "c@x"], false);
    assert!(run.said.starts_with("LHLO client.test|MAIL FROM:<s@x.test>|RCPT TO:<a@x>"), "{}", run.said);
    assert_eq!(
        run.verdicts,
        [
            "1 failed 5.0.0 host mx.test[192.0.2.1] said: 550 no (in reply to RCPT TO command)",
            "0 sent 2.1.5 250 2.1.5 a",
            "2 failed 4.2.2 host mx.test[192.0.2.1] said: 452 4.2.2 full (in reply to end of DATA command)",
        ]
    );
}

#[test]
fn a_connection_is_reused_only_while_both_sides_agree() {
    let now = Instant::default();
    let good = ["220 x ESMTP", "250-x|250 PIPELINING", "250 ok|250 ok|354 go", "250 ok"];
    let run = play(&settings(Protocol::Smtp, &[]), &good, &["a@x"], true);
    assert!(run.session.is_reusable(now) && run.said.ends_with("|.|"), "{}", run.said);
    // Text that is no reply may have been taken for one.
    let odd = ["220 x ESMTP", "250-x|250 PIPELINING", "hm|250 ok|250 ok|354 go", "250 ok"];
    assert!(!play(&settings(Protocol::Smtp, &[]), &odd, &["a@x"], true).session.is_reusable(now));
}

#[test]
fn demands_that_cannot_be_met_are_named() {
    let named = |name: &str, value: &str| settings(Protocol::Smtp, &[(name, value)]).unfulfilled.clone();
    assert_eq!(named("smtp_tls_security_level", "may"), None);
    assert_eq!(named("smtp_tls_security_level", "encrypt"), Some("smtp_tls_security_level = encrypt".into()));
    assert_eq!(named("smtp_tls_security_level", "dane"), Some("smtp_tls_security_level = dane".into()));
    assert_eq!(named("smtp_tls_wrappermode", "yes"), Some("smtp_tls_wrappermode = yes".into()));
    assert_eq!(named("smtp_enforce_tls", "yes"), Some("smtp_enforce_tls = yes".into()));
    assert_eq!(named("smtp_sasl_auth_enable", "yes"), Some("smtp_sasl_auth_enable = yes".into()));
}

#[test]
fn lines_are_broken_and_stuffed_as_postfix_does() {
    let check = |records: &[(u8, &[u8])], limit: usize, expected: &str| {
        let out = encoded(&queue_file(records), limit);
        assert_eq!(String::from_utf8_lossy(&out), expected, "{records:?}");
    };
    check(&[(b'N', b"a"), (b'N', b"."), (b'N', b"..b")], 998, "a\r\n..\r\n...b\r\n");
    check(&[(b'L', b"ab"), (b'L', b".c"), (b'N', b".d")], 998, "ab.c.d\r\n");
    check(&[(b'L', b"unfinished")], 998, "unfinished\r\n");
    check(&[(b'N', b"abcdefgh")], 4, "abcd\r\n efg\r\n h\r\n");
    check(&[(b'N', b"abcd"), (b'N', b"e")], 4, "abcd\r\ne\r\n");
    check(&[(b'L', b"abcd"), (b'N', b"e")], 4, "abcd\r\n e\r\n");
    check(&[(b'N', b"a\rb\nc\r\n.\r\nd")], 998, "a b c  .  d\r\n");
    check(&[(b'w', b"xx"), (b'N', b"a")], 998, "a\r\n");
    check(&[], 998, "");
}

#[test]
fn pointer_records_are_followed_and_loops_are_damage() {
    let mut bytes = record(b'p', b"          20000");
    bytes.extend(record(b'N', b"skipped"));
    bytes.resize(20_000, 0);
    bytes.extend(record(b'N', b"there"));
    bytes.extend(record(b'X', b""));
    assert_eq!(encoded(&Bytes(bytes), 998), b"there\r\n");
    let mut looped = record(b'N', b"a");
    looped.extend(record(b'p', b"              3"));
    let looped = Bytes(looped);
    let mut reader = ContentReader::new(0, 0, 998);
    let mut out = Vec::new();
    let ended = (0..100_000).any(|_| now(reader.next_chunk(&looped, &mut out)).is_err());
    assert!(ended);
}

/// Undoes what SMTP does to content, as a strict server would; `None` if it is not clean.
fn received(wire: &[u8]) -> Option<Vec<Vec<u8>>> {
    let text = [wire, b".\r\n"].concat();
    let mut lines = Vec::new();
    let mut rest = text.as_slice();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, after) = (&rest[..end], &rest[end + 2..]);
        if line.contains(&b'\r') || line.contains(&b'\n') {
            return None;
        }
        if line == b"." {
            return after.is_empty().then_some(lines);
        }
        lines.push(line.strip_prefix(b".").unwrap_or(line).to_vec());
        rest = after;
    }
}

proptest! {
    #[test]
    fn content_ends_where_we_end_it(
        lines in proptest::collection::vec(
            (proptest::collection::vec(prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..40), any::<bool>()),
            0..20),
    ) {
        let records: Vec<(u8, &[u8])> =
            lines.iter().map(|(data, ends)| (if *ends { b'N' } else { b'L' }, data.as_slice())).collect();
        let mut expected: Vec<Vec<u8>> = Vec::new();
        let mut open = false;
        for (data, ends) in &lines {
            let clean: Vec<u8> = data.iter().map(|&b| if b == b'\r' || b == b'\n' { b' ' } else { b }).collect();
            if open { expected.last_mut().unwrap().extend(clean) } else { expected.push(clean) }
            open = !ends;
        }
        // No limit: what arrives is what was stored.
        prop_assert_eq!(received(&encoded(&queue_file(&records), 0)), Some(expected));
        // Any limit: still exactly one message, in lines that are short enough.
        for limit in [1usize, 2, 7, 30] {
            let out = encoded(&queue_file(&records), limit);
            let got = received(&out);
            prop_assert!(got.is_some());
            prop_assert!(got.unwrap().iter().all(|line| line.len() <= limit.max(2)));
        }
    }

    #[test]
    fn no_queue_file_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let content = Bytes(bytes);
        let mut reader = ContentReader::new(0, content.0.len() as u64, 998);
        let mut out = Vec::new();
        for _ in 0..20_000 {
            match now(reader.next_chunk(&content, &mut out)) {
                Ok(crate::Chunk::More) => {}
                _ => break,
            }
        }
    }

    #[test]
    fn no_server_panics_us(replies in proptest::collection::vec("[0-9]{0,4}[ -]?[ -~\\r\\n]{0,20}", 0..30)) {
        let server: Vec<&str> = replies.iter().map(String::as_str).collect();
        for protocol in [Protocol::Smtp, Protocol::Lmtp] {
            play(&settings(protocol, &[]), &server, &["a@x", "b@x"], true);
        }
    }
}
