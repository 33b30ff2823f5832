//! From `type:name` to an opened table.

use crate::{
    OpenError, Options, Source,
    bdb::{Method, open_bdb},
    cdb::open_cdb,
    cidr::open_cidr,
    inline::{open_inline, static_value},
    lmdb::open_lmdb,
    memory::{Empty, Environ, Fail, Static, open_texthash},
    pcre::open_pcre,
    regexp::open_regexp,
    unix::open_unix,
};
use std::{path::PathBuf, time::SystemTime};
use types::Trouble;

/// Types that can be opened, in alphabetical order (`postconf -m`). `proxy` is opened in the process itself.
pub const SUPPORTED_TYPES: &[&str] = &[
    "btree", "cdb", "cidr", "debug", "environ", "fail", "hash", "inline", "internal", "lmdb", "pcre",
    "pipemap", "proxy", "randmap", "regexp", "static", "texthash", "unionmap", "unix",
];

/// Those that are made of other tables: [`crate::Registry`] opens them.
pub(crate) const COMPOSITE_TYPES: &[&str] = &["debug", "pipemap", "proxy", "randmap", "unionmap"];

/// Whether `spec` names a table that [`open`] opens: a file or a thing of this process, whose answers are at hand.
#[must_use]
pub fn is_at_hand(spec: &str) -> bool {
    let map_type = spec.split_once(':').map_or("", |(map_type, _)| map_type);
    is_supported(map_type) && !COMPOSITE_TYPES.contains(&map_type)
}

/// Whether a type can be opened.
#[must_use]
pub fn is_supported(map_type: &str) -> bool {
    SUPPORTED_TYPES.binary_search(&map_type).is_ok()
}

/// Splits `type:name`.
pub(crate) fn split_spec(spec: &str) -> Result<(&str, &str), OpenError> {
    match spec.split_once(':') {
        Some((map_type, name)) if !map_type.is_empty() && !name.is_empty() => Ok((map_type, name)),
        _ => Err(OpenError::new(format!(
            "open dictionary: expecting \"type:name\" form instead of \"{spec}\""
        ))),
    }
}

/// Opens `type:name` for one user of it.
pub fn open(map_type: &str, name: &str, options: &Options) -> Result<Box<dyn Source>, OpenError> {
    fn boxed<S: Source + 'static>(source: S) -> Box<dyn Source> {
        Box::new(source)
    }
    warn_if_outdated(map_type, name, options);
    match map_type {
        "hash" => open_bdb(name, Method::Hash, options).map(boxed),
        "btree" => open_bdb(name, Method::Btree, options).map(boxed),
        "lmdb" => open_lmdb(name, options).map(boxed),
        "cdb" => open_cdb(name, options).map(boxed),
        "texthash" => open_texthash(name, options).map(boxed),
        "inline" => open_inline(name, options).map(boxed),
        "static" => static_value(name, options).map(|value| boxed(Static(value))),
        "cidr" => open_cidr(name, options).map(boxed),
        "regexp" => open_regexp(name, options).map(boxed),
        "pcre" => open_pcre(name, options).map(boxed),
        "unix" => open_unix(name).map(boxed),
        "environ" => Ok(boxed(Environ)),
        "internal" => Ok(boxed(Empty)),
        "fail" => Ok(boxed(Fail(Trouble::new(format!("fail:{name} always fails"))))),
        other => Err(OpenError::new(format!("unsupported dictionary type: {other}"))),
    }
}

/// The file whose change means that a table has changed.
pub(crate) fn file_of(map_type: &str, name: &str) -> Option<PathBuf> {
    match map_type {
        "hash" | "btree" => Some(format!("{name}.db").into()),
        "lmdb" => Some(format!("{name}.lmdb").into()),
        "cdb" => Some(format!("{name}.cdb").into()),
        "texthash" | "cidr" | "regexp" | "pcre" if !name.starts_with('{') => Some(name.into()),
        _ => None,
    }
}

/// Warns when the text is newer than what was built of it, unless it changed just now.
fn warn_if_outdated(map_type: &str, name: &str, options: &Options) {
    if !matches!(map_type, "hash" | "btree" | "lmdb" | "cdb") {
        return;
    }
    let modified = |path: &str| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    let Some(built) = file_of(map_type, name) else { return };
    let built = built.to_string_lossy();
    if let (Some(source), Some(index)) = (modified(name), modified(&built))
        && source > index
        && SystemTime::now().duration_since(source).is_ok_and(|age| age.as_secs() > 100)
    {
        options.warn(&format!("database {built} is older than source file {name}"));
    }
}
