//! The agent program, started by master only: see [`agents::main`].

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    ExitCode::from(u8::try_from(agents::main(&arguments)).unwrap_or(1))
}
