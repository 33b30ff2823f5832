//! Unchanged: what is stored or delivered is what came in, with header lines before it and nothing else.

use std::collections::BTreeMap;

/// Keeps the texts of messages.
#[derive(Debug, Default)]
pub struct Unchanged {
    texts: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Unchanged {
    /// A message, as it is sent to the system: lines without their ends.
    pub fn sent(&mut self, message: &str, lines: &[Vec<u8>]) {
        self.texts.insert(message.to_owned(), lines.to_vec());
    }

    /// A message as it was found.
    ///
    /// # Errors
    /// It is another text.
    pub fn found(&self, message: &str, lines: &[Vec<u8>]) -> Result<(), String> {
        let Some(sent) = self.texts.get(message) else {
            return Err(format!("changed: {message} was never sent"));
        };
        let Some(before) = lines.len().checked_sub(sent.len()) else {
            return Err(format!("changed: {message} has {} lines of {}", lines.len(), sent.len()));
        };
        if let Some(at) = sent.iter().zip(&lines[before..]).position(|(sent, found)| sent != found) {
            let (sent, found) =
                (String::from_utf8_lossy(&sent[at]), String::from_utf8_lossy(&lines[before + at]));
            return Err(format!("changed: {message} line {at} was {sent:?} and is {found:?}"));
        }
        let is_header =
            |line: &&Vec<u8>| line.contains(&b':') || line.first().is_some_and(u8::is_ascii_whitespace);
        match lines[..before].iter().find(|line| !is_header(line)) {
            Some(line) => Err(format!("changed: {message} begins with {:?}", String::from_utf8_lossy(line))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_may_be_added_and_only_before() {
        let text = |text: &str| text.split('|').map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>();
        let mut checker = Unchanged::default();
        checker.sent("m", &text("X: 1||body"));
        for (found, is_same) in [
            ("X: 1||body", true),
            ("Received: by x|\tfor y|X: 1||body", true),
            ("X: 1||body|more", false),
            ("X: 1||bod", false),
            ("X: 1|body", false),
            ("nonsense|X: 1||body", false),
        ] {
            assert_eq!(checker.found("m", &text(found)).is_ok(), is_same, "{found}");
        }
        assert!(checker.found("n", &text("X: 1||body")).is_err());
    }
}
