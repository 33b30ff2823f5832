//! Which services are meant: `name`, `name/type`, `name/type/field`, each part possibly `*`.

use config::WrittenRow;

/// A request on the command line, and whether anything matched it.
pub(super) struct Pattern {
    text: String,
    parts: Vec<String>,
    pub(super) matched: bool,
}

impl Pattern {
    /// Reads a request of at most `most` parts.
    pub(super) fn parse(text: &str, most: usize) -> Option<Self> {
        let mut parts: Vec<String> =
            text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let wild = parts.iter().any(|part| part.len() > 1 && part.contains('*'));
        if text.starts_with('/') || parts.is_empty() || parts.len() > most || wild {
            return None;
        }
        parts.resize(most, "*".to_owned());
        Some(Self { text: text.to_owned(), parts, matched: false })
    }

    /// True if the row is meant.
    pub(super) fn selects(&self, row: &WrittenRow) -> bool {
        let same = |at: usize| self.part(at) == "*" || self.part(at) == row.word(at);
        same(0) && same(1)
    }

    pub(super) fn part(&self, at: usize) -> &str {
        self.parts.get(at).map_or("*", String::as_str)
    }

    /// What is said about a request that nothing matched.
    pub(super) fn unmatched(&self) -> Option<String> {
        (!self.matched).then(|| format!("unmatched request: \"{}\"", self.text))
    }
}
