//! The QMQP server beside Debian's: netstrings by hand, and Postfix's own client.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    system::{System, Which, files, free_port},
    wire::Footprint,
};
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    process::Command,
};

/// A system that delivers nothing, so that what was taken stays where it can be looked at.
fn start(which: Which, settings: &str) -> (System, SocketAddr) {
    let common = "qmqpd_error_delay = 0\nlocal_recipient_maps =\nin_flow_delay = 0\n\
        defer_transports = local, smtp, relay\n";
    let system = System::prepare(which, &format!("{common}{settings}"));
    let port = free_port();
    system.add_services(&format!("127.0.0.1:{port} inet n - n - - qmqpd\n"));
    system.run();
    (system, SocketAddr::from(([127, 0, 0, 1], port)))
}

fn netstring(text: &[u8]) -> Vec<u8> {
    [text.len().to_string().as_bytes(), b":", text, b","].concat()
}

fn packet(content: &[u8], sender: &str, recipients: &[&str]) -> Vec<u8> {
    let mut inner = [netstring(content), netstring(sender.as_bytes())].concat();
    recipients.iter().for_each(|recipient| inner.extend(netstring(recipient.as_bytes())));
    netstring(&inner)
}

/// Says all of it, then reads until the server hangs up.
fn say(server: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server).expect("the server listens");
    // A server that has heard enough may hang up before all is sent.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    String::from_utf8_lossy(&reply).into_owned()
}

/// The lines of qmqpd, once so many sessions have ended, without ids.
fn log(system: &System, sessions: usize) -> Vec<String> {
    let ended = || system.log().matches("]: disconnect from").count();
    // The one that found the SMTP server ready counts, too.
    system.wait_until("the sessions end", || ended() > sessions);
    let log = system.log();
    let lines = log.lines().filter_map(|line| line.split_once("/qmqpd[")?.1.split_once("]: "));
    lines.map(|(_, text)| without_id(text)).collect()
}

/// Queue ids are as long as eleven capital letters and digits.
fn without_id(text: &str) -> String {
    let is_id = |word: &str| {
        word.len() > 6 && word.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
    };
    let words = text.split_inclusive([' ', ':', ',', ';']).map(|word| {
        let bare = word.trim_end_matches([' ', ':', ',', ';']);
        if is_id(bare) { word.replace(bare, "ID") } else { word.to_owned() }
    });
    let text: String = words.collect();
    // The netstring of a reply is as long as the id in it.
    match text.split_once(":K") {
        Some((_, rest)) => format!("LENGTH:K{rest}"),
        None => text,
    }
}

/// What stands in the queue, as Debian's postcat shows it, without what differs by nature.
fn messages(system: &System, count: usize) -> Vec<String> {
    system.wait_until("the messages are there", || system.queued("deferred") == count);
    let mut all: Vec<String> = files(&system.path("spool/deferred")).iter().map(|path| shown(path)).collect();
    all.sort();
    all
}

fn shown(path: &std::path::Path) -> String {
    let output = Command::new("/usr/sbin/postcat").arg("-oehb").arg(path).output().expect("postcat starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let differs = [
        "***",
        "message_size:",
        "message_arrival_time:",
        "create_time:",
        "named_attribute: create_time",
        "named_attribute: message_id=",
    ];
    let lines = text.lines().map(|line| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' '));
    let kept = lines.filter(|line| !differs.iter().any(|start| line.starts_with(start)));
    let mask = |line: &str| {
        let is_date = line.contains(" (UTC)") || line.starts_with("Date:") || line.contains("+0000");
        let line = match line.rsplit_once("; ") {
            Some((before, _)) if is_date => format!("{before}; DATE"),
            _ => line.to_owned(),
        };
        let line = if line.starts_with("Message-Id: <") { "Message-Id: ONE".to_owned() } else { line };
        let line =
            if line.contains("client_port") || line.contains("log_client_port") { "port" } else { &line };
        without_id(line)
    };
    kept.map(mask)
        .map(|line| if line.starts_with("Date: ") { "Date: NOW".to_owned() } else { line })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn messages_are_taken_as_debians_takes_them() {
    let story = |which| {
        let (system, server) = start(which, "qmqpd_authorized_clients = 127.0.0.1\n");
        let long =
            [b"Subject: long\n\n", &b"0123456789"[..].repeat(500)[..], b"\nend without line end"].concat();
        let scripts: Vec<Vec<u8>> = vec![
            packet(b"Subject: x\n\nhello\n", "a@example.org", &["root@mx.test"]),
            packet(b"Subject: two\n\nhello\r\nyou\n", "", &["root@mx.test", "b c@mx.test", "<x>@mx.test"]),
            packet(b">From x\nFrom y z\nSubject: from\n\nFrom here\n", "a@example.org", &["root@mx.test"]),
            packet(b" folded\nTo: x@y\n\nbody\n", "a@example.org", &["root@mx.test"]),
            packet(b"\nno header\n", "a@example.org", &["root@mx.test"]),
            packet(&long, "a@example.org", &["root@mx.test"]),
            packet(b"Subject: verp\n\n", "list-@example.org-@[]", &["root@mx.test"]),
            packet(b"", "local", &["root"]),
        ];
        let replies: Vec<_> = scripts.iter().map(|script| without_id(&say(server, script))).collect();
        (replies, log(&system, scripts.len()), messages(&system, scripts.len()))
    };
    let (expected, seen) = (story(Which::Postfix), story(Which::Posthaste));
    assert_eq!(seen.0, expected.0);
    assert!(seen.0.iter().all(|reply| reply.starts_with("LENGTH:KOk: queued as ID")), "{:?}", seen.0);
    assert_eq!(seen.1, expected.1);
    let lacking = |all: &[String], of: &[String]| {
        of.iter().filter(|message| !all.contains(message)).cloned().collect::<Vec<_>>().join("\n--\n")
    };
    assert_eq!(lacking(&expected.2, &seen.2), lacking(&seen.2, &expected.2));
    assert_eq!(seen.2.len(), 8);
}

#[test]
fn what_is_wrong_is_said_as_debians_says_it() {
    let settings = "qmqpd_authorized_clients = 127.0.0.0/8\nmessage_size_limit = 3000\nqueue_minfree = 0\n";
    let story = |which| {
        let (system, server) = start(which, settings);
        let hops = "Received: by x\n".repeat(51);
        let scripts: Vec<Vec<u8>> = vec![
            b"".to_vec(),
            b"x".to_vec(),
            b"10".to_vec(),
            b"99999999999999999999:".to_vec(),
            b"10:3001:".to_vec(),
            b"9223372036854775807:10000000000:x".to_vec(),
            b"18446744073709551616:".to_vec(),
            b"-1:3:abc,1:a,3:b@c,,".to_vec(),
            b"0000010:0003:abc,01:a,000,".to_vec(),
            b"10:3:abc,1:a,0,".to_vec(),
            b"10:3:abc,1:a,:,,".to_vec(),
            b"10:3:abc,1:a,3:b\0c,,".to_vec(),
            b"10:10:3:abc,1:a,,1:a,4:root,,".to_vec(),
            [b"10:", &[b'0'; 100_000][..], b"3:abc,1:a,x"].concat(),
            b"10:3:abcd".to_vec(),
            b"10:3:abc".to_vec(),
            b"10:3:abc,x".to_vec(),
            b"10:3:abc,1:a,".to_vec(),
            b"10:3:abc,1:a,x".to_vec(),
            b"10:3:abc,9999:a".to_vec(),
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            packet(b"Subject: x\n\n", "a@example.org", &[]),
            packet(b"Subject: x\n\n", "listx@example.org-@[]", &["root@mx.test"]),
            packet(&b"Subject: x\n\n12345678\n".repeat(130), "a@example.org", &["root@mx.test"]),
            packet(hops.as_bytes(), "a@example.org", &["root@mx.test"]),
        ];
        let replies: Vec<_> = scripts.iter().map(|script| without_id(&say(server, script))).collect();
        (replies, log(&system, scripts.len()))
    };
    let (expected, seen) = (story(Which::Postfix), story(Which::Posthaste));
    assert_eq!(seen.0, expected.0);
    assert_eq!(seen.1, expected.1);
    let has = |text: &str| seen.0.iter().any(|reply| reply.contains(text));
    for text in ["DError: no recipients specified", "DError: message too large", "DError: too many hops"] {
        assert!(has(text), "{text}: {:?}", seen.0);
    }
}

#[test]
fn strangers_are_turned_away_and_ports_are_logged() {
    for settings in ["", "qmqpd_authorized_clients = fail:down\n", "qmqpd_authorized_clients = 192.0.2.1\n"] {
        let story = |which| {
            let (system, server) = start(which, settings);
            let reply = say(server, &packet(b"x\n", "a@example.org", &["root@mx.test"]));
            (reply, log(&system, 1).into_iter().filter(|line| !line.contains("warning")).collect::<Vec<_>>())
        };
        assert_eq!(story(Which::Posthaste), story(Which::Postfix), "{settings}");
    }
    for which in [Which::Postfix, Which::Posthaste] {
        let (system, server) = start(which, "qmqpd_client_port_logging = yes\nsoft_bounce = yes\n");
        let reply = say(server, b"");
        assert!(reply.contains("ZError: ") && reply.contains("[127.0.0.1]:"), "{reply}");
        let log = log(&system, 1);
        assert!(
            log.iter().any(|line| line.starts_with("connect from ") && line.contains("[127.0.0.1]:")),
            "{log:?}"
        );
    }
}

/// Clients of a UNIX-domain socket are `localhost[127.0.0.1]`, and authorized as such.
#[test]
fn local_clients_are_served_as_by_debians() {
    for authorized in ["127.0.0.1", "localhost", "192.0.2.1"] {
        let story = |which| {
            let system = System::prepare(
                which,
                &format!(
                    "qmqpd_authorized_clients = {authorized}\nqmqpd_error_delay = 0\nlocal_recipient_maps =\n\
                     in_flow_delay = 0\ndefer_transports = local\nqmqpd_client_port_logging = yes\n"
                ),
            );
            system.add_services("qmqp unix n - n - - qmqpd\n");
            system.run();
            let mut stream =
                UnixStream::connect(system.path("spool/public/qmqp")).expect("the server listens");
            stream
                .write_all(&packet(b"Subject: x\n\ntext\n", "a@example.org", &["root@mx.test"]))
                .expect("room");
            // One that is turned away has not been heard to the end.
            let mut reply = Vec::new();
            let _ = stream.read_to_end(&mut reply);
            let reply = String::from_utf8_lossy(&reply).into_owned();
            (without_id(&reply), log(&system, 1), messages(&system, usize::from(reply.contains(":KOk"))))
        };
        let (expected, seen) = (story(Which::Postfix), story(Which::Posthaste));
        assert_eq!(seen, expected, "{authorized}");
        assert_eq!(seen.2.len(), usize::from(authorized != "192.0.2.1"));
    }
}

/// qmqpd(8) content_filter and receive_override_options: where a message goes, and to whom.
#[test]
fn messages_are_filtered_and_mapped_as_by_debians() {
    let common =
        "qmqpd_authorized_clients = 127.0.0.1\nvirtual_alias_maps = inline:{ {root@mx.test=x@mx.test} }\n";
    for own in
        ["", "content_filter = smtp:[127.0.0.1]:9\n", "receive_override_options = no_address_mappings\n"]
    {
        let story = |which| {
            let (system, server) = start(which, &format!("{common}{own}"));
            let mail = packet(b"Subject: x\n\ntext\n", "a@example.org", &["root@mx.test"]);
            (without_id(&say(server, &mail)), messages(&system, 1))
        };
        let (expected, seen) = (story(Which::Postfix), story(Which::Posthaste));
        assert_eq!(seen, expected, "{own}");
        assert_eq!(seen.1[0].contains("recipient: x@mx.test"), !own.starts_with("receive"), "{own}");
    }
}

/// Postfix's own client: many messages at once, each to many recipients, none lost.
#[test]
fn postfixs_own_client_sends_many() {
    let (system, server) = start(Which::Posthaste, "qmqpd_authorized_clients = 127.0.0.1\n");
    let output = Command::new("/usr/sbin/qmqp-source")
        .args(["-c", "-s", "10", "-m", "100", "-l", "3000", "-f", "list@example.org", "-t", "root@mx.test"])
        .arg(format!("inet:{server}"))
        .output()
        .expect("qmqp-source starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.is_empty(), "{text}\n{}", system.log());
    system.wait_until("all of them are there", || system.queued("deferred") == 100);
}

/// A client that stops in the middle is let go after `qmqpd_timeout`; others are served meanwhile.
#[test]
fn a_silent_client_is_let_go() {
    let settings = "qmqpd_authorized_clients = 127.0.0.1\nqmqpd_timeout = 2s\n";
    for which in [Which::Postfix, Which::Posthaste] {
        let (system, server) = start(which, settings);
        let mut silent = TcpStream::connect(server).expect("the server listens");
        silent.write_all(b"100:50:abc").expect("a short write");
        let reply = say(server, &packet(b"x\n", "a@example.org", &["root@mx.test"]));
        assert!(reply.contains("KOk: queued as"), "{reply}");
        let mut rest = Vec::new();
        let _ = silent.read_to_end(&mut rest);
        assert_eq!(rest, b"", "no reply, only an end");
        let expected = "read/write timeout while receiving message content";
        system.wait_until("the log says so", || system.log().contains(expected));
    }
}

/// Sessions that stop in the middle of a long message cost what they have sent, and others are served.
#[test]
fn halves_of_messages_are_held_within_bounds() {
    const SESSIONS: usize = 300;
    const HALF: usize = 16 * 1024;
    let settings =
        "qmqpd_authorized_clients = 127.0.0.1\nqmqpd_timeout = 300s\ndefault_process_limit = 400\n";
    let (system, server) = start(Which::Posthaste, settings);
    let friend = || say(server, &packet(b"Subject: x\n\ntext\n", "a@example.org", &["root@mx.test"]));
    assert!(friend().contains("KOk: queued as"));
    let before = Footprint::of(system.process("receive"));
    let whole = packet(&b"Subject: x\n".repeat(2 * HALF / 11), "a@example.org", &["root@mx.test"]);
    let sessions: Vec<TcpStream> = (0..SESSIONS)
        .map(|_| {
            let mut stream = TcpStream::connect(server).expect("the server listens");
            stream.write_all(&whole[..HALF]).expect("the server reads");
            stream
        })
        .collect();
    let connected = || system.log().matches("/qmqpd[").count() > SESSIONS;
    system.wait_until("all are connected", connected);
    assert!(friend().contains("KOk: queued as"));
    let full = Footprint::of(system.process("receive"));
    let each_kib = full.memory_kib.saturating_sub(before.memory_kib) / SESSIONS as u64;
    assert!(each_kib <= (3 * HALF / 1024 + 32) as u64, "{each_kib} KiB for each: {before:?}, then {full:?}");
    let more = full.descriptors.saturating_sub(before.descriptors);
    assert!(more <= 2 * SESSIONS + 64, "{more} descriptors more");
    drop(sessions);
    system.wait_until("their descriptors are closed", || {
        Footprint::of(system.process("receive")).descriptors <= before.descriptors + 64
    });
    system.wait_until("nothing half is left", || system.queued("incoming") == 0);
    assert_eq!(system.queued("deferred") + system.queued("active"), 2);
}
