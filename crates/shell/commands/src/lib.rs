//! The commands of Postfix, by their names.
//!
//! One program serves them all: [`main_by_name`] looks at the name it was called under before anything
//! else is started. Each command is a module with one `main(args) -> exit code`; its options, its
//! texts and its exit codes are Postfix's.

use std::ffi::OsString;

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
