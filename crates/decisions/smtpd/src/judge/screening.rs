//! What is looked up of a command before it is one: `smtpd_noop_commands` and its kin, and the keywords that a client
//! does not get to see.

use crate::{Answer, EhloKeywords, Question, SmtpdSettings};
use bstr::{BString, ByteSlice};
use config::{Values, params as p};
use maillog::{Event, SmtpdEvent};
use maps::{Maps, StringList, casefold};
use std::rc::Rc;
use types::{Dsn, Lookup, Reply};
use world::{Table, Tables};

/// How much of a command is logged.
const SAMPLE_MAX: usize = 100;

pub(super) struct Screening {
    myhostname: String,
    smtpd_discard_ehlo_keywords: EhloKeywords,
    smtpd_discard_ehlo_keyword_address_maps: Maps,
    smtpd_noop_commands: StringList,
    smtpd_forbidden_commands: StringList,
    smtpd_command_filter: Option<Rc<dyn Table>>,
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
            smtpd_command_filter: Some(values.text(p::smtpd_command_filter))
                .filter(|name| !name.is_empty())
                .map(|name| tables.open(name)),
        }
    }

    /// What the client is not told of, and whether nobody knows that.
    pub(super) async fn discard(&self, question: &Question<'_>) -> (EhloKeywords, bool) {
        let address = question.peer.client.address.as_bytes();
        match self.smtpd_discard_ehlo_keyword_address_maps.find(address).await {
            Lookup::Found(words) => (EhloKeywords::parse(&words.to_str_lossy()).0, false),
            Lookup::Absent => (self.smtpd_discard_ehlo_keywords, false),
            Lookup::TryAgain(trouble) => {
                question.log.warning(&trouble.to_string());
                (self.smtpd_discard_ehlo_keywords, true)
            }
        }
    }

    pub(super) async fn screen(&self, question: &Question<'_>, line: &[u8]) -> Answer {
        let replacement = match self.filtered(question, line).await {
            Ok(replacement) => replacement,
            Err(reply) => return Answer::Refuse(reply),
        };
        let name = first_word(replacement.as_ref().map_or(line, |line| line.as_slice()));
        match (is_in(&self.smtpd_noop_commands, question, name).await, replacement) {
            (true, _) => Answer::Noop,
            (_, Some(replacement)) => Answer::Replace(replacement),
            (_, None) => Answer::Accept,
        }
    }

    /// What `smtpd_command_filter` has in place of a line. An empty line is a replacement, too.
    async fn filtered(&self, question: &Question<'_>, line: &[u8]) -> Result<Option<BString>, Reply> {
        let Some(table) = &self.smtpd_command_filter else { return Ok(None) };
        let key = line.trim_ascii_start();
        let folded = (!table.is_pattern()).then(|| casefold(key));
        match table.lookup(folded.as_deref().unwrap_or(key)).await {
            Lookup::Found(replacement) => {
                let (client, old, new) = (&question.peer.client, line.into(), replacement.as_bstr());
                question.log.event(&Event::Smtpd(SmtpdEvent::ReplacedCommand { client, old, new }));
                Ok(Some(replacement.into()))
            }
            Lookup::Absent => Ok(None),
            Lookup::TryAgain(trouble) => {
                let start = line.get(..SAMPLE_MAX).unwrap_or(line).as_bstr();
                question.log.warning(&format!("{} lookup error for \"{start}\": {trouble}", table.name()));
                let text = format!("{} Server local data error", self.myhostname);
                Err(Reply::new(421, Dsn::temporary(3, 0), text))
            }
        }
    }

    pub(super) async fn unknown(&self, question: &Question<'_>, line: &[u8]) -> Answer {
        let name = first_word(line);
        let is_forbidden = is_header(name) || is_in(&self.smtpd_forbidden_commands, question, name).await;
        if is_forbidden { Answer::Forbidden } else { Answer::Accept }
    }
}

/// Whether a command is in a list. One that cannot be read lists nothing: this is a convenience, not a protection.
async fn is_in(list: &StringList, question: &Question<'_>, name: &[u8]) -> bool {
    match list.matches(name).await {
        Ok(is_in) => is_in,
        Err(trouble) => {
            question.log.warning(&trouble.to_string());
            false
        }
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
