//! Versions of TLS.

/// Protocol versions by the names that log lines and parameters use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `TLSv1`
    Tls10,
    /// `TLSv1.1`
    Tls11,
    /// `TLSv1.2`
    Tls12,
    /// `TLSv1.3`
    Tls13,
}

impl Protocol {
    /// All, oldest first.
    pub const ALL: [Self; 4] = [Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];

    /// As log lines, Received headers and `smtp_tls_protocols` spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls10 => "TLSv1",
            Self::Tls11 => "TLSv1.1",
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }

    /// By its name, in any case; `TLSv1.0` is another one for the oldest.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("TLSv1.0") {
            return Some(Self::Tls10);
        }
        Self::ALL.into_iter().find(|version| name.eq_ignore_ascii_case(version.as_str()))
    }
}

/// The versions that will do, from the oldest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub min: Protocol,
    /// The newest.
    pub max: Protocol,
}

impl Default for Versions {
    fn default() -> Self {
        Self { min: Protocol::Tls10, max: Protocol::Tls13 }
    }
}

impl Versions {
    /// Whether a version will do.
    #[must_use]
    pub fn has(self, version: Protocol) -> bool {
        self.min <= version && version <= self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_versions() {
        for version in Protocol::ALL {
            assert_eq!(Protocol::parse(version.as_str()), Some(version));
        }
        assert_eq!(Protocol::parse("tlsv1.0"), Some(Protocol::Tls10));
        assert_eq!(Protocol::parse("SSLv3"), None);
    }

    #[test]
    fn ranges() {
        let versions = Versions { min: Protocol::Tls12, max: Protocol::Tls12 };
        assert_eq!(Protocol::ALL.map(|version| versions.has(version)), [false, false, true, false]);
        assert!(Protocol::ALL.into_iter().all(|version| Versions::default().has(version)));
    }
}
