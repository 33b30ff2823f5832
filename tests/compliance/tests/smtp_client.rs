//! The SMTP client over real sockets: Debian's smtp-sink with its faults as the server, real DNS packets.
//! The expected texts are what Debian's smtp(8) logs for the same faults.
#![allow(clippy::unwrap_used)]

use config::Values;
use dns::{Resolver, testing};
use maillog::{Line, Logger, Sink};
use smtp::{Client, ConnectionCache, Content, Flags, Network, Protocol, SmtpSettings, SmtpTables, deliver};
use std::{
    cell::RefCell,
    io::{self, BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use types::{
    Address, BodyEncoding, DeliveryReport, DeliveryRequest, MessageAttributes, Nexthop, Outcome, QueueName,
    Recipient, Relay, Transport, WallTime,
};

/// A server that ends with the test.
struct Running(Child, u16);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn sink(options: &[&str]) -> Running {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let user: &[&str] = if is_root() { &["-u", "nobody"] } else { &[] };
    let child = Command::new("/usr/sbin/smtp-sink")
        .args(user)
        .args(options)
        .args([address.as_str(), "100"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Running(child, port);
    let target: SocketAddr = address.parse().unwrap();
    while TcpStream::connect_timeout(&target, Duration::from_millis(200)).is_err() {
        std::thread::yield_now();
    }
    server
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

#[derive(Default)]
struct Lines(RefCell<Vec<String>>);

impl Sink for Lines {
    fn write(&self, line: Line<'_>) {
        self.0.borrow_mut().push(format!("{}{}", line.severity.prefix(), line.text));
    }
}

struct Message(Vec<u8>);

impl Content for Message {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.0.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let size = rest.len().min(buffer.len());
        buffer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(size)
    }
}

fn message() -> Message {
    let mut bytes = Vec::new();
    for text in ["Subject: test", "", "hello", ".", "..x"] {
        bytes.extend([b'N', u8::try_from(text.len()).unwrap()]);
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.extend([b'X', 0]);
    Message(bytes)
}

fn request(nexthop: &str, recipients: &[&str]) -> DeliveryRequest {
    let recipient = |address: &&str| Recipient { address: Address::from(*address), ..Recipient::default() };
    DeliveryRequest {
        queue_id: "7602C72C2".parse().unwrap(),
        queue_name: QueueName::Active,
        transport: Transport::new("smtp"),
        nexthop: Nexthop::new(nexthop),
        recipients: recipients.iter().map(recipient).collect(),
        message: Rc::new(MessageAttributes {
            sender: Address::from("sender@x.test"),
            size_bytes: 30,
            content_bytes: 30,
            encoding: BodyEncoding::SevenBit,
            ..MessageAttributes::default()
        }),
        active_since: WallTime::default(),
        agent_since: WallTime::default(),
    }
}

struct World {
    protocol: Protocol,
    settings: Vec<(&'static str, &'static str)>,
    zone: String,
    own: Vec<IpAddr>,
}

impl Default for World {
    fn default() -> Self {
        Self { protocol: Protocol::Smtp, settings: Vec::new(), zone: String::new(), own: Vec::new() }
    }
}

impl World {
    /// Delivers one message to each next hop in turn.
    fn deliver(&self, nexthops: &[&str], recipients: &[&str]) -> (Vec<DeliveryReport>, Vec<String>) {
        let all =
            [&[("myhostname", "client.test"), ("inet_protocols", "ipv4")], self.settings.as_slice()].concat();
        let settings = SmtpSettings::load(&Values::for_tests(&all), self.protocol).unwrap();
        let server = testing::Server::start(&self.zone).unwrap();
        let disk = queue::RealDisk::open(&std::env::temp_dir()).unwrap();
        let lines = Rc::new(Lines::default());
        let logger = Logger::new(Rc::clone(&lines) as Rc<dyn Sink>, "postfix/smtp", 1);
        let reports = net::run(net::Builder::new(disk), |live| async move {
            let client = Client {
                dns: Rc::new(Resolver::new(live.clone(), server.conf(), 100)),
                world: live,
                settings: Rc::new(settings),
                flags: Flags::default(),
                tables: SmtpTables::default(),
                network: Network {
                    own_addresses: self.own.clone(),
                    proxy_addresses: Vec::new(),
                    native: Rc::new(|_| Vec::new()),
                },
                cache: ConnectionCache::default(),
                postmaster: Box::new(|_| {}),
            };
            let mut reports = Vec::new();
            for nexthop in nexthops {
                reports.push(
                    deliver(&client, &logger, &request(nexthop, recipients), &message(), &|_| ()).await,
                );
            }
            reports
        })
        .unwrap();
        let lines = lines.0.borrow().clone();
        (reports, lines)
    }

    /// One message; a line for each recipient.
    fn outcome(&self, nexthop: &str, recipients: &[&str]) -> Vec<String> {
        let (mut reports, _) = self.deliver(&[nexthop], recipients);
        describe(&reports.pop().unwrap())
    }
}

fn describe(report: &DeliveryReport) -> Vec<String> {
    let mut recipients: Vec<_> = report.recipients.iter().collect();
    recipients.sort_by_key(|recipient| recipient.index);
    let one = |recipient: &&types::RecipientReport| {
        let relay = match &recipient.relay {
            Relay::None => "none",
            Relay::Service(name) | Relay::Host(name) => name,
        };
        let outcome = match recipient.outcome {
            Outcome::Sent => "sent",
            Outcome::Deferred => "deferred",
            Outcome::Bounced => "bounced",
        };
        format!("relay={relay}, dsn={}, status={outcome} ({})", recipient.status.dsn, recipient.status.reason)
    };
    recipients.iter().map(one).collect()
}

/// One recipient through smtp-sink with these options; `$` is `127.0.0.1[127.0.0.1]`, `$P` the same with its port.
#[track_caller]
fn check(options: &[&str], expected: &str) {
    let server = sink(options);
    let nexthop = format!("[127.0.0.1]:{}", server.1);
    let found = World::default().outcome(&nexthop, &["r@x.test"]);
    let relay = format!("127.0.0.1[127.0.0.1]:{}", server.1);
    let expected = expected.replace("$P", &relay).replace('$', "127.0.0.1[127.0.0.1]");
    assert_eq!(found, [expected], "{options:?}");
}

/// Options of smtp-sink, and what Debian's smtp(8) logged for them.
#[rustfmt::skip]
const FAULTS: &[(&str, &str)] = &[
    ("", "2.0.0 sent (250 2.0.0 Ok)"),
    ("-p", "2.0.0 sent (250 2.0.0 Ok)"),
    ("-e", "2.0.0 sent (250 2.0.0 Ok)"),
    ("-8", "2.0.0 sent (250 2.0.0 Ok)"),
    ("-f ehlo", "2.0.0 sent (250 2.0.0 Ok)"),
    ("-r ehlo", "2.0.0 sent (250 2.0.0 Ok)"),
    ("-f mail", "5.3.0 bounced (host $ said: 500 5.3.0 Error: command failed (in reply to MAIL FROM command))"),
    ("-r mail", "4.3.0 deferred (host $ said: 450 4.3.0 Error: command failed (in reply to MAIL FROM command))"),
    ("-f rcpt", "5.3.0 bounced (host $ said: 500 5.3.0 Error: command failed (in reply to RCPT TO command))"),
    ("-r rcpt", "4.3.0 deferred (host $ said: 450 4.3.0 Error: command failed (in reply to RCPT TO command))"),
    ("-f data", "5.3.0 bounced (host $ said: 500 5.3.0 Error: command failed (in reply to DATA command))"),
    ("-r data", "4.3.0 deferred (host $ said: 450 4.3.0 Error: command failed (in reply to DATA command))"),
    ("-f .", "5.3.0 bounced (host $ said: 500 5.3.0 Error: command failed (in reply to end of DATA command))"),
    ("-r .", "4.3.0 deferred (host $ said: 450 4.3.0 Error: command failed (in reply to end of DATA command))"),
    ("-p -f mail", "5.3.0 bounced (host $ said: 500 5.3.0 Error: command failed (in reply to MAIL FROM command))"),
    ("-p -f rcpt", "5.3.0 bounced (host $ said: 500 5.3.0 Error: command failed (in reply to RCPT TO command))"),
    ("-p -f data", "5.3.0 bounced (host $ said: 500 5.3.0 Error: command failed (in reply to DATA command))"),
    ("-p -f .", "5.3.0 bounced (host $ said: 500 5.3.0 Error: command failed (in reply to end of DATA command))"),
    ("-f connect", "4.3.0 deferred (host $ refused to talk to me: 500 5.3.0 Error: command failed)"),
    ("-r connect", "4.3.0 deferred (host $ refused to talk to me: 450 4.3.0 Error: command failed)"),
    ("-Q connect", "4.0.0 deferred (host $ refused to talk to me: 421 4.0.0 Server closing connection)"),
    ("-Q ehlo", "4.0.0 deferred (host $ refused to talk to me: 421 4.0.0 Server closing connection)"),
    ("-Q mail", "4.0.0 deferred (host $ said: 421 4.0.0 Server closing connection (in reply to MAIL FROM command))"),
    ("-Q rcpt", "4.0.0 deferred (host $ said: 421 4.0.0 Server closing connection (in reply to RCPT TO command))"),
    ("-Q data", "4.0.0 deferred (host $ said: 421 4.0.0 Server closing connection (in reply to DATA command))"),
    ("-Q .", "4.0.0 deferred (host $ said: 421 4.0.0 Server closing connection (in reply to end of DATA command))"),
    ("-p -Q mail", "4.0.0 deferred (host $ said: 421 4.0.0 Server closing connection (in reply to MAIL FROM command))"),
    ("-p -Q rcpt", "4.0.0 deferred (host $ said: 421 4.0.0 Server closing connection (in reply to RCPT TO command))"),
    ("-p -Q data", "4.0.0 deferred (host $ said: 421 4.0.0 Server closing connection (in reply to DATA command))"),
    ("-p -Q .", "4.0.0 deferred (host $ said: 421 4.0.0 Server closing connection (in reply to end of DATA command))"),
    ("-q connect", "4.4.2 deferred (lost connection with $ while receiving the initial server greeting)"),
    ("-q ehlo", "4.4.2 deferred (lost connection with $ while performing the EHLO handshake)"),
    ("-q mail", "4.4.2 deferred (lost connection with $ while sending MAIL FROM)"),
    ("-q rcpt", "4.4.2 deferred (lost connection with $ while sending RCPT TO)"),
    ("-q data", "4.4.2 deferred (lost connection with $ while sending DATA command)"),
    ("-q .", "4.4.2 deferred (lost connection with $ while sending end of data -- message may be sent more than once)"),
    ("-p -q mail", "4.4.2 deferred (lost connection with $ while sending MAIL FROM)"),
    ("-p -q rcpt", "4.4.2 deferred (lost connection with $ while sending RCPT TO)"),
    ("-p -q data", "4.4.2 deferred (lost connection with $ while sending DATA command)"),
    ("-p -q .", "4.4.2 deferred (lost connection with $ while sending end of data -- message may be sent more than once)"),
];

#[test]
fn what_a_server_does_is_told_in_postfix_words() {
    for (options, expected) in FAULTS {
        let (dsn, rest) = expected.split_once(' ').unwrap();
        let options: Vec<&str> = options.split_ascii_whitespace().collect();
        check(&options, &format!("relay=$P, dsn={dsn}, status={rest}"));
    }
}

#[test]
fn a_dead_server_is_named_and_the_destination_is_unavailable() {
    let port = free_port();
    let (reports, lines) = World::default().deliver(&[&format!("[127.0.0.1]:{port}")], &["r@x.test"]);
    let text = format!("connect to 127.0.0.1[127.0.0.1]:{port}: Connection refused");
    let report = reports.first().unwrap();
    assert_eq!(describe(report), [format!("relay=none, dsn=4.4.1, status=deferred ({text})")]);
    assert_eq!(report.destination_unavailable.as_ref().unwrap().reason, text.as_str());
    assert_eq!(lines, [text]);
}

#[test]
fn mail_exchangers_are_tried_in_order() {
    let server = sink(&[]);
    let port = server.1;
    let mut world = World {
        zone: String::from(
            "x.test MX 10 a.x.test\nx.test MX 20 b.x.test\na.x.test A 127.0.0.2\nb.x.test A 127.0.0.1\n",
        ),
        ..World::default()
    };
    // Nobody listens on 127.0.0.2.
    let (reports, lines) = world.deliver(&[&format!("x.test:{port}")], &["r@x.test"]);
    let sent = format!("relay=b.x.test[127.0.0.1]:{port}, dsn=2.0.0, status=sent (250 2.0.0 Ok)");
    assert_eq!(describe(reports.first().unwrap()), [sent]);
    assert_eq!(lines, [format!("connect to a.x.test[127.0.0.2]:{port}: Connection refused")]);
    world.zone.push_str(
        "null.test MX 0 .\nloop.test MX 10 b.x.test\nself.test MX 10 a.x.test\nself.test MX 20 b.x.test\n",
    );
    world.own = vec![Ipv4Addr::LOCALHOST.into()];
    let none = |nexthop: &str, expected: &str| {
        assert_eq!(world.outcome(nexthop, &["r@x.test"]), [format!("relay=none, {expected}")], "{nexthop}");
    };
    let absent = "Host or domain name not found. Name service error for name=no.test type=A: Host not found";
    none("no.test", &format!("dsn=5.4.4, status=bounced ({absent})"));
    none("null.test", "dsn=5.1.0, status=bounced (Domain null.test does not accept mail (nullMX))");
    none("loop.test", "dsn=5.4.6, status=bounced (mail for loop.test loops back to myself)");
    none("self.test", "dsn=4.4.1, status=deferred (connect to a.x.test[127.0.0.2]:25: Connection refused)");
    none("x.test:nosuch", "dsn=4.3.5, status=deferred (unknown service: nosuch/tcp)");
}

#[test]
fn lists_of_next_hops_and_a_fallback_relay_are_tried_in_turn() {
    let server = sink(&[]);
    let (dead, port) = (free_port(), server.1);
    let sent = format!("relay=127.0.0.1[127.0.0.1]:{port}, dsn=2.0.0, status=sent (250 2.0.0 Ok)");
    let list = format!("[127.0.0.1]:{dead}, [127.0.0.1]:{port}");
    assert_eq!(World::default().outcome(&list, &["r@x.test"]).join(""), sent);
    let refusing = sink(&["-r", "rcpt"]);
    let list = format!("[127.0.0.1]:{} [127.0.0.1]:{port}", refusing.1);
    assert_eq!(World::default().outcome(&list, &["a@x.test", "b@x.test"]), [sent.clone(), sent]);
}

#[test]
fn lmtp_over_a_unix_socket_and_over_tcp() {
    let server = sink(&["-L"]);
    let world = World { protocol: Protocol::Lmtp, ..World::default() };
    let relay = format!("127.0.0.1[127.0.0.1]:{}", server.1);
    let nexthop = format!("inet:127.0.0.1:{}", server.1);
    let sent = format!("relay={relay}, dsn=2.2.0, status=sent (250 2.2.0 Ok)");
    assert_eq!(world.outcome(&nexthop, &["a@x.test", "b@x.test"]), [sent.clone(), sent]);
    let missing = "connect to client.test[/nonexistent]: No such file or directory";
    let deferred = format!("relay=none, dsn=4.4.1, status=deferred ({missing})");
    assert_eq!(world.outcome("unix:/nonexistent", &["a@x.test"]), [deferred]);
}

#[test]
fn nothing_goes_out_in_clear_when_encryption_is_demanded() {
    let server = sink(&[]);
    let world = World { settings: vec![("smtp_tls_security_level", "encrypt")], ..World::default() };
    let (reports, lines) = world.deliver(&[&format!("[127.0.0.1]:{}", server.1)], &["r@x.test"]);
    let text = "relay=none, dsn=4.7.5, status=deferred (TLS is required, but our TLS engine is unavailable)";
    assert_eq!(describe(reports.first().unwrap()), [text]);
    assert!(lines.iter().any(|line| line.contains("smtp_tls_security_level = encrypt")), "{lines:?}");
}

/// A server that hangs up without a word after three messages; counts connections and messages.
fn short_lived_server() -> (u16, Arc<AtomicU32>, Arc<AtomicU32>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (connections, messages) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let counters = (Arc::clone(&connections), Arc::clone(&messages));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counters.0.fetch_add(1, Ordering::SeqCst);
            let _ = serve_three(stream.unwrap(), &counters.1);
        }
    });
    (port, connections, messages)
}

fn serve_three(mut stream: TcpStream, messages: &AtomicU32) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    stream.write_all(b"220 mx.test ESMTP\r\n")?;
    let (mut in_content, mut served) = (false, 0);
    while served < 3 {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let reply: &[u8] = match (in_content, line.trim_end()) {
            (true, ".") => {
                in_content = false;
                served += 1;
                messages.fetch_add(1, Ordering::SeqCst);
                b"250 2.0.0 Ok\r\n"
            }
            (true, _) => b"",
            (false, "DATA") => {
                in_content = true;
                b"354 go\r\n"
            }
            (false, line) if line.starts_with("EHLO") => b"250-mx.test\r\n250 PIPELINING\r\n",
            (false, _) => b"250 2.0.0 Ok\r\n",
        };
        stream.write_all(reply)?;
    }
    Ok(())
}

#[test]
fn messages_in_a_row_share_connections_and_survive_their_loss() {
    let (port, connections, messages) = short_lived_server();
    let nexthop = format!("[127.0.0.1]:{port}");
    let (reports, _) = World::default().deliver(&vec![nexthop.as_str(); 20], &["r@x.test"]);
    let sent = format!("relay=127.0.0.1[127.0.0.1]:{port}, dsn=2.0.0, status=sent (250 2.0.0 Ok)");
    assert!(reports.iter().all(|report| describe(report) == [sent.clone()]));
    assert_eq!(messages.load(Ordering::SeqCst), 20);
    // The first message opens and closes one; after that, three for each connection.
    let connections = connections.load(Ordering::SeqCst);
    assert!((8..=9).contains(&connections), "{connections} connections");
}
