//! `list.example=127.0.0.[2..11]`: a DNS block or allow list, and which of its answers count.

use std::net::Ipv4Addr;

/// A list as a restriction names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsList {
    /// With the filter, as `rbl_reply_maps` may have it.
    pub text: String,
    /// The domain that is asked.
    pub domain: String,
    /// Which answers count; without one, all.
    pub filter: Option<AddressFilter>,
}

/// Four octets, each a number or alternatives and ranges: `127.0.[0;2].[2..11]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFilter([Vec<(u8, u8)>; 4]);

impl DnsList {
    /// Reads `domain` or `domain=filter`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (domain, filter) = match text.split_once('=') {
            Some((domain, filter)) => (domain, Some(AddressFilter::parse(filter)?)),
            None => (text, None),
        };
        Ok(Self { text: text.to_owned(), domain: domain.to_owned(), filter })
    }
}

impl AddressFilter {
    fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("bad address pattern \"{text}\": want d.d.d.d, each d a number or [d;d..d]");
        let mut rest = text;
        // Brackets round the whole, as long as they are one pair.
        let inner = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        if let Some(inner) = inner.filter(|inner| is_closed(inner)) {
            rest = inner;
        }
        let mut octets: [Vec<(u8, u8)>; 4] = Default::default();
        for (at, octet) in octets.iter_mut().enumerate() {
            if at > 0 {
                rest = rest.strip_prefix('.').ok_or_else(bad)?;
            }
            if let Some(inside) = rest.strip_prefix('[') {
                let (choices, tail) = inside.split_once(']').ok_or_else(bad)?;
                *octet = choices.split(';').map(range).collect::<Option<_>>().ok_or_else(bad)?;
                rest = tail;
            } else {
                let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                *octet = vec![range(&rest[..end]).ok_or_else(bad)?];
                rest = &rest[end..];
            }
        }
        if rest.is_empty() { Ok(Self(octets)) } else { Err(bad()) }
    }

    /// Whether an answer counts.
    #[must_use]
    pub fn matches(&self, address: Ipv4Addr) -> bool {
        let octets = address.octets();
        self.0
            .iter()
            .zip(octets)
            .all(|(ranges, octet)| ranges.iter().any(|(first, last)| (*first..=*last).contains(&octet)))
    }
}

/// Whether every `[` has its `]` behind it.
fn is_closed(text: &str) -> bool {
    let mut depth = 0_i32;
    text.chars().all(|c| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        depth >= 0
    }) && depth == 0
}

fn range(text: &str) -> Option<(u8, u8)> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_say_which_answers_count() {
        let check = |filter: &str, address: &str, expected: bool| {
            let list = DnsList::parse(&format!("list.example={filter}")).unwrap();
            assert_eq!(list.domain, "list.example");
            assert_eq!(
                list.filter.unwrap().matches(address.parse().unwrap()),
                expected,
                "{filter} {address}"
            );
        };
        check("127.0.0.2", "127.0.0.2", true);
        check("127.0.0.2", "127.0.0.3", false);
        check("127.0.0.[2..11]", "127.0.0.11", true);
        check("127.0.0.[2..11]", "127.0.0.12", false);
        check("127.0.[0;2..4].[1;3]", "127.0.3.3", true);
        check("127.0.[0;2..4].[1;3]", "127.0.1.3", false);
        check("[127.0.0.[2..11]]", "127.0.0.5", true);
        check("[127].0.0.[0..255]", "127.0.0.255", true);
        for bad in ["", "127.0.0", "127.0.0.256", "127.0.0.[2..1]", "127.0.0.2.", "a.b.c.d", "127.0.0.[2"] {
            assert!(DnsList::parse(&format!("x={bad}")).is_err(), "{bad}");
        }
    }
}
