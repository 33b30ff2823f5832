//! main.cf as text: names, values and where they stand.

use std::collections::HashMap;

use crate::{
    lines::LogicalLines,
    report::{Invalid, Report, Severity},
    text::{decode, is_space, trim_end, trim_start},
};

/// One `name = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Before the `=`.
    pub name: String,
    /// Behind the `=`, white space at both ends removed, `$name` not expanded.
    pub value: String,
    /// The number of the line it starts in, from 1.
    pub line: u32,
}

/// main.cf as it stands in the file. Of several entries with one name the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MainCf {
    /// The file's name, for messages.
    pub file: String,
    /// All entries in the order of the file.
    pub entries: Vec<Entry>,
    /// What Postfix would warn about when reading the file.
    pub warnings: Vec<Report>,
    by_name: HashMap<String, usize>,
}

impl MainCf {
    /// Reads the text of a main.cf.
    ///
    /// # Errors
    /// A line that is not `name = value`, with the text that Postfix gives.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, Invalid> {
        match Self::read(file, text, &[]) {
            (main, None) => Ok(main),
            (_, Some(invalid)) => Err(invalid),
        }
    }

    /// Reads the text of a main.cf as if the given settings stood before it, up to a line that is not `name = value`.
    #[must_use]
    pub fn read(file: &str, text: &[u8], before: &[(&str, &str)]) -> (Self, Option<Invalid>) {
        let mut main = Self { file: file.to_owned(), ..Self::default() };
        for (name, value) in before {
            main.set(name, value);
        }
        let mut invalid = None;
        let mut lines = LogicalLines::new(file, text);
        for line in &mut lines {
            let end = memchr::memchr(0, &line.text).unwrap_or(line.text.len());
            let text = decode(&line.text[..end]);
            match split_name_value(&text) {
                Ok((name, value)) => main.add(name, value, line.first),
                Err(why) => {
                    let text = format!("{file}, line {}: {why}: \"{text}\"", line.first);
                    invalid = Some(Invalid::new(file, line.first, text));
                    break;
                }
            }
        }
        let overridden = std::mem::replace(&mut main.warnings, lines.warnings);
        main.warnings.extend(overridden);
        main.warnings.sort_by_key(|warning| warning.line);
        (main, invalid)
    }

    fn add(&mut self, name: &str, value: &str, line: u32) {
        self.entries.push(Entry { name: name.to_owned(), value: value.to_owned(), line });
        let Some(earlier) = self.by_name.insert(name.to_owned(), self.entries.len() - 1) else { return };
        let old = &self.entries[earlier].value;
        if old != value {
            let text = format!("overriding earlier entry: {name}={old}");
            self.warnings.push(Report::new(Severity::Warning, &self.file, line, text));
        }
    }

    /// Adds a setting that is not in the file, without complaint about an earlier one.
    pub fn set(&mut self, name: &str, value: &str) {
        self.by_name.insert(name.to_owned(), self.entries.len());
        self.entries.push(Entry { name: name.to_owned(), value: value.to_owned(), line: 0 });
    }

    /// The entry that counts for a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).and_then(|&at| self.entries.get(at))
    }

    /// The entries that count, in the order of the file.
    pub fn effective(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .enumerate()
            .filter(|(at, entry)| self.by_name.get(&entry.name) == Some(at))
            .map(|(_, e)| e)
    }
}

/// Splits `name = value`; what is wrong otherwise, in Postfix's words.
///
/// # Errors
/// No name or no `=`.
pub fn split_name_value(text: &str) -> Result<(&str, &str), &'static str> {
    let text = trim_start(text);
    if text.is_empty() || text.starts_with('=') {
        return Err("missing attribute name");
    }
    let end = text.bytes().position(|b| b == b'=' || is_space(b)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match trim_start(rest).strip_prefix('=') {
        Some(value) => Ok((name, trim_end(trim_start(value)))),
        None => Err("missing '=' after attribute name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_setting_has_a_name_and_an_equal_sign() {
        let check = |text: &str, expected: Result<(&str, &str), &str>| {
            assert_eq!(split_name_value(text), expected, "{text:?}");
        };
        check("a=b", Ok(("a", "b")));
        check(" a \t= b c ", Ok(("a", "b c")));
        check("a =", Ok(("a", "")));
        check("a = = b", Ok(("a", "= b")));
        check("= b", Err("missing attribute name"));
        check("", Err("missing attribute name"));
        check("a b = c", Err("missing '=' after attribute name"));
        check("a", Err("missing '=' after attribute name"));
    }

    /// seed: S040
    #[test]
    fn the_last_setting_counts_and_a_different_earlier_one_is_warned_about() {
        let main = MainCf::parse("/etc/postfix/main.cf", b"a = 1\nb = 2\na = 1\na = 3\n").unwrap();
        assert_eq!(main.get("a").map(|e| (e.value.as_str(), e.line)), Some(("3", 4)));
        assert_eq!(main.effective().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        let warnings: Vec<_> = main.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, ["warning: /etc/postfix/main.cf, line 4: overriding earlier entry: a=1"]);
    }

    #[test]
    fn what_is_no_setting_is_named_with_file_and_line() {
        let error = MainCf::parse("/x/main.cf", b"a = b\n\nmyhostname mx.example\n c\n").unwrap_err();
        assert_eq!(
            error.text,
            "/x/main.cf, line 3: missing '=' after attribute name: \"myhostname mx.example c\""
        );
        assert_eq!(error.line, 3);
    }

    proptest! {
        #[test]
        fn any_bytes_are_settings_or_an_error(bytes: Vec<u8>) {
            let _ = MainCf::parse("main.cf", &bytes);
        }

        #[test]
        fn what_is_written_is_read(settings in proptest::collection::vec(("[a-z_][a-z0-9_]{0,9}", "([!-~][ -~]{0,20}[!-~])?"), 0..10)) {
            let text: String = settings.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
            let main = MainCf::parse("main.cf", text.as_bytes()).unwrap();
            let read: Vec<_> = main.entries.into_iter().map(|e| (e.name, e.value)).collect();
            prop_assert_eq!(read, settings);
        }
    }
}
