//! Chores of the project: `cargo xtask params` writes `docs/parameters.md`.
#![allow(clippy::print_stderr)]

use std::process::ExitCode;

pub mod params;

fn main() -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        Some("params") => params::write(),
        _ => {
            eprintln!("usage: cargo xtask params");
            return ExitCode::from(64);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
