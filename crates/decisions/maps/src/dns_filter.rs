//! Records of the DNS that an administrator does not want seen (postconf(5) `smtp_dns_reply_filter`,
//! `smtpd_dns_reply_filter`).

use crate::Maps;
use maillog::{Logger, Severity};
use types::{Lookup, Trouble};
use world::{Dns, DnsAnswer, Record, RecordData, RecordType};

/// A resolver behind a filter.
#[derive(Clone, Copy)]
pub struct FilteredDns<'a> {
    /// The resolver.
    pub dns: &'a dyn Dns,
    /// Tables whose keys are records as text; none lets everything pass.
    pub filter: &'a Maps,
    /// Told of each record that is ignored.
    pub logger: &'a Logger,
}

/// An answer after the filter.
#[derive(Debug)]
pub enum Filtered {
    /// What the name server said, without what is not wanted.
    Answer(DnsAnswer),
    /// There were records, and the filter wants none of them; the text says so.
    Dropped(String),
    /// The filter cannot be asked, or says what is no action: nobody knows which records are wanted.
    Broken(Trouble),
}

impl FilteredDns<'_> {
    /// Asks, and leaves out what the filter does not want.
    pub async fn query(&self, name: &str, record_type: RecordType) -> Filtered {
        let (mut records, is_authentic) = match self.dns.query(name, record_type).await {
            DnsAnswer::Records { records, is_authentic }
                if !self.filter.is_empty() && !records.iter().any(Record::is_null_mx) =>
            {
                (records, is_authentic)
            }
            answer => return Filtered::Answer(answer),
        };
        let failed = |why: &str| format!("Error looking up name={name} type={}: {why}", record_type.as_str());
        let mut kept = Vec::with_capacity(records.len());
        for record in records.drain(..) {
            match self.wants(&record, record_type).await {
                Ok(true) => kept.push(record),
                Ok(false) => {}
                Err(why) => {
                    self.logger.warning(&why);
                    return Filtered::Broken(Trouble::new(failed("Invalid DNS reply filter syntax")));
                }
            }
        }
        if kept.is_empty() {
            return Filtered::Dropped(failed("DNS reply filter drops all results"));
        }
        Filtered::Answer(DnsAnswer::Records { records: kept, is_authentic })
    }

    async fn wants(&self, record: &Record, record_type: RecordType) -> Result<bool, String> {
        let text = as_text(record, record_type);
        let value = match self.filter.find(text.as_bytes()).await {
            Lookup::Absent => return Ok(true),
            Lookup::Found(value) => value,
            Lookup::TryAgain(trouble) => return Err(trouble.to_string()),
        };
        let value = String::from_utf8_lossy(&value);
        let action = value.split([' ', '\t']).next().unwrap_or_default();
        if action.eq_ignore_ascii_case("IGNORE") {
            self.logger.write(Severity::Info, &format!("ignoring DNS RR: {text}"));
            return Ok(false);
        }
        Err(format!("{}: unknown DNS filter action: \"{value}\"", self.filter.title()))
    }
}

/// `name. ttl IN type data`, as zone files have it.
fn as_text(record: &Record, record_type: RecordType) -> String {
    let data = match &record.data {
        RecordData::A(address) => address.to_string(),
        RecordData::Aaaa(address) => address.to_string(),
        RecordData::Mx(mx) => format!("{} {}.", mx.preference, mx.host),
        RecordData::Name(name) => format!("{name}."),
        RecordData::Srv { priority, weight, port, host } => format!("{priority} {weight} {port} {host}."),
        RecordData::Tlsa(usage, selector, matching, data) => {
            let digits: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{usage} {selector} {matching} {digits}")
        }
        RecordData::Txt(text) => world::printable(text),
    };
    format!("{}. {} IN {} {data}", record.name, record.ttl_seconds, record_type.as_str())
}
