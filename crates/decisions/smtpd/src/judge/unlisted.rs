//! Does an address exist? (`smtpd_reject_unlisted_recipient`, ADDRESS_CLASS_README)

use super::{
    Resolve,
    walk::{RECIPIENT, SENDER, Status, Subject, Walk, refusal_text},
};
use config::NotifyClasses;
use maillog::{Event, SmtpdEvent};
use maps::{AddressMaps, Strategy};
use types::{Address, AddressClass, Dsn, Lookup, Reply, Resolved, Trouble};

impl<R: Resolve> Walk<'_, R> {
    pub(super) async fn unlisted(&mut self, address: &Address, class: &'static str) -> Status {
        match self.find_listed(address, class).await {
            Ok(status) => status,
            Err(trouble) => self.trouble(&trouble, address.as_bstr()),
        }
    }

    async fn find_listed(&mut self, address: &Address, class: &'static str) -> Result<Status, Trouble> {
        let resolved = self.resolve(address).await?.clone();
        let tables = &self.judge.recipients;
        let key = resolved.recipient.as_bytes();
        // What a table changes into another address exists.
        let is_changed = is_listed(&tables.recipient_canonical_maps, key).await?
            || (class == SENDER && is_listed(&tables.sender_canonical_maps, key).await?)
            || is_listed(&tables.canonical_maps, key).await?
            || is_listed(&tables.virtual_alias_maps, key).await?;
        if is_changed {
            return Ok(Status::Dunno);
        }
        let subject = Subject { name: address.as_bstr(), class };
        if let Some(status) = self.by_transport(&resolved, subject) {
            return Ok(status);
        }
        let status = self.by_class(&resolved, subject).await?;
        if status == Status::Dunno && resolved.class == AddressClass::Relay {
            self.judge.note_relay_address(self.question, address);
        }
        Ok(status)
    }

    /// Transports `error` and `retry` refuse what they would return.
    fn by_transport(&mut self, resolved: &Resolved, subject: Subject<'_>) -> Option<Status> {
        let codes = &self.judge.settings.codes;
        let detail = u16::from(subject.class != SENDER);
        let (code, default) = match resolved.transport.as_str() {
            "error" if resolved.class == AddressClass::VirtualAlias => {
                (codes.unknown_virtual_alias_reject_code, Dsn::permanent(1, detail))
            }
            "error" => (550, Dsn::permanent(1, detail)),
            "retry" => (450, Dsn::temporary(1, detail)),
            _ => return None,
        };
        let nexthop = resolved.nexthop.to_string();
        let (dsn, text) = match Dsn::parse_prefix(&nexthop) {
            Some((dsn, text)) => (dsn, text.trim_start()),
            None => (default, nexthop.as_str()),
        };
        let text = refusal_text(subject, text);
        let dsn = self.fit(dsn, subject.class);
        Some(self.reject(NotifyClasses::BOUNCE, Reply::new(code, dsn, text)))
    }

    /// A status code as it fits what is refused; the log tells when that is another.
    pub(super) fn fit(&self, dsn: Dsn, class: &'static str) -> Dsn {
        let fitting = fitting(dsn, class);
        if fitting != dsn {
            let event = SmtpdEvent::FittedStatus { given: dsn, class, fitting };
            self.question.log.event(&Event::Smtpd(event));
        }
        fitting
    }

    async fn by_class(&mut self, resolved: &Resolved, subject: Subject<'_>) -> Result<Status, Trouble> {
        let tables = &self.judge.recipients;
        let codes = &self.judge.settings.codes;
        let (maps, code, table) = match resolved.class {
            AddressClass::Local if tables.is_always_there(&resolved.recipient) => return Ok(Status::Dunno),
            AddressClass::Local => {
                let code = codes.unknown_local_recipient_reject_code;
                (&tables.local_recipient_maps, code, " in local recipient table")
            }
            AddressClass::VirtualMailbox => {
                let code = codes.unknown_virtual_mailbox_reject_code;
                (&tables.virtual_mailbox_maps, code, " in virtual mailbox table")
            }
            AddressClass::Relay => {
                let code = codes.unknown_relay_recipient_reject_code;
                (&tables.relay_recipient_maps, code, " in relay recipient table")
            }
            AddressClass::VirtualAlias | AddressClass::Default => return Ok(Status::Dunno),
        };
        if maps.maps.is_empty() || is_listed(maps, resolved.recipient.as_bytes()).await? {
            return Ok(Status::Dunno);
        }
        let table = if codes.show_user_unknown_table_name { table } else { "" };
        let dsn = Dsn::permanent(1, u16::from(subject.class != SENDER));
        let text = refusal_text(subject, &format!("User unknown{table}"));
        Ok(self.reject(NotifyClasses::BOUNCE, Reply::new(code, dsn, text)))
    }
}

impl super::RecipientTables {
    /// Addresses that the mail system itself gives out.
    fn is_always_there(&self, recipient: &Address) -> bool {
        let localpart = recipient.localpart();
        recipient.domain().is_some()
            && [&self.double_bounce_sender[..], b"postmaster", b"mailer-daemon"]
                .iter()
                .any(|name| localpart.eq_ignore_ascii_case(name))
    }
}

async fn is_listed(maps: &AddressMaps, key: &[u8]) -> Result<bool, Trouble> {
    match maps.find(key, Strategy::DEFAULT).await {
        Lookup::Found(_) => Ok(true),
        Lookup::Absent => Ok(false),
        Lookup::TryAgain(trouble) => Err(trouble),
    }
}

/// A code about a recipient address says something else about a sender, and the other way round; about what is no
/// address it says nothing.
fn fitting(dsn: Dsn, class: &str) -> Dsn {
    if dsn.subject != 1 {
        return dsn;
    }
    if class != SENDER && class != RECIPIENT {
        return Dsn { subject: 0, detail: 0, ..dsn };
    }
    let detail = match (dsn.detail, class == SENDER) {
        (2 | 8, true) => 8,
        (1 | 3 | 4 | 6 | 7, true) => 7,
        (_, true) => 0,
        (detail @ 1..=6, false) => detail,
        (7, false) => 3,
        (8, false) => 2,
        (_, false) => 0,
    };
    Dsn { detail, ..dsn }
}
