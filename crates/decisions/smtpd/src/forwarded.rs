//! What a client says of the client that it forwards a message for (XFORWARD_README).

use crate::peer::rfc_address;
use bstr::BString;
use maillog::Client;
use std::net::IpAddr;

/// For logs and the queue file; it ends with the transaction. What was not said is not known, so that nothing of one client is
/// mixed with another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Something was said of the client itself, so the rest of it is unknown rather than that of the session.
    pub has_client: bool,
    /// Host name, or `unknown`.
    pub name: String,
    /// Address, if it is known.
    pub address: Option<IpAddr>,
    /// Port, or `unknown`.
    pub port: String,
    /// What is spoken there, or `unknown`.
    pub protocol: String,
    /// HELO or EHLO argument.
    pub helo: Option<BString>,
    /// The message's id there.
    pub ident: Option<BString>,
    /// Header addresses are completed with our domain.
    pub is_local: Option<bool>,
}

impl Forwarded {
    /// Where the message came from, as log lines and the queue file have it: `name[address]`, or the name alone; with a
    /// port when those of the client that is really there have one. That client itself when nothing was said.
    #[must_use]
    pub fn origin(&self, client: &Client) -> String {
        let name = &self.name;
        match self.address {
            _ if !self.has_client => client.to_string(),
            Some(address) if client.port.is_some() => format!("{name}[{address}]:{}", self.port),
            Some(address) => format!("{name}[{address}]"),
            None => name.clone(),
        }
    }

    /// The address as it stands in headers, or `unknown`.
    #[must_use]
    pub fn rfc_address(&self) -> String {
        match self.address {
            Some(address) => rfc_address(address),
            None => "unknown".to_owned(),
        }
    }
}

impl Default for Forwarded {
    fn default() -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            has_client: false,
            name: unknown(),
            address: None,
            port: unknown(),
            protocol: unknown(),
            helo: None,
            ident: None,
            is_local: None,
        }
    }
}
