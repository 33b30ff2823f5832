//! What published set-up guides for Postfix do, step by step, on a running Posthaste.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::system::{System, Which, files};
use std::{fs, io::Write, process::Stdio};

/// Runs `sendmail` with a message on standard input.
fn sendmail(system: &System, arguments: &[&str], message: &str) {
    let mut command = system.program("sendmail");
    let mut child = command.args(arguments).stdin(Stdio::piped()).spawn().expect("sendmail starts");
    child.stdin.take().expect("a pipe").write_all(message.as_bytes()).expect("sendmail reads");
    assert!(child.wait().expect("sendmail ends").success(), "{}", system.log());
}

fn text(system: &System, program: &str, arguments: &[&str]) -> String {
    String::from_utf8_lossy(&system.command(program, arguments).stdout).into_owned()
}

const MAILBOXES: &str = "virtual_mailbox_domains = example.test\nvirtual_mailbox_base = $B/mail\n\
     virtual_mailbox_maps = texthash:$B/etc/mailboxes\nvirtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n";

/// Programs submit through `sendmail`; the mail appears in a Maildir that nobody had to make, under a name of Postfix's
/// form; the log says what happened in the words that log readers know.
///
/// seed: S050, S057, S062, S127
#[test]
fn a_program_sends_mail_and_a_maildir_appears() {
    let system = System::prepare(Which::Posthaste, MAILBOXES);
    fs::write(system.path("etc/mailboxes"), "@example.test inbox/\n").expect("space for a table");
    system.command("postfix", &["start"]);
    sendmail(&system, &["-i", "-f", "me@example.org", "joe@example.test"], "Subject: one\n\n.\nbody\n");
    sendmail(&system, &["-t"], "To: jane@example.test\nBcc: jim@example.test\nSubject: two\n\nbody\n");
    let inbox = system.path("mail/inbox/new");
    system.wait_until("three mails are in the mailbox", || files(&inbox).len() == 3);
    for file in files(&inbox) {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a plain name");
        let (seconds, rest) = name.split_once(".V").expect("time.Vdevice...");
        assert!(seconds.parse::<u64>().is_ok() && rest.contains('I') && rest.contains('M'), "{name}");
        let text = fs::read_to_string(&file).expect("a message");
        assert!(!text.contains("Bcc:"), "{text}");
    }
    let log = system.log();
    for word in [
        "postfix/pickup[",
        "uid=",
        "from=<me@example.org>",
        "status=sent (delivered to maildir)",
        ": removed",
    ] {
        assert!(log.contains(word), "no {word} in {log}");
    }
    for word in ["warning", "error:", "fatal", "panic"] {
        assert!(!log.contains(word), "{word} in {log}");
    }
}

/// A table is changed with `postmap`, and `postfix reload` makes it count.
///
/// seed: S047
#[test]
fn a_table_is_built_and_the_system_reloaded() {
    let system = System::prepare(
        Which::Posthaste,
        &format!("{MAILBOXES}virtual_alias_maps = lmdb:$B/etc/virtual\nvirtual_alias_domains = alias.test"),
    );
    fs::write(system.path("etc/mailboxes"), "@example.test inbox/\n").expect("space for a table");
    let table = system.path("etc/virtual");
    let spec = format!("lmdb:{}", table.display());
    fs::write(&table, "joe@alias.test joe@example.test\n").expect("space for a table");
    system.command("postmap", &[&spec]);
    assert_eq!(text(&system, "postmap", &["-q", "joe@alias.test", &spec]), "joe@example.test\n");
    system.command("postfix", &["start"]);
    sendmail(&system, &["joe@alias.test"], "Subject: one\n\nbody\n");
    let inbox = system.path("mail/inbox/new");
    system.wait_until("the first mail is there", || files(&inbox).len() == 1);
    fs::write(&table, "jane@alias.test jane@example.test\n").expect("space for a table");
    system.command("postmap", &[&spec]);
    system.command("postfix", &["reload"]);
    sendmail(&system, &["jane@alias.test"], "Subject: two\n\nbody\n");
    system.wait_until("the second mail is there", || files(&inbox).len() == 2);
}

/// `mailq`, `sendmail -bp` and `postqueue -p` are one listing of what waits below the queue directory.
///
/// seed: S048, S058
#[test]
fn three_commands_list_the_queue() {
    let system = System::start(Which::Posthaste, "defer_transports = smtp\nrelayhost = [127.0.0.1]:9");
    sendmail(&system, &["-f", "me@example.org", "joe@example.net"], "Subject: one\n\nbody\n");
    system.wait_until("the mail waits", || system.queued("deferred") == 1);
    let listing = text(&system, "postqueue", &["-p"]);
    assert!(listing.contains("me@example.org") && listing.contains("joe@example.net"), "{listing}");
    assert!(listing.contains("(deferred transport)"), "{listing}");
    assert!(listing.trim_end().ends_with("in 1 Request."), "{listing}");
    assert_eq!(text(&system, "mailq", &[]), listing);
    assert_eq!(text(&system, "sendmail", &["-bp"]), listing);
}

/// `newaliases` builds the alias database, with the addresses that must be there.
///
/// seed: S049
#[test]
fn newaliases_builds_the_alias_database() {
    let system = System::prepare(
        Which::Posthaste,
        "alias_maps = hash:$B/etc/aliases\nalias_database = hash:$B/etc/aliases",
    );
    let aliases = "mailer-daemon: postmaster\npostmaster: root\nntp: root\nroot: marc\n";
    fs::write(system.path("etc/aliases"), aliases).expect("space for aliases");
    system.command("newaliases", &[]);
    let spec = format!("hash:{}", system.path("etc/aliases").display());
    assert_eq!(text(&system, "postalias", &["-q", "postmaster", &spec]), "root\n");
    assert_eq!(text(&system, "postalias", &["-q", "root", &spec]), "marc\n");
}

/// The lines of a session, as log readers expect them.
///
/// seed: S120, S123, S124
#[test]
fn a_session_is_logged_as_log_readers_expect() {
    let system = System::start(Which::Posthaste, "default_transport = discard\nrelay_transport = discard");
    let address = system.address().to_string();
    let sent = std::process::Command::new("/usr/sbin/smtp-source")
        .args(["-4", "-m", "1", "-f", "me@example.org", "-t", "joe@example.net", &address])
        .output()
        .expect("Debian's smtp-source starts");
    assert!(sent.status.success(), "{sent:?}");
    // The fixture itself has connected before, without a word.
    system.wait_until("the session is over", || system.log().contains(" commands=5"));
    let log = system.log();
    let line = |start: &str| log.lines().find(|line| line.contains(start)).unwrap_or_default().to_owned();
    assert!(line(": connect from ").ends_with("[127.0.0.1]"), "{log}");
    assert!(line(": client=").ends_with("[127.0.0.1]"), "{log}");
    let end = line(" commands=5");
    assert!(end.contains(": disconnect from "), "{end}");
    assert!(end.contains("[127.0.0.1] ehlo=1") || end.contains("[127.0.0.1] helo=1"), "{end}");
    assert!(end.contains(" mail=1 rcpt=1 data=1 quit=1 commands=5"), "{end}");
}
