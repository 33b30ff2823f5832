//! authorized_submit_users and its kin: who may (postconf(5) `authorized_submit_users`).
//!
//! Programs of users open no lookup tables on behalf of their callers: names, `!name`, `static:` and `/file/name` are
//! understood, and a list with anything else lets nobody in.

use crate::reason;
use config::Values;
use std::fs;

/// Whether a parameter's list has a user, by login name. A list that begins with `static:` has everyone.
///
/// # Errors
/// A file that cannot be read, or an item that is not understood.
pub fn is_user_listed(values: &Values, parameter: config::params::Id, user: &str) -> Result<bool, String> {
    if values.text(parameter).starts_with("static:") {
        return Ok(true);
    }
    is_listed(&values.list(parameter), user).map_err(|why| format!("{}: {why}", parameter.name()))
}

/// The first item that matches decides.
fn is_listed(list: &[&str], user: &str) -> Result<bool, String> {
    for item in list {
        let (item, found) = item.strip_prefix('!').map_or((*item, true), |item| (item, false));
        let matches = if item.starts_with('/') {
            let text = fs::read_to_string(item).map_err(|error| format!("{item}: {}", reason(&error)))?;
            let names: Vec<&str> = text
                .lines()
                .map(|line| line.split('#').next().unwrap_or(""))
                .flat_map(config::split_list)
                .filter(|name| !name.starts_with(['/', '!']))
                .collect();
            is_listed(&names, user)?
        } else if item.starts_with("static:") {
            true
        } else if item.contains(':') {
            return Err(format!("{item}: this list takes names, static:, and /file/name only"));
        } else {
            item.eq_ignore_ascii_case(user)
        };
        if matches {
            return Ok(found);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_decides_and_what_is_not_understood_lets_nobody_in() {
        let check = |list: &str, user: &str, expected: Result<bool, ()>| {
            assert_eq!(is_listed(&config::split_list(list), user).map_err(drop), expected, "{list}");
        };
        check("static:anyone", "x", Ok(true));
        check("!alice, static:all", "alice", Ok(false));
        check("!alice, static:all", "bob", Ok(true));
        check("alice bob", "bob", Ok(true));
        check("alice bob", "eve", Ok(false));
        check("", "eve", Ok(false));
        check("/no/such/file", "eve", Err(()));
        check("hash:/etc/x", "eve", Err(()));
    }
}
