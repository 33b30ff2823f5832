//! MAIL, RCPT and VRFY.

use super::{
    Done, Opening, Session, State,
    dsn::{DsnOfMail, DsnOfRcpt},
};
use crate::{Answer, Ask, Effects, EhloKeywords, Grant, MailChecks, Transaction, path, replies};
use anvil::Event;
use bstr::{BString, ByteSlice};
use config::NotifyClasses;
use maillog::printable;
use message::{QuoteOptions, quote_822_local};
use types::{Address, BodyEncoding, Dsn, FixedReply, Recipient, Reply, VerpDelimiters};
use wire::command::{Word, Words};

/// What waits while a judge is asked.
#[derive(Debug)]
pub(super) enum Pending {
    Nothing,
    Mail { text: BString, parameters: MailParameters, complaint: Option<Complaint> },
    Rcpt { text: BString, dsn: DsnOfRcpt, complaint: Option<Complaint> },
    Bdat { size: u64, is_last: bool },
}

/// A complaint about the parameters of a command, given after the address was found good.
#[derive(Debug)]
pub(super) struct Complaint {
    reply: Reply,
    done: Done,
    trouble: NotifyClasses,
}

impl Complaint {
    /// A parameter that is wrong, or more than can be had (552).
    fn parameter(reply: Reply) -> Self {
        let is_excess = reply.code == replies::HUGE_SIZE.code;
        let trouble = if is_excess { NotifyClasses::POLICY } else { NotifyClasses::PROTOCOL };
        Self { reply, done: Done::Bad, trouble }
    }

    /// What the postmaster does not hear of.
    fn unclassed(reply: FixedReply) -> Self {
        Self { reply: reply.into(), done: Done::Bad, trouble: NotifyClasses::default() }
    }
}

/// Parameters of MAIL.
#[derive(Debug, Default)]
pub(super) struct MailParameters {
    encoding: BodyEncoding,
    size_bytes: u64,
    is_smtputf8: bool,
    sasl_sender: Option<BString>,
    dsn: DsnOfMail,
    verp: Option<VerpDelimiters>,
}

/// What MAIL and RCPT have in common: `FROM:` or `TO:`, a path, parameters.
fn split<'a>(mut words: Words<'a>, keyword: &[u8]) -> Option<(Word<'a>, Words<'a>)> {
    words.next().filter(|word| word.text.eq_ignore_ascii_case(keyword))?;
    Some((words.next()?, words))
}

impl Session {
    pub(super) fn mail(&mut self, words: Words<'_>) {
        if self.needs_helo() {
            return self.refuse_with(replies::NEED_HELO);
        }
        if self.transaction.is_some() {
            return self.refuse_with(replies::NESTED_MAIL);
        }
        if self.content.is_bdat() {
            return self.refuse_with(replies::MAIL_AFTER_BDAT);
        }
        let Some((path, words)) = split(words, b"from:") else {
            return self.refuse_with(replies::MAIL_SYNTAX);
        };
        if let Some(reply) = self.too_often(Event::Message, "too much mail") {
            return self.refuse_excess(&reply);
        }
        let Some(sender) = self.parse_path(path, true) else { return self.refuse_with(replies::BAD_SENDER) };
        let is_smtputf8 =
            self.offers_smtputf8() && words.clone().any(|word| word.text.eq_ignore_ascii_case(b"SMTPUTF8"));
        let mut parameters = MailParameters { is_smtputf8, ..MailParameters::default() };
        let complaint =
            words.map(|word| self.mail_parameter(&mut parameters, word.text)).find_map(Result::err);
        let is_verp_of_nobody = parameters.verp.is_some() && sender.is_null();
        let (complaint, checks) = match complaint {
            Some(reply) => (Some(Complaint::parameter(reply)), MailChecks::Address),
            None if is_verp_of_nobody => {
                (Some(Complaint::unclassed(replies::VERP_OF_NOBODY)), MailChecks::Size)
            }
            None => (None, MailChecks::All),
        };
        // What a refused MAIL has left behind is none of this one's.
        self.standing.effects = Effects::default();
        let (size_bytes, sasl_sender) = (parameters.size_bytes, parameters.sasl_sender.clone());
        let ask = Ask::Mail { sender, size_bytes, is_smtputf8, sasl_sender, checks };
        self.ask_with(ask, Pending::Mail { text: path.text.into(), parameters, complaint });
    }

    fn mail_parameter(&self, parameters: &mut MailParameters, text: &[u8]) -> Result<(), Reply> {
        let (keyword, value) = parameter_of(text);
        let is = |name: &[u8]| keyword.eq_ignore_ascii_case(name);
        match value {
            Some(value) if is(b"BODY") && value.eq_ignore_ascii_case(b"8BITMIME") => {
                parameters.encoding = BodyEncoding::EightBit;
            }
            Some(value) if is(b"BODY") && value.eq_ignore_ascii_case(b"7BIT") => {
                parameters.encoding = BodyEncoding::SevenBit;
            }
            Some(value) if is(b"SIZE") => parameters.size_bytes = parse_size(value)?,
            None if is(b"SMTPUTF8") && self.offers_smtputf8() => {}
            _ if is(b"XVERP") && self.greeting.grants.xverp == Grant::Yes => {
                parameters.verp = Some(self.verp(value)?);
            }
            Some(_) if (is(b"RET") || is(b"ENVID")) && !self.offers_dsn() => {
                return Err(replies::DSN_OFF.into());
            }
            Some(value) if is(b"RET") || is(b"ENVID") => parameters.dsn.take(keyword, value)?,
            Some(value) if is(b"AUTH") => {
                if parameters.sasl_sender.is_some() {
                    return Err(replies::MULTIPLE_AUTH.into());
                }
                parameters.sasl_sender = (value != b"<>").then(|| maillog::printable(value).into());
            }
            _ => return Err(unsupported(text)),
        }
        Ok(())
    }

    pub(super) fn mail_judged(&mut self, sender: Address, pending: Pending, answer: Answer) {
        let Pending::Mail { text, parameters, complaint } = pending else { return };
        match answer {
            Answer::IllegalAddress => {
                self.warn_illegal_address(&text);
                return self.refuse_with(replies::BAD_SENDER);
            }
            Answer::Refuse(reply) => return self.refuse(&reply),
            _ => {}
        }
        if let Some(complaint) = complaint {
            return self.complain(&complaint);
        }
        if self.must_declare_smtputf8(&sender, parameters.is_smtputf8) {
            return self.refuse_with(replies::DECLARE_UTF8);
        }
        let mut transaction = Transaction::new(sender);
        transaction.encoding = parameters.encoding;
        transaction.size_bytes = parameters.size_bytes;
        transaction.is_smtputf8 = parameters.is_smtputf8;
        transaction.dsn_return = parameters.dsn.returns;
        transaction.dsn_envid = parameters.dsn.envid;
        transaction.sasl_sender = parameters.sasl_sender;
        transaction.verp = parameters.verp;
        transaction.is_local_rewrite = answer == Answer::AcceptLocal;
        self.transaction = Some(transaction);
        if self.settings.protocol.smtpd_delay_open_until_valid_rcpt {
            self.accept_with(replies::SENDER_OK);
        } else {
            self.state = State::Opening(Opening::AfterMail);
        }
    }

    pub(super) fn rcpt(&mut self, words: Words<'_>) {
        let Some(transaction) = &self.transaction else { return self.refuse_with(replies::NEED_MAIL) };
        if self.content.is_bdat() {
            return self.refuse_with(replies::RCPT_AFTER_BDAT);
        }
        let is_smtputf8 = transaction.is_smtputf8;
        let is_over = transaction.recipients.len() >= self.settings.limits.smtpd_recipient_limit;
        let Some((path, words)) = split(words, b"to:") else {
            return self.refuse_with(replies::RCPT_SYNTAX);
        };
        if let Some(reply) = self.too_often(Event::Recipient, "too many recipients") {
            return self.refuse_excess(&reply);
        }
        let Some(recipient) = self.parse_path(path, false) else {
            return self.refuse_with(replies::BAD_RECIPIENT);
        };
        let mut dsn = DsnOfRcpt::default();
        let mut parameters = words.map(|word| self.rcpt_parameter(&mut dsn, word.text));
        let complaint = if let Some(reply) = parameters.find_map(Result::err) {
            Some(Complaint::parameter(reply))
        } else if is_over {
            Some(self.too_many_recipients())
        } else {
            self.must_declare_smtputf8(&recipient, is_smtputf8)
                .then(|| Complaint::unclassed(replies::DECLARE_UTF8))
        };
        let address_only = complaint.is_some();
        let ask = Ask::Rcpt { recipient, address_only };
        self.ask_with(ask, Pending::Rcpt { text: path.text.into(), dsn, complaint });
    }

    /// Beyond `smtpd_recipient_limit` the client is told to come again; it may overdo that up to
    /// `smtpd_recipient_overshoot_limit` before it counts as an error.
    fn too_many_recipients(&mut self) -> Complaint {
        let limit = self.settings.limits.smtpd_recipient_overshoot_limit;
        let overshoot = self.transaction.as_mut().map_or(0, |transaction| {
            transaction.overshoot = transaction.overshoot.saturating_add(1);
            transaction.overshoot - 1
        });
        let (done, trouble) = match overshoot < limit {
            true => (Done::Good, NotifyClasses::default()),
            false => (Done::Bad, NotifyClasses::POLICY),
        };
        Complaint { reply: replies::TOO_MANY_RECIPIENTS.into(), done, trouble }
    }

    pub(super) fn rcpt_judged(&mut self, recipient: Address, pending: Pending, answer: Answer) {
        let Pending::Rcpt { text, dsn, complaint } = pending else { return };
        match answer {
            Answer::IllegalAddress => {
                self.warn_illegal_address(&text);
                return self.refuse_with(replies::BAD_RECIPIENT);
            }
            Answer::Refuse(reply) => return self.refuse(&reply),
            _ => {}
        }
        if let Some(complaint) = complaint {
            return self.complain(&complaint);
        }
        let recipient = match answer {
            Answer::AcceptAs(address) => address,
            _ => recipient,
        };
        let recipient = Recipient {
            dsn_orcpt: dsn.orcpt.unwrap_or_else(|| self.implied_orcpt(&recipient, &text)),
            dsn_notify: dsn.notify,
            address: recipient,
            ..Recipient::default()
        };
        if self.queue_id().is_some() {
            self.add_recipient(recipient);
        } else {
            self.state = State::Opening(Opening::AfterRcpt(recipient));
        }
    }

    /// What the client said, where cleanup does not make the same of the address by itself: most recipients are kept once, not
    /// three times.
    fn implied_orcpt(&self, recipient: &Address, text: &[u8]) -> BString {
        let original = text.strip_prefix(b"<").and_then(|t| t.strip_suffix(b">")).unwrap_or(text);
        let quoted = quote_822_local(recipient.as_bytes(), QuoteOptions::default());
        if *original == *quoted && !self.peer.is_stand_alone {
            return BString::default();
        }
        [b"rfc822;", original].concat().into()
    }

    pub(super) fn message_opened(&mut self, opening: Opening) {
        match opening {
            Opening::AfterMail => self.accept_with(replies::SENDER_OK),
            Opening::AfterRcpt(recipient) => self.add_recipient(recipient),
        }
    }

    fn add_recipient(&mut self, recipient: Recipient) {
        if let Some(transaction) = &mut self.transaction {
            transaction.recipients.push(recipient);
        }
        self.accept_with(replies::RECIPIENT_OK);
    }

    pub(super) fn vrfy(&mut self, words: Words<'_>) {
        if self.settings.protocol.disable_vrfy_command {
            return self.refuse_with(replies::VRFY_OFF);
        }
        let mut words: Vec<&[u8]> = words.map(|word| word.text).collect();
        let offers_smtputf8 = self.offers_smtputf8();
        let is_smtputf8 =
            words.pop_if(|last| offers_smtputf8 && last.eq_ignore_ascii_case(b"SMTPUTF8")).is_some();
        if words.is_empty() {
            let has_smtputf8 = self.settings.protocol.smtputf8_enable;
            let reply = if has_smtputf8 { replies::VRFY_SYNTAX_UTF8 } else { replies::VRFY_SYNTAX };
            return self.refuse_with(reply);
        }
        if let Some(reply) = self.too_often(Event::Recipient, "too many recipients") {
            return self.refuse_excess(&reply);
        }
        let text = words.join(&b' ');
        let Ok(recipient) = path::parse(&text, false, false) else {
            self.warn_illegal_address(&text);
            return self.refuse_with(replies::BAD_RECIPIENT);
        };
        let complaint = self
            .must_declare_smtputf8(&recipient, is_smtputf8)
            .then(|| Complaint::unclassed(replies::DECLARE_UTF8));
        let address_only = complaint.is_some();
        let ask = Ask::Vrfy { recipient, is_smtputf8, address_only };
        self.ask_with(ask, Pending::Rcpt { text: text.into(), dsn: DsnOfRcpt::default(), complaint });
    }

    pub(super) fn vrfy_judged(&mut self, pending: Pending, answer: Answer) {
        let Pending::Rcpt { text, complaint, .. } = pending else { return };
        match (answer, complaint) {
            (Answer::IllegalAddress, _) => {
                self.warn_illegal_address(&text);
                self.refuse_with(replies::BAD_RECIPIENT);
            }
            (Answer::Refuse(reply), _) => self.refuse(&reply),
            (_, Some(complaint)) => self.complain(&complaint),
            (_, None) => {
                self.reply(&Reply::new(252, Dsn::success(0, 0), text.to_str_lossy()));
                self.finish_command(Done::Good);
            }
        }
    }

    fn complain(&mut self, complaint: &Complaint) {
        self.history.note(complaint.trouble);
        self.reply(&complaint.reply);
        self.finish_command(complaint.done);
    }

    fn parse_path(&self, path: Word<'_>, allow_null: bool) -> Option<Address> {
        if !path.is_closed {
            return None;
        }
        let strict = self.settings.protocol.strict_rfc821_envelopes;
        let address = path::parse(path.text, allow_null, strict).ok();
        if address.is_none() {
            self.warn_illegal_address(path.text);
        }
        address
    }

    fn warn_illegal_address(&self, text: &[u8]) {
        let (client, place, text) = (&self.peer.client, self.place, printable(text));
        self.warn(format_args!("Illegal address syntax from {client} in {place} command: {text}"));
    }

    fn offers_smtputf8(&self) -> bool {
        self.settings.protocol.smtputf8_enable && !self.greeting.discard.has(EhloKeywords::SMTPUTF8)
    }

    fn must_declare_smtputf8(&self, address: &Address, is_declared: bool) -> bool {
        self.settings.protocol.strict_smtputf8 && !is_declared && !address.as_bytes().is_ascii()
    }
}

/// `KEYWORD=value`, or a keyword alone.
pub(super) fn parameter_of(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.find_byte(b'=') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

pub(super) fn unsupported(parameter: &[u8]) -> Reply {
    let text = format!("Unsupported option: {}", parameter.to_str_lossy());
    Reply::new(555, Dsn::permanent(5, 4), text)
}

/// RFC 1870: a number in decimal. More than a file can hold is refused.
fn parse_size(digits: &[u8]) -> Result<u64, FixedReply> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(replies::BAD_SIZE);
    }
    let size = digits.to_str().ok().and_then(|text| text.parse::<i64>().ok());
    size.and_then(|size| u64::try_from(size).ok()).ok_or(replies::HUGE_SIZE)
}
