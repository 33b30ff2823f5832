//! The parts of a local recipient.

use bstr::BString;
use maps::{ExtensionRules, casefold};
use types::Address;

/// A recipient's local part, folded to lower case, with its extension split off, and its domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalName {
    /// The local part with its extension.
    pub local: BString,
    /// The local part without its extension.
    pub user: BString,
    /// What stands after the delimiter.
    pub extension: Option<BString>,
    /// What stands after the `@`.
    pub domain: BString,
    /// There was an extension with a `/` in it, which was dropped, since extensions become parts of file names.
    pub is_extension_illegal: bool,
}

impl LocalName {
    /// Splits a recipient (postconf(5) recipient_delimiter, owner_request_special).
    #[must_use]
    pub fn split(recipient: &Address, rules: &ExtensionRules) -> Self {
        let local = BString::from(casefold(recipient.localpart()).to_vec());
        let domain = BString::from(recipient.domain().map(|d| casefold(d).to_vec()).unwrap_or_default());
        let whole = Self { user: local.clone(), local, domain, ..Self::default() };
        let Some(at) = rules.delimiter_at(&whole.local) else { return whole };
        let user = BString::from(&whole.local[..at]);
        let extension = whole.local.get(at + 1..).unwrap_or_default();
        if extension.contains(&b'/') {
            return Self { local: user.clone(), user, is_extension_illegal: true, ..whole };
        }
        Self { extension: Some(extension.into()), user, ..whole }
    }

    /// The delimiter that separates the extension.
    #[must_use]
    pub fn delimiter(&self) -> Option<u8> {
        self.extension.as_ref().and_then(|_| self.local.get(self.user.len()).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(recipient: &str, delimiter: &str, expected: (&str, Option<&str>)) {
        let rules = ExtensionRules {
            recipient_delimiter: delimiter.as_bytes().into(),
            owner_request_special: true,
            double_bounce_sender: (*b"double-bounce").into(),
        };
        let name = LocalName::split(&Address::from(recipient), &rules);
        assert_eq!(name.user, expected.0, "{recipient}");
        assert_eq!(name.extension, expected.1.map(BString::from), "{recipient}");
        assert_eq!(name.domain, "here", "{recipient}");
    }

    #[test]
    fn splits_user_and_extension() {
        check("Joe@Here", "+", ("joe", None));
        check("joe+list@here", "+", ("joe", Some("list")));
        check("joe+a+b@here", "+", ("joe", Some("a+b")));
        check("joe-x@here", "+-", ("joe", Some("x")));
        check("joe+list@here", "", ("joe+list", None));
        check("+list@here", "+", ("+list", None));
        check("joe+../../etc@here", "+", ("joe", None));
    }

    #[test]
    fn special_names_stay_whole() {
        check("owner-list@here", "-", ("owner-list", None));
        check("list-request@here", "-", ("list-request", None));
        check("MAILER-DAEMON@here", "-", ("mailer-daemon", None));
        check("double-bounce@here", "-", ("double-bounce", None));
    }
}
