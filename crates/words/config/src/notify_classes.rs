//! What the postmaster is told about (postconf(5) `notify_classes`).

/// A set of classes of trouble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifyClasses(u8);

impl NotifyClasses {
    /// Mail that is returned, or refused because of its recipient or its size.
    pub const BOUNCE: Self = Self(1);
    /// Returned mail that could not be returned.
    pub const DOUBLE_BOUNCE: Self = Self(1 << 1);
    /// A table or a server of ours that did not answer.
    pub const DATA: Self = Self(1 << 2);
    /// Mail that waits.
    pub const DELAY: Self = Self(1 << 3);
    /// What our rules refuse.
    pub const POLICY: Self = Self(1 << 4);
    /// What is no proper SMTP, on either side.
    pub const PROTOCOL: Self = Self(1 << 5);
    /// Space that is missing, files that cannot be written.
    pub const RESOURCE: Self = Self(1 << 6);
    /// Mistakes of our configuration and our programs.
    pub const SOFTWARE: Self = Self(1 << 7);

    const NAMES: [(&str, Self); 8] = [
        ("bounce", Self::BOUNCE),
        ("2bounce", Self::DOUBLE_BOUNCE),
        ("data", Self::DATA),
        ("delay", Self::DELAY),
        ("policy", Self::POLICY),
        ("protocol", Self::PROTOCOL),
        ("resource", Self::RESOURCE),
        ("software", Self::SOFTWARE),
    ];

    /// The classes of a list; a name that is none was fatal at the start.
    pub(crate) fn parse(names: &[&str]) -> Self {
        let class = |name: &&str| Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        names.iter().filter_map(class).fold(Self::default(), |all, (_, one)| all.with(*one))
    }

    /// Those of both.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether a class is in both.
    #[must_use]
    pub const fn has_any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_that_are_named() {
        let classes = NotifyClasses::parse(&["2bounce", "Protocol"]);
        assert!(classes.has_any(NotifyClasses::PROTOCOL) && classes.has_any(NotifyClasses::DOUBLE_BOUNCE));
        assert!(!classes.has_any(NotifyClasses::BOUNCE.with(NotifyClasses::SOFTWARE)));
        assert!(NotifyClasses::parse(&[]).is_empty());
    }
}
