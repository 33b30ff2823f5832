//! Runs one command of the table: `command-under-test postcat -q ID`. Tests compare it with Debian's.

use std::ffi::OsString;

fn main() {
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let name = if args.is_empty() { OsString::new() } else { args.remove(0) };
    let code = commands::main_by_name(&name.to_string_lossy()).map_or(127, |main| main(&args));
    std::process::exit(code);
}
