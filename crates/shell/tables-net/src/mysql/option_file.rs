//! `option_file` and `option_group` (mysql_table(5)): what of my.cnf matters to a client.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};
use tables::{OpenError, errno_text};

/// The files that count where `option_file` names none.
const DEFAULT_FILES: &[&str] = &["/etc/my.cnf", "/etc/mysql/my.cnf"];

/// The groups that all clients read.
const CLIENT_GROUPS: &[&str] = &["client", "client-server", "client-mariadb"];

/// How deep files may name others.
const INCLUDES_MAX: usize = 10;

/// The options of a group, and of those that all clients read; the last one of a name counts.
#[derive(Debug, Default)]
pub(super) struct OptionFile(HashMap<String, Value>);

#[derive(Debug)]
struct Value {
    text: String,
    /// `/etc/my.cnf, line 3: ssl-ca = /etc/ca.pem`
    place: String,
}

impl OptionFile {
    /// Reads a file, or the ones that there usually are; with neither a file nor a group, none.
    pub(super) fn read(path: Option<&str>, group: &str) -> Result<Self, OpenError> {
        let mut options = Self::default();
        match path.filter(|path| !path.is_empty()) {
            Some(path) => {
                let text = fs::read(path)
                    .map_err(|error| OpenError::new(format!("open {path}: {}", errno_text(&error))))?;
                options.add(path, &String::from_utf8_lossy(&text), group, 0);
            }
            None if group.is_empty() => {}
            None => {
                for path in DEFAULT_FILES {
                    options.include(Path::new(path), group, 0);
                }
            }
        }
        Ok(options)
    }

    /// Reads what others name, if it can be read.
    fn include(&mut self, path: &Path, group: &str, depth: usize) {
        if depth > INCLUDES_MAX {
            return;
        }
        if let Ok(text) = fs::read(path) {
            self.add(&path.display().to_string(), &String::from_utf8_lossy(&text), group, depth);
        }
    }

    fn add(&mut self, file: &str, text: &str, group: &str, depth: usize) {
        let mut is_ours = false;
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                is_ours = name == group || CLIENT_GROUPS.contains(&name);
            } else if let Some(directory) = line.strip_prefix("!includedir") {
                for path in option_files(Path::new(directory.trim())) {
                    self.include(&path, group, depth + 1);
                }
            } else if let Some(path) = line.strip_prefix("!include") {
                self.include(Path::new(path.trim()), group, depth + 1);
            } else if is_ours && !line.is_empty() && !line.starts_with(['#', ';', '!']) {
                let (name, value) = line.split_once('=').unwrap_or((line, ""));
                let text = unquoted(value.trim()).to_owned();
                let place = format!("{file}, line {number}: {line}");
                self.0.insert(name.trim().replace('-', "_"), Value { text, place });
            }
        }
    }

    pub(super) fn get(&self, option: &str) -> Option<&str> {
        self.0.get(option).map(|value| value.text.as_str())
    }

    /// An option of `ssl_...`, which may be called `tls_...` as well, and how messages name it; empty ones count as none.
    pub(super) fn ssl(&self, option: &str) -> Option<(&str, &str)> {
        let value = ["ssl", "tls"].iter().find_map(|start| self.0.get(&format!("{start}_{option}")));
        value.map(|value| (value.text.as_str(), value.place.as_str())).filter(|(text, _)| !text.is_empty())
    }

    /// Whether an option stands there by itself, or with a value that means yes; `None` where it does not stand.
    pub(super) fn flag(&self, option: &str) -> Option<bool> {
        let is_yes =
            |text: &str| ["", "1", "on", "true", "yes"].iter().any(|yes| text.eq_ignore_ascii_case(yes));
        self.get(option).map(is_yes)
    }

    #[cfg(test)]
    pub(super) fn of(text: &str, group: &str) -> Self {
        let mut options = Self::default();
        options.add("my.cnf", text, group, 0);
        options
    }
}

/// The option files of a directory, in the order of their names.
fn option_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cnf"))
        .collect();
    paths.sort();
    paths
}

fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote).and_then(|v: &str| v.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_quotes() {
        let text =
            "user=no\n[mysqld]\nuser=server\n[client]\nuser = a\n# x=y\n[mail]\npassword=\"s #1\"\nskip-x\n";
        let options = OptionFile::of(text, "mail");
        assert_eq!(options.get("user"), Some("a"));
        assert_eq!(options.get("password"), Some("s #1"));
        assert_eq!(options.get("skip_x"), Some(""));
        assert_eq!(options.get("x"), None);
        assert_eq!(OptionFile::of(text, "client").get("password"), None);
    }

    #[test]
    fn options_of_tls_have_two_names_and_a_place() {
        let options = OptionFile::of(
            "[client]\ntls-ca=/x\nssl-enforce\nssl-key=\nssl_verify_server_cert=0\n",
            "client",
        );
        assert_eq!(options.ssl("ca"), Some(("/x", "my.cnf, line 2: tls-ca=/x")));
        assert_eq!(options.ssl("key"), None);
        assert_eq!(options.flag("ssl_enforce"), Some(true));
        assert_eq!(options.flag("ssl_verify_server_cert"), Some(false));
        assert_eq!(options.flag("ssl"), None);
    }

    #[test]
    fn files_name_others() {
        let directory = std::env::temp_dir().join(format!("posthaste-my.cnf-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let path = |name: &str| directory.join(name).display().to_string();
        fs::write(path("b.cnf"), "[client]\nport=2\n").unwrap();
        fs::write(path("a.cnf"), "[client]\nport=1\nuser=a\n").unwrap();
        fs::write(path("c.txt"), "[client]\nport=3\n").unwrap();
        fs::write(path("more"), format!("!include {}\n[client]\npassword=p\n", path("more"))).unwrap();
        let text =
            format!("!includedir {}\n!include {}\n!include /nowhere\n", directory.display(), path("more"));
        fs::write(path("my"), text).unwrap();
        let options = OptionFile::read(Some(&path("my")), "client").unwrap();
        assert_eq!(
            ["port", "user", "password"].map(|name| options.get(name)),
            [Some("2"), Some("a"), Some("p")]
        );
        assert!(OptionFile::read(Some(&path("none")), "client").is_err());
        assert!(OptionFile::read(None, "").unwrap().0.is_empty());
        fs::remove_dir_all(&directory).unwrap();
    }
}
