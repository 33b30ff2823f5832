//! After the greeting: the commands. All recipients are refused; a client that passes comes back and is served.

use super::{Kept, Session};
use crate::{
    Course,
    engine::{address, next_word},
};
use bstr::{BStr, ByteSlice};
use maillog::Screened;
use types::{Dsn, FixedReply, Reply};
use wire::{EhloKeywords, command::Verb};

const fn no(code: u16, subject: u16, detail: u16, text: &'static str) -> FixedReply {
    FixedReply::new(code, Dsn::permanent(subject, detail), text)
}

const OK: FixedReply = FixedReply::new(250, Dsn::success(0, 0), "Ok");
const SENDER_OK: FixedReply = FixedReply::new(250, Dsn::success(1, 0), "Ok");
const BYE: FixedReply = FixedReply::new(221, Dsn::success(0, 0), "Bye");
const UNKNOWN_COMMAND: FixedReply = no(502, 5, 2, "Error: command not recognized");
const MUST_STARTTLS: FixedReply = no(530, 7, 0, "Must issue a STARTTLS command first");
const NOT_IMPLEMENTED: FixedReply = no(502, 5, 1, "Error: command not implemented");
const NEED_HELO: FixedReply = no(503, 5, 1, "Error: send HELO/EHLO first");
const NESTED_MAIL: FixedReply = no(503, 5, 1, "Error: nested MAIL command");
const NEED_MAIL: FixedReply = no(503, 5, 1, "Error: need MAIL command");
const NEED_MAIL_FOR_BDAT: FixedReply = no(554, 5, 1, "Error: need MAIL command");
const NEED_RCPT: FixedReply = no(503, 5, 1, "Error: need RCPT command");
const NO_RECIPIENTS: FixedReply = no(554, 5, 1, "Error: no valid recipients");
const VRFY_OFF: FixedReply = no(502, 5, 1, "VRFY command is disabled");
const HELO_SYNTAX: FixedReply = FixedReply::bare(501, "Syntax: HELO hostname");
const EHLO_SYNTAX: FixedReply = FixedReply::bare(501, "Syntax: EHLO hostname");
const STARTTLS_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: STARTTLS");
const MAIL_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: MAIL FROM:<address>");
const RCPT_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: RCPT TO:<address>");
const DATA_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: DATA");
const BDAT_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: BDAT count [LAST]");
const VRFY_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: VRFY address");
const ETRN_SYNTAX: FixedReply = FixedReply::bare(500, "Syntax: ETRN domain");
const ETRN_FAILED: FixedReply = FixedReply::bare(458, "Unable to queue messages");

/// May be said where nothing but TLS will do.
const fn is_before_tls(verb: Verb) -> bool {
    matches!(verb, Verb::Helo | Verb::Ehlo | Verb::Starttls | Verb::Noop | Verb::Quit)
}

impl Session {
    /// `None`: the session goes on.
    pub(super) async fn carry_out(&mut self, verb: Option<Verb>, arguments: &[u8]) -> Option<Course> {
        let protocol = &self.screening.settings.protocol;
        let (word, _) = next_word(arguments);
        let reply = match verb {
            None | Some(Verb::Xclient | Verb::Xforward | Verb::Auth | Verb::Help) => UNKNOWN_COMMAND,
            Some(verb) if protocol.requires_tls && !is_before_tls(verb) => MUST_STARTTLS,
            Some(Verb::Helo) if word.is_empty() => HELO_SYNTAX,
            Some(Verb::Ehlo) if word.is_empty() => EHLO_SYNTAX,
            Some(Verb::Helo) => {
                self.greeted(word);
                self.say(Reply::bare(250, self.screening.settings.protocol.myhostname.clone()));
                return None;
            }
            Some(Verb::Ehlo) => return self.ehlo(word).await,
            Some(Verb::Starttls) if !word.is_empty() => STARTTLS_SYNTAX,
            Some(Verb::Starttls) => NOT_IMPLEMENTED,
            Some(Verb::Mail) => self.mail(arguments),
            Some(Verb::Rcpt) => return self.rcpt(arguments),
            Some(Verb::Data) => return Some(self.data(word)),
            Some(Verb::Bdat) => return Some(self.bdat(word)),
            Some(Verb::Rset) => {
                self.forget_sender();
                OK
            }
            Some(Verb::Noop) => OK,
            Some(Verb::Vrfy) if word.is_empty() => VRFY_SYNTAX,
            Some(Verb::Vrfy) if protocol.postscreen_disable_vrfy_command => VRFY_OFF,
            Some(Verb::Vrfy) => {
                self.say(self.rcpt_reply.reply());
                return None;
            }
            Some(Verb::Etrn) if self.lacks_helo() => NEED_HELO,
            Some(Verb::Etrn) if word.is_empty() => ETRN_SYNTAX,
            Some(Verb::Etrn) => ETRN_FAILED,
            Some(Verb::Quit) => return Some(self.drop_with(Kept::Fixed(BYE))),
        };
        self.say(reply);
        None
    }

    fn greeted(&mut self, name: &BStr) {
        if let Some(engine) = &mut self.engine {
            engine.helo = Some(name.to_owned());
            engine.sender = None;
        }
    }

    fn forget_sender(&mut self) {
        if let Some(engine) = &mut self.engine {
            engine.sender = None;
        }
    }

    fn has_sender(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.sender.is_some())
    }

    fn lacks_helo(&self) -> bool {
        let has_helo = self.engine.as_ref().is_some_and(|engine| engine.helo.is_some());
        self.screening.settings.protocol.postscreen_helo_required && !has_helo
    }

    async fn ehlo(&mut self, name: &BStr) -> Option<Course> {
        self.greeted(name);
        let client = self.client.ip().to_string();
        let (discarded, is_special) = match self.screening.discarded(&client).await {
            Ok(discarded) => discarded,
            Err(trouble) => {
                self.log.warning(&trouble.to_string());
                return Some(self.drop_with(self.try_again_later()));
            }
        };
        if is_special && discarded.is_logged() {
            self.event(Screened::DiscardingEhloKeywords(&discarded.to_string()));
        }
        if let Some(engine) = &mut self.engine {
            engine.is_esmtp = true;
            engine.discarded = discarded;
        }
        self.say(self.ehlo_reply(discarded));
        None
    }

    /// Pipelining is not announced: whoever does it is no good client.
    fn ehlo_reply(&self, discarded: EhloKeywords) -> Reply {
        let protocol = &self.screening.settings.protocol;
        let mut text = protocol.myhostname.clone();
        let mut keyword = |keyword, is_on: bool, name: &str| {
            if is_on && !discarded.has(keyword) {
                text.push('\n');
                text.push_str(name);
            }
        };
        let size = match protocol.message_size_limit {
            ..=0 => "SIZE".to_owned(),
            limit => format!("SIZE {limit}"),
        };
        keyword(EhloKeywords::SIZE, true, &size);
        keyword(EhloKeywords::VRFY, !protocol.disable_vrfy_command, "VRFY");
        keyword(EhloKeywords::ETRN, true, "ETRN");
        keyword(EhloKeywords::ENHANCEDSTATUSCODES, true, "ENHANCEDSTATUSCODES");
        keyword(EhloKeywords::EIGHTBITMIME, true, "8BITMIME");
        keyword(EhloKeywords::DSN, true, "DSN");
        keyword(EhloKeywords::SMTPUTF8, protocol.smtputf8_enable, "SMTPUTF8");
        keyword(EhloKeywords::CHUNKING, true, "CHUNKING");
        Reply::bare(250, text)
    }

    fn mail(&mut self, arguments: &[u8]) -> FixedReply {
        if self.lacks_helo() {
            return NEED_HELO;
        }
        if self.has_sender() {
            return NESTED_MAIL;
        }
        let Some((_, text)) = arguments.split_once_str(b":") else { return MAIL_SYNTAX };
        if let Some(engine) = &mut self.engine {
            engine.sender = Some(address(text));
        }
        SENDER_OK
    }

    fn rcpt(&mut self, arguments: &[u8]) -> Option<Course> {
        let Some((engine, sender)) = self.engine.as_ref().and_then(|e| Some((e, e.sender.as_ref()?))) else {
            self.say(NEED_MAIL);
            return None;
        };
        let Some((_, text)) = arguments.split_once_str(b":") else {
            self.say(RCPT_SYNTAX);
            return None;
        };
        let reply = self.rcpt_reply.reply();
        self.event(Screened::RejectRcpt {
            reply: &self.softened(reply.clone()),
            sender,
            recipient: &address(text),
            protocol: if engine.is_esmtp { "ESMTP" } else { "SMTP" },
            helo: engine.helo.as_ref().map_or(BStr::new(""), |helo| helo.as_bstr()),
        });
        self.say(reply);
        None
    }

    /// A client that sends content though no recipient was taken is none that waits for replies.
    fn data(&mut self, word: &BStr) -> Course {
        self.event(Screened::WithoutRecipient("DATA"));
        let reply = match (word.is_empty(), self.has_sender()) {
            (false, _) => DATA_SYNTAX,
            (true, false) => NEED_RCPT,
            (true, true) => NO_RECIPIENTS,
        };
        self.drop_with(Kept::Fixed(reply))
    }

    fn bdat(&mut self, word: &BStr) -> Course {
        self.event(Screened::WithoutRecipient("BDAT"));
        let is_off = self.engine.as_ref().is_some_and(|engine| engine.discarded.has(EhloKeywords::CHUNKING));
        let reply = match (is_off, word.is_empty(), self.has_sender()) {
            (true, ..) => NOT_IMPLEMENTED,
            (_, true, _) => BDAT_SYNTAX,
            (.., false) => NEED_MAIL_FOR_BDAT,
            (.., true) => NO_RECIPIENTS,
        };
        self.drop_with(Kept::Fixed(reply))
    }
}
