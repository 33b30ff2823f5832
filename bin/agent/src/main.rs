//! The agent program: `posthaste-agent KIND CONFIG_DIRECTORY`, started by master as the user whose mailboxes it
//! writes, with its socket to `deliver` as descriptor 3.
//!
//! Diagnostics: trouble with the configuration or the protocol is printed and ends the process with 1; `deliver`
//! then defers what it was delivering.

use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(_kind), Some(directory)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: posthaste-agent kind config_directory (started by master only)");
        return ExitCode::from(64);
    };
    let served = sys::startup::inherited_socket()
        .map_err(|error| error.to_string())
        .and_then(|socket| agents::serve(&PathBuf::from(directory), &socket));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("agent: fatal: {trouble}");
            ExitCode::FAILURE
        }
    }
}
