//! What the judge asks about names: records, which pass `smtpd_dns_reply_filter` first, and addresses as the C library
//! finds them, which no filter sees.

use super::{Surroundings, hostname::is_valid};
use config::{Protocols, Values, domain_to_ascii, params as p};
use maillog::Logger;
use maps::{Filtered, FilteredDns, Maps};
use std::{borrow::Cow, net::IpAddr, rc::Rc};
use world::{Dns, DnsAnswer, RecordType};

/// Who knows names.
pub(super) struct Names {
    dns: Rc<dyn Dns>,
    host_names: Rc<dyn Dns>,
    smtpd_dns_reply_filter: Maps,
    protocols: Protocols,
}

/// What the look-ups of several record types amount to, as Postfix ranks it: what is worth most is the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    NoName,
    NoData,
    NullMx,
    Invalid,
    TryAgain,
    Broken,
    Dropped,
    Found,
}

impl Outcome {
    pub(super) fn of(answer: &Filtered) -> Self {
        match answer {
            Filtered::Answer(DnsAnswer::Records { records, .. }) => {
                if records.iter().any(world::Record::is_null_mx) { Self::NullMx } else { Self::Found }
            }
            Filtered::Answer(DnsAnswer::NoName) => Self::NoName,
            Filtered::Answer(DnsAnswer::NoData) => Self::NoData,
            Filtered::Answer(DnsAnswer::Invalid(_)) => Self::Invalid,
            Filtered::Answer(DnsAnswer::TryAgain(_)) => Self::TryAgain,
            Filtered::Dropped(_) => Self::Dropped,
            Filtered::Broken(_) => Self::Broken,
        }
    }

    /// As replies and log lines say it: the resolver's error, which there is none of where it is the answer that is bad.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::NoName => "Host not found",
            Self::NoData | Self::NullMx => "Host found but no data record of requested type",
            Self::TryAgain => "Host not found, try again",
            Self::Dropped => "DNS reply filter policy",
            Self::Invalid | Self::Broken | Self::Found => "Unknown error 0",
        }
    }
}

impl Names {
    pub(super) fn open(values: &Values, around: &Surroundings<'_>) -> Self {
        let filter = values.text(p::smtpd_dns_reply_filter);
        Self {
            dns: Rc::clone(&around.dns),
            host_names: Rc::clone(&around.host_names),
            smtpd_dns_reply_filter: Maps::open("smtpd_dns_reply_filter", filter, around.tables),
            protocols: values.inet_protocols(),
        }
    }

    /// Records that are wanted. A name that no host can have does not exist.
    pub(super) async fn records(&self, name: &str, record_type: RecordType, logger: &Logger) -> Filtered {
        let name = match name.is_ascii() {
            true => Cow::Borrowed(name),
            false => domain_to_ascii(name).map_or(Cow::Borrowed(name), Cow::Owned),
        };
        if !is_valid(name.as_bytes(), false) {
            return Filtered::Answer(DnsAnswer::NoName);
        }
        let dns = FilteredDns { dns: &*self.dns, filter: &self.smtpd_dns_reply_filter, logger };
        dns.query(&name, record_type).await
    }

    /// The addresses in the records of a host, of the protocols that are spoken.
    pub(super) async fn recorded_addresses(
        &self,
        host: &str,
        logger: &Logger,
    ) -> Result<Vec<IpAddr>, Outcome> {
        let mut addresses = Vec::new();
        let mut outcome = Outcome::NoName;
        for record_type in self.address_types() {
            let answer = self.records(host, record_type, logger).await;
            outcome = outcome.max(Outcome::of(&answer));
            if let Filtered::Answer(DnsAnswer::Records { records, .. }) = answer {
                addresses.extend(records.iter().filter_map(|record| record.data.address()));
            }
        }
        if addresses.is_empty() { Err(outcome) } else { Ok(addresses) }
    }

    /// As getaddrinfo(3) finds them; the error is its text.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, &'static str> {
        let mut addresses = Vec::new();
        let mut why = "Name or service not known";
        for record_type in self.address_types() {
            match self.host_names.query(host, record_type).await {
                DnsAnswer::Records { records, .. } => {
                    addresses.extend(records.iter().filter_map(|record| record.data.address()));
                }
                DnsAnswer::NoName => {}
                DnsAnswer::NoData => why = "No address associated with hostname",
                DnsAnswer::Invalid(_) | DnsAnswer::TryAgain(_) => {
                    why = "Temporary failure in name resolution";
                }
            }
        }
        if addresses.is_empty() { Err(why) } else { Ok(addresses) }
    }

    fn address_types(&self) -> impl Iterator<Item = RecordType> + use<> {
        let Protocols { ipv4, ipv6 } = self.protocols;
        let types = [(RecordType::A, ipv4), (RecordType::Aaaa, ipv6)];
        types.into_iter().filter_map(|(record_type, is_spoken)| is_spoken.then_some(record_type))
    }
}
