//! What an access table says, done (access(5), ACCEPT, REJECT and OTHER ACTIONS).

use super::{
    Resolve,
    screening::is_header,
    walk::{Status, Subject, Walk, refusal_text},
};
use bstr::BStr;
use config::NotifyClasses;
use types::{Address, Dsn, Reply};

/// How deep tables may name classes that name tables. Postfix goes to 100, which is no more use and much more stack.
const DEPTH_MAX: u32 = 20;

/// Where something was found: in a table, or in the answer of a policy server.
#[derive(Clone, Copy)]
pub(super) struct Hit<'h> {
    pub(super) table: &'h str,
    pub(super) key: &'h BStr,
    pub(super) subject: Subject<'h>,
}

/// The actions that have a text after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Dunno,
    Permit,
    Refuse(u16),
    Reject,
    Defer,
    DeferIfPermit,
    DeferIfReject,
    Info,
    Warn,
    Filter,
    Hold,
    Discard,
    Redirect,
    Bcc,
    Prepend,
    /// Names of restrictions.
    Restrictions,
}

/// Splits a value into its action and the text.
fn parse(value: &str) -> (Action, &str) {
    let end = value.find([' ', '\t']).unwrap_or(value.len());
    let (word, text) = value.split_at(end);
    let text = text.trim_start();
    let is_code = matches!(word.as_bytes(), [b'4' | b'5', b'0'..=b'9', b'0'..=b'9']) && !text.is_empty();
    let action = match word.to_ascii_uppercase().as_str() {
        "DUNNO" => Action::Dunno,
        "REJECT" => Action::Reject,
        "DEFER" => Action::Defer,
        "INFO" => Action::Info,
        "WARN" => Action::Warn,
        "FILTER" => Action::Filter,
        "HOLD" => Action::Hold,
        "DISCARD" => Action::Discard,
        "REDIRECT" => Action::Redirect,
        "BCC" => Action::Bcc,
        "DEFER_IF_PERMIT" => Action::DeferIfPermit,
        "DEFER_IF_REJECT" => Action::DeferIfReject,
        "PREPEND" => Action::Prepend,
        // Programs that let clients in after other servers have seen them write the time.
        _ if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => Action::Permit,
        code if is_code => Action::Refuse(code.parse().unwrap_or(0)),
        "OK" | "RELAY" => Action::Permit,
        _ => Action::Restrictions,
    };
    (action, text)
}

impl<R: Resolve> Walk<'_, R> {
    pub(super) async fn act(&mut self, hit: Hit<'_>, value: &str) -> Status {
        let (action, text) = parse(value);
        let subject = hit.subject;
        let codes = &self.judge.settings.codes;
        match action {
            Action::Dunno => Status::Dunno,
            Action::Permit => self.permit_from(hit, value).await,
            Action::Refuse(code) => {
                let default = if code < 500 { Dsn::temporary(7, 1) } else { Dsn::permanent(7, 1) };
                self.refuse_as((code, default), text, subject)
            }
            Action::Reject => {
                self.refuse_as((codes.access_map_reject_code, Dsn::permanent(7, 1)), text, subject)
            }
            Action::Defer => {
                self.refuse_as((codes.access_map_defer_code, Dsn::temporary(7, 1)), text, subject)
            }
            Action::DeferIfPermit | Action::DeferIfReject => {
                let refusal = (codes.access_map_defer_code, Dsn::temporary(7, 1));
                let reply = self.reply_of(refusal, text, "Service unavailable", subject);
                match action {
                    Action::DeferIfPermit => self.defer_later(reply),
                    _ => self.defer_rejects(reply),
                }
            }
            Action::Info => self.say("info", text.to_owned()),
            Action::Warn => self.say("warn", text.to_owned()),
            Action::Prepend => self.prepend(hit, text),
            Action::Filter | Action::Hold | Action::Discard | Action::Redirect | Action::Bcc => {
                match self.act_on_message(action, hit, text) {
                    Status::Ok => self.permit_from(hit, value).await,
                    status => status,
                }
            }
            Action::Restrictions => self.restrictions_of(hit, value).await,
        }
    }

    /// A reply with what the text says of it: a status code of its own, or nothing.
    fn reply_of(
        &self,
        (code, default): (u16, Dsn),
        text: &str,
        otherwise: &str,
        subject: Subject<'_>,
    ) -> Reply {
        let (dsn, text) = Dsn::parse_prefix(text).unwrap_or((default, text));
        let text = text.trim_start();
        let text = if text.is_empty() { otherwise } else { text };
        Reply::new(code, self.fit(dsn, subject.class), refusal_text(subject, text))
    }

    fn refuse_as(&mut self, refusal: (u16, Dsn), text: &str, subject: Subject<'_>) -> Status {
        let reply = self.reply_of(refusal, text, "Access denied", subject);
        self.reject(NotifyClasses::POLICY, reply)
    }

    /// Tells the log; changes nothing.
    fn say(&self, what: &str, text: String) -> Status {
        self.log(what, &Reply::bare(0, text));
        Status::Dunno
    }

    async fn permit_from(&self, hit: Hit<'_>, value: &str) -> Status {
        let action = value.split([' ', '\t']).next().unwrap_or_default();
        let from = format!("from {}", hit.table);
        self.permit(action, hit.subject, &from).await
    }

    fn warn_of_entry(&self, hit: Hit<'_>, text: &str) -> Status {
        let table = hit.table;
        self.question.log.warning(&format!("access table {table} entry \"{}\" {text}", hit.key));
        Status::Dunno
    }

    /// What the clients say before there is a transaction has no message.
    fn has_message(&self, hit: Hit<'_>, action: &str) -> bool {
        if self.sender.is_none() {
            let table = hit.table;
            self.question.log.warning(&format!(
                "access table {table}: with smtpd_delay_reject=no, action {action} is always skipped in \
                 Client host or Helo command restrictions"
            ));
        }
        self.sender.is_some()
    }

    fn act_on_message(&mut self, action: Action, hit: Hit<'_>, text: &str) -> Status {
        let (name, what) = match action {
            Action::Filter => ("FILTER", "filter"),
            Action::Hold => ("HOLD", "hold"),
            Action::Discard => ("DISCARD", "discard"),
            Action::Redirect => ("REDIRECT", "redirect"),
            _ => ("BCC", "bcc"),
        };
        if !self.has_message(hit, name) || (action == Action::Hold && self.standing.effects.is_held) {
            return Status::Dunno;
        }
        match action {
            Action::Filter if text.is_empty() => {
                return self.warn_of_entry(hit, "has FILTER entry without value");
            }
            Action::Filter if !text.contains(':') => {
                return self.warn_of_entry(hit, "requires transport:destination");
            }
            Action::Redirect | Action::Bcc if !text.contains('@') => {
                return self.warn_of_entry(hit, "requires user@domain target");
            }
            _ => {}
        }
        let Subject { name: about, class } = hit.subject;
        let told = match action {
            Action::Hold | Action::Discard if text.is_empty() => format!("triggers {name} action"),
            Action::Hold | Action::Discard => text.to_owned(),
            _ => format!("triggers {name} {text}"),
        };
        self.say(what, format!("<{about}>: {class} {told}"));
        let effects = &mut self.standing.effects;
        match action {
            Action::Filter => effects.filter = Some(text.into()),
            Action::Hold => effects.is_held = true,
            Action::Redirect => effects.redirect = Some(Address::from(text)),
            Action::Bcc => effects.bcc.push(Address::from(text)),
            _ => {
                effects.is_discarded = true;
                return Status::Ok;
            }
        }
        Status::Dunno
    }

    fn prepend(&mut self, hit: Hit<'_>, text: &str) -> Status {
        if !self.has_message(hit, "PREPEND") {
            return Status::Dunno;
        }
        if self.question.place == "END-OF-MESSAGE" {
            let table = hit.table;
            self.question.log.warning(&format!(
                "access table {table}: action PREPEND must be used before smtpd_end_of_data_restrictions"
            ));
            return Status::Dunno;
        }
        if !is_header(text.as_bytes()) {
            return self.warn_of_entry(hit, "requires header: text");
        }
        self.standing.effects.prepend.push(text.into());
        Status::Dunno
    }

    /// The table names restrictions, or classes of them.
    async fn restrictions_of(&mut self, hit: Hit<'_>, value: &str) -> Status {
        let table = hit.table;
        let log = self.question.log;
        if value.contains(':') {
            log.warning(&format!("access table {table} has entry with lookup table: {value}"));
            log.warning("do not specify lookup tables inside SMTPD access maps");
            log.warning("define a restriction class and specify its name instead.");
            return self.server_error();
        }
        if self.depth > DEPTH_MAX {
            log.warning(&format!("access table {table} entry {value} causes unreasonable recursion"));
            return self.server_error();
        }
        let rules = self.judge.settings.restrictions.named_by_table(value);
        if rules.is_empty() {
            log.warning(&format!("access table {table} entry {value} has empty value"));
            return Status::Ok;
        }
        Box::pin(self.list(&rules, hit.subject)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_an_action_and_a_text() {
        let check = |value: &str, action, text: &str| assert_eq!(parse(value), (action, text), "{value}");
        check("ok", Action::Permit, "");
        check("RELAY what follows is ignored", Action::Permit, "what follows is ignored");
        check("1700000000", Action::Permit, "");
        check("550", Action::Permit, "");
        check("550 5.1.1 gone", Action::Refuse(550), "5.1.1 gone");
        check("451\ttry again", Action::Refuse(451), "try again");
        check("350 text", Action::Restrictions, "text");
        check("5500 text", Action::Restrictions, "text");
        check("Reject  a  b", Action::Reject, "a  b");
        check("defer_if_permit", Action::DeferIfPermit, "");
        check("DEFER_IF_REJECT x", Action::DeferIfReject, "x");
        check("dunno", Action::Dunno, "");
        check("permit_mynetworks, reject", Action::Restrictions, "reject");
        check("", Action::Restrictions, "");
    }
}
