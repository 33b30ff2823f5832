//! Variable envelope return paths (VERP_README): each recipient's copy has a sender that names the recipient.

use crate::{Address, Recipient};

/// The two characters that a VERP sender is composed with, such as `+=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerpDelimiters([u8; 2]);

impl VerpDelimiters {
    /// `None` if these are not two characters of `filter` (postconf(5) `verp_delimiter_filter`).
    #[must_use]
    pub fn parse(delimiters: &[u8], filter: &str) -> Option<Self> {
        let pair = <[u8; 2]>::try_from(delimiters).ok()?;
        pair.iter().all(|byte| filter.as_bytes().contains(byte)).then_some(Self(pair))
    }

    /// As a `V` record has them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// `prefix@origin` becomes `prefix+user=domain@origin`. The recipient is who it was before any rewriting: that is
    /// whom the sender knows.
    #[must_use]
    pub fn sender(self, sender: &Address, recipient: &Recipient) -> Address {
        let Self([first, second]) = self;
        let recipient = if recipient.original.is_null() { &recipient.address } else { &recipient.original };
        let (prefix, origin) = sender.split();
        let (user, domain) = recipient.split();
        let mut composed = prefix.to_vec();
        composed.push(first);
        composed.extend_from_slice(user);
        for (mark, name) in [(second, domain), (b'@', origin)] {
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                composed.push(mark);
                composed.extend_from_slice(name);
            }
        }
        Address::new(composed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_two_characters_of_the_filter() {
        let check = |text: &str, filter: &str, is_good: bool| {
            assert_eq!(
                VerpDelimiters::parse(text.as_bytes(), filter).is_some(),
                is_good,
                "{text} of {filter}"
            );
        };
        check("+=", "-=+", true);
        check("==", "-=+", true);
        check("+", "-=+", false);
        check("+=+", "-=+", false);
        check("", "-=+", false);
        check("+*", "-=+", false);
        check("*=", "-=+", false);
        check("+=", "", false);
        check("\0=", "-=+", false);
    }

    #[test]
    fn a_sender_names_its_recipient() {
        let check = |delimiters: &str, sender: &str, original: &str, address: &str, expected: &str| {
            let delimiters = VerpDelimiters::parse(delimiters.as_bytes(), "-=+").unwrap();
            let recipient =
                Recipient { address: address.into(), original: original.into(), ..Recipient::default() };
            let found = delimiters.sender(&sender.into(), &recipient);
            assert_eq!(found, expected.into(), "{sender} to {original} as {address}");
        };
        check("+=", "list@origin", "", "user@domain", "list+user=domain@origin");
        check("-=", "list@origin", "alias@here", "user@domain", "list-alias=here@origin");
        check("+=", "list@origin", "", "user", "list+user@origin");
        check("+=", "list@origin", "", "user@", "list+user@origin");
        check("+=", "list", "", "user@domain", "list+user=domain");
        check("+=", "list@", "", "user@domain", "list+user=domain");
        check("+=", "a@b@origin", "", "c@d@domain", "a@b+c@d=domain@origin");
        check("+=", "list@origin", "", "a b@domain", "list+a b=domain@origin");
    }
}
