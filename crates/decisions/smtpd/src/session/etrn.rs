//! ETRN (RFC 1985). Its replies have no enhanced status codes, as Postfix has them.

use super::Session;
use crate::{Answer, Ask, Flushed, judge::is_site, replies};
use types::Reply;
use wire::command::Words;

impl Session {
    pub(super) fn etrn(&mut self, mut words: Words<'_>) {
        if self.needs_helo() {
            return self.refuse_with(replies::ETRN_NEEDS_HELO);
        }
        if self.transaction.is_some() {
            return self.refuse_with(replies::ETRN_IN_TRANSACTION);
        }
        let (Some(word), None) = (words.next(), words.next()) else {
            return self.refuse_with(replies::ETRN_SYNTAX);
        };
        // `@` means the site with all below it, `#` a queue of a name: there is no difference here.
        let site = word.text.strip_prefix(b"@").or_else(|| word.text.strip_prefix(b"#")).unwrap_or(word.text);
        match std::str::from_utf8(site) {
            Ok(site) if is_site(site.as_bytes()) => match self.peer.is_stand_alone {
                // Nobody who is not connected to the mail system can have its queue run.
                true => {
                    self.warn(format_args!("do not use ETRN in \"sendmail -bs\" mode"));
                    self.refuse_with(replies::ETRN_FAILED);
                }
                false => self.ask(Ask::Etrn(site.to_owned())),
            },
            _ => self.refuse_with(replies::ETRN_BAD_SITE),
        }
    }

    pub(super) fn etrn_judged(&mut self, site: &str, answer: Answer) {
        let flushed = match answer {
            Answer::Refuse(reply) => return self.refuse(&reply),
            Answer::Flushed(flushed) => flushed,
            _ => Flushed::Failed,
        };
        let (client, shown) = (&self.peer.client, site.get(..100).unwrap_or(site));
        match flushed {
            Flushed::Started => return self.accept_with(replies::ETRN_STARTED),
            Flushed::Denied => {
                self.warn(format_args!("reject: ETRN {shown}... from {client}"));
                return self.refuse(&Reply::bare(459, format!("<{site}>: service unavailable")));
            }
            Flushed::Bad => self.warn(format_args!("bad ETRN {shown}... from {client}")),
            Flushed::Failed => self.warn(format_args!("unable to talk to fast flush service")),
        }
        self.refuse_with(replies::ETRN_FAILED);
    }
}
