//! Commands of ordinary users against a machine whose small program is really set-gid.

use compliance::{
    machine::{INTERNET_SITE, Machine},
    system::Which,
};
use std::fs;

#[test]
fn an_ordinary_user_submits_while_the_system_is_down_and_it_is_delivered_after_the_start() {
    let story = |which| {
        let machine =
            Machine::new(which, &format!("{INTERNET_SITE}authorized_mailq_users = !bob, static:all\n"));
        machine.command("postfix", &["start"]);
        machine.command("postfix", &["stop"]);
        let mut sendmail = machine.program_as("alice", "sendmail");
        sendmail.args(["-t", "-i"]);
        let output = machine.feed(sendmail, "To: bob\nSubject: from a user\n\n.\nend\n");
        let mut seen = vec![format!("{:?}", output.status.code())];
        machine.command("postfix", &["start"]);
        machine.wait_for_line("status=sent");
        let mailbox = fs::read_to_string(machine.path("mail/bob")).expect("a mailbox");
        let from = mailbox.lines().find(|line| line.starts_with("From: ")).unwrap_or_default().to_owned();
        seen.extend([from, mailbox.ends_with("\n\n.\nend\n\n").to_string()]);
        for user in ["alice", "bob"] {
            let output = machine.program_as(user, "mailq").output().expect("nsenter starts");
            seen.push(format!(
                "{user} {:?} {}",
                output.status.code(),
                String::from_utf8_lossy(&output.stdout)
            ));
        }
        seen
    };
    assert_eq!(story(Which::Posthaste), story(Which::Postfix));
}

/// A set-gid program reads another main.cf than /etc/postfix's for a user only where that one lists its directory.
///
/// seed: S053
#[test]
fn other_configurations_are_for_those_that_the_first_one_names() {
    let story = |which| {
        let machine = Machine::new(
            which,
            &format!("{INTERNET_SITE}alternate_config_directories = /etc/listed, /etc/other\n"),
        );
        // Its directories are there then.
        machine.command("postfix", &["start"]);
        machine.command("postfix", &["stop"]);
        let mut seen = Vec::new();
        for name in ["listed", "unlisted"] {
            let folder = machine.path("etc").join(name);
            fs::create_dir(&folder).expect("space");
            for file in ["main.cf", "master.cf"] {
                fs::copy(machine.path("etc/postfix").join(file), folder.join(file)).expect("space");
            }
            for (program, last) in [("postqueue", "-p"), ("mailq", "-v")] {
                for user in ["alice", "root"] {
                    let mut command = machine.program_as(user, program);
                    let directory = format!("/etc/{name}");
                    command.env("MAIL_CONFIG", &directory);
                    if program == "postqueue" {
                        command.args(["-c", &directory]);
                    }
                    let output = command.arg(last).output().expect("nsenter starts");
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    let what = format!("unauthorized configuration directory name: {directory}");
                    let (code, is_refused) = (output.status.code(), said.contains(&what));
                    seen.push(format!("{name} {program} {user} {code:?} {is_refused}"));
                }
            }
        }
        seen
    };
    let theirs = story(Which::Postfix);
    assert_eq!(theirs.iter().filter(|line| line.ends_with("true")).count(), 2, "{theirs:#?}");
    assert_eq!(story(Which::Posthaste), theirs);
}
