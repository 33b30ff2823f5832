//! Which sender addresses a login name may use (postconf(5) `local_login_sender_maps`).

use crate::{ExtensionRules, Maps, casefold};
use message::{QuoteOptions, quote_822_local};
use types::{Lookup, Trouble};

/// The tables of login names, and how their patterns are read.
pub struct LoginSenders<'a> {
    /// `local_login_sender_maps`: from a login name to patterns of senders.
    pub maps: &'a Maps,
    /// Extensions of senders do not count.
    pub extensions: &'a ExtensionRules,
    /// `empty_address_local_login_sender_maps_lookup_key`: the pattern that stands for the empty sender.
    pub empty_address: &'a str,
}

impl LoginSenders<'_> {
    /// Whether a user may send as `sender`, an address in internal form.
    ///
    /// # Errors
    /// A table that cannot be asked.
    pub async fn allow(&self, login: &str, sender: &[u8]) -> Result<bool, Trouble> {
        match self.maps.find(login.as_bytes()).await {
            Lookup::Found(value) => Ok(patterns(&value).any(|pattern| self.matches(pattern, sender))),
            Lookup::Absent => Ok(false),
            Lookup::TryAgain(trouble) => Err(trouble),
        }
    }

    fn matches(&self, pattern: &[u8], sender: &[u8]) -> bool {
        let same = |one: &[u8], other: &[u8]| *casefold(one) == *casefold(other);
        if pattern.starts_with(b"@") {
            let domain = memchr::memrchr(b'@', sender).and_then(|at| sender.get(at..));
            return domain.is_some_and(|domain| same(pattern, domain));
        }
        if pattern == b"*" {
            return true;
        }
        if pattern.eq_ignore_ascii_case(self.empty_address.as_bytes()) {
            return sender.is_empty();
        }
        let split = self.extensions.split(sender);
        let bare = split.as_ref().map_or(sender, |split| &split.bare);
        same(pattern, &quote_822_local(bare, QuoteOptions::default()))
    }
}

/// The patterns of a table's value, between commas and white space. What stands in double quotes is one piece, and a
/// backslash takes the character after it along.
fn patterns(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|byte| !is_separator(*byte))?;
        rest = rest.get(start..)?;
        let (mut is_quoted, mut is_escaped) = (false, false);
        let ends = |byte: &u8| {
            let was_escaped = std::mem::take(&mut is_escaped);
            match *byte {
                _ if was_escaped => {}
                b'\\' => is_escaped = true,
                b'"' => is_quoted = !is_quoted,
                byte => return !is_quoted && is_separator(byte),
            }
            false
        };
        let end = rest.iter().position(ends).unwrap_or(rest.len());
        let (pattern, tail) = rest.split_at(end);
        rest = tail;
        Some(pattern)
    })
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use bstr::ByteSlice;

    #[track_caller]
    fn check(pattern: &str, sender: &str, expected: bool) {
        let extensions =
            ExtensionRules { recipient_delimiter: b"+".as_slice().into(), ..ExtensionRules::default() };
        let maps = Maps::none("local_login_sender_maps");
        let senders = LoginSenders { maps: &maps, extensions: &extensions, empty_address: "<>" };
        assert_eq!(senders.matches(pattern.as_bytes(), sender.as_bytes()), expected, "{pattern} {sender}");
    }

    #[test]
    fn patterns_are_domains_wildcards_the_empty_address_or_addresses() {
        check("@example.com", "jane@Example.COM", true);
        check("@example.com", "jane@sub.example.com", false);
        check("@example.com", "jane", false);
        check("*", "anybody@anywhere", true);
        check("*", "", true);
        check("<>", "", true);
        check("<>", "<>", false);
        check("Jane@example.com", "jane@EXAMPLE.com", true);
        check("jane@example.com", "jane+list@example.com", true);
        check("jane+list@example.com", "jane+list@example.com", false);
        check("jane", "jane@example.com", false);
        check("\"jane doe\"@example.com", "jane doe@example.com", true);
        check("straße@example.com", "STRASSE@example.com", true);
    }

    #[test]
    fn values_are_split_outside_quotes() {
        let found: Vec<_> = patterns(b" a, \"b c\"@d\te\\ f,,\"g").map(ByteSlice::as_bstr).collect();
        assert_eq!(found, ["a", "\"b c\"@d", "e\\ f", "\"g"]);
        assert_eq!(patterns(b" ,").count(), 0);
    }
}
