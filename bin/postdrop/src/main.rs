//! The small program that is set-gid: see the library.

use std::{ffi::OsString, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let mut name = arguments.first().map(base_name).unwrap_or_default();
    let mut rest = arguments.split_off(arguments.len().min(1));
    if name == "posthaste-postdrop" && !rest.is_empty() {
        name = rest.remove(0).to_string_lossy().into_owned();
    }
    let code = postdrop::main_by_name(&name, &rest).unwrap_or_else(|| {
        eprintln!("usage: posthaste-postdrop postdrop|postqueue|postlog [argument ...]");
        64
    });
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn base_name(called: &OsString) -> String {
    Path::new(called).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
