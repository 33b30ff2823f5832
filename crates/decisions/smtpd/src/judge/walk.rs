//! A walk through restriction lists.

use super::{Judge, Resolve, hostname};
use crate::{
    AccessSubject, Answer, Question, Restriction, Rules, Standing, Verdict, record::Step,
    settings::TempfailAction,
};
use bstr::{BStr, BString, ByteSlice};
use config::NotifyClasses;
use maillog::{Event, SmtpdEvent};
use std::{rc::Rc, time::Duration};
use types::{Address, AddressClass, Dsn, DsnClass, Lookup, Reply, Resolved, Trouble};

/// What a restriction says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Dunno,
    Ok,
    Reject(Reply),
}

/// Of what `warn_if_reject` makes no log line: what is no policy but our own trouble.
const OURS: NotifyClasses = NotifyClasses::DATA.with(NotifyClasses::SOFTWARE).with(NotifyClasses::RESOURCE);

pub(super) const CLIENT: &str = "Client host";
pub(super) const REVERSE_CLIENT: &str = "Unverified Client host";
pub(super) const HELO: &str = "Helo command";
pub(super) const SASL_USER: &str = "SASL login name";
pub(super) const SENDER: &str = "Sender address";
pub(super) const RECIPIENT: &str = "Recipient address";

/// The state of one evaluation.
pub(super) struct Walk<'w, R> {
    pub(super) judge: &'w Judge<R>,
    pub(super) question: &'w Question<'w>,
    pub(super) sender: Option<&'w Address>,
    pub(super) recipient: Option<&'w Address>,
    pub(super) helo: Option<&'w BStr>,
    /// The site that ETRN names.
    pub(super) etrn: Option<&'w BStr>,
    pub(super) standing: Standing,
    defer_if_permit: Option<Reply>,
    defer_if_reject: Option<Reply>,
    /// 0, or how deep in classes `warn_if_reject` stands.
    warn_if_reject: u32,
    pub(super) depth: u32,
    /// How many default actions of policy services are being carried out, one within another.
    pub(super) default_actions: u32,
    /// What a table without `check_*_access` before it is asked for.
    pub(super) list_subject: Option<AccessSubject>,
    recipient_checked: bool,
    /// The last address that was resolved: most restrictions ask for the same one.
    resolved: Option<(Address, Resolved)>,
}

/// Name and class of what is refused, as replies have them: `<name>: class rejected: ...`.
#[derive(Clone, Copy)]
pub(super) struct Subject<'w> {
    pub(super) name: &'w BStr,
    pub(super) class: &'static str,
}

impl<R: Resolve> Judge<R> {
    pub(super) fn walk<'w>(
        &'w self,
        question: &'w Question<'w>,
        sender: Option<&'w Address>,
        recipient: Option<&'w Address>,
    ) -> Walk<'w, R> {
        Walk {
            judge: self,
            question,
            sender,
            recipient,
            helo: question.helo,
            etrn: None,
            standing: question.standing.clone(),
            defer_if_permit: None,
            defer_if_reject: None,
            warn_if_reject: 0,
            depth: 0,
            default_actions: 0,
            list_subject: None,
            recipient_checked: false,
            resolved: None,
        }
    }

    pub(super) async fn helo(&self, question: &Question<'_>, name: &BString) -> Verdict {
        let mut walk = self.walk(question, None, None);
        walk.helo = Some(name.as_bstr());
        let refusal = walk.check_helo().await;
        walk.verdict(refusal)
    }

    pub(super) async fn mail(&self, question: &Question<'_>, sender: &Address, size_bytes: u64) -> Verdict {
        let steady = self.probe_sender(sender);
        let mut walk = self.walk(question, Some(steady.as_ref().unwrap_or(sender)), None);
        if let Some(refusal) = super::size_refusal(&self.settings, question, sender, size_bytes) {
            walk.standing.trouble = NotifyClasses::POLICY;
            return walk.verdict(Some(refusal));
        }
        if !self.settings.protocol.smtpd_delay_reject
            && let Some(refusal) = walk.check_mail().await
        {
            return walk.verdict(Some(refusal));
        }
        let is_local = match self.is_local_client(question).await {
            Ok(is_local) => is_local,
            Err(trouble) => {
                question.log.warning(&trouble.to_string());
                let reply = Reply::new(451, Dsn::temporary(3, 0), "Temporary lookup error");
                walk.standing.trouble = walk.standing.trouble.with(NotifyClasses::RESOURCE);
                walk.log("reject", &reply);
                return walk.verdict(Some(reply));
            }
        };
        if !self.has_space() {
            let reply = Reply::new(452, Dsn::temporary(3, 1), "Insufficient system storage");
            // As Postfix logs it.
            walk.sender = None;
            let status = walk.reject(NotifyClasses::RESOURCE, reply);
            let free = (self.free_bytes)();
            question.log.warning(&format!(
                "not enough free space in mail queue: {free} bytes < 1.5*message size limit"
            ));
            return walk.verdict(status.refusal());
        }
        let answer = if is_local { Answer::AcceptLocal } else { Answer::Accept };
        Verdict { answer, standing: walk.into_standing() }
    }

    /// `resolved` is what the recipient resolves to for its transaction's sender, if it is known.
    pub(super) async fn rcpt(
        &self,
        question: &Question<'_>,
        recipient: &Address,
        resolved: Option<Resolved>,
    ) -> Verdict {
        let sender = question.transaction.map(|transaction| &transaction.sender);
        let steady = sender.and_then(|sender| self.probe_sender(sender));
        let mut walk = self.walk(question, steady.as_ref().or(sender), Some(recipient));
        if steady.is_none() {
            walk.resolved = resolved.map(|resolved| (recipient.clone(), resolved));
        }
        if let Some(steady) = self.probe_sender(recipient).filter(|steady| !steady.is_null()) {
            return Verdict { answer: Answer::AcceptAs(steady), standing: walk.into_standing() };
        }
        // Everybody may write to the postmaster (RFC 5321 §4.5.1).
        if recipient.as_bytes().eq_ignore_ascii_case(b"postmaster") {
            return walk.verdict(None);
        }
        let refusal = walk.check_rcpt(recipient).await;
        walk.verdict(refusal)
    }

    pub(super) async fn data(
        &self,
        question: &Question<'_>,
        rules: &Rc<Rules>,
        name: &'static str,
        class: &'static str,
    ) -> Verdict {
        let transaction = question.transaction;
        let one = transaction.filter(|transaction| transaction.recipients.len() == 1);
        let recipient = one.and_then(|transaction| transaction.recipients.first()).map(|r| &r.address);
        let mut walk = self.walk(question, transaction.map(|transaction| &transaction.sender), recipient);
        let status = walk.list(rules, Subject { name: name.into(), class }).await;
        let status = walk.deferred_unless_rejected(status);
        walk.verdict(status.refusal())
    }
}

impl Status {
    pub(super) fn refusal(self) -> Option<Reply> {
        match self {
            Self::Reject(reply) => Some(reply),
            Self::Dunno | Self::Ok => None,
        }
    }
}

impl<R: Resolve> Walk<'_, R> {
    pub(super) fn into_standing(self) -> Standing {
        self.standing
    }

    pub(super) fn verdict(self, refusal: Option<Reply>) -> Verdict {
        Verdict { answer: refusal.map_or(Answer::Accept, Answer::Refuse), standing: self.standing }
    }

    fn reset(&mut self, list_subject: AccessSubject) {
        self.depth = 0;
        self.warn_if_reject = 0;
        self.defer_if_reject = None;
        self.list_subject = Some(list_subject);
    }

    pub(super) async fn check_client(&mut self) -> Option<Reply> {
        self.defer_if_permit = None;
        self.reset(AccessSubject::Client);
        let rules = Rc::clone(&self.judge.settings.restrictions.smtpd_client_restrictions);
        let name = self.question.peer.client.to_string();
        let status = self.list(&rules, Subject { name: name.as_str().into(), class: CLIENT }).await;
        self.standing.defer_client = self.defer_if_permit.clone();
        status.refusal()
    }

    pub(super) async fn check_helo(&mut self) -> Option<Reply> {
        let name = self.helo?;
        self.defer_if_permit = self.standing.defer_client.clone();
        self.reset(AccessSubject::Helo);
        let rules = Rc::clone(&self.judge.settings.restrictions.smtpd_helo_restrictions);
        let status = self.list(&rules, Subject { name, class: HELO }).await;
        self.standing.defer_helo = self.defer_if_permit.clone();
        status.refusal()
    }

    /// A list of its own, after those of the client and of HELO: what they have put off is still to be said.
    pub(super) async fn check_list(
        &mut self,
        rules: &Rules,
        subject: AccessSubject,
        (name, class): (&str, &'static str),
        deferred: Option<Reply>,
    ) -> Option<Reply> {
        self.defer_if_permit = deferred;
        self.reset(subject);
        let status = self.list(rules, Subject { name: name.into(), class }).await;
        self.deferred_unless_rejected(status).refusal()
    }

    async fn check_mail(&mut self) -> Option<Reply> {
        let sender = self.sender?;
        let standing = &mut self.standing;
        self.defer_if_permit = standing.defer_client.clone().or_else(|| standing.defer_helo.clone());
        standing.sender_checked = false;
        self.reset(AccessSubject::Sender);
        let restrictions = &self.judge.settings.restrictions;
        let rules = Rc::clone(&restrictions.smtpd_sender_restrictions);
        let mut status = self.list(&rules, Subject { name: sender.as_bstr(), class: SENDER }).await;
        self.standing.defer_sender = self.defer_if_permit.clone();
        let is_open = self.is_open(&status) && !self.standing.sender_checked;
        if restrictions.smtpd_reject_unlisted_sender && is_open && !sender.is_null() {
            status = self.unlisted_sender(sender).await;
        }
        status.refusal()
    }

    async fn check_rcpt(&mut self, recipient: &Address) -> Option<Reply> {
        if self.judge.settings.protocol.smtpd_delay_reject {
            if let Some(refusal) = self.check_client().await {
                return Some(refusal);
            }
            if let Some(refusal) = self.check_helo().await {
                return Some(refusal);
            }
            if let Some(refusal) = self.check_mail().await {
                return Some(refusal);
            }
        }
        self.defer_if_permit = self.standing.defer_sender.clone();
        self.reset(AccessSubject::Recipient);
        let mut status = self.check_both_lists(recipient).await;
        let restrictions = &self.judge.settings.restrictions;
        status = self.deferred_unless_rejected(status);
        let is_open = self.is_open(&status) && !self.recipient_checked;
        if restrictions.smtpd_reject_unlisted_recipient && is_open {
            status = self.unlisted_recipient(recipient).await;
        }
        status.refusal()
    }

    /// The restrictions of relaying and of recipients, in the order that is asked for.
    async fn check_both_lists(&mut self, recipient: &Address) -> Status {
        let (judge, question) = (self.judge, self.question);
        let restrictions = &judge.settings.restrictions;
        let subject = Subject { name: recipient.as_bstr(), class: RECIPIENT };
        let old = judge.old_defaults.smtpd_relay_restrictions.as_ref();
        let relay = old.unwrap_or(&restrictions.smtpd_relay_restrictions);
        let mut lists = [
            (Rc::clone(relay), old.is_some()),
            (Rc::clone(&restrictions.smtpd_recipient_restrictions), false),
        ];
        if !restrictions.smtpd_relay_before_recipient_restrictions || old.is_some() {
            lists.reverse();
        }
        let mut status = Status::Dunno;
        for (at, (rules, is_trial)) in lists.into_iter().enumerate() {
            status = self.list(&rules, subject).await;
            if is_trial && status == Status::Dunno {
                judge.note_relay_restrictions(question, recipient);
            }
            if matches!(status, Status::Reject(_)) {
                if at == 0 {
                    judge.note_refused_first(question, recipient);
                }
                break;
            }
        }
        status
    }

    /// A `defer_if_permit` that fired earlier takes effect where nothing rejected.
    fn deferred_unless_rejected(&mut self, status: Status) -> Status {
        match (&status, self.defer_if_permit.clone()) {
            (Status::Dunno | Status::Ok, Some(reply)) => self.reject(NotifyClasses::POLICY, reply),
            _ => status,
        }
    }

    /// Whether there is still something to be found out.
    fn is_open(&self, status: &Status) -> bool {
        !matches!(status, Status::Reject(_)) && !self.standing.effects.is_discarded
    }

    /// Evaluates a list from left to right.
    pub(super) async fn list(&mut self, rules: &Rules, subject: Subject<'_>) -> Status {
        let outer = self.depth;
        self.depth += 1;
        let mut status = Status::Dunno;
        let mut rest = rules.iter();
        while let Some(rule) = rest.next() {
            if self.standing.effects.is_discarded {
                break;
            }
            if matches!(rule, Restriction::Ignored(_)) {
                continue;
            }
            if *rule == Restriction::WarnIfReject {
                if self.warn_if_reject == 0 {
                    self.warn_if_reject = self.depth;
                }
                continue;
            }
            self.tell_rule(rule, subject);
            status = match rule {
                Restriction::Class(rules) => Box::pin(self.list(rules, subject)).await,
                rule => match self.rule(rule, subject).await {
                    Ok(status) => status,
                    Err(trouble) => self.trouble(&trouble, subject.name),
                },
            };
            if let Some(Restriction::Ignored(next)) = rest.as_slice().first() {
                self.say_ignored(rule, next);
            }
            self.end_warning();
            let is_settled = self.defer_if_permit.is_some() && self.defer_if_reject.is_some();
            if status != Status::Dunno || is_settled {
                break;
            }
        }
        self.depth = outer;
        self.end_warning();
        status
    }

    fn say_ignored(&self, rule: &Restriction, next: &str) {
        let end = match rule {
            Restriction::Permit => "permit",
            Restriction::Reject => "reject",
            _ => "defer",
        };
        if self.warn_if_reject == 0 || *rule == Restriction::Permit {
            self.question.log.warning(&format!("restriction `{next}' after `{end}' is ignored"));
        }
    }

    fn end_warning(&mut self) {
        if self.warn_if_reject >= self.depth {
            self.warn_if_reject = 0;
        }
    }

    async fn rule(&mut self, rule: &Restriction, subject: Subject<'_>) -> Result<Status, Trouble> {
        use Restriction as Rule;
        let judge = self.judge;
        let codes = &judge.settings.codes;
        let status = match rule {
            Rule::Permit => self.permit("permit", subject, "").await,
            Rule::Reject => self.refuse(codes.reject_code, Dsn::permanent(7, 1), subject, "Access denied"),
            Rule::Defer => self.refuse(codes.defer_code, Dsn::temporary(3, 2), subject, "Try again later"),
            Rule::DeferIfPermit => self.defer_later(deferral(subject, "defer_if_permit requested")),
            Rule::DeferIfReject => self.defer_rejects(deferral(subject, "defer_if_reject requested")),
            Rule::PermitInetInterfaces => {
                let is_ours = judge.own_addresses.contains(&self.question.peer.socket_address);
                self.permit_client_if("permit_inet_interfaces", is_ours).await
            }
            Rule::PermitMynetworks => {
                let is_inside = judge.in_mynetworks(self.question).await?;
                if is_inside {
                    judge.note_mynetworks(self.question).await;
                }
                self.permit_client_if("permit_mynetworks", is_inside).await
            }
            Rule::PermitSaslAuthenticated => {
                let login = self.question.peer.login.as_ref();
                let is_known = login.is_some_and(|login| !login.method.eq_ignore_ascii_case("anonymous"));
                self.permit_client_if("permit_sasl_authenticated", is_known).await
            }
            Rule::Nobody(_) => Status::Dunno,
            Rule::Sleep(seconds) => {
                judge.clock.sleep(Duration::from_secs(u64::from(*seconds))).await;
                Status::Dunno
            }
            Rule::SenderLogin(rule) => Box::pin(self.sender_login(*rule)).await?,
            Rule::Access { subject: of, table } => self.access(*of, *table, subject).await?,
            Rule::ServerAccess { subject: of, servers, table } => {
                self.server_access(*of, *servers, *table).await
            }
            // What it needs while it waits is not part of every walk.
            Rule::PolicyService(service) => Box::pin(self.policy(*service, subject)).await,
            Rule::DnsList { subject: of, permits, list } => self.dns_list(list, *of, *permits).await?,
            Rule::RejectUnknownClientHostname
            | Rule::RejectUnknownReverseClientHostname
            | Rule::RejectUnknownHeloHostname
            | Rule::RejectUnauthPipelining
            | Rule::RejectPlaintextSession => self.client_rule(rule, subject).await,
            Rule::RejectNonFqdnHeloHostname | Rule::RejectInvalidHeloHostname => self.helo_rule(rule),
            Rule::RejectNonFqdnSender
            | Rule::RejectUnknownSenderDomain
            | Rule::RejectUnlistedSender
            | Rule::RejectUnverifiedSender => match self.sender.filter(|sender| !sender.is_null()) {
                Some(sender) => self.address_rule(rule, sender, SENDER).await?,
                None => Status::Dunno,
            },
            Rule::RejectMultiRecipientBounce => self.multi_recipient_bounce(subject),
            Rule::WarnIfReject | Rule::Ignored(_) | Rule::Class(_) => Status::Dunno,
            Rule::Unusable(why) => {
                self.question.log.warning(why);
                self.server_error()
            }
            rule => match self.recipient {
                Some(recipient) => self.address_rule(rule, recipient, RECIPIENT).await?,
                None => Status::Dunno,
            },
        };
        Ok(status)
    }

    async fn address_rule(
        &mut self,
        rule: &Restriction,
        address: &Address,
        class: &'static str,
    ) -> Result<Status, Trouble> {
        use Restriction as Rule;
        let codes = &self.judge.settings.codes;
        let subject = Subject { name: address.as_bstr(), class };
        Ok(match rule {
            Rule::PermitAuthDestination => match self.is_auth_destination(address).await? {
                true => self.permit("permit_auth_destination", subject, "").await,
                false => Status::Dunno,
            },
            Rule::RejectUnauthDestination | Rule::DeferUnauthDestination => {
                if self.is_auth_destination(address).await? {
                    return Ok(Status::Dunno);
                }
                let code = codes.relay_domains_reject_code;
                let text = format!("<{address}>: Relay access denied");
                let is_final = *rule == Rule::RejectUnauthDestination;
                let (code, dsn) = match is_final {
                    true => (code, Dsn::permanent(7, 1)),
                    false => (code.saturating_sub(100), Dsn::temporary(7, 1)),
                };
                self.reject(NotifyClasses::POLICY, Reply::new(code, dsn, text))
            }
            Rule::RejectUnlistedSender => self.unlisted_sender(address).await,
            Rule::RejectUnverifiedRecipient if address.is_null() => Status::Dunno,
            Rule::RejectUnverifiedSender | Rule::RejectUnverifiedRecipient => {
                // Boxed, as the next ones: what is not used takes no room in each session.
                Box::pin(self.unverified(address, class)).await
            }
            Rule::PermitMxBackup => Box::pin(self.mx_backup(address, subject)).await?,
            Rule::RejectUnlistedRecipient => self.unlisted_recipient(address).await,
            Rule::RejectNonFqdnSender | Rule::RejectNonFqdnRecipient => {
                let is_smtputf8 = self.question.transaction.is_some_and(|t| t.is_smtputf8);
                if hostname::is_full_address(address, is_smtputf8) {
                    return Ok(Status::Dunno);
                }
                let text = "need fully-qualified address";
                self.refuse(codes.non_fqdn_reject_code, Dsn::temporary(5, 2), subject, text)
            }
            Rule::RejectUnknownSenderDomain | Rule::RejectUnknownRecipientDomain => {
                self.unknown_domain(address, subject).await?
            }
            _ => Status::Dunno,
        })
    }

    pub(super) fn helo_rule(&mut self, rule: &Restriction) -> Status {
        let Some(name) = self.helo else { return Status::Dunno };
        let codes = &self.judge.settings.codes;
        let subject = Subject { name, class: HELO };
        let dsn = Dsn::permanent(5, 2);
        let want_full = *rule == Restriction::RejectNonFqdnHeloHostname;
        let is_smtputf8 = self.question.transaction.is_some_and(|transaction| transaction.is_smtputf8);
        match hostname::judge_helo(name, want_full, is_smtputf8) {
            Ok(()) => Status::Dunno,
            Err(text @ "need fully-qualified hostname") => {
                self.refuse(codes.non_fqdn_reject_code, dsn, subject, text)
            }
            Err(text) => self.refuse(codes.invalid_hostname_reject_code, dsn, subject, text),
        }
    }

    fn multi_recipient_bounce(&mut self, subject: Subject<'_>) -> Status {
        let accepted = self.question.transaction.map_or(0, |transaction| transaction.recipients.len());
        let before = usize::from(self.question.place != "RCPT");
        if self.sender.is_some_and(Address::is_null) && accepted > before {
            let code = self.judge.settings.codes.multi_recipient_bounce_reject_code;
            return self.refuse(code, Dsn::permanent(5, 3), subject, "Multi-recipient bounce");
        }
        Status::Dunno
    }

    /// Are we responsible for the address, or do we relay for its domain? Addresses that ask for
    /// another hop after us do not count.
    pub(super) async fn is_auth_destination(&mut self, address: &Address) -> Result<bool, Trouble> {
        let allow_routing = self.judge.allow_untrusted_routing;
        let resolved = self.resolve(address).await?;
        if resolved.recipient.domain().is_none() {
            return Ok(true);
        }
        let is_ours = (allow_routing || !resolved.is_routed) && resolved.class != AddressClass::Default;
        if is_ours && resolved.class == AddressClass::Relay {
            self.judge.note_relay_domain(self.question, address);
        }
        Ok(is_ours)
    }

    /// Resolves an address; the answer for the last one is kept.
    pub(super) async fn resolve(&mut self, address: &Address) -> Result<&Resolved, Trouble> {
        let is_known = self.resolved.as_ref().is_some_and(|(known, _)| known == address);
        if !is_known {
            let null = Address::null();
            let sender = self.sender.unwrap_or(&null);
            self.resolved = match self.judge.resolver.resolve(sender, address).await {
                Lookup::Found(resolved) => Some((address.clone(), resolved)),
                Lookup::Absent => None,
                Lookup::TryAgain(trouble) => return Err(trouble),
            };
        }
        match &self.resolved {
            Some((_, resolved)) => Ok(resolved),
            None => Err(Trouble::new(format!("{address}: address resolution gave no answer"))),
        }
    }

    async fn unlisted_sender(&mut self, sender: &Address) -> Status {
        if self.judge.settings.restrictions.no_unknown_recipient_checks
            || std::mem::replace(&mut self.standing.sender_checked, true)
        {
            return Status::Dunno;
        }
        self.standing.sender_checked = self.warn_if_reject == 0;
        self.unlisted(sender, SENDER).await
    }

    async fn unlisted_recipient(&mut self, recipient: &Address) -> Status {
        if self.judge.settings.restrictions.no_unknown_recipient_checks
            || recipient.is_null()
            || std::mem::replace(&mut self.recipient_checked, true)
        {
            return Status::Dunno;
        }
        self.recipient_checked = self.warn_if_reject == 0;
        self.unlisted(recipient, RECIPIENT).await
    }

    /// `<name>: class rejected: text`
    pub(super) fn refuse(&mut self, code: u16, dsn: Dsn, subject: Subject<'_>, text: &str) -> Status {
        self.reject(NotifyClasses::POLICY, Reply::new(code, dsn, refusal_text(subject, text)))
    }

    /// A table or server did not answer.
    pub(super) fn trouble(&mut self, trouble: &Trouble, name: &BStr) -> Status {
        self.question.log.warning(&trouble.to_string());
        let text = format!("<{name}>: Temporary lookup failure");
        self.reject(NotifyClasses::DATA, Reply::new(451, Dsn::temporary(3, 0), text))
    }

    pub(super) fn server_error(&mut self) -> Status {
        let text = "Server configuration error";
        self.reject(NotifyClasses::SOFTWARE, Reply::new(451, Dsn::temporary(3, 5), text))
    }

    /// Refuses, and logs that; `warn_if_reject` makes a log line of it, `defer_if_reject` a 4xx.
    pub(super) fn reject(&mut self, class: NotifyClasses, mut reply: Reply) -> Status {
        let is_warning = self.warn_if_reject > 0 && !class.has_any(OURS);
        self.standing.trouble = self.standing.trouble.with(class);
        if !(400..600).contains(&reply.code) {
            self.question.log.warning(&format!("SMTP reply code configuration error: {reply}"));
            reply = Reply::new(450, Dsn::temporary(7, 1), "Service unavailable");
        }
        shorten(&mut reply.text, self.judge.settings.protocol.smtputf8_enable);
        if !is_warning && reply.code >= 500 && self.defer_if_reject.is_some() {
            self.warn_if_reject = 0;
            if let Some(deferral) = self.defer_if_reject.take() {
                return self.reject(NotifyClasses::POLICY, deferral);
            }
        }
        if self.judge.settings.protocol.soft_bounce && reply.code >= 500 {
            reply.code -= 100;
        }
        let class = if reply.code >= 500 { DsnClass::Permanent } else { DsnClass::Temporary };
        reply.dsn = reply.dsn.map(|dsn| dsn.with_class(class));
        if is_warning {
            self.log("reject_warning", &reply);
            return Status::Dunno;
        }
        self.log("reject", &reply);
        Status::Reject(reply)
    }

    /// Permits, and tells the log where `smtpd_log_access_permit_actions` wants that and nothing overrules it.
    pub(super) async fn permit(&self, action: &str, subject: Subject<'_>, from: &str) -> Status {
        let wanted = &self.judge.smtpd_log_access_permit_actions;
        if self.defer_if_permit.is_none() && wanted.matches(action.as_bytes()).await == Ok(true) {
            let Subject { name, class } = subject;
            let text = format!("action={action} for {class}={name} {from}");
            self.log("permit", &Reply::bare(0, text));
        }
        Status::Ok
    }

    pub(super) async fn permit_client_if(&self, action: &str, matches: bool) -> Status {
        if !matches {
            return Status::Dunno;
        }
        let name = self.question.peer.client.to_string();
        self.permit(action, Subject { name: name.as_str().into(), class: CLIENT }, "").await
    }

    /// What is done where DNS fails for now.
    pub(super) fn defer_as(&mut self, action: TempfailAction, reply: Reply) -> Status {
        match action {
            TempfailAction::Defer => self.reject(NotifyClasses::POLICY, reply),
            TempfailAction::DeferIfPermit => self.defer_later(reply),
        }
    }

    /// Makes a temporary refusal of what the rest permits; `warn_if_reject` makes a log line of it.
    pub(super) fn defer_later(&mut self, reply: Reply) -> Status {
        if self.warn_if_reject > 0 {
            return self.reject(NotifyClasses::POLICY, reply);
        }
        self.defer_if_permit.get_or_insert(reply);
        Status::Dunno
    }

    /// Makes a temporary refusal of what the rest refuses for good.
    pub(super) fn defer_rejects(&mut self, reply: Reply) -> Status {
        self.defer_if_reject.get_or_insert(reply);
        Status::Dunno
    }

    /// For whoever watches.
    pub(super) fn tell(&self, step: Step<'_>) {
        if let Some(witness) = &self.judge.witness {
            witness.see(step);
        }
    }

    fn tell_rule(&self, rule: &Restriction, subject: Subject<'_>) {
        let Subject { name, class } = subject;
        self.tell(Step::Rule { rule, place: self.question.place, name, class });
    }

    pub(super) fn log(&self, what: &str, reply: &Reply) {
        self.tell(Step::Said { what, reply });
        let question = self.question;
        let transaction = question.transaction;
        question.log.event(&Event::Smtpd(SmtpdEvent::Reject {
            id: question.queue_id,
            what,
            stage: question.place,
            client: &question.peer.client,
            reply,
            sender: self.sender.or_else(|| transaction.map(|transaction| &transaction.sender)),
            recipient: self.recipient,
            protocol: Some(question.protocol),
            helo: self.helo,
            sasl: question.sasl(),
        }));
    }
}

pub(super) fn refusal_text(subject: Subject<'_>, text: &str) -> String {
    format!("<{}>: {} rejected: {text}", subject.name, subject.class)
}

fn deferral(subject: Subject<'_>, text: &str) -> Reply {
    Reply::new(450, Dsn::temporary(7, 0), refusal_text(subject, text))
}

/// Replies fit in a line of 512 bytes; a client must not put line ends into our log or replies, nor, without SMTPUTF8,
/// bytes that are not ASCII.
fn shorten(text: &mut String, smtputf8_enable: bool) {
    const TEXT_MAX: usize = 500;
    let is_plain = |c: char| !c.is_control() && (smtputf8_enable || c.is_ascii());
    if !text.chars().all(is_plain) {
        let blanks = |c: char| if c == char::REPLACEMENT_CHARACTER { 1 } else { c.len_utf8() };
        let shown = |c: char| if is_plain(c) { (c, 1) } else { (' ', blanks(c)) };
        *text = text.chars().map(shown).flat_map(|(c, count)| std::iter::repeat_n(c, count)).collect();
    }
    let end = (0..=TEXT_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
}
