//! The next hop as text: `example.com`, `[mail.example.com]:587`, `[192.0.2.1]`, `[ipv6:2001:db8::1]:24`.

use config::TcpPorts;
use std::fmt;

/// One next hop, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// As it was written: the key of connection reuse.
    pub text: String,
    /// Host or domain, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// In brackets: no MX look-up.
    pub is_literal: bool,
}

/// A next hop that cannot be understood; the text says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDestination(String);

impl fmt::Display for InvalidDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidDestination {}

impl Destination {
    /// Parses one next hop; `default_service` is `smtp_tcp_port`.
    pub fn parse(text: &str, default_service: &str, ports: &TcpPorts) -> Result<Self, InvalidDestination> {
        let invalid = |why: &str| InvalidDestination(format!("{why} in server description: {text}"));
        let (host, service, is_literal) = if let Some(rest) = text.strip_prefix('[') {
            let (host, after) = rest.split_once(']').ok_or_else(|| invalid("missing \"]\""))?;
            let service = match after.strip_prefix(':') {
                Some(service) => service,
                None if after.is_empty() => "",
                None => return Err(invalid("garbage after \"]\"")),
            };
            (host, service, true)
        } else if text.parse::<std::net::Ipv6Addr>().is_ok() {
            (text, "", false)
        } else {
            let (host, service) = text.split_once(':').unwrap_or((text, ""));
            (host, service, false)
        };
        if host.is_empty() {
            return Err(invalid("missing host"));
        }
        let service = if service.is_empty() { default_service } else { service };
        let port = port_of(service, text, ports)?;
        let host = match host.get(..5) {
            Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => host.get(5..).unwrap_or_default(),
            _ => host,
        };
        Ok(Self { text: text.to_owned(), host: host.to_owned(), port, is_literal })
    }
}

fn port_of(service: &str, text: &str, ports: &TcpPorts) -> Result<u16, InvalidDestination> {
    ports.number(service).ok_or_else(|| {
        InvalidDestination(match service.bytes().all(|b| b.is_ascii_digit()) {
            true => format!("bad network port: {service} for destination: {text}"),
            false => format!("unknown service: {service}/tcp"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, u16, bool)>) {
        let ports = TcpPorts::new("smtp=25, submission=587, odd=99", &"imap 143/tcp imap2\n".into());
        let parsed = Destination::parse(text, "smtp", &ports);
        let found = parsed.as_ref().ok().map(|d| (d.host.as_str(), d.port, d.is_literal));
        assert_eq!(found, expected, "{text}: {parsed:?}");
    }

    #[test]
    fn understands_every_form_of_a_next_hop() {
        check("example.com", Some(("example.com", 25, false)));
        check("example.com:587", Some(("example.com", 587, false)));
        check("example.com:submission", Some(("example.com", 587, false)));
        check("example.com:odd", Some(("example.com", 99, false)));
        check("example.com:imap2", Some(("example.com", 143, false)));
        check("[example.com]", Some(("example.com", 25, true)));
        check("[192.0.2.1]:2525", Some(("192.0.2.1", 2525, true)));
        check("[ipv6:2001:db8::1]:24", Some(("2001:db8::1", 24, true)));
        check("[2001:db8::1]", Some(("2001:db8::1", 25, true)));
        check("2001:db8::1", Some(("2001:db8::1", 25, false)));
        check("example.com:", Some(("example.com", 25, false)));
        for text in ["", ":25", "[]", "[x", "[x]y", "x:0", "x:65536", "x:nosuch", "\u{e9}\u{e9}\u{e9}:y"] {
            check(text, None);
        }
    }
}
