//! MAIL, RCPT, DATA, content and the final dot, with and without pipelining (RFC 2920).

use super::{Action, Ending, Session, Stage, Verdict};
use crate::{Envelope, Scope, VerifyTarget};
use std::collections::VecDeque;
use types::{Dsn, Instant};
use wire::ServerReply;

/// How many bytes of commands may be unanswered: what one segment or two carry, and what no server's buffers refuse
/// while it writes replies that we do not read yet (Postfix: `VSTREAM_BUFSIZE`).
const PIPELINE_BYTES: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// XFORWARD, one or two of them.
    Forward(usize),
    Mail,
    Rcpt(usize),
    Data,
    Dot,
    Rset,
    Quit,
    Last,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContentState {
    Unsent,
    Sent,
    /// The connection broke half-way; the server may have said why.
    Broken,
}

#[derive(Debug)]
pub(super) struct Transaction {
    envelope: Envelope,
    next: Step,
    awaited: VecDeque<Step>,
    // Bytes of commands sent since all were answered.
    unanswered_bytes: usize,
    stays_open: bool,
    mail_was_refused: bool,
    data_was_refused: bool,
    accepted: Vec<usize>,
    // LMTP: how many of the accepted have their final reply.
    finished: usize,
    content: ContentState,
}

impl Transaction {
    pub(super) fn new(envelope: Envelope, stays_open: bool) -> Self {
        let next = if envelope.forward(0).is_some() { Step::Forward(0) } else { Step::Mail };
        Self {
            envelope,
            next,
            awaited: VecDeque::new(),
            unanswered_bytes: 0,
            stays_open,
            mail_was_refused: false,
            data_was_refused: false,
            accepted: Vec::new(),
            finished: 0,
            content: ContentState::Unsent,
        }
    }

    fn doing(&self, step: Step) -> &'static str {
        match step {
            Step::Forward(number) => self.envelope.forward(number).map_or("", |forward| forward.kind.doing()),
            Step::Mail => "sending MAIL FROM",
            Step::Rcpt(_) => "sending RCPT TO",
            Step::Data => "sending DATA command",
            Step::Dot => "sending end of data -- message may be sent more than once",
            // The message's fate is known.
            Step::Rset | Step::Quit | Step::Last => "",
        }
    }

    pub(super) fn is_before_data(&self) -> bool {
        self.content == ContentState::Unsent
            && self
                .awaited
                .front()
                .is_none_or(|step| matches!(step, Step::Forward(_) | Step::Mail | Step::Rcpt(_) | Step::Data))
    }

    fn command(&self, step: Step) -> &[u8] {
        match step {
            Step::Forward(number) => self.envelope.forward(number).map_or(b"", |forward| &forward.command),
            Step::Mail => self.envelope.mail_command(),
            Step::Rcpt(place) => self.envelope.rcpt_command(place),
            Step::Data => b"DATA\r\n",
            Step::Dot => b".\r\n",
            Step::Rset => b"RSET\r\n",
            Step::Quit => b"QUIT\r\n",
            Step::Last => b"",
        }
    }

    fn must_wait(&self, pipelining: bool) -> bool {
        let Some(awaited) = self.awaited.front() else { return false };
        match self.next {
            Step::Dot | Step::Last => true,
            Step::Quit if *awaited == Step::Dot => !pipelining,
            next => !pipelining || self.unanswered_bytes + self.command(next).len() > PIPELINE_BYTES,
        }
    }

    /// Everything was answered: go another way if the answers leave no use for the next command.
    fn correct_course(&mut self) {
        let is_pointless = match self.next {
            Step::Rcpt(_) => self.mail_was_refused,
            Step::Data => self.mail_was_refused || self.accepted.is_empty(),
            Step::Dot => self.data_was_refused,
            Step::Forward(_) | Step::Mail | Step::Rset | Step::Quit | Step::Last => false,
        };
        if is_pointless {
            self.next = Step::Rset;
        }
    }

    fn after(&self, step: Step) -> Step {
        match step {
            Step::Forward(number) if self.envelope.forward(number + 1).is_some() => Step::Forward(number + 1),
            Step::Forward(_) => Step::Mail,
            Step::Mail => Step::Rcpt(0),
            Step::Rcpt(place) if place + 1 < self.envelope.recipients() => Step::Rcpt(place + 1),
            Step::Rcpt(_) if self.envelope.probe() == Some(VerifyTarget::Rcpt) => Step::Rset,
            Step::Rcpt(_) => Step::Data,
            Step::Data => Step::Dot,
            Step::Dot | Step::Rset if self.stays_open => Step::Last,
            Step::Dot | Step::Rset => Step::Quit,
            Step::Quit | Step::Last => Step::Last,
        }
    }
}

impl Session {
    pub(super) fn advance_transaction(&mut self) -> Action {
        loop {
            let pipelining = self.features.pipelining;
            let Some(transaction) = &mut self.transaction else {
                self.stage = Stage::Idle;
                return Action::Idle;
            };
            if transaction.must_wait(pipelining) {
                let timeout = self.awaited_timeout();
                return if self.out.is_empty() { Action::Read(timeout) } else { Action::Write(timeout) };
            }
            if transaction.awaited.is_empty() {
                transaction.unanswered_bytes = 0;
                transaction.correct_course();
            }
            let step = transaction.next;
            if step == Step::Last {
                return self.end_transaction();
            }
            let has_content = step == Step::Dot && !transaction.accepted.is_empty();
            if has_content && transaction.content == ContentState::Unsent {
                return Action::SendContent(self.settings.timeouts.data_xfer);
            }
            self.send(step);
        }
    }

    fn send(&mut self, step: Step) {
        // Once the dot is out, whether QUIT follows is settled.
        let stays_open = self.is_reusable;
        let skips_reply = step == Step::Quit && self.settings.quirks.skip_quit_response;
        let Some(transaction) = &mut self.transaction else { return };
        transaction.stays_open &= stays_open;
        let command = transaction.command(step);
        let length = command.len();
        self.out.extend_from_slice(command);
        if let Some(history) = &mut self.history {
            history.said(command);
        }
        transaction.unanswered_bytes += length;
        transaction.next = transaction.after(step);
        if step == Step::Quit {
            self.is_reusable = false;
        }
        if !skips_reply {
            transaction.awaited.push_back(step);
        }
    }

    fn awaited_timeout(&self) -> std::time::Duration {
        let awaited = self.transaction.as_ref().and_then(|transaction| transaction.awaited.front());
        self.timeout_of(awaited.copied().unwrap_or(Step::Last))
    }

    fn end_transaction(&mut self) -> Action {
        self.transaction = None;
        if self.is_reusable {
            self.stage = Stage::Idle;
            Action::Idle
        } else {
            self.close()
        }
    }

    pub(super) fn content_done(&mut self, now: Instant) -> Action {
        let is_expired = self.is_expired(now);
        if let Some(transaction) = &mut self.transaction {
            transaction.content = ContentState::Sent;
            transaction.stays_open &= !is_expired;
        }
        self.advance()
    }

    pub(super) fn answered(&mut self, now: Instant, reply: &ServerReply) {
        let is_expired = self.is_expired(now);
        let Some(transaction) = &mut self.transaction else { return };
        transaction.stays_open &= !is_expired;
        let Some(step) = transaction.awaited.pop_front() else {
            self.is_reusable = false;
            return;
        };
        match step {
            Step::Forward(number) if reply.class() != 2 => {
                let command =
                    transaction.envelope.forward(number).map_or("", |forward| forward.kind.command());
                let peer = self.peer.with_port();
                self.note_warning(format!("host {peer} said: {} (in reply to {command})", reply.one_line()));
            }
            Step::Mail if reply.class() != 2 => {
                transaction.mail_was_refused = true;
                self.fail_all(reply, "MAIL FROM command");
            }
            Step::Rcpt(place) if !transaction.mail_was_refused => {
                if reply.class() == 2 {
                    transaction.accepted.push(place);
                    if transaction.envelope.probe() == Some(VerifyTarget::Rcpt) {
                        self.verdicts.push(Verdict::Sent(place, reply.clone()));
                    }
                } else {
                    self.fail_one(place, reply, "RCPT TO command");
                }
            }
            Step::Data if reply.class() != 3 => {
                transaction.data_was_refused = true;
                if !transaction.accepted.is_empty() {
                    self.fail_all(reply, "DATA command");
                }
            }
            Step::Data if transaction.envelope.probe().is_some() => self.probed(reply),
            Step::Dot => self.delivered(reply),
            Step::Forward(_)
            | Step::Mail
            | Step::Rcpt(_)
            | Step::Data
            | Step::Rset
            | Step::Quit
            | Step::Last => {}
        }
    }

    /// The server waits for a message that will not come: all that is left is to hang up.
    fn probed(&mut self, reply: &ServerReply) {
        let Some(transaction) = &mut self.transaction else { return };
        let reply = ServerReply { dsn: Dsn::success(0, 0), ..reply.clone() };
        let accepted = std::mem::take(&mut transaction.accepted);
        self.verdicts.extend(accepted.into_iter().map(|place| Verdict::Sent(place, reply.clone())));
        self.out.clear();
        self.close();
    }

    fn delivered(&mut self, reply: &ServerReply) {
        let is_lmtp = self.is_lmtp();
        let Some(transaction) = &mut self.transaction else { return };
        if transaction.content == ContentState::Broken {
            // Whatever it says, it did not get all of the message.
            if reply.class() == 2 {
                self.lost(Ending::Closed);
            } else {
                self.fail_all(reply, "end of DATA command");
                self.out.clear();
                self.close();
            }
            return;
        }
        if is_lmtp {
            let Some(&place) = transaction.accepted.get(transaction.finished) else { return };
            transaction.finished += 1;
            if transaction.finished < transaction.accepted.len() {
                transaction.awaited.push_front(Step::Dot);
            }
            if reply.class() == 2 {
                self.verdicts.push(Verdict::Sent(place, reply.clone()));
            } else {
                self.fail_one(place, reply, "end of DATA command");
            }
        } else if transaction.accepted.is_empty() {
        } else if reply.class() == 2 {
            let accepted = std::mem::take(&mut transaction.accepted);
            self.verdicts.extend(accepted.into_iter().map(|place| Verdict::Sent(place, reply.clone())));
        } else {
            self.fail_all(reply, "end of DATA command");
        }
    }

    fn fail_all(&mut self, reply: &ServerReply, command: &str) {
        let failure = self.said(Scope::Message, reply, command);
        self.distrust_after(reply);
        self.verdicts.push(Verdict::AllFailed(failure));
    }

    fn fail_one(&mut self, place: usize, reply: &ServerReply, command: &str) {
        let failure = self.said(Scope::Recipient, reply, command);
        self.distrust_after(reply);
        self.verdicts.push(Verdict::Failed(place, failure));
    }

    /// What we were doing when the connection went, or what to do instead of giving up.
    pub(super) fn transaction_lost(&mut self, ending: Ending) -> Result<&'static str, Action> {
        let data_done = self.settings.timeouts.data_done;
        let Some(transaction) = &mut self.transaction else { return Ok("") };
        match (transaction.content, transaction.awaited.front()) {
            (ContentState::Unsent, None) => {
                // While sending content. A server that hangs up in the middle may have said why.
                if ending != Ending::Closed {
                    return Ok("sending message body");
                }
                transaction.content = ContentState::Broken;
                transaction.awaited.push_back(Step::Dot);
                transaction.next = Step::Last;
                self.out.clear();
                Err(Action::Read(data_done))
            }
            (ContentState::Broken, _) => Ok("sending message body"),
            (_, awaited) => Ok(awaited.map_or("", |step| transaction.doing(*step))),
        }
    }
}
