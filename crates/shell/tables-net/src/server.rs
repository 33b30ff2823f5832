//! Where a server listens.

use config::TcpPorts;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    rc::Rc,
    time::Duration,
};
use world::{Dns, DnsAnswer, Endpoint, RecordData, RecordType, World};

/// A server's address as tables and restrictions name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// `inet:host:port`
    Inet {
        /// A name or an address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// `unix:pathname`, relative to `queue_directory`
    Unix(PathBuf),
}

impl Server {
    /// Parses `inet:host:port`, `unix:pathname`, or `host:port`; hosts that are IPv6 addresses stand in brackets.
    pub(crate) fn parse(text: &str, ports: &TcpPorts) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("inet", rest)) => Self::parse_inet(rest, ports),
            _ => Self::parse_inet(text, ports),
        }
    }

    /// Parses `host:port`.
    pub(crate) fn parse_inet(text: &str, ports: &TcpPorts) -> Result<Self, String> {
        let usage =
            || format!("bad server address \"{text}\"; need \"host:port\" with a number or a known name");
        let (host, port) = text.rsplit_once(':').ok_or_else(usage)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = ports.number(port).ok_or_else(usage)?;
        // Postfix takes this machine where no host is named.
        let host = if host.is_empty() { "localhost" } else { host };
        Ok(Self::Inet { host: host.to_owned(), port })
    }

    /// Connects to the first address that answers, within `limit` for each.
    ///
    /// # Errors
    /// That of the last address, or that there is none.
    pub async fn connect<W: World>(
        &self,
        world: &W,
        hosts: &Rc<dyn Dns>,
        limit: Duration,
    ) -> io::Result<W::Stream> {
        let (host, port) = match self {
            Self::Unix(path) => return world.connect(&Endpoint::Unix(path.clone()), None, limit).await,
            Self::Inet { host, port } => (host, *port),
        };
        let mut failed = io::Error::other(format!("host {host} has no address"));
        for address in addresses(hosts, host).await? {
            let endpoint = Endpoint::Inet(SocketAddr::new(address, port));
            match world.connect(&endpoint, None, limit).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

/// The addresses of a host, IPv6 first as the C library sorts them for this machine itself.
async fn addresses(hosts: &Rc<dyn Dns>, host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let mut found = Vec::new();
    let mut failed = None;
    for record_type in [RecordType::Aaaa, RecordType::A] {
        match hosts.query(host, record_type).await {
            DnsAnswer::Records { records, .. } => {
                found.extend(records.into_iter().filter_map(|record| match record.data {
                    RecordData::A(address) => Some(IpAddr::V4(address)),
                    RecordData::Aaaa(address) => Some(IpAddr::V6(address)),
                    _ => None,
                }));
            }
            DnsAnswer::TryAgain(trouble) | DnsAnswer::Invalid(trouble) => failed = Some(trouble),
            DnsAnswer::NoName | DnsAnswer::NoData => {}
        }
    }
    match failed {
        Some(trouble) if found.is_empty() => Err(io::Error::other(trouble.to_string())),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers() {
        let ports = TcpPorts::new("smtp=25", &"ldap 389/tcp\n".into());
        let inet = |host: &str, port| Ok(Server::Inet { host: host.into(), port });
        let check = |text: &str, expected: Result<Server, ()>| {
            assert_eq!(Server::parse(text, &ports).map_err(|_| ()), expected, "{text}");
        };
        check("inet:mail.example:25", inet("mail.example", 25));
        check("127.0.0.1:7777", inet("127.0.0.1", 7777));
        check("inet:[::1]:25", inet("::1", 25));
        check(":25", inet("localhost", 25));
        check("unix:/run/x", Ok(Server::Unix("/run/x".into())));
        check("inet:mail.example", Err(()));
        check("inet:mail.example:smtp", inet("mail.example", 25));
        check("mail.example:ldap", inet("mail.example", 389));
        check("inet:mail.example:nosuch", Err(()));
        check("unix:", Err(()));
        check("host:0", Err(()));
    }
}
