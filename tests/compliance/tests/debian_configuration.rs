//! The configuration that Debian's package generates, unchanged, at the usual places, on port 25.

use compliance::{
    machine::{INTERNET_SITE, LOCAL_ONLY, Machine},
    system::Which,
};

/// Starts, takes a message for a local user, delivers it, and says what was warned of.
fn run(which: Which, main_cf: &str) -> Vec<String> {
    let machine = Machine::start(which, main_cf);
    let said = machine.send("root@debian.test", "postmaster", "Subject: hello\n\nbody");
    assert!(said.starts_with("250 "), "{said}");
    machine.wait_for_line("status=sent");
    machine.wait_for_line("removed");
    let mailbox = std::fs::read_to_string(machine.path("mail/alice")).unwrap_or_default();
    assert!(mailbox.contains("\nSubject: hello\n") && mailbox.contains("\nbody\n"), "{mailbox}");
    let events = machine.events();
    eprintln!("{which:?}:\n{}", events.join("\n"));
    events.into_iter().filter(|line| line.contains("warning: ")).collect()
}

#[test]
fn an_internet_site_starts_and_delivers() {
    run(Which::Postfix, INTERNET_SITE);
    run(Which::Posthaste, INTERNET_SITE);
}

#[test]
fn a_local_only_system_starts_and_delivers() {
    run(Which::Postfix, LOCAL_ONLY);
    run(Which::Posthaste, LOCAL_ONLY);
}
