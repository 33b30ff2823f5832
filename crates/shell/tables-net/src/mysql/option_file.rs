//! `option_file` and `option_group` (mysql_table(5)): what of my.cnf matters to a client.

use std::collections::HashMap;
use tables::{OpenError, errno_text};

/// The options of a group, and of `[client]`, which all clients read.
#[derive(Debug, Default)]
pub(super) struct OptionFile(HashMap<String, String>);

impl OptionFile {
    /// Reads a file; none is no options.
    pub(super) fn read(path: Option<&str>, group: &str) -> Result<Self, OpenError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read(path)
            .map_err(|error| OpenError::new(format!("open {path}: {}", errno_text(&error))))?;
        Ok(Self::parse(&String::from_utf8_lossy(&text), group))
    }

    pub(super) fn parse(text: &str, group: &str) -> Self {
        let mut options = HashMap::new();
        let mut is_ours = false;
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                is_ours = name == group || name == "client";
            } else if is_ours && !line.starts_with(['#', ';', '!']) {
                let (name, value) = line.split_once('=').unwrap_or((line, ""));
                let value = value.trim();
                let inside = |quote| value.strip_prefix(quote).and_then(|v: &str| v.strip_suffix(quote));
                let value = inside('"').or_else(|| inside('\'')).unwrap_or(value);
                options.insert(name.trim().replace('-', "_"), value.to_owned());
            }
        }
        Self(options)
    }

    pub(super) fn get(&self, option: &str) -> Option<&str> {
        self.0.get(option).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_quotes() {
        let text =
            "user=no\n[mysqld]\nuser=server\n[client]\nuser = a\n# x=y\n[mail]\npassword=\"s #1\"\nskip-x\n";
        let options = OptionFile::parse(text, "mail");
        assert_eq!(options.get("user"), Some("a"));
        assert_eq!(options.get("password"), Some("s #1"));
        assert_eq!(options.get("skip_x"), Some(""));
        assert_eq!(options.get("x"), None);
        assert_eq!(OptionFile::parse(text, "client").get("password"), None);
    }
}
