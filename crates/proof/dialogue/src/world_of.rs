//! The world that a dialogue describes: tables in the text, a few DNS records.

use crate::BASE;
use config::Values;
use maillog::{Line, Sink};
use std::{
    cell::RefCell,
    net::{Ipv4Addr, Ipv6Addr},
    rc::Rc,
};
use types::{Lookup, Trouble};
use world::{Answer, Dns, DnsAnswer, MxRecord, Record, RecordData, RecordType, Table, Tables};

pub(crate) fn values(config: &[(String, String)]) -> Values {
    let own = config.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Values::for_tests(&BASE.iter().copied().chain(own).collect::<Vec<_>>())
}

/// `inline:{key=value, ...}`, `static:value`, `fail:...`. A `regexp:` table has plain text after `^`, with `\` where it must, as its
/// patterns, or is the one in the default of `smtpd_forbidden_commands`: what does not begin with a letter.
pub(crate) struct TextTables;

struct TextTable {
    name: String,
    pairs: Vec<(String, String)>,
}

impl Tables for TextTables {
    fn open(&self, name: &str) -> Rc<dyn Table> {
        let inner = name.strip_prefix("inline:{").and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        let pairs = entries(inner).filter_map(|pair| pair.split_once('='));
        let trim = |(key, value): (&str, &str)| (key.trim().to_ascii_lowercase(), value.trim().to_owned());
        Rc::new(TextTable { name: name.to_owned(), pairs: pairs.map(trim).collect() })
    }
}

/// Where the brace stands that closes one before the text.
fn closing_brace(text: &str) -> usize {
    let mut depth = 1;
    let closes = |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth == 0
    };
    text.find(closes).unwrap_or(text.len())
}

/// `key=value` or `{ key = value }`, with commas or spaces between them.
fn entries(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        text = text.trim_start_matches([' ', ',']);
        let (entry, rest) = match text.strip_prefix('{') {
            Some(braced) => braced.split_at(closing_brace(braced)),
            None => text.split_at(text.find([' ', ',']).unwrap_or(text.len())),
        };
        text = rest.strip_prefix('}').unwrap_or(rest);
        (!entry.is_empty()).then_some(entry)
    })
}

impl Table for TextTable {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        let found = |value: &str| Lookup::Found(value.as_bytes().to_vec());
        let value = match self.name.split_once(':') {
            Some(("static", value)) => {
                found(value.strip_prefix('{').and_then(|value| value.strip_suffix('}')).unwrap_or(value))
            }
            Some(("fail", _)) => Lookup::TryAgain(Trouble::new(format!("{}: it always fails", self.name))),
            Some(("regexp", rules)) if !rules.contains("[^A-Z]") => {
                first_match(rules, key).map_or(Lookup::Absent, found)
            }
            Some(("regexp", _)) if key.first().is_some_and(u8::is_ascii_alphabetic) => Lookup::Absent,
            Some(("regexp", _)) => found("Bogus"),
            _ => {
                let key = String::from_utf8_lossy(key).to_ascii_lowercase();
                let pair = self.pairs.iter().find(|(k, _)| *k == key);
                pair.map_or(Lookup::Absent, |(_, value)| found(value))
            }
        };
        Answer::ready(value)
    }

    fn is_pattern(&self) -> bool {
        self.name.starts_with("regexp:")
    }
}

/// The action of the first `{/pattern/ action}` of `{ {...}, {...} }` that matches.
fn first_match<'a>(rules: &'a str, key: &[u8]) -> Option<&'a str> {
    let key = String::from_utf8_lossy(key).to_ascii_lowercase();
    rules.split('{').find_map(|rule| {
        let (pattern, action) = rule.strip_prefix('/')?.split_once('/')?;
        let text = pattern.replace('\\', "").to_ascii_lowercase();
        let is_match = text.strip_prefix('^').is_some_and(|text| key.starts_with(text));
        is_match.then(|| action.split('}').next().unwrap_or_default().trim())
    })
}

/// The records of a dialogue; names that it does not have do not exist. A record of type `FAIL` makes its name
/// unanswerable.
pub(crate) struct TextDns(pub(crate) Vec<[String; 3]>);

impl Dns for TextDns {
    fn query<'a>(&'a self, name: &'a str, record_type: RecordType) -> Answer<'a, DnsAnswer> {
        let of_name: Vec<_> = self.0.iter().filter(|[n, ..]| n.eq_ignore_ascii_case(name)).collect();
        if of_name.iter().any(|[_, kind, _]| kind == "FAIL") {
            return Answer::ready(DnsAnswer::TryAgain(Trouble::new(format!(
                "Host or domain name not found. Name service error for name={name} type={}: \
                 Host not found, try again",
                record_type.as_str()
            ))));
        }
        let data = of_name.iter().filter(|[_, kind, _]| kind == record_type.as_str());
        let records: Vec<_> = data.filter_map(|[n, _, value]| record(n, record_type, value)).collect();
        Answer::ready(match (records.is_empty(), of_name.is_empty()) {
            (false, _) => DnsAnswer::Records { records, is_authentic: false },
            (true, true) => DnsAnswer::NoName,
            (true, false) => DnsAnswer::NoData,
        })
    }
}

fn record(name: &str, record_type: RecordType, value: &str) -> Option<Record> {
    let data = match record_type {
        RecordType::A => RecordData::A(value.parse::<Ipv4Addr>().ok()?),
        RecordType::Aaaa => RecordData::Aaaa(value.parse::<Ipv6Addr>().ok()?),
        RecordType::Mx => {
            let (preference, host) = value.split_once(' ')?;
            let host = host.trim_end_matches('.').to_owned();
            RecordData::Mx(MxRecord { preference: preference.parse().ok()?, host })
        }
        RecordType::Txt => RecordData::Txt(value.as_bytes().to_vec()),
        _ => RecordData::Name(value.trim_end_matches('.').to_owned()),
    };
    Some(Record { name: name.to_owned(), ttl_seconds: 300, data })
}

/// Keeps log lines.
#[derive(Default)]
pub(crate) struct Lines(pub(crate) RefCell<Vec<String>>);

impl Sink for Lines {
    fn write(&self, line: Line<'_>) {
        self.0.borrow_mut().push(format!("{}{}", line.severity.prefix(), line.text));
    }
}
