//! spawn(8): commands of master.cf on connections, beside Debian's.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use compliance::{
    plain::told_alike,
    system::{PATIENCE, System, Which, free_port},
};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

/// Rows, by what their commands do. `$P` is a port, `$B` the system's directory.
const ROWS: &str = "\
echo unix - n n - 0 spawn user=nobody argv=/bin/cat
whoami unix - n n - 0 spawn user=nobody:nogroup argv=/bin/sh -c { id -u; id -g; id -G; pwd; ulimit -f; echo err >&2 }
environment unix - n n - 0 spawn user=nobody argv=/usr/bin/env
words unix - n n - 0 spawn user=nobody argv=/usr/bin/printf { <%s>} a { b c } user=x
fails unix - n n - 0 spawn user=nobody argv=/bin/sh -c { echo said; exit 3 }
dies unix - n n - 0 spawn user=nobody argv=/bin/sh -c { echo said; kill -9 $$ }
absent unix - n n - 0 spawn user=nobody argv=/no/such/program
127.0.0.1:$P inet n n n - 0 spawn user=nobody argv=/bin/cat
";

const REFUSED: &str = "\
root unix - n n - 0 spawn user=root argv=/bin/cat
owner unix - n n - 0 spawn user=postfix argv=/bin/cat
owners-group unix - n n - 0 spawn user=nobody:postfix argv=/bin/cat
roots-group unix - n n - 0 spawn user=nobody:root argv=/bin/cat
nobodys unix - n n - 0 spawn user=no-such-user argv=/bin/cat
no-group unix - n n - 0 spawn user=nobody:no-such-group argv=/bin/cat
userless unix - n n - 0 spawn argv=/bin/cat
wordless unix - n n - 0 spawn user=nobody
strange unix - n n - 0 spawn user=nobody directory=/ argv=/bin/cat
";

/// Says something to a service and hears all that it says.
fn ask(system: &System, service: &str, text: &str) -> String {
    let mut stream = UnixStream::connect(system.path("spool/private").join(service)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A command that is gone already hears nothing.
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    String::from_utf8_lossy(&heard).into_owned()
}

/// What spawn has logged, without process numbers.
fn logged(system: &System) -> Vec<String> {
    let log = system.log();
    let lines = log.lines().filter_map(|line| line.split_once("/spawn[")?.1.split_once("]: "));
    let without_number = |text: &str| match text.split_once("process id ") {
        Some((before, after)) => {
            format!("{before}process id {}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => text.to_owned(),
    };
    lines.map(|(_, text)| without_number(text)).collect()
}

fn story(which: Which) -> Vec<String> {
    let port = free_port();
    let settings = "export_environment = TZ=UTC, { GREETING = hello there }, HOME\n";
    let system = System::prepare(which, settings);
    system.add_services(&ROWS.replace("$P", &port.to_string()));
    system.run();
    let mut told = Vec::new();
    for (service, text) in [
        ("echo", "one\ntwo\n"),
        ("whoami", ""),
        ("environment", ""),
        ("words", ""),
        ("fails", ""),
        ("dies", ""),
        ("absent", ""),
    ] {
        let before = logged(&system).len();
        let heard = ask(&system, service, text).replace(&system.path("").display().to_string(), "$B/");
        let mut lines: Vec<&str> = heard.lines().collect();
        if service == "environment" {
            lines.sort_unstable();
        }
        let count = match service {
            "fails" | "dies" => 1,
            "absent" => 2,
            _ => 0,
        };
        system.wait_until("what is to be logged is logged", || logged(&system).len() >= before + count);
        told.push(format!(
            "{service}\n{}\nlogged:\n{}",
            lines.join("\n"),
            logged(&system)[before..].join("\n")
        ));
    }
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"over TCP").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    told.push(format!("inet\n{heard}"));
    told
}

#[test]
fn commands_run_as_their_users_on_the_connection_as_debians_do() {
    let told = told_alike(story);
    assert!(told[0].contains("one\ntwo"));
    assert!(told.iter().any(|text| text.contains("warning: command /bin/sh exit status 3")), "{told:?}");
}

#[test]
fn a_command_and_what_it_has_started_ends_with_its_time() {
    let system = System::prepare(Which::Posthaste, "slow_time_limit = 1s\ncommand_time_limit = 1000s\n");
    system.add_services("slow unix - n n - 0 spawn user=nobody argv=/bin/sh -c { echo begun; sleep 500 & sleep 500; echo woken }\n");
    system.run();
    let begun = Instant::now();
    // Nothing has the connection any more.
    assert_eq!(ask(&system, "slow", ""), "begun\n");
    assert!(begun.elapsed() < PATIENCE);
    system.wait_until("its end is logged", || logged(&system).len() >= 2);
    let expected = [
        "warning: /bin/sh: process id : command time limit exceeded",
        "warning: command /bin/sh killed by signal 9",
    ];
    assert_eq!(logged(&system), expected);
}

/// spawn(8) of Postfix ends, and its master waits a minute before it starts another one: each row in a system of its own would
/// cost as long, so the first word is compared that each row says.
fn refusals(which: Which) -> Vec<String> {
    let system = System::prepare(which, "service_throttle_time = 1s\n");
    system.add_services(REFUSED);
    system.run();
    let services = REFUSED.lines().map(|row| row.split(' ').next().unwrap());
    let refused = |service: &str| {
        let before = logged(&system).len();
        let stream = UnixStream::connect(system.path("spool/private").join(service)).unwrap();
        system.wait_until("the refusal is logged", || logged(&system).len() > before);
        drop(stream);
        let all = logged(&system);
        format!(
            "{service}\n{}",
            all[before..].iter().find(|line| line.starts_with("fatal")).cloned().unwrap_or_default()
        )
    };
    services.map(refused).collect()
}

#[test]
fn nobody_who_has_rights_in_the_mail_system_runs_a_command() {
    let told = told_alike(refusals);
    assert!(told.iter().all(|text| text.contains("fatal: ")), "{told:?}");
}

#[test]
fn a_row_runs_as_many_commands_as_it_may_and_the_others_wait() {
    let system = System::prepare(Which::Posthaste, "");
    system.add_services("two unix - n n - 2 spawn user=nobody argv=/bin/sh -c { echo begun; cat }\n");
    system.run();
    let path = system.path("spool/private/two");
    let mut streams: Vec<UnixStream> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let hear = |stream: &mut UnixStream, limit: Duration| {
        stream.set_read_timeout(Some(limit)).unwrap();
        let mut heard = [0; 6];
        stream.read_exact(&mut heard).is_ok()
    };
    let (first, rest) = streams.split_at_mut(2);
    assert!(first.iter_mut().all(|stream| hear(stream, PATIENCE)));
    assert!(!hear(&mut rest[0], Duration::from_millis(300)));
    first[0].shutdown(Shutdown::Both).unwrap();
    assert!(hear(&mut rest[0], PATIENCE));
}

#[test]
fn a_stop_ends_commands_and_a_reload_does_not() {
    let system = System::prepare(Which::Posthaste, "");
    system.add_services("talk unix - n n - 0 spawn user=nobody argv=/bin/cat\n");
    system.run();
    let mut stream = UnixStream::connect(system.path("spool/private/talk")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let talk = |stream: &mut UnixStream| {
        stream.write_all(b"x").unwrap();
        let mut heard = [0];
        stream.read_exact(&mut heard).unwrap();
    };
    talk(&mut stream);
    let before = system.process("receive");
    system.command("postfix", &["reload"]);
    system.wait_until("the next generation is there", || system.process("receive") != before);
    talk(&mut stream);
    let begun = Instant::now();
    system.command("postfix", &["stop"]);
    assert!(begun.elapsed() < Duration::from_secs(30));
}
