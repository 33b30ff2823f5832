//! cleanup, trivial-rewrite and bounce have rows of their own in master.cf: `-o` there counts, on the row that
//! `cleanup_service_name` and its kin name; on the rows of their clients it changes nothing of theirs. Beside Debian's
//! Postfix: whom mail is for in the end, and what notifications there are.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    machine::{INTERNET_SITE, Machine},
    system::Which,
};
use std::fs;

const SETTINGS: &str = "append_dot_mydomain = no\nrelay_transport = discard:\ndefault_transport = discard:\n\
    local_transport = discard:\nlocal_recipient_maps =\nmydomain = debian.test\n\
    virtual_alias_maps = inline:{ { info@debian.test = one@far.test two@far.test } { fails@debian.test = fails@error.test } }\n\
    transport_maps = inline:{ error.test=error:5.1.1 }\n";

/// What is delivered to whom, of a message from the network and one from a local user, after options were added to rows.
fn deliveries(which: Which, settings: &str, rows: &[(&str, &str)], more: &str) -> Vec<String> {
    let machine = Machine::new(which, &format!("{INTERNET_SITE}{SETTINGS}{settings}"));
    let path = machine.path("etc/postfix/master.cf");
    let mut text = String::new();
    for line in fs::read_to_string(&path).expect("a text file").lines() {
        text += &format!("{line}\n");
        let columns: Vec<&str> = line.split_ascii_whitespace().take(2).collect();
        for (_, options) in rows.iter().filter(|(row, _)| columns.join("/") == *row) {
            text += &format!("  {options}\n");
        }
    }
    fs::write(&path, text + more).expect("space");
    machine.command("postfix", &["start"]);
    machine.wait_until("port 25 answers", || machine.connect().is_some());
    let recipients = ["info@debian.test", "fails@debian.test", "short@host"];
    for to in recipients {
        let said = machine.send("sender@example.org", to, "Subject: net\nTo: x\n\ntext");
        assert!(said.starts_with("250 "), "{said}");
        let mut command = machine.program("sendmail");
        command.args(["-f", "user@debian.test", to]);
        assert!(machine.feed(command, "Subject: user\n\ntext\n").status.success());
    }
    let mut before = 0;
    machine.wait_until("all mail is delivered", || {
        let events = machine.events();
        let count = |what: &str| events.iter().filter(|line| line.contains(what)).count();
        // A notification is in the queue before the message that it is about is removed.
        let is_done =
            count(": message-id=<") == count(": removed") && count(": removed") >= 2 * recipients.len();
        let is_quiet = is_done && events.len() == before;
        before = events.len();
        is_quiet
    });
    let facts = |line: &String| -> Option<String> {
        let (tag, rest) = line.split_once(": ")?;
        let rest = rest.split_once(": ")?.1;
        if rest.starts_with("from=<") {
            return Some(format!("{tag} {}", rest.split(", size").next()?));
        }
        let told = rest.starts_with("to=<").then_some(rest)?;
        let words = told.split(", ").filter(|word| !word.starts_with("delay"));
        Some(format!("{tag} {}", words.collect::<Vec<_>>().join(", ")))
    };
    let mut seen: Vec<String> = machine.events().iter().filter_map(facts).collect();
    seen.sort();
    seen
}

fn check(settings: &str, rows: &[(&str, &str)], more: &str) {
    let of = |which| deliveries(which, settings, rows, more);
    let (theirs, ours) = (of(Which::Postfix), of(Which::Posthaste));
    assert_eq!(ours, theirs);
}

#[test]
fn what_is_cleanups_own_is_ignored_on_the_rows_of_its_clients() {
    let ignored = "-o always_bcc=seen@far.test -o virtual_alias_maps= -o syslog_name=postfix/client";
    check("", &[("smtp/inet", ignored), ("pickup/unix", ignored), ("bounce/unix", ignored)], "");
}

#[test]
fn options_of_the_row_of_cleanup_count_for_all_mail() {
    check(
        "",
        &[("cleanup/unix", "-o always_bcc=seen@far.test"), ("rewrite/unix", "-o append_dot_mydomain=yes")],
        "",
    );
}

#[test]
fn a_client_names_the_row_that_cleans_up() {
    let more = "mapped unix n - y - 0 cleanup\n  -o virtual_alias_maps=\n  -o always_bcc=mapped@far.test\n  \
        -o rewrite_service_name=mappedrw\nmappedrw unix - - y - - trivial-rewrite\n  -o append_dot_mydomain=yes\n";
    check("", &[("smtp/inet", "-o cleanup_service_name=mapped")], more);
    check("", &[("pickup/unix", "-o cleanup_service_name=mapped")], more);
}

#[test]
fn the_clients_own_filter_and_overrides_count() {
    let row = "-o content_filter=discard:filtered -o receive_override_options=no_address_mappings";
    check("content_filter = discard:everything\n", &[("smtp/inet", row)], "");
    check("", &[("pickup/unix", row), ("cleanup/unix", "-o content_filter=discard:never")], "");
}

#[test]
fn options_of_the_row_of_bounce_count() {
    let row = "-o notify_classes=bounce -o bounce_notice_recipient=told@far.test";
    check("", &[("bounce/unix", row), ("defer/unix", "-o notify_classes="), ("cleanup/unix", row)], "");
}
