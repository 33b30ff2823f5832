//! What a program knows about its host, and the defaults that are made of it.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// An address of a network interface of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The address.
    pub address: IpAddr,
    /// The number of leading bits that its network has in common.
    pub prefix: u8,
}

/// What the shell finds out about the host and the running program before the configuration is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// What `gethostname` says.
    pub hostname: String,
    /// The addresses of the active interfaces, in the system's order, IPv4 first.
    pub interfaces: Vec<Interface>,
    /// `$process_id`.
    pub process_id: u32,
    /// `$process_name`.
    pub process_name: String,
}

impl Environment {
    /// A host called `localhost` with a loopback interface only, for tests.
    #[must_use]
    pub fn for_tests() -> Self {
        let loopback = Interface { address: Ipv4Addr::LOCALHOST.into(), prefix: 8 };
        let loopback6 = Interface { address: Ipv6Addr::LOCALHOST.into(), prefix: 128 };
        Self {
            hostname: "localhost".to_owned(),
            interfaces: vec![loopback, loopback6],
            process_id: 1,
            process_name: "test".to_owned(),
        }
    }

    /// The interfaces that inet_protocols and inet_interfaces select (postconf(5) `inet_interfaces`): `all`,
    /// `loopback-only`, or addresses. A host name other than `localhost` selects nothing, as names are not looked up here.
    #[must_use]
    pub fn selected_interfaces(&self, inet_protocols: &str, inet_interfaces: &str) -> Vec<Interface> {
        let protocols = crate::split_list(inet_protocols);
        let has = |name: &str| {
            protocols.iter().any(|p| p.eq_ignore_ascii_case(name) || p.eq_ignore_ascii_case("all"))
        };
        let (ipv4, ipv6) = (has("ipv4"), has("ipv6"));
        let own = self.interfaces.iter().copied().filter(|i| if i.address.is_ipv4() { ipv4 } else { ipv6 });
        match inet_interfaces {
            "all" => own.collect(),
            "loopback-only" => own.filter(|i| i.address.is_loopback()).collect(),
            listed => {
                let own: Vec<Interface> = own.collect();
                let mut selected: Vec<Interface> = Vec::new();
                for name in crate::split_list(listed) {
                    for interface in own.iter().filter(|i| names(name, i.address)) {
                        if !selected.contains(interface) {
                            selected.push(*interface);
                        }
                    }
                }
                selected
            }
        }
    }

    /// The default of mynetworks: the networks of the selected interfaces in the given style (`class`, `subnet`,
    /// `host`), each once. A trailing blank is part of it, as in Postfix.
    #[must_use]
    pub fn networks(&self, style: &str, inet_protocols: &str, inet_interfaces: &str) -> String {
        let mut networks: Vec<String> = Vec::new();
        for interface in self.selected_interfaces(inet_protocols, inet_interfaces) {
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

/// True if an element of inet_interfaces means the address.
fn names(name: &str, address: IpAddr) -> bool {
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    let bare = bare.strip_prefix("IPv6:").unwrap_or(bare);
    match bare.parse::<IpAddr>() {
        Ok(named) => named == address,
        Err(_) => name.eq_ignore_ascii_case("localhost") && address.is_loopback(),
    }
}

fn network(interface: Interface, style: &str) -> String {
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

    #[test]
    fn own_networks_follow_style_protocols_and_interfaces() {
        let interface = |address: &str, prefix| Interface { address: address.parse().unwrap(), prefix };
        let environment = Environment {
            interfaces: vec![
                interface("127.0.0.1", 8),
                interface("192.0.2.77", 25),
                interface("192.0.2.78", 25),
                interface("::1", 128),
                interface("fe80::1", 64),
            ],
            ..Environment::for_tests()
        };
        let check = |style: &str, protocols: &str, interfaces: &str, expected: &str| {
            assert_eq!(environment.networks(style, protocols, interfaces), expected);
        };
        check("subnet", "all", "all", "127.0.0.0/8 192.0.2.0/25 [::1]/128 [fe80::]/64 ");
        check("class", "ipv4", "all", "127.0.0.0/8 192.0.2.0/24 ");
        check("host", "ipv4", "all", "127.0.0.1/32 192.0.2.77/32 192.0.2.78/32 ");
        check("host", "ipv4, ipv6", "loopback-only", "127.0.0.1/32 [::1]/128 ");
        check("subnet", "all", "localhost, 192.0.2.78", "127.0.0.0/8 [::1]/128 192.0.2.0/25 ");
        check("subnet", "all", "[::1]", "[::1]/128 ");
        check("subnet", "", "all", "");
    }
}
