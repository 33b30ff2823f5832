//! Network patterns: `192.0.2.0/24`, `[2001:db8::]/32`, `[::1]`.

use std::{fmt, net::IpAddr};

/// A network: addresses whose first `prefix_bits` bits are those of `network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CidrPattern {
    /// The network's address, host bits zero.
    pub network: IpAddr,
    /// 0 to 32, or to 128.
    pub prefix_bits: u8,
}

/// What is wrong with a pattern, in Postfix's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CidrError(String);

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CidrError {}

fn error<T>(text: String) -> Result<T, CidrError> {
    Err(CidrError(text))
}

impl CidrPattern {
    /// Parses `address`, `[address]`, `address/bits`, `[address]/bits` or `[address/bits]` (cidr_table(5)).
    pub fn parse(pattern: &str) -> Result<Self, CidrError> {
        let (address, bits) = take_brackets(pattern)?;
        let Some(bits) = bits else {
            return match parse_address(address) {
                Some(network) => Ok(Self { network, prefix_bits: width(network) }),
                None => error(format!("bad address pattern: \"{address}\"")),
            };
        };
        let bad = |what: &str| error(format!("{what} in \"{address}/{bits}\""));
        if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return bad("bad mask value");
        }
        let width = if address.contains(':') { 128 } else { 32 };
        let Some(prefix_bits) = bits.parse::<u8>().ok().filter(|bits| *bits <= width) else {
            return bad("bad mask length");
        };
        let Some(given) = parse_address(address) else { return bad("bad network value") };
        let network = mask(given, prefix_bits);
        if network != given {
            return error(format!(
                "non-null host address bits in \"{address}/{bits}\", perhaps you should use \
                 \"{network}/{prefix_bits}\" instead"
            ));
        }
        Ok(Self { network, prefix_bits })
    }

    /// The network of `prefix_bits` bits that an address is in.
    #[must_use]
    pub fn around(address: IpAddr, prefix_bits: u8) -> Self {
        Self { network: mask(address, prefix_bits), prefix_bits }
    }

    /// Whether the address is in the network. IPv4 never matches IPv6.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        mask(address, self.prefix_bits) == self.network
    }
}

/// Takes the brackets off; what is left is an address and perhaps the bits after `/`.
fn take_brackets(pattern: &str) -> Result<(&str, Option<&str>), CidrError> {
    let split = |text| match str::split_once(text, '/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let Some(inner) = pattern.strip_prefix('[') else { return Ok(split(pattern)) };
    match inner.split_once(']') {
        None => error(format!("missing ']' character after \"[{inner}\"")),
        Some((inside, "")) => Ok(split(inside)),
        Some((address, after)) => match after.strip_prefix('/') {
            Some(bits) => Ok((address, Some(bits))),
            None => error(format!("garbage after \"[{address}]\"")),
        },
    }
}

fn parse_address(text: &str) -> Option<IpAddr> {
    if text.contains(':') { text.parse().ok().map(IpAddr::V6) } else { text.parse().ok().map(IpAddr::V4) }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Clears the host bits.
fn mask(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let keep = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & keep).into())
        }
        IpAddr::V6(v6) => {
            let keep = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & keep).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, expected: Result<(&str, u8), &str>) {
        let got = CidrPattern::parse(pattern).map(|p| (p.network.to_string(), p.prefix_bits));
        match (got, expected) {
            (Ok((network, bits)), Ok(expected)) => assert_eq!((network.as_str(), bits), expected),
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected),
            (got, expected) => panic!("{pattern}: {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn parses_every_form() {
        check("192.0.2.0/24", Ok(("192.0.2.0", 24)));
        check("192.0.2.1", Ok(("192.0.2.1", 32)));
        check("[2001:db8::]/32", Ok(("2001:db8::", 32)));
        check("[2001:db8::/32]", Ok(("2001:db8::", 32)));
        check("[::1]", Ok(("::1", 128)));
        check("0.0.0.0/0", Ok(("0.0.0.0", 0)));
        check("::/0", Ok(("::", 0)));
    }

    #[test]
    fn refuses_with_postfix_words() {
        check("1.2.3.4/33", Err("bad mask length in \"1.2.3.4/33\""));
        check("1.2.3.4/x", Err("bad mask value in \"1.2.3.4/x\""));
        check("1.2.3/8", Err("bad network value in \"1.2.3/8\""));
        check("1.2.3", Err("bad address pattern: \"1.2.3\""));
        check("[::1", Err("missing ']' character after \"[::1\""));
        check("[::1]x", Err("garbage after \"[::1]\""));
        check(
            "10.0.0.1/8",
            Err(
                "non-null host address bits in \"10.0.0.1/8\", perhaps you should use \"10.0.0.0/8\" instead",
            ),
        );
    }

    #[test]
    fn contains_by_prefix_and_family() {
        let contains = |pattern: &str, address: &str| {
            CidrPattern::parse(pattern).unwrap().contains(address.parse().unwrap())
        };
        assert!(contains("192.0.2.0/24", "192.0.2.255"));
        assert!(!contains("192.0.2.0/24", "192.0.3.0"));
        assert!(contains("0.0.0.0/0", "255.255.255.255"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(contains("2001:db8::/33", "2001:db8:7fff::"));
        assert!(!contains("2001:db8::/33", "2001:db8:8000::"));
    }

    proptest! {
        #[test]
        fn takes_any_text(text in "[\\[\\]0-9a-f.:/]{0,30}|\\PC*") {
            if let Ok(pattern) = CidrPattern::parse(&text) {
                prop_assert!(pattern.contains(pattern.network));
            }
        }
    }
}
