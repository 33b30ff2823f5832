//! dynamicmaps.cf and dynamicmaps.cf.d in meta_directory: which file of Postfix's package holds which table type. All types
//! that there are here are in the program itself, so nothing is loaded and no entry is needed; an entry for another
//! type is named, as somebody meant to use it.

use super::System;
use config::params as p;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// More files than this are not looked at.
const FILES_MAX: usize = 1000;

/// What there is to say, with file and line.
pub(super) fn warnings(system: &System) -> Vec<String> {
    let main = Path::new(system.values().text(p::meta_directory)).join("dynamicmaps.cf");
    let mut said = Vec::new();
    for path in std::iter::once(main.clone()).chain(further(&main.with_extension("cf.d"))) {
        let shown = path.display();
        match fs::read(&path) {
            Ok(bytes) => {
                let text = config::decode(&bytes);
                said.extend(
                    wrong(&text).into_iter().map(|(line, why)| format!("{shown}, line {line}: {why}")),
                );
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => said.push(format!("{shown}: file open failed: {}", config_files::reason(&error))),
        }
    }
    said
}

fn further(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).take(FILES_MAX).collect();
    files.sort();
    files
}

/// Lines that are no entries, and entries for types that there are not.
fn wrong(text: &str) -> Vec<(usize, String)> {
    let is_known =
        |map_type: &str| tables::is_supported(map_type) || tables_net::SUPPORTED_TYPES.contains(&map_type);
    let judge = |line: &str| {
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        let map_type = words.first()?;
        if !(3..=4).contains(&words.len()) {
            return Some("Expected \"dict-type .so-name dict-function [mkmap-function]\"".to_owned());
        }
        let text = "its plug-in is not loaded; use a type that \"postconf -m\" lists";
        (!is_known(map_type)).then(|| format!("unsupported dictionary type: {map_type}: {text}"))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    lines.filter_map(|(at, line)| Some((at + 1, judge(line)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// seed: S053
    #[test]
    fn what_cannot_be_used_is_named_with_its_line() {
        let check = |text: &str, expected: &[(usize, &str)]| {
            let found = wrong(text);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for ((line, why), (wanted, part)) in found.iter().zip(expected) {
                assert!(line == wanted && why.contains(part), "{line}: {why}");
            }
        };
        check("# dict-type\tso-name\n\ncdb\tpostfix-cdb.so\tdict_cdb_open\tmkmap_cdb_open\n", &[]);
        check("pgsql postfix-pgsql.so dict_pgsql_open\t\nldap postfix-ldap.so dict_ldap_open\n", &[]);
        check("cdb x.so\n", &[(1, "Expected \"dict-type")]);
        check("#\nnosuch x.so open\n", &[(2, "unsupported dictionary type: nosuch")]);
    }
}
