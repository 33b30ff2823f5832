//! Who is at the other end.

use bstr::{BString, ByteSlice};
use maillog::{Client, Logger, Sasl};
use std::{
    net::{IpAddr, Ipv4Addr},
    rc::Rc,
};
use world::{Dns, DnsAnswer, Record, RecordData, RecordType};

/// How well a client's name is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameStatus {
    /// Verified.
    Verified,
    /// There is none, or it could not be checked now.
    Temporary,
    /// There certainly is none.
    Absent,
    /// The name does not list the client's address.
    Forged,
}

/// The two ends of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Name and address as log lines have them: the name is verified, or `unknown`.
    pub client: Client,
    /// The client's address.
    pub address: IpAddr,
    /// Who is at the other end of the connection, whoever it speaks for (XCLIENT): `permit_inet_interfaces` looks at that one.
    pub socket_address: IpAddr,
    /// The client's port.
    pub port: u16,
    /// The unverified name, or `unknown`.
    pub reverse_name: String,
    /// What is known of [`Client::name`].
    pub name_status: NameStatus,
    /// What is known of the unverified name.
    pub reverse_name_status: NameStatus,
    /// Our address.
    pub server_address: IpAddr,
    /// Our port.
    pub server_port: u16,
    /// What of these is not known.
    pub unavailable: Unavailable,
    /// Who the client is, beyond its address.
    pub login: Option<Rc<Login>>,
    /// `sendmail -bs`: a local user on standard input, whom no restriction applies to.
    pub is_stand_alone: bool,
    /// postscreen(8) has seen whether it waits for the greeting.
    pub is_screened: bool,
    /// What is said is logged (`debug_peer_list`).
    pub is_watched: bool,
}

/// What the client of somebody else (XCLIENT) has not been told of. The client's address is not known when its text is
/// `unknown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unavailable {
    /// The client's port.
    pub port: bool,
    /// The address that it connected to.
    pub server_address: bool,
    /// And the port.
    pub server_port: bool,
}

/// A user who has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// How: a SASL mechanism, or `XCLIENT`.
    pub method: String,
    /// Who.
    pub username: String,
}

impl Peer {
    /// A client whose name is not known.
    #[must_use]
    pub fn unknown(address: IpAddr, port: u16, server_address: IpAddr, server_port: u16) -> Self {
        let address = address.to_canonical();
        Self {
            client: Client { name: "unknown".to_owned(), address: address.to_string(), port: None },
            address,
            socket_address: address,
            port,
            reverse_name: "unknown".to_owned(),
            name_status: NameStatus::Absent,
            reverse_name_status: NameStatus::Absent,
            server_address: server_address.to_canonical(),
            server_port,
            unavailable: Unavailable::default(),
            login: None,
            is_stand_alone: false,
            is_screened: false,
            is_watched: false,
        }
    }

    /// A client of which nothing is known.
    #[must_use]
    pub fn nobody() -> Self {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let mut nobody = Self::unknown(nowhere, 0, nowhere, 0);
        "unknown".clone_into(&mut nobody.client.address);
        nobody.unavailable = Unavailable { port: true, server_address: true, server_port: true };
        nobody
    }

    /// A client on this host that is not on the network: `localhost`, at the given address of loopback, as names go. It
    /// has none, so it is no `permit_inet_interfaces` client.
    #[must_use]
    pub fn local(loopback: IpAddr) -> Self {
        let local = Self::unknown(loopback, 0, loopback, 0).named("localhost");
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self { address: nowhere, socket_address: nowhere, ..local }
    }

    /// A local user on standard input, as `sendmail -bs` has it.
    #[must_use]
    pub fn stand_alone(loopback: IpAddr) -> Self {
        Self { is_stand_alone: true, ..Self::local(loopback) }
    }

    /// The same client with a verified name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.client.name);
        name.clone_into(&mut self.reverse_name);
        self.name_status = NameStatus::Verified;
        self.reverse_name_status = NameStatus::Verified;
        self
    }

    /// The client's port as text.
    #[must_use]
    pub fn port_text(&self) -> String {
        text_of(&self.port, self.unavailable.port)
    }

    /// The address that the client connected to, as text.
    #[must_use]
    pub fn server_address_text(&self) -> String {
        text_of(&self.server_address, self.unavailable.server_address)
    }

    /// The port that the client connected to, as text.
    #[must_use]
    pub fn server_port_text(&self) -> String {
        text_of(&self.server_port, self.unavailable.server_port)
    }

    /// The same client, whose log lines have its port.
    pub(crate) fn with_port_logged(mut self) -> Self {
        self.client.port = Some(self.port_text());
        self
    }

    /// Who has logged in, for log lines, with what MAIL's AUTH parameter says.
    pub(crate) fn sasl<'a>(&'a self, sender: Option<&'a BString>) -> Sasl<'a> {
        let login = self.login.as_deref();
        let login = login.map(|login| (login.method.as_str(), login.username.as_str()));
        Sasl { login, sender: sender.map(|sender| sender.as_bstr()) }
    }

    /// The address as an RFC 5321 address literal without brackets: `IPv6:` before an IPv6 address.
    #[must_use]
    pub fn rfc_address(&self) -> String {
        rfc_address(self.address)
    }
}

pub(crate) fn rfc_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("IPv6:{v6}"),
    }
}

/// The name of a client: what its address points to, verified by looking up the addresses of that name
/// (postconf(5) `smtpd_peername_lookup`; when that is off, do not call this).
pub async fn peer_name(peer: Peer, dns: &dyn Dns, log: &Logger) -> Peer {
    let name = match dns.query(&reverse_query(peer.address), RecordType::Ptr).await {
        DnsAnswer::Records { records, .. } => records.into_iter().find_map(host_name),
        DnsAnswer::TryAgain(_) => return with_status(peer, NameStatus::Temporary),
        DnsAnswer::NoName | DnsAnswer::NoData | DnsAnswer::Invalid(_) => None,
    };
    let Some(name) = name else { return peer };
    let record_type = if peer.address.is_ipv4() { RecordType::A } else { RecordType::Aaaa };
    let (status, why) = match dns.query(&name, record_type).await {
        DnsAnswer::Records { records, .. } if records.iter().any(|r| is_address(r, peer.address)) => {
            return peer.named(&name);
        }
        DnsAnswer::Records { .. } => (NameStatus::Forged, String::new()),
        DnsAnswer::TryAgain(_) => {
            (NameStatus::Temporary, ": Temporary failure in name resolution".to_owned())
        }
        DnsAnswer::NoData | DnsAnswer::Invalid(_) => {
            (NameStatus::Forged, ": No address associated with hostname".to_owned())
        }
        DnsAnswer::NoName => (NameStatus::Forged, ": Name or service not known".to_owned()),
    };
    log.warning(&format!("hostname {name} does not resolve to address {}{why}", peer.client.address));
    Peer { reverse_name: name, reverse_name_status: NameStatus::Verified, name_status: status, ..peer }
}

fn text_of(value: &impl ToString, is_unavailable: bool) -> String {
    if is_unavailable { "unknown".to_owned() } else { value.to_string() }
}

fn with_status(peer: Peer, status: NameStatus) -> Peer {
    Peer { name_status: status, reverse_name_status: status, ..peer }
}

/// `4.3.2.1.in-addr.arpa`, or 32 nibbles below `ip6.arpa`.
pub(crate) fn reverse_query(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().map(|o| format!("{:x}.{:x}.", o & 15, o >> 4));
            nibbles.collect::<String>() + "ip6.arpa"
        }
    }
}

/// A name that may stand in a log line: neither an address nor anything but letters, digits, `-`, `_` and dots.
fn host_name(record: Record) -> Option<String> {
    let RecordData::Name(name) = record.data else { return None };
    let is_text = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let is_address = name.parse::<IpAddr>().is_ok() || name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (is_text && !is_address && !name.is_empty() && name.len() <= 255).then_some(name)
}

fn is_address(record: &Record, address: IpAddr) -> bool {
    match (&record.data, address) {
        (RecordData::A(a), IpAddr::V4(v4)) => *a == v4,
        (RecordData::Aaaa(a), IpAddr::V6(v6)) => *a == v6,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use maillog::{Line, Sink};
    use std::{cell::RefCell, future::Future, pin::pin, rc::Rc, task};
    use types::Trouble;
    use world::Answer;

    struct FakeDns(Vec<(&'static str, DnsAnswer)>);

    impl Dns for FakeDns {
        fn query<'a>(&'a self, name: &'a str, _: RecordType) -> Answer<'a, DnsAnswer> {
            let found = self.0.iter().find(|(n, _)| *n == name).map(|(_, answer)| answer.clone());
            Answer::ready(found.unwrap_or(DnsAnswer::NoName))
        }
    }

    #[derive(Default)]
    struct Lines(RefCell<Vec<String>>);

    impl Sink for Lines {
        fn write(&self, line: Line<'_>) {
            self.0.borrow_mut().push(line.text.to_owned());
        }
    }

    fn records(data: RecordData) -> DnsAnswer {
        let record = Record { name: String::new(), ttl_seconds: 1, data };
        DnsAnswer::Records { records: vec![record], is_authentic: false }
    }

    fn check(dns: Vec<(&'static str, DnsAnswer)>, name: &str, status: NameStatus, warning: &str) {
        let lines = Rc::new(Lines::default());
        let log = Logger::new(Rc::clone(&lines) as Rc<dyn Sink>, "postfix/smtpd", 1);
        let peer = Peer::unknown([192, 0, 2, 7].into(), 1, [192, 0, 2, 1].into(), 25);
        let dns = FakeDns(dns);
        let future = pin!(peer_name(peer, &dns, &log));
        let task::Poll::Ready(peer) = future.poll(&mut task::Context::from_waker(task::Waker::noop())) else {
            panic!("an answer was not at hand");
        };
        assert_eq!((peer.client.name.as_str(), peer.name_status), (name, status));
        assert_eq!(lines.0.borrow().join(""), warning);
    }

    #[test]
    fn a_name_counts_when_it_lists_the_address() {
        const PTR: &str = "7.2.0.192.in-addr.arpa";
        let ptr = |name: &str| (PTR, records(RecordData::Name(name.to_owned())));
        let a = |last| ("mail.example", records(RecordData::A([192, 0, 2, last].into())));
        let again = || DnsAnswer::TryAgain(Trouble::new("timeout"));
        let lie = "hostname mail.example does not resolve to address 192.0.2.7";
        check(vec![ptr("mail.example"), a(7)], "mail.example", NameStatus::Verified, "");
        check(vec![ptr("mail.example"), a(8)], "unknown", NameStatus::Forged, lie);
        check(vec![], "unknown", NameStatus::Absent, "");
        check(vec![(PTR, again())], "unknown", NameStatus::Temporary, "");
        let unsure = format!("{lie}: Temporary failure in name resolution");
        check(
            vec![ptr("mail.example"), ("mail.example", again())],
            "unknown",
            NameStatus::Temporary,
            &unsure,
        );
        check(vec![ptr("192.0.2.7")], "unknown", NameStatus::Absent, "");
        check(vec![ptr("evil] (x")], "unknown", NameStatus::Absent, "");
    }

    #[test]
    fn addresses_are_turned_round_for_dns() {
        assert_eq!(reverse_query([192, 0, 2, 7].into()), "7.2.0.192.in-addr.arpa");
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let expected = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(reverse_query(v6), expected);
    }
}
