//! Runs one command of the table: `command-under-test postcat -q ID`, or the one under whose name it is called, as commands
//! call each other. Tests compare it with Debian's.

use std::{ffi::OsString, path::Path};

fn main() {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let found = [1, 0].into_iter().find_map(|at| {
        let name = Path::new(args.get(at)?).file_name()?.to_string_lossy().into_owned();
        Some((at, commands::main_by_name(&name)?))
    });
    let code = found.map_or(127, |(at, main)| main(&args.split_off(at + 1)));
    std::process::exit(code);
}
