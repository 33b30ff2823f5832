//! Parameters of fast flush.

use super::row::*;

rows! {
    after commands;
    fast_flush_purge_time: time(1, 0), "7d", "flush", NotYet, "After what time an empty list of a destination's deferred mail is removed.";
    fast_flush_refresh_time: time(1, 0), "12h", "flush", NotYet, "After what time a list of a destination's deferred mail that was not used is made anew.";
}
