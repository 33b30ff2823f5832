//! Parameters of fast flush.

use super::row::*;

rows! {
    after commands;
    fast_flush_purge_time: time(1, 0), "7d", "flush", Honoured("deliver"), "After what time an empty list of a destination's deferred mail is removed.";
    fast_flush_refresh_time: time(1, 0), "12h", "flush", Honoured("deliver"), "After what time the mail in a list that nobody asked for is tried and listed anew.";
}
