//! More than anybody needs of everything that costs a client nothing: what it is told is what Postfix tells it, the server's memory is
//! bounded, and others are served.
//!
//! | what | bound |
//! |---|---|
//! | commands without effect | `smtpd_junk_command_limit`, then `smtpd_hard_error_limit` |
//! | replies that nobody reads | nothing is read while they wait, for `smtpd_timeout` |
//! | recipients | `smtpd_recipient_limit` times `line_length_limit` |
//! | sessions | `default_process_limit` |
//! | clients that are remembered | `anvil_client_limit` |

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use compliance::{
    friend::hand_in,
    system::{System, Which},
    wire::{Footprint, Talk, wait_for},
};
use std::{
    collections::BTreeMap,
    io::{ErrorKind, Write},
    net::{Ipv4Addr, Shutdown, TcpStream},
    thread,
    time::Duration,
};

const SETTINGS: &str = "smtpd_error_sleep_time = 0\nsmtpd_peername_lookup = no\nsmtpd_banner = hello\n\
    local_recipient_maps =\nlocal_transport = discard:\nsmtpd_client_connection_count_limit = 0\n\
    smtpd_forbid_unauth_pipelining = no\nsmtpd_discard_ehlo_keywords = silent-discard, etrn, dsn\n\
    smtpd_authorized_xforward_hosts = 127.0.0.1\nsmtpd_authorized_xclient_hosts = 127.0.0.2\n";

fn start(which: Which, settings: &str) -> System {
    System::start(which, &format!("{SETTINGS}{settings}"))
}

const ENVELOPE: &str = "EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<root@mx.test>\r\n";

/// A command, what comes before it, and how often it is said. (HELP and lines that are too long are answered differently by 3.7; 3.12 answers
/// them without end, and so does Posthaste.)
fn floods() -> Vec<(&'static str, &'static str, String, usize)> {
    let parameters = format!("MAIL FROM:<a@c.test>{}\r\n", " A=B".repeat(480));
    let forward = "XFORWARD NAME=h.test ADDR=10.1.2.3 PORT=1 PROTO=ESMTP HELO=h IDENT=x SOURCE=REMOTE\r\n";
    vec![
        ("RSET", "EHLO c.test\r\n", "RSET\r\n".to_owned(), 100_000),
        ("NOOP", "EHLO c.test\r\n", "NOOP\r\n".to_owned(), 100_000),
        ("EHLO", "", "EHLO c.test\r\n".to_owned(), 50_000),
        ("VRFY", "EHLO c.test\r\n", "VRFY root\r\n".to_owned(), 50_000),
        ("unknown", "EHLO c.test\r\n", "XYZZY\r\n".to_owned(), 100_000),
        ("nothing", "EHLO c.test\r\n", "\r\n".to_owned(), 100_000),
        ("NUL", "EHLO c.test\r\n", "\0\r\n".to_owned(), 100_000),
        ("MAIL, RSET", "EHLO c.test\r\n", "MAIL FROM:<a@c.test>\r\nRSET\r\n".to_owned(), 50_000),
        ("MAIL with parameters", "EHLO c.test\r\n", parameters, 1_000),
        (
            "RCPT without address",
            "EHLO c.test\r\nMAIL FROM:<a@c.test>\r\n",
            "RCPT TO:<>\r\n".to_owned(),
            50_000,
        ),
        ("BDAT 0", ENVELOPE, "BDAT 0\r\n".to_owned(), 200_000),
        ("BDAT 1", ENVELOPE, "BDAT 1\r\nx".to_owned(), 20_000),
        ("XFORWARD", "EHLO c.test\r\n", forward.to_owned(), 5_000),
    ]
}

/// How often each reply was given. The list of extensions counts by its last line.
fn tally(said: &[u8]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in String::from_utf8_lossy(said).lines().filter(|line| !line.starts_with("250-")) {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    counts
}

/// Says a command so often, many at once, or until the server has enough. No more is said at once than a server reads at once:
/// what it has not read when it hangs up resets the connection, and its last words are lost.
fn flood(system: &System, first: &str, command: &str, count: usize) -> BTreeMap<String, usize> {
    let mut talk = Talk::to(system.address());
    let mut heard: Vec<String> = talk.reply().into_iter().collect();
    heard.extend(first.lines().map(|line| talk.say(line)));
    let answers = command.matches("\r\n").count();
    let at_once = (2000 / command.len()).max(1);
    for begun in (0..count).step_by(at_once) {
        let now = at_once.min(count - begun);
        talk.send(command.repeat(now).as_bytes());
        let said: Vec<String> = (0..now * answers).map_while(|_| talk.reply()).collect();
        let is_over = said.len() < now * answers;
        heard.extend(said);
        if is_over {
            break;
        }
    }
    tally(heard.join("\n").as_bytes())
}

#[test]
fn commands_without_end_cost_little() {
    let story = |which| {
        let system = start(which, "");
        hand_in(&system, "root@mx.test");
        let before = (which == Which::Posthaste).then(|| Footprint::of(system.process("receive")));
        let mut told = Vec::new();
        for (name, first, command, count) in floods() {
            told.push((name, flood(&system, first, &command, count)));
            hand_in(&system, "root@mx.test");
        }
        if let Some(before) = before {
            let after = Footprint::of(system.process("receive"));
            assert!(after.memory_kib < before.memory_kib + 6 * 1024, "{before:?}, then {after:?}");
        }
        told
    };
    let (expected, seen) = (story(Which::Postfix), story(Which::Posthaste));
    for ((name, expected), (_, seen)) in expected.iter().zip(&seen) {
        assert_eq!(seen, expected, "{name}");
    }
    let all: Vec<&String> = expected.iter().flat_map(|(_, replies)| replies.keys()).collect();
    assert!(all.iter().any(|reply| reply.starts_with("421 4.7.0 mx.test Error: too many errors")), "{all:?}");
}

/// A client that says as much as the server takes, and reads nothing; how many bytes that were.
fn say_and_do_not_listen(system: &System, client: Ipv4Addr, words: &[u8]) -> (TcpStream, usize) {
    let mut talk = Talk::from(client, system.address()).expect("the server listens");
    assert_eq!(talk.reply().as_deref(), Some("220 hello"));
    assert!(talk.send(ENVELOPE.as_bytes()));
    let mut stream = talk.into_stream();
    socket2::SockRef::from(&stream).set_send_buffer_size(1 << 16).expect("a socket");
    stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a socket");
    let mut sent = 0;
    loop {
        match stream.write(&words[sent % words.len()..]) {
            Ok(count) => sent += count,
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                return (stream, sent);
            }
            Err(error) => panic!("{error} after {sent} bytes\n{}", system.log()),
        }
    }
}

/// Listens after all, and says the rest of the words: how often each reply was given, and how many bytes were said.
fn listen((mut stream, sent): (TcpStream, usize), words: &[u8]) -> (BTreeMap<String, usize>, usize) {
    let rest = &words[sent % words.len()..];
    let reader = stream.try_clone().expect("a descriptor");
    let said = thread::scope(|scope| {
        scope.spawn(move || {
            stream.set_write_timeout(None).expect("a socket");
            stream.write_all(rest).expect("the server reads on");
            stream.shutdown(Shutdown::Write).expect("it is connected");
        });
        Talk::over(reader).rest()
    });
    (tally(&said), sent + rest.len())
}

#[test]
fn replies_that_nobody_reads_are_not_piled_up() {
    // A reply is three times as long.
    const COMMAND: &[u8] = b"BDAT 1\r\nx";
    let words = COMMAND.repeat(1000);
    let story = |which, clients: u8| {
        let system =
            start(which, "default_process_limit = 100\nmessage_size_limit = 100000000\nqueue_minfree = 0\n");
        hand_in(&system, "root@mx.test");
        let before = (which == Which::Posthaste).then(|| Footprint::of(system.process("receive")));
        let mut deaf: Vec<(TcpStream, usize)> = thread::scope(|scope| {
            let (system, words) = (&system, &words);
            let one = |last| {
                scope.spawn(move || say_and_do_not_listen(system, Ipv4Addr::new(127, 0, 3, last), words))
            };
            let clients: Vec<_> = (1..=clients).map(one).collect();
            clients.into_iter().map(|client| client.join().expect("the server stops reading")).collect()
        });
        hand_in(&system, "root@mx.test");
        if let Some(before) = before {
            let full = Footprint::of(system.process("receive"));
            let each_kib = full.memory_kib.saturating_sub(before.memory_kib) / u64::from(clients);
            // Input, replies, and a message in progress.
            assert!(each_kib <= 256, "{each_kib} KiB for each: {before:?}, then {full:?}");
        }
        let (heard, said) = listen(deaf.pop().expect("one of many"), &words);
        assert_eq!(heard.get("250 2.0.0 Ok: 1 bytes"), Some(&(said / COMMAND.len())), "{heard:?}");
        deaf.into_iter().for_each(|(stream, _)| Talk::over(stream).reset());
        hand_in(&system, "root@mx.test");
        heard.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(story(Which::Posthaste, 16), story(Which::Postfix, 2));
}

/// One recipient after the other, each as long as a line may be, from many at once.
#[test]
fn recipients_as_long_as_lines_are_bounded() {
    const SESSIONS: usize = 8;
    const RECIPIENTS: usize = 1000;
    let name = "x".repeat(1900);
    let mut script = "EHLO c.test\r\nMAIL FROM:<a@c.test>\r\n".to_owned();
    (0..RECIPIENTS + 3).for_each(|number| script.push_str(&format!("RCPT TO:<{number}{name}@mx.test>\r\n")));
    let expected = tally(&{
        let system = start(Which::Postfix, "");
        let mut talk = Talk::to(system.address());
        talk.send(script.as_bytes());
        talk.half_close();
        talk.rest()
    });
    assert_eq!(expected.get("250 2.1.5 Ok"), Some(&RECIPIENTS));
    assert_eq!(expected.get("452 4.5.3 Error: too many recipients"), Some(&3));

    let system = start(Which::Posthaste, "default_process_limit = 100\n");
    hand_in(&system, "root@mx.test");
    let before = Footprint::of(system.process("receive"));
    let replies = expected.values().sum::<usize>();
    thread::scope(|scope| {
        let (system, script) = (&system, &script);
        let one = |_| {
            scope.spawn(move || {
                let mut talk = Talk::to(system.address());
                let mut heard = talk.reply().into_iter().collect::<Vec<_>>();
                let writer = talk.again();
                thread::scope(|scope| {
                    scope.spawn(move || (&writer).write_all(script.as_bytes()));
                    while heard.len() < replies {
                        heard.extend(talk.reply());
                    }
                });
                (talk, heard.join("\n"))
            })
        };
        let sessions: Vec<_> = (0..SESSIONS).map(one).collect();
        hand_in(system, "root@mx.test");
        let sessions: Vec<_> = sessions.into_iter().map(|one| one.join().expect("it is answered")).collect();
        for (_, heard) in &sessions {
            assert_eq!(tally(heard.as_bytes()), expected);
        }
        let full = Footprint::of(system.process("receive"));
        let each_kib = full.memory_kib.saturating_sub(before.memory_kib) / SESSIONS as u64;
        // A recipient is kept once.
        assert!(each_kib <= 2 * 1900 + 256, "{each_kib} KiB for each: {before:?}, then {full:?}");
    });
}

#[test]
fn messages_that_stop_after_a_byte_cost_little() {
    const SESSIONS: u32 = 300;
    let settings = "default_process_limit = 400\nsmtpd_timeout = 300s\n";
    let begin = |system: &System, number: u32| {
        let [_, _, c, d] = number.to_be_bytes();
        let mut talk = Talk::from(Ipv4Addr::new(127, 1, c, d), system.address()).expect("the server listens");
        let mut heard: Vec<_> = talk.reply().into_iter().collect();
        let by_chunk = number.is_multiple_of(2);
        heard.extend(
            ["EHLO c.test", "MAIL FROM:<a@c.test>", "RCPT TO:<root@mx.test>"].map(|line| talk.say(line)),
        );
        if by_chunk {
            talk.send(b"BDAT 1000\r\nx");
        } else {
            heard.push(talk.say("DATA"));
            talk.send(b"x");
        }
        (talk, heard)
    };
    let expected: Vec<_> = {
        let system = start(Which::Postfix, settings);
        (1..=2).map(|number| begin(&system, number).1).collect()
    };
    let system = start(Which::Posthaste, settings);
    hand_in(&system, "root@mx.test");
    let before = Footprint::of(system.process("receive"));
    let sessions: Vec<Talk> = (1..=SESSIONS)
        .map(|number| {
            let (talk, heard) = begin(&system, number);
            let index = usize::from(number.is_multiple_of(2));
            assert_eq!(heard, expected[index]);
            talk
        })
        .collect();
    hand_in(&system, "root@mx.test");
    let full = Footprint::of(system.process("receive"));
    let each_kib = full.memory_kib.saturating_sub(before.memory_kib) / u64::from(SESSIONS);
    assert!(each_kib <= 64, "{each_kib} KiB for each: {before:?}, then {full:?}");
    // A connection and a queue file; files that are made ahead, and a few of the threads that make them.
    let more = full.descriptors - before.descriptors;
    assert!(more <= 2 * SESSIONS as usize + 64, "{more} descriptors more");
    for (number, talk) in sessions.into_iter().enumerate() {
        if number.is_multiple_of(3) { talk.reset() } else { drop(talk) }
    }
    system.wait_until("their descriptors are closed", || {
        Footprint::of(system.process("receive")).descriptors <= before.descriptors + 64
    });
    system.wait_until("nothing half is left", || system.queued("incoming") == 0);
}

/// Connections from more addresses than are remembered, and from one that is limited.
#[test]
fn clients_from_everywhere_are_served_and_forgotten() {
    const CLIENTS: u32 = 3000;
    let settings = "smtpd_client_connection_rate_limit = 5\nsmtpd_client_event_limit_exceptions =\n";
    let visit = |system: &System, client: Ipv4Addr| {
        let mut talk = Talk::from(client, system.address()).expect("the server listens");
        let heard = talk.reply().unwrap_or_default();
        if u32::from(client).is_multiple_of(2) {
            talk.reset();
        } else {
            drop(talk);
        }
        heard
    };
    let address = |number: u32| {
        let [_, b, c, d] = (number * 131).to_be_bytes();
        Ipv4Addr::new(127, 100 + b, c, d)
    };
    let one = Ipv4Addr::new(127, 0, 7, 7);
    let story = |which, clients, more: &str| {
        let system = start(which, &format!("{settings}{more}"));
        // The first connection of all was ours, to see whether there is a server.
        let mut heard: Vec<String> = (0..7).map(|_| visit(&system, one)).collect();
        let before = (which == Which::Posthaste).then(|| Footprint::of(system.process("receive")));
        heard.extend((1..=clients).map(|number| visit(&system, address(number))));
        hand_in(&system, "root@mx.test");
        if let Some(before) = before {
            wait_for("all are gone", || {
                Footprint::of(system.process("receive")).descriptors <= before.descriptors + 64
            });
            let after = Footprint::of(system.process("receive"));
            assert!(after.memory_kib < before.memory_kib + 4 * 1024, "{before:?}, then {after:?}");
        }
        heard.truncate(50);
        heard
    };
    let expected = story(Which::Postfix, 43, "");
    assert_eq!(story(Which::Posthaste, CLIENTS, "anvil_client_limit = 500\n"), expected);
    let refused = "421 4.7.0 mx.test Error: too many connections from 127.0.7.7";
    assert_eq!(expected.iter().filter(|heard| *heard == refused).count(), 2, "{expected:?}");
}
