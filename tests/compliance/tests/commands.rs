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
