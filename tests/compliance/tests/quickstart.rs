//! README's first command, as an ordinary user types it: a mail system in one folder, with the one command to try.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    machine::Machine,
    system::{Which, files},
};
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

const USER: &str = "alice";

/// A folder in which the user may write.
fn home(machine: &Machine) -> PathBuf {
    let home = machine.path("home/quick");
    fs::create_dir(&home).expect("a fresh directory");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).expect("our own directory");
    home
}

fn quickstart(machine: &Machine, folder: &Path) -> Command {
    let mut command = machine.program_as(USER, "posthaste");
    command.arg("quickstart").arg(folder);
    command
}

/// What a start that cannot be says.
fn refused(machine: &Machine, folder: &Path) -> String {
    let output = quickstart(machine, folder).output().expect("nsenter starts");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

struct Running {
    child: Child,
    /// The command to try, as it is printed.
    command: String,
    /// The first words of it.
    said: Vec<String>,
}

impl Running {
    fn start(machine: &Machine, folder: &Path) -> Self {
        let mut child = quickstart(machine, folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("nsenter starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let mut said = Vec::new();
        for line in lines.by_ref() {
            said.push(line);
            if said.iter().any(|line| line.contains("daemon started")) {
                break;
            }
        }
        let command = said.iter().find(|line| line.trim_start().starts_with("curl ")).cloned();
        let command = command.unwrap_or_default();
        assert!(!command.is_empty(), "no command to try: {said:#?}");
        // Whoever reads no more must not hold the log up.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, command, said }
    }

    /// Ctrl-C
    fn interrupt(mut self) -> ExitStatus {
        let killed = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "it runs");
        self.child.wait().expect("a child")
    }
}

fn try_it(machine: &Machine, command: &str, mails: usize, folder: &Path) {
    let tried = machine.program_as("bob", "/bin/sh").args(["-c", command]).output().expect("nsenter starts");
    assert!(tried.status.success(), "{command}: {tried:?}");
    let inbox = folder.join("mailboxes/inbox/new");
    machine.wait_until("the mail is where it was said to appear", || files(&inbox).len() == mails);
}

#[test]
fn one_command_makes_a_mail_system_that_a_user_can_try() {
    let machine = Machine::new(Which::Posthaste, "");
    let home = home(&machine);
    let folder = home.join("mail");
    let first = Running::start(&machine, &folder);
    assert!(first.said.iter().any(|line| line.contains("mailboxes/inbox/new")), "{:#?}", first.said);
    try_it(&machine, &first.command, 1, &folder);
    assert!(refused(&machine, &folder).contains("is in use already, by process"));
    assert!(refused(&machine, &home.join("other")).contains("127.0.0.1:2525 is in use by another program"));
    assert!(first.interrupt().success());
    // The same folder is taken up again, with its mail.
    let second = Running::start(&machine, &folder);
    try_it(&machine, &second.command, 2, &folder);
    assert!(second.interrupt().success());
    let main_cf = fs::read_to_string(folder.join("etc/main.cf")).expect("a file of the user's");
    assert!(main_cf.lines().filter(|line| line.starts_with('#')).count() > 5, "it is commented");
}

#[test]
fn folders_that_cannot_be_are_named() {
    let machine = Machine::new(Which::Posthaste, "");
    let home = home(&machine);
    fs::write(home.join("file"), "").expect("space");
    fs::create_dir(home.join("full")).expect("space");
    fs::write(home.join("full/thesis.tex"), "").expect("space");
    fs::create_dir(home.join("roots")).expect("space");
    for (name, why) in [
        ("file", "is a file: give a folder"),
        ("full", "is not empty and was not made by quickstart"),
        ("roots", "Permission denied: give a folder that you may write"),
        ("two words", "must be shorter than 80 bytes, without blanks"),
    ] {
        let said = refused(&machine, &home.join(name));
        assert!(said.contains(why), "{name}: {said}");
    }
}
