//! The supervisor: holds the listening sockets, starts and restarts the processes, and nothing else.

use std::ffi::OsString;

/// Runs as the master process; returns its exit code.
#[must_use]
pub fn main(_arguments: &[OsString]) -> i32 {
    1
}
