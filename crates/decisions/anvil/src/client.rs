//! Whose counters they are.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    rc::Rc,
};

/// A service of [`crate::Anvil::service`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Service(pub(crate) u32);

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client(Who);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    /// The leading bits of an address, and how many they are.
    Network(IpAddr, u8),
    Account(Rc<str>),
}

impl Client {
    /// Addresses with the same leading bits are one client (postconf(5) `smtpd_client_ipv4_prefix_length`).
    #[must_use]
    pub fn network(address: IpAddr, prefix_length: u8) -> Self {
        let keep = |bits: u8| u32::from(bits.saturating_sub(prefix_length));
        let network = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(keep(32)).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & mask).into()
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(keep(128)).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
        };
        let bits = if address.is_ipv4() { 32 } else { 128 };
        Self(Who::Network(network, prefix_length.min(bits)))
    }

    /// Somebody who has logged in, from wherever.
    #[must_use]
    pub fn account(name: &str) -> Self {
        Self(Who::Account(name.into()))
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Who::Network(address, 32) if address.is_ipv4() => address.fmt(f),
            Who::Network(address, 128) => address.fmt(f),
            Who::Network(address, length) => write!(f, "{address}/{length}"),
            Who::Account(name) => f.write_str(name),
        }
    }
}

/// Counters are kept by this.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) service: Service,
    pub(crate) client: Client,
}
