//! The tables that may be asked for as `proxy:type:name`: those that a list of parameters names so (proxymap(8)).

use crate::{LogicalLines, Warn, inline::extract, source::errno_text};
use config::{Values, params as p};
use std::{collections::HashSet, fs::File, io::BufReader};

/// How deep files and tables may name each other.
const DEPTH_MAX: usize = 20;

/// A list of tables, without their `proxy:`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approved(HashSet<String>);

impl Approved {
    /// `proxy_read_maps`, and what the lists of `smtpd_restriction_classes` name.
    #[must_use]
    pub fn to_read(values: &Values, warn: &Warn) -> Self {
        let mut approved = Self::default();
        approved.add_all(values.text(p::proxy_read_maps), ("proxy_read_maps", warn), 0);
        for class in values.list(p::smtpd_restriction_classes) {
            approved.add_all(values.named(class).unwrap_or(""), ("smtpd_restriction_classes", warn), 0);
        }
        approved
    }

    /// `proxy_write_maps`
    #[must_use]
    pub fn to_write(values: &Values, warn: &Warn) -> Self {
        let mut approved = Self::default();
        approved.add_all(values.text(p::proxy_write_maps), ("proxy_write_maps", warn), 0);
        approved
    }

    /// Whether `type:name` is on it.
    #[must_use]
    pub fn has(&self, spec: &str) -> bool {
        self.0.contains(spec)
    }

    /// Warns that a table is not on the list of this parameter.
    pub fn refuse(spec: &str, parameter: &str, warn: &Warn) {
        let access = if parameter == "proxy_write_maps" { "read-write" } else { "read-only" };
        warn(&format!("request for unapproved table: \"{spec}\""));
        warn(&format!("to approve this table for {access} access, list proxy:{spec} in main.cf:{parameter}"));
    }

    /// Adds what a text names; `origin` is where that stands.
    fn add_all(&mut self, text: &str, (origin, warn): (&str, &Warn), depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        for item in maps::split_list(text) {
            // Of `{ type:name attribute=value ... }` only the table is one.
            let item = match item.strip_prefix('{') {
                None => item,
                Some(_) => match extract(item) {
                    Ok(inside) => maps::split_list(inside).next().unwrap_or(""),
                    Err(why) => {
                        warn(&format!("bad syntax in {origin} content: {why}"));
                        continue;
                    }
                },
            };
            if item.starts_with('/') {
                self.add_file(item, warn, depth + 1);
                continue;
            }
            // Other items: `[ipv6::address]`, names of restrictions.
            if !item.starts_with(|first: char| first.is_ascii_alphanumeric()) || !item.contains(':') {
                continue;
            }
            if let Some(tables) = item.strip_prefix("unionmap:").or_else(|| item.strip_prefix("pipemap:")) {
                if let Some(tables) = tables.strip_prefix('{').and_then(|tables| tables.strip_suffix('}')) {
                    self.add_all(tables, (origin, warn), depth + 1);
                }
                continue;
            }
            let table = without_proxy(item);
            if table.len() < item.len() {
                self.0.insert(table.to_owned());
            }
        }
    }

    /// A file with a list, as match lists name them.
    fn add_file(&mut self, path: &str, warn: &Warn, depth: usize) {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return warn(&format!("open {path}: {}", errno_text(&error))),
        };
        let mut lines = LogicalLines::new(BufReader::new(file), path, warn.clone());
        loop {
            match lines.next_line() {
                Ok(Some(line)) => {
                    self.add_all(&String::from_utf8_lossy(line.text), (path, warn), depth);
                }
                Ok(None) => return,
                Err(error) => return warn(&format!("read {path}: {}", errno_text(&error))),
            }
        }
    }
}

/// A table without any `proxy:` before it.
#[must_use]
pub fn without_proxy(spec: &str) -> &str {
    spec.trim_start_matches("proxy:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, rc::Rc};

    #[test]
    fn tables_in_all_places_where_postfix_looks() {
        let path = std::env::temp_dir().join(format!("posthaste-approved-{}", std::process::id()));
        std::fs::write(&path, "# a list\nlocalhost proxy:hash:/f\n  proxy:proxy:hash:/g\n").unwrap();
        let text = format!(
            "hash:/a, proxy:hash:/b !proxy:hash:/n [proxy::1] {} check_x_access {{ proxy:inline:{{x=y}} a=b }} \
             pipemap:{{proxy:hash:/p, hash:/q}} class /no/such/file {{ unfinished",
            path.display()
        );
        let settings = [
            ("proxy_read_maps", text.as_str()),
            ("smtpd_restriction_classes", "own"),
            ("own", "check_client_access proxy:cidr:/c, permit"),
        ];
        let said = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&said);
        let warn: Warn = Rc::new(move |text| sink.borrow_mut().push(text.to_owned()));
        let approved = Approved::to_read(&Values::for_tests(&settings), &warn);
        std::fs::remove_file(path).unwrap();
        for table in ["hash:/b", "hash:/f", "hash:/g", "inline:{x=y}", "hash:/p", "cidr:/c"] {
            assert!(approved.has(table), "{table}");
        }
        assert_eq!(approved.0.len(), 6);
        assert_eq!(
            *said.borrow(),
            [
                "open /no/such/file: No such file or directory",
                "bad syntax in proxy_read_maps content: missing '}' in \"{ unfinished\""
            ]
        );
    }

    #[test]
    fn nothing_may_be_written_by_default() {
        let warn: Warn = Rc::new(|_| {});
        assert_eq!(Approved::to_write(&Values::for_tests(&[]), &warn), Approved::default());
        let set = [("address_verify_map", "proxy:btree:/x")];
        assert!(Approved::to_write(&Values::for_tests(&set), &warn).has("btree:/x"));
    }
}
