//! What a program knows about its host, and the defaults that are made of it.

use std::{
    collections::HashMap,
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use crate::text::Tokens;

/// An address of a network interface of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The address.
    pub address: IpAddr,
    /// The number of leading bits that its network has in common.
    pub prefix: u8,
    /// The interface's number, which an address on the link only (`fe80::1`) is of no use without.
    pub number: u32,
}

/// An address that a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostAddress {
    /// The address.
    pub address: IpAddr,
    /// The number of the interface that was named with it (`fe80::1%eth0`); 0 for none.
    pub interface: u32,
}

/// The protocols that inet_protocols and the host have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// IPv4.
    pub ipv4: bool,
    /// IPv6.
    pub ipv6: bool,
}

impl Protocols {
    /// True for an address of one of them.
    #[must_use]
    pub const fn have(self, address: IpAddr) -> bool {
        if address.is_ipv4() { self.ipv4 } else { self.ipv6 }
    }

    /// True if there is none: `inet_protocols =`.
    #[must_use]
    pub const fn are_none(self) -> bool {
        !self.ipv4 && !self.ipv6
    }
}

/// What the shell finds out about the host and the running program before the configuration is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// What `gethostname` says.
    pub hostname: String,
    /// The addresses of the active interfaces, in the system's order, IPv4 first.
    pub interfaces: Vec<Interface>,
    /// Whether the kernel knows IPv6.
    pub has_ipv6: bool,
    /// The addresses of the names in inet_interfaces and proxy_interfaces, without brackets; none for a name that nobody knows.
    pub hosts: HashMap<String, Vec<HostAddress>>,
    /// The services database (services(5)): names of ports.
    pub services: Arc<str>,
    /// `$process_id`.
    pub process_id: u32,
    /// `$process_name`.
    pub process_name: String,
}

impl Environment {
    /// A host called `localhost` with a loopback interface only, for tests.
    #[must_use]
    pub fn for_tests() -> Self {
        let loopback = Interface { address: Ipv4Addr::LOCALHOST.into(), prefix: 8, number: 1 };
        let loopback6 = Interface { address: Ipv6Addr::LOCALHOST.into(), prefix: 128, number: 1 };
        let interfaces = vec![loopback, loopback6];
        let host = |own: &Interface| HostAddress { address: own.address, interface: 0 };
        let hosts = [("localhost".to_owned(), interfaces.iter().map(host).collect())];
        Self {
            hostname: "localhost".to_owned(),
            interfaces,
            has_ipv6: true,
            hosts: hosts.into(),
            services: Arc::default(),
            process_id: 1,
            process_name: "test".to_owned(),
        }
    }

    /// What inet_protocols means on this host.
    pub(crate) fn protocols(&self, inet_protocols: &str) -> Protocols {
        let has = |name: &str| crate::split_list(inet_protocols).iter().any(|p| *p == name || *p == "all");
        Protocols { ipv4: has("ipv4"), ipv6: has("ipv6") && self.has_ipv6 }
    }

    /// The interfaces that inet_interfaces selects (postconf(5)): `all`, `loopback-only`, or names and addresses, in
    /// brackets or without.
    ///
    /// # Errors
    /// A name without address, an address that no interface has; in Postfix's words.
    pub(crate) fn own_interfaces(
        &self,
        protocols: Protocols,
        inet_interfaces: &str,
    ) -> Result<Vec<Interface>, String> {
        if protocols.are_none() {
            return Ok(Vec::new());
        }
        let usable = || self.interfaces.iter().copied().filter(|own| protocols.have(own.address));
        if usable().next().is_none() {
            return Err("could not find any active network interfaces".to_owned());
        }
        match inet_interfaces {
            "all" => return Ok(usable().collect()),
            "loopback-only" => return Ok(usable().filter(|own| own.address.is_loopback()).collect()),
            _ => {}
        }
        let mut asked = Vec::new();
        for name in host_names(inet_interfaces) {
            asked.extend(
                self.addresses(protocols, name)
                    .ok_or_else(|| format!("config variable inet_interfaces: host not found: {name}"))?,
            );
        }
        asked.sort_by_key(|host| (host.address, host.interface));
        asked.dedup_by_key(|host| host.address);
        let find = |host: HostAddress| {
            let same = || usable().filter(move |own| own.address == host.address);
            same().find(|own| own.number == host.interface).or_else(|| same().next()).ok_or_else(|| {
                format!("parameter inet_interfaces: no local interface found for {}", host.address)
            })
        };
        asked.into_iter().map(find).collect()
    }

    /// The addresses of proxy_interfaces, or the name that has none.
    pub(crate) fn proxy_addresses(
        &self,
        protocols: Protocols,
        proxy_interfaces: &str,
    ) -> Result<Vec<IpAddr>, String> {
        let mut addresses = Vec::new();
        for name in host_names(proxy_interfaces) {
            let found = self
                .addresses(protocols, name)
                .ok_or_else(|| format!("config variable proxy_interfaces: host not found: {name}"))?;
            addresses.extend(found.into_iter().map(|host| host.address));
        }
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }

    /// The addresses of a name or an address, of the protocols in use.
    fn addresses(&self, protocols: Protocols, name: &str) -> Option<Vec<HostAddress>> {
        let name = without_brackets(name);
        let known = match name.parse() {
            Ok(address) => vec![HostAddress { address, interface: 0 }],
            Err(_) => self.hosts.get(name)?.clone(),
        };
        let used: Vec<_> = known.into_iter().filter(|host| protocols.have(host.address)).collect();
        (!used.is_empty()).then_some(used)
    }

    /// The default of mynetworks: the networks of the selected interfaces in the given style (`class`, `subnet`,
    /// `host`), each once. A trailing blank is part of it, as in Postfix.
    pub(crate) fn networks(&self, style: &str, inet_protocols: &str, inet_interfaces: &str) -> String {
        let mut networks: Vec<String> = Vec::new();
        let own = self.own_interfaces(self.protocols(inet_protocols), inet_interfaces);
        for interface in own.unwrap_or_default() {
            let network = network(interface, style);
            if !networks.contains(&network) {
                networks.push(network);
            }
        }
        networks.iter().fold(String::new(), |mut text, network| {
            let _ = write!(text, "{network} ");
            text
        })
    }
}

/// The words of inet_interfaces or proxy_interfaces.
fn host_names(list: &str) -> impl Iterator<Item = &str> {
    Tokens { rest: list, separators: b" \t,", braces: false }
}

fn without_brackets(name: &str) -> &str {
    name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name)
}

/// The words of a list that only the resolver knows the addresses of.
pub(crate) fn names_to_resolve(list: &str) -> impl Iterator<Item = &str> {
    let all = matches!(list, "all" | "loopback-only");
    let names = host_names(if all { "" } else { list }).map(without_brackets);
    names.filter(|name| name.parse::<IpAddr>().is_err())
}

pub(crate) fn network(interface: Interface, style: &str) -> String {
    match interface.address {
        IpAddr::V4(address) => {
            let bits = match style {
                "host" => 32,
                "class" => match address.octets()[0] {
                    0..=127 => 8,
                    128..=191 => 16,
                    192..=223 => 24,
                    _ => 4,
                },
                _ => interface.prefix.min(32),
            };
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            format!("{}/{bits}", Ipv4Addr::from(u32::from(address) & mask))
        }
        IpAddr::V6(address) => {
            let bits = if style == "host" { 128 } else { interface.prefix.min(128) };
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            format!("[{}]/{bits}", Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        let interface =
            |address: &str, prefix, number| Interface { address: address.parse().unwrap(), prefix, number };
        let host = |address: &str, interface| HostAddress { address: address.parse().unwrap(), interface };
        let mut environment = Environment {
            interfaces: vec![
                interface("127.0.0.1", 8, 1),
                interface("192.0.2.77", 25, 2),
                interface("192.0.2.78", 25, 2),
                interface("::1", 128, 1),
                interface("fe80::1", 64, 2),
                interface("fe80::1", 64, 3),
            ],
            ..Environment::for_tests()
        };
        let hosts = [
            ("mail", vec![host("192.0.2.78", 0)]),
            ("other", vec![host("192.0.2.1", 0)]),
            ("fe80::1%eth1", vec![host("fe80::1", 3)]),
            ("nowhere", vec![]),
        ];
        environment.hosts.extend(hosts.map(|(name, addresses)| (name.to_owned(), addresses)));
        environment
    }

    #[test]
    fn own_networks_follow_style_protocols_and_interfaces() {
        let check = |style: &str, protocols: &str, interfaces: &str, expected: &str| {
            assert_eq!(environment().networks(style, protocols, interfaces), expected);
        };
        check("subnet", "all", "all", "127.0.0.0/8 192.0.2.0/25 [::1]/128 [fe80::]/64 ");
        check("class", "ipv4", "all", "127.0.0.0/8 192.0.2.0/24 ");
        check("host", "ipv4", "all", "127.0.0.1/32 192.0.2.77/32 192.0.2.78/32 ");
        check("host", "ipv4, ipv6", "loopback-only", "127.0.0.1/32 [::1]/128 ");
        check("subnet", "all", "localhost, 192.0.2.78", "127.0.0.0/8 192.0.2.0/25 [::1]/128 ");
        check("subnet", "all", "[::1]", "[::1]/128 ");
        check("subnet", "", "all", "");
    }

    #[test]
    fn interfaces_are_selected_by_names_and_addresses() {
        let check = |protocols: &str, interfaces: &str, expected: Result<&[(&str, u32)], &str>| {
            let environment = environment();
            let own = environment.own_interfaces(environment.protocols(protocols), interfaces);
            let shown: Result<Vec<_>, _> =
                own.map(|own| own.iter().map(|i| (i.address.to_string(), i.number)).collect());
            let expected = expected.map(|own| own.iter().map(|(a, n)| ((*a).to_owned(), *n)).collect());
            assert_eq!(shown, expected.map_err(str::to_owned), "{protocols:?} {interfaces:?}");
        };
        check(
            "all",
            "[192.0.2.77],mail 127.0.0.1",
            Ok(&[("127.0.0.1", 1), ("192.0.2.77", 2), ("192.0.2.78", 2)]),
        );
        check("all", "mail, 192.0.2.78", Ok(&[("192.0.2.78", 2)]));
        check("all", "[fe80::1%eth1]", Ok(&[("fe80::1", 3)]));
        check("all", "fe80::1", Ok(&[("fe80::1", 2)]));
        check("ipv4", "localhost", Ok(&[("127.0.0.1", 1)]));
        check("all", "", Ok(&[]));
        check("", "nowhere", Ok(&[]));
        check("all", "other", Err("parameter inet_interfaces: no local interface found for 192.0.2.1"));
        check("all", "127.0.0.1, nowhere", Err("config variable inet_interfaces: host not found: nowhere"));
        check("all", "127.0.0.1, all", Err("config variable inet_interfaces: host not found: all"));
        check("all", "[IPv6:::1]", Err("config variable inet_interfaces: host not found: [IPv6:::1]"));
        check("ipv4", "127.0.0.1 ::1", Err("config variable inet_interfaces: host not found: ::1"));
    }

    #[test]
    fn protocols_are_those_of_setting_and_host() {
        let environment = Environment { has_ipv6: false, interfaces: Vec::new(), ..Environment::for_tests() };
        assert_eq!(environment.protocols("all"), Protocols { ipv4: true, ipv6: false });
        assert!(environment.protocols("ipv6").are_none());
        let own = environment.own_interfaces(environment.protocols("ipv4"), "all");
        assert_eq!(own.unwrap_err(), "could not find any active network interfaces");
    }

    #[test]
    fn names_are_told_from_addresses() {
        let names = |list| names_to_resolve(list).collect::<Vec<_>>();
        assert_eq!(names("all"), Vec::<&str>::new());
        assert_eq!(names("127.0.0.1, [::1] mail [fe80::1%eth0] 127.1"), ["mail", "fe80::1%eth0", "127.1"]);
    }
}
