//! Host names: their syntax, and whether mail can be sent to them.

use super::{
    Resolve,
    names::Outcome,
    walk::{HELO, SENDER, Status, Subject, Walk, refusal_text},
};
use crate::{NameStatus, Restriction};
use bstr::{BStr, ByteSlice};
use config::NotifyClasses;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use types::{Address, AddressClass, Dsn, Reply, Trouble};
use world::RecordType;

const LABEL_SIZE_MAX: usize = 63;
const NAME_SIZE_MAX: usize = 255;

/// Letters, digits, hyphens inside labels and underscores; not all digits (RFC 1035 as Postfix reads it).
pub(super) fn is_valid(name: &[u8], allow_utf8: bool) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (allow_utf8 && b >= 0x80);
    let is_label = |label: &[u8]| {
        let inside = label.iter().all(|b| is_letter(*b) || *b == b'-');
        let ends = label.first() != Some(&b'-') && label.last() != Some(&b'-');
        !label.is_empty() && label.len() <= LABEL_SIZE_MAX && inside && ends
    };
    let is_number = name.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    name.len() <= NAME_SIZE_MAX && !is_number && name.split(|b| *b == b'.').all(is_label)
}

/// A host name as Postfix takes one from a client that it trusts.
pub(crate) fn is_valid_hostname(name: &[u8]) -> bool {
    is_valid(name, false)
}

/// A site, as ETRN names it: a host name, or an address in brackets.
pub(crate) fn is_site(name: &[u8]) -> bool {
    let inner = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]"));
    inner.map_or_else(|| is_valid_hostname(name), is_literal)
}

fn without_final_dot(name: &[u8]) -> &[u8] {
    match name.strip_suffix(b".") {
        Some(rest) if !rest.is_empty() => rest,
        _ => name,
    }
}

fn is_address(text: &[u8]) -> bool {
    let Ok(text) = text.to_str() else { return false };
    text.parse::<IpAddr>().is_ok()
}

/// An address as it stands in brackets: `192.0.2.1` or `IPv6:2001:db8::1`.
fn is_literal(text: &[u8]) -> bool {
    let Ok(text) = text.to_str() else { return false };
    match text.get(..5) {
        Some(prefix) if prefix.eq_ignore_ascii_case("ipv6:") => text[5..].parse::<Ipv6Addr>().is_ok(),
        _ => text.parse::<Ipv4Addr>().is_ok(),
    }
}

/// `reject_invalid_helo_hostname`, and `reject_non_fqdn_helo_hostname` when `want_full`: that one takes UTF-8 in a
/// transaction that declared it.
pub(super) fn judge_helo(name: &[u8], want_full: bool, is_smtputf8: bool) -> Result<(), &'static str> {
    if name.starts_with(b"[") {
        let inner = name.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]"));
        return if inner.is_some_and(is_literal) { Ok(()) } else { Err("invalid ip address") };
    }
    let name = without_final_dot(name);
    if want_full {
        let is_full = is_valid(name, is_smtputf8) && name.contains(&b'.');
        return if is_full { Ok(()) } else { Err("need fully-qualified hostname") };
    }
    if is_valid(name, false) || is_address(name) { Ok(()) } else { Err("Invalid name") }
}

/// `reject_non_fqdn_sender` and `reject_non_fqdn_recipient`.
pub(super) fn is_full_address(address: &Address, is_smtputf8: bool) -> bool {
    let Some(domain) = address.domain() else { return false };
    if domain.starts_with(b"[") && domain.ends_with(b"]") {
        return true;
    }
    let domain = without_final_dot(domain);
    is_valid(domain, is_smtputf8) && domain.contains(&b'.')
}

impl<R: Resolve> Walk<'_, R> {
    /// `reject_unknown_sender_domain` and `reject_unknown_recipient_domain`: not for our own addresses.
    pub(super) async fn unknown_domain(
        &mut self,
        address: &Address,
        subject: Subject<'_>,
    ) -> Result<Status, Trouble> {
        let resolved = self.resolve(address).await?;
        let ours = [AddressClass::Local, AddressClass::VirtualAlias, AddressClass::VirtualMailbox];
        let Some(domain) = resolved.recipient.domain() else { return Ok(Status::Dunno) };
        if ours.contains(&resolved.class) || (domain.starts_with(b"[") && domain.ends_with(b"]")) {
            return Ok(Status::Dunno);
        }
        let domain = domain.to_owned();
        let is_sender = subject.class == SENDER;
        let detail = if is_sender { 8 } else { 2 };
        let code = self.judge.settings.codes.unknown_address_reject_code;
        let types = [RecordType::Mx, RecordType::A, RecordType::Aaaa];
        let dsn = Dsn::temporary(1, detail);
        let status = match self.mail_host(domain.as_bstr(), types).await {
            Outcome::Found => Status::Dunno,
            Outcome::Dropped => self.nothing_wanted(domain.as_bstr(), "MX or address"),
            Outcome::NullMx => {
                let (code, dsn) =
                    if is_sender { (550, Dsn::temporary(7, 27)) } else { (556, Dsn::temporary(1, 10)) };
                let text = format!("Domain {domain} does not accept mail (nullMX)");
                self.refuse(code, dsn, subject, &text)
            }
            Outcome::NoName | Outcome::NoData => self.refuse(code, dsn, subject, "Domain not found"),
            Outcome::Invalid => self.refuse(code, dsn, subject, "Malformed DNS server reply"),
            Outcome::TryAgain | Outcome::Broken => {
                let text = refusal_text(subject, "Domain not found");
                let action = self.judge.settings.codes.unknown_address_tempfail_action;
                self.defer_as(action, Reply::new(450, dsn, text))
            }
        };
        Ok(status)
    }

    /// Rules about the client itself.
    pub(super) async fn client_rule(&mut self, rule: &Restriction, subject: Subject<'_>) -> Status {
        match rule {
            Restriction::RejectUnknownClientHostname => self.unknown_client(),
            Restriction::RejectUnknownReverseClientHostname => self.unknown_reverse_client(),
            Restriction::RejectUnknownHeloHostname => self.unknown_helo().await,
            Restriction::RejectUnauthPipelining if self.question.has_improper_pipelining => {
                let text = refusal_text(subject, "Improper use of SMTP command pipelining");
                self.reject(NotifyClasses::PROTOCOL, Reply::new(503, Dsn::permanent(5, 0), text))
            }
            Restriction::RejectPlaintextSession => {
                let code = self.judge.settings.codes.plaintext_reject_code;
                let reply = Reply::new(code, Dsn::temporary(7, 1), "Session encryption is required");
                self.reject(NotifyClasses::POLICY, reply)
            }
            _ => Status::Dunno,
        }
    }

    /// `reject_unknown_helo_hostname`
    async fn unknown_helo(&mut self) -> Status {
        let Some(name) = self.helo else { return Status::Dunno };
        let subject = Subject { name, class: HELO };
        let codes = &self.judge.settings.codes;
        if name.starts_with(b"[") {
            return self.helo_rule(&Restriction::RejectInvalidHeloHostname);
        }
        let types = [RecordType::A, RecordType::Aaaa, RecordType::Mx];
        let code = codes.unknown_hostname_reject_code;
        match self.mail_host(name, types).await {
            Outcome::Found | Outcome::NullMx => Status::Dunno,
            Outcome::Dropped => self.nothing_wanted(name, "address or MX"),
            Outcome::NoName | Outcome::NoData => {
                self.refuse(code, Dsn::temporary(7, 1), subject, "Host not found")
            }
            Outcome::Invalid => {
                self.refuse(code, Dsn::temporary(7, 1), subject, "Malformed DNS server reply")
            }
            Outcome::TryAgain | Outcome::Broken => {
                let reply = Reply::new(450, Dsn::temporary(7, 1), refusal_text(subject, "Host not found"));
                self.defer_as(codes.unknown_helo_hostname_tempfail_action, reply)
            }
        }
    }

    /// `reject_unknown_client_hostname`: a name whose address is another counts as none.
    fn unknown_client(&mut self) -> Status {
        let peer = self.question.peer;
        let code = match peer.name_status {
            NameStatus::Verified => return Status::Dunno,
            NameStatus::Temporary => 450,
            NameStatus::Absent | NameStatus::Forged => self.judge.settings.codes.unknown_client_reject_code,
        };
        let text = format!("Client host rejected: cannot find your hostname, [{}]", peer.client.address);
        self.reject(NotifyClasses::POLICY, Reply::new(code, Dsn::temporary(7, 25), text))
    }

    /// `reject_unknown_reverse_client_hostname`
    fn unknown_reverse_client(&mut self) -> Status {
        let peer = self.question.peer;
        let code = match peer.reverse_name_status {
            NameStatus::Verified => return Status::Dunno,
            NameStatus::Absent => self.judge.settings.codes.unknown_client_reject_code,
            NameStatus::Temporary | NameStatus::Forged => 450,
        };
        let address = &peer.client.address;
        let text = format!("Client host rejected: cannot find your reverse hostname, [{address}]");
        self.reject(NotifyClasses::POLICY, Reply::new(code, Dsn::temporary(7, 1), text))
    }

    /// Whether mail can be sent to a name. A search for exchangers ends with the first answer that is none for want of
    /// them; one for a host does not.
    async fn mail_host(&self, name: &BStr, types: [RecordType; 3]) -> Outcome {
        let Ok(name) = name.to_str() else { return Outcome::NoName };
        let wants_exchangers = types[0] == RecordType::Mx;
        let mut outcome = Outcome::NoName;
        for record_type in types {
            let answer = self.judge.names.records(name, record_type, self.question.log).await;
            let found = Outcome::of(&answer);
            outcome = outcome.max(found);
            let is_last = match found {
                Outcome::Found => true,
                Outcome::Invalid | Outcome::NullMx => wants_exchangers,
                Outcome::Dropped => wants_exchangers && record_type == RecordType::Mx,
                Outcome::NoName | Outcome::NoData | Outcome::TryAgain | Outcome::Broken => false,
            };
            if is_last {
                break;
            }
        }
        outcome
    }

    /// Nobody is refused for what we do not want to see.
    fn nothing_wanted(&self, name: &BStr, what: &str) -> Status {
        let text = format!("{name}: {what} lookup error: DNS reply filter drops all results");
        self.question.log.warning(&text);
        Status::Dunno
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helo_names_are_judged_as_postfix_judges_them() {
        let check = |name: &str, want_full: bool, expected: Result<(), &str>| {
            assert_eq!(judge_helo(name.as_bytes(), want_full, false), expected, "{name}");
        };
        check("mx.example.com", true, Ok(()));
        check("mx.example.com.", true, Ok(()));
        check("localhost", true, Err("need fully-qualified hostname"));
        check("localhost", false, Ok(()));
        check("-x.example", false, Err("Invalid name"));
        check("192.0.2.1", false, Ok(()));
        check("[192.0.2.1]", false, Ok(()));
        check("[IPv6:::1]", false, Ok(()));
        check("[300.0.2.1]", false, Err("invalid ip address"));
        check("[::1]", false, Err("invalid ip address"));
        check("[192.0.2.1", true, Err("invalid ip address"));
        check("[localhost]", true, Err("invalid ip address"));
        check("[192.0.2.1]", true, Ok(()));
        check("a..b", false, Err("Invalid name"));
    }

    #[test]
    fn full_addresses_have_a_domain_with_a_dot() {
        let check = |address: &str, expected| {
            assert_eq!(is_full_address(&Address::from(address), false), expected, "{address}");
        };
        check("a@example.com", true);
        check("a@example.com.", true);
        check("a@localhost", false);
        check("a", false);
        check("a@", false);
        check("a@[192.0.2.1]", true);
        check("a@b\u{e9}.example", false);
        assert!(is_full_address(&Address::from("a@b\u{e9}.example"), true));
    }
}
