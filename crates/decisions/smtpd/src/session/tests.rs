use super::*;
use crate::EhloKeywords;
use config::Values;
use maillog::{Line, Sink};
use proptest::prelude::*;
use std::{cell::RefCell, net::IpAddr};

#[derive(Default)]
struct Lines(RefCell<Vec<String>>);

impl Sink for Lines {
    fn write(&self, line: Line<'_>) {
        self.0.borrow_mut().push(line.text.to_owned());
    }
}

/// A client whose every question is answered yes, with a small buffer of what the shell did.
pub(super) struct Bench {
    session: Session,
    now: Instant,
    pub(super) replies: Vec<u8>,
    content: Vec<u8>,
    messages: Vec<Vec<u8>>,
    recipients: Vec<types::Recipient>,
    slept: Duration,
    actions: usize,
    pub(super) notices: Vec<Notice>,
    pub(super) answer: fn(&Ask) -> Answer,
    /// What every judgement says that went wrong.
    pub(super) trouble: NotifyClasses,
    open: bool,
    /// The queue takes nothing.
    pub(super) is_full: bool,
}

fn settings(own: &[(&str, &str)]) -> Rc<SmtpdSettings> {
    let base = [("compatibility_level", "3.6"), ("myhostname", "mx.test"), ("message_size_limit", "500")];
    Rc::new(SmtpdSettings::load(&Values::for_tests(&[&base, own].concat())).unwrap())
}

pub(super) fn yes(ask: &Ask) -> Answer {
    match ask {
        Ask::Connect => {
            let discard = EhloKeywords::default();
            Answer::Client {
                bare_newlines_allowed: false,
                discard,
                is_discard_unknown: false,
                grants: crate::Grants {
                    xverp: crate::Grant::Yes,
                    xclient: crate::Grant::Yes,
                    xforward: crate::Grant::Yes,
                },
                is_counted: true,
            }
        }
        Ask::Reply(reply) => {
            Answer::Reply(types::Reply { text: format!("{}\nfooter", reply.text), ..reply.clone() })
        }
        _ => Answer::Accept,
    }
}

impl Bench {
    pub(super) fn new(own: &[(&str, &str)]) -> Self {
        let here = IpAddr::from([127, 0, 0, 1]);
        let log = Logger::new(Rc::new(Lines::default()), "postfix/smtpd", 1);
        let now = Instant::from_nanos(0);
        let session = Session::new(settings(own), Peer::unknown(here, 1, here, 25), log, now);
        Self {
            session,
            now,
            replies: Vec::new(),
            content: Vec::new(),
            messages: Vec::new(),
            recipients: Vec::new(),
            slept: Duration::ZERO,
            actions: 0,
            notices: Vec::new(),
            answer: yes,
            trouble: NotifyClasses::default(),
            open: false,
            is_full: false,
        }
    }

    /// Feeds `input` in pieces, then closes; returns the replies.
    pub(super) fn run(&mut self, mut input: &[u8], piece: usize) -> String {
        loop {
            self.actions += 1;
            assert!(self.actions < 200_000, "the session goes round in circles");
            match self.session.step(self.now) {
                Action::TryRead => self.session.received(0),
                Action::Read { .. } if input.is_empty() => self.session.closed(),
                Action::Read { .. } => {
                    let space = self.session.read_space();
                    let count = piece.min(space.len()).min(input.len());
                    space[..count].copy_from_slice(&input[..count]);
                    input = &input[count..];
                    self.session.received(count);
                }
                Action::Write { bytes, .. } => self.replies.extend_from_slice(bytes),
                Action::Judge(question) => {
                    let mut answer = (self.answer)(question.ask);
                    if let Answer::Reply(reply) = &mut answer
                        && let Some(transaction) = question.transaction
                    {
                        reply.text += &format!(" for {}", transaction.sender);
                    }
                    let mut verdict = Verdict::new(answer);
                    verdict.standing.trouble = self.trouble;
                    self.session.judged(verdict);
                }
                Action::Open(_) => {
                    assert!(!std::mem::replace(&mut self.open, true), "a message is open already");
                    self.session.opened(Ok("ABCDEF0123".parse().unwrap()));
                }
                Action::Begin(envelope) => {
                    assert!(!envelope.transaction.recipients.is_empty());
                    self.recipients.clone_from(&envelope.transaction.recipients);
                    self.content.clear();
                }
                Action::Content(bytes) => {
                    assert!(self.open && !bytes.is_empty());
                    self.content.extend_from_slice(bytes);
                }
                Action::End(_) => {
                    assert!(std::mem::take(&mut self.open), "no message is open");
                    self.messages.push(std::mem::take(&mut self.content));
                    let reply = Reply::new(451, Dsn::temporary(3, 0), "Error: full");
                    let refusal = Refused { reply, trouble: NotifyClasses::RESOURCE };
                    self.session.finished(if self.is_full { Err(refusal) } else { Ok(()) });
                }
                Action::Abort => assert!(std::mem::take(&mut self.open), "no message is open"),
                Action::Notify(notice) => self.notices.push(*notice),
                Action::Sleep(span) => self.slept += span,
                Action::Close => break,
            }
        }
        assert!(!self.open, "an open message was left behind");
        String::from_utf8_lossy(&self.replies).into_owned()
    }
}

const ENVELOPE: &str = "EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n";

#[test]
fn pipelined_replies_go_out_together() {
    let mut bench = Bench::new(&[]);
    let replies = bench.run(b"EHLO x\r\nRSET\r\nRSET\r\nQUIT\r\n", 1000);
    // EHLO ends a group, so the client is out of step: it is told so and nothing else.
    assert!(replies.ends_with("554 5.5.0 Error: SMTP protocol synchronization\r\n"), "{replies}");

    let mut bench = Bench::new(&[("smtpd_forbid_unauth_pipelining", "no")]);
    let replies = bench.run(b"EHLO x\r\nRSET\r\nRSET\r\nQUIT\r\n", 1000);
    assert!(replies.ends_with("250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n"), "{replies}");
    // try-read, greeting, read, one write for four commands, close; and one question.
    assert!(bench.actions <= 7, "{} actions", bench.actions);
}

#[test]
fn errors_are_answered_slowly_after_the_soft_limit() {
    let mut bench = Bench::new(&[("smtpd_soft_error_limit", "2"), ("smtpd_error_sleep_time", "3s")]);
    bench.run(b"FOO\r\nFOO\r\nFOO\r\nQUIT\r\n", 5);
    assert_eq!(bench.slept, Duration::from_secs(6));
}

#[test]
fn a_refusal_after_the_content_knows_the_transaction_that_it_ends() {
    let check = |content: &str, is_full: bool, expected: &str| {
        let mut bench = Bench { is_full, ..Bench::new(&[("smtpd_reject_footer", "x")]) };
        let replies = bench.run(format!("{ENVELOPE}DATA\r\n{content}.\r\nBOGUS\r\n").as_bytes(), 1);
        assert!(replies.contains(&format!("{expected}\r\n500-5.5.2 Error: command")), "{replies}");
        assert!(replies.ends_with(" footer\r\n"), "{replies}");
    };
    check("x\r\n", true, "451-4.3.0 Error: full\r\n451 4.3.0 footer for a@b.c");
    let large = "x\r\n".repeat(200);
    check(&large, false, "552-5.3.4 Error: message file too big\r\n552 5.3.4 footer for a@b.c");
}

#[test]
fn content_is_handed_on_without_dots() {
    let mut bench = Bench::new(&[]);
    let input = format!("{ENVELOPE}DATA\r\n..a\r\nb\r\n.\r\nQUIT\r\n");
    bench.run(input.as_bytes(), 1);
    assert_eq!(bench.messages, [b".a\r\nb\r\n".to_vec()]);
}

fn commands() -> impl Strategy<Value = Vec<u8>> {
    let lines = [
        "EHLO x\r\n",
        "HELO y\n",
        "MAIL FROM:<a@b.c>\r\n",
        "MAIL FROM: a@b SIZE=10\r\n",
        "RCPT TO:<d@e.f>\r\n",
        "DATA\r\n",
        "x\r\n",
        "\r\n",
        ".\r\n",
        "\n.\n",
        ".\n",
        "..\r\n",
        "BDAT 3\r\n",
        "abc",
        "BDAT 4 LAST\r\n",
        "BDAT 0 LAST\r\n",
        "BDAT 0\r\n",
        "BDAT 900\r\n",
        "BDAT x\r\n",
        "RSET\r\n",
        "NOOP\r\n",
        "VRFY a\r\n",
        "QUIT\r\n",
        "STARTTLS\r\n",
        "XCLIENT NAME=a.example ADDR=192.0.2.7 HELO=x PROTO=ESMTP\r\n",
        "XCLIENT a\x0bb\rc=d \x01=\x02\r\n",
        "XFORWARD NAME=a+0Ab.example IDENT=+0D+0A250\r\n",
        "XFORWARD HELO=<>+0A PROTO=x\ty=z\r\n",
        "ETRN x.example\r\n",
        "MAIL FROM:<a@b.c> RET=HDRS ENVID=+0A\r\n",
        "RCPT TO:<d@e.f> NOTIFY=NEVER ORCPT=rfc822;a+0Db\r\n",
        "AUTH PLAIN\r\n",
        "GET / HTTP\r\n",
        "From x\r\n",
        "\r",
        "\0",
        "\u{e9}\r\n",
        "<\"\\",
        "RCPT TO:<\"a\r\n",
    ];
    prop::collection::vec(prop::sample::select(lines.to_vec()), 0..25)
        .prop_map(|lines| lines.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_closed_session(input: Vec<u8>, piece in 1usize..40) {
        Bench::new(&[]).run(&input, piece);
    }

    #[test]
    fn any_commands_leave_no_message_open(input in commands(), piece in 1usize..40, strict: bool) {
        let mode = if strict { "reject" } else { "normalize" };
        Bench::new(&[("smtpd_forbid_bare_newline", mode), ("smtpd_forbid_unauth_pipelining", "no")])
            .run(&input, piece);
    }

    #[test]
    fn the_split_of_packets_does_not_matter(input in commands(), piece in 1usize..40, dressed: bool) {
        let footer = if dressed { "footer" } else { "" };
        let own = [("smtpd_forbid_unauth_pipelining", "no"), ("smtpd_reject_footer", footer)];
        let (mut whole, mut split) = (Bench::new(&own), Bench::new(&own));
        prop_assert_eq!(whole.run(&input, 100_000), split.run(&input, piece));
        prop_assert_eq!(whole.messages, split.messages);
    }

    #[test]
    fn no_reply_line_is_forged(input in commands(), dressed: bool) {
        let footer = if dressed { "footer" } else { "" };
        let replies = Bench::new(&[("smtpd_reject_footer", footer)]).run(&input, 1000);
        for line in replies.split_terminator("\r\n") {
            prop_assert!(line.len() >= 4 && line.as_bytes()[..3].iter().all(u8::is_ascii_digit), "{:?}", line);
            prop_assert!(!line.contains(['\r', '\n']));
        }
    }
}

/// A thousand recipients of a session are to be kept, each as long as a line.
#[test]
fn a_recipient_is_kept_once_where_cleanup_can_say_the_rest() {
    let check = |path: &str, orcpt: &str| {
        let mut bench = Bench::new(&[("smtpd_forbid_unauth_pipelining", "no")]);
        let input = format!("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:{path}\r\nDATA\r\n.\r\n");
        let replies = bench.run(input.as_bytes(), 1000);
        let [recipient] = &bench.recipients[..] else { panic!("{replies}") };
        assert!(recipient.original.is_null(), "{path}");
        assert_eq!(recipient.dsn_orcpt, orcpt, "{path}");
    };
    check("<a@b.c>", "");
    check("a@b.c", "");
    check("<\"a b\"@c.d>", "");
    check("<\"a\"@b.c>", "rfc822;\"a\"@b.c");
    check("<@r:a@b.c>", "rfc822;@r:a@b.c");
    check("<a.@b.c>", "rfc822;a.@b.c");
    check("<a@b.c> ORCPT=x;a@b.c", "x;a@b.c");
}
