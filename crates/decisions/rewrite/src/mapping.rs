//! An address through a table of addresses (Postfix: `mail_addr_map`).

use crate::{Context, Rewriter};
use bstr::ByteSlice;
use maps::{AddressMaps, QueryForm, Strategy};
use message::{
    QuoteOptions, quote_822_local,
    tok822::{Token, externalize, parse},
    unquote_822_local,
};
use types::Trouble;

impl Rewriter {
    /// What a table says about an address (internal form): addresses in internal form, complete, at least one; the
    /// extension of one that was found without it is added where `propagate` says so.
    pub async fn map_address(
        &self,
        maps: &AddressMaps,
        address: &[u8],
        propagate: bool,
    ) -> Result<Option<Vec<Vec<u8>>>, Trouble> {
        let found = maps.find_as(address, Strategy::DEFAULT, QueryForm::External).await;
        let Some(hit) = found.into_result()? else {
            return Ok(None);
        };
        let mut value = hit.value;
        if value.first() == Some(&b'@') {
            value = with_domain(address, hit.extension.as_deref(), &value);
        }
        let extension = hit.extension.filter(|_| propagate);
        let results = self.crunch(&value, extension.as_deref());
        if results.is_empty() {
            return Err(Trouble::new(format!(
                "{} lookup of {} returns non-address result \"{}\"",
                maps.maps.title(),
                address.as_bstr(),
                value.as_bstr()
            )));
        }
        Ok(Some(results))
    }

    /// The addresses in a table's value.
    fn crunch(&self, value: &[u8], extension: Option<&[u8]>) -> Vec<Vec<u8>> {
        let value = if value.is_empty() || value == b"<>" { b"\"\"" } else { value };
        let mut results = Vec::new();
        for token in parse(value) {
            let Token::Address(address) = token else { continue };
            let mut external = Vec::new();
            externalize(&mut external, &address);
            let canonical = self.rewrite_external(Context::Local, &external);
            let mut internal = unquote_822_local(&canonical).into_owned();
            if let Some(extension) = extension {
                let at_sign = internal.rfind_byte(b'@').unwrap_or(internal.len());
                internal.splice(at_sign..at_sign, extension.iter().copied());
            }
            results.push(internal);
        }
        results
    }
}

/// A value `@domain` keeps the user of the address that was looked up, without its extension.
fn with_domain(address: &[u8], extension: Option<&[u8]>, at_domain: &[u8]) -> Vec<u8> {
    let user_len = address.rfind_byte(b'@').unwrap_or(address.len());
    let user_len = user_len.saturating_sub(extension.map_or(0, <[u8]>::len));
    let joined = [address.get(..user_len).unwrap_or(address), at_domain].concat();
    quote_822_local(&joined, QuoteOptions::default()).into_owned()
}
