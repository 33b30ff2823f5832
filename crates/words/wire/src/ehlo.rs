//! The keywords of an EHLO reply that can be withheld by a server (`smtpd_discard_ehlo_keywords`) and ignored by a client
//! (`smtp_discard_ehlo_keywords`).

use std::fmt;

/// A set of EHLO keywords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EhloKeywords(u32);

const NAMES: [(&str, EhloKeywords); 15] = [
    ("8BITMIME", EhloKeywords::EIGHTBITMIME),
    ("AUTH", EhloKeywords::AUTH),
    ("ETRN", EhloKeywords::ETRN),
    ("PIPELINING", EhloKeywords::PIPELINING),
    ("SIZE", EhloKeywords::SIZE),
    ("VERP", EhloKeywords::VERP),
    ("VRFY", EhloKeywords::VRFY),
    ("XCLIENT", EhloKeywords::XCLIENT),
    ("XFORWARD", EhloKeywords::XFORWARD),
    ("STARTTLS", EhloKeywords::STARTTLS),
    ("ENHANCEDSTATUSCODES", EhloKeywords::ENHANCEDSTATUSCODES),
    ("DSN", EhloKeywords::DSN),
    ("SMTPUTF8", EhloKeywords::SMTPUTF8),
    ("CHUNKING", EhloKeywords::CHUNKING),
    ("REQUIRETLS", EhloKeywords::REQUIRETLS),
];

impl EhloKeywords {
    /// `8BITMIME`
    pub const EIGHTBITMIME: Self = Self(1);
    /// `AUTH`
    pub const AUTH: Self = Self(1 << 1);
    /// `ETRN`
    pub const ETRN: Self = Self(1 << 2);
    /// `PIPELINING`
    pub const PIPELINING: Self = Self(1 << 3);
    /// `SIZE`
    pub const SIZE: Self = Self(1 << 4);
    /// `STARTTLS`
    pub const STARTTLS: Self = Self(1 << 5);
    /// `VERP`
    pub const VERP: Self = Self(1 << 6);
    /// `VRFY`
    pub const VRFY: Self = Self(1 << 7);
    /// `XCLIENT`
    pub const XCLIENT: Self = Self(1 << 8);
    /// `XFORWARD`
    pub const XFORWARD: Self = Self(1 << 9);
    /// `ENHANCEDSTATUSCODES`
    pub const ENHANCEDSTATUSCODES: Self = Self(1 << 10);
    /// `DSN`
    pub const DSN: Self = Self(1 << 11);
    /// `SMTPUTF8`
    pub const SMTPUTF8: Self = Self(1 << 12);
    /// `CHUNKING`
    pub const CHUNKING: Self = Self(1 << 13);
    /// `REQUIRETLS`
    pub const REQUIRETLS: Self = Self(1 << 14);
    /// `silent-discard`: do not log what is discarded.
    const SILENT: Self = Self(1 << 31);

    /// Reads a list of keywords in any case; the second value is the words that are none.
    #[must_use]
    pub fn parse(list: &str) -> (Self, Vec<&str>) {
        let words = list.split([' ', '\t', '\r', '\n', ',']).filter(|word| !word.is_empty());
        let mut unknown = Vec::new();
        let set = words.fold(Self::default(), |set, word| {
            let silent = word.eq_ignore_ascii_case("silent-discard").then_some(Self::SILENT);
            let known = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, bit)| *bit);
            match silent.or(known) {
                Some(bit) => Self(set.0 | bit.0),
                None => {
                    unknown.push(word);
                    set
                }
            }
        });
        (set, unknown)
    }

    /// Whether the keyword is in the set.
    #[must_use]
    pub const fn has(self, keyword: Self) -> bool {
        self.0 & keyword.0 != 0
    }

    /// Whether discarding this set is worth a log line.
    #[must_use]
    pub const fn is_logged(self) -> bool {
        self.0 != 0 && !self.has(Self::SILENT)
    }
}

/// The names, separated by commas, as `discarding EHLO keywords:` shows them.
impl fmt::Display for EhloKeywords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, _) in NAMES.iter().filter(|(_, bit)| self.has(*bit)) {
            write!(f, "{separator}{name}")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_read_in_any_case() {
        let (set, unknown) = EhloKeywords::parse("silent-discard, dsn\tChunking, nonsense");
        assert!(set.has(EhloKeywords::DSN) && set.has(EhloKeywords::CHUNKING));
        assert!(!set.has(EhloKeywords::SIZE) && !set.is_logged());
        assert_eq!(unknown, ["nonsense"]);
        assert_eq!(EhloKeywords::parse("etrn 8bitmime").0.to_string(), "8BITMIME, ETRN");
        assert!(!EhloKeywords::parse("").0.is_logged());
    }
}
