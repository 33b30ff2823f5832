//! Splitting the extension off an address.

/// What the splitting of `user+extension` depends on.
#[derive(Clone, Debug, Default)]
pub struct ExtensionRules {
    /// `recipient_delimiter`: a set of characters; empty means no extensions.
    pub recipient_delimiter: Box<[u8]>,
    /// `owner_request_special`: do not split `owner-list` and `list-request` when `-` is a delimiter.
    pub owner_request_special: bool,
    /// `double_bounce_sender`, never split.
    pub double_bounce_sender: Box<[u8]>,
}

/// An address without its extension, and the extension with its delimiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSplit {
    /// `user@domain` (or `user`).
    pub bare: Vec<u8>,
    /// `+extension`.
    pub extension: Vec<u8>,
}

impl ExtensionRules {
    /// Where in a local part the delimiter stands; `None` for names that are never split and where
    /// splitting would leave nothing.
    #[must_use]
    pub fn delimiter_at(&self, localpart: &[u8]) -> Option<usize> {
        let at = localpart.iter().position(|byte| self.recipient_delimiter.contains(byte))?;
        if at == 0 || self.is_indivisible(localpart) {
            return None;
        }
        Some(at)
    }

    fn is_indivisible(&self, localpart: &[u8]) -> bool {
        let same = |name: &[u8]| localpart.eq_ignore_ascii_case(name);
        if same(b"postmaster") || same(b"mailer-daemon") || same(&self.double_bounce_sender) {
            return true;
        }
        let starts = localpart.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"owner-"));
        let ends = localpart.len() > 8
            && localpart.get(localpart.len() - 8..).is_some_and(|end| end.eq_ignore_ascii_case(b"-request"));
        self.owner_request_special && self.recipient_delimiter.contains(&b'-') && (starts || ends)
    }

    /// Splits `user+extension@domain` (internal form); `None` where there is no extension.
    #[must_use]
    pub fn split(&self, address: &[u8]) -> Option<AddressSplit> {
        if self.recipient_delimiter.is_empty() {
            return None;
        }
        let at_sign = memchr::memrchr(b'@', address).unwrap_or(address.len());
        let (localpart, at_domain) = address.split_at(at_sign);
        let (user, extension) = localpart.split_at(self.delimiter_at(localpart)?);
        Some(AddressSplit { bare: [user, at_domain].concat(), extension: extension.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bstr::ByteSlice;

    #[track_caller]
    fn check(delimiters: &str, address: &str, expected: Option<(&str, &str)>) {
        let rules = ExtensionRules {
            recipient_delimiter: delimiters.as_bytes().into(),
            owner_request_special: true,
            double_bounce_sender: b"double-bounce".as_slice().into(),
        };
        let split = rules.split(address.as_bytes());
        let got = split.as_ref().map(|s| (s.bare.to_str().unwrap(), s.extension.to_str().unwrap()));
        assert_eq!(got, expected, "{address} at {delimiters:?}");
    }

    #[test]
    fn splits_at_the_first_delimiter() {
        check("+", "user+ext@example.com", Some(("user@example.com", "+ext")));
        check("+", "user+a+b@example.com", Some(("user@example.com", "+a+b")));
        check("+-", "user-a+b", Some(("user", "-a+b")));
        check("+", "user+@example.com", Some(("user@example.com", "+")));
        check("", "user+ext@example.com", None);
        check("+", "+ext@example.com", None);
        check("+", "user@ex+ample.com", None);
    }

    #[test]
    fn leaves_special_names_whole() {
        check("-", "Mailer-Daemon@example.com", None);
        check("-", "double-bounce@example.com", None);
        check("-", "owner-list@example.com", None);
        check("-", "list-request@example.com", None);
        check("-", "-request@example.com", None);
        check("+", "owner-list+x@example.com", Some(("owner-list@example.com", "+x")));
    }
}
