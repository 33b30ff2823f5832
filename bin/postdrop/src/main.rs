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
mod user_list;

use std::{ffi::OsString, path::Path, process::ExitCode};

fn main() -> ExitCode {
    if sys::process::open_standard_descriptors().is_err() {
        return ExitCode::from(75);
    }
    sys::process::close_inherited_above(2);
    sys::process::set_umask(0o022);
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let mut name = arguments.first().map(base_name).unwrap_or_default();
    let mut rest = arguments.split_off(arguments.len().min(1));
    if name == "posthaste-postdrop" && !rest.is_empty() {
        name = rest.remove(0).to_string_lossy().into_owned();
    }
    let code = match name.as_str() {
        "postdrop" => postdrop::main(&rest),
        "postlog" => postlog::main(&rest),
        "postqueue" => postqueue::main(&rest),
        _ => {
            eprintln!("usage: posthaste-postdrop postdrop|postqueue|postlog [argument ...]");
            64
        }
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn base_name(called: &OsString) -> String {
    Path::new(called).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
