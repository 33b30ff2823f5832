//! The three answers of a look-up. "Not there" and "could not look" are never the same thing:
//! the second defers mail.

use std::fmt;

/// The answer of a table, a DNS server or a helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T = Vec<u8>> {
    /// The value.
    Found(T),
    /// Certainly not there.
    Absent,
    /// Could not look; whoever asked must answer 4xx or keep the mail queued.
    TryAgain(Trouble),
}

impl<T> Lookup<T> {
    /// Applies `f` to a found value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Lookup<U> {
        match self {
            Self::Found(value) => Lookup::Found(f(value)),
            Self::Absent => Lookup::Absent,
            Self::TryAgain(trouble) => Lookup::TryAgain(trouble),
        }
    }

    /// `Ok(Some)` when found, `Ok(None)` when absent, so that `?` passes trouble on.
    pub fn into_result(self) -> Result<Option<T>, Trouble> {
        match self {
            Self::Found(value) => Ok(Some(value)),
            Self::Absent => Ok(None),
            Self::TryAgain(trouble) => Err(trouble),
        }
    }
}

/// Why something could not be done now: text for the log that names the thing and the error.
///
/// Trouble is temporary by definition. It never reaches a peer verbatim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble(Box<str>);

impl Trouble {
    /// `text` names what failed, on which object, and what to do about it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into_boxed_str())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}
