//! Command lines, and the commands that have nothing to do with a message.

use super::{Done, Next, Session, State, UNKNOWN};
use crate::{Answer, Ask, EhloKeywords, ForbidBareNewline, Grant, replies};
use bstr::{BString, ByteSlice};
use config::NotifyClasses;
use maillog::printable;
use maillog::{Event, SessionEnd, SmtpdEvent};
use std::io::Write;
use types::{Address, Dsn, Instant, Reply};
use wire::{
    command::{Verb, Words},
    line::{self, Line},
};

const UNKNOWN_INDEX: usize = Verb::ALL.len();

impl Session {
    pub(super) fn next_command(&mut self, now: Instant) -> Option<Next> {
        let limits = &self.settings.limits;
        if self.end.hang_up {
            self.hang_up();
            return None;
        }
        let (lines_max, hard_error_limit) =
            (limits.smtpd_history_flush_threshold, limits.smtpd_hard_error_limit);
        self.flush_history(lines_max);
        if self.notice.is_some() {
            return None;
        }
        if self.errors.error_count >= hard_error_limit {
            self.end.reason = Some(SessionEnd::TooManyErrors);
            self.history.note(NotifyClasses::PROTOCOL);
            self.say_named(421, Dsn::temporary(7, 0), "Error: too many errors");
            self.hang_up();
            return None;
        }
        let limits = &self.settings.limits;
        if limits.smtpd_per_request_deadline && self.deadline.is_none() {
            self.deadline = Some(now + limits.smtpd_timeout);
        }
        match line::find(self.input.bytes(), limits.line_length_limit, self.detects_bare_newlines()) {
            Line::Incomplete => self.wait_for_input(),
            Line::Endless => {
                self.note_long_line();
                self.warn(format_args!("disabling input from {}", self.peer.client));
                self.say_named(500, Dsn::permanent(5, 2), "Error: command too long");
                self.end.reason = Some(SessionEnd::LostConnection);
                self.hang_up();
                None
            }
            Line::TooLong { used } => {
                self.note_long_line();
                self.input.consume(used);
                self.say_named(500, Dsn::permanent(5, 2), "Error: command too long");
                None
            }
            Line::Text { text, used, has_bare_newline } => {
                self.deadline = None;
                self.take_line(text, used, has_bare_newline);
                None
            }
        }
    }

    /// Nothing to do with the input that is there: replies go out, then more is read.
    pub(super) fn wait_for_input(&mut self) -> Option<Next> {
        if self.has_ended() {
            self.input_ended();
            None
        } else if self.output.is_empty() {
            Some(Next::Read)
        } else {
            Some(Next::Write)
        }
    }

    fn note_long_line(&mut self) {
        let limit = self.settings.limits.line_length_limit;
        self.history.heard(self.input.bytes(), (limit, false));
        self.history.note(NotifyClasses::PROTOCOL);
        let input = self.input.bytes();
        let sample = printable(&input[..input.len().min(30)]);
        self.warn(format_args!("{}: request longer than {limit}: {sample}...", self.peer.client));
    }

    pub(super) fn detects_bare_newlines(&self) -> bool {
        self.settings.protocol.smtpd_forbid_bare_newline != ForbidBareNewline::No
            && !self.greeting.bare_newlines_allowed
    }

    fn take_line(&mut self, text: usize, used: usize, has_bare_newline: bool) {
        let limit = self.settings.limits.line_length_limit;
        let line = self.input.bytes().get(..text).unwrap_or_default();
        self.history.heard(line, (limit, self.verb == Verb::Auth && is_no_command(line)));
        if has_bare_newline && self.detects_bare_newlines() {
            match self.settings.protocol.smtpd_forbid_bare_newline {
                ForbidBareNewline::Reject => return self.refuse_bare_newline(),
                ForbidBareNewline::Note => self.tally.saw_bare_newline = true,
                ForbidBareNewline::Normalize | ForbidBareNewline::No => {}
            }
        }
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        line.extend_from_slice(self.input.bytes().get(..text).unwrap_or_default());
        self.input.consume(used);
        self.note_command(&line);
        if self.settings.protocol.smtputf8_enable && line.to_str().is_err() {
            self.count_nonsense();
            self.say(replies::BAD_UTF8);
            self.errors.error_count += 1;
        } else if self.settings.protocol.commands_are_screened {
            self.ask(Ask::Screen(line.as_slice().into()));
        } else {
            self.run(&line);
        }
        self.line = line;
    }

    fn refuse_bare_newline(&mut self) {
        let code = self.settings.protocol.smtpd_forbid_bare_newline_reject_code;
        self.log_reject(&Reply::bare(0, "bare <LF> received"));
        self.history.note(NotifyClasses::PROTOCOL);
        self.say_named(code, Dsn::permanent(5, 2), "Error: bare <LF> received");
        self.hang_up();
    }

    /// Logs what was refused, with what is known of the message. Code 0 is left out.
    pub(super) fn log_reject(&self, reply: &Reply) {
        self.log.event(&Event::Smtpd(SmtpdEvent::Reject {
            id: self.queue_id(),
            what: "reject",
            stage: self.place,
            client: &self.peer.client,
            reply,
            sender: self.transaction.as_ref().map(|transaction| &transaction.sender),
            recipient: self.first_recipient(),
            protocol: Some(self.greeting.protocol()),
            helo: self.greeting.helo(),
            sasl: self.sasl(),
        }));
    }

    fn first_recipient(&self) -> Option<&Address> {
        let first = self.transaction.as_ref()?.recipients.first()?;
        Some(&first.address)
    }

    fn count_nonsense(&mut self) {
        self.place = UNKNOWN;
        self.tally.counts[UNKNOWN_INDEX].1 += 1;
    }

    pub(super) fn screened(&mut self, line: &[u8], answer: Answer) {
        match answer {
            Answer::Noop => {
                self.say(replies::OK);
                self.count_junk();
            }
            Answer::Replace(line) => self.run(&line),
            Answer::Refuse(_) => self.local_data_error(),
            _ => self.run(line),
        }
    }

    /// Carries out one command line.
    fn run(&mut self, line: &[u8]) {
        let mut words = Words::new(line);
        let Some(name) = words.next() else {
            self.count_nonsense();
            self.say(replies::BAD_SYNTAX);
            self.errors.error_count += 1;
            return;
        };
        let Some(verb) = Verb::find(name.text) else {
            self.count_nonsense();
            return self.ask(Ask::Unknown(line.into()));
        };
        self.tally.counts[verb as usize].1 += 1;
        if verb != Verb::Quit && self.is_denied() {
            return;
        }
        if self.settings.protocol.requires_tls && !self.peer.is_stand_alone && !is_allowed_in_clear(verb) {
            self.say(replies::MUST_STARTTLS);
            self.errors.error_count += 1;
            return;
        }
        (self.verb, self.place) = (verb, verb.as_str());
        let ends_group = matches!(verb, Verb::Helo | Verb::Ehlo | Verb::Data | Verb::Noop | Verb::Vrfy);
        let must_wait = ends_group || !self.greeting.is_esmtp();
        if must_wait && !self.peer.is_stand_alone && self.is_out_of_step() {
            self.say(replies::OUT_OF_STEP);
            return self.hang_up();
        }
        self.dispatch(verb, words);
    }

    /// A client that `smtpd_client_restrictions` refused may only quit.
    fn is_denied(&mut self) -> bool {
        let Some(denied) = &self.errors.access_denied else { return false };
        if denied.code % 100 == 21 {
            let denied = denied.clone();
            self.reply(&denied);
        } else {
            let text = format!("Error: access denied for {}", self.peer.client);
            self.reply(&Reply::new(503, Dsn::permanent(7, 0), text));
            self.errors.error_count += 1;
        }
        true
    }

    fn dispatch(&mut self, verb: Verb, mut words: Words<'_>) {
        match verb {
            Verb::Helo | Verb::Ehlo => self.helo(verb, words),
            Verb::Mail => self.mail(words),
            Verb::Rcpt => self.rcpt(words),
            Verb::Data => self.data(words.next().is_none()),
            Verb::Bdat => self.bdat(words),
            Verb::Rset if words.next().is_some() => self.refuse_with(replies::RSET_SYNTAX),
            Verb::Rset => {
                self.flush_history(self.settings.limits.smtpd_history_flush_threshold);
                self.reset_transaction();
                self.accept_with(replies::OK);
            }
            Verb::Noop => self.accept_with(replies::OK),
            Verb::Vrfy => self.vrfy(words),
            Verb::Quit => {
                self.accept_with(replies::BYE);
                self.hang_up();
            }
            Verb::Help => self.accept_with(replies::HELP),
            Verb::Starttls if words.next().is_some() => self.refuse_with(replies::STARTTLS_SYNTAX),
            Verb::Etrn => self.etrn(words),
            Verb::Starttls => self.refuse_with(replies::NOT_IMPLEMENTED),
            Verb::Auth if self.is_auth_too_often() => {}
            Verb::Auth if self.needs_helo() => self.refuse_with(replies::NEED_HELO),
            Verb::Auth => self.refuse_with(replies::AUTH_OFF),
            Verb::Xclient => self.xclient(words),
            Verb::Xforward => self.xforward(words),
        }
    }

    fn is_auth_too_often(&mut self) -> bool {
        let refusal = self.too_often(anvil::Event::Auth, "too many AUTH commands");
        refusal.inspect(|reply| self.refuse_excess(reply)).is_some()
    }

    pub(super) fn cannot_permit(&mut self, command: &str) {
        let client = &self.peer.client;
        self.warn(format_args!("don't know if command {command} should be allowed from {client}"));
        self.local_data_error();
    }

    /// A table of ours that cannot be read, where neither yes nor no would do: the session ends.
    pub(super) fn local_data_error(&mut self) {
        let (id, place, client) = (self.queue_id(), self.place, &self.peer.client);
        let text = format!("{} Server local data error", self.settings.myhostname);
        let reply = Reply::new(421, Dsn::temporary(3, 0), text);
        self.log.event(&Event::Smtpd(SmtpdEvent::LocalDataError { id, place, client, reply: &reply }));
        self.history.note(NotifyClasses::DATA);
        self.reply(&reply);
        self.hang_up();
    }

    pub(super) fn needs_helo(&self) -> bool {
        self.settings.protocol.smtpd_helo_required && self.greeting.helo.is_none()
    }

    /// Counts a command that has been answered; the next one is read.
    pub(super) fn finish_command(&mut self, done: Done) {
        self.state = State::Command;
        let verb = self.verb;
        match done {
            Done::Good => self.tally.counts[verb as usize].0 += 1,
            Done::Bad => self.errors.error_count += 1,
        }
        let is_junk =
            matches!(verb, Verb::Helo | Verb::Ehlo | Verb::Rset | Verb::Noop | Verb::Vrfy | Verb::Etrn);
        if is_junk {
            self.count_junk();
        }
    }

    /// Commands that move no mail are free up to `smtpd_junk_command_limit` a message.
    fn count_junk(&mut self) {
        let is_over = self.errors.junk_commands > self.settings.limits.smtpd_junk_command_limit;
        self.errors.junk_commands = self.errors.junk_commands.saturating_add(1);
        if is_over {
            self.errors.error_count += 1;
        }
    }

    pub(super) fn unknown_command(&mut self, line: &[u8], answer: &Answer) {
        if *answer == Answer::Forbidden {
            let event =
                SmtpdEvent::NotSmtp { client: &self.peer.client, sample: &line[..line.len().min(100)] };
            self.warn(format_args!("{event}"));
            self.say(replies::NOT_SMTP);
            return self.hang_up();
        }
        if self.is_denied() {
            return;
        }
        self.say(replies::UNKNOWN_COMMAND);
        self.errors.error_count += 1;
    }

    fn helo(&mut self, verb: Verb, words: Words<'_>) {
        let mut name = BString::default();
        for word in words {
            if !name.is_empty() {
                name.push(b' ');
            }
            name.extend_from_slice(word.text);
        }
        if name.is_empty() {
            let is_ehlo = verb == Verb::Ehlo;
            self.refuse_with(if is_ehlo { replies::EHLO_SYNTAX } else { replies::HELO_SYNTAX });
        } else if self.settings.protocol.smtpd_delay_reject || self.peer.is_stand_alone {
            self.greeted(&name, Answer::Accept);
        } else {
            self.ask(Ask::Helo(name));
        }
    }

    pub(super) fn greeted(&mut self, name: &[u8], answer: Answer) {
        if let Answer::Refuse(reply) = answer {
            return self.refuse(&reply);
        }
        let is_ehlo = self.place == Verb::Ehlo.as_str();
        self.flush_history(self.settings.limits.smtpd_history_flush_threshold);
        self.reset_transaction();
        self.greeting.set(name, is_ehlo);
        if is_ehlo {
            let discard = self.greeting.discard;
            if discard.is_logged() && !discard.has(EhloKeywords::ENHANCEDSTATUSCODES) {
                self.log.event(&Event::Smtpd(SmtpdEvent::DiscardingEhloKeywords(&discard.to_string())));
            }
            let client = &self.peer.client;
            if self.greeting.is_discard_unknown {
                self.warn(format_args!("don't know what EHLO features to announce to {client}"));
                return self.local_data_error();
            }
            if let Some(keyword) = self.unknown_keyword() {
                self.warn(format_args!(
                    "don't know if EHLO feature {keyword} should be announced to {client}"
                ));
                return self.local_data_error();
            }
            self.say_keywords();
        } else {
            let text = self.settings.myhostname.clone();
            self.reply(&Reply::bare(250, text));
        }
        self.finish_command(Done::Good);
    }

    /// A keyword whose list cannot be read is neither announced nor left out.
    fn unknown_keyword(&self) -> Option<&'static str> {
        let (discard, grants) = (self.greeting.discard, self.greeting.grants);
        let lists = [
            (EhloKeywords::VERP, grants.xverp, "XVERP"),
            (EhloKeywords::XCLIENT, grants.xclient, "XCLIENT"),
            (EhloKeywords::XFORWARD, grants.xforward, "XFORWARD"),
        ];
        let mut unknown = lists
            .into_iter()
            .filter(|(keyword, grant, _)| *grant == Grant::Unknown && !discard.has(*keyword));
        unknown.next().map(|(_, _, name)| name)
    }

    /// The answer to EHLO.
    pub(super) fn keywords(&self) -> Reply {
        let discard = self.greeting.discard;
        let protocol = &self.settings.protocol;
        let limit = self.settings.limits.message_size_limit;
        let mut text = self.settings.myhostname.clone().into_bytes();
        let mut line = |keyword, is_on: bool, argument: u64| {
            // Writing to a Vec cannot fail.
            let _ = match (is_on && !discard.has(keyword), argument) {
                (false, _) => Ok(()),
                (true, 0) if keyword == EhloKeywords::VERP => write!(text, "\nXVERP"),
                (true, 0) => write!(text, "\n{keyword}{}", attributes_of(keyword)),
                (true, argument) => write!(text, "\n{keyword} {argument}"),
            };
        };
        let grants = self.greeting.grants;
        line(EhloKeywords::PIPELINING, true, 0);
        line(EhloKeywords::SIZE, true, limit);
        line(EhloKeywords::VRFY, !protocol.disable_vrfy_command, 0);
        line(EhloKeywords::ETRN, true, 0);
        line(EhloKeywords::VERP, grants.xverp == Grant::Yes, 0);
        line(EhloKeywords::XCLIENT, grants.xclient == Grant::Yes, 0);
        line(EhloKeywords::XFORWARD, grants.xforward == Grant::Yes, 0);
        line(EhloKeywords::ENHANCEDSTATUSCODES, true, 0);
        line(EhloKeywords::EIGHTBITMIME, true, 0);
        line(EhloKeywords::DSN, true, 0);
        line(EhloKeywords::SMTPUTF8, protocol.smtputf8_enable, 0);
        line(EhloKeywords::CHUNKING, true, 0);
        Reply::bare(250, String::from_utf8_lossy(&text).into_owned())
    }
}

/// What a client may go on with that has begun to log in, whatever we have said to that: a secret.
fn is_no_command(line: &[u8]) -> bool {
    Words::new(line).next().is_some_and(|word| Verb::find(word.text).is_none())
}

/// What stands behind a keyword that has attributes.
fn attributes_of(keyword: EhloKeywords) -> &'static str {
    match keyword {
        EhloKeywords::XCLIENT => " NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT",
        EhloKeywords::XFORWARD => " NAME ADDR PROTO HELO SOURCE PORT IDENT",
        _ => "",
    }
}

/// What a client may say before TLS where TLS is required (RFC 3207 section 4).
const fn is_allowed_in_clear(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Helo | Verb::Ehlo | Verb::Noop | Verb::Quit | Verb::Help | Verb::Starttls | Verb::Xclient
    )
}
