//! The Landlock profile of `receive` and `deliver`: the system's read-only trees, the files that the
//! configuration names, and the queue.

use config::{Configuration, params as p};
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use sys::sandbox::{InForce, Profile, enforce};

/// Trees that libraries read at any time: time zones, user databases, resolver and locale files.
const SYSTEM_TREES: [&str; 10] =
    ["/etc", "/usr", "/lib", "/lib64", "/run", "/dev", "/proc/self", "/proc/sys", "/sys", "/var/lib"];

pub(crate) fn enter(configuration: &Configuration, _connects: bool) -> Result<InForce, String> {
    let values = configuration.values();
    let mut read: Vec<PathBuf> = SYSTEM_TREES.iter().map(PathBuf::from).collect();
    read.extend(named_directories(configuration));
    let trees = [p::queue_directory, p::data_directory];
    let mut write: Vec<PathBuf> = trees.iter().map(|id| PathBuf::from(values.text(*id))).collect();
    write.extend(CACHES.iter().filter_map(|id| cache_directory(values.text(*id))));
    enforce(&Profile { read, write, execute: false, connect_ports: None })
}

/// Tables that mail's own processes write.
const CACHES: [config::params::Id; 2] = [p::address_verify_map, p::postscreen_cache_map];

/// Where a cache is, if its directory is this user's own: in others there are no files of mail.
fn cache_directory(map: &str) -> Option<PathBuf> {
    let path = map.rsplit_once(':').map_or(map, |(_, path)| path);
    let directory =
        Path::new(path).parent().filter(|parent| parent.is_absolute() && parent.parent().is_some())?;
    let own = rustix::process::geteuid().as_raw();
    directory.metadata().is_ok_and(|data| data.uid() == own).then(|| directory.to_path_buf())
}

/// The directories of all files that main.cf and master.cf name, and the settings of tables there: tables and certificates are
/// replaced by a rename, so the directory is what must stay readable.
fn named_directories(configuration: &Configuration) -> Vec<PathBuf> {
    let values = configuration.values();
    let mut directories = vec![PathBuf::from(values.text(p::config_directory))];
    let rows = configuration.master_cf().rows.iter().flat_map(|row| row.arguments.iter().cloned());
    let texts = configuration.main_cf().effective().map(|entry| values.expand(&entry.value));
    for text in texts.chain(rows) {
        add_directories(&text, &mut directories, 0);
    }
    directories.sort();
    directories.dedup();
    directories
}

/// How deep files of settings may name others: a table's, and my.cnf there.
const DEPTH_MAX: u8 = 2;

/// The longest file of settings that is looked into, in bytes.
const SETTINGS_MAX: u64 = 1 << 16;

fn add_directories(text: &str, directories: &mut Vec<PathBuf>, depth: u8) {
    let is_separator = |c: char| c.is_whitespace() || ",=:{}&?".contains(c);
    for word in text.split(is_separator) {
        let path = Path::new(word);
        // Never the root directory itself.
        let Some(parent) = path.parent().filter(|parent| path.is_absolute() && parent.parent().is_some())
        else {
            continue;
        };
        directories.push(parent.to_path_buf());
        let has_settings = path.extension().is_some_and(|end| end == "cf" || end == "cnf");
        let is_short = || path.metadata().is_ok_and(|facts| facts.is_file() && facts.len() <= SETTINGS_MAX);
        if depth < DEPTH_MAX && has_settings && is_short() {
            let settings = std::fs::read(path).unwrap_or_default();
            add_directories(&String::from_utf8_lossy(&settings), directories, depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_files_of_settings_name_stays_readable() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("my.cnf"), "[client]\nssl-key=/srv/keys/k.pem\n").unwrap();
        let table = format!(
            "hosts = postgresql://h/d?sslrootcert=/srv/ca/ca.pem&sslcert=/srv/own/c.pem\noption_file = {}\n",
            path("my.cnf")
        );
        std::fs::write(path("table.cf"), table).unwrap();
        std::fs::write(path("plain"), "/srv/not/read").unwrap();
        let mut found = Vec::new();
        add_directories(
            &format!("hash:/etc/x, mysql:{} {} /a", path("table.cf"), path("plain")),
            &mut found,
            0,
        );
        let has = |name: &str| found.contains(&PathBuf::from(name));
        assert!(["/etc", "/srv/ca", "/srv/own", "/srv/keys"].into_iter().all(has), "{found:?}");
        assert!(!has("/srv/not") && !has("/"), "{found:?}");
    }

    #[test]
    fn files_that_name_each_other_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("round.cf");
        std::fs::write(&path, format!("{0} {0}", path.display())).unwrap();
        let mut found = Vec::new();
        add_directories(&path.display().to_string(), &mut found, 0);
        assert_eq!(found.len(), 7);
    }
}
