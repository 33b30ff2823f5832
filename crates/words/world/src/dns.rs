//! Questions to the domain name system.

use crate::Answer;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use types::Trouble;

/// The record types that a mail server asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// IPv4 address
    A,
    /// IPv6 address
    Aaaa,
    /// Alias
    Cname,
    /// Mail exchanger
    Mx,
    /// Name server
    Ns,
    /// Name of an address
    Ptr,
    /// Service
    Srv,
    /// TLS certificate association
    Tlsa,
    /// Text
    Txt,
}

impl RecordType {
    /// As log lines name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Srv => "SRV",
            Self::Tlsa => "TLSA",
            Self::Txt => "TXT",
        }
    }
}

/// A mail exchanger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MxRecord {
    /// Lower is better.
    pub preference: u16,
    /// Host name without final dot; empty for a null MX (RFC 7505).
    pub host: String,
}

/// The data of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordData {
    /// A
    A(Ipv4Addr),
    /// AAAA
    Aaaa(Ipv6Addr),
    /// MX
    Mx(MxRecord),
    /// CNAME, NS or PTR: a name without final dot
    Name(String),
    /// SRV
    Srv {
        /// Lower is better.
        priority: u16,
        /// Share among equals.
        weight: u16,
        /// TCP port.
        port: u16,
        /// Host name without final dot.
        host: String,
    },
    /// TLSA: usage, selector, matching type, association data
    Tlsa(u8, u8, u8, Vec<u8>),
    /// TXT: character strings joined
    Txt(Vec<u8>),
}

impl RecordData {
    /// The address, of an address record.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::A(address) => Some(IpAddr::V4(*address)),
            Self::Aaaa(address) => Some(IpAddr::V6(*address)),
            _ => None,
        }
    }
}

/// The text of a TXT record as replies and log lines may show it: what is not printable is a blank.
#[must_use]
pub fn printable(text: &[u8]) -> String {
    let show = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { ' ' };
    text.iter().map(show).collect()
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Owner after following aliases, without final dot.
    pub name: String,
    /// Seconds to live.
    pub ttl_seconds: u32,
    /// The data.
    pub data: RecordData,
}

impl Record {
    /// Says that a domain takes no mail (RFC 7505).
    #[must_use]
    pub fn is_null_mx(&self) -> bool {
        matches!(&self.data, RecordData::Mx(mx) if mx.host.is_empty())
    }
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsAnswer {
    /// At least one record of the type asked for.
    Records {
        /// In the order of the answer.
        records: Vec<Record>,
        /// The resolver, over a path that resolv.conf trusts, said that DNSSEC validated (AD bit).
        is_authentic: bool,
    },
    /// The name does not exist (NXDOMAIN).
    NoName,
    /// The name exists without records of this type.
    NoData,
    /// The answer breaks the protocol or names an illegal host name: permanent for this name.
    Invalid(Trouble),
    /// Timeout, SERVFAIL, network trouble.
    TryAgain(Trouble),
}

/// A resolver.
pub trait Dns {
    /// Asks; follows CNAME within the answer; `name` without final dot is taken as absolute.
    fn query<'a>(&'a self, name: &'a str, record_type: RecordType) -> Answer<'a, DnsAnswer>;

    /// For how many seconds from now the answer that was given to a question is good, a "no" too (RFC 2308), where that is
    /// known.
    fn lifetime_seconds(&self, _name: &str, _record_type: RecordType) -> Option<u32> {
        None
    }
}
