//! Chores of the project: `cargo xtask tidy` checks what the compiler does not, `cargo xtask params` writes
//! `docs/parameters.md`, `cargo xtask seeds` writes `docs/seeds.md`.
#![allow(clippy::print_stderr)]

pub mod params;
mod seeds;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tidy"] => tidy::run(),
        ["params"] => match params::write() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("xtask: {error}");
                ExitCode::FAILURE
            }
        },
        ["seeds"] => match seeds::write(&seeds::root()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("xtask: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: cargo xtask tidy|params|seeds");
            ExitCode::from(64)
        }
    }
}
