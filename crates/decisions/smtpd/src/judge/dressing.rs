//! What is done to a refusal before the client hears it: `smtpd_reject_filter_maps`, `smtpd_reject_footer` and its tables.

use super::{Judge, Resolve};
use crate::Question;
use bstr::ByteSlice;
use config::{Values, params as p, reject_footer::with_footer};
use maillog::{Event, SmtpdEvent};
use maps::Maps;
use types::{Dsn, Lookup, Reply};
use world::Tables;

/// The tables and the text.
pub(super) struct Dressing {
    smtpd_reject_filter_maps: Maps,
    smtpd_reject_footer_maps: Maps,
    smtpd_reject_footer: String,
}

impl Dressing {
    pub(super) fn open(values: &Values, tables: &dyn Tables) -> Self {
        let maps = |id: p::Id| Maps::open(id.name(), values.text(id), tables);
        Self {
            smtpd_reject_filter_maps: maps(p::smtpd_reject_filter_maps),
            smtpd_reject_footer_maps: maps(p::smtpd_reject_footer_maps),
            smtpd_reject_footer: values.text(p::smtpd_reject_footer).to_owned(),
        }
    }
}

impl<R: Resolve> Judge<R> {
    /// The reply as the client gets it.
    pub(super) async fn dress(&self, question: &Question<'_>, reply: &Reply) -> Reply {
        if reply.code < 400 {
            return reply.clone();
        }
        let reply = self.filtered(question, reply).await;
        let maps = &self.dressing.smtpd_reject_footer_maps;
        let of_table = self.found(question, maps, &wire_form(&reply)).await;
        let footer = of_table.as_deref().unwrap_or(&self.dressing.smtpd_reject_footer);
        if reply.code < 400 || footer.is_empty() { reply } else { self.with_footer(question, reply, footer) }
    }

    async fn filtered(&self, question: &Question<'_>, reply: &Reply) -> Reply {
        let given = wire_form(reply);
        let maps = &self.dressing.smtpd_reject_filter_maps;
        let Some(other) = self.found(question, maps, &given).await else { return reply.clone() };
        let id = question.queue_id;
        match parse(&other) {
            Some(filtered) => {
                for (way, text) in [("in", &given), ("out", &other)] {
                    question.log.event(&Event::Smtpd(SmtpdEvent::ReplyFilter { id, way, text }));
                }
                filtered
            }
            None => {
                let id = id.map_or_else(|| "NOQUEUE".to_owned(), |id| id.to_string());
                question.log.warning(&format!("{id}: ignoring invalid reject filter result: {other}"));
                reply.clone()
            }
        }
    }

    /// A table that cannot be asked changes nothing: the client is refused all the same.
    async fn found(&self, question: &Question<'_>, maps: &Maps, text: &str) -> Option<String> {
        if maps.is_empty() {
            return None;
        }
        match maps.find(text.as_bytes()).await {
            Lookup::Found(value) => Some(value.to_str_lossy().into_owned()),
            Lookup::Absent => None,
            Lookup::TryAgain(trouble) => {
                question.log.warning(&trouble.to_string());
                None
            }
        }
    }

    /// Lines behind the reply (`\n` ends one), or, after `\c`, behind its last line.
    fn with_footer(&self, question: &Question<'_>, reply: Reply, template: &str) -> Reply {
        let transaction = question.transaction;
        let sender = transaction.map(|transaction| &transaction.sender);
        let first = transaction.and_then(|transaction| transaction.recipients.first());
        let walk = self.walk(question, sender, first.map(|recipient| &recipient.address));
        let allowed = self.dns_list_replies.smtpd_expand_filter.as_str();
        let names = |name: &str| walk.session_value(name);
        match with_footer(&reply.text, template, allowed, &names, |warning| question.log.warning(warning)) {
            Some(text) => Reply { text, ..reply },
            None => reply,
        }
    }
}

/// As the client would get it, without the last line end: what tables are asked for.
fn wire_form(reply: &Reply) -> String {
    let mut text = Vec::new();
    reply.encode(&mut text);
    text.strip_suffix(b"\r\n").unwrap_or(&text).to_str_lossy().into_owned()
}

/// A refusal, as a table has it.
fn parse(text: &str) -> Option<Reply> {
    let (code, rest) = text.split_at_checked(3)?;
    let is_code = code.bytes().all(|b| b.is_ascii_digit()) && code.starts_with(['4', '5']);
    let rest = rest.strip_prefix([' ', '-']).filter(|_| is_code)?;
    let first = rest.chars().next();
    if first.is_some_and(|c| c.is_ascii_digit()) && first != code.chars().next() {
        return None;
    }
    let code = code.parse().ok()?;
    Some(match Dsn::parse_prefix(rest) {
        Some((dsn, text)) => Reply::new(code, dsn, text.trim_start()),
        None => Reply::bare(code, rest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_table_has_must_be_a_refusal() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(parse(text).map(|reply| reply.to_string()).as_deref(), expected, "{text}");
        };
        check("550 5.7.1 no", Some("550 5.7.1 no"));
        check("450 later", Some("450 later"));
        check("550-5.7.1 no", Some("550 5.7.1 no"));
        check("250 2.0.0 Ok", None);
        check("550 4.7.1 no", None);
        check("55", None);
        check("5x0 no", None);
        check("550no", None);
        check("550 ", Some("550 "));
    }
}
