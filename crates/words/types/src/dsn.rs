//! Enhanced mail system status codes (RFC 3463).

use std::{fmt, str::FromStr};

/// The first digit of a status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DsnClass {
    /// 2: delivered, relayed or expanded.
    Success = 2,
    /// 4: worth another try.
    Temporary = 4,
    /// 5: final.
    Permanent = 5,
}

/// A status code such as `5.1.1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dsn {
    /// First number.
    pub class: DsnClass,
    /// Second number, 0 to 999.
    pub subject: u16,
    /// Third number, 0 to 999.
    pub detail: u16,
}

impl Dsn {
    /// `2.subject.detail`
    #[must_use]
    pub const fn success(subject: u16, detail: u16) -> Self {
        Self { class: DsnClass::Success, subject, detail }
    }

    /// `4.subject.detail`
    #[must_use]
    pub const fn temporary(subject: u16, detail: u16) -> Self {
        Self { class: DsnClass::Temporary, subject, detail }
    }

    /// `5.subject.detail`
    #[must_use]
    pub const fn permanent(subject: u16, detail: u16) -> Self {
        Self { class: DsnClass::Permanent, subject, detail }
    }

    /// The same subject and detail under another class.
    #[must_use]
    pub const fn with_class(self, class: DsnClass) -> Self {
        Self { class, ..self }
    }

    /// Reads a status code at the start of `text` and returns it with what follows the code.
    #[must_use]
    pub fn parse_prefix(text: &str) -> Option<(Self, &str)> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let code = text[..end].parse().ok()?;
        Some((code, &text[end..]))
    }
}

/// The text was not `class.subject.detail` with class 2, 4 or 5 and at most three digits a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidDsn;

impl FromStr for Dsn {
    type Err = InvalidDsn;

    fn from_str(text: &str) -> Result<Self, InvalidDsn> {
        let mut parts = text.split('.');
        let class = match parts.next() {
            Some("2") => DsnClass::Success,
            Some("4") => DsnClass::Temporary,
            Some("5") => DsnClass::Permanent,
            _ => return Err(InvalidDsn),
        };
        let mut number = || {
            let digits = parts.next().filter(|d| (1..=3).contains(&d.len()))?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let (Some(subject), Some(detail)) = (number(), number()) else { return Err(InvalidDsn) };
        if parts.next().is_some() { Err(InvalidDsn) } else { Ok(Self { class, subject, detail }) }
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class as u8, self.subject, self.detail)
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints_and_nothing_else() {
        for text in ["2.0.0", "4.4.2", "5.7.1", "5.123.999"] {
            assert_eq!(text.parse::<Dsn>().map(|d| d.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "3.0.0", "5.7", "5.7.1.1", "5..1", "5.7.1000", "5.a.1", "+5.7.1"] {
            assert_eq!(text.parse::<Dsn>(), Err(InvalidDsn), "{text}");
        }
    }

    #[test]
    fn finds_a_code_before_text() {
        assert_eq!(Dsn::parse_prefix("5.1.1 No user"), Some((Dsn::permanent(1, 1), " No user")));
        assert_eq!(Dsn::parse_prefix("No user"), None);
    }
}
