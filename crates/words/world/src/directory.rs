//! The system's user database.

use crate::Answer;
use std::path::PathBuf;
use types::Lookup;

/// One line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEntry {
    /// Login name.
    pub name: String,
    /// Numeric user id.
    pub uid: u32,
    /// Numeric primary group id.
    pub gid: u32,
    /// Full name and more.
    pub gecos: String,
    /// Home directory.
    pub home: PathBuf,
    /// Login shell.
    pub shell: PathBuf,
}

/// Asks the user database (through NSS, which may block: hence an [`Answer`]).
pub trait Users {
    /// By login name.
    fn by_name<'a>(&'a self, name: &'a str) -> Answer<'a, Lookup<UserEntry>>;
    /// By number.
    fn by_uid(&self, uid: u32) -> Answer<'_, Lookup<UserEntry>>;
}
