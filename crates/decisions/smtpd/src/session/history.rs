//! What was said, and what went wrong, for the postmaster (postconf(5) `notify_classes`, `smtpd_history_flush_threshold`).
//!
//! Every session may need its transcript one day, as a disk may be full under the default `notify_classes` too. What sessions begin with
//! is therefore kept as a mark where that is enough to make it again, and an idle session has a few bytes of this.

use super::Session;
use crate::replies;
use config::NotifyClasses;
use types::{FixedReply, Reply};
use wire::Transcript;

/// Marks of what is made again.
const BANNER: u8 = b'0';
const EHLO: u8 = b'1';

/// What a session remembers.
#[derive(Debug)]
pub(super) struct History {
    /// What the postmaster wants to hear of; nothing is kept where that is nothing.
    wanted: NotifyClasses,
    /// What went wrong.
    trouble: NotifyClasses,
    transcript: Transcript,
}

/// A session that the postmaster is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The client as log lines name it.
    pub client: String,
    /// What went wrong.
    pub trouble: NotifyClasses,
    /// What was said since the last notice.
    pub transcript: Transcript,
    /// Why the session ended before its time.
    pub reason: Option<&'static str>,
}

impl History {
    pub(super) fn new(wanted: NotifyClasses) -> Self {
        Self { wanted, trouble: NotifyClasses::default(), transcript: Transcript::default() }
    }

    /// A command line, at most so many bytes of it. Secrets are not shown, nor what follows the mechanism of AUTH.
    pub(super) fn heard(&mut self, line: &[u8], (bytes_max, is_secret): (usize, bool)) {
        if self.wanted.is_empty() {
            return;
        }
        let line = line.get(..bytes_max).unwrap_or(line);
        match public_part(line) {
            _ if is_secret => self.transcript.heard(b"..."),
            None => self.transcript.heard(line),
            Some(part) => self.transcript.heard(&[part, b" ..."].concat()),
        }
    }

    /// Whole lines of a reply.
    pub(super) fn said(&mut self, lines: &[u8]) {
        if !self.wanted.is_empty() {
            self.transcript.said(lines);
        }
    }

    pub(super) fn note(&mut self, trouble: NotifyClasses) {
        self.trouble = self.trouble.with(trouble);
    }

    /// A message was taken: earlier mistakes are forgiven.
    pub(super) fn forgive(&mut self) {
        self.trouble = NotifyClasses::default();
    }

    fn is_worth_a_notice(&self) -> bool {
        self.trouble.has_any(self.wanted)
    }

    fn clear(&mut self) {
        self.trouble = NotifyClasses::default();
        self.transcript.clear();
    }
}

impl Session {
    /// A refusal counts as what it complains about.
    pub(super) fn note_reply_class(&mut self, reply: FixedReply) {
        if reply.code >= 400 {
            self.history.note(class_of(reply));
        }
    }

    /// The greeting.
    pub(super) fn say_banner(&mut self) {
        let reply = self.banner();
        self.say_as_usual(BANNER, &reply);
    }

    /// The answer to EHLO.
    pub(super) fn say_keywords(&mut self) {
        let reply = self.keywords();
        self.say_as_usual(EHLO, &reply);
    }

    fn banner(&self) -> Reply {
        Reply::bare(220, self.settings.smtpd_banner.as_str())
    }

    fn say_as_usual(&mut self, mark: u8, reply: &Reply) {
        if self.must_dress(reply.code) || self.history.wanted.is_empty() {
            return self.reply(reply);
        }
        let history = std::mem::replace(&mut self.history, History::new(NotifyClasses::default()));
        self.reply_as_it_is(reply);
        self.history = history;
        self.history.transcript.said_as_usual(mark, reply.text.split('\n').count());
    }

    /// Forgets what was said if it has more lines than that; the postmaster is told first where it is about something.
    pub(super) fn flush_history(&mut self, lines_max: usize) {
        if self.history.transcript.len() <= lines_max {
            return;
        }
        if self.history.is_worth_a_notice() && !self.peer.is_stand_alone {
            self.notice = Some(Box::new(self.notice_of_session()));
        }
        self.history.clear();
    }

    fn notice_of_session(&self) -> Notice {
        let again = |mark| {
            let mut lines = Vec::new();
            let reply = if mark == BANNER { self.banner() } else { self.keywords() };
            reply.encode(&mut lines);
            lines
        };
        Notice {
            client: self.peer.client.to_string(),
            trouble: self.history.trouble,
            transcript: self.history.transcript.completed(again),
            reason: self.end.reason.map(maillog::SessionEnd::as_str),
        }
    }
}

/// AUTH and its mechanism, if more follows them.
fn public_part(line: &[u8]) -> Option<&[u8]> {
    let blank = |byte: &u8| byte.is_ascii_whitespace();
    let start = line.iter().position(|byte| !blank(byte))?;
    let verb = line.get(start..start + 4)?;
    if !verb.eq_ignore_ascii_case(b"AUTH") || !line.get(start + 4).is_some_and(blank) {
        return None;
    }
    let mechanism = (start + 4..line.len()).find(|at| !blank(&line[*at]))?;
    let end = (mechanism..line.len()).find(|at| blank(&line[*at]))?;
    (end..line.len()).find(|at| !blank(&line[*at]))?;
    line.get(..end)
}

/// Which class a reply is of: what is no proper SMTP, unless it is about something else.
fn class_of(reply: FixedReply) -> NotifyClasses {
    use replies as r;
    match reply {
        r::HUGE_SIZE | r::BIG_CHUNK => NotifyClasses::POLICY,
        r::VRFY_OFF | r::NOT_AUTHORIZED => NotifyClasses::POLICY,
        r::NEED_HELO | r::ETRN_NEEDS_HELO => NotifyClasses::POLICY,
        r::TOO_BIG => NotifyClasses::BOUNCE,
        // With pipelining, clients cannot know of some things in time; others are nobody's mistake.
        r::NO_RECIPIENTS | r::NULL_BDAT | r::DECLARE_UTF8 | r::TOO_MANY_RECIPIENTS => {
            NotifyClasses::default()
        }
        r::OUT_OF_STEP | r::MUST_STARTTLS | r::ETRN_FAILED => NotifyClasses::default(),
        _ => NotifyClasses::PROTOCOL,
    }
}

#[cfg(test)]
mod tests;
