//! Addresses in log lines.

use bstr::BStr;
use std::fmt;
use types::Address;

/// The form that addresses have in messages: `"a b"@example.com`. postconf(5) info_log_address_format
pub(crate) struct External<'a>(pub(crate) &'a Address);

impl fmt::Display for External<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_null() {
            return Ok(());
        }
        let quoted = message::quote_822_local(self.0.as_bytes(), message::QuoteOptions::default());
        fmt::Display::fmt(BStr::new(&quoted), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_quotes_has_them() {
        let check = |address: &str, expected: &str| {
            assert_eq!(External(&Address::from(address)).to_string(), expected);
        };
        check("", "");
        check("joe@example.com", "joe@example.com");
        check("a b@example.com", "\"a b\"@example.com");
        check("dot.@example.com", "\"dot.\"@example.com");
        check("joe", "joe");
    }
}
