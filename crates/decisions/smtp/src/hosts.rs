//! Where a destination is: MX hosts and addresses in the order in which to try them (RFC 5321 §5.1).

use crate::{AddressPreference, AddressSettings, Destination};
use maps::{Filtered, FilteredDns};
use std::{net::IpAddr, rc::Rc};
use types::{Dsn, DsnClass, Status};
use world::{DnsAnswer, Endpoint, RecordData, RecordType};

/// How many addresses of one destination are looked at (Postfix: `dns_rr_list_limit`).
const ADDRESSES_MAX: usize = 100;

/// One address to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Name, or the address if there is no name.
    pub name: String,
    /// Address.
    pub address: IpAddr,
    /// MX preference; 0 without MX.
    pub preference: u16,
}

/// Asks the native name service for the addresses of a host.
pub type NativeHosts = Rc<dyn Fn(&str) -> Vec<IpAddr>>;

/// What this machine knows of itself.
#[derive(Clone)]
pub struct Network {
    /// Addresses that this system receives mail on (`inet_interfaces`).
    pub own_addresses: Vec<IpAddr>,
    /// `proxy_interfaces`
    pub proxy_addresses: Vec<IpAddr>,
    /// The native name service (`smtp_host_lookup = native`): /etc/hosts.
    pub native: NativeHosts,
}

impl Network {
    /// The address that connections to `to` come from, if this system receives mail on no other of its kind: a virtual
    /// host's mail is to come from the virtual host.
    pub(crate) fn only_address(&self, to: &Endpoint) -> Option<IpAddr> {
        let Endpoint::Inet(to) = to else { return None };
        let mut own = self.own_addresses.iter().filter(|own| own.is_ipv4() == to.is_ipv4());
        let only = own.next().filter(|_| own.next().is_none())?;
        (!only.is_loopback()).then_some(*only)
    }

    fn is_self(&self, address: &IpAddr) -> bool {
        self.own_addresses.contains(address) || self.proxy_addresses.contains(address)
    }
}

/// The outcome of the look-ups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Addresses, best first; empty: see `status`.
    pub hosts: Vec<Host>,
    /// Why there are none.
    pub status: Option<Status>,
    /// This system is a mail exchanger of the destination: fallback hosts must not be tried.
    pub found_self: bool,
    /// Worth a warning in the log.
    pub warning: Option<String>,
}

/// Looks a destination up; `wants_mx` for SMTP, `detects_loops` when the port is SMTP's own, `random` shuffles.
pub async fn hosts(
    dns: FilteredDns<'_>,
    network: &Network,
    settings: &AddressSettings,
    destination: &Destination,
    wants_mx: bool,
    mut random: impl FnMut() -> u64,
) -> Found {
    let mut search = Search { dns, network, settings, status: None };
    let detects_loops = wants_mx && destination.port == 25;
    // RFC 6531 section 3.2: the DNS knows names in ASCII. A name that has no such form is asked for as it is.
    let ascii = if destination.host.is_ascii() { None } else { config::domain_to_ascii(&destination.host) };
    let host = ascii.as_deref().unwrap_or(&destination.host);
    let mut found = if wants_mx && !destination.is_literal && settings.has_dns {
        search.domain(host, detects_loops).await
    } else {
        search.host(host, detects_loops).await
    };
    order(settings, &mut found.hosts, &mut random);
    if found.status.is_none() && found.hosts.is_empty() {
        found.status = search.status;
    }
    found
}

struct Search<'a> {
    dns: FilteredDns<'a>,
    network: &'a Network,
    settings: &'a AddressSettings,
    // Why the last look-up failed; a temporary reason outlives final ones.
    status: Option<Status>,
}

impl Search<'_> {
    async fn domain(&mut self, name: &str, detects_loops: bool) -> Found {
        let answer = match self.dns.query(name, RecordType::Mx).await {
            Filtered::Answer(answer) => answer,
            Filtered::Broken(trouble) => DnsAnswer::TryAgain(trouble),
            Filtered::Dropped(text) => {
                self.fail(Dsn::temporary(7, 0), &text);
                return self.nothing(false);
            }
        };
        let mut records = match answer {
            DnsAnswer::Records { records, .. } => records
                .into_iter()
                .filter_map(|record| match record.data {
                    RecordData::Mx(mx) => Some(mx),
                    _ => None,
                })
                .collect::<Vec<_>>(),
            DnsAnswer::NoName | DnsAnswer::NoData => return self.host(name, detects_loops).await,
            DnsAnswer::Invalid(trouble) => {
                self.fail(Dsn::permanent(4, 4), &trouble.to_string());
                return self.without_mx(name, detects_loops).await;
            }
            DnsAnswer::TryAgain(trouble) => {
                self.fail(Dsn::temporary(4, 3), &trouble.to_string());
                return self.without_mx(name, detects_loops).await;
            }
        };
        if records.iter().any(|mx| mx.host.is_empty()) {
            if records.len() == 1 {
                let text = format!("Domain {name} does not accept mail (nullMX)");
                self.status = Some(Status::new(Dsn::permanent(1, 0), text));
                return self.nothing(false);
            }
            // RFC 7505 §3: a null MX stands alone; beside others it names no host.
            records.retain(|mx| !mx.host.is_empty());
        }
        records.sort_by_key(|mx| mx.preference);
        let best = records.first().map(|mx| mx.preference);
        let mut hosts = Vec::new();
        for mx in &records {
            self.addresses(&mx.host, mx.preference, &mut hosts).await;
            if hosts.len() >= ADDRESSES_MAX {
                break;
            }
        }
        if hosts.is_empty() {
            return self.no_mx_address(name);
        }
        if detects_loops && let Some(own) = hosts.iter().find(|host| self.network.is_self(&host.address)) {
            let (own, best_found) = (own.preference, hosts.first().map(|host| host.preference));
            hosts.retain(|host| host.preference < own);
            if hosts.is_empty() {
                self.status = Some(if best == best_found {
                    Status::new(Dsn::permanent(4, 6), format!("mail for {name} loops back to myself"))
                } else {
                    Status::new(Dsn::temporary(4, 4), format!("unable to find primary relay for {name}"))
                });
            }
            return Found { hosts, ..self.nothing(true) };
        }
        Found { hosts, status: None, found_self: false, warning: None }
    }

    async fn without_mx(&mut self, name: &str, detects_loops: bool) -> Found {
        if self.settings.ignore_mx_lookup_error {
            self.status = None;
            return self.host(name, detects_loops).await;
        }
        self.nothing(false)
    }

    fn no_mx_address(&mut self, name: &str) -> Found {
        if self.settings.defer_if_no_mx_address_found
            && let Some(status) = &mut self.status
        {
            status.dsn = status.dsn.with_class(DsnClass::Temporary);
        }
        let warning = Some(format!("no MX host for {name} has a valid address record"));
        Found { warning, ..self.nothing(false) }
    }

    async fn host(&mut self, name: &str, detects_loops: bool) -> Found {
        let mut hosts = Vec::new();
        self.addresses(name, 0, &mut hosts).await;
        if detects_loops && hosts.iter().any(|host| self.network.is_self(&host.address)) {
            let text = format!("mail for {name} loops back to myself");
            self.status = Some(Status::new(Dsn::permanent(4, 6), text));
            return self.nothing(false);
        }
        Found { hosts, ..self.nothing(false) }
    }

    fn nothing(&self, found_self: bool) -> Found {
        Found { hosts: Vec::new(), status: self.status.clone(), found_self, warning: None }
    }

    /// Adds the addresses of one host.
    async fn addresses(&mut self, name: &str, preference: u16, hosts: &mut Vec<Host>) {
        let make = |address| Host { name: name.to_owned(), address, preference };
        if let Some(address) = name.parse::<IpAddr>().ok().filter(|address| self.is_enabled(address)) {
            hosts.push(make(address));
            return;
        }
        if self.settings.host_lookup.dns {
            match self.ask_addresses(name).await {
                Ok(addresses) => {
                    let room = ADDRESSES_MAX.saturating_sub(hosts.len());
                    let overrides = self.settings.cname_overrides_servername;
                    hosts.extend(addresses.into_iter().take(room).map(|(address, alias)| {
                        let host = make(address);
                        if overrides { Host { name: alias, ..host } } else { host }
                    }));
                    return;
                }
                Err(is_absent) if !is_absent => return,
                Err(_) => {}
            }
        }
        if self.settings.host_lookup.native {
            match self.native(name).await {
                Ok(addresses) => hosts.extend(addresses.into_iter().map(make)),
                Err((dsn, why)) => self.fail(dsn, &format!("unable to look up host {name}: {why}")),
            }
        }
    }

    /// As the system's own look-up does: /etc/hosts, then the DNS, whatever `smtp_dns_support_level` says of ours.
    async fn native(&self, name: &str) -> Result<Vec<IpAddr>, (Dsn, &'static str)> {
        let mut addresses = (self.network.native)(name);
        addresses.retain(|address| self.is_enabled(address));
        let types = [(RecordType::A, self.settings.ipv4), (RecordType::Aaaa, self.settings.ipv6)];
        let mut is_temporary = false;
        if addresses.is_empty() && !self.settings.host_lookup.dns {
            for (record_type, _) in types.into_iter().filter(|(_, enabled)| *enabled) {
                match self.dns.dns.query(name, record_type).await {
                    DnsAnswer::Records { records, .. } => {
                        addresses.extend(records.iter().filter_map(|record| record.data.address()));
                    }
                    DnsAnswer::TryAgain(_) => is_temporary = true,
                    DnsAnswer::NoName | DnsAnswer::NoData | DnsAnswer::Invalid(_) => {}
                }
            }
        }
        match (addresses.is_empty(), is_temporary) {
            (false, _) => Ok(addresses),
            (true, false) => Err((Dsn::permanent(4, 4), "Name or service not known")),
            (true, true) => Err((Dsn::temporary(4, 4), "Temporary failure in name resolution")),
        }
    }

    fn is_enabled(&self, address: &IpAddr) -> bool {
        if address.is_ipv4() { self.settings.ipv4 } else { self.settings.ipv6 }
    }

    /// A and AAAA records, and the name that has them; an error says whether the name certainly has no address.
    async fn ask_addresses(&mut self, name: &str) -> Result<Vec<(IpAddr, String)>, bool> {
        let mut addresses = Vec::new();
        let (mut temporary, mut invalid, mut absent, mut dropped) = (None, None, None, None);
        let types = [(RecordType::A, self.settings.ipv4), (RecordType::Aaaa, self.settings.ipv6)];
        for (record_type, _) in types.into_iter().filter(|(_, enabled)| *enabled) {
            let answer = match self.dns.query(name, record_type).await {
                Filtered::Answer(answer) => answer,
                Filtered::Broken(trouble) => DnsAnswer::TryAgain(trouble),
                Filtered::Dropped(text) => {
                    dropped = Some(text);
                    continue;
                }
            };
            match answer {
                DnsAnswer::Records { records, .. } => {
                    addresses.extend(
                        records.into_iter().filter_map(|record| Some((record.data.address()?, record.name))),
                    );
                }
                DnsAnswer::NoName => absent = Some(absent_text(name, record_type, "Host not found")),
                DnsAnswer::NoData => {
                    let why = "Host found but no data record of requested type";
                    absent = Some(absent_text(name, record_type, why));
                }
                DnsAnswer::Invalid(trouble) => invalid = Some(trouble.to_string()),
                DnsAnswer::TryAgain(trouble) => temporary = Some(trouble.to_string()),
            }
        }
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        let is_absent = temporary.is_none() && invalid.is_none() && dropped.is_none();
        if let Some(text) = dropped {
            self.fail(Dsn::temporary(7, 0), &text);
        } else if let Some(text) = temporary {
            self.fail(Dsn::temporary(4, 3), &text);
        } else if let Some(text) = invalid.or(absent) {
            self.fail(Dsn::permanent(4, 4), &text);
        }
        Err(is_absent)
    }

    fn fail(&mut self, dsn: Dsn, text: &str) {
        let was_soft = self.status.as_ref().is_some_and(|status| status.dsn.class == DsnClass::Temporary);
        let dsn = if was_soft { dsn.with_class(DsnClass::Temporary) } else { dsn };
        self.status = Some(Status::new(dsn, text));
    }
}

fn absent_text(name: &str, record_type: RecordType, why: &str) -> String {
    let kind = record_type.as_str();
    format!("Host or domain name not found. Name service error for name={name} type={kind}: {why}")
}

/// Shuffles among equals, puts the preferred family first, keeps one family from crowding the other out.
fn order(settings: &AddressSettings, hosts: &mut Vec<Host>, random: &mut impl FnMut() -> u64) {
    if hosts.len() < 2 {
        return;
    }
    if settings.randomize_addresses {
        for last in (1..hosts.len()).rev() {
            let chosen = usize::try_from(random() % (last as u64 + 1)).unwrap_or(0);
            hosts.swap(last, chosen);
        }
    }
    hosts.sort_by_key(|host| {
        let comes_later = match settings.address_preference {
            AddressPreference::Any => false,
            AddressPreference::Ipv4 => host.address.is_ipv6(),
            AddressPreference::Ipv6 => host.address.is_ipv4(),
        };
        (host.preference, comes_later)
    });
    if settings.mx_address_limit > 0 && settings.balance_inet_protocols {
        balance(hosts, settings.mx_address_limit.min(ADDRESSES_MAX));
    }
}

fn balance(hosts: &mut Vec<Host>, limit: usize) {
    let ipv6 = hosts.iter().filter(|host| host.address.is_ipv6()).count();
    let ipv4 = hosts.len() - ipv6;
    if ipv4 == 0 || ipv6 == 0 || ipv4 + ipv6 <= limit {
        return;
    }
    let first_is_ipv4 = hosts.first().is_some_and(|host| host.address.is_ipv4());
    let mut room_ipv4 = if ipv6 <= limit / 2 {
        limit - ipv6
    } else if ipv4 <= limit / 2 {
        ipv4
    } else {
        (limit + usize::from(first_is_ipv4)) / 2
    };
    let mut room_ipv6 = limit - room_ipv4;
    hosts.retain(|host| {
        let room = if host.address.is_ipv4() { &mut room_ipv4 } else { &mut room_ipv6 };
        let fits = *room > 0;
        *room = room.saturating_sub(1);
        fits
    });
}
