//! Greeting, EHLO, HELO, LHLO.

use super::{Note, Session, Stage, Verdict};
use crate::{Announcement, Failure, Features, PixWorkarounds, Scope};
use config::NotifyClasses;
use types::{Dsn, DsnClass};
use wire::{EhloKeywords, ServerReply};

impl Session {
    pub(super) fn greeted(&mut self, reply: &ServerReply) {
        if reply.class() != 2 {
            let mut failure = self.refused(reply);
            if reply.class() == 5 && self.settings.quirks.skip_5xx_greeting {
                failure.status.dsn = failure.status.dsn.with_class(DsnClass::Temporary);
            }
            return self.give_up(failure);
        }
        self.work_around(&reply.text);
        let text = reply.text.get(3..).unwrap_or_default();
        let mut words = text.split(|byte| b" -\t\n".contains(byte)).filter(|word| !word.is_empty());
        let own_name = self.settings.myhostname.as_bytes();
        let first = words.next();
        if self.peer.detects_loops && first.is_some_and(|word| word.eq_ignore_ascii_case(own_name)) {
            let (peer, own) = (self.peer.with_port(), &self.settings.myhostname);
            self.note_warning(format!("host {peer} greeted me with my own hostname {own}"));
        }
        let mut speaks_esmtp = words.any(|word| word.eq_ignore_ascii_case(b"ESMTP"));
        let quirks = &self.settings.quirks;
        let never = quirks.never_send_ehlo || self.disables_esmtp;
        speaks_esmtp = self.is_lmtp() || (speaks_esmtp || quirks.always_send_ehlo) && !never;
        self.introduce(speaks_esmtp);
    }

    /// Postfix names the workarounds even if the age of the message leaves none of them.
    fn work_around(&mut self, greeting: &[u8]) {
        let Some(workarounds) = self.treatment.pix_workarounds else { return };
        if PixWorkarounds::are_needed(greeting) {
            self.disables_esmtp = workarounds.disable_esmtp;
            self.delays_dot = workarounds.delay_dotcrlf;
            let text = format!("enabling PIX workarounds: {workarounds} for {}", self.peer.with_port());
            self.notes.push(Note { is_warning: false, names_message: true, text });
        }
    }

    fn introduce(&mut self, speaks_esmtp: bool) {
        let verb = match (self.is_lmtp(), speaks_esmtp) {
            (true, _) => "LHLO",
            (false, true) => "EHLO",
            (false, false) => "HELO",
        };
        self.stage = if speaks_esmtp { Stage::Ehlo } else { Stage::Helo };
        let command = format!("{verb} {}\r\n", self.settings.helo_name);
        self.say(command.as_bytes());
    }

    pub(super) fn introduced(&mut self, reply: &ServerReply) {
        let was_ehlo = self.stage == Stage::Ehlo;
        if reply.class() != 2 {
            if was_ehlo && !self.is_lmtp() && reply.code != 421 {
                return self.introduce(false);
            }
            let failure = self.refused(reply);
            return self.give_up(failure);
        }
        if was_ehlo {
            let discard = match &self.treatment.discard_ehlo_keywords {
                Ok(discard) => *discard,
                Err(trouble) => {
                    let text = trouble.clone();
                    return self.table_failed(text);
                }
            };
            let found = self.announced(reply, discard);
            let own = self.settings.myhostname.as_bytes();
            if self.peer.detects_loops && found.name.is_some_and(|name| name.eq_ignore_ascii_case(own)) {
                return self.found_self();
            }
            self.complete_features();
        }
        self.stage = Stage::Idle;
    }

    fn table_failed(&mut self, text: String) {
        self.notes.push(Note { is_warning: true, names_message: true, text });
        self.note_trouble(NotifyClasses::DATA);
        let text = format!("local data error while talking to {}", self.peer);
        self.give_up(Failure::local(Scope::Site, Dsn::temporary(3, 0), text));
    }

    fn announced(&mut self, reply: &ServerReply, discard: EhloKeywords) -> Announcement {
        if discard.is_logged() {
            self.note(format!("discarding EHLO keywords: {discard}"));
        }
        let found = Features::parse(&reply.text, discard);
        self.features = found.features;
        if let Some(limit) = &found.bad_size {
            self.note_warning(format!("bad EHLO SIZE limit \"{limit}\" from {}", self.peer.with_port()));
        }
        found
    }

    /// A server that takes UTF-8 addresses takes eight bits, whatever it forgot to say.
    fn complete_features(&mut self) {
        if self.features.smtputf8 && !self.features.eight_bit_mime {
            self.note(format!("host {} offers SMTPUTF8 support, but not 8BITMIME", self.peer));
            self.features.eight_bit_mime = true;
        }
    }

    fn found_self(&mut self) {
        let (peer, own) = (self.peer.with_port(), &self.settings.myhostname);
        self.note_warning(format!("host {peer} replied to HELO/EHLO with my own hostname {own}"));
        let dsn = if self.peer.is_best { Dsn::permanent(4, 6) } else { Dsn::temporary(4, 6) };
        let text = format!("mail for {} loops back to myself", self.peer.nexthop);
        self.give_up(Failure::local(Scope::Site, dsn, text));
    }

    fn refused(&mut self, reply: &ServerReply) -> Failure {
        self.distrust_after(reply);
        let text = format!("host {} refused to talk to me: {}", self.peer, reply.one_line());
        Failure::replied(Scope::Site, &self.peer.name, reply, text.into_bytes())
    }

    fn give_up(&mut self, failure: Failure) {
        self.is_dead = true;
        self.verdicts.push(Verdict::AllFailed(failure));
        self.quit();
    }
}
