//! After a bug: a session that panics ends alone, so does a delivery, and a panic of the queue manager ends its
//! process, which comes back. No mail is lost by any of them. (Debug builds panic on demand.)

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    smtp::Client,
    system::{System, Which, files},
};
use std::{fs, path::PathBuf, process::Command};

fn start() -> System {
    System::start(
        Which::Posthaste,
        "virtual_mailbox_domains = virtual.test\nvirtual_mailbox_base = $B/mail\n\
         virtual_mailbox_maps = static:inbox/\nvirtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
         minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nqueue_run_delay = 1s\ntransport_retry_time = 1s\n",
    )
}

const RECIPIENT: &str = "joe@virtual.test";

/// From now on, whoever comes by this place first panics.
fn want_fault(system: &System, place: &str) -> PathBuf {
    let path = system.path("data/fault");
    fs::write(&path, place).expect("space for a word");
    let chown = Command::new("chown").arg("postfix").arg(&path).status().expect("chown");
    assert!(chown.success());
    path
}

fn inbox(system: &System) -> usize {
    files(&system.path("mail/inbox/new")).len()
}

fn send(system: &System) {
    let mut client = Client::connect(system.address()).expect("the server listens");
    let reply = client.send("a@client.test", &[RECIPIENT], "Subject: x\r\n\r\nx").expect("a reply");
    assert!(reply.starts_with("250"), "{reply}");
}

#[test]
fn a_session_that_panics_ends_alone() {
    let system = start();
    let family = system.receive_and_deliver();
    let mut bystander = Client::connect(system.address()).expect("the server listens");
    for line in ["MAIL FROM:<a@client.test>", &format!("RCPT TO:<{RECIPIENT}>"), "DATA"] {
        assert!(bystander.command(line).expect("a reply").starts_with(['2', '3']));
    }
    let mut unlucky = Client::connect(system.address()).expect("the server listens");
    assert!(unlucky.command("MAIL FROM:<a@client.test>").expect("a reply").starts_with("250"));
    want_fault(&system, "session");
    let reply = unlucky.command(&format!("RCPT TO:<{RECIPIENT}>")).expect("a reply");
    assert!(reply.starts_with("421 4.3.0 "), "{reply}");
    assert!(unlucky.command("NOOP").is_err(), "the session goes on");
    assert!(bystander.command("Subject: x\r\n\r\nx\r\n.").expect("a reply").starts_with("250"));
    system.wait_until("the bystander's mail is delivered", || inbox(&system) == 1);
    assert!(system.log().contains("smtpd[") && system.log().contains("panic: "), "{}", system.log());
    assert_eq!(system.receive_and_deliver(), family, "{}", system.log());
}

#[test]
fn a_delivery_that_panics_defers_its_recipients() {
    let system = start();
    let family = system.receive_and_deliver();
    want_fault(&system, "delivery");
    send(&system);
    system.wait_until("it is deferred", || system.log().contains("status=deferred"));
    system.wait_until("it is delivered", || inbox(&system) == 1);
    assert!(system.log().contains("panic: "), "{}", system.log());
    assert_eq!(system.receive_and_deliver(), family, "{}", system.log());
}

#[test]
fn a_queue_manager_that_panics_comes_back() {
    let system = start();
    let family = system.receive_and_deliver();
    want_fault(&system, "engine");
    send(&system);
    system.wait_until("it is delivered", || inbox(&system) == 1);
    let log = system.log();
    assert!(log.contains("deliver[") && log.contains("panic: ") && log.contains("exit status 1"), "{log}");
    let is_same = |now: &&(u32, String)| family.contains(now);
    assert_eq!(system.receive_and_deliver().iter().filter(is_same).count(), 1, "{log}");
    system.wait_until("the queue is empty", || system.queued("active") + system.queued("incoming") == 0);
    assert_eq!(inbox(&system), 1);
}
