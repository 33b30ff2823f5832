//! The one program of the mail system, called under the names of Postfix's commands and of its own processes.
//!
//! It looks at its name before it starts a runtime or reads a configuration. Under its own name, the first argument
//! is the name: `posthaste postfix -c DIR start`, `posthaste quickstart DIR`.
//!
//! It also answers to the names of the two small programs: where they are not installed beside it, as after `cargo
//! run`, it stands in for them. It must never be made set-gid itself.
//!
//! Diagnostics: an unknown name is a usage error (64). A process (`receive`, `deliver`) that master did not start
//! says so and exits with 1.

use std::{ffi::OsString, path::Path, process::ExitCode};
use sys::startup::Startup;

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let mut name = arguments.first().map(base_name).unwrap_or_default();
    let mut rest = arguments.split_off(arguments.len().min(1));
    if name == "posthaste" {
        if rest.is_empty() {
            return usage();
        }
        name = rest.remove(0).to_string_lossy().into_owned();
    }
    sys::process::set_name(&name);
    let code = match name.as_str() {
        "master" => master::main(&rest),
        "receive" => process(&name, receive::main),
        "deliver" => process(&name, deliver::main),
        "lookup" => lookup::main(&rest),
        "smtpd" => receive::smtpd(&rest),
        "posthaste-agent" => agents::main(&rest),
        command => match commands::main_by_name(command) {
            Some(main) => main(&rest),
            None => match postdrop::main_by_name(command, &rest) {
                Some(code) => code,
                None => return usage(),
            },
        },
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn base_name(called: &OsString) -> String {
    Path::new(called).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn usage() -> ExitCode {
    eprintln!("usage: posthaste command [argument ...]");
    eprintln!("commands:");
    for (name, _) in commands::COMMANDS {
        eprintln!("    {name}");
    }
    ExitCode::from(64)
}

fn process(name: &str, main: fn(Startup) -> i32) -> i32 {
    match Startup::receive() {
        Ok(startup) => main(startup),
        Err(error) => {
            eprintln!("{name}: fatal: {error}");
            1
        }
    }
}
