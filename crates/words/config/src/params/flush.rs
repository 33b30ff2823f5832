//! Parameters of fast flush.

use super::row::*;

rows! {
    after commands;
    fast_flush_purge_time: time(1, 0), "7d", "flush", NotYet, "";
    fast_flush_refresh_time: time(1, 0), "12h", "flush", NotYet, "";
}
