//! DNS block and allow lists (postconf(5) `reject_rbl_client` and its kin).

use super::{
    Resolve,
    hostname::is_valid,
    walk::{CLIENT, HELO, RECIPIENT, REVERSE_CLIENT, SENDER, Status, Subject, Walk, refusal_text},
};
use crate::{DnsListSubject, record::Step};
use bstr::{BStr, BString, ByteSlice};
use config::{
    NotifyClasses, Values,
    expand::{Options, expand},
    params as p,
    reject_footer::unescaped,
};
use dnsbl::{Answers, Complaints, DnsList, Listing};
use maps::{Filtered, Maps};
use std::net::IpAddr;
use types::{Address, Dsn, Reply, Trouble};
use world::{DnsAnswer, RecordData, RecordType, Tables};

/// Bytes of TXT records that a reply may show.
const TEXT_MAX: usize = 500;

/// What counts as a list's answer, and what those that it has are told.
pub(super) struct DnsListReplies {
    answers: Answers,
    complaints: Complaints,
    rbl_reply_maps: Maps,
    default_rbl_reply: String,
    pub(super) smtpd_expand_filter: String,
}

impl DnsListReplies {
    pub(super) fn open(values: &Values, tables: &dyn Tables) -> Self {
        Self {
            answers: Answers::load(values),
            complaints: Complaints::default(),
            rbl_reply_maps: Maps::open("rbl_reply_maps", values.text(p::rbl_reply_maps), tables),
            default_rbl_reply: values.text(p::default_rbl_reply).to_owned(),
            smtpd_expand_filter: unescaped(values.text(p::smtpd_expansion_filter)),
        }
    }
}

enum Listed {
    No,
    Yes { text: String },
    TryAgain,
}

impl<R: Resolve> Walk<'_, R> {
    pub(super) async fn dns_list(
        &mut self,
        list: &DnsList,
        subject: DnsListSubject,
        permits: bool,
    ) -> Result<Status, Trouble> {
        let Some((what, class)) = self.listed_name(subject) else { return Ok(Status::Dunno) };
        if permits && !self.may_permit().await? {
            return Ok(Status::Dunno);
        }
        let query = match subject {
            DnsListSubject::ClientAddress => Some(reversed(self.question.peer.address)),
            _ => domain_of(&what),
        };
        let Some(query) = query else { return Ok(Status::Dunno) };
        Ok(match (self.listed(&format!("{query}.{}", list.domain), list).await, permits) {
            (Listed::No, _) | (Listed::TryAgain, false) => Status::Dunno,
            (Listed::Yes { .. }, true) => {
                let is_address = subject == DnsListSubject::ClientAddress;
                let action = if is_address { "permit_dnswl_client" } else { "permit_rhswl_client" };
                self.permit_client_if(action, true).await
            }
            (Listed::TryAgain, true) => {
                let subject = Subject { name: what.as_bstr(), class };
                let text = refusal_text(subject, "Service unavailable");
                self.defer_rejects(Reply::new(450, Dsn::temporary(7, 1), text))
            }
            (Listed::Yes { text }, false) => {
                self.refuse_listed(list, Subject { name: what.as_bstr(), class }, &text).await
            }
        })
    }

    /// What is looked up, if it is there.
    fn listed_name(&self, subject: DnsListSubject) -> Option<(BString, &'static str)> {
        let peer = self.question.peer;
        let known = |name: &str| (!name.eq_ignore_ascii_case("unknown")).then(|| BString::from(name));
        let address = |address: &Address| (!address.is_null()).then(|| BString::from(address.as_bytes()));
        Some(match subject {
            DnsListSubject::ClientAddress => (peer.client.address.as_str().into(), CLIENT),
            DnsListSubject::ClientName => (known(&peer.client.name)?, CLIENT),
            DnsListSubject::ReverseClientName => (known(&peer.reverse_name)?, REVERSE_CLIENT),
            DnsListSubject::Helo => (self.helo?.to_owned(), HELO),
            DnsListSubject::Sender => (self.sender.and_then(address)?, SENDER),
            DnsListSubject::Recipient => (self.recipient.and_then(address)?, RECIPIENT),
        })
    }

    /// An allow list must not open a relay.
    async fn may_permit(&mut self) -> Result<bool, Trouble> {
        match self.recipient {
            Some(recipient) if self.question.place == "RCPT" => self.is_auth_destination(recipient).await,
            _ => Ok(true),
        }
    }

    async fn listed(&self, query: &str, list: &DnsList) -> Listed {
        let (names, log) = (&self.judge.names, self.question.log);
        let answer = match names.records(query, RecordType::A, log).await {
            Filtered::Answer(DnsAnswer::Records { records, .. }) => Ok(records),
            Filtered::Answer(DnsAnswer::NoName | DnsAnswer::NoData) => return Listed::No,
            Filtered::Answer(DnsAnswer::Invalid(trouble) | DnsAnswer::TryAgain(trouble))
            | Filtered::Broken(trouble) => Err(trouble.to_string()),
            Filtered::Dropped(text) => Err(text),
        };
        let records = match answer {
            Ok(records) => records,
            // Mail must not stop because a list does.
            Err(trouble) => {
                log.warning(&format!("{query}: RBL lookup error: {trouble}"));
                return Listed::TryAgain;
            }
        };
        let lists = &self.judge.dns_list_replies;
        let listing = lists.answers.judge(list, &records);
        self.tell(Step::Listed { query: query.into(), listing });
        match listing {
            Listing::Listed => {}
            Listing::NotListed => return Listed::No,
            Listing::Rubbish(address) => {
                let complaint = lists.complaints.about(list, query, address, self.question.now);
                complaint.iter().for_each(|text| log.warning(text));
                return Listed::TryAgain;
            }
        }
        Listed::Yes { text: self.reason_of(query).await }
    }

    /// Why a list has somebody, as far as it says.
    async fn reason_of(&self, query: &str) -> String {
        let (names, log) = (&self.judge.names, self.question.log);
        let texts = match names.records(query, RecordType::Txt, log).await {
            Filtered::Answer(DnsAnswer::Records { records, .. }) => records,
            Filtered::Dropped(_) => {
                log.warning(&format!("{query}: TXT lookup error: DNS reply filter drops all results"));
                Vec::new()
            }
            Filtered::Answer(_) | Filtered::Broken(_) => Vec::new(),
        };
        let texts: Vec<String> = texts
            .into_iter()
            .filter_map(|record| match record.data {
                RecordData::Txt(text) => Some(world::printable(&text)),
                _ => None,
            })
            .collect();
        let mut text = texts.join(" / ");
        // It is ASCII.
        text.truncate(TEXT_MAX);
        text
    }

    async fn refuse_listed(&mut self, list: &DnsList, subject: Subject<'_>, text: &str) -> Status {
        let replies = &self.judge.dns_list_replies;
        let found = match replies.rbl_reply_maps.find(list.text.as_bytes()).await.into_result() {
            Ok(None) if list.text != list.domain => {
                replies.rbl_reply_maps.find(list.domain.as_bytes()).await.into_result()
            }
            found => found,
        };
        let template = match found {
            Ok(template) => template,
            Err(trouble) => {
                self.question.log.warning(&trouble.to_string());
                return self.server_error();
            }
        };
        let own = template.map(|template| template.to_str_lossy().into_owned());
        let default = replies.default_rbl_reply.clone();
        let filled = own.and_then(|own| {
            let filled = self.fill(&own, list, subject, text);
            if filled.is_none() {
                let log = self.question.log;
                log.warning(&format!("bad rbl reply template for domain {}: {own}", list.text));
            }
            filled
        });
        let filled = filled.or_else(|| self.fill(&default, list, subject, text)).unwrap_or_default();
        let code = filled.get(..3).filter(|code| code.bytes().all(|b| b.is_ascii_digit()));
        let reply = match (code.and_then(|code| code.parse::<u16>().ok()), filled.get(3..)) {
            (Some(code @ 400..600), Some(rest)) if rest.starts_with(' ') => {
                let (dsn, text) = Dsn::parse_prefix(&rest[1..]).unwrap_or((Dsn::temporary(7, 1), &rest[1..]));
                let text = text.trim_start();
                let text = if text.is_empty() { "Service unavailable" } else { text };
                Reply::new(code, self.fit(dsn, subject.class), text)
            }
            _ => {
                let log = self.question.log;
                log.warning(&format!("rbl response code configuration error: {filled}"));
                Reply::new(450, Dsn::temporary(7, 1), "Service unavailable")
            }
        };
        self.reject(NotifyClasses::POLICY, reply)
    }

    /// Fills a template in; `None` when it is none.
    fn fill(&self, template: &str, list: &DnsList, subject: Subject<'_>, text: &str) -> Option<String> {
        let replies = &self.judge.dns_list_replies;
        let names = |name: &str| match name {
            "rbl_code" => Some(self.judge.settings.codes.maps_rbl_reject_code.to_string()),
            "rbl_domain" => Some(list.domain.clone()),
            "rbl_reason" | "rbl_txt" => Some(text.to_owned()),
            "rbl_what" => Some(subject.name.to_string()),
            "rbl_class" => Some(subject.class.to_owned()),
            name => self.session_value(name),
        };
        let options = Options { allowed: Some(&replies.smtpd_expand_filter), ..Options::default() };
        let expansion = expand(template, options, &names);
        expansion.warnings.iter().for_each(|warning| self.question.log.warning(warning));
        (!expansion.error && !expansion.undefined).then_some(expansion.text)
    }

    /// What templates may say of the session; nothing of the configuration.
    pub(super) fn session_value(&self, name: &str) -> Option<String> {
        let peer = self.question.peer;
        Some(match name {
            "server_name" => self.judge.settings.myhostname.clone(),
            "localtime" => (self.judge.local_time)(),
            "client" => peer.client.to_string(),
            "client_port" => peer.port_text(),
            "client_address" => peer.client.address.clone(),
            "client_name" => peer.client.name.clone(),
            "reverse_client_name" => peer.reverse_name.clone(),
            "helo_name" => self.helo.map_or_else(String::new, BStr::to_string),
            name => {
                let (address, part) = match (name.strip_prefix("sender"), name.strip_prefix("recipient")) {
                    (Some(part), _) => (self.sender, part),
                    (_, Some(part)) => (self.recipient, part),
                    _ => {
                        let log = self.question.log;
                        log.warning(&format!("unknown macro name \"{name}\" in expansion request"));
                        return None;
                    }
                };
                return address_value(address, part);
            }
        })
    }
}

/// `$sender`, `$sender_name`, `$sender_domain`.
fn address_value(address: Option<&Address>, part: &str) -> Option<String> {
    let Some(address) = address else { return Some(String::new()) };
    Some(match part {
        "" | "_name" if address.is_null() => "<>".to_owned(),
        "" => address.to_string(),
        "_name" => address.localpart().to_str_lossy().into_owned(),
        "_domain" => address.domain().map_or_else(String::new, |domain| domain.to_str_lossy().into_owned()),
        _ => return None,
    })
}

/// `2.0.0.127`, or 32 nibbles.
fn reversed(address: IpAddr) -> String {
    let name = crate::peer::reverse_query(address);
    let name = name.strip_suffix(".in-addr.arpa").or_else(|| name.strip_suffix(".ip6.arpa"));
    name.unwrap_or_default().to_owned()
}

/// The domain that a list of names is asked for: none for what ends in a number.
fn domain_of(name: &[u8]) -> Option<String> {
    let domain = match name.rfind_byte(b'@') {
        Some(at) => &name[at + 1..],
        None => name,
    };
    let last = domain.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let is_number = last.iter().all(u8::is_ascii_digit);
    (!is_number && is_valid(domain, false)).then(|| domain.to_str_lossy().into_owned())
}
