//! Clients that come too often: counts and rates by anvil(8), beside Debian's.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    network,
    system::{PATIENCE, System, Which, free_port},
    wire::Talk,
};
use socket2::{Domain, Socket, Type};
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    process::Command,
};

const BASE: &str = "smtpd_peername_lookup = no\nlocal_recipient_maps =\nsmtpd_banner = hello\nsmtpd_error_sleep_time = 0\n\
    virtual_transport = discard:\nlocal_transport = discard:\nsmtpd_relay_restrictions = reject_unauth_destination\n\
    smtpd_discard_ehlo_keywords = silent-discard, etrn, dsn\nmynetworks = 127.0.0.1\nanvil_rate_time_unit = 1h\n";

/// A conversation from an address, until its last line or until the server hangs up.
fn talk(system: &System, client: [u8; 4], lines: &[&str]) -> (Talk, Vec<String>) {
    let mut talk = Talk::from(Ipv4Addr::from(client), system.address()).expect("the server listens");
    let mut replies = vec![talk.reply().unwrap_or_default()];
    for line in lines {
        if replies.last().is_some_and(|reply| reply.starts_with("421")) {
            break;
        }
        replies.push(talk.say(line).trim_end().to_owned());
    }
    (talk, replies)
}

/// Conversations that have ended: the one that found the server ready, to begin with.
struct Ended(usize);

impl Ended {
    /// Ends a conversation, and waits until the server has noticed.
    fn quit(&mut self, system: &System, mut talk: Talk) {
        self.0 += 1;
        let _ = talk.say("QUIT");
        drop(talk.rest());
        let ended = || system.log().matches(": disconnect from").count();
        system.wait_until("the session ends", || ended() >= self.0);
    }
}

/// The warnings of smtpd, without what differs by nature.
fn warnings(system: &System) -> Vec<String> {
    let log = system.log();
    let of_smtpd =
        log.lines().filter_map(|line| line.split_once("]: warning: ").filter(|_| line.contains("smtpd")));
    let port = format!("127.0.0.1:{}", system.address().port());
    of_smtpd.map(|(_, text)| text.replace(&port, "SERVICE")).collect()
}

fn both(
    settings: &str,
    story: impl Fn(&System, &mut Ended) -> Vec<String>,
) -> [(Vec<String>, Vec<String>); 2] {
    [Which::Postfix, Which::Posthaste].map(|which| {
        let system = System::start(which, &format!("{BASE}{settings}"));
        let replies = story(&system, &mut Ended(1));
        (replies, warnings(&system))
    })
}

fn assert_alike([expected, seen]: [(Vec<String>, Vec<String>); 2], has: &[&str]) {
    assert_eq!(seen, expected);
    let (replies, warnings) = &seen;
    for text in has {
        let lines = replies.iter().chain(warnings);
        assert!(lines.clone().any(|line| line.contains(text)), "{text}: {replies:#?} {warnings:#?}");
    }
}

#[test]
fn a_client_has_so_many_connections_and_no_more() {
    let settings = "smtpd_client_connection_count_limit = 2\nsmtpd_client_connection_rate_limit = 5\n\
        smtpd_delay_reject = no\nsmtpd_client_restrictions = check_client_access inline:{127.0.1.9=REJECT}\n";
    let story = |system: &System, ended: &mut Ended| {
        let mut seen = Vec::new();
        let client = [127, 0, 1, 1];
        let mut open: Vec<_> = (0..2).map(|_| talk(system, client, &["NOOP"])).collect();
        let (third, replies) = talk(system, client, &["NOOP"]);
        ended.quit(system, third);
        seen.extend(replies);
        // Another one is not concerned, and who leaves makes room.
        let (other, replies) = talk(system, [127, 0, 1, 2], &["NOOP"]);
        ended.quit(system, other);
        seen.extend(replies);
        for (leaving, replies) in open.drain(..) {
            ended.quit(system, leaving);
            seen.extend(replies);
        }
        for _ in 0..3 {
            let (again, replies) = talk(system, client, &["NOOP"]);
            ended.quit(system, again);
            seen.extend(replies);
        }
        // Who is refused is counted, and told of the count first.
        let mut refused: Vec<_> = (0..3).map(|_| talk(system, [127, 0, 1, 9], &["NOOP"])).collect();
        seen.extend(refused.drain(..).flat_map(|(_, replies)| replies));
        // A client of $mynetworks is excepted.
        let excepted: Vec<_> = (0..7).map(|_| talk(system, [127, 0, 0, 1], &[])).collect();
        seen.extend(excepted.into_iter().flat_map(|(_, replies)| replies));
        seen
    };
    let has = [
        "421 4.7.0 mx.test Error: too many connections from 127.0.1.1",
        "Connection concurrency limit exceeded: 3 from unknown[127.0.1.1] for service SERVICE",
        "Connection rate limit exceeded: 6 from unknown[127.0.1.1] for service SERVICE",
    ];
    assert_alike(both(settings, story), &has);
}

/// seed: S089
#[test]
fn a_client_says_mail_rcpt_and_auth_so_often_and_no_more() {
    let settings = "smtpd_client_message_rate_limit = 2\nsmtpd_client_recipient_rate_limit = 3\n\
        smtpd_client_auth_rate_limit = 1\nsmtpd_hard_error_limit = 4\n";
    let story = |system: &System, ended: &mut Ended| {
        let mut seen = Vec::new();
        let mut say = |client: [u8; 4], lines: &[&str]| {
            let (ending, replies) = talk(system, client, lines);
            ended.quit(system, ending);
            seen.extend(replies);
        };
        let mail = "MAIL FROM:<a@c.test>";
        let rcpt = "RCPT TO:<root@mx.test>";
        // What is malformed behind FROM: is counted, too; what is out of order is not.
        say([127, 0, 1, 1], &["EHLO c", mail, mail, "MAIL", "RSET", "MAIL FROM:<a"]);
        say([127, 0, 1, 1], &["EHLO c", mail, rcpt]);
        // VRFY counts as a recipient.
        say([127, 0, 1, 2], &["EHLO c", mail, rcpt, "RCPT", "VRFY root", rcpt, rcpt, "VRFY root"]);
        say([127, 0, 1, 3], &["EHLO c", "AUTH PLAIN", "AUTH PLAIN", "AUTH", "RSET", "NOOP"]);
        say([127, 0, 1, 3], &["AUTH PLAIN", "AUTH PLAIN", "AUTH PLAIN", "AUTH PLAIN", "AUTH PLAIN"]);
        seen
    };
    let has = [
        "450 4.7.1 Error: too much mail from 127.0.1.1",
        "450 4.7.1 Error: too many recipients from 127.0.1.2",
        "450 4.7.1 Error: too many AUTH commands from 127.0.1.3",
        "Message delivery request rate limit exceeded: 3 from unknown[127.0.1.1] for service SERVICE",
        "Recipient address rate limit exceeded: 4 from unknown[127.0.1.2] for service SERVICE",
        "AUTH command rate limit exceeded: 2 from unknown[127.0.1.3] for service SERVICE",
        "421 4.7.0 mx.test Error: too many errors",
    ];
    assert_alike(both(settings, story), &has);
}

/// One connection from each address, below 127.0.0.0/16.
fn visits(system: &System, ended: &mut Ended, clients: &[[u8; 2]]) -> Vec<String> {
    let mut seen = Vec::new();
    for &[third, fourth] in clients {
        let (ending, replies) = talk(system, [127, 0, third, fourth], &["NOOP"]);
        ended.quit(system, ending);
        seen.extend(replies);
    }
    seen
}

#[test]
fn exceptions_are_a_list() {
    let settings = "smtpd_client_connection_rate_limit = 2\n\
        smtpd_client_event_limit_exceptions = 127.0.2.0/24, !127.0.3.1, 127.0.3.0/24, 127.0.0.1\n";
    let clients =
        [[2, 1], [2, 1], [2, 1], [3, 1], [3, 1], [3, 1], [3, 2], [3, 2], [3, 2], [1, 1], [1, 1], [1, 1]];
    let story = |system: &System, ended: &mut Ended| visits(system, ended, &clients);
    let has = ["exceeded: 3 from unknown[127.0.3.1]", "exceeded: 3 from unknown[127.0.1.1]"];
    assert_alike(both(settings, story), &has);
}

/// Accounts that XCLIENT says have logged in, from wherever. Postfix has no such limits.
#[test]
fn an_account_logs_in_and_says_mail_and_rcpt_so_often_and_no_more() {
    let settings = "smtpd_authorized_xclient_hosts = 127.0.0.1\nsmtpd_sasl_auth_enable = yes\n\
        smtpd_account_message_rate_limit = 2\nsmtpd_account_recipient_rate_limit = 3\n\
        smtpd_account_connection_rate_limit = 3\n";
    let system = System::start(Which::Posthaste, &format!("{BASE}{settings}"));
    let mut ended = Ended(1);
    let mut say = |login: &str, address: &str, lines: &[&str]| {
        let xclient = format!("XCLIENT LOGIN={login} ADDR={address}");
        let lines: Vec<_> = [xclient.as_str()].iter().chain(lines).copied().collect();
        let (ending, replies) = talk(&system, [127, 0, 0, 1], &lines);
        ended.quit(&system, ending);
        replies.last().cloned().unwrap_or_default()
    };
    let (mail, rcpt) = ("MAIL FROM:<a@c.test>", "RCPT TO:<root@mx.test>");
    let good = "250 2.1.0 Ok";
    assert_eq!(say("carol", "192.0.2.7", &["EHLO x", mail, "RSET", mail]), good);
    assert_eq!(say("carol", "192.0.2.8", &["EHLO x", mail]), "450 4.7.1 Error: too much mail from carol");
    assert_eq!(say("dave", "192.0.2.8", &["EHLO x", mail, rcpt, rcpt, rcpt]), "250 2.1.5 Ok");
    let refusal = "450 4.7.1 Error: too many recipients from dave";
    assert_eq!(say("dave", "192.0.2.9", &["EHLO x", mail, rcpt]), refusal);
    for client in 1..=3 {
        assert_eq!(say("erin", &format!("192.0.2.{client}"), &[]), "220 hello");
    }
    let refusal = "421 4.7.0 mx.test Error: too many connections from erin";
    assert_eq!(say("erin", "192.0.2.4", &[]), refusal);
}

/// Debian's Postfix has no prefix lengths: they came with Postfix 3.8.
#[test]
fn a_network_is_one_client() {
    let settings = "smtpd_client_connection_rate_limit = 2\nsmtpd_client_ipv4_prefix_length = 24\n\
        anvil_status_update_time = 2s\n";
    let system = System::start(Which::Posthaste, &format!("{BASE}{settings}"));
    let seen = visits(&system, &mut Ended(1), &[[1, 1], [1, 2], [2, 3], [1, 3]]);
    let refusal = "421 4.7.0 mx.test Error: too many connections from 127.0.1.3";
    assert_eq!(seen.last().map(String::as_str), Some(refusal));
    assert_eq!(seen.iter().filter(|reply| reply.starts_with("421")).count(), 1);
    let peak = format!("for (127.0.0.1:{}:127.0.1.0/24)", system.address().port());
    system.wait_until("the network is reported", || system.log().contains(&peak));
}

fn from_ipv6(client: &str, server: SocketAddr) -> Talk {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
    let client: Ipv6Addr = client.parse().expect("an address");
    socket.bind(&SocketAddr::new(client.into(), 0).into()).expect("an address of this host");
    socket.connect(&server.into()).expect("the server listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    Talk::over(stream)
}

/// postconf(5) smtpd_client_ipv6_prefix_length: 84 bits, or as many as it says.
#[test]
fn a_network_of_ipv6_is_one_client() {
    const CLIENTS: [&str; 4] = ["fd00::1001:0:1", "fd00::1fff:0:1", "fd00::2001:0:1", "fd00::1001:0:2"];
    network::inside("a_network_of_ipv6_is_one_client", "timeout:1", || {
        for client in CLIENTS {
            let arguments = ["-6", "addr", "add", &format!("{client}/128"), "dev", "lo", "nodad"];
            assert!(Command::new("ip").args(arguments).status().expect("iproute2").success());
        }
        let settings = "inet_protocols = all\ninet_interfaces = 127.0.0.1, ::1\nsmtpd_client_connection_rate_limit = 2\n\
            anvil_status_update_time = 2s\n";
        let system = System::prepare(Which::Posthaste, &format!("{BASE}{settings}"));
        let ports = [free_port(), free_port()];
        system.add_services(&format!(
            "[::1]:{} inet n - n - - smtpd\n[::1]:{} inet n - n - - smtpd -o smtpd_client_ipv6_prefix_length=128\n",
            ports[0], ports[1]
        ));
        system.run();
        let greetings = ports.map(|port| {
            let server = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
            CLIENTS.map(|client| from_ipv6(client, server).reply().unwrap_or_default())
        });
        let refusal = "421 4.7.0 mx.test Error: too many connections from fd00::1001:0:2";
        assert_eq!(greetings, [["220 hello", "220 hello", "220 hello", refusal], ["220 hello"; 4]]);
        let peak = format!("max connection rate 3/3600s for ([::1]:{}:fd00::1000:0:0/84)", ports[0]);
        system.wait_until("the network is reported", || system.log().contains(&peak));
    });
}

#[test]
fn statistics_are_logged() {
    let settings = "anvil_status_update_time = 2s\nanvil_rate_time_unit = 60s\nsmtpd_client_connection_count_limit = 5\n\
        smtpd_client_message_rate_limit = 5\nsmtpd_client_recipient_rate_limit = 5\nsmtpd_client_auth_rate_limit = 5\n";
    let lines = [Which::Postfix, Which::Posthaste].map(|which| {
        let base = BASE.replace("anvil_rate_time_unit = 1h\n", "");
        let system = System::start(which, &format!("{base}{settings}"));
        let lines = ["EHLO c", "MAIL FROM:<a@c.test>", "RCPT TO:<root@mx.test>", "AUTH PLAIN"];
        let (ending, _) = talk(&system, [127, 0, 1, 1], &lines);
        Ended(1).quit(&system, ending);
        // Each once, though a report may come in between.
        system.wait_until("all of it is reported", || {
            ["connection rate", "connection count", "message", "recipient", "auth", "cache size"]
                .iter()
                .all(|what| system.log().contains(&format!("statistics: max {what}")))
        });
        let log = system.log();
        let port = format!("127.0.0.1:{}", system.address().port());
        let statistics = log.lines().filter_map(|line| line.split_once("]: statistics: "));
        let mut lines: Vec<_> = statistics
            .map(|(before, text)| {
                assert!(before.contains("/anvil["), "{before}");
                let (text, at) = text.rsplit_once(" at ").expect("a time");
                // `Nov  3 02:10:10`
                assert!(at.len() == 15 && at.as_bytes()[3] == b' ' && at.as_bytes()[9] == b':', "{at}");
                text.replace(&port, "SERVICE")
            })
            .collect();
        lines.sort();
        lines
    });
    assert_eq!(lines[1], lines[0]);
    assert_eq!(lines[0][2], "max connection count 1 for (SERVICE:127.0.1.1)");
    assert_eq!(lines[0][3], "max connection rate 1/60s for (SERVICE:127.0.1.1)");
}
