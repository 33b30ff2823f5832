//! A proxy before the SMTP server: what it says of the client, told to Debian's Postfix and to Posthaste alike, by the
//! test and by the real HAProxy.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use compliance::{
    friend::hand_in_at,
    system::{System, Which, free_port},
    wire::{Footprint, Talk},
};
use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
};

const SETTINGS: &str = "smtpd_peername_lookup = no\ninet_protocols = all\ninet_interfaces = 127.0.0.1\n\
     smtpd_client_port_logging = yes\nmynetworks = 192.0.2.0/24\nlocal_recipient_maps =\n\
     smtpd_forbid_unauth_pipelining = yes\nsmtpd_discard_ehlo_keywords = silent-discard, dsn, etrn\n\
     default_transport = discard:\nlocal_transport = discard:\n";

/// A system with one more SMTP server that wants a proxy before it.
fn behind_proxy(which: Which) -> (System, SocketAddr) {
    let system = System::prepare(which, SETTINGS);
    let port = free_port();
    system.add_services(&format!(
        "127.0.0.1:{port} inet n - n - - smtpd -o syslog_name=proxied -o smtpd_upstream_proxy_protocol=haproxy\n  \
         -o smtpd_upstream_proxy_timeout=2s\n"
    ));
    system.run();
    (system, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// What the proxied server has logged, without times and process numbers; what the system chose is masked.
fn logged(system: &System, sessions: usize) -> Vec<String> {
    let lines = || -> Vec<String> {
        let log = system.log();
        let lines = log
            .lines()
            .filter_map(|line| Some(line.split_once(" proxied/smtpd[")?.1.split_once("]: ")?.1.to_owned()));
        lines.collect()
    };
    system.wait_until("the sessions have ended", || {
        lines().iter().filter(|line| line.starts_with("disconnect from")).count() == sessions
    });
    lines().iter().map(|line| masked(line)).collect()
}

/// Ports that the system chose are not the test's.
fn masked(line: &str) -> String {
    match line.split_once("[127.0.0.1]:") {
        Some((before, after)) => {
            format!("{before}[127.0.0.1]:~{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => line.to_owned(),
    }
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn binary(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let size = u16::try_from(content.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &size, content].concat()
}

/// Headers as a proxy may send them, good ones and bad ones.
fn headers() -> Vec<Vec<u8>> {
    let v4 = [192, 0, 2, 7, 192, 0, 2, 25, 0x9c, 0x40, 0, 25];
    let v6 = [[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7].as_slice(); 2].concat();
    let v6 = [v6.as_slice(), &[0x9c, 0x40, 0, 25]].concat();
    let v6_in_v4 = [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7].as_slice(); 2].concat();
    let v6_in_v4 = [v6_in_v4.as_slice(), &[0x9c, 0x40, 0, 25]].concat();
    let endless_extension = [v4.as_slice(), b"\x04\xff\xffabc"].concat();
    let huge = [v4.as_slice(), &[0x04; 65_523]].concat();
    let spaces = " ".repeat(100);
    let with_extension = [v4.as_slice(), b"\x04\x00\x03abc"].concat();
    vec![
        b"PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\r\n".to_vec(),
        b"PROXY TCP6 2001:DB8::7 2001:db8::25 40000 25\r\n".to_vec(),
        b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::25 40000 25\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 192.0.2.25 70000 25\r\n".to_vec(),
        binary(0x21, 0x11, &v4),
        binary(0x21, 0x11, &with_extension),
        binary(0x21, 0x21, &v6),
        binary(0x20, 0, b""),
        binary(0x21, 0x31, &[0; 216]),
        binary(0x21, 0x11, &v4[..8]),
        binary(0x22, 0x11, &v4),
        binary(0x11, 0x11, &v4),
        binary(0x21, 0x21, &v6_in_v4),
        binary(0x21, 0x11, &endless_extension),
        binary(0x21, 0x11, &huge),
        binary(0x21, 0x11, &huge)[..100].to_vec(),
        binary(0x21, 0x11, &huge[..520]),
        binary(0x21, 0x11, &huge[..521]),
        binary(0x21, 0x11, b""),
        binary(0x21, 0x12, &v4),
        binary(0x21, 0, b""),
        binary(0x21, 0x32, &[b'x'; 216]),
        binary(0x20, 0x11, &v4),
        binary(0x20, 0xff, &huge[..300]),
        binary(0x20, 0, &huge),
        format!("PROXY TCP4 192.0.2.7 192.0.2.25 40000 25{spaces}\r\n").into_bytes(),
        format!("PROXY{spaces}TCP4{spaces}192.0.2.7 192.0.2.25 40000 25 and more\r\n").into_bytes(),
        b"PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 192.0.2.25 040000 25\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 192.0.2.25 -1 25\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7\0 192.0.2.25 40000 25\r\n".to_vec(),
        [b"PROXY TCP4 ".as_slice(), &[b'1'; 600]].concat(),
        [b"PROXY TCP4 ".as_slice(), &[b'1'; 600], b"\r\n"].concat(),
        b"EHLO client.example.com\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7".to_vec(),
        binary(0x21, 0x11, &v4)[..20].to_vec(),
    ]
}

/// The greeting of each, and what follows, and the log.
fn story(which: Which) -> (Vec<String>, Vec<String>) {
    let (system, server) = behind_proxy(which);
    let mut told = Vec::new();
    let headers = headers();
    for header in &headers {
        let mut talk = Talk::to(server);
        assert!(talk.send(header));
        // Postfix takes what has come for all that comes; nothing more does.
        talk.half_close();
        told.push(format!("{}: {}", header.escape_ascii(), String::from_utf8_lossy(&talk.rest())));
    }
    let mut silent = Talk::to(server);
    told.push(format!("silence: {:?}", silent.reply()));
    let mut gone = Talk::to(server);
    gone.half_close();
    told.push(format!("nothing: {:?}", gone.reply()));
    let mut early = Talk::to(server);
    early.send(b"PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\r\nEHLO x\r\n");
    told.push(format!("early: {:?}", early.reply()));
    drop((silent, gone, early));
    (told, logged(&system, headers.len() + 3))
}

#[test]
fn headers_are_read_as_postfix_reads_them() {
    let (postfix, posthaste) = (story(Which::Postfix), story(Which::Posthaste));
    assert_eq!(postfix.0, posthaste.0);
    // As 3.7 has it: it names the proxy where 3.12 says that it knows nothing, and no queue id where there is none.
    let older = |line: &String| {
        let line = line.replace("unknown[unknown]:unknown", "unknown[127.0.0.1]:~");
        line.strip_prefix("NOQUEUE: ").map_or(line.clone(), str::to_owned)
    };
    let ours: Vec<_> = posthaste.1.iter().map(older).collect();
    assert_eq!(postfix.1, ours);
    assert!(postfix.1.iter().any(|line| line == "connect from unknown[192.0.2.7]:40000"), "{:?}", postfix.1);
    let nobody = "connect from unknown[unknown]:unknown";
    assert!(posthaste.1.iter().any(|line| line == nobody), "{:?}", posthaste.1);
}

/// docs/differences.md: a header that comes in pieces is waited for.
#[test]
fn a_header_in_pieces_is_waited_for_within_the_limit() {
    let (system, server) = behind_proxy(Which::Posthaste);
    for header in [b"PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\r\n".to_vec(), headers()[7].clone()] {
        let mut talk = Talk::to(server);
        for byte in &header {
            assert!(talk.send(&[*byte]));
        }
        assert_eq!(talk.reply().as_deref(), Some("220 mx.test ESMTP Postfix"));
        assert_eq!(talk.say("QUIT"), "221 2.0.0 Bye");
    }
    let mut slow = Talk::to(server);
    slow.send(b"PROXY TCP4 192.0");
    assert_eq!(slow.reply().as_deref(), Some("421 4.3.0 mx.test Server local error"));
    let log = logged(&system, 3);
    assert!(
        log.contains(
            &"warning: haproxy read: missing protocol header terminator: PROXY TCP4 192.0".to_owned()
        ),
        "{log:?}"
    );
}

/// HAProxy before a server, with both versions of its protocol; ended when dropped.
struct HaProxy {
    child: Child,
    _directory: tempfile::TempDir,
    versions: [SocketAddr; 2],
}

impl HaProxy {
    fn before(server: SocketAddr) -> Self {
        let versions = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let listen =
            |(word, address)| format!("listen {word}\n bind {address}\n server mx {server} {word}\n");
        let text: String = ["send-proxy", "send-proxy-v2"].into_iter().zip(versions).map(listen).collect();
        let this = Self::start(&text, versions);
        for address in versions {
            compliance::wire::wait_for("HAProxy listens", || std::net::TcpStream::connect(address).is_ok());
        }
        this
    }

    /// One that only looks after a server's health: with both versions of the header, and with none.
    fn checking(server: SocketAddr, option: &str) -> Self {
        let port = server.port();
        let ways = ["send-proxy check", "send-proxy-v2 check", &format!("send-proxy check port {port}")];
        // HAProxy wants something to listen on.
        let mut text = format!("listen nothing\n bind 127.0.0.1:{}\n", free_port());
        for (number, way) in ways.iter().enumerate() {
            let mx = format!("server mx {server} {way} inter 500ms");
            text.push_str(&format!("backend number{number}\n timeout check 9s\n {option}\n {mx}\n"));
        }
        Self::start(&text, [server; 2])
    }

    fn start(sections: &str, versions: [SocketAddr; 2]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let defaults = "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n";
        let path = directory.path().join("haproxy.cfg");
        fs::write(&path, format!("{defaults}{sections}")).unwrap();
        let child = Command::new("/usr/sbin/haproxy")
            .args(["-db", "-q", "-f"])
            .arg(&path)
            .stdin(Stdio::null())
            .spawn()
            .expect("haproxy is installed (make prepare)");
        Self { child, _directory: directory, versions }
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The replies to a stranger who wants to relay, through HAProxy.
fn through_haproxy(which: Which) -> Vec<String> {
    let (system, server) = behind_proxy(which);
    let proxy = HaProxy::before(server);
    let mut told = Vec::new();
    for (number, address) in (8..).zip(proxy.versions) {
        let client = Ipv4Addr::new(127, 0, 0, number);
        let mut talk = Talk::from(client, address).unwrap();
        told.extend(talk.reply());
        told.push(talk.say("EHLO client.example.com"));
        told.push(talk.say("MAIL FROM:<a@example.com>"));
        told.push(talk.say("RCPT TO:<b@example.org>"));
        told.push(talk.say("RCPT TO:<b@mx.test>"));
        told.push(talk.say("QUIT"));
        let connect = format!("proxied/smtpd[~]: connect from unknown[{client}]:");
        let mark = connect.split_once("]: ").unwrap().1.to_owned();
        system.wait_until("the client's own address is logged", || system.log().contains(&mark));
    }
    told
}

#[test]
fn haproxy_says_whose_connection_it_is() {
    let postfix = through_haproxy(Which::Postfix);
    assert_eq!(postfix, through_haproxy(Which::Posthaste));
    assert!(postfix.contains(&"454 4.7.1 <b@example.org>: Relay access denied".to_owned()), "{postfix:?}");
}

/// A system with a postscreen that wants a proxy before it.
fn screened_behind_proxy(which: Which) -> (System, SocketAddr) {
    let system = System::prepare(which, SETTINGS);
    let port = free_port();
    system.add_services(&format!(
        "127.0.0.1:{port} inet n - n - 1 postscreen -o syslog_name=proxied -o postscreen_greet_wait=1s\n  \
         -o postscreen_upstream_proxy_protocol=haproxy -o postscreen_access_list=permit_mynetworks\n\
         smtpd pass - - n - - smtpd -o syslog_name=passed\ndnsblog unix - - n - 0 dnsblog\n"
    ));
    system.run();
    (system, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// What clients are told who come through HAProxy and postscreen to smtpd, and what both log of them.
fn screened_through_haproxy(which: Which) -> Vec<String> {
    let (system, server) = screened_behind_proxy(which);
    let proxy = HaProxy::before(server);
    let mut told = Vec::new();
    for (number, address) in (18..).zip(proxy.versions) {
        let client = Ipv4Addr::new(127, 0, 0, number);
        let mut talk = Talk::from(client, address).unwrap();
        told.extend(talk.reply());
        for line in [
            "EHLO client.example.com",
            "MAIL FROM:<a@example.com>",
            "RCPT TO:<b@example.org>",
            "RCPT TO:<b@mx.test>",
            "QUIT",
        ] {
            told.push(talk.say(line));
        }
        let of_client = || {
            let log = system.log();
            let lines = log.lines().filter(|line| line.contains(&format!("[{client}]")));
            let words =
                lines.filter_map(|line| Some(line.split_once("mx ")?.1.split_once(": ")?.1.to_owned()));
            let without_id = |line: String| match line.split_once(": client=") {
                Some((_, client)) => format!("ID: client={client}"),
                None => line,
            };
            words.map(|line| without_id(without_ports(&line))).collect::<Vec<_>>()
        };
        system
            .wait_until("it has gone", || of_client().iter().any(|line| line.starts_with("disconnect from")));
        told.extend(of_client());
    }
    told
}

/// A line without the ports of clients and servers, which the system chose.
fn without_ports(line: &str) -> String {
    let mut pieces = line.split("]:");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + "]:~" + piece.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[test]
fn haproxy_says_to_postscreen_whose_connection_it_is() {
    let postfix = screened_through_haproxy(Which::Postfix);
    assert_eq!(postfix, screened_through_haproxy(Which::Posthaste));
    for line in [
        "CONNECT from [127.0.0.18]:~ to [127.0.0.1]:~",
        "PASS NEW [127.0.0.19]:~",
        "connect from unknown[127.0.0.19]:~",
    ] {
        assert!(postfix.iter().any(|told| told == line), "{line} is missing in {postfix:#?}");
    }
}

/// What is logged of a proxy that looks after a server's health: each line once. Beside the lines that are wanted there are
/// others where HAProxy has lost its patience with a busy machine.
fn checked((system, server): &(System, SocketAddr), option: &str, wanted: &[&str]) -> Vec<String> {
    let _proxy = HaProxy::checking(*server, option);
    let lines = || {
        let log = system.log();
        let lines = log.lines().filter(|line| line.contains(" proxied/") || line.contains(" passed/"));
        let words = lines.filter_map(|line| Some(line.split_once("]: ")?.1.to_owned()));
        let kept = words.filter(|line| !line.starts_with("cache "));
        let plain = |line: String| match without_ports(&line).split_once("HANGUP after ") {
            Some((_, text)) => format!("HANGUP after TIME {}", text.split_once(' ').unwrap_or_default().1),
            // 3.7 names the proxy where 3.12 says that it knows nothing.
            None => without_ports(&line).replace("unknown[unknown]:~unknown", "unknown[127.0.0.1]:~"),
        };
        let mut lines: Vec<_> = kept.map(plain).collect();
        lines.retain(|line| wanted.iter().any(|text| line.contains(text)));
        lines.sort();
        lines.dedup();
        lines
    };
    system.wait_until("all ways are logged", || {
        let lines = lines();
        wanted.iter().all(|text| lines.iter().any(|line| line.contains(text)))
    });
    lines()
}

/// How HAProxy asks a mail server whether it is well.
const CHECK: &str = "option smtpchk EHLO check.test";

#[test]
fn haproxys_health_checks_are_answered() {
    let wanted = ["haproxy read: timeout error", "ehlo=1 quit=1 commands=2"];
    let [postfix, posthaste] =
        [Which::Postfix, Which::Posthaste].map(|which| checked(&behind_proxy(which), CHECK, &wanted));
    assert_eq!(postfix, posthaste);
}

/// HAProxy takes the first half of the greeting for a bad one: postscreen's health is asked for by connecting only.
#[test]
fn haproxys_health_checks_of_postscreen_end_early() {
    let wanted = ["haproxy read: time limit exceeded", "in tests before SMTP handshake"];
    let [postfix, posthaste] = [Which::Postfix, Which::Posthaste]
        .map(|which| checked(&screened_behind_proxy(which), CHECK, &wanted));
    assert_eq!(postfix, posthaste);
}

/// Checks that only connect and reset the connection, with a header and without. Postfix 3.7's smtpd ends by some of
/// them, with `fatal:`.
#[test]
fn checks_that_say_nothing_cost_nothing() {
    for (system, mark) in [
        (behind_proxy(Which::Posthaste), "lost connection after CONNECT"),
        (screened_behind_proxy(Which::Posthaste), "HANGUP"),
    ] {
        checked(&system, "", &[mark]);
        let log = system.0.log();
        let is_trouble = |line: &&str| ["fatal:", "panic:"].iter().any(|word| line.contains(word));
        assert_eq!(log.lines().find(is_trouble), None, "{log}");
        let mut talk = Talk::to(system.1);
        talk.send(b"PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\r\n");
        assert!(talk.reply().is_some_and(|reply| reply.contains("220")));
    }
}

/// Each holds a place for `smtpd_upstream_proxy_timeout`, and next to no memory.
#[test]
fn headers_that_do_not_end_keep_nobody_out() {
    const HEADER: &str = "PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\r\n";
    let story = |which, count: u8| {
        let (system, server) = behind_proxy(which);
        hand_in_at(&system, (server, HEADER), "root@mx.test");
        let before = (which == Which::Posthaste).then(|| Footprint::of(system.process("receive")));
        let half = (1..=count).map(|last| {
            let mut talk = Talk::from(Ipv4Addr::new(127, 0, 4, last), server).unwrap();
            talk.send(&HEADER.as_bytes()[..20]);
            talk
        });
        let half: Vec<Talk> = half.collect();
        hand_in_at(&system, (server, HEADER), "root@mx.test");
        if let Some(before) = before {
            let full = Footprint::of(system.process("receive"));
            assert!(full.memory_kib < before.memory_kib + 4 * 1024, "{before:?}, then {full:?}");
        }
        let told: BTreeSet<Vec<u8>> = half.into_iter().map(Talk::rest).collect();
        told
    };
    let expected = story(Which::Postfix, 5);
    assert_eq!(story(Which::Posthaste, 80), expected);
    assert_eq!(expected.len(), 1, "{expected:?}");
}
