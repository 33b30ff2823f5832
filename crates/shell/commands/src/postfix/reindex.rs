//! Makes the tables that stand in for Berkeley DB ones, where they are missing (`non_bdb_migration_level = enable-reindex`).
//!
//! Postfix has a service for this that runs as root and takes the names of tables from unprivileged processes (nbdb_reindexd(8)). Here
//! the administrator's command takes them from the configuration, so that no such process is needed. Its policy is the same: a table is
//! made with the rights of whoever owns the Berkeley DB file, from a text and in directories that nobody else can write.

use super::System;
use config::{Values, params as p};
use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Component, Path},
    process::{Command, Stdio},
    rc::Rc,
};
use sys::credentials;
use tables::Redirect;

/// Whether postalias makes a table; else postmap does.
type IsAliases = bool;

/// Makes every table that is missing, and says what was done and what could not be.
pub(super) fn all(system: &System) {
    let values = system.values();
    let Some(redirect) = Redirect::load(values) else { return };
    let rows = system.configuration.master_cf().rows.iter();
    let mut found = BTreeMap::new();
    collect(values, &mut found);
    rows.for_each(|row| collect(&system.configuration.values_for(row), &mut found));
    let log = system.log.clone();
    let options = tables::Options::new(Rc::new(move |text| log.warning(text)));
    for (table, is_aliases) in found {
        let Some((map_type, path)) = table.split_once(':') else { continue };
        match redirect.target(map_type, path, &options) {
            Err(error) => system.warning(&error.to_string()),
            Ok(target) => one(system, path, &target, is_aliases),
        }
    }
}

fn one(system: &System, path: &str, target: &str, is_aliases: IsAliases) {
    let built = match target {
        "cdb" | "lmdb" => format!("{path}.{target}"),
        // Such a table has no built file.
        _ => return,
    };
    if fs::metadata(&built).is_ok_and(|facts| facts.len() > 0) {
        return;
    }
    let command = if is_aliases { "postalias" } else { "postmap" };
    let shown = format!("{command} {target}:{path}");
    let made = owner(system.values(), path)
        .and_then(|owner| make(system, command, &format!("{target}:{path}"), owner).map(|()| owner.0));
    match made {
        Ok(uid) => system.info(&format!("successfully executed '{shown}' as uid {uid}")),
        Err(why) => system.warning(&format!(
            "could not execute command '{shown}': {why}; alternatively, execute the failed command by hand"
        )),
    }
}

/// All `hash:/path` and `btree:/path` that a configuration names, wherever in a value.
fn collect(values: &Values, found: &mut BTreeMap<String, IsAliases>) {
    for id in p::BY_NAME.iter().filter(|id| matches!(id.row().kind, p::Kind::Text { .. })) {
        let is_aliases = *id == p::alias_maps || *id == p::alias_database;
        for table in named(values.text(*id)) {
            *found.entry(table.to_owned()).or_default() |= is_aliases;
        }
    }
}

fn named(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', '\t', '\n', ',', '{', '}', ';', '=', '!']).filter_map(|word| {
        let word = word.strip_prefix("proxy:").unwrap_or(word);
        let (map_type, path) = word.split_once(':')?;
        (Redirect::is_legacy(map_type) && path.starts_with('/')).then_some(word)
    })
}

/// With whose rights a table may be made: those of the owner of its Berkeley DB file.
fn owner(values: &Values, path: &str) -> Result<(u32, u32), String> {
    let look = |what: &str, path: &Path| {
        fs::metadata(path).map_err(|error| {
            format!("look up status for {what} '{}': {}", path.display(), config_files::reason(&error))
        })
    };
    let legacy = format!("{path}.db");
    let built = look("legacy indexed file", Path::new(&legacy))?;
    let source = look("source file", Path::new(path))?;
    let uid = built.uid();
    let parameter = match uid {
        0 => p::non_bdb_migration_allow_root_prefixes,
        _ => p::non_bdb_migration_allow_user_prefixes,
    };
    if !values.list(parameter).iter().any(|prefix| is_below(path, prefix)) {
        let who = if uid == 0 { "root" } else { "non-root" };
        return Err(format!(
            "table {path} has an unexpected pathname; to allow automatic indexing as {who}, append its parent directory to the '{}' \
             setting (current setting is: \"{}\")",
            parameter.name(),
            values.text(parameter)
        ));
    }
    let wrong = |what: &str, path: &Path| {
        format!(
            "legacy indexed file '{legacy}' is owned by uid '{uid}', but {what} '{}' is owned or writable by other user; to allow \
             automatic indexing, correct the ownership or permissions",
            path.display()
        )
    };
    if !is_safe(&source, uid) {
        return Err(wrong("source file", Path::new(path)));
    }
    for (above, directory) in Path::new(path).ancestors().skip(1).enumerate() {
        let facts = look("parent directory", directory)?;
        // Where the sticky bit is set, others cannot rename what is ours.
        let is_sticky = above > 0 && facts.uid() == 0 && facts.mode() & 0o1000 != 0;
        if !is_sticky && !is_safe(&facts, uid) {
            return Err(wrong("parent directory", directory));
        }
    }
    Ok((uid, built.gid()))
}

/// Whether nobody but root and this user can change something.
fn is_safe(facts: &Metadata, uid: u32) -> bool {
    (facts.uid() == 0 || facts.uid() == uid) && facts.mode() & 0o022 == 0
}

/// Whether a path lies below a directory, without detours.
fn is_below(path: &str, directory: &str) -> bool {
    let (path, directory) = (Path::new(path), Path::new(directory));
    let is_plain = path.components().all(|part| !matches!(part, Component::ParentDir | Component::CurDir));
    is_plain && directory.is_absolute() && path != directory && path.starts_with(directory)
}

fn make(system: &System, command: &str, table: &str, (uid, gid): (u32, u32)) -> Result<(), String> {
    let mut program = Command::new(sys::spawn::own_program());
    program.arg0(command).arg("-c").arg(&system.directory).arg(table).stdin(Stdio::null());
    if credentials::real_uid() == 0 {
        program.uid(uid).gid(gid);
    } else if credentials::real_uid() != uid {
        return Err(format!("only root may become uid {uid}, who owns it"));
    }
    let output = program.output().map_err(|error| config_files::reason(&error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(maillog::printable(String::from_utf8_lossy(&output.stderr).trim().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_found_wherever_they_stand() {
        let check = |value: &str, expected: &[&str]| {
            assert_eq!(named(value).collect::<Vec<_>>(), expected, "{value}");
        };
        check("hash:/etc/aliases, nis:mail.aliases", &["hash:/etc/aliases"]);
        check("check_client_access {proxy:btree:/x}, !hash:/y", &["btree:/x", "hash:/y"]);
        check("unionmap:{hash:/a,texthash:/b}", &["hash:/a"]);
        check("texthash:/etc/x lmdb:/y hash:relative hash", &[]);
    }

    #[test]
    fn prefixes_are_directories() {
        let check = |path: &str, directory: &str, expected: bool| {
            assert_eq!(is_below(path, directory), expected, "{path} {directory}");
        };
        check("/etc/postfix/x", "/etc", true);
        check("/etc/postfix/x", "/etc/", true);
        check("/etcetera/x", "/etc", false);
        check("/etc/../home/x", "/etc", false);
        check("/etc", "/etc", false);
        check("/etc/x", "etc", false);
        check("/etc/x", "", false);
    }
}
