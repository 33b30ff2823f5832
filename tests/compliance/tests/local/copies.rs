//! Copies under another envelope: what cleanup does not take goes back to who the copy is from, and what a copy has of
//! the message.

use crate::story::{both_prepared, deliver_all, essence, essential, wait_until_quiet, write, write_for};
use compliance::machine::Machine;
use std::fs;

fn prepare(machine: &Machine) {
    let aliases = "away: someone@far.test\nowned: one@far.test, two@far.test\nowner-owned: bob\nroot: bob\n\
        list: :include:/etc/list\n";
    write(machine, "etc/aliases", aliases);
    write(machine, "etc/list", "alice, someone@far.test\n");
    write_for(machine, 61_001, "home/alice/.forward", "someone@far.test, \\alice\n");
}

/// A message that came a long way.
fn received(times: usize, rest: &str) -> String {
    format!("{}Subject: hello\nFrom: a@example.org\n\n{rest}\n", "Received: from there\n".repeat(times))
}

/// What was said of everything, and what is in the mailboxes, without what varies.
fn seen(machine: &Machine, messages: usize) -> Vec<String> {
    wait_until_quiet(machine, messages);
    let events = machine.events();
    let told = ["/local:", "/cleanup:", "/bounce:"];
    let told = events.iter().filter(|line| told.iter().any(|tag| line.contains(tag)));
    // 3.7 does not say of what is not queued that it is removed.
    let told = told.filter(|line| !line.contains("message-id=") && !line.contains(": removed"));
    let mut lines: Vec<String> = told.map(|line| essential(line, machine)).collect();
    let kept = ["X-Original-To: ", "Delivered-To: ", "To: ", "Subject: ", "X-Postfix-Sender: "];
    let kept = kept.into_iter().chain(["Final-Recipient: ", "Action: ", "Status: ", "Diagnostic-Code: "]);
    for name in ["alice", "bob"] {
        let text = fs::read_to_string(machine.path("mail").join(name)).unwrap_or_default();
        let text = essence(&text, machine);
        let marks = text.lines().filter(|line| kept.clone().any(|start| line.starts_with(start)));
        lines.extend(marks.map(|line| format!("{name}: {line}")));
    }
    lines.iter_mut().for_each(|line| {
        if let Some((_, reason)) = line.split_once(": message rejected: ") {
            *line = format!("message rejected: {reason}");
        }
        // The id of a notification or of a copy.
        if let Some((start, _)) = line.split_once("notification: ") {
            *line = format!("{start}notification: ID");
        }
    });
    lines.sort();
    lines
}

#[test]
fn too_many_hops() {
    both_prepared("hopcount_limit = 5\n", prepare, |machine| {
        let recipients = ["away", "alice", "owned", "list"];
        for to in recipients {
            let said = machine.send("bob@debian.test", &format!("{to}@debian.test"), &received(3, "text"));
            assert!(said.starts_with("250 "), "{said}");
        }
        let said = machine.send("", "away@debian.test", &received(3, "of nobody"));
        assert!(said.starts_with("250 "), "{said}");
        seen(machine, recipients.len() + 1)
    });
}

#[test]
fn copies_have_the_attributes_of_the_message() {
    both_prepared("relayhost = [127.0.0.9]\n", prepare, |machine| {
        let mut seen = deliver_all(machine, &["away@debian.test", "owned@debian.test"]);
        let deferred = machine.events().into_iter().filter(|line| line.contains("status=deferred"));
        let ids = deferred.filter_map(|line| line.split(": ").nth(1).map(str::to_owned));
        for id in ids {
            let output = machine.command("postcat", &["-qe", &id]);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let kept = ["named_attribute: ", "sender: ", "recipient: ", "original_recipient: "];
            for line in text.lines().filter(|line| kept.iter().any(|start| line.starts_with(start))) {
                let is_id = line.starts_with("named_attribute: log_ident=");
                let is_time = line.starts_with("named_attribute: create_time=");
                seen.push(match line.split_once('=') {
                    Some((name, _)) if is_id || is_time => format!("{name}=..."),
                    _ => line.to_owned(),
                });
            }
        }
        seen
    });
}
