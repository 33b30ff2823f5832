//! One entry of the table.

use types::Address;
use wire::verify::{AddressStatus, Verified};

/// What is known of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is known, and why.
    pub verified: Verified,
    /// When the probe that is under way was sent, in seconds since 1970; 0 for none.
    pub probed: i64,
    /// When the last result came; 0 for never.
    pub updated: i64,
}

/// The key of an address: a colon separates the fields of a value, and Postfix has none in keys either.
#[must_use]
pub fn key(address: &Address) -> Vec<u8> {
    address.as_bytes().iter().map(|&byte| if byte == b':' { b'_' } else { byte }).collect()
}

impl Entry {
    /// Reads a value; `None` for what is none.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut fields = value.splitn(4, |byte| *byte == b':');
        let mut number = || {
            let digits = fields.next().filter(|text| text.iter().all(u8::is_ascii_digit))?;
            std::str::from_utf8(digits).ok()?.parse::<i64>().ok()
        };
        let (status, probed, updated) = (number()?, number()?, number()?);
        let reason = fields.next()?.into();
        // Whoever wrote neither time did not write an entry.
        let status = AddressStatus::of(status).filter(|_| probed != 0 || updated != 0)?;
        Some(Self { verified: Verified { status, reason }, probed, updated })
    }

    /// As it is stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let numbers = format!("{}:{}:{}:", self.verified.status.number(), self.probed, self.updated);
        [numbers.as_bytes(), self.verified.reason.as_slice()].concat()
    }

    /// Whether a value says that the address is good, whatever else is in it.
    pub(crate) fn says_good(value: &[u8]) -> bool {
        let digits = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
        value.get(..digits).is_some_and(|digits| digits.iter().all(|digit| *digit == b'0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_those_of_postfix() {
        let check = |value: &str| {
            let entry = Entry::parse(value.as_bytes()).unwrap();
            assert_eq!(entry.encode(), value.as_bytes());
            entry
        };
        let entry = check("0:0:1763726400:250 2.1.5 Ok: queued");
        assert_eq!(entry.verified.reason, "250 2.1.5 Ok: queued");
        assert_eq!((entry.probed, entry.updated), (0, 1_763_726_400));
        assert_eq!(check("3:5:0:").verified.status, AddressStatus::InProgress);
    }

    #[test]
    fn what_is_no_value_is_none() {
        for value in [
            "",
            "0",
            "0:1",
            "0:1:2",
            "4:1:2:x",
            "x:1:2:t",
            ":1:2:t",
            "0:0:0:t",
            "0:-1:2:t",
            "0:1:99999999999999999999:t",
        ] {
            assert_eq!(Entry::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn keys_have_no_colon() {
        assert_eq!(key(&Address::from("a@[IPv6:::1]")), b"a@[IPv6___1]");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_entry_or_none(value: Vec<u8>) {
            if let Some(entry) = Entry::parse(&value) {
                prop_assert_eq!(Entry::parse(&entry.encode()), Some(entry));
            }
            let _ = Entry::says_good(&value);
        }
    }
}
