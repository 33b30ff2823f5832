//! Before the greeting: who speaks too early, and what DNS lists say.

use super::{Kept, PROTOCOL, PROTOCOL_DROP, Said, Session};
use crate::{Course, Moment, Score, Test, Tests, settings::Action};
use maillog::Screened;
use types::{Dsn, Reply};

/// Bytes that are looked at.
pub(crate) const PREGREET_BYTES: usize = 1023;

impl Session {
    pub(super) fn begin_early(&mut self, at: Moment) -> Course {
        self.began = at.now;
        let settings = &self.screening.settings;
        self.deadline = at.now + settings.postscreen_greet_wait.under(self.is_stressed());
        if self.standing.todo.has(Test::Pregreet) {
            self.said.push(Said::Teaser);
        }
        self.wait()
    }

    fn wait(&self) -> Course {
        let listens = self.standing.todo.has(Test::Pregreet) && !self.standing.done.has(Test::Pregreet);
        Course::Early { deadline: self.deadline, listens }
    }

    /// Whether DNS lists are to be asked, and have not answered.
    #[must_use]
    pub fn wants_score(&self) -> bool {
        self.standing.todo.has(Test::Dnsbl) && self.score.is_none()
    }

    /// How many bytes of what the client says before the greeting are to be read.
    #[must_use]
    pub const fn pregreet_bytes() -> usize {
        PREGREET_BYTES
    }

    /// The client has spoken before the greeting. Lists that have not answered by the time that this ends the tests
    /// have said `partial` so far.
    pub async fn spoke(&mut self, at: Moment, bytes: &[u8], partial: Option<Score>) -> Course {
        let after = at.now.since(self.began);
        self.event(Screened::Pregreet {
            size_bytes: bytes.len(),
            after,
            decimals_max: self.screening.settings.delay_logging_resolution_limit,
            sample: bytes,
        });
        self.unread = bytes.to_vec();
        self.standing.fail.add(Test::Pregreet);
        match self.screening.settings.postscreen_greet_action {
            Action::Drop => return self.drop_with(Kept::Fixed(PROTOCOL_DROP)),
            Action::Enforce => self.enforce(Kept::Fixed(PROTOCOL)),
            Action::Ignore => {}
        }
        self.standing.done.add(Test::Pregreet);
        if at.now >= self.deadline || self.standing.is_early_done() {
            return self.time_is_up(at, partial).await;
        }
        self.wait()
    }

    /// All lists have answered.
    pub async fn lists_answered(&mut self, at: Moment, score: Score) -> Course {
        self.take_score(at, score);
        self.standing.done.add(Test::Dnsbl);
        match self.standing.is_early_done() {
            true => self.time_is_up(at, None).await,
            false => self.wait(),
        }
    }

    fn take_score(&mut self, at: Moment, score: Score) {
        self.score = Some(score);
        if self.screening.settings.dnsbl.postscreen_dnsbl_allowlist_threshold < 0 {
            self.allow_by_score(at);
        }
    }

    /// How long the score counts as passed.
    fn score_until(&self, at: Moment) -> i64 {
        let dnsbl = &self.screening.settings.dnsbl;
        let ttl = self.score.as_ref().and_then(|score| score.ttl_seconds).unwrap_or(0);
        let ttl = ttl.max(dnsbl.postscreen_dnsbl_min_ttl).min(dnsbl.postscreen_dnsbl_max_ttl);
        at.wall.seconds.saturating_add(ttl)
    }

    fn total(&self) -> i64 {
        self.score.as_ref().map_or(0, |score| score.total)
    }

    /// A client that DNS lists speak well of passes the other tests, too, if it has not failed one; also those that
    /// are switched off, in case that they are switched on.
    fn allow_by_score(&mut self, at: Moment) {
        let dnsbl = &self.screening.settings.dnsbl;
        let total = self.total();
        let is_allowed = total < dnsbl.postscreen_dnsbl_threshold
            && total <= dnsbl.postscreen_dnsbl_allowlist_threshold
            && !self.standing.has_failed();
        if !is_allowed {
            return;
        }
        let until = self.score_until(at);
        for test in Test::ALL.into_iter().filter(|test| *test != Test::Dnsbl) {
            if self.standing.todo.has(test) && !self.standing.pass.has(test) {
                self.standing.done.add(test);
                self.standing.pass.add(test);
            }
            self.shared.change(|expiry| expiry.extend(test, until));
        }
    }

    /// The wait is over. Lists that have not all answered have said `partial` so far.
    pub async fn time_is_up(&mut self, at: Moment, partial: Option<Score>) -> Course {
        self.decide_pregreet(at);
        if self.standing.todo.has(Test::Dnsbl) {
            if self.score.is_none() {
                let none = Score { total: 0, ttl_seconds: None, domain: None };
                self.take_score(at, partial.unwrap_or(none));
            }
            if let Some(course) = self.decide_dnsbl(at).await {
                return course;
            }
        }
        if self.standing.is_kept || !self.standing.is_deep_passed() {
            self.begin_deep(at)
        } else {
            self.conclude()
        }
    }

    fn decide_pregreet(&mut self, at: Moment) {
        let test = Test::Pregreet;
        let settings = &self.screening.settings;
        let decided = self.standing.fail | self.standing.done;
        if self.standing.todo.has(test) && !decided.has(test) {
            let until = at.wall.seconds.saturating_add(settings.postscreen_greet_ttl);
            self.shared.change(|expiry| expiry.set(test, until));
            self.standing.pass.add(test);
        }
        if settings.postscreen_greet_action == Action::Ignore {
            // Not passed: the test is done again next time.
            self.standing.fail.remove(test);
        }
    }

    async fn decide_dnsbl(&mut self, at: Moment) -> Option<Course> {
        let test = Test::Dnsbl;
        let screening = std::rc::Rc::clone(&self.screening);
        let dnsbl = &screening.settings.dnsbl;
        let total = self.total();
        if total < dnsbl.postscreen_dnsbl_threshold {
            let until = self.score_until(at);
            self.shared.change(|expiry| expiry.set(test, until));
            self.standing.pass.add(test);
            return None;
        }
        self.event(Screened::DnsblRank(total));
        match dnsbl.postscreen_dnsbl_action {
            Action::Drop => {
                self.standing.fail.add(test);
                let reply = self.listed_reply(521).await;
                return Some(self.drop_with(reply));
            }
            Action::Enforce => {
                self.standing.fail.add(test);
                let reply = self.listed_reply(550).await;
                self.enforce(reply);
            }
            // Not passed: the test is done again next time.
            Action::Ignore => {}
        }
        None
    }

    /// What a client on DNS lists hears. Without the name that may be told it is to come back.
    async fn listed_reply(&self, code: u16) -> Kept {
        let lists = &self.screening.settings.dnsbl.postscreen_dnsbl_sites;
        let list = self.score.as_ref().and_then(|score| lists.get(score.domain?));
        let domain = list.map_or("", |list| list.list.domain.as_str());
        let name = match self.screening.public_name(domain).await {
            Ok(name) => name,
            Err(trouble) => {
                self.log.warning(&format!("postscreen_dnsbl_reply_map: {trouble}"));
                return Kept::Fixed(if code == 521 { super::COME_BACK_LATER } else { super::COME_BACK });
            }
        };
        let client = self.client.ip();
        let text = format!("Service unavailable; client [{client}] blocked using {name}");
        Kept::Made(Box::new(Reply::new(code, Dsn::permanent(7, 1), text)))
    }

    pub(super) fn begin_deep(&mut self, at: Moment) -> Course {
        self.began = at.now;
        self.engine = Some(Box::default());
        if self.standing.ends_after_command {
            self.standing.todo = self.standing.todo.and(Tests::EARLY);
        } else if self.standing.has_failed() {
            // Whoever has failed one test may as well take the others: the log says more of it.
            self.standing.todo = self.standing.todo | Tests::DEEP;
        }
        // A client that did not wait for the greeting has sent its commands already.
        if !self.standing.fail.has(Test::Pregreet) {
            self.say(Reply::bare(220, self.screening.settings.protocol.smtpd_banner.clone()));
        }
        self.deadline = at.now + self.command_time_limit();
        Course::Commands { deadline: self.deadline }
    }
}
