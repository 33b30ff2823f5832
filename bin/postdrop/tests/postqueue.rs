//! postqueue(1) beside Debian's: each client with each server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test and its helpers")]

#[path = "../../../crates/shell/commands/tests/debian/mod.rs"]
mod debian;

use debian::{Instance, text};
use queue::{Queue, QueueSettings, RealDisk, showq};
use std::{io::Write, os::unix::net::UnixListener, process::Output};

const SETTINGS: &str = "transport_maps = inline:{ {ok.test = discard:} {later.test = retry:4.0.0 try later} }\n\
    defer_transports = smtp\nrelay_domains = flush.test\n";

fn ours(instance: &Instance, args: &[&str]) -> Output {
    instance.ours(env!("CARGO_BIN_EXE_posthaste-postdrop"), &["postqueue"], args)
}

fn with_mail(settings: &str) -> Instance {
    let instance = Instance::new("postqueue", &format!("{SETTINGS}{settings}"));
    instance.start();
    for (sender, recipients) in [
        ("sender@example.com", &["a@later.test"][..]),
        ("", &["b@later.test", "done@ok.test"]),
        ("s@x.test", &["c@later.test", "d@relay.test", "e@relay.test"]),
        ("s@x.test", &["\"q \\\" q\"@later.test"]),
        ("s@x.test", &["held@later.test"]),
    ] {
        instance.sendmail(&[&["-f", sender][..], recipients].concat(), b"Subject: test\n\nbody\n");
    }
    instance.wait_until("mail to be deferred", || instance.files("deferred").len() == 5);
    let listed = text(&instance.debian("postqueue", &["-j"]).stdout);
    let held = listed.lines().find(|line| line.contains("held@")).unwrap();
    let id = held.split("\"queue_id\": \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(instance.debian("postsuper", &["-h", id, "-e", id]).status.success());
    instance
}

fn said(output: &Output) -> (String, String, Option<i32>) {
    let stderr = text(&output.stderr).replace("/usr/sbin/", "");
    let mut stdout = text(&output.stdout);
    // Postfix 3.7 does not say this.
    while let Some((before, after)) = stdout.split_once("\"orig_address\": \"") {
        stdout = format!("{before}{}", after.split_once("\", ").unwrap().1);
    }
    (stdout, stderr, output.status.code())
}

fn same(instance: &Instance, args: &[&str]) {
    assert_eq!(said(&ours(instance, args)), said(&instance.debian("postqueue", args)), "{args:?}");
}

/// Answers as our showq for one client; without the newer attributes for Debian's older postqueue.
fn with_our_server(instance: &Instance, has_new_attributes: bool, client: impl Fn() -> Output) -> Output {
    let socket = instance.spool().join("public/showq");
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let queue = Queue::new(RealDisk::open(&instance.spool()).unwrap(), QueueSettings::default());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let settings = showq::ShowqSettings {
            duplicate_filter_limit: 1000,
            empty_address_recipient: "MAILER-DAEMON".to_owned(),
            has_new_attributes,
        };
        let mut warn = |what: &str| panic!("{what}");
        showq::list(&queue, &settings, &mut |bytes| stream.write_all(bytes), &mut warn)
    });
    let output = client();
    server.join().unwrap().unwrap();
    std::fs::remove_file(&socket).unwrap();
    output
}

#[test]
fn each_client_lists_with_each_server() {
    for settings in ["", "enable_long_queue_ids = yes\n"] {
        let instance = with_mail(settings);
        for args in [&["-p"][..], &["-j"]] {
            same(&instance, args);
        }
        let expected = [&["-p"], &["-j"]].map(|args| said(&instance.debian("postqueue", args)));
        assert!(expected[0].0.contains("(try later)") && expected[0].0.contains('!'), "{}", expected[0].0);
        instance.stop();
        for (args, expected) in [&["-p"], &["-j"]].into_iter().zip(&expected) {
            let theirs = with_our_server(&instance, false, || instance.debian("postqueue", args));
            assert_eq!(said(&theirs), *expected, "Debian's client, our server");
            let both = with_our_server(&instance, true, || ours(&instance, args));
            assert_eq!(said(&both), *expected, "our client, our server");
            same(&instance, args);
        }
    }
}

#[test]
fn requests_have_debians_texts_and_exit_codes() {
    let instance = Instance::new("postqueue", SETTINGS);
    let requests: &[&[&str]] = &[
        &["-p"],
        &["-j"],
        &["-f"],
        &["-i", "ABCDEF"],
        &["-i", "a/b"],
        &["-s", "flush.test"],
        &["-s", "sub.flush.test"],
        &["-s", "other.test"],
        &["-s", "[127.0.0.1]"],
        &["-s", "bad..name"],
        &["-Z"],
        &[],
        &["-p", "-f"],
        &["-p", "operand"],
        &["-s"],
    ];
    for request in requests {
        let output = ours(&instance, request);
        assert_eq!(said(&output), said(&instance.debian("postqueue", request)), "stopped: {request:?}");
    }
    instance.start();
    for request in requests {
        let output = ours(&instance, request);
        assert_eq!(said(&output), said(&instance.debian("postqueue", request)), "running: {request:?}");
    }
}
