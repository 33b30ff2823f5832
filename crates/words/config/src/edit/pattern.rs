//! Which services are meant: `name`, `name/type`, `name/type/field`, each part possibly `*`.

/// A request on the command line.
#[derive(Clone, Debug)]
pub struct ServicePattern {
    text: String,
    parts: Vec<String>,
}

impl ServicePattern {
    /// Reads a request of at least `least` and at most `most` parts; what is not said is `*`.
    #[must_use]
    pub fn parse(text: &str, least: usize, most: usize) -> Option<Self> {
        let mut parts: Vec<String> =
            text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let wild = parts.iter().any(|part| part.len() > 1 && part.contains('*'));
        if text.starts_with('/') || !(least..=most).contains(&parts.len()) || wild {
            return None;
        }
        parts.resize(most, "*".to_owned());
        Some(Self { text: text.to_owned(), parts })
    }

    /// True if a service of this name and type is meant.
    #[must_use]
    pub fn selects(&self, name: &str, service_type: &str) -> bool {
        let same = |part: &str, word: &str| part == "*" || part == word;
        same(self.part(0), name) && same(self.part(1), service_type)
    }

    /// A part; `*` for one that is not there.
    #[must_use]
    pub fn part(&self, at: usize) -> &str {
        self.parts.get(at).map_or("*", String::as_str)
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}
