//! The session machine.

use crate::{
    Message, QmqpdSettings,
    message::split_verp,
    netstring::{Bad, Length, Reader, encode},
};
use maillog::{Client, Event, Logger, QmqpdEvent};
use std::{rc::Rc, time::Duration};
use types::{Instant, QueueId, Reply, Trouble, VerpDelimiters};

/// Bytes that are read at once.
const READ_SIZE: usize = 16 * 1024;

/// The next thing to do for a session, and how to tell it the outcome.
#[derive(Debug)]
pub enum Action<'s> {
    /// Allocate a queue file, then call [`Session::opened`].
    Open,
    /// Read into [`Session::read_space`], then call [`Session::received`], [`Session::closed`] or
    /// [`Session::timed_out`].
    Read {
        /// When to give up.
        deadline: Instant,
    },
    /// Commit the message: on stable storage before anything is answered. Then call [`Session::finished`].
    Commit(&'s Message),
    /// Wait before the next step (`qmqpd_error_delay`).
    Sleep(Duration),
    /// Write all of it. Nothing to call when that worked, otherwise [`Session::closed`] or [`Session::timed_out`].
    Write {
        /// The reply.
        bytes: &'s [u8],
        /// When to give up.
        deadline: Instant,
    },
    /// Close the connection; the session is over.
    Close,
}

/// One QMQP session. See [`Action`] for how to drive it.
pub struct Session {
    settings: Rc<QmqpdSettings>,
    client: Client,
    log: Logger,
    state: State,
    place: &'static str,
    space: Vec<u8>,
    message: Message,
    /// Bytes of recipients so far.
    envelope_size: usize,
    /// Why the message cannot be taken, though it is read to its end.
    fault: Option<Fault>,
    id: Option<QueueId>,
    reply: Vec<u8>,
    /// Why the session ended early.
    reason: Option<&'static str>,
}

#[derive(Debug)]
enum State {
    Opening,
    /// The length of the whole, which nobody needs.
    Header(Length),
    Content(Reader),
    Sender(Reader),
    Recipient(Reader),
    Committing,
    Delaying,
    Replying,
    /// The reply is on its way.
    Writing,
    Closing,
    Closed,
}

#[derive(Debug)]
enum Fault {
    TooLarge,
    Verp(String),
}

/// The first byte of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ok,
    Retry,
    Hard,
}

const PACKET_HEADER: &str = "receiving QMQP packet header";
const CONTENT: &str = "receiving message content";
const SENDER: &str = "receiving sender address";
const RECIPIENT: &str = "receiving recipient address";
const STATUS: &str = "sending completion status";

impl Session {
    /// A client is there; `is_authorized` is what `qmqpd_authorized_clients` says of it.
    #[must_use]
    pub fn new(
        settings: Rc<QmqpdSettings>,
        client: Client,
        log: Logger,
        is_authorized: Result<bool, Trouble>,
    ) -> Self {
        log.event(&Event::Qmqpd(QmqpdEvent::Connect(&client)));
        let mut session = Self {
            settings,
            client,
            log,
            state: State::Opening,
            place: PACKET_HEADER,
            space: Vec::new(),
            message: Message::default(),
            envelope_size: 0,
            fault: None,
            id: None,
            reply: Vec::new(),
            reason: None,
        };
        match is_authorized {
            Ok(true) => {}
            Ok(false) => {
                let text = format!("Error: {} is not authorized to use this service", session.client);
                session.answer(Kind::Hard, &text);
            }
            Err(trouble) => {
                session.log.warning(&trouble.to_string());
                session.answer(Kind::Retry, "Error: server configuration error");
            }
        }
        session
    }

    /// What to do next.
    pub fn step(&mut self, now: Instant) -> Action<'_> {
        let deadline = now + self.settings.qmqpd_timeout;
        match self.state {
            State::Opening => Action::Open,
            State::Header(_) | State::Content(_) | State::Sender(_) | State::Recipient(_) => {
                Action::Read { deadline }
            }
            State::Committing => Action::Commit(&self.message),
            State::Delaying => {
                self.state = State::Replying;
                Action::Sleep(self.settings.qmqpd_error_delay)
            }
            State::Replying => {
                self.state = State::Writing;
                Action::Write { bytes: &self.reply, deadline }
            }
            State::Writing | State::Closing => {
                self.end();
                Action::Close
            }
            State::Closed => Action::Close,
        }
    }

    /// Where to read to.
    pub fn read_space(&mut self) -> &mut [u8] {
        self.space.resize(READ_SIZE, 0);
        &mut self.space
    }

    /// While the loop waits, the session keeps no buffer.
    pub fn release_space(&mut self) {
        self.space = Vec::new();
    }

    /// Bytes were read.
    pub fn received(&mut self, count: usize) {
        let space = std::mem::take(&mut self.space);
        let mut input = space.get(..count).unwrap_or_default();
        if let Err(bad) = self.take(&mut input) {
            self.complain(bad);
        }
        self.space = space;
    }

    fn complain(&mut self, bad: Bad) {
        let reason = match bad {
            Bad::Format => "netstring format error",
            Bad::Size => "netstring length exceeds storage limit",
        };
        self.reason = Some(reason);
        self.answer(Kind::Hard, &format!("{reason} while {}", self.place));
    }

    /// The client is gone, or the connection broken.
    pub fn closed(&mut self) {
        self.give_up("lost connection");
    }

    /// The client was silent, or did not read, for too long.
    pub fn timed_out(&mut self) {
        self.give_up("read/write timeout");
    }

    /// The message of [`Action::Open`] has an id, or there is none to be had.
    pub fn opened(&mut self, id: Option<QueueId>) {
        self.id = id;
        match id {
            Some(id) => {
                self.log.event(&Event::Qmqpd(QmqpdEvent::ClientOf(id, &self.client)));
                self.state = State::Header(Length::default());
            }
            None => self.answer(Kind::Retry, "Error: queue file write error"),
        }
    }

    /// What became of the message of [`Action::Commit`]: a failure comes in the words of the SMTP server.
    pub fn finished(&mut self, outcome: Result<(), Reply>) {
        self.place = STATUS;
        match outcome {
            Ok(()) => {
                let id = self.id.map(|id| id.to_string()).unwrap_or_default();
                self.answer(Kind::Ok, &format!("Ok: queued as {id}"));
            }
            Err(reply) => {
                let kind = if reply.code >= 500 { Kind::Hard } else { Kind::Retry };
                let text = match (reply.code, reply.dsn) {
                    (552, _) => "Error: message too large".to_owned(),
                    _ if reply.text.starts_with("Error: ") => reply.text.clone(),
                    (_, Some(dsn)) => format!("Error: {dsn} {}", reply.text),
                    (_, None) => format!("Error: {}", reply.text),
                };
                self.refuse(kind, &text);
            }
        }
    }

    fn take(&mut self, input: &mut &[u8]) -> Result<(), Bad> {
        while !input.is_empty() {
            match &mut self.state {
                State::Header(length) => {
                    if length.take(input)?.is_none() {
                        return Ok(());
                    }
                    self.enter(CONTENT, State::Content(Reader::new(self.settings.message_size_limit)));
                }
                State::Content(reader) => {
                    let Some(content) = reader.take(input)? else { return Ok(()) };
                    self.message.content = content;
                    self.enter(SENDER, State::Sender(self.line()));
                }
                State::Sender(reader) => {
                    let Some(sender) = reader.take(input)? else { return Ok(()) };
                    self.sender(&sender);
                    self.enter(RECIPIENT, State::Recipient(self.line()));
                }
                // The end of the whole stands where a recipient could begin.
                State::Recipient(reader) if reader.is_fresh() && input.first() == Some(&b',') => {
                    *input = &[];
                    self.complete();
                }
                State::Recipient(reader) => {
                    let Some(recipient) = reader.take(input)? else { return Ok(()) };
                    self.recipient(recipient);
                    self.enter(RECIPIENT, State::Recipient(self.line()));
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn enter(&mut self, place: &'static str, state: State) {
        self.place = place;
        self.state = state;
    }

    fn line(&self) -> Reader {
        Reader::new(self.settings.line_length_limit)
    }

    fn sender(&mut self, sender: &[u8]) {
        let (sender, wish) = split_verp(sender);
        self.message.sender = sender;
        let Some(verp) = wish else { return };
        let filter = &self.settings.verp_delimiter_filter;
        self.message.verp = VerpDelimiters::parse(&verp, filter);
        if self.message.verp.is_none() {
            let delimiters = maillog::printable(&verp);
            self.fault = Some(Fault::Verp(format!(
                "Invalid VERP delimiters: \"{delimiters}\". Need two characters from \"{filter}\""
            )));
        }
    }

    /// Recipients count towards `message_size_limit`, as in the queue file.
    fn recipient(&mut self, recipient: Vec<u8>) {
        self.envelope_size = self.envelope_size.saturating_add(recipient.len() + 2);
        let limit = self.settings.message_size_limit;
        if limit > 0 && self.envelope_size > limit {
            self.message.recipients = Vec::new();
            self.fault.get_or_insert(Fault::TooLarge);
        } else if self.fault.is_none() {
            self.message.recipients.push(recipient.into());
        }
    }

    fn complete(&mut self) {
        self.place = STATUS;
        match self.fault.take() {
            None => self.state = State::Committing,
            Some(Fault::TooLarge) => self.refuse(Kind::Hard, "Error: message too large"),
            Some(Fault::Verp(why)) => self.refuse(Kind::Hard, &format!("Error: {why}")),
        }
    }

    /// Refuses a message that was read, which the log tells.
    fn refuse(&mut self, kind: Kind, text: &str) {
        if let Some(id) = self.id {
            self.log.warning(&QmqpdEvent::Refused(id, &self.client, text).to_string());
        }
        self.answer(kind, text);
    }

    /// Negative replies wait a while: that slows down clients that run wild.
    fn answer(&mut self, kind: Kind, text: &str) {
        let letter = match kind {
            Kind::Ok => 'K',
            Kind::Hard if !self.settings.soft_bounce => 'D',
            Kind::Hard | Kind::Retry => 'Z',
        };
        self.reply = encode(format!("{letter}{text}").as_bytes());
        self.state = if kind == Kind::Ok { State::Replying } else { State::Delaying };
    }

    fn give_up(&mut self, reason: &'static str) {
        // As in Postfix, an end in place of a comma is an error of format, of which the client is told.
        if let State::Content(reader) | State::Sender(reader) | State::Recipient(reader) = &self.state
            && reader.wants_comma()
        {
            return self.complain(Bad::Format);
        }
        self.reason.get_or_insert(reason);
        self.state = State::Closing;
    }

    fn end(&mut self) {
        self.state = State::Closed;
        if let Some(reason) = self.reason {
            let (id, client, place) = (self.id, &self.client, self.place);
            self.log.event(&Event::Qmqpd(QmqpdEvent::Ended { id, client, reason, place }));
        }
        self.log.event(&Event::Qmqpd(QmqpdEvent::Disconnect(&self.client)));
    }
}

#[cfg(test)]
mod tests;
