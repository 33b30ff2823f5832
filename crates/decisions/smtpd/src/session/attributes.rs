//! `name=value` of XCLIENT and XFORWARD (XCLIENT_README, XFORWARD_README).

use super::greeting::harmless;
use crate::{judge::is_valid_hostname, replies};
use bstr::BString;
use config::Protocols;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use types::{Dsn, FixedReply, Reply};
use wire::{command::Words, xtext};

/// What stands for a value that is not known.
const UNAVAILABLE: &str = "[UNAVAILABLE]";
const TEMPUNAVAIL: &str = "[TEMPUNAVAIL]";
/// The longest value, as it is written.
const VALUE_SIZE_MAX: usize = 255;

/// One of them.
pub(super) struct Attribute<'a> {
    pub(super) name: &'a [u8],
    /// Decoded, with what is unprintable replaced.
    pub(super) value: String,
}

/// What a value says.
pub(super) enum Value<T> {
    Is(T),
    /// `[UNAVAILABLE]`
    Unavailable,
    /// `[TEMPUNAVAIL]`, where that means something.
    TryAgain,
}

impl<T> Value<T> {
    pub(super) fn known(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Unavailable | Self::TryAgain => None,
        }
    }
}

/// Reads all of them; none is used when one is wrong.
pub(super) fn parse(words: Words<'_>) -> Result<Vec<Attribute<'_>>, FixedReply> {
    let split = |text| {
        let at = memchr_equals(text)?;
        Some((&text[..at], &text[at + 1..])).filter(|(_, value)| !value.is_empty())
    };
    let one = |text| {
        let (name, value) = split(text).ok_or(replies::ATTRIBUTE_EXPECTED)?;
        if value.len() > VALUE_SIZE_MAX {
            return Err(replies::ATTRIBUTE_TOO_LONG);
        }
        // Some clients do not encode values.
        let value = xtext::decode(value).unwrap_or_else(|| value.to_vec());
        Ok(Attribute { name, value: maillog::printable(&value) })
    };
    words.map(|word| one(word.text)).collect()
}

fn memchr_equals(text: &[u8]) -> Option<usize> {
    text.iter().position(|b| *b == b'=')
}

impl Attribute<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    fn is_unavailable(&self) -> bool {
        self.value.eq_ignore_ascii_case(UNAVAILABLE)
    }

    fn or_unavailable<T>(&self, known: impl FnOnce(&str) -> Option<T>) -> Result<Value<T>, Reply> {
        match self.is_unavailable() {
            true => Ok(Value::Unavailable),
            false => known(&self.value).map(Value::Is).ok_or_else(|| self.bad_value()),
        }
    }

    /// A host name whose lookup may have failed for now.
    pub(super) fn looked_up_name(&self) -> Result<Value<String>, Reply> {
        match self.value.eq_ignore_ascii_case(TEMPUNAVAIL) {
            true => Ok(Value::TryAgain),
            false => self.host_name(),
        }
    }

    pub(super) fn host_name(&self) -> Result<Value<String>, Reply> {
        self.or_unavailable(|value| is_valid_hostname(value.as_bytes()).then(|| value.to_owned()))
    }

    /// An address of a kind that is in use.
    pub(super) fn address(&self, protocols: Protocols) -> Result<Value<IpAddr>, Reply> {
        self.or_unavailable(|value| parse_address(value).filter(|address| protocols.have(*address)))
    }

    pub(super) fn port(&self) -> Result<Value<u16>, Reply> {
        let is_number = |value: &&str| value.bytes().all(|b| b.is_ascii_digit());
        self.or_unavailable(|value| Some(value).filter(is_number)?.parse().ok())
    }

    /// A text that may be anything.
    pub(super) fn text_as_it_is(&self) -> Value<String> {
        if self.is_unavailable() { Value::Unavailable } else { Value::Is(self.value.clone()) }
    }

    /// A text that may be anything; what would break a header is replaced.
    pub(super) fn text(&self) -> Value<BString> {
        match self.is_unavailable() {
            true => Value::Unavailable,
            false => Value::Is(harmless(self.value.as_bytes())),
        }
    }

    pub(super) fn bad_value(&self) -> Reply {
        let name = String::from_utf8_lossy(self.name).to_ascii_uppercase();
        bad(format!("Bad {name} syntax: {}", self.value))
    }

    pub(super) fn bad_name(&self, command: &str) -> Reply {
        bad(format!("Bad {command} attribute name: {}", maillog::printable(self.name)))
    }
}

fn bad(text: String) -> Reply {
    Reply::new(501, Dsn::permanent(5, 4), text)
}

/// An address as in an address literal, without brackets: IPv6 with `IPv6:` before it.
fn parse_address(text: &str) -> Option<IpAddr> {
    match text.split_at_checked(5) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("IPv6:") => {
            rest.parse::<Ipv6Addr>().ok().map(|address| address.to_canonical())
        }
        _ => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}
