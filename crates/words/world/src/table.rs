//! Lookup tables as decisions see them.

use crate::Answer;
use std::rc::Rc;
use types::{Lookup, Trouble};

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

    /// Whether keys are matched whole against patterns (regexp, pcre, cidr), so that partial keys
    /// such as `user@` and `@domain` must not be tried (Postfix: `DICT_FLAG_PATTERN`).
    fn is_pattern(&self) -> bool {
        false
    }
}

/// Opens tables; one instance for each process, which shares equal names.
pub trait Tables {
    /// Opens `type:name`; never fails (see [`Table`]).
    fn open(&self, type_and_name: &str) -> Rc<dyn Table>;

    /// Reads the file behind a `/file/name` pattern of a match list. Trouble makes that pattern an
    /// error for whatever reaches it, never an empty list.
    fn pattern_file(&self, path: &str) -> Result<Vec<u8>, Trouble> {
        Err(Trouble::new(format!("open file {path}: there are no files here")))
    }
}
