//! Files that mail_owner may not read, opened here and handed on unread.
//!
//! Postfix's daemons open their tables before they give up root's rights, so a table, or the settings of one with its
//! password, may be root's alone. Which files those are is found in the configuration: whatever a setting names that is a file, or a table in
//! a file, and that mail_owner could not open. A file is opened again, and handed on again, when it was renewed.

use crate::placement::Process;
use config::{Configuration, Values, params};
use rustix::fs::{Mode, OFlags};
use std::{
    collections::BTreeSet,
    fs::{self, File, Metadata},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};
use sys::credentials::Identity;

/// Whose settings are no business of the other process: relays' passwords, the server's keys.
const OF_DELIVER: [&str; 2] = ["smtp_", "lmtp_"];
const OF_RECEIVE: [&str; 3] = ["smtpd_", "postscreen_", "qmqpd_"];

/// Types whose tables are one file, or are described by one.
const FILE_TYPES: [&str; 15] = [
    "hash", "btree", "lmdb", "cdb", "texthash", "cidr", "pcre", "regexp", "mysql", "pgsql", "ldap",
    "mongodb", "sqlite", "memcache", "redis",
];

/// What tells one state of a file from another.
type Stamp = (u64, u64, i64, i64);

/// The files of one process.
#[derive(Debug)]
pub(crate) struct Manifest {
    owner: Option<Identity>,
    /// What the configuration names, and the state that was handed on.
    files: Vec<(PathBuf, Option<Stamp>)>,
}

impl Manifest {
    /// Who is not root (`owner` is `None`) has nothing that mail_owner has not.
    pub(crate) fn of(process: Process, configuration: &Configuration, owner: Option<Identity>) -> Self {
        let mut paths = BTreeSet::new();
        if owner.is_some() {
            let values = configuration.values();
            for id in params::BY_NAME.iter().filter(|id| is_for(process, id.name())) {
                paths.extend(files_in(values.text(*id), values));
            }
            for entry in
                values.main_cf().effective().filter(|entry| params::by_spelling(&entry.name).is_none())
            {
                paths.extend(files_in(values.named(&entry.name).unwrap_or_default(), values));
            }
            for row in &configuration.master_cf().rows {
                let values = configuration.values_for(row);
                for (name, _) in row.overrides.iter().filter(|(name, _)| is_for(process, name)) {
                    paths.extend(files_in(values.named(name).unwrap_or_default(), &values));
                }
            }
        }
        Self { owner, files: paths.into_iter().map(|path| (path, None)).collect() }
    }

    /// Whether a file was handed on.
    pub(crate) fn is_lending(&self) -> bool {
        self.files.iter().any(|(_, known)| known.is_some())
    }

    /// Opens what is new since the last call; what is missing is left out, and the process that misses it says so.
    pub(crate) fn renewed(&mut self) -> Vec<(PathBuf, OwnedFd)> {
        let Some(owner) = self.owner else { return Vec::new() };
        let mut files = Vec::new();
        for (path, known) in &mut self.files {
            let Some(found) = stamp(path) else { continue };
            let is_news = match known {
                Some(known) => *known != found,
                None => !may_read(owner, path),
            };
            if !is_news {
                continue;
            }
            if let Some((file, found)) = open(path) {
                *known = Some(found);
                files.push((path.clone(), file));
            }
        }
        files
    }
}

fn is_for(process: Process, parameter: &str) -> bool {
    let others: &[&str] = match process {
        Process::Receive => &OF_DELIVER,
        Process::Deliver => &OF_RECEIVE,
    };
    // The log is written, and master has it open already.
    parameter != params::maillog_file.name() && !others.iter().any(|start| parameter.starts_with(start))
}

/// The files that a value names, by path or as tables.
fn files_in(text: &str, values: &Values) -> Vec<PathBuf> {
    let is_between = |c: char| c.is_ascii_whitespace() || matches!(c, ',' | '{' | '}' | '(' | ')');
    let mut files = Vec::new();
    for word in text.split(is_between).map(|word| word.trim_start_matches('!')) {
        match word.split_once(':') {
            Some((kind, path)) if path.starts_with('/') && FILE_TYPES.contains(&kind) => {
                files.extend(table_files(kind, path, values));
            }
            None if word.starts_with('/') => files.push(word.into()),
            _ => {}
        }
    }
    files
}

/// The files that `kind:path` may be. From non_bdb_migration_level = enable-redirect on, another type stands in for those of Berkeley DB;
/// which one, a table may say, which is not read here: it is any of the two that can.
fn table_files(kind: &str, path: &str, values: &Values) -> Vec<PathBuf> {
    let level = values.text(params::non_bdb_migration_level);
    let ends: &[&str] = match kind {
        "hash" | "btree" if !level.eq_ignore_ascii_case("disable") => &[".lmdb", ".cdb"],
        "hash" | "btree" => &[".db"],
        "lmdb" => &[".lmdb"],
        "cdb" => &[".cdb"],
        _ => &[""],
    };
    ends.iter().map(|end| format!("{path}{end}").into()).collect()
}

/// Whether a user could open a file for reading. Access lists beyond the mode are not looked at: who has more rights by
/// one opens the file himself where he is not lent it.
fn may_read(user: Identity, path: &Path) -> bool {
    let Ok(path) = fs::canonicalize(path) else { return false };
    let allows = |path: &Path, right: u32| {
        fs::metadata(path).is_ok_and(|facts| {
            let whose = match () {
                () if facts.uid() == user.uid => 6,
                () if facts.gid() == user.gid => 3,
                () => 0,
            };
            (facts.mode() >> whose) & right != 0
        })
    };
    allows(&path, 4) && path.ancestors().skip(1).all(|directory| allows(directory, 1))
}

fn stamp_of(facts: &Metadata) -> Option<Stamp> {
    facts.is_file().then(|| (facts.dev(), facts.ino(), facts.mtime(), facts.mtime_nsec()))
}

fn stamp(path: &Path) -> Option<Stamp> {
    stamp_of(&fs::metadata(path).ok()?)
}

/// Opens a regular file; what is none (a FIFO that nobody writes to) holds nobody up.
fn open(path: &Path) -> Option<(OwnedFd, Stamp)> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let stamp = stamp_of(&file.metadata().ok()?)?;
    Some((file.into(), stamp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::{Environment, Paths};
    use std::os::unix::fs::PermissionsExt;

    fn readable(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn configuration(main_cf: &str) -> Configuration {
        let paths = Paths::in_directory("/etc/postfix");
        Configuration::load(main_cf.as_bytes(), b"", &paths, &Environment::for_tests()).unwrap()
    }

    #[test]
    fn names_of_files_are_found_in_values() {
        let values = Values::for_tests(&[]);
        let check = |text: &str, expected: &[&str]| {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(files_in(text, &values), expected, "{text}");
        };
        check("check_client_access hash:/etc/a, !/etc/b permit", &["/etc/a.db", "/etc/b"]);
        check("pipemap:{pcre:/etc/p,mysql:/etc/m.cf}", &["/etc/p", "/etc/m.cf"]);
        check("{ check_policy_service { unix:/run/x, timeout=1 } }", &[]);
        check("proxy:hash:/etc/a static:/etc inline:{x=y}", &[]);
    }

    #[test]
    fn a_file_is_handed_on_once_and_again_when_it_was_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("table"), folder.path().join("other"));
        fs::write(&path, "one").unwrap();
        fs::write(&other, "").unwrap();
        readable(folder.path(), 0o755);
        readable(&path, 0o600);
        readable(&other, 0o644);
        let me = rustix::process::geteuid().as_raw();
        let owner = Identity { uid: me + 1, gid: u32::MAX };
        let main_cf = format!(
            "smtp_sasl_password_maps = texthash:{}\nrelocated_maps = cidr:{}\n",
            path.display(),
            other.display()
        );
        let configuration = configuration(&main_cf);
        let mut manifest = Manifest::of(Process::Deliver, &configuration, Some(owner));
        let lent = |manifest: &mut Manifest| -> Vec<PathBuf> {
            manifest.renewed().into_iter().map(|(path, _)| path).collect()
        };
        assert_eq!(lent(&mut manifest), [path.as_path()]);
        assert!(lent(&mut manifest).is_empty());
        fs::remove_file(&path).unwrap();
        assert!(lent(&mut manifest).is_empty());
        fs::write(path.with_extension("new"), "two").unwrap();
        fs::rename(path.with_extension("new"), &path).unwrap();
        assert_eq!(lent(&mut manifest), [path.as_path()]);
        assert!(lent(&mut Manifest::of(Process::Receive, &configuration, Some(owner))).is_empty());
        assert!(lent(&mut Manifest::of(Process::Deliver, &configuration, None)).is_empty());
    }
}
