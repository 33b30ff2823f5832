//! One program under many names: a link's, or its first argument's. What each command does is tested in its own crate.

#![allow(clippy::expect_used)] // A test that cannot begin fails.

use std::{
    os::unix::{fs::symlink, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_posthaste");

/// Debian's configuration, as its package writes it.
fn configuration() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../crates/shell/commands/tests/postconf/configurations/debian")
}

fn run(command: &mut Command) -> Output {
    command.env_remove("MAIL_CONFIG").output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_command_is_known_by_the_name_of_a_link_or_of_the_first_argument() {
    let folder = tempfile::tempdir().expect("space");
    let link = folder.path().join("postconf");
    symlink(PROGRAM, &link).expect("space");
    let arguments = |command: &mut Command| {
        run(command.arg("-c").arg(configuration()).args([
            "-n",
            "mydestination",
            "smtp_tls_session_cache_database",
        ]))
    };
    let called = [
        arguments(&mut Command::new(&link)),
        arguments(Command::new(PROGRAM).arg0("postconf")),
        arguments(Command::new(PROGRAM).arg("postconf")),
        arguments(&mut Command::new("/usr/sbin/postconf")),
    ];
    let [_, _, _, debians] = &called;
    assert!(
        text(&debians.stdout).starts_with("mydestination = $myhostname, vm, "),
        "apt-get install postfix"
    );
    for output in &called {
        assert_eq!((text(&output.stdout), output.status.code()), (text(&debians.stdout), Some(0)));
    }
}

#[test]
fn other_names_are_told_which_there_are() {
    for arguments in [&[][..], &["no-such-command"], &["no-such-command", "postconf"]] {
        let output = run(Command::new(PROGRAM).args(arguments));
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.starts_with("usage: posthaste command ") && said.contains("\n    postconf\n"), "{said}");
    }
}

/// What only master may start says so.
#[test]
fn processes_of_the_mail_system_are_no_commands() {
    for name in ["receive", "deliver"] {
        let output = run(Command::new(PROGRAM).arg(name));
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(text(&output.stderr).starts_with(&format!("{name}: fatal: ")), "{}", text(&output.stderr));
    }
}
