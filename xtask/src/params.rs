//! `docs/parameters.md`: every parameter, whether it is honoured, and what it is for. Made from the parameter table.

use std::{fmt::Write as _, fs, io, path::PathBuf};

use config::{
    own,
    params::{self, Kind, Status},
};

/// Where the document is.
fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/parameters.md")
}

/// Writes the document.
///
/// # Errors
/// The file cannot be written.
pub fn write() -> io::Result<()> {
    fs::write(path(), document())
}

/// The document's text.
#[must_use]
pub fn document() -> String {
    let count = |wanted: fn(&Status) -> bool| params::ALL.iter().filter(|row| wanted(&row.status)).count();
    let honoured = count(|status| matches!(status, Status::Honoured(_)));
    let without = count(|status| matches!(status, Status::NoEffect(_)));
    let mut text = String::from(
        "# Parameters of main.cf\n\nMade by `cargo xtask params` from the parameter table in `crates/words/config/src/params`; do not edit.\n\n",
    );
    let _ = writeln!(
        text,
        "{} parameters: {honoured} honoured, {without} accepted without effect, {} not yet honoured. A setting that has no effect is named when\n\
         the configuration is loaded.\n",
        params::COUNT,
        params::COUNT - honoured - without
    );
    text.push_str("| parameter | type | default | status | what it is for |\n|---|---|---|---|---|\n");
    for row in params::BY_NAME.iter().map(|id| id.row()) {
        let status = match row.status {
            Status::Honoured(by) => format!("honoured ({by})"),
            Status::NotYet => "not yet".to_owned(),
            Status::NoEffect(reason) => format!("no effect: {reason}"),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {status} | {} |",
            row.name,
            kind(row.kind),
            default(row.default),
            cell(row.doc)
        );
    }
    text.push_str(
        "\n## Added to Postfix's\n\nTo Postfix these are names of the administrator's own that nothing reads.\n\n\
         | parameter | type | default | what it is for |\n|---|---|---|---|\n",
    );
    for own in &own::ALL {
        let _ = writeln!(
            text,
            "| `{}` | {} | `{}` | {} |",
            own.name(),
            own.kind(),
            own.default(),
            cell(own.doc())
        );
    }
    text.push_str("\n## Types of lookup tables\n\n| type | shown by |\n|---|---|\n");
    for (types, shown) in TABLE_TYPES {
        let _ = writeln!(text, "| {types} | {shown} |");
    }
    text
}

/// Table types, and what their tests have on the other side.
const TABLE_TYPES: &[(&str, &str)] = &[
    ("`btree`, `cdb`, `hash`, `lmdb`", "files that Debian's Postfix has made and reads"),
    (
        "`cidr`, `environ`, `inline`, `internal`, `pcre`, `pipemap`, `randmap`, `regexp`, `static`, `texthash`, `unionmap`, `unix`",
        "Debian's Postfix with the same tables",
    ),
    ("`debug`, `fail`, `proxy`", "Debian's Postfix, and the source of 3.12"),
    ("`ldap`, `memcache`, `mysql`, `pgsql`, `sqlite`", "the real servers, and Debian's Postfix beside us"),
    ("`redis`", "the real server; Postfix has no such type"),
    ("`socketmap`, `tcp`", "servers of the tests"),
    (
        "`mongodb`",
        "a server of the tests only (`compliance::mongodb`), as Debian has no MongoDB; it was never tried with a real one",
    ),
];

fn kind(kind: Kind) -> String {
    let bounds = |name: &str, min: i64, max: i64| match (min, max) {
        (0, 0) => name.to_owned(),
        (min, 0) => format!("{name}, at least {min}"),
        (min, max) => format!("{name}, {min} to {max}"),
    };
    match kind {
        Kind::Text { .. } => "text".to_owned(),
        Kind::Raw { .. } => "text, expanded later".to_owned(),
        Kind::Bool => "yes or no".to_owned(),
        Kind::Int { min, max } | Kind::Long { min, max } => bounds("number", min, max),
        Kind::Time { min, max } => bounds("time", min, max),
        Kind::ReadOnly => "read-only".to_owned(),
    }
}

fn default(default: &str) -> String {
    match default {
        "" => "(empty)".to_owned(),
        params::COMPUTED => "(computed)".to_owned(),
        text => format!("`{}`", cell(text).replace('`', "'")),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_current() {
        let committed = fs::read_to_string(path()).unwrap_or_default();
        assert!(committed == document(), "docs/parameters.md is not current: run `cargo xtask params`");
    }

    #[test]
    fn every_parameter_has_a_sentence() {
        let silent: Vec<&str> =
            params::ALL.iter().filter(|row| !row.doc.ends_with('.')).map(|row| row.name).collect();
        assert_eq!(silent, Vec::<&str>::new(), "nobody says what it is for");
    }
}
