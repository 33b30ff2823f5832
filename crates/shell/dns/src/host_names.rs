//! hosts(5): what `smtp_host_lookup = native` and client name look-ups find without DNS.

use std::{collections::HashMap, net::IpAddr};

/// The text of /etc/hosts, indexed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNames {
    by_name: HashMap<String, Vec<IpAddr>>,
    by_address: HashMap<IpAddr, String>,
}

impl HostNames {
    /// Reads the text of the file; lines that are not understood are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut hosts = Self::default();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
            for (n, name) in words.enumerate() {
                if n == 0 {
                    hosts.by_address.entry(address).or_insert_with(|| name.to_owned());
                }
                let addresses = hosts.by_name.entry(name.to_ascii_lowercase()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        hosts
    }

    /// The addresses of a host, in file order.
    #[must_use]
    pub fn addresses(&self, name: &str) -> &[IpAddr] {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        self.by_name.get(&name).map_or(&[], Vec::as_slice)
    }

    /// The canonical name of an address.
    #[must_use]
    pub fn name(&self, address: IpAddr) -> Option<&str> {
        self.by_address.get(&address).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts() {
        let hosts =
            HostNames::parse("127.0.0.1 localhost lo # x\n::1 localhost\nbad line\n192.0.2.1\tMX.test mx\n");
        let found: Vec<String> = hosts.addresses("LOCALHOST.").iter().map(ToString::to_string).collect();
        assert_eq!(found, ["127.0.0.1", "::1"]);
        assert_eq!(hosts.name("192.0.2.1".parse().unwrap()), Some("MX.test"));
        assert_eq!(hosts.addresses("mx.test").len(), 1);
        assert!(hosts.addresses("x").is_empty());
    }
}
