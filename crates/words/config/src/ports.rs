//! Numbers of TCP services by their names.

use crate::text::{is_space, trim};
use std::{fmt, sync::Arc};

/// What names of TCP ports stand for: postconf(5) `known_tcp_ports` first, then the services database of the host, in the
/// format of services(5).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TcpPorts {
    known: Arc<[(String, u16)]>,
    services: Arc<str>,
}

impl TcpPorts {
    /// With the value of `known_tcp_ports` and the text of `/etc/services`.
    #[must_use]
    pub fn new(known: &str, services: &Arc<str>) -> Self {
        Self { known: known_tcp_ports(known).0.into(), services: Arc::clone(services) }
    }

    /// The port of a name or a number; none for a name that is not known, for 0, and for what is greater than 65535.
    #[must_use]
    pub fn number(&self, service: &str) -> Option<u16> {
        let number = match is_number(service) {
            true => service.parse().ok(),
            false => self.known(service).or_else(|| self.listed(service)),
        };
        number.filter(|port| *port != 0)
    }

    fn known(&self, service: &str) -> Option<u16> {
        self.known.iter().find(|(name, _)| name == service).map(|(_, port)| *port)
    }

    fn listed(&self, service: &str) -> Option<u16> {
        self.services.lines().find_map(|line| {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let (name, number) = (words.next()?, words.next()?.strip_suffix("/tcp")?);
            (name == service || words.any(|alias| alias == service)).then(|| number.parse().ok())?
        })
    }
}

impl fmt::Debug for TcpPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpPorts").field("known", &self.known).finish_non_exhaustive()
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Reads `smtp=25, smtps=submissions=465`: names with their ports, and what is wrong, in Postfix's words.
pub(crate) fn known_tcp_ports(text: &str) -> (Vec<(String, u16)>, Vec<String>) {
    let (mut known, mut wrong) = (Vec::new(), Vec::new());
    for association in text.split(',').filter(|text| !trim(text).is_empty()) {
        match associate(association, &mut known) {
            Ok(()) => {}
            Err(None) => wrong.push(format!("in \"{association}\" is not in \"name = value\" form")),
            Err(Some(why)) => wrong.push(format!("in \"{association}\": {why}")),
        }
    }
    (known, wrong)
}

/// Adds the names of one association; the first thing that is wrong, or `None` where there is no equal sign.
fn associate(text: &str, known: &mut Vec<(String, u16)>) -> Result<(), Option<&'static str>> {
    let (names, port) = text.rsplit_once('=').ok_or(None)?;
    let port = trim(port);
    let has_space = |text: &str| text.bytes().any(is_space);
    if port.is_empty() {
        return Err(Some("missing port value after \"=\""));
    }
    if has_space(port) {
        return Err(Some("whitespace in port number"));
    }
    let mut wrong = None;
    for name in names.split('=').map(trim) {
        let added = match name {
            "" => Err("missing service name before \"=\""),
            name if has_space(name) => Err("whitespace in service name"),
            name => add(name, port, known),
        };
        wrong = wrong.or(added.err());
    }
    wrong.map_or(Ok(()), |why| Err(Some(why)))
}

fn add(name: &str, port: &str, known: &mut Vec<(String, u16)>) -> Result<(), &'static str> {
    if is_number(name) {
        return Err("numerical service name");
    }
    if !is_number(port) {
        return Err("non-numerical service port");
    }
    let port = port.parse().map_err(|_| "port number out of range")?;
    if known.iter().any(|(known, _)| known == name) {
        return Err("duplicate service name");
    }
    known.push((name.to_owned(), port));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_in_known_tcp_ports_and_then_in_the_services_of_the_host() {
        let services =
            "# Services\nsmtp\t25/tcp\tmail # old\ntftp 69/udp\nhttps 443/tcp\nodd 70000/tcp\nno\n";
        let ports = TcpPorts::new("smtp = 2525, policy = 10031", &services.into());
        let check = |service: &str, expected: Option<u16>| {
            assert_eq!(ports.number(service), expected, "{service:?}");
        };
        check("25", Some(25));
        check("policy", Some(10031));
        check("smtp", Some(2525));
        check("mail", Some(25));
        check("https", Some(443));
        for unknown in ["tftp", "odd", "old", "no", "#", "", "0", "65536", "+25", "-1", "25/tcp"] {
            check(unknown, None);
        }
    }

    #[test]
    fn ports_have_names() {
        let check = |text: &str, known: &[(&str, u16)], wrong: &[&str]| {
            let own = known.iter().map(|&(name, port)| (name.to_owned(), port)).collect();
            assert_eq!(
                known_tcp_ports(text),
                (own, wrong.iter().map(|&w| w.to_owned()).collect()),
                "{text:?}"
            );
        };
        check("", &[], &[]);
        check(
            "smtp = 25, smtps=submissions =465,",
            &[("smtp", 25), ("smtps", 465), ("submissions", 465)],
            &[],
        );
        check("a", &[], &["in \"a\" is not in \"name = value\" form"]);
        check("a=", &[], &["in \"a=\": missing port value after \"=\""]);
        check("=1", &[], &["in \"=1\": missing service name before \"=\""]);
        check("a b=1", &[], &["in \"a b=1\": whitespace in service name"]);
        check("a=1 2", &[], &["in \"a=1 2\": whitespace in port number"]);
        check("1=2", &[], &["in \"1=2\": numerical service name"]);
        check("a=b=1x", &[], &["in \"a=b=1x\": non-numerical service port"]);
        check("a=65536", &[], &["in \"a=65536\": port number out of range"]);
        check("a=1,a=2", &[("a", 1)], &["in \"a=2\": duplicate service name"]);
    }
}
