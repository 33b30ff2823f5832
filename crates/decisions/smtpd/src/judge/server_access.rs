//! Access tables for the hosts behind a name: its addresses, mail exchangers or name servers
//! (postconf(5) `check_sender_mx_access` and its kin).

use super::{
    Resolve,
    access::{AccessTables, find_network},
    access_action::Hit,
    names::Outcome,
    walk::{CLIENT, HELO, RECIPIENT, REVERSE_CLIENT, SENDER, Status, Subject, Walk},
};
use crate::AccessSubject;
use bstr::{BString, ByteSlice};
use maps::Filtered;
use std::{fmt::Display, net::IpAddr};
use types::Address;
use world::{DnsAnswer, RecordData, RecordType};

/// How many addresses of hosts are looked up.
const ADDRESSES_MAX: usize = 100;

impl<R: Resolve> Walk<'_, R> {
    /// `servers` is `A`, `MX` or `NS`. Nobody is permitted so: anyone can put anything into his DNS.
    pub(super) async fn server_access(
        &mut self,
        subject: AccessSubject,
        servers: RecordType,
        table: usize,
    ) -> Status {
        let peer = self.question.peer;
        let known = |name: &str| (!name.eq_ignore_ascii_case("unknown")).then(|| BString::from(name));
        let address = |address: &Address| (!address.is_null()).then(|| BString::from(address.as_bytes()));
        let (name, class) = match subject {
            AccessSubject::Client => (known(&peer.client.name), CLIENT),
            AccessSubject::ReverseClient => (known(&peer.reverse_name), REVERSE_CLIENT),
            AccessSubject::Helo => (self.helo.map(ToOwned::to_owned), HELO),
            AccessSubject::Sender => (self.sender.and_then(address), SENDER),
            AccessSubject::Recipient => (self.recipient.and_then(address), RECIPIENT),
            AccessSubject::Etrn | AccessSubject::SaslUser => (None, CLIENT),
        };
        let Some(name) = name else { return Status::Dunno };
        let client = peer.client.to_string();
        let shown = if subject == AccessSubject::Client { client.as_str().into() } else { name.as_bstr() };
        let about = Subject { name: shown, class };
        let domain = name.rfind_byte(b'@').map_or(&name[..], |at| &name[at + 1..]);
        let status = match domain.strip_prefix(b"[") {
            Some(literal) if servers != RecordType::Ns => self.literal_access(table, literal, about).await,
            Some(_) => Status::Dunno,
            None => self.hosts_access(table, (&name, domain, servers), about).await,
        };
        let restriction = restriction_name(subject, servers);
        self.forbid_ok(&restriction, Subject { name: name.as_bstr(), class }, status)
    }

    /// An address in brackets is its own server.
    async fn literal_access(&mut self, table: usize, literal: &[u8], about: Subject<'_>) -> Status {
        let Some(address) = literal.strip_suffix(b"]") else { return Status::Dunno };
        let address = match address.get(..5) {
            Some(prefix) if prefix.eq_ignore_ascii_case(b"ipv6:") => &address[5..],
            _ => address,
        };
        if address.to_str().ok().and_then(|text| text.parse::<IpAddr>().ok()).is_none() {
            return Status::Dunno;
        }
        self.network_access(table, address, about).await.unwrap_or(Status::Dunno)
    }

    async fn network_access(&mut self, table: usize, address: &[u8], about: Subject<'_>) -> Option<Status> {
        let answer = find_network(self.judge.access.maps(table), address).await;
        self.found(Hit { table: self.access_table(table), key: address.into(), subject: about }, answer).await
    }

    async fn hosts_access(
        &mut self,
        table: usize,
        (name, domain, servers): (&BString, &[u8], RecordType),
        about: Subject<'_>,
    ) -> Status {
        let Ok(domain) = domain.to_str() else { return Status::Dunno };
        let mut address_count = 0;
        for host in self.servers_of(name, domain, servers).await {
            if host.parse::<IpAddr>().is_ok() {
                if let Some(status) = self.network_access(table, host.as_bytes(), about).await {
                    return status;
                }
                continue;
            }
            if servers != RecordType::A {
                let access: &AccessTables = &self.judge.access;
                let answer = access.find_domain(access.maps(table), host.as_bytes()).await;
                let hit =
                    Hit { table: self.access_table(table), key: host.as_bytes().into(), subject: about };
                if let Some(status) = self.found(hit, answer).await {
                    return status;
                }
            }
            for address in self.addresses_of(&host, servers, about).await {
                address_count += 1;
                if address_count > ADDRESSES_MAX {
                    let text = "server address count limit";
                    let (what, Subject { name, class }) = (servers.as_str(), about);
                    self.question.log.warning(&format!(
                        "check_server_access: {what} {text} ({ADDRESSES_MAX}) exceeded for {class} {name} -- ignoring the remainder"
                    ));
                    return Status::Dunno;
                }
                let address = address.to_string();
                if let Some(status) = self.network_access(table, address.as_bytes(), about).await {
                    return status;
                }
            }
        }
        Status::Dunno
    }

    /// A name without MX is its own mail exchanger; one without NS has those of its parent.
    async fn servers_of(&self, whole: &BString, domain: &str, servers: RecordType) -> Vec<String> {
        if servers == RecordType::A {
            return vec![domain.to_owned()];
        }
        let mut name = domain;
        loop {
            let answer = self.judge.names.records(name, servers, self.question.log).await;
            let outcome = Outcome::of(&answer);
            let (asked, log) = (name, self.question.log);
            let asked: &dyn Display = match (outcome, answer) {
                (Outcome::Found, Filtered::Answer(DnsAnswer::Records { records, .. })) => {
                    return records.into_iter().filter_map(|record| host(record.data)).collect();
                }
                (Outcome::NullMx, _) => return Vec::new(),
                (Outcome::NoName | Outcome::NoData, _) if servers == RecordType::Mx => {
                    return vec![domain.to_owned()];
                }
                (Outcome::NoName | Outcome::NoData, _) => match name.split_once('.') {
                    Some((_, parent)) if !parent.is_empty() => {
                        name = parent;
                        continue;
                    }
                    _ => whole,
                },
                _ => &asked,
            };
            let (what, why) = (servers.as_str(), outcome.reason());
            log.warning(&format!("Unable to look up {what} host for {asked}: {why}"));
            return Vec::new();
        }
    }

    async fn addresses_of(&self, host: &str, servers: RecordType, about: Subject<'_>) -> Vec<IpAddr> {
        match self.judge.names.addresses(host).await {
            Ok(addresses) => addresses,
            Err(why) => {
                if servers != RecordType::A {
                    let (what, Subject { name, class }) = (servers.as_str(), about);
                    let text = format!("Unable to look up {what} host {host} for {class} {name}: {why}");
                    self.question.log.warning(&text);
                }
                Vec::new()
            }
        }
    }
}

/// The server that a record names.
fn host(data: RecordData) -> Option<String> {
    match data {
        RecordData::Mx(mx) => Some(mx.host),
        RecordData::Name(host) => Some(host),
        _ => None,
    }
}

fn restriction_name(subject: AccessSubject, servers: RecordType) -> String {
    let subject = match subject {
        AccessSubject::Client => "client",
        AccessSubject::ReverseClient => "reverse_client_hostname",
        AccessSubject::Helo => "helo",
        AccessSubject::Sender => "sender",
        AccessSubject::Recipient | AccessSubject::Etrn | AccessSubject::SaslUser => "recipient",
    };
    format!("check_{subject}_{}_access", servers.as_str().to_ascii_lowercase())
}
