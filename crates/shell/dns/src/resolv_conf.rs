//! resolv.conf(5).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The settings of the resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// `nameserver`, at most three; 127.0.0.1 when there is none.
    pub servers: Vec<SocketAddr>,
    /// `search` or `domain`: for names that are not absolute.
    pub search: Vec<String>,
    /// `ndots`: names with as many dots are tried as they are first.
    pub ndots: usize,
    /// `timeout`: for the first try at a server.
    pub timeout: Duration,
    /// `attempts`: rounds over all servers.
    pub attempts: u32,
    /// `rotate`: not always the first server first.
    pub rotate: bool,
    /// `trust-ad`: the path to the servers is trusted, so that their AD bit means something.
    pub trust_ad: bool,
    /// `edns0`: answers longer than 512 bytes over UDP.
    pub edns0: bool,
    /// `use-vc`: always TCP.
    pub use_vc: bool,
}

impl Default for ResolvConf {
    fn default() -> Self {
        Self {
            servers: vec![(Ipv4Addr::LOCALHOST, 53).into()],
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            trust_ad: false,
            edns0: false,
            use_vc: false,
        }
    }
}

/// As many name servers as resolv.conf(5) allows.
const SERVERS_MAX: usize = 3;

impl ResolvConf {
    /// Reads the text of the file. What is not understood is left out, as libresolv does. Beyond it, a
    /// name server may be written `[address]:port`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut conf = Self { servers: Vec::new(), ..Self::default() };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(server);
                    conf.servers.extend(server.filter(|_| conf.servers.len() < SERVERS_MAX));
                }
                Some("domain") => conf.search = words.take(1).map(str::to_owned).collect(),
                Some("search") => conf.search = words.map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        if conf.servers.is_empty() {
            conf.servers = Self::default().servers;
        }
        conf
    }

    fn option(&mut self, word: &str) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let number = || value.parse::<u32>().ok();
        match name {
            "ndots" => self.ndots = number().map_or(self.ndots, |n| n.min(15) as usize),
            "timeout" => {
                self.timeout = number().map_or(self.timeout, |n| Duration::from_secs(n.clamp(1, 30).into()));
            }
            "attempts" => self.attempts = number().map_or(self.attempts, |n| n.clamp(1, 5)),
            "rotate" => self.rotate = true,
            "trust-ad" => self.trust_ad = true,
            "edns0" => self.edns0 = true,
            "use-vc" => self.use_vc = true,
            _ => {}
        }
    }
}

fn server(word: &str) -> Option<SocketAddr> {
    if let Some((address, port)) = word.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        return Some(SocketAddr::new(address.parse().ok()?, port.parse().ok()?));
    }
    Some(SocketAddr::new(word.parse::<IpAddr>().ok()?, 53))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_libresolv_reads() {
        let conf = ResolvConf::parse(
            "# comment\n; other\nnameserver 192.0.2.1\nnameserver nonsense\nnameserver 2001:db8::1\n\
             search a.example b.example\noptions ndots:2 timeout:3 attempts:9 rotate trust-ad edns0 unknown:1\n\
             nameserver [127.0.0.1]:5353\nnameserver 192.0.2.9\n",
        );
        let servers: Vec<String> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[2001:db8::1]:53", "127.0.0.1:5353"]);
        assert_eq!(conf.search, ["a.example", "b.example"]);
        assert_eq!((conf.ndots, conf.timeout.as_secs(), conf.attempts), (2, 3, 5));
        assert!(conf.rotate && conf.trust_ad && conf.edns0 && !conf.use_vc);
        assert_eq!(ResolvConf::parse(""), ResolvConf::default());
    }
}
