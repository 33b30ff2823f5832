//! What the shell and a session tell each other.

use types::{Instant, WallTime};
use world::Answer;

/// A point in time on both clocks: spans are measured with the first, what the cache remembers with the second.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Never set back.
    pub now: Instant,
    /// The calendar.
    pub wall: WallTime,
}

/// What to do next, after the replies that the session has made are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Wait until the deadline, or until all DNS lists have answered; where `listens`, also for the client to speak
    /// or to go away.
    Early {
        /// When the tests before the greeting end.
        deadline: Instant,
        /// Whether a word of the client matters.
        listens: bool,
    },
    /// Read commands until the deadline.
    Commands {
        /// When the client has taken too long over its command.
        deadline: Instant,
    },
    /// Give the connection to smtpd.
    HandOver,
    /// Close the connection.
    Close,
}

/// What earlier sessions left behind: `postscreen_cache_map`.
pub trait Results {
    /// The entry of a client, by its address.
    fn lookup<'a>(&'a self, client: &'a str) -> Answer<'a, Option<Vec<u8>>>;
}

/// Nothing is remembered.
impl Results for () {
    fn lookup<'a>(&'a self, _client: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        Answer::ready(None)
    }
}
