//! One connection to a server, as a machine: bytes and events in, actions out.
//!
//! ```text
//!   greeting -> EHLO (-> HELO) -> idle -> MAIL RCPT... DATA content . -> idle or QUIT
//!                                  ^__________________________________|
//! ```
//!
//! With PIPELINING, MAIL, all RCPT and DATA leave together as long as the unanswered part is small; content, the
//! lone dot and QUIT leave together. The driver writes what [`Session::output`] holds, reads when told to, and encodes the content.

mod handshake;
mod history;
mod transaction;

use crate::{Envelope, Failure, Features, PixWorkarounds, Scope, SmtpSettings};
use bstr::BString;
use config::NotifyClasses;
use history::History;
pub use history::Notice;
use std::{fmt, rc::Rc, time::Duration};
use transaction::{Step, Transaction};
use types::{Dsn, Instant};
use wire::{EhloKeywords, Progress, ReplyReader, ServerReply};

/// The server, as log lines name it, and what is known of its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Host name, or `myhostname` for a UNIX-domain socket.
    pub name: String,
    /// Address in text form, or the path of a UNIX-domain socket.
    pub address: String,
    /// TCP port; none for a UNIX-domain socket.
    pub port: Option<u16>,
    /// What the request named, for messages about loops.
    pub nexthop: String,
    /// One of the best mail exchangers of the destination.
    pub is_best: bool,
    /// Mail must not come back to us through this server (SMTP's own port).
    pub detects_loops: bool,
}

impl Peer {
    /// `name[address]:port`, for `relay=`.
    #[must_use]
    pub fn with_port(&self) -> String {
        match self.port {
            Some(port) => format!("{self}:{port}"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.name, self.address)
    }
}

/// How a connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Closed or broken.
    Closed,
    /// Silent for too long.
    TimedOut,
    /// Trouble on our side.
    DataError,
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// Connected: wait for the greeting.
    Connected,
    /// Everything in [`Session::output`] was written.
    Written,
    /// Bytes arrived.
    Received(&'a [u8]),
    /// The connection is gone.
    Lost(Ending),
    /// The content is encoded; its last part may stand in [`Session::output`].
    ContentDone,
    /// The content cannot be read: text and code.
    ContentFailed(Dsn, String),
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write [`Session::output`], each part within the time given, then say [`Input::Written`].
    Write(Duration),
    /// Read within the time given.
    Read(Duration),
    /// Append the content to [`Session::output`], writing what grows large, each part within the time given.
    SendContent(Duration),
    /// Nothing is under way: look at [`Session::take_verdicts`], then begin another transaction or quit.
    Idle,
    /// Write what [`Session::output`] holds, if anything, and close.
    Close,
}

/// What a server's answers mean for recipients, by their place in the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken.
    Sent(usize, ServerReply),
    /// A recipient failed.
    Failed(usize, Failure),
    /// All recipients without another verdict failed.
    AllFailed(Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    Ehlo,
    Helo,
    Idle,
    Transaction,
    Quit,
    Closed,
}

/// What the log should be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// A warning, not only a remark.
    pub is_warning: bool,
    /// It begins with the queue id of the message at hand.
    pub names_message: bool,
    /// What it says.
    pub text: String,
}

/// What is done differently with a server, by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Treatment {
    /// EHLO keywords that are ignored, or why that is not known: a warning, once the server has announced what it can do.
    pub discard_ehlo_keywords: Result<EhloKeywords, String>,
    /// Workarounds if its greeting asks for them.
    pub pix_workarounds: Option<PixWorkarounds>,
}

/// The machine.
#[derive(Debug)]
pub struct Session {
    settings: Rc<SmtpSettings>,
    peer: Peer,
    stage: Stage,
    reader: ReplyReader,
    features: Features,
    out: Vec<u8>,
    transaction: Option<Transaction>,
    verdicts: Vec<Verdict>,
    notes: Vec<Note>,
    treatment: Treatment,
    delays_dot: bool,
    disables_esmtp: bool,
    is_reusable: bool,
    is_dead: bool,
    uses: u32,
    replies: u32,
    connected_at: Instant,
    /// For the postmaster, where that is wanted.
    history: Option<Box<History>>,
}

impl Session {
    /// A connection that was made at `now`.
    #[must_use]
    pub fn new(now: Instant, settings: Rc<SmtpSettings>, peer: Peer) -> Self {
        let reader = ReplyReader::new(settings.line_length_limit);
        let history = History::of(&settings);
        let treatment = Treatment {
            discard_ehlo_keywords: Ok(settings.quirks.discard_ehlo_keywords),
            pix_workarounds: settings.pix.workarounds,
        };
        Self {
            settings,
            peer,
            stage: Stage::Greeting,
            reader,
            features: Features::default(),
            out: Vec::new(),
            transaction: None,
            verdicts: Vec::new(),
            notes: Vec::new(),
            treatment,
            delays_dot: false,
            disables_esmtp: false,
            is_reusable: true,
            is_dead: false,
            uses: 0,
            replies: 0,
            connected_at: now,
            history,
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The same server is known by another name now: that of the host that was looked for.
    pub fn rename_peer(&mut self, name: &str) {
        name.clone_into(&mut self.peer.name);
    }

    /// What the server offers.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Bytes to write.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Transactions begun, this one included.
    #[must_use]
    pub fn uses(&self) -> u32 {
        self.uses
    }

    /// Whether another transaction may follow.
    #[must_use]
    pub fn is_reusable(&self, now: Instant) -> bool {
        self.stage == Stage::Idle
            && self.is_reusable
            && !self.is_expired(now)
            && !self.reader.is_inside_reply()
    }

    /// Whether the server turned out to be of no use for any message.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// Whether it waits for a transaction.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Idle
    }

    /// Whether the connection has served as long or as often as it may.
    fn is_expired(&self, now: Instant) -> bool {
        let cache = &self.settings.cache;
        // The first use is no reuse.
        let reuses = self.uses.saturating_sub(1);
        now.since(self.connected_at) > cache.reuse_time_limit
            || (cache.reuse_count_limit > 0 && reuses >= cache.reuse_count_limit)
    }

    /// What the answers so far mean, in order.
    pub fn take_verdicts(&mut self) -> Vec<Verdict> {
        std::mem::take(&mut self.verdicts)
    }

    /// Recipients that the server has taken the message for, as far as [`Self::take_verdicts`] has not told.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (usize, &ServerReply)> {
        self.verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Sent(place, reply) => Some((*place, reply)),
            Verdict::Failed(..) | Verdict::AllFailed(_) => None,
        })
    }

    /// What the log should be told.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    fn note_warning(&mut self, text: String) {
        self.notes.push(Note { is_warning: true, names_message: false, text });
    }

    fn note(&mut self, text: String) {
        self.notes.push(Note { is_warning: false, names_message: false, text });
    }

    /// Says what is different with this server, before [`Input::Connected`]; the default is what the parameters say.
    pub fn treat(&mut self, treatment: Treatment) {
        self.treatment = treatment;
    }

    /// Whether the lone dot must wait until all content has left (`delay_dotcrlf`).
    #[must_use]
    pub fn delays_dot(&self) -> bool {
        self.delays_dot
    }

    /// Whether nothing of the current transaction but MAIL and RCPT can have reached the server.
    #[must_use]
    pub fn is_before_data(&self) -> bool {
        self.transaction.as_ref().is_none_or(Transaction::is_before_data)
    }

    /// Begins a transaction on an idle connection; QUIT follows it unless `stays_open`.
    pub fn begin(&mut self, envelope: Envelope, stays_open: bool) -> Action {
        self.uses += 1;
        self.stage = Stage::Transaction;
        self.transaction = Some(Transaction::new(envelope, stays_open && self.is_reusable));
        self.advance()
    }

    /// Ends an idle connection.
    pub fn quit(&mut self) -> Action {
        if self.stage == Stage::Closed {
            return Action::Close;
        }
        self.stage = Stage::Quit;
        self.say(b"QUIT\r\n");
        if self.settings.quirks.skip_quit_response { self.close() } else { self.advance() }
    }

    /// Takes what happened, says what to do.
    pub fn step(&mut self, now: Instant, input: Input<'_>) -> Action {
        match input {
            Input::Connected => self.advance(),
            Input::Written => {
                self.out.clear();
                if self.stage == Stage::Closed { Action::Close } else { self.advance() }
            }
            Input::Received(bytes) => self.receive(now, bytes),
            Input::Lost(ending) => self.lost(ending),
            Input::ContentDone => self.content_done(now),
            Input::ContentFailed(dsn, text) => {
                self.verdicts.push(Verdict::AllFailed(Failure::local(Scope::Message, dsn, text)));
                // There is no other way to take a half-sent message back.
                self.out.clear();
                self.close()
            }
        }
    }

    fn receive(&mut self, now: Instant, bytes: &[u8]) -> Action {
        let mut rest = bytes;
        while !rest.is_empty() && self.stage != Stage::Closed {
            let (taken, progress) = self.reader.feed(rest);
            rest = rest.get(taken..).unwrap_or_default();
            match progress {
                Progress::More => {}
                Progress::Endless => return self.lost(Ending::Closed),
                Progress::Reply(reply) => self.reply(now, &reply),
            }
        }
        if self.stage == Stage::Closed { Action::Close } else { self.advance() }
    }

    /// How many replies there were: a deadline is for each.
    #[must_use]
    pub fn replies(&self) -> u32 {
        self.replies
    }

    fn reply(&mut self, now: Instant, reply: &ServerReply) {
        self.replies = self.replies.wrapping_add(1);
        self.remember(&reply.text, reply.is_disordered);
        if reply.is_disordered {
            self.is_reusable = false;
            if self.features.pipelining {
                self.warn_of_disorder(reply);
            }
        }
        match self.stage {
            Stage::Greeting => self.greeted(reply),
            Stage::Ehlo | Stage::Helo => self.introduced(reply),
            Stage::Transaction => self.answered(now, reply),
            Stage::Quit => {
                self.close();
            }
            // Nobody asked: whatever it means, this connection is not what we think it is.
            Stage::Idle => self.is_reusable = false,
            Stage::Closed => {}
        }
    }

    fn warn_of_disorder(&mut self, reply: &ServerReply) {
        let line: Vec<u8> = reply.text.iter().take_while(|&&byte| byte != b'\n').take(100).copied().collect();
        let (server, line) = (self.peer.with_port(), BString::new(line));
        let (protocol, parameter) = if self.is_lmtp() {
            ("LMTP", "lmtp_discard_lhlo_keyword_address_maps")
        } else {
            ("ESMTP", "smtp_discard_ehlo_keyword_address_maps")
        };
        let text = format!("non-{protocol} response from {server}: {line}");
        self.notes.push(Note { is_warning: true, names_message: true, text });
        if self.settings.quirks.helpful_warnings {
            self.note_warning(format!(
                "to prevent loss of mail, turn off command pipelining for {} with the {parameter} parameter",
                self.peer.address
            ));
        }
    }

    /// Puts what has to be said into the output, and says whether to write, to read, or that we are done.
    fn advance(&mut self) -> Action {
        match self.stage {
            Stage::Greeting | Stage::Ehlo | Stage::Helo if self.out.is_empty() => {
                Action::Read(self.settings.timeouts.helo)
            }
            Stage::Greeting | Stage::Ehlo | Stage::Helo => Action::Write(self.settings.timeouts.helo),
            Stage::Quit if self.out.is_empty() => Action::Read(self.settings.timeouts.quit),
            Stage::Quit => Action::Write(self.settings.timeouts.quit),
            Stage::Idle => Action::Idle,
            Stage::Transaction => self.advance_transaction(),
            Stage::Closed => Action::Close,
        }
    }

    fn lost(&mut self, ending: Ending) -> Action {
        self.remember_unfinished(ending);
        let doing = match self.stage {
            Stage::Greeting => "receiving the initial server greeting",
            Stage::Ehlo if self.is_lmtp() => "performing the LHLO handshake",
            Stage::Ehlo => "performing the EHLO handshake",
            Stage::Helo => "performing the HELO handshake",
            Stage::Transaction => match self.transaction_lost(ending) {
                Ok(doing) => doing,
                Err(action) => return action,
            },
            Stage::Idle | Stage::Quit | Stage::Closed => "",
        };
        if !doing.is_empty() {
            let peer = &self.peer;
            let dsn = match ending {
                Ending::Closed | Ending::TimedOut => Dsn::temporary(4, 2),
                Ending::DataError => Dsn::temporary(3, 0),
            };
            let text = match ending {
                Ending::DataError => format!("local data error while talking to {peer}"),
                Ending::Closed => format!("lost connection with {peer} while {doing}"),
                Ending::TimedOut => format!("conversation with {peer} timed out while {doing}"),
            };
            self.is_dead = true;
            self.verdicts.push(Verdict::AllFailed(Failure::local(Scope::Site, dsn, text)));
        }
        self.out.clear();
        if ending == Ending::DataError && matches!(self.stage, Stage::Greeting | Stage::Ehlo | Stage::Helo) {
            // The server is not to blame, and is there to say farewell to.
            return self.quit();
        }
        self.close()
    }

    fn close(&mut self) -> Action {
        self.is_reusable = false;
        self.stage = Stage::Closed;
        Action::Close
    }

    fn is_lmtp(&self) -> bool {
        self.settings.protocol == crate::Protocol::Lmtp
    }

    /// `host NAME[ADDRESS] said: TEXT (in reply to COMMAND)`
    fn said(&self, scope: Scope, reply: &ServerReply, command: &str) -> Failure {
        let text = format!("host {} said: {} (in reply to {command})", self.peer, reply.one_line());
        Failure::replied(scope, &self.peer.name, reply, text.into_bytes())
    }

    /// Replies that mean that we made a mistake, or that the server did: do not go on with this connection.
    fn distrust_after(&mut self, reply: &ServerReply) {
        if !(400..=599).contains(&reply.code) || reply.code == 555 || (500..510).contains(&reply.code) {
            self.is_reusable = false;
            self.note_trouble(NotifyClasses::PROTOCOL);
        }
    }

    fn timeout_of(&self, step: Step) -> Duration {
        let timeouts = &self.settings.timeouts;
        match step {
            Step::Forward(_) => timeouts.xforward,
            Step::Mail => timeouts.mail,
            Step::Rcpt(_) => timeouts.rcpt,
            Step::Data => timeouts.data_init,
            Step::Dot => timeouts.data_done,
            Step::Rset => timeouts.rset,
            Step::Quit | Step::Last => timeouts.quit,
        }
    }
}
