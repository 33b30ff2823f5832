//! Queries and answers on the wire (RFC 1035), by the codec of the `domain` crate.

use crate::is_valid_hostname;
use domain::{
    base::{Message, MessageBuilder, Name, ParsedName, ParsedRecord, Rtype, UnknownRecordData, iana::Rcode},
    rdata::{A, Aaaa, Cname, Mx, Ns, Ptr, Soa, Srv, Txt},
};
use std::time::Duration;
use types::Trouble;
use world::{DnsAnswer, MxRecord, Record, RecordData, RecordType};

/// Aliases that are followed.
const ALIASES_MAX: usize = 10;
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
    /// The server could not or would not: ask another.
    NextServer,
    /// Cut: ask over TCP.
    Truncated,
}

/// Reads an answer of which [`answers`] has said that it belongs to the query.
pub(crate) fn decode(packet: &[u8], name: &str, record_type: RecordType, trusts_ad: bool) -> Outcome {
    let Ok(message) = Message::from_slice(packet) else { return Outcome::NextServer };
    let header = message.header();
    if header.tc() {
        return Outcome::Truncated;
    }
    let exists = match header.rcode() {
        Rcode::NOERROR => true,
        Rcode::NXDOMAIN => false,
        _ => return Outcome::NextServer,
    };
    let Ok(section) = message.answer() else { return Outcome::NextServer };
    let mut all = Vec::new();
    for record in section.take(RECORDS_MAX) {
        match record {
            Ok(record) => all.push(record),
            // The rest of the packet is unreadable: so may be what we missed.
            Err(_) => return malformed(name, record_type),
        }
    }
    let Some(chain) = follow_aliases(&all, name, record_type) else { return malformed(name, record_type) };
    let mut records = Vec::new();
    let mut refused = false;
    let mut lifetime = chain.lifetime;
    for record in all.iter().filter(|r| r.rtype() == rtype(record_type) && is_named(r, &chain.name)) {
        let ttl = record.ttl().as_secs();
        match data(record, record_type) {
            Some(data) => {
                lifetime = lifetime.min(ttl);
                records.push(Record { name: chain.name.clone(), ttl_seconds: ttl, data });
            }
            None => refused = true,
        }
    }
    if !records.is_empty() {
        let answer = DnsAnswer::Records { records, is_authentic: trusts_ad && header.ad() };
        return Outcome::Answer(answer, Duration::from_secs(lifetime.into()));
    }
    if refused {
        let trouble = Trouble::new(malformed_text(name, record_type));
        return Outcome::Answer(DnsAnswer::Invalid(trouble), Duration::ZERO);
    }
    let lifetime = negative_lifetime(message).min(lifetime);
    let answer = if exists { DnsAnswer::NoData } else { DnsAnswer::NoName };
    Outcome::Answer(answer, Duration::from_secs(lifetime.into()))
}

fn malformed_text(name: &str, record_type: RecordType) -> String {
    let kind = record_type.as_str();
    format!("Name service error for name={name} type={kind}: Malformed or unexpected name server reply")
}

fn malformed(name: &str, record_type: RecordType) -> Outcome {
    let trouble = Trouble::new(malformed_text(name, record_type));
    Outcome::Answer(DnsAnswer::TryAgain(trouble), Duration::ZERO)
}

struct Chain {
    name: String,
    lifetime: u32,
}

/// The name at the end of the aliases that begin at `name`; `None` when they do not end.
fn follow_aliases(all: &[ParsedRecord<'_, [u8]>], name: &str, record_type: RecordType) -> Option<Chain> {
    let mut chain = Chain { name: name.to_owned(), lifetime: u32::MAX };
    if record_type == RecordType::Cname {
        return Some(chain);
    }
    for _ in 0..=ALIASES_MAX {
        let alias = all.iter().find(|record| record.rtype() == Rtype::CNAME && is_named(record, &chain.name));
        let Some(alias) = alias else { return Some(chain) };
        let target = alias.to_record::<Cname<_>>().ok()??;
        chain.name = hostname(target.data().cname())?;
        chain.lifetime = chain.lifetime.min(alias.ttl().as_secs());
    }
    None
}

fn is_named(record: &ParsedRecord<'_, [u8]>, name: &str) -> bool {
    text(&record.owner()).eq_ignore_ascii_case(name)
}

fn text(name: &ParsedName<&[u8]>) -> String {
    let text = name.to_string();
    text.strip_suffix('.').map_or(text.clone(), str::to_owned)
}

/// A name that a host may have; the root (as of a null MX) is the empty text.
fn hostname(name: &ParsedName<&[u8]>) -> Option<String> {
    Some(text(name)).filter(|name| is_valid_hostname(name))
}

fn data(record: &ParsedRecord<'_, [u8]>, record_type: RecordType) -> Option<RecordData> {
    Some(match record_type {
        RecordType::A => RecordData::A(record.to_record::<A>().ok()??.data().addr()),
        RecordType::Aaaa => RecordData::Aaaa(record.to_record::<Aaaa>().ok()??.data().addr()),
        RecordType::Cname => {
            RecordData::Name(hostname(record.to_record::<Cname<_>>().ok()??.data().cname())?)
        }
        RecordType::Ns => RecordData::Name(hostname(record.to_record::<Ns<_>>().ok()??.data().nsdname())?),
        RecordType::Ptr => RecordData::Name(hostname(record.to_record::<Ptr<_>>().ok()??.data().ptrdname())?),
        RecordType::Mx => {
            let record = record.to_record::<Mx<_>>().ok()??;
            let exchange = record.data().exchange();
            let host = if text(exchange).is_empty() { String::new() } else { mail_host(exchange)? };
            RecordData::Mx(MxRecord { preference: record.data().preference(), host })
        }
        RecordType::Srv => {
            let record = record.to_record::<Srv<_>>().ok()??;
            let (srv, target) = (record.data(), record.data().target());
            let host = if text(target).is_empty() { String::new() } else { hostname(target)? };
            RecordData::Srv { priority: srv.priority(), weight: srv.weight(), port: srv.port(), host }
        }
        RecordType::Tlsa => {
            let record = record.to_record::<UnknownRecordData<_>>().ok()??;
            let (&[usage, selector, matching], data) = record.data().data().split_first_chunk::<3>()?;
            RecordData::Tlsa(usage, selector, matching, data.to_vec())
        }
        RecordType::Txt => RecordData::Txt(record.to_record::<Txt<_>>().ok()??.data().text()),
    })
}

/// Some domains list an address where a host name belongs; mail to them works with other servers, so it does here.
fn mail_host(name: &ParsedName<&[u8]>) -> Option<String> {
    let text = text(name);
    let is_address = text.parse::<std::net::Ipv4Addr>().is_ok();
    Some(text).filter(|text| is_address || is_valid_hostname(text))
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
