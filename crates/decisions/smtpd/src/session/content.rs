//! DATA and BDAT.

use super::envelope::Pending;
use super::{AFTER_BDAT, AFTER_DATA, AFTER_EOM, BeginAs, Done, Next, Session, Slice, State};
use crate::{Answer, Ask, EhloKeywords, ForbidBareNewline, Refused, replies};
use bstr::ByteSlice;
use config::NotifyClasses;
use maillog::printable;
use types::{Dsn, FixedReply, Instant, Reply};
use wire::{
    BareNewline,
    bdat::BdatReader,
    command::Words,
    data::{DataReader, Step},
};

/// The content of the message in progress.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Bytes so far, as `message_size_limit` counts them; with BDAT, also those of skipped chunks.
    pub(super) size_bytes: u64,
    fault: Option<Fault>,
    bdat: Bdat,
    line: Line,
}

/// The line in progress of a message that comes by BDAT.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    bytes: usize,
    ends_in_cr: bool,
}

impl Line {
    /// The bytes of content as Postfix counts them: each of its records, which end at `line_length_limit` or at
    /// the end of a line, is two bytes longer than its text.
    fn count(&mut self, content: &[u8], line_length_limit: usize) -> u64 {
        let mut total = content.len();
        for piece in content.split_inclusive(|&byte| byte == b'\n') {
            let text = piece.strip_suffix(b"\n");
            self.bytes += text.unwrap_or(piece).len();
            let last = text.unwrap_or(piece).last();
            self.ends_in_cr = last.map_or(self.ends_in_cr, |&byte| byte == b'\r');
            if text.is_some() {
                self.bytes -= usize::from(self.ends_in_cr);
                total += usize::from(!self.ends_in_cr)
                    + 2 * self.bytes.checked_div(line_length_limit).unwrap_or(0);
                *self = Self::default();
            }
        }
        total as u64
    }
}

/// Why content is read to its end but not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    TooBig,
    BareNewline,
}

/// How far a sequence of BDAT commands has come.
#[derive(Debug, Default)]
enum Bdat {
    #[default]
    None,
    Reading(BdatReader),
    /// Chunks are skipped until the last one or RSET.
    Failed,
}

impl Content {
    pub(super) fn is_bdat(&self) -> bool {
        !matches!(self.bdat, Bdat::None)
    }
}

impl Session {
    fn bare_newline(&self) -> BareNewline {
        if !self.detects_bare_newlines() {
            return BareNewline::Lenient;
        }
        match self.settings.protocol.smtpd_forbid_bare_newline {
            ForbidBareNewline::Note | ForbidBareNewline::Reject => BareNewline::Detect,
            ForbidBareNewline::Normalize | ForbidBareNewline::No => BareNewline::Normalize,
        }
    }

    pub(super) fn data(&mut self, is_alone: bool) {
        if self.content.is_bdat() {
            return self.refuse_with(replies::DATA_AFTER_BDAT);
        }
        match self.has_recipients() {
            Err(reply) => self.refuse_with(reply),
            Ok(()) if !is_alone => self.refuse_with(replies::DATA_SYNTAX),
            Ok(()) => self.ask(Ask::Data),
        }
    }

    /// With pipelining, DATA may come before all recipients were refused: that is no error of protocol.
    fn has_recipients(&self) -> Result<(), FixedReply> {
        match &self.transaction {
            None => Err(replies::NEED_RCPT),
            Some(transaction) if transaction.recipients.is_empty() => Err(replies::NO_RECIPIENTS),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn data_judged(&mut self, pending: &Pending, answer: Answer) {
        match (answer, pending) {
            (Answer::Refuse(reply), Pending::Bdat { size, is_last }) => {
                self.skip_bdat(*size, *is_last, reply);
            }
            (Answer::Refuse(reply), _) => self.refuse(&reply),
            (_, Pending::Bdat { size, is_last }) => self.start_bdat(*size, *is_last),
            (_, _) => self.state = State::Begin(BeginAs::Data),
        }
    }

    pub(super) fn begin_content(&mut self, now: Instant) -> Option<Next> {
        if self.settings.limits.smtpd_per_request_deadline {
            self.deadline = Some(now + self.settings.limits.smtpd_timeout);
        }
        let State::Begin(begin) = std::mem::replace(&mut self.state, State::Command) else { return None };
        match begin {
            BeginAs::Data => {
                self.say(replies::START_DATA);
                self.place = AFTER_DATA;
                self.state = State::Data(DataReader::new(self.bare_newline()));
            }
            BeginAs::Bdat { is_last, size } => {
                let mut reader = BdatReader::new(self.bare_newline());
                reader.start_chunk(size, is_last);
                self.content.bdat = Bdat::Reading(reader);
                self.place = AFTER_BDAT;
                self.state = State::Bdat { is_last, size };
            }
        }
        Some(Next::Begin)
    }

    pub(super) fn next_data(&mut self) -> Option<Next> {
        let State::Data(reader) = &mut self.state else { return None };
        let step = reader.step(self.input.bytes(), self.input.is_full());
        let has_bare_newline = reader.saw_bare_newline();
        self.next_content(step, has_bare_newline, |session| {
            session.place = AFTER_EOM;
            session.end_of_content();
        })
    }

    pub(super) fn next_bdat(&mut self) -> Option<Next> {
        let State::Bdat { is_last, size } = self.state else { return None };
        let Bdat::Reading(reader) = &mut self.content.bdat else { return None };
        let step = reader.step(self.input.bytes());
        let has_bare_newline = reader.saw_bare_newline();
        self.next_content(step, has_bare_newline, |session| session.end_of_chunk(is_last, size))
    }

    /// Does what a reader has come to, with as much of the input as it has used.
    fn next_content(
        &mut self,
        (step, used): (Step, usize),
        has_bare_newline: bool,
        at_end: impl FnOnce(&mut Self),
    ) -> Option<Next> {
        let from = self.input.consume(used).start;
        match step {
            Step::More => self.wait_for_input(),
            Step::Content(range) => self.keep(Slice::Input(from + range.start..from + range.end)),
            Step::Fixed(bytes) => self.keep(Slice::Fixed(bytes)),
            Step::End => {
                self.deadline = None;
                self.note_bare_newline(has_bare_newline);
                at_end(self);
                None
            }
        }
    }

    /// Passes content on, unless the message is refused already: then it is only read.
    fn keep(&mut self, slice: Slice) -> Option<Next> {
        let bytes = match &slice {
            Slice::Input(range) => self.input.used(range.clone()),
            Slice::Fixed(bytes) => bytes,
        };
        let content = &mut self.content;
        let size = match content.is_bdat() {
            true => content.line.count(bytes, self.settings.limits.line_length_limit),
            false => bytes.len() as u64,
        };
        content.size_bytes = content.size_bytes.saturating_add(size);
        if bytes.is_empty() || content.fault.is_some() {
            return None;
        }
        let limit = self.settings.limits.message_size_limit;
        if limit > 0 && content.size_bytes > limit {
            content.fault = Some(Fault::TooBig);
            let id = self.id_or_noqueue();
            self.warn(format_args!("{id}: queue file size limit exceeded"));
            return None;
        }
        Some(Next::Content(slice))
    }

    fn note_bare_newline(&mut self, was_seen: bool) {
        if !was_seen {
            return;
        }
        match self.settings.protocol.smtpd_forbid_bare_newline {
            ForbidBareNewline::Reject => {
                self.content.fault = Some(self.content.fault.unwrap_or(Fault::BareNewline));
            }
            ForbidBareNewline::Note => self.tally.saw_bare_newline = true,
            ForbidBareNewline::Normalize | ForbidBareNewline::No => {}
        }
    }

    /// The message is complete.
    fn end_of_content(&mut self) {
        if self.content.fault.is_some() {
            self.refuse_content();
        } else {
            self.ask(Ask::EndOfData);
        }
    }

    pub(super) fn end_of_data_judged(&mut self, answer: Answer) {
        if let Answer::Refuse(reply) = answer {
            self.reply(&reply);
            self.reset_transaction();
            return self.finish_command(Done::Bad);
        }
        self.state = State::Committing;
    }

    pub(super) fn committed(&mut self, outcome: Result<(), Refused>) {
        let id = self.id_or_noqueue();
        let text = match self.content.is_bdat() {
            true => format!("Ok: {} bytes queued as {id}", self.content.size_bytes),
            false => format!("Ok: queued as {id}"),
        };
        let done = match outcome {
            Ok(()) => {
                self.errors.error_count = 0;
                self.errors.junk_commands = 0;
                self.history.forgive();
                self.reply(&Reply::new(250, Dsn::success(0, 0), text));
                Done::Good
            }
            Err(Refused { reply, trouble }) => {
                self.history.note(trouble);
                self.reply(&reply);
                Done::Bad
            }
        };
        // The shell has taken the message, or dropped it.
        self.forget_transaction();
        self.finish_command(done);
    }

    fn refuse_content(&mut self) {
        match self.content.fault {
            Some(Fault::BareNewline) => {
                let code = self.settings.protocol.smtpd_forbid_bare_newline_reject_code;
                self.log_reject(&Reply::bare(0, "bare <LF> received"));
                self.history.note(NotifyClasses::PROTOCOL);
                self.say_named(code, Dsn::permanent(5, 2), "Error: bare <LF> received");
            }
            _ => self.say(replies::TOO_BIG),
        }
        self.reset_transaction();
        self.finish_command(Done::Bad);
    }

    fn id_or_noqueue(&self) -> String {
        self.queue_id().map_or_else(|| "NOQUEUE".to_owned(), |id| id.to_string())
    }
}

/// BDAT (RFC 3030). A chunk that is refused is skipped, so that client and server stay in step.
impl Session {
    pub(super) fn bdat(&mut self, words: Words<'_>) {
        if self.greeting.discard.has(EhloKeywords::CHUNKING) {
            return self.refuse_with(replies::CHUNKING_OFF);
        }
        let Some((size, is_last)) = parse_bdat(words.clone()) else {
            let line = words.map(|word| word.text).collect::<Vec<_>>().join(&b' ');
            let sample = printable(&[b"BDAT ", &line[..line.len().min(95)]].concat());
            let id = self.id_or_noqueue();
            self.warn(format_args!(
                "{id}: malformed BDAT command syntax from {}: {sample}",
                self.peer.client
            ));
            return self.refuse_with(replies::BDAT_SYNTAX);
        };
        if size == 0 && !is_last {
            let id = self.id_or_noqueue();
            self.warn(format_args!("{id}: null BDAT request from {}", self.peer.client));
            return self.skip_bdat_with(size, is_last, replies::NULL_BDAT);
        }
        match self.content.bdat {
            Bdat::Failed => {
                let text = format!("Discarded {size} bytes after earlier error");
                self.skip_bdat(size, is_last, Reply::new(551, Dsn::permanent(0, 0), text));
            }
            Bdat::Reading(_) => self.start_bdat(size, is_last),
            Bdat::None => match self.has_recipients() {
                Err(reply) => self.skip_bdat_with(size, is_last, reply),
                Ok(()) => self.ask_with(Ask::Data, Pending::Bdat { size, is_last }),
            },
        }
    }

    fn start_bdat(&mut self, size: u64, is_last: bool) {
        let limit = self.settings.limits.message_size_limit;
        if limit > 0 && self.content.size_bytes.saturating_add(size) > limit {
            let id = self.id_or_noqueue();
            self.warn(format_args!(
                "{id}: BDAT request from {} exceeds message size limit",
                self.peer.client
            ));
            return self.skip_bdat_with(size, is_last, replies::BIG_CHUNK);
        }
        if let Bdat::Reading(reader) = &mut self.content.bdat {
            reader.start_chunk(size, is_last);
            self.place = AFTER_BDAT;
            self.state = State::Bdat { is_last, size };
        } else {
            self.state = State::Begin(BeginAs::Bdat { is_last, size });
        }
    }

    fn end_of_chunk(&mut self, is_last: bool, size: u64) {
        if is_last {
            self.place = AFTER_EOM;
            return self.end_of_content();
        }
        if self.content.fault.is_some() {
            self.refuse_content();
            self.content.bdat = Bdat::Failed;
            return;
        }
        let text = format!("Ok: {size} bytes");
        self.reply(&Reply::new(250, Dsn::success(0, 0), text));
        self.finish_command(Done::Good);
    }

    fn skip_bdat_with(&mut self, size: u64, is_last: bool, reply: FixedReply) {
        self.note_reply_class(reply);
        self.skip_bdat(size, is_last, reply.into());
    }

    /// Reads a chunk and throws it away, then answers. There is an end to this patience: beyond one and a
    /// half times the message size limit nothing more is read.
    fn skip_bdat(&mut self, size: u64, is_last: bool, reply: Reply) {
        let limit = self.settings.limits.message_size_limit;
        let total = self.content.size_bytes.saturating_add(size);
        if limit > 0 && total / 3 * 2 > limit {
            self.reply(&reply);
            let id = self.id_or_noqueue();
            let client = &self.peer.client;
            self.warn(format_args!("{id}: too much BDAT content -- disabling further input from {client}"));
            self.reset_transaction();
            self.end.reason = Some(maillog::SessionEnd::LostConnection);
            return self.hang_up();
        }
        self.content.size_bytes = total;
        self.state = State::SkipBdat { remaining: size, is_last, reply };
    }

    pub(super) fn next_skipped(&mut self) -> Option<Next> {
        let here = self.input.bytes().len();
        let State::SkipBdat { remaining, .. } = &mut self.state else { return None };
        let taken = usize::try_from(*remaining).map_or(here, |remaining| remaining.min(here));
        *remaining -= taken as u64;
        let is_done = *remaining == 0;
        self.input.consume(taken);
        if !is_done {
            return self.wait_for_input();
        }
        if let State::SkipBdat { is_last, reply, .. } = std::mem::replace(&mut self.state, State::Command) {
            self.reply(&reply);
            if is_last {
                self.reset_transaction();
            } else {
                self.content.bdat = Bdat::Failed;
            }
            self.finish_command(Done::Bad);
        }
        None
    }
}

/// A size and whether this is the last chunk.
fn parse_bdat(mut words: Words<'_>) -> Option<(u64, bool)> {
    let digits = words.next()?.text;
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let size = digits.to_str().ok().filter(|_| is_number)?.parse::<i64>().ok()?;
    let is_last = match words.next() {
        Some(word) if word.text.eq_ignore_ascii_case(b"LAST") => true,
        Some(_) => return None,
        None => false,
    };
    let is_complete = words.next().is_none();
    is_complete.then_some((u64::try_from(size).ok()?, is_last))
}
