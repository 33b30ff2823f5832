//! Files that only root may read, opened here and handed on unread.
//!
//! The manifest names, for each process, the parameters whose values are such files. A file is opened again, and
//! handed on again, when it was renewed.

use crate::placement::Process;
use config::{Values, params as p};
use std::{
    fs::File,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

/// How a parameter's value names files.
#[derive(Clone, Copy, Debug)]
enum Names {
    /// A path, or several.
    Files,
    /// Lookup tables: `type:path`.
    Tables,
}

/// Which process gets what.
const MANIFEST: &[(Process, config::params::Id, Names)] = &[
    (Process::Deliver, p::smtp_sasl_password_maps, Names::Tables),
    (Process::Deliver, p::lmtp_sasl_password_maps, Names::Tables),
    (Process::Deliver, p::smtp_tls_key_file, Names::Files),
    (Process::Receive, p::smtpd_tls_key_file, Names::Files),
    (Process::Receive, p::smtpd_tls_chain_files, Names::Files),
];

/// What tells one state of a file from another.
type Stamp = (u64, u64, i64, i64);

/// The files of one process.
#[derive(Debug)]
pub(crate) struct Manifest(Vec<(PathBuf, Option<Stamp>)>);

impl Manifest {
    pub(crate) fn of(process: Process, values: &Values) -> Self {
        let mut paths: Vec<PathBuf> = Vec::new();
        for (_, parameter, names) in MANIFEST.iter().filter(|(whose, ..)| *whose == process) {
            for word in values.list(*parameter) {
                let found = match names {
                    Names::Files => vec![PathBuf::from(word)],
                    Names::Tables => table_files(word, values),
                };
                paths.extend(found.into_iter().filter(|path| path.is_absolute()));
            }
        }
        paths.sort();
        paths.dedup();
        Self(paths.into_iter().map(|path| (path, None)).collect())
    }

    /// Opens what is new since the last call; what is missing is left out, and the process that misses it says so.
    pub(crate) fn renewed(&mut self) -> Vec<(PathBuf, OwnedFd)> {
        let mut files = Vec::new();
        for (path, known) in &mut self.0 {
            let Some((file, stamp)) = open(path) else { continue };
            if *known != Some(stamp) {
                *known = Some(stamp);
                files.push((path.clone(), file));
            }
        }
        files
    }
}

/// The files that `type:path` may be. From non_bdb_migration_level = enable-redirect on, another type stands in for those of Berkeley DB;
/// which one, a table may say, which is not read here: it is any of the two that can.
fn table_files(table: &str, values: &Values) -> Vec<PathBuf> {
    let is_redirected = !values.text(p::non_bdb_migration_level).eq_ignore_ascii_case("disable");
    match table.split_once(':') {
        Some(("hash" | "btree", path)) if is_redirected => {
            [".lmdb", ".cdb"].map(|end| PathBuf::from(format!("{path}{end}"))).to_vec()
        }
        _ => table_file(table).into_iter().collect(),
    }
}

/// The file behind `type:path`, for the types that are one file.
fn table_file(table: &str) -> Option<PathBuf> {
    let (kind, path) = table.split_once(':')?;
    Some(PathBuf::from(match kind {
        "hash" | "btree" => format!("{path}.db"),
        "lmdb" => format!("{path}.lmdb"),
        "cdb" => format!("{path}.cdb"),
        "inline" | "static" | "environ" | "unix" | "proxy" | "tcp" | "socketmap" | "memcache" => return None,
        _ => path.to_owned(),
    }))
}

fn open(path: &Path) -> Option<(OwnedFd, Stamp)> {
    let file = File::open(path).ok()?;
    let facts = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some((file.into(), (facts.dev(), facts.ino(), facts.mtime(), facts.mtime_nsec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_handed_on_once_and_again_when_it_was_renewed() {
        let path = std::env::temp_dir().join(format!("posthaste-manifest-{}", std::process::id()));
        std::fs::write(&path, "one").unwrap();
        let table = format!("texthash:{}", path.display());
        let values = Values::for_tests(&[("smtp_sasl_password_maps", &table)]);
        let mut manifest = Manifest::of(Process::Deliver, &values);
        assert_eq!(manifest.renewed().len(), 1);
        assert_eq!(manifest.renewed().len(), 0);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(manifest.renewed().len(), 0);
        std::fs::write(path.with_extension("new"), "two").unwrap();
        std::fs::rename(path.with_extension("new"), &path).unwrap();
        assert_eq!(manifest.renewed().len(), 1);
        assert_eq!(Manifest::of(Process::Receive, &values).renewed().len(), 0);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn tables_name_their_built_files() {
        let check = |table: &str, file: Option<&str>| assert_eq!(table_file(table), file.map(PathBuf::from));
        check("hash:/etc/x", Some("/etc/x.db"));
        check("lmdb:/etc/x", Some("/etc/x.lmdb"));
        check("texthash:/etc/x", Some("/etc/x"));
        check("inline:{a=b}", None);
        check("nonsense", None);
        let files =
            |level| table_files("hash:/etc/x", &Values::for_tests(&[("non_bdb_migration_level", level)]));
        assert_eq!(files("disable"), [PathBuf::from("/etc/x.db")]);
        assert_eq!(files("enable-redirect"), ["/etc/x.lmdb", "/etc/x.cdb"].map(PathBuf::from));
    }
}
