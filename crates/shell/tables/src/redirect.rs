//! hash and btree tables that are other tables in truth: the way off Berkeley DB (NON_BERKELEYDB_README).
//!
//! From the level `enable-redirect` on, `hash:path` means `$default_database_type:path`, `btree:path` means
//! `$default_cache_db_type:path`, unless `non_bdb_custom_mapping` says otherwise for `hash`, `btree` or one `type:path`.

use crate::{OpenError, Options, is_at_hand, is_supported, open};
use config::{Values, params as p};
use types::Lookup;

/// What stands in for hash and btree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    custom: String,
    database: String,
    cache: String,
    /// `non_bdb_migration_log_redirect`: each redirection is logged.
    pub is_logged: bool,
}

impl Redirect {
    /// `None` at the level `disable`.
    #[must_use]
    pub fn load(values: &Values) -> Option<Self> {
        let is_disabled = values.text(p::non_bdb_migration_level).eq_ignore_ascii_case("disable");
        (!is_disabled).then(|| Self {
            custom: values.text(p::non_bdb_custom_mapping).to_owned(),
            database: values.text(p::default_database_type).to_owned(),
            cache: values.text(p::default_cache_db_type).to_owned(),
            is_logged: values.bool(p::non_bdb_migration_log_redirect),
        })
    }

    /// Whether a type is one of Berkeley DB.
    #[must_use]
    pub fn is_legacy(map_type: &str) -> bool {
        matches!(map_type, "hash" | "btree")
    }

    /// The type that `map_type:name` is in truth: itself, if it is not one of Berkeley DB.
    ///
    /// # Errors
    /// There is nothing that could stand in for it: why, and what to set.
    pub fn target(&self, map_type: &str, name: &str, options: &Options) -> Result<String, OpenError> {
        let default = match map_type {
            "hash" => &self.database,
            "btree" => &self.cache,
            _ => return Ok(map_type.to_owned()),
        };
        let found = if self.custom.is_empty() { None } else { self.custom(map_type, name, options)? };
        let (setting, target) = match found {
            Some(target) => ("non_bdb_custom_mapping", target),
            None if map_type == "hash" => ("default_database_type", default.clone()),
            None => ("default_cache_db_type", default.clone()),
        };
        let wrong = if !target.bytes().all(|byte| byte.is_ascii_alphanumeric()) || target.is_empty() {
            "that is no table type"
        } else if Self::is_legacy(&target) {
            "that is a Berkeley DB type"
        } else if !is_supported(&target) {
            "that type is not supported"
        } else {
            return Ok(target);
        };
        Err(OpenError::new(format!(
            "non-Berkeley-DB migration: {map_type}:{name} is redirected to type '{target}' by {setting}: {wrong}; use lmdb or cdb"
        )))
    }

    /// Asks `non_bdb_custom_mapping` for the table, then for its type.
    fn custom(&self, map_type: &str, name: &str, options: &Options) -> Result<Option<String>, OpenError> {
        let failed = |why: &str| {
            OpenError::new(format!(
                "non-Berkeley-DB migration: non_bdb_custom_mapping = {}: lookup error for '{map_type}:{name}': {why}",
                self.custom
            ))
        };
        let (kind, file) = self.custom.split_once(':').unwrap_or(("", &self.custom));
        if Self::is_legacy(kind) || !is_at_hand(&self.custom) {
            return Err(failed("it must be a table of this machine whose type is not hash or btree"));
        }
        let table = open(kind, file, options)?;
        for key in [format!("{map_type}:{name}"), map_type.to_owned()] {
            let stored = options.stored_key(key.as_bytes());
            match table.get(if table.is_pattern() { key.as_bytes() } else { &stored }) {
                Lookup::Found(target) => return Ok(Some(String::from_utf8_lossy(&target).into_owned())),
                Lookup::Absent => {}
                Lookup::TryAgain(trouble) => return Err(failed(&trouble.to_string())),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    fn target(settings: &[(&str, &str)], table: &str) -> Result<String, String> {
        let level = [("non_bdb_migration_level", "enable-redirect")];
        let values = Values::for_tests(&[&level[..], settings].concat());
        let redirect = Redirect::load(&values).unwrap();
        let (map_type, name) = table.split_once(':').unwrap();
        redirect.target(map_type, name, &Options::new(Rc::new(|_| {}))).map_err(|error| error.to_string())
    }

    #[test]
    fn each_level_but_the_first_redirects() {
        let is_on =
            |level| Redirect::load(&Values::for_tests(&[("non_bdb_migration_level", level)])).is_some();
        assert_eq!(["disable", "enable-redirect", "enable-reindex"].map(is_on), [false, true, true]);
    }

    #[test]
    fn types_of_berkeley_db_are_what_the_defaults_or_the_custom_mapping_say() {
        let types = [("default_database_type", "cdb"), ("default_cache_db_type", "lmdb")];
        let check = |custom: &str, table: &str, expected: &str| {
            let settings = [&types[..], &[("non_bdb_custom_mapping", custom)]].concat();
            assert_eq!(target(&settings, table).as_deref(), Ok(expected), "{custom} {table}");
        };
        check("", "hash:/etc/x", "cdb");
        check("", "btree:/var/x", "lmdb");
        check("", "texthash:/etc/x", "texthash");
        check("inline:{hash=lmdb}", "hash:/etc/x", "lmdb");
        check("inline:{hash=lmdb}", "btree:/etc/x", "lmdb");
        check("inline:{ {hash:/etc/X = texthash}, hash=lmdb }", "hash:/etc/x", "texthash");
        check("inline:{ {hash:/etc/x = texthash}, hash=lmdb }", "hash:/etc/y", "lmdb");
        check("pcre:{ {/^hash:.*virtual/ texthash} }", "hash:/etc/virtual", "texthash");
        check("pcre:{ {/^hash:.*virtual/ texthash} }", "hash:/etc/access", "cdb");
    }

    #[test]
    fn what_cannot_stand_in_is_told() {
        let check = |settings: &[(&str, &str)], expected: &str| {
            let error = target(settings, "hash:/x").unwrap_err();
            assert!(error.contains(expected), "{settings:?}: {error}");
        };
        check(&[("default_database_type", "hash")], "default_database_type: that is a Berkeley DB type");
        check(&[("default_database_type", "l-m")], "that is no table type");
        check(&[("default_database_type", "sdbm")], "that type is not supported");
        check(&[("non_bdb_custom_mapping", "inline:{hash=btree}")], "that is a Berkeley DB type");
        check(&[("non_bdb_custom_mapping", "hash:/x")], "whose type is not hash or btree");
        check(&[("non_bdb_custom_mapping", "fail:x")], "lookup error for 'hash:/x'");
        check(&[("non_bdb_custom_mapping", "texthash:/no/such/file")], "/no/such/file");
    }
}
