//! A dialogue against the session machine: no socket, no clock.

use crate::{
    Dialogue, Evidence, Mismatch, Step,
    policy_of::{Scripted, Services},
    world_of::{Lines, TextDns, TextTables, values},
};
use maillog::Logger;
use rewrite::{RewriteSettings, Rewriter, own_addresses};
use smtpd::{
    Action, Answer, FlushService, Flushed, Judge, NoClock, NoVerify, Peer, Session, SmtpdSettings,
    Surroundings, Verdict,
};
use std::{
    future::Future,
    net::IpAddr,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use types::{Instant, QueueId};

/// How the client's bytes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As the file says: lines without a reply between them together.
    AsWritten,
    /// One byte at a time.
    Bytewise,
    /// Everything at the start, where the dialogue allows that.
    AtOnce,
}

struct Run {
    session: Session,
    judge: Judge<Rc<Rewriter>>,
    now: Instant,
    /// When the session gives up reading.
    deadline: Option<Instant>,
    pending: Vec<u8>,
    bytewise: bool,
    client_closed: bool,
    output: Vec<u8>,
    is_closed: bool,
    opened: u32,
    queued: usize,
    policies: Rc<Scripted>,
    log: Rc<Lines>,
}

/// Runs a dialogue and compares all that it says.
pub fn run_session(dialogue: &Dialogue, delivery: Delivery) -> Result<(), Mismatch> {
    let how = format!("session machine, {delivery:?}");
    let mut run = Run::start(dialogue, delivery)?;
    if delivery == Delivery::AtOnce {
        return if may_run_at_once(dialogue) { run.at_once(dialogue, &how) } else { Ok(()) };
    }
    if delivery == Delivery::Bytewise && is_about_pipelining(dialogue) {
        return Ok(());
    }
    if !matches!(dialogue.steps.first(), Some(Step::Send(_))) {
        run.settle();
    }
    for step in &dialogue.steps {
        match step {
            Step::Send(bytes) => run.pending.extend_from_slice(bytes),
            Step::Close => run.client_closed = true,
            Step::Wait(span) => run.wait(*span),
            Step::Expect(lines) => {
                let seen = run.take_lines();
                dialogue.check_replies(&how, lines, &seen)?;
            }
            Step::ExpectClosed => {}
        }
        run.settle();
    }
    let seen = run.take_lines();
    dialogue.check_replies(&how, &[], &seen)?;
    run.client_closed = true;
    let was_closed = run.is_closed;
    run.settle();
    dialogue.check_evidence(&how, &run.evidence(was_closed))
}

/// Whether the replies do not depend on when the client's bytes arrive.
fn may_run_at_once(dialogue: &Dialogue) -> bool {
    let waits = dialogue.steps.iter().any(|step| matches!(step, Step::Wait(_)));
    !waits && !is_about_pipelining(dialogue)
}

fn is_about_pipelining(dialogue: &Dialogue) -> bool {
    dialogue.config.iter().any(|(name, _)| name.contains("pipelining"))
        || dialogue.expected_replies().iter().any(|line| line.contains("synchronization"))
}

impl Run {
    fn start(dialogue: &Dialogue, delivery: Delivery) -> Result<Self, Mismatch> {
        let mut config = dialogue.config.clone();
        if delivery == Delivery::AtOnce {
            config.push(("smtpd_forbid_unauth_pipelining".to_owned(), "no".to_owned()));
        }
        let values = values(&config);
        let broken = |error: config::Invalid| Mismatch {
            what: format!("{}.dialogue", dialogue.name),
            expected: "a configuration that can be used".to_owned(),
            seen: error.to_string(),
        };
        let settings = Rc::new(SmtpdSettings::load(&values).map_err(broken)?);
        let log = Rc::new(Lines::default());
        let logger = Logger::new(Rc::clone(&log) as Rc<dyn maillog::Sink>, "postfix/smtpd", 1);
        let rewriter = Rewriter::new(RewriteSettings::load(&values).map_err(broken)?, &TextTables);
        let rewriter = Rc::new(rewriter.with_log(logger.clone()));
        let (address, name) = &dialogue.connect;
        let mut peer = Peer::unknown(*address, 54321, IpAddr::from([127, 0, 0, 1]), 25);
        if let Some(name) = name {
            peer = peer.named(name);
        }
        let policies = Scripted::new(dialogue);
        let around = Surroundings {
            tables: &TextTables,
            dns: Rc::new(TextDns(dialogue.dns.clone())),
            host_names: Rc::new(TextDns(dialogue.dns.clone())),
            flush: Rc::new(Flushes),
            local_time: Rc::new(|| "Nov 21 20:15:00".to_owned()),
            policies: Rc::new(Services(Rc::clone(&policies))),
            local: rewriter.locality(),
            own_addresses: own_addresses(&values).into(),
            free_bytes: Rc::new(|| 1 << 40),
            verify: Rc::new(NoVerify),
            clock: Rc::new(NoClock),
        };
        let now = Instant::from_nanos(1_000_000_000);
        Ok(Self {
            session: Session::new(Rc::clone(&settings), peer, logger, now),
            judge: Judge::new(settings, &values, rewriter, &around),
            now,
            deadline: None,
            pending: Vec::new(),
            bytewise: delivery == Delivery::Bytewise,
            client_closed: false,
            output: Vec::new(),
            is_closed: false,
            opened: 0,
            queued: 0,
            policies,
            log,
        })
    }

    fn at_once(&mut self, dialogue: &Dialogue, how: &str) -> Result<(), Mismatch> {
        for step in &dialogue.steps {
            if let Step::Send(bytes) = step {
                self.pending.extend_from_slice(bytes);
            }
        }
        self.settle();
        let was_closed = self.is_closed;
        self.client_closed = true;
        self.settle();
        let seen = self.take_lines();
        dialogue.check_replies(how, &dialogue.expected_replies(), &seen)?;
        // Pipelining is noticed in such a run: only what the client gets is compared.
        let evidence = Evidence { log: None, ..self.evidence(was_closed) };
        dialogue.check_evidence(how, &evidence)
    }

    fn evidence(&self, is_closed: bool) -> Evidence {
        Evidence {
            replies: Vec::new(),
            is_closed,
            log: Some(self.log.0.borrow().clone()),
            asked: Some(self.policies.asked.borrow().clone()),
            queued: Some(self.queued),
        }
    }

    fn take_lines(&mut self) -> Vec<String> {
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.output)).into_owned();
        text.split_terminator("\r\n").map(str::to_owned).collect()
    }

    fn wait(&mut self, span: Duration) {
        self.settle();
        let until = self.now + span;
        match self.deadline {
            Some(deadline) if deadline <= until && !self.is_closed => {
                self.now = deadline;
                self.session.timed_out();
            }
            _ => {}
        }
        self.settle();
        self.now = until;
    }

    /// Drives the session until it waits for the client.
    fn settle(&mut self) {
        while !self.is_closed {
            self.deadline = None;
            match self.session.step(self.now) {
                Action::Read { deadline } => {
                    if self.pending.is_empty() && !self.client_closed {
                        self.deadline = Some(deadline);
                        return;
                    }
                    self.deliver();
                }
                Action::TryRead => {
                    let bytewise = std::mem::replace(&mut self.bytewise, false);
                    if self.pending.is_empty() {
                        self.session.received(0);
                    } else {
                        self.deliver();
                    }
                    self.bytewise = bytewise;
                }
                Action::Write { bytes, .. } => self.output.extend_from_slice(bytes),
                Action::Judge(question) => {
                    let verdict = now(self.judge.answer(question));
                    self.session.judged(verdict.unwrap_or_else(not_at_hand));
                }
                Action::Open(_) => {
                    self.opened += 1;
                    let id = format!("{:X}", 0xA000_0000_u32 + self.opened).parse::<QueueId>();
                    self.session.opened(id.map_err(|_| not_allocated()));
                }
                Action::Begin(_) | Action::Content(_) | Action::Abort | Action::Notify(_) => {}
                Action::End(_) => {
                    self.queued += 1;
                    self.session.finished(Ok(()));
                }
                Action::Sleep(span) => self.now = self.now + span,
                Action::Close => self.is_closed = true,
            }
        }
    }

    fn deliver(&mut self) {
        if self.pending.is_empty() {
            return self.session.closed();
        }
        let space = self.session.read_space();
        let limit = if self.bytewise { 1 } else { self.pending.len() };
        let count = limit.min(space.len());
        space[..count].copy_from_slice(&self.pending[..count]);
        self.pending.drain(..count);
        self.session.received(count);
    }
}

/// A queue manager that does as it is asked.
struct Flushes;

impl FlushService for Flushes {
    fn send_site<'a>(&'a self, _site: &'a str) -> world::Answer<'a, Flushed> {
        world::Answer::ready(Flushed::Started)
    }
}

fn not_allocated() -> types::Reply {
    types::Reply::new(451, types::Dsn::temporary(3, 0), "Error: queue file write error")
}

fn not_at_hand() -> Verdict {
    let text = "an answer was not at hand";
    Verdict::new(Answer::Refuse(types::Reply::new(451, types::Dsn::temporary(3, 0), text)))
}

/// Runs a future whose answers are all at hand.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
