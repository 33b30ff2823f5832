//! The session machine.

mod attributes;
mod buffers;
mod commands;
mod content;
mod dsn;
mod envelope;
mod etrn;
mod greeting;
mod history;
mod throttle;
mod watched;
mod xclient;
mod xforward;

use crate::{
    Action, Answer, Ask, Effects, Envelope, Forwarded, Grant, Grants, Peer, Question, Refused, SmtpdSettings,
    Standing, Transaction, Verdict,
    client_limits::{Counters, Tickets},
    replies,
};
use bstr::ByteSlice;
use buffers::{Input, Output};
use config::NotifyClasses;
use content::Content;
use envelope::Pending;
use greeting::Greeting;
use history::History;
pub use history::Notice;
use maillog::{CommandCounts, Event, Logger, Sasl, SessionEnd, SmtpdEvent};
use std::{collections::VecDeque, ops::Range, rc::Rc, time::Duration};
use types::{Dsn, FixedReply, Instant, QueueId, Reply};
use wire::{command::Verb, data::DataReader};

/// One SMTP session. See [`Action`] for how to drive it.
pub struct Session {
    settings: Rc<SmtpdSettings>,
    peer: Peer,
    log: Logger,
    state: State,
    input: Input,
    /// The command line in progress, so that the input after it can be looked at.
    line: Vec<u8>,
    output: Output,
    /// Refusals that are not yet as the client gets them, and what was said after them.
    undressed: VecDeque<Undressed>,
    /// The time of the step in progress.
    now: Instant,
    /// When the present request must be complete (`smtpd_per_request_deadline`).
    deadline: Option<Instant>,
    greeting: Greeting,
    transaction: Option<Transaction>,
    content: Content,
    standing: Standing,
    /// Whom the next message comes from, when the client has said so.
    forwarded: Option<Box<Forwarded>>,
    /// Another client was there before this one (XCLIENT).
    is_anew: bool,
    errors: Errors,
    tally: Tally,
    /// The command in progress or the last one.
    verb: Verb,
    /// The same as log lines name it, or `END-OF-MESSAGE` and its kind.
    place: &'static str,
    /// A message that was opened is to be forgotten.
    must_abort: bool,
    end: Ending,
    counters: Option<Rc<Counters>>,
    tickets: Tickets,
    /// The client's connections and commands count for its limits.
    is_counted: bool,
    history: History,
    /// What the postmaster is to be told next.
    notice: Option<Box<Notice>>,
}

/// A reply that is not yet as the client gets it.
struct Undressed {
    ask: Ask,
    /// The transaction that it ended.
    about: Option<Box<Transaction>>,
}

/// What the session is doing.
#[derive(Debug)]
enum State {
    /// Nothing happened yet.
    New,
    /// A judge is asked; the rest of the command waits.
    Asked(Ask, Pending),
    /// Looking for bytes that came before the greeting.
    BeforeGreeting {
        peeked: bool,
    },
    Command,
    /// A queue file is wanted, then the command goes on.
    Opening(Opening),
    /// Content begins.
    Begin(BeginAs),
    Data(DataReader),
    Bdat {
        is_last: bool,
        size: u64,
    },
    /// A chunk is read and thrown away, then this is the answer.
    SkipBdat {
        remaining: u64,
        is_last: bool,
        reply: Reply,
    },
    /// The message is being committed.
    Committing,
    Closing,
    Closed,
}

#[derive(Debug)]
enum Opening {
    AfterMail,
    AfterRcpt(types::Recipient),
}

#[derive(Debug)]
enum BeginAs {
    Data,
    Bdat { is_last: bool, size: u64 },
}

#[derive(Debug, Default)]
struct Errors {
    error_count: u32,
    junk_commands: u32,
    /// Unauthorised pipelining was logged already.
    pipelining_noticed: bool,
    /// `smtpd_client_restrictions` refused the client.
    access_denied: Option<Reply>,
}

/// How often each command was given: good and all; the last is for unknown ones.
#[derive(Debug, Default)]
struct Tally {
    counts: [(u32, u32); Verb::ALL.len() + 1],
    saw_bare_newline: bool,
}

#[derive(Debug, Default)]
struct Ending {
    /// Nothing more will come.
    is_eof: bool,
    is_timeout: bool,
    /// A 421 or 521 was said.
    hang_up: bool,
    reason: Option<SessionEnd>,
    /// The last lines of the log are written.
    is_logged: bool,
}

/// An [`Action`] before it borrows from the session.
enum Next {
    TryRead,
    Read,
    Write,
    Judge,
    Open,
    Begin,
    Content(Slice),
    End,
    Abort,
    Notify(Box<Notice>),
    Sleep(Duration),
    Close,
}

enum Slice {
    Input(Range<usize>),
    Fixed(&'static [u8]),
}

/// Whether a command did what it was asked (Postfix's counters).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Good,
    Bad,
}

const AFTER_CONNECT: &str = "CONNECT";
const AFTER_DATA: &str = "DATA content";
const AFTER_BDAT: &str = "BDAT content";
const AFTER_EOM: &str = "END-OF-MESSAGE";
const UNKNOWN: &str = "UNKNOWN";

impl Session {
    /// A client is there.
    #[must_use]
    pub fn new(settings: Rc<SmtpdSettings>, peer: Peer, log: Logger, now: Instant) -> Self {
        let peer = if settings.protocol.smtpd_client_port_logging { peer.with_port_logged() } else { peer };
        let history = History::new(settings.notify_classes);
        log.event(&Event::Smtpd(SmtpdEvent::Connect(&peer.client)));
        Self {
            settings,
            peer,
            log,
            state: State::New,
            input: Input::default(),
            line: Vec::new(),
            output: Output::new(now),
            undressed: VecDeque::new(),
            now,
            deadline: None,
            greeting: Greeting::default(),
            transaction: None,
            content: Content::default(),
            standing: Standing::default(),
            forwarded: None,
            is_anew: false,
            errors: Errors::default(),
            tally: Tally::default(),
            verb: Verb::Noop,
            place: AFTER_CONNECT,
            must_abort: false,
            end: Ending::default(),
            counters: None,
            tickets: Tickets::default(),
            is_counted: false,
            history,
            notice: None,
        }
    }

    /// A client of which nothing is known, because the proxy before us did not say who it is: it is told so, and that is
    /// all.
    #[must_use]
    pub fn refused(settings: Rc<SmtpdSettings>, log: Logger, now: Instant) -> Self {
        let mut session = Self::new(settings, Peer::nobody(), log, now);
        session.say_named(421, Dsn::temporary(3, 0), "Server local error");
        session.hang_up();
        session
    }

    /// What to do next.
    pub fn step(&mut self, now: Instant) -> Action<'_> {
        self.output.written();
        self.now = now;
        let next = loop {
            if let Some(next) = self.next(now) {
                break next;
            }
        };
        let timeout = self.settings.limits.smtpd_timeout;
        let deadline = self.deadline.unwrap_or(now + timeout);
        match next {
            Next::TryRead => Action::TryRead,
            Next::Read => Action::Read { deadline },
            Next::Write => Action::Write { bytes: self.output.take(now), deadline: now + timeout },
            Next::Judge => self.question().map_or(Action::Close, Action::Judge),
            Next::Open => self.envelope().map_or(Action::Close, Action::Open),
            Next::Begin => self.envelope().map_or(Action::Close, Action::Begin),
            Next::Content(Slice::Input(range)) => Action::Content(self.input.used(range)),
            Next::Content(Slice::Fixed(bytes)) => Action::Content(bytes),
            Next::End => self.envelope().map_or(Action::Close, Action::End),
            Next::Abort => Action::Abort,
            Next::Notify(notice) => Action::Notify(notice),
            Next::Sleep(span) => Action::Sleep(span),
            Next::Close => Action::Close,
        }
    }

    fn next(&mut self, now: Instant) -> Option<Next> {
        if !self.undressed.is_empty() {
            return Some(Next::Judge);
        }
        if std::mem::take(&mut self.must_abort) {
            return Some(Next::Abort);
        }
        if let Some(notice) = self.notice.take() {
            return Some(Next::Notify(notice));
        }
        if let Some(span) = self.output.take_delay() {
            return Some(Next::Sleep(span));
        }
        if self.output.is_due(now) {
            return Some(Next::Write);
        }
        match &mut self.state {
            State::New => {
                self.ask(Ask::Connect);
                None
            }
            State::Asked(..) => Some(Next::Judge),
            State::BeforeGreeting { peeked: false } => Some(Next::TryRead),
            State::BeforeGreeting { peeked: true } => self.greet(),
            State::Command => self.next_command(now),
            State::Opening(_) => Some(Next::Open),
            State::Begin(_) => self.begin_content(now),
            State::Data(_) => self.next_data(),
            State::Bdat { .. } => self.next_bdat(),
            State::SkipBdat { .. } => self.next_skipped(),
            State::Committing => Some(Next::End),
            State::Closing => self.close(),
            State::Closed => Some(Next::Close),
        }
    }

    /// Where to read to: never empty.
    pub fn read_space(&mut self) -> &mut [u8] {
        let limit = self.settings.limits.line_length_limit.saturating_mul(2).saturating_add(2);
        let in_content = matches!(self.state, State::Data(_) | State::Bdat { .. } | State::SkipBdat { .. });
        self.input.space(limit, in_content)
    }

    /// Nothing has arrived: while the loop waits, the session keeps no buffer, unless it holds a part of a line.
    pub fn release_space(&mut self) {
        self.input.release();
    }

    /// Bytes were read.
    pub fn received(&mut self, count: usize) {
        self.input.filled(count);
        if let State::BeforeGreeting { peeked } = &mut self.state {
            *peeked = true;
        }
        let in_content = matches!(self.state, State::Data(_) | State::Bdat { .. });
        if let (Some(deadline), true) = (&mut self.deadline, in_content) {
            let millis =
                (count as u64).saturating_mul(1000) / self.settings.limits.smtpd_min_data_rate.max(1);
            *deadline = *deadline + Duration::from_millis(millis);
        }
    }

    /// The client is gone. Commands that it sent before are still carried out.
    pub fn closed(&mut self) {
        self.end.is_eof = true;
        self.write_failed(SessionEnd::LostConnection);
        if let State::BeforeGreeting { peeked } = &mut self.state {
            *peeked = true;
        }
    }

    /// The client was silent, or did not read, for too long.
    pub fn timed_out(&mut self) {
        self.end.is_timeout = true;
        self.write_failed(SessionEnd::Timeout);
    }

    /// A client that does not take replies gets no more of them.
    fn write_failed(&mut self, reason: SessionEnd) {
        if self.output.give_up() {
            self.end.reason.get_or_insert(reason);
            self.hang_up();
        }
    }

    /// The answer to [`Action::Judge`].
    pub fn judged(&mut self, verdict: Verdict) {
        self.standing = verdict.standing;
        self.history.note(std::mem::take(&mut self.standing.trouble));
        if self.undressed.pop_front().is_some() {
            if let Answer::Reply(reply) = verdict.answer {
                self.reply_as_it_is(&reply);
            }
            return;
        }
        let State::Asked(ask, pending) = std::mem::replace(&mut self.state, State::Command) else { return };
        match ask {
            Ask::Connect => self.connected(&verdict.answer),
            Ask::Client => self.client_judged(verdict.answer),
            Ask::Screen(line) => self.screened(&line, verdict.answer),
            Ask::Unknown(line) => self.unknown_command(&line, &verdict.answer),
            Ask::Helo(name) => self.greeted(&name, verdict.answer),
            Ask::Mail { sender, .. } => self.mail_judged(sender, pending, verdict.answer),
            Ask::Rcpt { recipient, .. } => self.rcpt_judged(recipient, pending, verdict.answer),
            Ask::Vrfy { .. } => self.vrfy_judged(pending, verdict.answer),
            // That one waits elsewhere.
            Ask::Reply(_) => {}
            Ask::Etrn(site) => self.etrn_judged(&site, verdict.answer),
            Ask::Data => self.data_judged(&pending, verdict.answer),
            Ask::EndOfData => self.end_of_data_judged(verdict.answer),
        }
    }

    /// The message of [`Action::Open`] has an id, or there is none to be had.
    pub fn opened(&mut self, outcome: Result<QueueId, Reply>) {
        let State::Opening(opening) = std::mem::replace(&mut self.state, State::Command) else { return };
        match outcome {
            Ok(id) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.queue_id = Some(id);
                }
                self.log_client(id);
                self.message_opened(opening);
            }
            Err(reply) => {
                if matches!(opening, Opening::AfterMail) {
                    self.reset_transaction();
                }
                self.history.note(NotifyClasses::RESOURCE);
                self.refuse(&reply);
            }
        }
    }

    /// What became of the message of [`Action::End`]: a failure's reply is given as it is.
    pub fn finished(&mut self, outcome: Result<(), Refused>) {
        if matches!(self.state, State::Committing) {
            self.committed(outcome);
        }
    }

    fn log_client(&self, id: QueueId) {
        let forwarded = self.forwarded.as_deref();
        let origin = forwarded
            .filter(|forwarded| forwarded.has_client)
            .map(|forwarded| forwarded.origin(&self.peer.client));
        self.log.event(&Event::Smtpd(SmtpdEvent::ClientOf {
            id,
            client: &self.peer.client,
            sasl: self.sasl(),
            orig_queue_id: forwarded.and_then(|forwarded| Some(forwarded.ident.as_ref()?.as_bstr())),
            orig_client: origin.as_deref(),
        }));
    }

    /// Who has logged in, for log lines.
    fn sasl(&self) -> Sasl<'_> {
        self.peer.sasl(self.transaction.as_ref().and_then(|transaction| transaction.sasl_sender.as_ref()))
    }

    fn question(&self) -> Option<Question<'_>> {
        let (ask, transaction) = match (self.undressed.front(), &self.state) {
            (Some(Undressed { ask, about: Some(about) }), _) => (ask, Some(&**about)),
            (Some(Undressed { ask, about: None }), _) | (None, State::Asked(ask, _)) => {
                (ask, self.transaction.as_ref())
            }
            (None, _) => return None,
        };
        Some(Question {
            ask,
            peer: &self.peer,
            helo: self.greeting.helo(),
            protocol: self.greeting.protocol(),
            place: self.place,
            transaction,
            queue_id: transaction.and_then(|transaction| transaction.queue_id),
            size_bytes: self.size_bytes(ask),
            has_improper_pipelining: self.errors.pipelining_noticed,
            standing: &self.standing,
            now: self.now,
            log: &self.log,
        })
    }

    /// What has come of the content, or else what MAIL said.
    fn size_bytes(&self, ask: &Ask) -> u64 {
        let announced = self.transaction.as_ref().map(|transaction| transaction.size_bytes);
        match (self.content.size_bytes, ask) {
            (0, Ask::Mail { size_bytes, .. }) => *size_bytes,
            (0, _) => announced.unwrap_or(0),
            (size_bytes, _) => size_bytes,
        }
    }

    fn envelope(&self) -> Option<Envelope<'_>> {
        Some(Envelope {
            transaction: self.transaction.as_ref()?,
            peer: &self.peer,
            helo: self.greeting.helo(),
            protocol: self.greeting.protocol(),
            effects: &self.standing.effects,
            forwarded: self.forwarded.as_deref(),
        })
    }

    fn queue_id(&self) -> Option<QueueId> {
        self.transaction.as_ref().and_then(|transaction| transaction.queue_id)
    }

    fn ask(&mut self, ask: Ask) {
        self.ask_with(ask, Pending::Nothing);
    }

    fn ask_with(&mut self, ask: Ask, pending: Pending) {
        self.state = State::Asked(ask, pending);
    }

    /// Drops the transaction; the shell forgets a message that it has opened.
    fn reset_transaction(&mut self) {
        self.must_abort |= self.queue_id().is_some();
        self.forget_transaction();
    }

    /// What is still to be said about it is said with what was known of it.
    fn forget_transaction(&mut self) {
        let transaction = self.transaction.take();
        if let (Some(last @ Undressed { about: None, .. }), Some(transaction)) =
            (self.undressed.back_mut(), transaction)
        {
            last.about = Some(Box::new(transaction));
        }
        self.forwarded = None;
        self.content = Content::default();
        self.standing.effects = Effects::default();
    }

    /// Ends the session: replies go out, the log is written, the connection is closed.
    fn hang_up(&mut self) {
        self.state = State::Closing;
    }

    fn warn(&self, text: std::fmt::Arguments<'_>) {
        self.log.warning(&text.to_string());
    }
}

/// Replies.
impl Session {
    fn say(&mut self, reply: FixedReply) {
        self.note_reply_class(reply);
        if self.must_dress(reply.code) {
            return self.reply(&reply.into());
        }
        self.say_with(
            reply.code,
            |out, soft| if soft { Self::softened(reply).encode(out) } else { reply.encode(out) },
        );
    }

    fn reply(&mut self, reply: &Reply) {
        if self.must_dress(reply.code) {
            self.undressed.push_back(Undressed { ask: Ask::Reply(reply.clone()), about: None });
        } else {
            self.reply_as_it_is(reply);
        }
    }

    /// Replies keep their order: what comes after one that waits waits, too.
    fn must_dress(&self, code: u16) -> bool {
        (self.settings.protocol.refusals_are_dressed && code >= 400) || !self.undressed.is_empty()
    }

    fn reply_as_it_is(&mut self, reply: &Reply) {
        self.say_with(reply.code, |out, soft| {
            if soft {
                soften(reply.clone()).encode(out);
            } else {
                reply.encode(out);
            }
        });
    }

    fn softened(reply: FixedReply) -> Reply {
        soften(reply.into())
    }

    /// Clients that make many errors wait for every reply; 421 and 521 end the session.
    fn say_with(&mut self, code: u16, encode: impl FnOnce(&mut Vec<u8>, bool)) {
        let limits = &self.settings.limits;
        if self.errors.error_count >= limits.smtpd_soft_error_limit {
            self.output.delay(limits.smtpd_error_sleep_time);
        }
        let soft = self.settings.protocol.soft_bounce && code >= 500;
        let output = self.output.buffer();
        let before = output.len();
        encode(output, soft);
        self.history.said(output.get(before..).unwrap_or_default());
        if self.peer.is_watched {
            let said = output.get(before..).unwrap_or_default().to_vec();
            self.note_reply(&said);
        }
        if code == 421 || code == 521 {
            self.end.hang_up = true;
        }
    }

    /// A reply with our name before its text, as those that end a session have.
    fn say_named(&mut self, code: u16, dsn: Dsn, text: &str) {
        let text = format!("{} {text}", self.settings.myhostname);
        self.reply(&Reply::new(code, dsn, text));
    }

    /// Answers with a refusal and counts an error.
    fn refuse(&mut self, reply: &Reply) {
        self.reply(reply);
        self.finish_command(Done::Bad);
    }

    fn refuse_with(&mut self, reply: FixedReply) {
        self.say(reply);
        self.finish_command(Done::Bad);
    }

    fn accept_with(&mut self, reply: FixedReply) {
        self.say(reply);
        self.finish_command(Done::Good);
    }
}

fn soften(mut reply: Reply) -> Reply {
    reply.code = reply.code.saturating_sub(100);
    reply.dsn = reply.dsn.map(|dsn| dsn.with_class(types::DsnClass::Temporary));
    reply
}

/// The end.
impl Session {
    /// Nothing more can be read. What stops a session in the middle is logged with the place.
    fn input_ended(&mut self) {
        if self.end.is_timeout {
            self.end.reason = Some(SessionEnd::Timeout);
            self.say_named(421, Dsn::temporary(4, 2), "Error: timeout exceeded");
        } else {
            self.end.reason = Some(SessionEnd::LostConnection);
        }
        self.hang_up();
    }

    fn has_ended(&self) -> bool {
        self.end.is_eof || self.end.is_timeout
    }

    fn close(&mut self) -> Option<Next> {
        if !self.end.is_logged {
            self.end.is_logged = true;
            self.log_end();
            self.reset_transaction();
        }
        if self.output.is_empty() {
            self.flush_history(0);
            if let Some(notice) = self.notice.take() {
                return Some(Next::Notify(notice));
            }
            self.log_disconnect();
            self.state = State::Closed;
            return None;
        }
        Some(Next::Write)
    }

    fn log_end(&self) {
        let Some(end) = self.end.reason else { return };
        let content = |verb| (verb, Some(self.content.size_bytes + self.input.bytes().len() as u64));
        let (place, bytes) = match self.place {
            AFTER_DATA => content("DATA"),
            AFTER_BDAT => content("BDAT"),
            AFTER_EOM if end == SessionEnd::LostConnection => return,
            place => (place, None),
        };
        let id = self.queue_id();
        self.log.event(&Event::Smtpd(SmtpdEvent::Ended { id, end, place, bytes, client: &self.peer.client }));
    }

    fn log_disconnect(&self) {
        let names = Verb::ALL.iter().map(|verb| verb.as_lower()).chain(["unknown"]);
        let commands = names.zip(self.tally.counts).map(|(name, (good, all))| (name, good, all)).collect();
        let counts = CommandCounts { commands, has_bare_newline: self.tally.saw_bare_newline };
        self.log.event(&Event::Smtpd(SmtpdEvent::Disconnect(&self.peer.client, &counts)));
    }

    /// The greeting, unless the client spoke first, or is here too often, or is refused.
    fn greet(&mut self) -> Option<Next> {
        let is_remote = !self.peer.is_stand_alone;
        if is_remote && self.is_out_of_step() {
            self.say(replies::OUT_OF_STEP);
            self.hang_up();
        } else if is_remote && self.is_one_too_many() {
            self.hang_up();
        } else if is_remote && !self.settings.protocol.smtpd_delay_reject {
            self.ask(Ask::Client);
        } else {
            self.client_judged(Answer::Accept);
        }
        None
    }

    fn client_judged(&mut self, answer: Answer) {
        self.state = State::Command;
        if let Answer::Refuse(reply) = answer {
            self.history.note(NotifyClasses::POLICY);
            self.reply(&reply);
            self.errors.error_count += 1;
            self.errors.access_denied = Some(reply);
        } else {
            self.say_banner();
        }
    }

    fn connected(&mut self, answer: &Answer) {
        if let &Answer::Client { bare_newlines_allowed, discard, is_discard_unknown, grants, is_counted } =
            answer
        {
            // Who may say that it speaks for others is decided once, by who is really there; who may say so of itself
            // anew, by whom it speaks for.
            let xforward = if self.is_anew { self.greeting.grants.xforward } else { grants.xforward };
            self.greeting.grants = Grants { xforward, ..grants };
            self.is_anew = true;
            self.greeting.discard = discard;
            self.greeting.is_discard_unknown = is_discard_unknown;
            self.greeting.bare_newlines_allowed = bare_newlines_allowed || self.peer.is_stand_alone;
            // Who may speak for others is counted as whoever it speaks for.
            self.is_counted = is_counted && grants.xclient != Grant::Yes;
        }
        let is_trusted_to_wait = self.peer.is_stand_alone || self.peer.is_screened;
        self.state = State::BeforeGreeting { peeked: is_trusted_to_wait };
    }

    /// Input where the client should have waited for a reply: logged once, and forbidden by
    /// `smtpd_forbid_unauth_pipelining`.
    fn is_out_of_step(&mut self) -> bool {
        if self.errors.pipelining_noticed || self.input.bytes().is_empty() {
            return false;
        }
        self.errors.pipelining_noticed = true;
        let sample = &self.input.bytes()[..self.input.bytes().len().min(100)];
        let event = SmtpdEvent::ImproperPipelining { place: self.place, client: &self.peer.client, sample };
        self.log.event(&Event::Smtpd(event));
        self.settings.protocol.smtpd_forbid_unauth_pipelining
    }
}

#[cfg(test)]
mod tests;
