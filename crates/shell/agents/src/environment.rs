//! What a command gets of our environment (postconf(5) `export_environment`).

use std::ffi::OsString;

/// Names, and `name=value` settings, as export_environment has them; and PATH.
pub(crate) fn exported<'w>(words: impl IntoIterator<Item = &'w str>) -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(OsString, OsString)> = Vec::new();
    for word in words {
        let word = word.strip_prefix('{').and_then(|word| word.strip_suffix('}')).unwrap_or(word).trim();
        match word.split_once('=') {
            Some((name, value)) => environment.push((name.trim().into(), value.trim().into())),
            None => environment.extend(std::env::var_os(word).map(|value| (word.into(), value))),
        }
    }
    environment.push(("PATH".into(), "/usr/bin:/bin".into()));
    environment
}
