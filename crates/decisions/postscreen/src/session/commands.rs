//! After the greeting: lines, and whether they are what SMTP clients say.

use super::{Kept, PROTOCOL, PROTOCOL_DROP, Session};
use crate::{
    Course, Moment, Test,
    engine::{self, Engine, Place, is_header, next_word},
    settings::Action,
};
use bstr::{BStr, BString, ByteSlice};
use maillog::{CommandLimit, Screened};
use types::{Dsn, FixedReply, Lookup, Reply};
use wire::command::Verb;

const NOT_SMTP: FixedReply =
    FixedReply::new(521, Dsn::permanent(7, 0), "Error: I can break rules, too. Goodbye.");

/// What a piece of input completes.
enum Piece {
    /// A line, and whether it ended without CR.
    Line(Vec<u8>, bool),
    /// Nothing yet.
    Part,
    TooLong,
}

impl Session {
    fn engine(&mut self) -> &mut Engine {
        self.engine.get_or_insert_default()
    }

    pub(super) fn place(&self) -> &'static str {
        self.engine.as_ref().map_or(Place::Connect, |engine| engine.place).as_str()
    }

    /// The client has said something; all that was read at once, so that it can be seen whether it waits.
    pub async fn commands(&mut self, at: Moment, bytes: &[u8]) -> Course {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.next_line(&mut rest) {
                Piece::Part => break,
                Piece::TooLong => {
                    self.limit(CommandLimit::Length);
                    return self.drop_with(self.try_again_later());
                }
                Piece::Line(line, is_bare) => {
                    if is_bare && let Some(course) = self.bare_newline(at, &line) {
                        return course;
                    }
                    if let Some(course) = self.command(at, line, rest).await {
                        return course;
                    }
                    self.deadline = at.now + self.command_time_limit();
                }
            }
        }
        Course::Commands { deadline: self.deadline }
    }

    /// The client took too long over a command.
    pub fn command_timed_out(&mut self) -> Course {
        self.limit(CommandLimit::Time);
        let myhostname = &self.screening.settings.protocol.myhostname;
        let text = format!("{myhostname} Error: timeout exceeded");
        self.drop_with(Kept::Made(Box::new(Reply::new(421, Dsn::temporary(4, 2), text))))
    }

    fn limit(&self, limit: CommandLimit) {
        self.event(Screened::Limit { limit, after: self.place() });
    }

    pub(super) fn try_again_later(&self) -> Kept {
        let myhostname = &self.screening.settings.protocol.myhostname;
        let text = format!("{myhostname} Service unavailable - try again later");
        Kept::Made(Box::new(Reply::bare(421, text)))
    }

    fn next_line(&mut self, rest: &mut &[u8]) -> Piece {
        let limit = self.screening.settings.limits.line_length_limit;
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (piece, after) = rest.split_at(end);
        let line = &mut self.engine().line;
        if line.len().saturating_add(piece.len()) > limit {
            return Piece::TooLong;
        }
        line.extend_from_slice(piece);
        *rest = after;
        if line.last() != Some(&b'\n') {
            return Piece::Part;
        }
        let mut line = std::mem::take(line);
        line.pop();
        let is_bare = line.last() != Some(&b'\r');
        if !is_bare {
            line.pop();
        }
        Piece::Line(line, is_bare)
    }

    /// A client has failed a test after the greeting, which is not done again in this session.
    fn failed(&mut self, at: Moment, test: Test, goodbye: FixedReply) -> Option<Course> {
        self.standing.pass.remove(test);
        self.standing.done.add(test);
        self.shared.change(|expiry| expiry.fail(test));
        match self.screening.settings.deep(test).action {
            Action::Drop => {
                self.standing.fail.add(test);
                Some(self.drop_with(Kept::Fixed(goodbye)))
            }
            Action::Enforce => {
                self.standing.fail.add(test);
                self.enforce(Kept::Fixed(PROTOCOL));
                None
            }
            Action::Ignore => {
                // Passed for as long as it takes until some test is done again.
                self.standing.pass.add(test);
                let until = at.wall.seconds.saturating_add(self.screening.settings.min_ttl());
                self.shared.change(|expiry| expiry.set(test, until));
                None
            }
        }
    }

    fn bare_newline(&mut self, at: Moment, line: &[u8]) -> Option<Course> {
        if !self.standing.may_fail(Test::BareNewline) {
            return None;
        }
        self.event(Screened::BareNewline(line));
        self.failed(at, Test::BareNewline, PROTOCOL_DROP)
    }

    fn is_bad_utf8(&self, text: &[u8]) -> bool {
        self.screening.settings.protocol.smtputf8_enable && text.to_str().is_err()
    }

    /// postscreen_command_filter, the last resort where clients cannot be mended.
    async fn filtered(&mut self, line: Vec<u8>) -> Result<Vec<u8>, Course> {
        if self.is_bad_utf8(&line) {
            return Ok(line);
        }
        let key = line.trim_start_with(|c| c == ' ' || c == '\t');
        match self.screening.filtered(key).await {
            Lookup::Absent => Ok(line),
            Lookup::Found(new) => {
                self.event(Screened::ReplacedCommand(line.as_bstr(), new.as_bstr()));
                Ok(new)
            }
            Lookup::TryAgain(trouble) => {
                self.log.warning(&format!("postscreen_command_filter: {trouble}"));
                Err(self.drop_with(self.try_again_later()))
            }
        }
    }

    /// One command; `None`: the session goes on. `following` came with it.
    async fn command(&mut self, at: Moment, mut line: Vec<u8>, following: &[u8]) -> Option<Course> {
        // What stands behind a NUL nobody sees.
        line.truncate(line.find_byte(0).unwrap_or(line.len()));
        let line = match self.filtered(line).await {
            Ok(line) => line,
            Err(course) => return Some(course),
        };
        let (word, arguments) = next_word(&line);
        let verb = engine::verb(word);
        let before = self.place();
        self.engine().place = verb.map_or(Place::Unimplemented, Place::Verb);
        if self.standing.ends_after_command && verb != Some(Verb::Quit) {
            return Some(self.drop_with(self.final_reply.clone()));
        }
        if verb.is_none()
            && let Some(course) = self.non_smtp(at, before, (word, arguments)).await
        {
            return Some(course);
        }
        if verb != Some(Verb::Bdat)
            && !following.is_empty()
            && let Some(course) = self.pipelining(at, word, following)
        {
            return Some(course);
        }
        if verb == Some(Verb::Rcpt) {
            self.pass_deep_tests(at);
        }
        let count = {
            let engine = self.engine();
            engine.commands += 1;
            engine.commands
        };
        if count > self.screening.settings.limits.postscreen_command_count_limit && verb != Some(Verb::Quit) {
            self.event(Screened::Limit { limit: CommandLimit::Count, after: before });
            return Some(self.drop_with(self.try_again_later()));
        }
        self.carry_out(verb, arguments).await
    }

    async fn non_smtp(
        &mut self,
        at: Moment,
        after: &'static str,
        (word, rest): (&BStr, &[u8]),
    ) -> Option<Course> {
        if !self.standing.may_fail(Test::NonSmtp) {
            return None;
        }
        let is_other = is_header(word) || self.is_bad_utf8(word) || self.screening.is_forbidden(word).await;
        if !is_other {
            return None;
        }
        let command = BString::from(maillog::printable(word));
        self.event(Screened::NonSmtp { after, command: command.as_bstr(), rest });
        self.failed(at, Test::NonSmtp, NOT_SMTP)
    }

    fn pipelining(&mut self, at: Moment, word: &BStr, following: &[u8]) -> Option<Course> {
        if !self.standing.may_fail(Test::Pipelining) {
            return None;
        }
        let command = BString::from(maillog::printable(word));
        self.event(Screened::Pipelining { command: command.as_bstr(), sample: following });
        self.failed(at, Test::Pipelining, PROTOCOL_DROP)
    }

    /// Whoever gets as far as RCPT has passed, unless a later command fails.
    fn pass_deep_tests(&mut self, at: Moment) {
        for test in [Test::BareNewline, Test::NonSmtp, Test::Pipelining] {
            if self.standing.may_pass(test) {
                self.standing.pass.add(test);
                let until = at.wall.seconds.saturating_add(self.screening.settings.deep(test).ttl_seconds);
                self.shared.change(|expiry| expiry.set(test, until));
            }
        }
    }
}
