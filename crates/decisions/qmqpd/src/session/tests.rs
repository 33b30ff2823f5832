use super::*;
use config::Values;
use maillog::{Line, Sink};
use proptest::prelude::*;
use std::cell::RefCell;
use types::Dsn;

#[derive(Default)]
struct Lines(RefCell<Vec<String>>);

impl Sink for Lines {
    fn write(&self, line: Line<'_>) {
        self.0.borrow_mut().push(format!("{}{}", line.severity.prefix(), line.text));
    }
}

/// What a session did.
#[derive(Debug, Default)]
struct Outcome {
    reply: String,
    log: Vec<String>,
    messages: Vec<Message>,
    slept: Duration,
}

fn run(
    own: &[(&str, &str)],
    is_authorized: Result<bool, Trouble>,
    (input, piece): (&[u8], usize),
    verdict: &Result<(), Reply>,
) -> Outcome {
    let lines = Rc::new(Lines::default());
    let log = Logger::new(Rc::clone(&lines) as Rc<dyn Sink>, "postfix/qmqpd", 1);
    let client = Client { name: "list.example".into(), address: "192.0.2.7".into(), port: None };
    let settings = Rc::new(QmqpdSettings::load(&Values::for_tests(own)));
    let mut session = Session::new(settings, client, log, is_authorized);
    let mut chunks = input.chunks(piece);
    let mut outcome = Outcome::default();
    loop {
        match session.step(Instant::from_nanos(0)) {
            Action::Open => session.opened("ABC".parse().ok()),
            Action::Read { .. } => match chunks.next() {
                Some(chunk) => {
                    session.read_space()[..chunk.len()].copy_from_slice(chunk);
                    session.received(chunk.len());
                    session.release_space();
                }
                None => session.closed(),
            },
            Action::Commit(message) => {
                outcome.messages.push(message.clone());
                session.finished(verdict.clone());
            }
            Action::Sleep(span) => outcome.slept += span,
            Action::Write { bytes, .. } => outcome.reply = String::from_utf8_lossy(bytes).into_owned(),
            Action::Close => break,
        }
    }
    outcome.log = lines.0.take();
    outcome
}

fn packet(content: &str, sender: &str, recipients: &[&str]) -> Vec<u8> {
    let strings = [content, sender].into_iter().chain(recipients.iter().copied());
    let inner: Vec<u8> = strings.flat_map(|text| encode(text.as_bytes())).collect();
    encode(&inner)
}

#[test]
fn a_message_is_taken_however_it_is_cut() {
    let input = packet("Subject: x\n\nhello\n", "a@example.org", &["b@mx.test", "c@mx.test"]);
    for piece in [1, 3, 7, 1000] {
        let outcome = run(&[], Ok(true), (&input, piece), &Ok(()));
        assert_eq!(outcome.reply, "18:KOk: queued as ABC,");
        assert_eq!(outcome.slept, Duration::ZERO);
        let [message] = &outcome.messages[..] else { panic!("{:?}", outcome.messages) };
        assert_eq!(message.content, b"Subject: x\n\nhello\n");
        assert_eq!(message.recipients, ["b@mx.test", "c@mx.test"]);
        let client = "list.example[192.0.2.7]";
        let log = [
            format!("connect from {client}"),
            format!("ABC: client={client}"),
            format!("disconnect from {client}"),
        ];
        assert_eq!(outcome.log, log);
    }
}

#[test]
fn strangers_are_turned_away() {
    let outcome = run(&[], Ok(false), (b"", 1), &Ok(()));
    let text = "DError: list.example[192.0.2.7] is not authorized to use this service";
    assert_eq!(outcome.reply, format!("{}:{text},", text.len()));
    assert_eq!(outcome.slept, Duration::from_secs(1));
    let trouble = Err(Trouble::new("no table"));
    let outcome = run(&[], trouble, (b"", 1), &Ok(()));
    assert_eq!(outcome.reply, "34:ZError: server configuration error,");
    assert!(outcome.log.contains(&"warning: no table".to_owned()));
}

#[test]
fn what_is_wrong_with_the_protocol_is_said() {
    let check = |input: &[u8], text: &str| {
        let own = [("message_size_limit", "50")];
        for piece in [1, 1000] {
            let outcome = run(&own, Ok(true), (input, piece), &Ok(()));
            let reply = outcome.reply.split_once(':').map_or("", |(_, reply)| reply);
            assert_eq!(reply, format!("D{text},"));
            assert!(
                outcome.log.contains(&format!("ABC: list.example[192.0.2.7]: {text}")),
                "{:?}",
                outcome.log
            );
            assert!(outcome.messages.is_empty());
        }
    };
    check(b"x", "netstring format error while receiving QMQP packet header");
    check(b"100:3:abcd", "netstring format error while receiving message content");
    check(b"100:3:abc", "netstring format error while receiving message content");
    check(b"100:51:", "netstring length exceeds storage limit while receiving message content");
    check(b"100:0:,1,", "netstring format error while receiving sender address");
    check(b"100:0:,2049:", "netstring length exceeds storage limit while receiving sender address");
    check(b"100:0:,0:,x", "netstring format error while receiving recipient address");
}

#[test]
fn clients_that_leave_get_no_reply() {
    let check = |input: &[u8], place: &str| {
        let outcome = run(&[], Ok(true), (input, 1), &Ok(()));
        assert_eq!(outcome.reply, "");
        let line = format!("ABC: list.example[192.0.2.7]: lost connection while {place}");
        assert!(outcome.log.contains(&line), "{:?}", outcome.log);
    };
    check(b"", "receiving QMQP packet header");
    check(b"10:5:ab", "receiving message content");
    check(b"10:2:ab,1:", "receiving sender address");
    check(b"10:2:ab,1:x,3:abc,", "receiving recipient address");
}

#[test]
fn refusals_are_in_qmqps_words() {
    let check = |own: &[(&str, &str)], verdict: Reply, text: &str| {
        let input = packet("x\n", "a@example.org", &["b@mx.test"]);
        let outcome = run(own, Ok(true), (&input, 100), &Err(verdict));
        assert_eq!(outcome.reply.split_once(':').map_or("", |(_, reply)| reply), format!("{text},"));
        let line = format!("warning: ABC: list.example[192.0.2.7]: {}", &text[1..]);
        assert!(outcome.log.contains(&line), "{:?}", outcome.log);
    };
    let large = || Reply::new(552, Dsn::permanent(3, 4), "Error: message file too big");
    check(&[], large(), "DError: message too large");
    check(&[("soft_bounce", "yes")], large(), "ZError: message too large");
    check(&[], Reply::new(554, Dsn::permanent(4, 0), "Error: too many hops"), "DError: too many hops");
    let disk = Reply::new(451, Dsn::temporary(3, 0), "Error: queue file write error");
    check(&[], disk, "ZError: queue file write error");
}

#[test]
fn verp_delimiters_are_checked() {
    let input = |sender: &str| packet("x\n", sender, &["b@mx.test"]);
    let outcome = run(&[], Ok(true), (&input("list-@example.org-@[]"), 9), &Ok(()));
    assert_eq!(outcome.messages[0].verp, VerpDelimiters::parse(b"-=", "-=+"));
    assert_eq!(outcome.messages[0].sender, "list@example.org");
    let outcome = run(&[], Ok(true), (&input("listx@example.org-@[]"), 9), &Ok(()));
    assert!(
        outcome.reply.contains("DError: Invalid VERP delimiters: \"x=\". Need two characters from \"-=+\"")
    );
}

#[test]
fn a_client_with_endless_recipients_costs_no_more_than_a_message() {
    let many = vec!["recipient@mx.test"; 1000];
    let outcome =
        run(&[("message_size_limit", "1000")], Ok(true), (&packet("x\n", "a@b", &many), 512), &Ok(()));
    assert!(outcome.reply.ends_with("DError: message too large,"), "{}", outcome.reply);
    assert!(outcome.messages.is_empty());
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_closed_session(input in "[0-9:,a-c]{0,80}", piece in 1_usize..20) {
        let outcome = run(&[("message_size_limit", "50")], Ok(true), (input.as_bytes(), piece), &Ok(()));
        prop_assert_eq!(outcome.log.last().map(String::as_str), Some("disconnect from list.example[192.0.2.7]"));
    }
}

#[test]
fn the_end_is_not_in_the_middle_of_a_length() {
    let strings = [b"0:,".as_slice(), b"1:a,", b"1:b,"].concat();
    let reply = |end: &[u8]| run(&[], Ok(true), (&[b"99:", &strings[..], end].concat(), 1), &Ok(())).reply;
    assert_eq!(reply(b","), "18:KOk: queued as ABC,");
    assert!(reply(b"0,").contains("netstring format error while receiving recipient address"));
    assert!(reply(b"00,").contains("netstring format error"));
}
