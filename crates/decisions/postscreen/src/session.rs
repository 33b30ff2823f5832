//! One client, from its connection to the hand-over or to the end.

mod before;
mod commands;
mod verbs;

use crate::{
    Course, Expiry, Moment, Passing, Results, Score, Screening, Test, Tests, access::Access, engine::Engine,
    floor::Client, settings::Action, standing::Standing,
};
use maillog::{Event, Logger, PostscreenEvent, Screened};
use std::{net::SocketAddr, rc::Rc, time::Duration};
use types::{Dsn, DsnClass, FixedReply, Instant, Reply};

const fn no(code: u16, dsn: Dsn, text: &'static str) -> FixedReply {
    FixedReply::new(code, dsn, text)
}

const COME_BACK_LATER: FixedReply = no(421, Dsn::temporary(3, 2), "Service currently unavailable");
const COME_BACK: FixedReply = no(450, Dsn::temporary(3, 2), "Service currently unavailable");
const TOO_MANY: FixedReply = no(421, Dsn::temporary(7, 0), "Error: too many connections");
const SERVERS_BUSY: FixedReply = no(421, Dsn::temporary(3, 2), "All server ports are busy");
const SCREENS_BUSY: FixedReply = no(421, Dsn::temporary(3, 2), "All screening ports are busy");
const NO_RESOURCES: FixedReply = no(421, Dsn::temporary(3, 2), "No system resources");
const DENIED_DROP: FixedReply = no(521, Dsn::permanent(3, 2), "Service currently unavailable");
const DENIED: FixedReply = no(550, Dsn::permanent(3, 2), "Service currently unavailable");
const PROTOCOL_DROP: FixedReply = no(521, Dsn::permanent(5, 1), "Protocol error");
const PROTOCOL: FixedReply = no(550, Dsn::permanent(5, 1), "Protocol error");

/// A reply that is kept: most never change, so that a waiting session need not hold their text.
#[derive(Clone, Debug)]
enum Kept {
    Fixed(FixedReply),
    Made(Box<Reply>),
}

impl Kept {
    fn reply(&self) -> Reply {
        match self {
            Self::Fixed(reply) => (*reply).into(),
            Self::Made(reply) => (**reply).clone(),
        }
    }
}

/// Replies that are not on their way yet.
enum Said {
    /// The first half of the greeting.
    Teaser,
    Whole(Reply),
}

/// See [the module](self).
pub struct Session {
    screening: Rc<Screening>,
    log: Logger,
    client: SocketAddr,
    server: SocketAddr,
    shared: Rc<Client>,
    standing: Standing,
    /// When the tests of now began.
    began: Instant,
    deadline: Instant,
    score: Option<Score>,
    /// How the session ends.
    final_reply: Kept,
    /// How recipients are refused.
    rcpt_reply: Kept,
    said: Vec<Said>,
    /// What the client said before the greeting.
    unread: Vec<u8>,
    /// For the cache.
    record: Option<Expiry>,
    engine: Option<Box<Engine>>,
}

impl Session {
    /// A client has connected to an address of ours. Addresses are canonical: no IPv4 in IPv6.
    #[must_use]
    pub fn new(
        screening: Rc<Screening>,
        (client, server): (SocketAddr, SocketAddr),
        log: Logger,
        now: Instant,
    ) -> Self {
        let shared = screening.floor.enter(client.ip());
        let session = Self {
            shared,
            standing: Standing::default(),
            began: now,
            deadline: now,
            score: None,
            final_reply: Kept::Fixed(COME_BACK_LATER),
            rcpt_reply: Kept::Fixed(COME_BACK),
            said: Vec::new(),
            unread: Vec::new(),
            record: None,
            engine: None,
            screening,
            log,
            client,
            server,
        };
        session.event(Screened::Connect(server));
        session.enter_stress();
        session
    }

    /// What a client hears of whom it cannot be said who it is.
    #[must_use]
    pub const fn no_resources() -> FixedReply {
        NO_RESOURCES
    }

    /// What to do with it: drop it, test it, or let it through.
    pub async fn judge(&mut self, at: Moment, results: &dyn Results) -> Course {
        if let Some((reply, why)) = self.has_no_place() {
            self.event(Screened::RejectConnect(why));
            return self.drop_with(Kept::Fixed(reply));
        }
        let address = self.client.ip().to_string();
        match self.screening.access.ask(&address, &self.log).await {
            Access::Permit => {
                self.listed(true);
                return self.conclude();
            }
            Access::Reject => {
                self.listed(false);
                match self.screening.settings.postscreen_denylist_action {
                    Action::Drop => {
                        self.standing.is_denied = true;
                        return self.drop_with(Kept::Fixed(DENIED_DROP));
                    }
                    Action::Enforce => {
                        self.standing.is_denied = true;
                        self.enforce(Kept::Fixed(DENIED));
                    }
                    Action::Ignore => {}
                }
            }
            Access::Dunno => {}
        }
        if self.has_passed_before(at, &address, results).await {
            self.event(Screened::Pass { is_new: false });
            return self.conclude();
        }
        if !self.screening.may_pass_at(self.server, &self.log).await {
            self.standing.is_vetoed = true;
            self.standing.is_kept = true;
            let respectful_logging = self.screening.settings.respectful_logging;
            self.event(Screened::AllowlistVeto { respectful_logging });
            self.screening.mention_old_default(self.client, &self.log);
        }
        if self.screening.floor.is_full(self.screening.settings.limits.postscreen_pre_queue_limit) {
            self.event(Screened::ScreeningPortsBusy);
            return self.drop_with(Kept::Fixed(SCREENS_BUSY));
        }
        if !self.standing.todo.and(Tests::EARLY).is_empty() {
            self.begin_early(at)
        } else if !self.standing.todo.and(Tests::DEEP).is_empty() || self.standing.is_kept {
            self.begin_deep(at)
        } else {
            self.conclude()
        }
    }

    fn has_no_place(&self) -> Option<(FixedReply, &'static str)> {
        let limits = &self.screening.settings.limits;
        let of_client = limits.postscreen_client_connection_count_limit;
        if of_client > 0 && self.shared.connections.get() > of_client {
            return Some((TOO_MANY, "too many connections"));
        }
        let is_full = self.screening.floor.passing.get() >= limits.postscreen_post_queue_limit;
        is_full.then_some((SERVERS_BUSY, "all server ports busy"))
    }

    fn listed(&self, is_allowed: bool) {
        let respectful_logging = self.screening.settings.respectful_logging;
        self.event(Screened::Listed { is_allowed, respectful_logging });
        self.screening.mention_old_default(self.client, &self.log);
    }

    /// Finds out which tests are to be done. True when there are none because of results that still count.
    async fn has_passed_before(&mut self, at: Moment, address: &str, results: &dyn Results) -> bool {
        let enabled = self.screening.settings.enabled;
        let mut is_known = false;
        let mut from = at.wall.seconds;
        if self.shared.connections.get() == 1 {
            let asked = !self.standing.has_failed();
            let found = if asked { results.lookup(address).await } else { None };
            is_known = found.is_some();
            if found.is_none() {
                from = 1;
            }
            self.shared.expiry.set(found.map_or_else(Expiry::default, |entry| Expiry::parse(&entry)));
        }
        let expiry = self.shared.expiry.get();
        self.standing.is_new = expiry.is_new();
        self.standing.todo = expiry.todo(enabled, from);
        is_known && self.standing.todo.is_empty() && !self.standing.has_failed()
    }

    /// Smtpd has the connection: there is nothing left to be done here. What it should read before anything else.
    #[must_use]
    pub fn take_unread(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unread)
    }

    /// An entry for the cache, under the client's address.
    pub fn take_record(&mut self) -> Option<String> {
        self.record.take().map(|record| record.to_string())
    }

    /// To be held while the connection waits for smtpd.
    #[must_use]
    pub fn passing(&self) -> Passing {
        Passing::new(Rc::clone(&self.screening))
    }

    /// Smtpd cannot be reached: `why`. A client that has seen the first half of the greeting must see the second one
    /// before it can be told.
    pub fn cannot_pass(&mut self, at: Moment, why: &str) -> Course {
        let service = &self.screening.settings.smtpd_service_name;
        self.log.warning(&format!("cannot connect to service private/{service}: {why}"));
        if self.standing.todo.has(Test::Pregreet) {
            self.standing.ends_after_command = true;
            self.final_reply = Kept::Fixed(NO_RESOURCES);
            return self.begin_deep(at);
        }
        self.say(SERVERS_BUSY);
        Course::Close
    }

    /// The replies that are due, as bytes.
    pub async fn take_output(&mut self, at: Moment) -> Vec<u8> {
        let mut out = Vec::new();
        for said in std::mem::take(&mut self.said) {
            match said {
                Said::Teaser => {
                    let banner = self.screening.settings.postscreen_greet_banner.clone();
                    Reply::bare(220, banner).encode_unfinished(&mut out);
                }
                Said::Whole(reply) => {
                    // Tables know the reply as it was before soft_bounce.
                    let footed = self.screening.footer.add(at, self.client, reply, &self.log).await;
                    self.softened(footed).encode(&mut out);
                }
            }
        }
        out
    }

    /// postconf(5) `soft_bounce`
    fn softened(&self, mut reply: Reply) -> Reply {
        if self.screening.settings.protocol.soft_bounce {
            if (500..600).contains(&reply.code) {
                reply.code -= 100;
            }
            let is_permanent = |dsn: &Dsn| dsn.class == DsnClass::Permanent;
            reply.dsn = reply.dsn.map(|dsn| match is_permanent(&dsn) {
                true => dsn.with_class(DsnClass::Temporary),
                false => dsn,
            });
        }
        reply
    }

    /// The client is gone, in the middle of the tests.
    pub fn hung_up(&mut self, at: Moment) -> Course {
        self.standing.is_hung_up = true;
        self.event(Screened::HangUp {
            after: at.now.since(self.began),
            decimals_max: self.screening.settings.delay_logging_resolution_limit,
            during: if self.engine.is_some() {
                "tests after SMTP handshake"
            } else {
                "tests before SMTP handshake"
            },
        });
        self.standing.is_kept = true;
        self.conclude()
    }

    fn event(&self, what: Screened<'_>) {
        self.log.event(&Event::Postscreen(PostscreenEvent { client: self.client, what }));
    }

    fn say(&mut self, reply: impl Into<Reply>) {
        self.said.push(Said::Whole(reply.into()));
    }

    fn enforce(&mut self, reply: Kept) {
        self.rcpt_reply = reply;
        self.standing.is_kept = true;
    }

    fn drop_with(&mut self, reply: Kept) -> Course {
        self.final_reply = reply;
        self.standing.is_kept = true;
        self.conclude()
    }

    /// Whoever has passed something and failed nothing is remembered; who has passed all is logged.
    fn conclude(&mut self) -> Course {
        if self.standing.has_failed() {
            self.standing.pass = Tests::NONE;
        }
        let pass = self.standing.pass;
        if !pass.is_empty() {
            if pass == self.standing.todo {
                let times = &self.shared.passed_as_new;
                let is_new = self.standing.is_new && times.replace(times.get() + 1) == 0;
                self.event(Screened::Pass { is_new });
            }
            let enabled = self.screening.settings.enabled;
            self.shared.change(|expiry| expiry.forget_disabled(enabled));
            self.record = Some(self.shared.expiry.get());
        }
        if !self.standing.is_kept {
            return Course::HandOver;
        }
        if !self.standing.is_hung_up {
            self.say(self.final_reply.reply());
        }
        self.event(Screened::Disconnect);
        Course::Close
    }

    fn is_stressed(&self) -> bool {
        self.screening.floor.is_stressed.get()
    }

    fn command_time_limit(&self) -> Duration {
        self.screening.settings.limits.postscreen_command_time_limit.under(self.is_stressed())
    }

    /// Nine tenths of what may be tested are.
    fn enter_stress(&self) {
        let (floor, limits) = (&self.screening.floor, &self.screening.settings.limits);
        let connections = floor.connections.get();
        if !floor.is_stressed.get() && connections >= limits.postscreen_pre_queue_limit * 9 / 10 {
            floor.is_stressed.set(true);
            self.event(Screened::Stress { is_entered: true, connections });
        }
    }

    /// No more than seven tenths are.
    fn leave_stress(&self) {
        let (floor, limits) = (&self.screening.floor, &self.screening.settings.limits);
        let connections = floor.connections.get();
        if floor.is_stressed.get() && connections <= limits.postscreen_pre_queue_limit * 7 / 10 {
            floor.is_stressed.set(false);
            self.event(Screened::Stress { is_entered: false, connections });
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.screening.floor.leave(self.client.ip(), &self.shared);
        self.leave_stress();
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tests_support;
