//! The small program that is set-gid: it serves `postdrop`, `postqueue` and `postlog` by its name.
//!
//! Its caller may be hostile and chooses arguments, environment, descriptors and input; what it may do that its
//! caller may not is to use the directories `maildrop` and `public`. It executes nothing, takes no path from its
//! caller but a configuration directory that main.cf lists, and trusts no record that it reads.
//!
//! # Diagnostics
//! `fatal:` on standard error and in the log, exit code 1 (postdrop, postlog) or as sysexits(3) has it (postqueue).

mod postdrop;
mod postlog;
mod postqueue;
mod records;

use std::ffi::OsString;

/// Runs `postdrop`, `postqueue` or `postlog` with its arguments (the program's name not among them), after giving up
/// what its caller left open; gives the exit code, or `None` for any other name.
#[must_use]
pub fn main_by_name(name: &str, arguments: &[OsString]) -> Option<i32> {
    let main = match name {
        "postdrop" => postdrop::main,
        "postlog" => postlog::main,
        "postqueue" => postqueue::main,
        _ => return None,
    };
    if sys::process::open_standard_descriptors().is_err() {
        return Some(75);
    }
    sys::process::close_inherited_above(2);
    sys::process::set_umask(0o022);
    Some(main(arguments))
}
