//! Which requests go over which connection, and how long it is kept.

use compliance::{
    client::Client,
    policy::{PolicyServer, say},
    system::{System, Which},
};
use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

fn system(which: Which, settings: &str, server: SocketAddr) -> System {
    let settings = settings.replace("$S", &format!("inet:{server}"));
    System::start(which, &format!("{settings}local_recipient_maps =\nsmtpd_error_sleep_time = 0\n"))
}

fn mail(client: &mut Client, recipients: &[&str]) {
    client.say(b"RSET\r\n").unwrap();
    client.say(b"MAIL FROM:<a@example.org>\r\n").unwrap();
    for recipient in recipients {
        let reply = client.say(format!("RCPT TO:<{recipient}@mx.test>\r\n").as_bytes()).unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    }
}

const ASK: &str = "smtpd_recipient_restrictions = check_policy_service $S\n";

/// Recipient, connection and whether the instance is that of the request before.
fn story(which: Which, settings: &str) -> Vec<(String, usize, bool)> {
    let (server, address) = PolicyServer::inet(|_, _, to| say("DUNNO", to));
    let system = system(which, settings, address);
    let mut client = Client::connect(system.address()).unwrap();
    mail(&mut client, &["a", "b", "c"]);
    mail(&mut client, &["d", "e"]);
    let mut last = String::new();
    let heard = server.heard().into_iter().map(|request| {
        let instance = request.value("instance").unwrap().to_owned();
        let is_same = std::mem::replace(&mut last, instance) == last;
        (request.value("recipient").unwrap().to_owned(), request.connection, is_same)
    });
    heard.collect()
}

#[test]
fn one_instance_for_a_message_and_one_connection_for_a_session_as_in_postfix() {
    let ours = story(Which::Posthaste, ASK);
    assert_eq!(ours, story(Which::Postfix, ASK));
    assert_eq!(ours.iter().map(|(_, connection, _)| *connection).collect::<Vec<_>>(), [0; 5]);
}

#[test]
fn a_connection_carries_as_many_requests_as_the_limit_says() {
    let settings = format!("{ASK}smtpd_policy_service_request_limit = 2\n");
    let ours = story(Which::Posthaste, &settings);
    assert_eq!(ours, story(Which::Postfix, &settings));
    assert_eq!(ours.iter().map(|(_, connection, _)| *connection).collect::<Vec<_>>(), [0, 0, 1, 1, 2]);
}

#[test]
fn two_messages_at_once_do_not_share_a_connection_and_later_ones_do() {
    let (server, address) = PolicyServer::inet(|_, _, to| say("DUNNO", to));
    let system = system(Which::Posthaste, ASK, address);
    let [mut one, mut other] = [(), ()].map(|()| Client::connect(system.address()).unwrap());
    mail(&mut one, &["a"]);
    mail(&mut other, &["b"]);
    for (client, recipient) in [(&mut one, "c"), (&mut other, "d")] {
        client.say(format!("RCPT TO:<{recipient}@mx.test>\r\n").as_bytes()).unwrap();
    }
    let of = |name: &str| {
        let name = format!("{name}@mx.test");
        server.heard().iter().find(|request| request.value("recipient") == Some(&name)).unwrap().connection
    };
    assert!(of("a") != of("b") && of("a") == of("c") && of("b") == of("d"));
    // Their messages are over.
    one.say(b"RSET\r\n").unwrap();
    other.say(b"RSET\r\n").unwrap();
    mail(&mut other, &["e"]);
    assert_eq!(server.by_connection().len(), 2);
}

#[test]
fn at_the_limit_messages_share_what_there_is() {
    let (server, address) = PolicyServer::inet(|_, _, to| say("DUNNO", to));
    let settings = format!("{ASK}default_process_limit = 3\n");
    let system = System::prepare(
        Which::Posthaste,
        &format!("{}local_recipient_maps =\n", settings.replace("$S", &format!("inet:{address}"))),
    );
    // The limit is that of connections to policy servers; sessions have their row's.
    let path = system.path("etc/master.cf");
    let text = std::fs::read_to_string(&path).unwrap();
    let row = text.lines().find(|line| line.ends_with("smtpd") && line.contains("inet")).unwrap();
    std::fs::write(&path, text.replace(row, &row.replace(" - smtpd", " 20 smtpd"))).unwrap();
    system.run();
    let mut clients: Vec<Client> = (0..10).map(|_| Client::connect(system.address()).unwrap()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        mail(client, &[&format!("r{n}")]);
    }
    assert_eq!(server.heard().len(), 10);
    assert!(server.by_connection().len() <= 3, "{:?}", server.by_connection());
}

#[test]
fn a_server_that_hangs_up_after_each_answer_is_asked_again_without_a_pause() {
    let (server, address) = PolicyServer::inet(|_, _, to| say("DUNNO", to).map(|_| false));
    let settings = format!("{ASK}smtpd_policy_service_retry_delay = 40s\n");
    let system = system(Which::Posthaste, &settings, address);
    let mut client = Client::connect(system.address()).unwrap();
    let begun = Instant::now();
    mail(&mut client, &["a", "b", "c", "d"]);
    assert!(begun.elapsed() < Duration::from_secs(40));
    assert_eq!(server.heard().len(), 4);
    assert!(!system.log().contains("problem talking"), "{}", system.log());
}

#[test]
fn idle_and_old_connections_are_closed() {
    let (closed, is_closed) = std::sync::mpsc::channel();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let closed = closed.clone();
            thread::spawn(move || {
                let mut writer = stream.try_clone().unwrap();
                let mut reader = std::io::BufReader::new(stream);
                let mut line = String::new();
                while std::io::BufRead::read_line(&mut reader, &mut line).unwrap_or(0) > 0 {
                    if line == "\n" {
                        let _ = say("DUNNO", &mut writer);
                    }
                    line.clear();
                }
                let _ = closed.send(());
            });
        }
    });
    for setting in ["max_idle", "max_ttl"] {
        let settings = format!("{ASK}smtpd_policy_service_{setting} = 1s\n");
        let system = system(Which::Posthaste, &settings, address);
        let mut client = Client::connect(system.address()).unwrap();
        mail(&mut client, &["a"]);
        is_closed.recv_timeout(compliance::system::PATIENCE).unwrap();
        mail(&mut client, &["b"]);
    }
}
