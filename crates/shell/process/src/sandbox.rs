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

/// The directories of all files that main.cf and master.cf name: tables are replaced by a rename, so the
/// directory is what must stay readable.
fn named_directories(configuration: &Configuration) -> Vec<PathBuf> {
    let values = configuration.values();
    let mut directories = vec![PathBuf::from(values.text(p::config_directory))];
    let rows = configuration.master_cf().rows.iter().flat_map(|row| row.arguments.iter().cloned());
    let texts = configuration.main_cf().effective().map(|entry| values.expand(&entry.value));
    for text in texts.chain(rows) {
        for word in text.split([' ', '\t', '\n', ',', '=', ':', '{', '}']) {
            let path = Path::new(word);
            // Never the root directory itself.
            let parent = path.parent().filter(|parent| path.is_absolute() && parent.parent().is_some());
            directories.extend(parent.map(Path::to_path_buf));
        }
    }
    directories.sort();
    directories.dedup();
    directories
}
