//! The commands of Postfix, by their names.
//!
//! One program serves them all: [`main_by_name`] looks at the name it was called under before anything
//! else is started. Each command is a module with one `main(args) -> exit code`; its options, its
//! texts and its exit codes are Postfix's.

use std::{
    ffi::OsString,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

mod getopt;
mod postalias;
mod postcat;
mod postconf;
mod postfix;
mod postmap;
mod postsuper;
mod quickstart;
mod sendmail;

/// A command: its arguments without the program's name, to its exit code.
pub type Command = fn(&[OsString]) -> i32;

/// Name to command, in alphabetical order.
pub const COMMANDS: &[(&str, Command)] = &[
    ("mailq", sendmail::mailq),
    ("newaliases", sendmail::newaliases),
    ("postalias", postalias::main),
    ("postcat", postcat::main),
    ("postconf", postconf::main),
    ("postfix", postfix::main),
    ("postmap", postmap::main),
    ("postsuper", postsuper::main),
    ("quickstart", quickstart::main),
    ("sendmail", sendmail::main),
];

/// Finds a command by the name the program was called under.
#[must_use]
pub fn main_by_name(name: &str) -> Option<Command> {
    COMMANDS.iter().find(|(known, _)| *known == name).map(|(_, main)| *main)
}

/// The small set-gid program, which serves `postdrop`, `postqueue` and `postlog` by its name: beside this one, or
/// installed under the name in command_directory. Whoever owns the queue needs no other's rights: without a program
/// beside it, this one stands in.
fn set_gid_program(name: &str, values: &config::Values) -> PathBuf {
    use config::params as p;
    if let Ok(beside) = sys::spawn::program_beside("posthaste-postdrop") {
        return beside;
    }
    let owner = std::fs::metadata(values.text(p::queue_directory)).map(|facts| facts.uid());
    let is_ours = owner.is_ok_and(|owner| owner == sys::credentials::real_uid());
    let installed = Path::new(values.text(p::command_directory)).join(name);
    if installed.exists() && !is_ours { installed } else { sys::spawn::own_program() }
}
