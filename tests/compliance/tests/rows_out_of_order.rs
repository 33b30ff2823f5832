//! A row of master.cf whose settings cannot be used serves nobody and says why; the others serve. Beside Debian's Postfix.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    system::{PATIENCE, System, Which, free_port},
    wire::Talk,
};
use std::{
    io::{self, Read},
    net::{Ipv4Addr, TcpStream},
    process::Stdio,
    thread,
    time::Duration,
};

/// Settings of a row of smtpd, and what is said of it.
const SMTPD: [(&str, &str); 7] = [
    (
        "-o smtpd_relay_restrictions=permit_mynetworks -o smtpd_recipient_restrictions=",
        "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working instance \
         of: reject_unauth_destination, defer_unauth_destination, reject, defer, defer_if_permit or check_relay_domains",
    ),
    (
        "-o smtpd_restriction_classes=all -o { all = permit, reject } -o smtpd_relay_restrictions=all \
         -o { smtpd_recipient_restrictions = permit, reject }",
        "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions",
    ),
    ("-o smtpd_restriction_classes=none", "restriction class `none' needs a definition"),
    ("-o reject_code=abc", "bad numerical configuration: reject_code = abc"),
    ("-o smtpd_timeout=0", "invalid smtpd_timeout: 0 (min 1)"),
    ("-o reject_tempfail_action=later", "bad configuration: unknown_helo_hostname_tempfail_action = later"),
    ("more", "unexpected command-line argument: more"),
];

/// Settings of a row of qmqpd, and what is said of it.
const QMQPD: [(&str, &str); 4] = [
    ("-o qmqpd_timeout=0", "invalid qmqpd_timeout: 0 (min 1)"),
    (
        "-o qmqpd_client_port_logging=perhaps",
        "bad boolean configuration: qmqpd_client_port_logging = perhaps",
    ),
    ("-o qmqpd_error_delay=-1", "parameter qmqpd_error_delay: bad time value or unit: -1"),
    ("more", "unexpected command-line argument: more"),
];

/// How many processes a row of postscreen may have, its settings, and what is said of it.
const POSTSCREEN: [(&str, &str, &str); 9] = [
    ("1", "-o postscreen_greet_action=perhaps", "bad postscreen_greet_action value: perhaps"),
    ("1", "-o postscreen_denylist_action=deny", "bad postscreen_denylist_action value: deny"),
    ("1", "-o postscreen_watchdog_timeout=1s", "invalid postscreen_watchdog_timeout: 1 (min 10)"),
    ("1", "-o postscreen_dnsbl_sites=list.test*x", "bad DNSBL weight factor"),
    ("1", "-o postscreen_dnsbl_sites=list.test=1.2.3", "bad DNSBL filter syntax: "),
    ("1", "-o postscreen_dnsbl_sites==127.0.0.1", "bad DNSBL domain name"),
    (
        "1",
        "-o postscreen_upstream_proxy_protocol=other",
        "unsupported postscreen_upstream_proxy_protocol value: other",
    ),
    ("2", "", "requires a process limit of 1"),
    ("-", "", "requires a process limit of 1"),
];

/// Program, process limit, settings, and what is said.
fn rows() -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
    let smtpd = SMTPD.iter().map(|(settings, why)| ("smtpd", "-", *settings, *why));
    let qmqpd = QMQPD.iter().map(|(settings, why)| ("qmqpd", "-", *settings, *why));
    let postscreen = POSTSCREEN.iter().map(|(limit, settings, why)| ("postscreen", *limit, *settings, *why));
    smtpd.chain(qmqpd).chain(postscreen).collect()
}

fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).expect("master listens")
}

/// What a server says first; nothing where it closes the connection, or where nobody serves it.
fn heard(mut stream: &TcpStream, patience: Duration) -> String {
    stream.set_read_timeout(Some(patience)).expect("a socket");
    let mut said = [0; 200];
    let count = stream.read(&mut said).or_else(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionReset => Ok(0),
        _ => Err(error),
    });
    String::from_utf8_lossy(&said[..count.expect("a socket")]).into_owned()
}

fn check(which: Which) {
    // Debian's tries again so much later; a row of ours says it again to whoever comes then.
    let system = System::prepare(which, "service_throttle_time = 2s\n");
    let rows: Vec<_> = rows().into_iter().map(|row| (free_port(), row)).collect();
    let mut text = String::new();
    for (at, (port, (program, limit, settings, _))) in rows.iter().enumerate() {
        // Their caches are not what this is about: only one row may have one.
        let names = format!("-o syslog_name=row{at} -o postscreen_cache_map=");
        text += &format!("127.0.0.1:{port} inet n - n - {limit} {program} {names} {settings}\n");
    }
    system.add_services(&text);
    system.run();
    // All of them at once: they have nothing to do with each other.
    let waiting: Vec<_> = rows.iter().map(|(port, _)| connect(*port)).collect();
    let has_said = |at: usize, times: usize| {
        let (program, _, _, why) = rows[at].1;
        let log = system.log();
        let tag = format!(" row{at}/{program}[");
        let said = |line: &&str| line.contains(&tag) && line.contains("]: fatal: ") && line.contains(why);
        log.lines().filter(said).count() >= times
    };
    for at in 0..rows.len() {
        system.wait_until(&format!("the log says why row {at} serves nobody"), || has_said(at, 1));
    }
    for (at, stream) in waiting.iter().enumerate() {
        assert_eq!(heard(stream, Duration::from_millis(20)), "", "{which:?}: row {at}");
    }
    system.wait_until("it is said again", || {
        if which == Which::Posthaste {
            drop(connect(rows[0].0));
        }
        has_said(0, 2)
    });
    let said = heard(&connect(system.address().port()), PATIENCE);
    assert!(said.starts_with("220 "), "{which:?}: {said}\n{}", system.log());
}

#[test]
fn a_row_with_settings_that_cannot_be_used_serves_nobody_and_the_others_serve() {
    let theirs = thread::spawn(|| check(Which::Postfix));
    check(Which::Posthaste);
    theirs.join().expect("it has said why");
}

/// Has a local user send a message.
fn submit(system: &System) {
    let mut command = system.program("sendmail");
    command.args(["-f", "a@example.org", "root@mx.test"]).stdin(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().expect("sendmail starts").success(), "{:?}", system.which);
}

/// pickup is one without whom there is no mail system: where it cannot begin, Debian's goes on and mail waits in maildrop;
/// Posthaste does not start, and says which line it is.
#[test]
fn a_row_of_pickup_with_settings_that_cannot_be_used_is_named_at_the_start() {
    let row = "pickup unix n - n 60 1 pickup -o line_length_limit=x\n";
    let why = "bad numerical configuration: line_length_limit = x";
    let prepare = |which| {
        let system = System::prepare(which, "");
        system.remove_service("pickup");
        system.add_services(row);
        system
    };
    let theirs = prepare(Which::Postfix);
    theirs.run();
    submit(&theirs);
    theirs.wait_until("the log says why", || theirs.log().contains(&format!("fatal: {why}")));
    assert_eq!(theirs.queued("maildrop"), 1);

    let ours = prepare(Which::Posthaste);
    let started = ours.program("postfix").arg("start").output().expect("postfix starts");
    let text = String::from_utf8_lossy(&started.stderr);
    assert!(!started.status.success() && text.contains("etc/master.cf") && text.contains(why), "{text}");
    assert!(ours.log().contains(why), "{}", ours.log());
}

/// Two rows of pickup look into one maildrop, and each message is taken once. (Debian's now and then takes one twice.)
#[test]
fn two_rows_of_pickup_take_each_message_once() {
    const COUNT: usize = 20;
    let system = System::prepare(Which::Posthaste, "local_transport = discard:\n");
    system.add_services("second unix n - n 1 1 pickup -o syslog_name=second\n");
    system.run();
    (0..COUNT).for_each(|_| submit(&system));
    let count = |text: &str| system.log().matches(text).count();
    system.wait_until("all of it is delivered", || count(": removed") >= COUNT);
    system.wait_until("maildrop is empty", || system.queued("maildrop") == 0);
    assert_eq!(count(": uid=0 from=<a@example.org>"), COUNT, "{}", system.log());
}

/// Two rows of postscreen: Debian's second one does not get the cache of the first, and serves nobody; ours share it.
#[test]
fn two_rows_of_postscreen_share_a_cache_or_the_second_says_that_it_cannot() {
    let start = |which| {
        let settings =
            "mynetworks = 192.0.2.1\npostscreen_greet_wait = 1s\npostscreen_greet_action = enforce\n";
        let system = System::prepare(which, settings);
        let ports = [free_port(), free_port()];
        let mut rows = "smtpd pass - - n - - smtpd\n".to_owned();
        for (at, port) in ports.iter().enumerate() {
            rows += &format!("127.0.0.1:{port} inet n - n - 1 postscreen -o syslog_name=row{at}\n");
        }
        system.add_services(&rows);
        system.run();
        (system, ports)
    };
    let (theirs, [first, second]) = start(Which::Postfix);
    assert!(heard(&connect(first), PATIENCE).starts_with("220"));
    let waiting = connect(second);
    theirs.wait_until("the second one says why", || {
        let is_said = |line: &str| line.contains("row1/postscreen[") && line.contains("exclusive lock");
        theirs.log().lines().any(is_said)
    });
    assert_eq!(heard(&waiting, Duration::from_millis(20)), "");

    let (ours, [first, second]) = start(Which::Posthaste);
    let visit = |port, client: u8| {
        let server = ([127, 0, 0, 1], port).into();
        let mut talk = Talk::from(Ipv4Addr::new(127, 0, 0, client), server).expect("it listens");
        assert!(talk.reply().is_some_and(|text| text.starts_with("220")));
        talk.say("QUIT")
    };
    let has_passed = |row: usize, how: &str, client: u8| {
        let (tag, what) = (format!("row{row}/postscreen["), format!("PASS {how} [127.0.0.{client}]"));
        ours.log().lines().any(|line| line.contains(&tag) && line.contains(&what))
    };
    for (port, client) in [(first, 11), (second, 12)] {
        visit(port, client);
    }
    ours.wait_until("both have passed", || has_passed(0, "NEW", 11) && has_passed(1, "NEW", 12));
    // What one has learnt is written to the table within seconds, and the other reads it there.
    ours.wait_until("each knows whom the other one has tested", || {
        visit(first, 12);
        visit(second, 11);
        has_passed(0, "OLD", 12) && has_passed(1, "OLD", 11)
    });
}
