//! Names and addresses of hosts as the C library finds them: /etc/hosts, then DNS.

use crate::HostNames;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    rc::Rc,
};
use world::{Answer, Dns, DnsAnswer, Record, RecordData, RecordType};

/// Answers A, AAAA and PTR questions from the hosts file where it can; everything else goes to DNS.
pub struct HostsFirst {
    hosts: HostNames,
    dns: Rc<dyn Dns>,
}

impl HostsFirst {
    /// `hosts` before `dns`.
    #[must_use]
    pub fn new(hosts: HostNames, dns: Rc<dyn Dns>) -> Self {
        Self { hosts, dns }
    }

    fn known(&self, name: &str, record_type: RecordType) -> Vec<RecordData> {
        let addresses = || self.hosts.addresses(name).iter();
        match record_type {
            RecordType::A => {
                let v4 = |a: &IpAddr| match a {
                    IpAddr::V4(v4) => Some(RecordData::A(*v4)),
                    IpAddr::V6(_) => None,
                };
                addresses().filter_map(v4).collect()
            }
            RecordType::Aaaa => {
                let v6 = |a: &IpAddr| match a {
                    IpAddr::V6(v6) => Some(RecordData::Aaaa(*v6)),
                    IpAddr::V4(_) => None,
                };
                addresses().filter_map(v6).collect()
            }
            RecordType::Ptr => {
                let name = reverse_address(name).and_then(|address| self.hosts.name(address));
                name.map(|name| RecordData::Name(name.to_owned())).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Dns for HostsFirst {
    fn query<'a>(&'a self, name: &'a str, record_type: RecordType) -> Answer<'a, DnsAnswer> {
        let found = self.known(name, record_type);
        if found.is_empty() {
            return self.dns.query(name, record_type);
        }
        let record = |data| Record { name: name.to_owned(), ttl_seconds: 0, data };
        let records = found.into_iter().map(record).collect();
        Answer::ready(DnsAnswer::Records { records, is_authentic: false })
    }

    fn lifetime_seconds(&self, name: &str, record_type: RecordType) -> Option<u32> {
        let is_elsewhere = self.known(name, record_type).is_empty();
        is_elsewhere.then(|| self.dns.lifetime_seconds(name, record_type))?
    }
}

/// The address in `1.2.0.192.in-addr.arpa` or its long IPv6 cousin.
fn reverse_address(name: &str) -> Option<IpAddr> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
        let mut octets = [0; 4];
        let mut parts = labels.split('.');
        for octet in octets.iter_mut().rev() {
            *octet = parts.next()?.parse().ok()?;
        }
        return parts.next().is_none().then_some(IpAddr::V4(Ipv4Addr::from(octets)));
    }
    let labels = name.strip_suffix(".ip6.arpa")?;
    let mut address = 0_u128;
    let mut count = 0;
    for (n, label) in labels.split('.').enumerate() {
        let digit = u128::from_str_radix(label, 16).ok().filter(|digit| *digit < 16)?;
        address |= digit.checked_shl(u32::try_from(n).ok()?.checked_mul(4)?)?;
        count += 1;
    }
    (count == 32).then_some(IpAddr::V6(Ipv6Addr::from(address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_names_give_their_address_and_nothing_else_does() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(reverse_address(name), expected.map(|a| a.parse().unwrap()), "{name}");
        };
        check("1.0.0.127.in-addr.arpa", Some("127.0.0.1"));
        check(&format!("1.{}ip6.arpa", "0.".repeat(31)), Some("::1"));
        check("0.0.127.in-addr.arpa", None);
        check("9.1.0.0.127.in-addr.arpa", None);
        check("300.0.0.127.in-addr.arpa", None);
        check(&format!("1.{}ip6.arpa", "0.".repeat(40)), None);
        check("mail.example", None);
    }
}
