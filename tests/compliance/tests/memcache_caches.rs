//! A cache in memcached with a file behind it (memcache_table(5) `backup`): what is remembered is in both, and outlives
//! memcached.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    plain::told_alike,
    servers::DataServer,
    sink::Sink,
    smtp::Client,
    system::{System, Which},
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

const KEYWORDS: &[&str] = &["PIPELINING", "SIZE 1000000", "8BITMIME"];
const ADDRESS: &str = "good@far.test";

/// What memcached has, without the times in it.
fn in_memcached(server: &DataServer, key: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("memcached");
    write!(stream, "get {key}\r\nquit\r\n").expect("memcached reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("memcached answers");
    let value = answer.lines().nth(1).unwrap_or("nothing");
    without_times(value)
}

/// What Debian's postmap finds in the file.
fn in_file(system: &System, key: &str) -> String {
    let table = format!("btree:{}", system.path("data/backup").display());
    let output =
        Command::new("/usr/sbin/postmap").args(["-q", key, &table]).output().expect("postmap starts");
    without_times(String::from_utf8_lossy(&output.stdout).trim_end())
}

fn without_times(entry: &str) -> String {
    let fields: Vec<&str> = entry.split(':').collect();
    let shown = fields.iter().map(|field| match field.parse::<u64>() {
        Ok(0) => "0",
        Ok(1..1_000_000) => field,
        Ok(_) => "TIME",
        Err(_) => field,
    });
    shown.collect::<Vec<_>>().join(":")
}

/// What a client hears, and how often a server was asked for it.
fn ask(system: &System) -> String {
    let mut client = Client::connect(system.address()).expect("it listens");
    client.command("MAIL FROM:<s@x.test>").expect("a reply");
    let reply = client.command(&format!("RCPT TO:<{ADDRESS}>"));
    assert!(reply.is_ok(), "{:?}: {reply:?}\n{}", system.which, system.log());
    let reply = reply.expect("looked at");
    // The message that was begun is gone with it.
    client.command("QUIT").expect("a reply");
    system.wait_until("no probe is under way", || {
        ["incoming", "active", "deferred"].iter().all(|queue| system.queued(queue) == 0)
    });
    format!("{reply}; probes: {}", system.log().matches("status=deliverable").count())
}

fn story(which: Which) -> Vec<String> {
    let sink = Sink::start(KEYWORDS).expect("a port");
    let mut memcached = DataServer::memcached();
    let system = System::prepare(
        which,
        &format!(
            "transport_maps = inline:{{ far.test=smtp:[127.0.0.1]:{} }}\nrelay_domains = far.test\n\
             smtpd_recipient_restrictions = reject_unverified_recipient\naddress_verify_poll_count = 30\n\
             address_verify_poll_delay = 1s\nsmtpd_peername_lookup = no\n\
             address_verify_map = memcache:$B/etc/memcache\nproxy_write_maps = proxy:btree:$B/data/backup\n",
            sink.port
        ),
    );
    let file = system.path("data/backup");
    let settings =
        format!("memcache = inet:127.0.0.1:{}\nbackup = proxy:btree:{}\n", memcached.port, file.display());
    fs::write(system.path("etc/memcache"), settings).expect("space");
    system.run();
    let mut told = vec![ask(&system), in_memcached(&memcached, ADDRESS)];
    system.command("postfix", &["stop"]);
    told.push(in_file(&system, ADDRESS));
    // memcached forgets, the file does not.
    memcached.stop();
    memcached.start();
    told.push(in_memcached(&memcached, ADDRESS));
    system.run();
    told.extend([ask(&system), in_memcached(&memcached, ADDRESS)]);
    // Nobody is there at all, and what is remembered is found all the same.
    memcached.stop();
    told.push(ask(&system));
    told
}

#[test]
fn what_is_remembered_outlives_memcached() {
    let told = told_alike(story);
    assert!(told.iter().filter(|line| line.ends_with("probes: 1")).count() == 3, "{told:#?}");
}
