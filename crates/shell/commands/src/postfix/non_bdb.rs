//! `postfix non-bdb`: the way off Berkeley DB (postfix-non-bdb(1)).

use super::{Fatal, Outcome, System, reindex};
use config::{
    edit::{Change, MainEdit, MasterEdit, Part},
    params as p,
};
use tables::Redirect;

/// The row of the service that makes tables anew in Postfix. Here it marks the level for Postfix's own programs; tables are made anew by
/// this command, and at start and reload.
const SERVICE: &str = "nbdb_reindex/unix";
const ROW: &str = "nbdb_reindex unix y n n - 1 nbdb_reindexd";

pub(super) fn run(system: &mut System, words: &[String]) -> Outcome {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["status"] => println!("{}", system.values().text(p::non_bdb_migration_level)),
        ["disable"] => {
            set_level(system, None)?;
            set_row(system, false)?;
        }
        ["enable-redirect"] => {
            check_targets(system)?;
            set_row(system, false)?;
            set_level(system, Some("enable-redirect"))?;
        }
        ["enable-reindex"] => {
            check_targets(system)?;
            set_row(system, true)?;
            set_level(system, Some("enable-reindex"))?;
            system.configuration =
                config_files::load(&system.directory).map_err(|trouble| Fatal(trouble.to_string()))?;
            reindex::all(system);
        }
        _ => {
            let verbs = "status (or enable-redirect, or enable-reindex, or disable)";
            return Err(Fatal(format!("usage: postfix non-bdb {verbs}")));
        }
    }
    Ok(0)
}

/// Nothing is changed while what should stand in for Berkeley DB is Berkeley DB.
fn check_targets(system: &System) -> Result<(), Fatal> {
    for parameter in [p::default_database_type, p::default_cache_db_type] {
        let map_type = system.values().text(parameter);
        if Redirect::is_legacy(map_type) {
            let name = parameter.name();
            return Err(Fatal(format!(
                "parameter {name} specifies a Berkeley DB type: '{map_type}'; set it to lmdb first: postconf {name}=lmdb"
            )));
        }
    }
    Ok(())
}

fn set_level(system: &System, level: Option<&str>) -> Result<(), Fatal> {
    let name = p::non_bdb_migration_level.name();
    let (change, request) = match level {
        Some(level) => (Change::Set, format!("{name}={level}")),
        None => (Change::Exclude, name.to_owned()),
    };
    let edit = MainEdit::parse(change, &[request]).map_err(Fatal)?;
    system.edit("main.cf", |name, text| Ok(edit.apply(name, text).text))
}

fn set_row(system: &System, is_there: bool) -> Result<(), Fatal> {
    let (change, request) = match is_there {
        true => (Change::Set, format!("{SERVICE}={ROW}")),
        false => (Change::Exclude, SERVICE.to_owned()),
    };
    let edit = MasterEdit::parse(change, Part::Entry, &[request]).map_err(Fatal)?;
    system.edit("master.cf", |name, text| edit.apply(name, text).map(|edited| edited.text))
}
