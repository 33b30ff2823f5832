//! Queries and answers on the wire (RFC 1035), by the codec of the `domain` crate.

use crate::is_valid_hostname;
use domain::{
    base::{
        Message, MessageBuilder, Name, ParsedName, ParsedRecord, RecordSection, Rtype, UnknownRecordData,
        iana::{Class, Rcode},
    },
    rdata::{A, Aaaa, Cname, Mx, Ns, Ptr, Soa, Srv, Txt},
};
use std::time::Duration;
use types::Trouble;
use world::{DnsAnswer, MxRecord, Record, RecordData, RecordType};

/// Aliases in one answer that are followed.
const ALIASES_MAX: usize = 32;
/// Records of one answer that are kept (Postfix: `dns_rr_list_limit`).
const RECORDS_MAX: usize = 100;
/// What a server may send over UDP when asked with EDNS: no fragments on any usual path.
const UDP_BYTES: u16 = 1232;

const fn rtype(record_type: RecordType) -> Rtype {
    match record_type {
        RecordType::A => Rtype::A,
        RecordType::Aaaa => Rtype::AAAA,
        RecordType::Cname => Rtype::CNAME,
        RecordType::Mx => Rtype::MX,
        RecordType::Ns => Rtype::NS,
        RecordType::Ptr => Rtype::PTR,
        RecordType::Srv => Rtype::SRV,
        RecordType::Tlsa => Rtype::TLSA,
        RecordType::Txt => Rtype::TXT,
    }
}

/// What a query asks beside its question.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) authentic_data: bool,
    pub(crate) edns: bool,
}

/// Encodes a query; `None` when the name cannot be in one.
pub(crate) fn query(id: u16, name: &str, record_type: RecordType, flags: Flags) -> Option<Vec<u8>> {
    let name = Name::<Vec<u8>>::vec_from_str(&format!("{name}.")).ok()?;
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    builder.header_mut().set_ad(flags.authentic_data);
    let mut question = builder.question();
    question.push((name, rtype(record_type))).ok()?;
    let mut additional = question.additional();
    if flags.edns {
        let set = |opt: &mut domain::base::message_builder::OptBuilder<'_, _>| {
            opt.set_udp_payload_size(UDP_BYTES);
            Ok(())
        };
        additional.opt(set).ok()?;
    }
    Some(additional.finish())
}

/// Whether a packet answers a query: a response with its id and its question.
pub(crate) fn answers(query: &[u8], packet: &[u8]) -> bool {
    let (Ok(query), Ok(packet)) = (Message::from_slice(query), Message::from_slice(packet)) else {
        return false;
    };
    packet.is_answer(query)
}

/// What an answer amounts to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Good for the time given.
    Answer(DnsAnswer, Duration),
    /// The name is an alias, and the answer does not go on from there: ask for that name.
    Alias(Alias),
    /// The server could not or would not: ask another.
    NextServer,
    /// Cut: ask over TCP.
    Truncated,
}

/// Where a name leads to.
#[derive(Debug)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) lifetime_seconds: u32,
    pub(crate) is_authentic: bool,
}

/// What is wrong with a name or a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flaw {
    /// It can be read, and no host has such a name.
    BadName,
    /// It cannot be read.
    Unreadable,
}

/// One answer, with what was asked for.
struct Reading<'a> {
    message: &'a Message<[u8]>,
    all: Vec<ParsedRecord<'a, [u8]>>,
    name: &'a str,
    record_type: RecordType,
    is_authentic: bool,
}

/// Reads an answer of which [`answers`] has said that it belongs to the query.
pub(crate) fn decode(packet: &[u8], name: &str, record_type: RecordType, trusts_ad: bool) -> Outcome {
    let Ok(message) = Message::from_slice(packet) else { return Outcome::NextServer };
    let header = message.header();
    if header.tc() {
        return Outcome::Truncated;
    }
    match header.rcode() {
        Rcode::NOERROR => {}
        Rcode::NXDOMAIN => return negative(DnsAnswer::NoName, message, u32::MAX),
        _ => return Outcome::NextServer,
    }
    let counts = message.header_counts();
    if counts.ancount() == 0 && counts.arcount() == 0 && !header.aa() && !header.ra() {
        // As the C library has it: a server that does not know, and does not ask others.
        return Outcome::NextServer;
    }
    let Ok(section) = message.answer() else { return Outcome::NextServer };
    let is_authentic = trusts_ad && header.ad();
    match records_in_class(section, record_type) {
        Some(all) => Reading { message, all, name, record_type, is_authentic }.outcome(),
        // The rest of the packet is unreadable: so may be what we missed.
        None => malformed(name, record_type, Flaw::Unreadable),
    }
}

/// The records of an answer up to the last one that is looked at; `None` if one cannot be read, or is not of the Internet.
fn records_in_class<'a>(
    section: RecordSection<'a, [u8]>,
    record_type: RecordType,
) -> Option<Vec<ParsedRecord<'a, [u8]>>> {
    let mut all = Vec::new();
    let mut wanted = 0;
    for record in section {
        let record = record.ok().filter(|record| record.class() == Class::IN)?;
        wanted += usize::from(record.rtype() == rtype(record_type));
        all.push(record);
        if wanted == RECORDS_MAX {
            break;
        }
    }
    Some(all)
}

impl Reading<'_> {
    fn outcome(&self) -> Outcome {
        let chain = match self.follow_aliases() {
            Ok(Some(chain)) => chain,
            Ok(None) => return Outcome::Answer(DnsAnswer::NoName, Duration::ZERO),
            Err(flaw) => return malformed(self.name, self.record_type, flaw),
        };
        let mut records = Vec::new();
        let mut flaw = None;
        let mut lifetime = chain.lifetime;
        for record in self.records_of(&chain.encoded) {
            let ttl_seconds = seconds(record);
            match data(record, self.record_type) {
                Ok(data) => {
                    lifetime = lifetime.min(ttl_seconds);
                    records.push(Record { name: chain.name.clone(), ttl_seconds, data });
                }
                Err(found) => flaw = flaw.max(Some(found)),
            }
        }
        match (records.is_empty(), flaw) {
            (false, _) => {
                let answer = DnsAnswer::Records { records, is_authentic: self.is_authentic };
                Outcome::Answer(answer, Duration::from_secs(lifetime.into()))
            }
            (true, Some(flaw)) => malformed(self.name, self.record_type, flaw),
            (true, None) => self.nothing(chain),
        }
    }

    /// No record where the aliases end.
    fn nothing(&self, chain: Chain) -> Outcome {
        let is_alias = !chain.name.eq_ignore_ascii_case(self.name);
        if is_alias && !has_soa(self.message) {
            let Chain { name, lifetime: lifetime_seconds, .. } = chain;
            return Outcome::Alias(Alias { name, lifetime_seconds, is_authentic: self.is_authentic });
        }
        // Records of others are no answer to what we asked, and no "no" either.
        if !is_alias && self.all.iter().any(|record| record.rtype() == rtype(self.record_type)) {
            return malformed(self.name, self.record_type, Flaw::Unreadable);
        }
        negative(DnsAnswer::NoData, self.message, chain.lifetime)
    }

    fn records_of(&self, name: &Name<Vec<u8>>) -> impl Iterator<Item = &ParsedRecord<'_, [u8]>> {
        let is_wanted = |record: &&ParsedRecord<'_, [u8]>| record.rtype() == rtype(self.record_type);
        self.all.iter().filter(is_wanted).filter(move |record| is_named(record, name))
    }

    /// The name at the end of the aliases that begin at ours; `None` when they do not end.
    fn follow_aliases(&self) -> Result<Option<Chain>, Flaw> {
        let encoded_name = encoded(self.name)?;
        let mut chain = Chain { name: self.name.to_owned(), encoded: encoded_name, lifetime: u32::MAX };
        for _ in 0..=self.all.len().min(ALIASES_MAX) {
            // A record beside an alias is what was asked for.
            if self.record_type == RecordType::Cname || self.records_of(&chain.encoded).next().is_some() {
                return Ok(Some(chain));
            }
            let mut aliases = self.all.iter().filter(|record| record.rtype() == Rtype::CNAME);
            let alias = aliases.find(|record| is_named(record, &chain.encoded));
            let Some(alias) = alias else { return Ok(Some(chain)) };
            let target = alias.to_record::<Cname<_>>().map_err(|_| Flaw::Unreadable)?;
            let target = target.ok_or(Flaw::Unreadable)?;
            chain.name = hostname(target.data().cname())?;
            chain.encoded = encoded(&chain.name)?;
            chain.lifetime = chain.lifetime.min(seconds(alias));
        }
        Ok(None)
    }
}

/// How long a record is good for. A time with its highest bit set is none (RFC 2181 section 8).
fn seconds(record: &ParsedRecord<'_, [u8]>) -> u32 {
    let seconds = record.ttl().as_secs();
    if seconds > i32::MAX.unsigned_abs() { 0 } else { seconds }
}

fn negative(answer: DnsAnswer, message: &Message<[u8]>, lifetime: u32) -> Outcome {
    let lifetime = negative_lifetime(message).min(lifetime);
    Outcome::Answer(answer, Duration::from_secs(lifetime.into()))
}

fn malformed(name: &str, record_type: RecordType, flaw: Flaw) -> Outcome {
    let kind = record_type.as_str();
    let trouble = Trouble::new(format!(
        "Name service error for name={name} type={kind}: Malformed or unexpected name server reply"
    ));
    let answer = match flaw {
        Flaw::BadName => DnsAnswer::Invalid(trouble),
        Flaw::Unreadable => DnsAnswer::TryAgain(trouble),
    };
    Outcome::Answer(answer, Duration::ZERO)
}

struct Chain {
    name: String,
    encoded: Name<Vec<u8>>,
    lifetime: u32,
}

fn is_named(record: &ParsedRecord<'_, [u8]>, name: &Name<Vec<u8>>) -> bool {
    record.owner() == *name
}

/// A host name as it is compared.
fn encoded(name: &str) -> Result<Name<Vec<u8>>, Flaw> {
    Name::vec_from_str(&format!("{name}.")).map_err(|_| Flaw::BadName)
}

fn text(name: &ParsedName<&[u8]>) -> String {
    let text = name.to_string();
    text.strip_suffix('.').map_or(text.clone(), str::to_owned)
}

/// A name that a host may have, or a wildcard.
fn hostname(name: &ParsedName<&[u8]>) -> Result<String, Flaw> {
    let text = text(name);
    let plain = text.strip_prefix("*.").unwrap_or(&text);
    if is_valid_hostname(plain) { Ok(text) } else { Err(Flaw::BadName) }
}

fn data(record: &ParsedRecord<'_, [u8]>, record_type: RecordType) -> Result<RecordData, Flaw> {
    readable(record, record_type).unwrap_or(Err(Flaw::Unreadable))
}

fn readable(record: &ParsedRecord<'_, [u8]>, record_type: RecordType) -> Option<Result<RecordData, Flaw>> {
    let named = |name: &ParsedName<&[u8]>| hostname(name).map(RecordData::Name);
    Some(Ok(match record_type {
        RecordType::A => RecordData::A(record.to_record::<A>().ok()??.data().addr()),
        RecordType::Aaaa => RecordData::Aaaa(record.to_record::<Aaaa>().ok()??.data().addr()),
        RecordType::Cname => return Some(named(record.to_record::<Cname<_>>().ok()??.data().cname())),
        RecordType::Ns => return Some(named(record.to_record::<Ns<_>>().ok()??.data().nsdname())),
        RecordType::Ptr => return Some(named(record.to_record::<Ptr<_>>().ok()??.data().ptrdname())),
        RecordType::Mx => {
            let record = record.to_record::<Mx<_>>().ok()??;
            let preference = record.data().preference();
            let host = mail_host(record.data().exchange());
            return Some(host.map(|host| RecordData::Mx(MxRecord { preference, host })));
        }
        RecordType::Srv => {
            let record = record.to_record::<Srv<_>>().ok()??;
            let (srv, target) = (record.data(), record.data().target());
            let host = if text(target).is_empty() { Ok(String::new()) } else { hostname(target) };
            let (priority, weight, port) = (srv.priority(), srv.weight(), srv.port());
            return Some(host.map(|host| RecordData::Srv { priority, weight, port, host }));
        }
        RecordType::Tlsa => {
            let record = record.to_record::<UnknownRecordData<_>>().ok()??;
            let (&[usage, selector, matching], data) = record.data().data().split_first_chunk::<3>()?;
            RecordData::Tlsa(usage, selector, matching, data.to_vec())
        }
        RecordType::Txt => RecordData::Txt(record.to_record::<Txt<_>>().ok()??.data().text()),
    }))
}

/// The root is a null MX, the empty text. Some domains list an address where a host name belongs; mail to them works
/// with other servers, so it does here.
fn mail_host(name: &ParsedName<&[u8]>) -> Result<String, Flaw> {
    let text = text(name);
    let is_address = text.parse::<std::net::Ipv4Addr>().is_ok();
    if text.is_empty() || is_address { Ok(text) } else { hostname(name) }
}

fn has_soa(message: &Message<[u8]>) -> bool {
    let mut authority = message.authority().into_iter().flatten();
    authority.any(|record| record.is_ok_and(|record| record.rtype() == Rtype::SOA))
}

/// How long "no" is good for (RFC 2308 §5): the smaller of the SOA's own time to live and its minimum.
fn negative_lifetime(message: &Message<[u8]>) -> u32 {
    let Ok(mut authority) = message.authority() else { return 0 };
    let soa = authority.find_map(|record| record.ok()?.into_record::<Soa<_>>().ok()?);
    soa.map_or(0, |soa| soa.ttl().as_secs().min(soa.data().minimum().as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The answer to `a.test` with these records: owner, type, class, data.
    fn answer(rcode: u8, records: &[(&[u8], u16, u16, &[u8])]) -> Vec<u8> {
        let query = query(7, "a.test", RecordType::Mx, Flags::default()).unwrap();
        let mut packet =
            [&query[..2], &[0x81, 0x80 | rcode, 0, 1, 0], &[u8::try_from(records.len()).unwrap()]].concat();
        packet.extend([0, 0, 0, 0]);
        packet.extend(&query[12..]);
        for (owner, kind, class, data) in records {
            packet.extend(*owner);
            packet.extend([kind.to_be_bytes(), class.to_be_bytes()].concat());
            packet.extend([0, 0, 1, 44, 0, u8::try_from(data.len()).unwrap()]);
            packet.extend(*data);
        }
        packet
    }

    const OURS: &[u8] = &[0xc0, 12];
    const OTHER: &[u8] = b"\x01b\x04test\0";
    const HOST: &[u8] = b"\0\x0a\x02mx\x04test\0";

    #[track_caller]
    fn check(rcode: u8, records: &[(&[u8], u16, u16, &[u8])], expected: &str) {
        let packet = answer(rcode, records);
        let found = match decode(&packet, "a.test", RecordType::Mx, false) {
            Outcome::Answer(DnsAnswer::Records { records, .. }, lifetime) => {
                format!("{} for {lifetime:?}", records.len())
            }
            Outcome::Answer(DnsAnswer::Invalid(_), _) => "invalid".to_owned(),
            Outcome::Answer(DnsAnswer::TryAgain(_), _) => "try again".to_owned(),
            Outcome::Answer(answer, _) => format!("{answer:?}"),
            Outcome::Alias(alias) => format!("alias of {} for {}", alias.name, alias.lifetime_seconds),
            other => format!("{other:?}"),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn only_what_answers_the_question_is_believed() {
        const MX: u16 = 15;
        const CNAME: u16 = 5;
        check(0, &[(OURS, MX, 1, HOST)], "1 for 300s");
        check(3, &[(OURS, MX, 1, HOST)], "NoName");
        check(2, &[(OURS, MX, 1, HOST)], "NextServer");
        check(0, &[(OURS, MX, 3, HOST)], "try again");
        check(0, &[(OTHER, MX, 1, HOST)], "try again");
        check(0, &[(OURS, MX, 1, HOST), (OTHER, MX, 1, HOST)], "1 for 300s");
        check(0, &[(OURS, MX, 1, b"\0\x0a\x02-b\0")], "invalid");
        check(0, &[(OURS, MX, 1, b"\0\x0a\xff\xff")], "try again");
        check(0, &[(OURS, MX, 1, b"\0\x0a\xff\xff"), (OURS, MX, 1, HOST)], "1 for 300s");
        check(0, &[(OURS, CNAME, 1, OTHER)], "alias of b.test for 300");
        check(0, &[(OURS, CNAME, 1, OTHER), (OTHER, MX, 1, HOST)], "1 for 300s");
        check(0, &[(OURS, CNAME, 1, OTHER), (OURS, MX, 1, HOST)], "1 for 300s");
        check(0, &[(OURS, CNAME, 1, OURS)], "NoName");
        check(0, &[(OURS, CNAME, 1, b"\x02-b\0")], "invalid");
        check(0, &[(OURS, 99, 1, b"x")], "NoData");
        check(0, &[], "NoData");
    }

    proptest! {
        #[test]
        fn no_packet_panics(
            header in proptest::collection::vec(any::<u8>(), 12),
            rest in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let query = query(7, "a.test", RecordType::Mx, Flags::default()).unwrap();
            let packet = [header.as_slice(), query.get(12..).unwrap(), rest.as_slice()].concat();
            answers(&query, &packet);
            // As an answer with one record, too.
            let headed = [&query[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], &query[12..], &rest[..]].concat();
            for record_type in [RecordType::A, RecordType::Mx, RecordType::Srv, RecordType::Tlsa, RecordType::Txt] {
                decode(&packet, "a.test", record_type, true);
                decode(&headed, "a.test", record_type, true);
            }
        }
    }
}
