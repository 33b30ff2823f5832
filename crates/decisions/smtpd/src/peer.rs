//! Who is at the other end.

use maillog::Client;
use std::net::IpAddr;

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
    /// `sendmail -bs`: a local user on standard input, whom no restriction applies to.
    pub is_stand_alone: bool,
}

impl Peer {
    /// A client whose name is not known.
    #[must_use]
    pub fn unknown(address: IpAddr, port: u16, server_address: IpAddr, server_port: u16) -> Self {
        let address = address.to_canonical();
        Self {
            client: Client { name: "unknown".to_owned(), address: address.to_string() },
            address,
            port,
            reverse_name: "unknown".to_owned(),
            name_status: NameStatus::Absent,
            reverse_name_status: NameStatus::Absent,
            server_address: server_address.to_canonical(),
            server_port,
            is_stand_alone: false,
        }
    }

    /// A local user on standard input, as `sendmail -bs` has it.
    #[must_use]
    pub fn stand_alone() -> Self {
        let here = IpAddr::from([127, 0, 0, 1]);
        Self { is_stand_alone: true, ..Self::unknown(here, 0, here, 0).named("localhost") }
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

    /// The address as an RFC 5321 address literal without brackets: `IPv6:` before an IPv6 address.
    #[must_use]
    pub fn rfc_address(&self) -> String {
        match self.address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("IPv6:{v6}"),
        }
    }
}
