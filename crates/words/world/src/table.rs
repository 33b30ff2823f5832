//! Lookup tables as decisions see them.

use crate::Answer;
use std::rc::Rc;
use types::{Lookup, Trouble};

/// Who could have put into a table what is found in it: with his rights, and no others, a command of it is run
/// (aliases(5), SECURITY).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableOwner {
    /// root, or nobody: the value stands in the configuration itself.
    Trusted,
    /// This user.
    User(u32),
    /// It cannot be told.
    #[default]
    Unknown,
}

impl TableOwner {
    /// The owner of a file.
    #[must_use]
    pub const fn of_file(uid: u32) -> Self {
        if uid == 0 { Self::Trusted } else { Self::User(uid) }
    }

    /// The owner of what two tables make together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Trusted, other) => other,
            (_, Self::Unknown) | (Self::Unknown, _) => Self::Unknown,
            (own, Self::Trusted) => own,
            (own, other) if own == other => own,
            _ => Self::Unknown,
        }
    }
}

/// What must not decide over a table's answers, as they are used with somebody's rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Caution {
    /// Nothing is at stake.
    #[default]
    None,
    /// Text of the key: `$1` in the results of regexp and pcre tables (Postfix: `DICT_FLAG_NO_REGSUB`).
    NoSubstitution,
    /// Nor the proxymap service, nor a server that proves nothing (Postfix: `DICT_FLAG_PARANOID`).
    Paranoid,
}

/// One opened lookup table, `type:name`.
///
/// A table that could not be opened is a table too: it answers [`Lookup::TryAgain`] to every
/// question, so that its absence defers mail instead of looking like an empty table.
pub trait Table {
    /// `type:name`, as configured.
    fn name(&self) -> &str;

    /// Looks a key up. Keys are folded by the caller's rules ([`Self::is_pattern`] tables get
    /// them as they are).
    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup>;

    /// Gives a key a value, in tables that are caches.
    fn update<'a>(&'a self, _key: &'a [u8], _value: &'a [u8]) -> Answer<'a, Result<(), Trouble>> {
        Answer::ready(Err(Trouble::new(format!("{}: update operation is not supported", self.name()))))
    }

    /// Takes a key out, in tables that are caches. One that is not there is no trouble.
    fn delete<'a>(&'a self, _key: &'a [u8]) -> Answer<'a, Result<(), Trouble>> {
        Answer::ready(Err(Trouble::new(format!("{}: delete operation is not supported", self.name()))))
    }

    /// Whether keys are matched whole against patterns (regexp, pcre, cidr), so that partial keys
    /// such as `user@` and `@domain` must not be tried (Postfix: `DICT_FLAG_PATTERN`).
    fn is_pattern(&self) -> bool {
        false
    }

    /// Who could have written it, as of the last look-up.
    fn owner(&self) -> TableOwner {
        TableOwner::Unknown
    }
}

/// Opens tables; one instance for each process, which shares equal names.
pub trait Tables {
    /// Opens `type:name`; never fails (see [`Table`]).
    fn open(&self, type_and_name: &str) -> Rc<dyn Table>;

    /// The same for results that are used with somebody's rights.
    fn open_with(&self, type_and_name: &str, _caution: Caution) -> Rc<dyn Table> {
        self.open(type_and_name)
    }

    /// The same for a table that is to be changed as well: where nobody has one, [`Table::update`] says so.
    fn open_to_change(&self, type_and_name: &str) -> Rc<dyn Table> {
        self.open(type_and_name)
    }

    /// Reads the file behind a `/file/name` pattern of a match list. Trouble makes that pattern an
    /// error for whatever reaches it, never an empty list.
    fn pattern_file(&self, path: &str) -> Result<Vec<u8>, Trouble> {
        Err(Trouble::new(format!("open file {path}: there are no files here")))
    }
}
