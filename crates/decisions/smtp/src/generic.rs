//! Local addresses become such that the world can answer (postconf(5) `smtp_generic_maps`; generic(5)).

use config::{Invalid, Values, params as p};
use maillog::Logger;
use maps::AddressMaps;
use message::{
    HeaderKind, HeaderRole, Part, QuoteOptions, quote_822_local,
    tok822::{self, AddressTokens, PrintOptions, Token},
};
use rewrite::{RewriteSettings, Rewriter};
use types::{Address, Trouble};
use world::Tables;

/// The tables, and what else a mapping depends on.
pub(crate) struct GenericMaps {
    maps: AddressMaps,
    rewriter: Rewriter,
    /// `propagate_unmatched_extensions` has `generic`.
    propagates: bool,
}

impl GenericMaps {
    /// `None` when the parameter `id` names no table.
    pub(crate) fn open(values: &Values, id: p::Id, tables: &dyn Tables) -> Result<Option<Self>, Invalid> {
        let list = values.text(id);
        if list.is_empty() {
            return Ok(None);
        }
        let rewriter = Rewriter::new(RewriteSettings::load(values)?, tables);
        let maps = rewriter.address_maps(id.name(), list, tables);
        let classes = values.list(p::propagate_unmatched_extensions);
        let propagates = classes.iter().any(|class| class.eq_ignore_ascii_case("generic"));
        Ok(Some(Self { maps, rewriter, propagates }))
    }

    /// What an address (internal form) becomes; `None` when no table has it.
    pub(crate) async fn map(&self, address: &[u8], logger: &Logger) -> Result<Option<Vec<u8>>, Trouble> {
        let Some(found) = self.rewriter.map_address(&self.maps, address, self.propagates).await? else {
            return Ok(None);
        };
        if found.len() > 1 {
            let (title, shown) = (self.maps.maps.title(), Address::new(address.to_vec()));
            logger.warning(&format!("multi-valued {title} result for {shown}"));
        }
        Ok(found.into_iter().next())
    }

    /// What a header of the message itself becomes, its lines separated by line feeds; `None` when no table has any
    /// of its addresses.
    pub(crate) async fn header(
        &self,
        header: &[u8],
        part: Part,
        kind: Option<HeaderKind>,
        logger: &Logger,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let Some(kind) = kind.filter(|_| part == Part::Primary) else { return Ok(None) };
        if matches!(kind.role(), HeaderRole::Other | HeaderRole::Mime) {
            return Ok(None);
        }
        let (name, value) = header.split_at_checked(kind.name().len() + 1).unwrap_or((header, b""));
        let mut list = tok822::parse(value);
        let mut is_changed = false;
        for token in &mut list {
            let Token::Address(address) = token else { continue };
            let mut internal = Vec::new();
            tok822::internalize(&mut internal, address);
            if let Some(mapped) = self.map(&internal, logger).await? {
                internal = mapped;
                is_changed = true;
            }
            let external = quote_822_local(&internal, QuoteOptions::default());
            *address = AddressTokens::scan(&external).into_owned();
        }
        if !is_changed {
            return Ok(None);
        }
        let mut text = [name, b" "].concat();
        let options = PrintOptions { is_line_per_address: true, is_truncating: true };
        tok822::externalize_list(&mut text, &list, options);
        Ok(Some(indented(&tok822::fold(text))))
    }
}

/// Continued lines begin with white space.
fn indented(header: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(header.len() + 8);
    for (n, line) in header.split(|byte| *byte == b'\n').enumerate() {
        if n > 0 {
            text.push(b'\n');
            if !matches!(line.first(), Some(b' ' | b'\t')) {
                text.push(b'\t');
            }
        }
        text.extend_from_slice(line);
    }
    text
}

/// The addresses of an envelope that tables change.
#[derive(Clone, Debug, Default)]
pub struct MappedAddresses {
    pub(crate) sender: Option<Address>,
    /// By the recipient's place in the request.
    pub(crate) recipients: Vec<Option<Address>>,
}

impl MappedAddresses {
    pub(crate) fn recipient(&self, index: usize) -> Option<&Address> {
        self.recipients.get(index)?.as_ref()
    }
}
