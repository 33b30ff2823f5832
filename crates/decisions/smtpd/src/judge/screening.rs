//! What is looked up of a command before it is one: `smtpd_noop_commands` and its kin, and the keywords that a client
//! does not get to see.

use crate::{Answer, EhloKeywords, Question, SmtpdSettings};
use bstr::ByteSlice;
use config::{Values, params as p};
use maps::{Maps, StringList};
use types::{Dsn, Lookup, Reply};
use world::Tables;

pub(super) struct Screening {
    myhostname: String,
    smtpd_discard_ehlo_keywords: EhloKeywords,
    smtpd_discard_ehlo_keyword_address_maps: Maps,
    smtpd_noop_commands: StringList,
    smtpd_forbidden_commands: StringList,
    smtpd_command_filter: Maps,
}

impl Screening {
    pub(super) fn open(settings: &SmtpdSettings, values: &Values, tables: &dyn Tables) -> Self {
        let maps = |id: p::Id| Maps::open(id.name(), values.text(id), tables);
        let strings = |id: p::Id| StringList::open(id.name(), values.text(id), tables);
        Self {
            myhostname: settings.myhostname.clone(),
            smtpd_discard_ehlo_keywords: EhloKeywords::parse(values.text(p::smtpd_discard_ehlo_keywords)).0,
            smtpd_discard_ehlo_keyword_address_maps: maps(p::smtpd_discard_ehlo_keyword_address_maps),
            smtpd_noop_commands: strings(p::smtpd_noop_commands),
            smtpd_forbidden_commands: strings(p::smtpd_forbidden_commands),
            smtpd_command_filter: maps(p::smtpd_command_filter),
        }
    }

    /// What the client is not told of.
    pub(super) async fn discard(&self, question: &Question<'_>) -> EhloKeywords {
        let address = question.peer.client.address.as_bytes();
        match self.smtpd_discard_ehlo_keyword_address_maps.find(address).await {
            Lookup::Found(words) => EhloKeywords::parse(&words.to_str_lossy()).0,
            Lookup::Absent => self.smtpd_discard_ehlo_keywords,
            Lookup::TryAgain(trouble) => {
                question.log.warning(&trouble.to_string());
                self.smtpd_discard_ehlo_keywords
            }
        }
    }

    pub(super) async fn screen(&self, question: &Question<'_>, line: &[u8]) -> Answer {
        let line = line.trim_ascii_start();
        match self.smtpd_command_filter.find(line).await {
            Lookup::Found(replacement) => return Answer::Replace(replacement.into()),
            Lookup::Absent => {}
            Lookup::TryAgain(trouble) => {
                question.log.warning(&trouble.to_string());
                let text = format!("{} Server local data error", self.myhostname);
                return Answer::Refuse(Reply::new(421, Dsn::temporary(3, 0), text));
            }
        }
        let name = first_word(line);
        // A list that cannot be read lists nothing: this is a convenience, not a protection.
        match self.smtpd_noop_commands.matches(name).await {
            Ok(true) => Answer::Noop,
            _ => Answer::Accept,
        }
    }

    pub(super) async fn unknown(&self, line: &[u8]) -> Answer {
        let name = first_word(line);
        let is_forbidden = is_header(name) || self.smtpd_forbidden_commands.matches(name).await == Ok(true);
        if is_forbidden { Answer::Forbidden } else { Answer::Accept }
    }
}

/// Whether a word looks like the name of a header: text up to a colon.
pub(super) fn is_header(word: &[u8]) -> bool {
    let Some(colon) = word.find_byte(b':') else { return false };
    colon > 0 && word[..colon].iter().all(u8::is_ascii_graphic)
}

fn first_word(line: &[u8]) -> &[u8] {
    wire::command::Words::new(line).next().map_or(b"", |word| word.text)
}
