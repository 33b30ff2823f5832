//! flush(8): what waits for a site is tried anew by and by, and empty logs go, beside Debian's Postfix.

use crate::{
    network::{alone, submit},
    sink::Sink,
};
use compliance::system::{PATIENCE, System, Which, files};
use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
};

const ZONE: &str = "
first.test A 127.0.0.2
other.test A 127.0.0.2
";

const SETTINGS: &str = "relay_domains = first.test, second.test, b\u{fc}cher.test\nminimal_backoff_time = 1000s\n\
    queue_run_delay = 1000s\nsmtpd_recipient_restrictions =\n";

/// The logs of sites, and how long each is.
fn logs(system: &System) -> Vec<(String, u64)> {
    let paths = files(&system.path("spool/flush")).into_iter();
    // One may go meanwhile.
    let log = |path: std::path::PathBuf| {
        Some((path.file_name()?.to_string_lossy().into_owned(), fs::metadata(&path).ok()?.len()))
    };
    let mut logs: Vec<_> = paths.filter_map(log).collect();
    logs.sort();
    logs
}

/// A message for each of two sites waits, and the server takes mail again.
fn let_wait(system: &System, sink: &Sink) -> String {
    sink.messages().clear();
    sink.obey(&["RCPT => 450 4.2.0 not here now"]);
    let id = submit(system, "s@mx.test", &["u@first.test"], "Subject: x\r\n\r\nbody");
    submit(system, "s@mx.test", &["u@other.test"], "Subject: x\r\n\r\nbody");
    system.wait_until("all mail waits", || system.queued("deferred") == 2);
    sink.obey(&[]);
    id
}

fn recipients(sink: &Sink) -> Vec<String> {
    sink.messages().iter().flat_map(|message| message.recipients.clone()).collect()
}

/// The service is woken each second, and has times of its own.
fn woken(which: Which, sink: &Sink) -> Vec<String> {
    let system = System::prepare(which, SETTINGS);
    system.remove_service("flush");
    let options = "-o fast_flush_refresh_time=1s -o fast_flush_purge_time=1s";
    system.add_services(&format!("flush unix n - n 1 0 flush {options}\n"));
    system.run();
    let_wait(&system, sink);
    system.wait_until("what waits for a site is tried", || sink.messages().len() == 1);
    system.wait_until("its log is gone", || logs(&system).is_empty());
    assert_eq!(system.queued("deferred"), 1);
    recipients(sink)
}

/// All that the service says to a request, with bars for null bytes.
fn ask(system: &System, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(system.path("spool/public/flush")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    heard.replace('\0', "|")
}

fn request(attributes: &[(&str, &str)]) -> Vec<u8> {
    let text: String = attributes.iter().map(|(name, value)| format!("{name}\0{value}\0")).collect();
    (text + "\0").into_bytes()
}

fn asked(which: Which, sink: &Sink) -> Vec<String> {
    let system = System::start(which, SETTINGS);
    let id = let_wait(&system, sink);
    system.wait_until("the site has a log", || logs(&system).iter().any(|(_, size)| *size > 0));
    let mut told = Vec::new();
    let say = |attributes: &[(&str, &str)]| ask(&system, &request(attributes));
    let add = |site: &str, id: &str| say(&[("request", "add"), ("site", site), ("queue_id", id)]);

    // Nothing is old enough for that.
    told.push(ask(&system, b"W\0"));
    told.push(say(&[("request", "rfrsh")]));
    assert_eq!((logs(&system).len(), system.queued("deferred"), sink.messages().len()), (1, 2, 0));

    for (site, id) in
        [("other.test", &*id), ("B\u{dc}cher.test", &*id), ("Second.Test", &*id), ("second.test", "../x")]
    {
        told.push(add(site, id));
    }
    told.push(say(&[("request", "add"), ("site", "second.test")]));
    told.push(say(&[("request", "send_file"), ("queue_id", "../../x")]));
    told.push(say(&[("request", "send_site"), ("site", "other.test")]));
    told.push(say(&[("request", "nonsense")]));
    let names = logs(&system).into_iter().map(|(name, _)| name);
    told.extend(names);

    system.wait_until("all logs are read", || {
        // What was written in this second is not older than no time.
        say(&[("request", "purge")]);
        logs(&system).iter().all(|(_, size)| *size == 0)
    });
    system.wait_until("what waited for a site is tried", || sink.messages().len() == 1);
    told.push(say(&[("request", "rfrsh")]));
    told.extend(logs(&system).into_iter().map(|(name, size)| format!("{name} {size}")));
    told.extend(recipients(sink));

    fs::write(
        system.path("spool/flush/second_test"),
        "../../../etc/x\nnot an id, and too long to be quoted\n",
    )
    .unwrap();
    told.push(say(&[("request", "send_site"), ("site", "second.test")]));
    let quoted = || {
        let log = system.log();
        let warnings = log.lines().filter_map(|line| line.split_once("warning: bad queue id "));
        warnings.map(|(_, text)| text.to_owned()).collect::<Vec<_>>()
    };
    system.wait_until("bad lines are told", || quoted().len() == 2);
    told.extend(quoted());
    told.extend(logs(&system).into_iter().map(|(name, size)| format!("{name} {size}")));
    told
}

#[test]
fn mail_that_waits_for_a_site_is_tried_by_and_by() {
    alone("fast_flush::mail_that_waits_for_a_site_is_tried_by_and_by", ZONE, || {
        let sink = Sink::start("127.0.0.2:25", &[]);
        let postfix = woken(Which::Postfix, &sink);
        assert_eq!(postfix, ["u@first.test"]);
        assert_eq!(woken(Which::Posthaste, &sink), postfix);
    });
}

#[test]
fn requests_are_answered_and_done_as_by_postfix() {
    alone("fast_flush::requests_are_answered_and_done_as_by_postfix", ZONE, || {
        let sink = Sink::start("127.0.0.2:25", &[]);
        let postfix = asked(Which::Postfix, &sink);
        assert_eq!(asked(Which::Posthaste, &sink), postfix);
        assert!(postfix.iter().any(|text| text.starts_with("xn__")), "{postfix:?}");
        assert_eq!(postfix.iter().filter(|text| text.ends_with("status|3||")).count(), 3, "{postfix:?}");
    });
}
