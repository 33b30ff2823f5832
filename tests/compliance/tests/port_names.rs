//! Names of TCP ports (postconf(5) known_tcp_ports, services(5)): in master.cf, in next hops, in addresses of policy servers
//! and of tables.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    network::alone,
    policy::{PolicyServer, say},
    smtp::{Client, Sink},
    system::{System, Which},
};
use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

/// A name of `/etc/services`, for a listener of master's.
const LISTENER: (&str, u16) = ("binkp", 24554);
/// Another one, for a table.
const TABLE: (&str, u16) = ("git", 9418);

/// A server of tcp_table(5) that knows one recipient.
fn tcp_table() {
    let listener = TcpListener::bind(("127.0.0.1", TABLE.1)).expect("the network is ours alone");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let lines = BufReader::new(stream.try_clone().expect("a descriptor")).lines();
                for line in lines.map_while(Result::ok) {
                    let is_known = line == "get bad@dest.test";
                    let answer = if is_known { "200 REJECT%20by%20the%20table" } else { "500 none" };
                    let _ = writeln!(stream, "{answer}");
                }
            });
        }
    });
}

/// What clients hear, and what the next host gets.
fn story(which: Which) -> (Vec<String>, usize, usize) {
    let sink = Sink::start().expect("a port");
    let (policy, policy_address) = PolicyServer::inet(|_, _, to| say("DUNNO", to));
    let system = System::prepare(
        which,
        &format!(
            "smtpd_peername_lookup = no\nsmtpd_error_sleep_time = 0\nlocal_recipient_maps =\n\
             known_tcp_ports = lmtp=24, smtp=25, sink={}, policyd={}\nrelayhost = [127.0.0.1]:sink\n\
             relay_domains = dest.test\n\
             smtpd_recipient_restrictions = check_recipient_access tcp:127.0.0.1:{}, \
             check_policy_service inet:127.0.0.1:policyd\n",
            sink.address.port(),
            policy_address.port(),
            TABLE.0,
        ),
    );
    system.add_services(&format!("127.0.0.1:{} inet n - n - - smtpd\n", LISTENER.0));
    system.run();
    system.wait_until("a port that has a name answers", || {
        TcpStream::connect(("127.0.0.1", LISTENER.1)).is_ok()
    });
    let mut client = Client::connect(([127, 0, 0, 1], LISTENER.1).into()).expect("it listens");
    let said = ["MAIL FROM:<a@b.test>", "RCPT TO:<bad@dest.test>", "RCPT TO:<good@dest.test>"]
        .map(|line| client.command(line).expect("it answers"));
    assert!(client.command("DATA").expect("it answers").starts_with("354 "));
    assert!(client.command("Subject: x\r\n\r\nx\r\n.").expect("it answers").starts_with("250 "));
    system.wait_until("it is delivered", || !sink.taken().is_empty());
    (said.into(), policy.heard().len(), sink.taken().len())
}

#[test]
fn names_of_ports_are_known_everywhere() {
    alone("names_of_ports_are_known_everywhere", "", |_| {
        tcp_table();
        let ours = story(Which::Posthaste);
        assert_eq!(ours.0[1], "554 5.7.1 <bad@dest.test>: Recipient address rejected: by the table");
        assert_eq!(ours, story(Which::Postfix));
    });
}
