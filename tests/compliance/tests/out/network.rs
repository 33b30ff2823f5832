//! A network of the test's own: the test runs itself again below unshare(1), where only loopback exists, port 25 is
//! free on every address, and `/etc/resolv.conf` names the test's DNS server. So both systems use the resolver as
//! they always do.

use compliance::system::System;
use dns::testing::Server;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::Command,
};

const INSIDE: &str = "TEST_NETWORK_IS_OURS";

/// Runs `body` in a network of its own whose names are those of `zone`. `test` is the test's full name.
pub(crate) fn alone(test: &str, zone: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_none() {
        let this = std::env::current_exe().unwrap();
        let output = Command::new("unshare")
            .args(["--net", "--mount", "--"])
            .arg(this)
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(INSIDE, "1")
            .output()
            .expect("unshare(1) of util-linux");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    run("ip", &["link", "set", "lo", "up"]);
    let directory = tempfile::tempdir().unwrap();
    let replace = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        set_readable(&path);
        run("mount", &["--bind", path.to_str().unwrap(), &format!("/etc/{name}")]);
    };
    replace("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    replace("hosts", "127.0.0.1 localhost\n::1 localhost\n");
    let _server =
        Server::start_at("127.0.0.1:53".parse().unwrap(), zone).expect("port 53 of our own network");
    body();
}

fn set_readable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let is_good = output.as_ref().is_ok_and(|output| output.status.success());
    assert!(is_good, "{program} {arguments:?}: {output:?} (this test needs root)");
}

/// Submits a message by SMTP; every recipient must be taken. The answer is its queue id.
pub(crate) fn submit(system: &System, sender: &str, recipients: &[&str], content: &str) -> String {
    let stream = TcpStream::connect(system.address()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut say = |line: &str, code: &str| {
        if !line.is_empty() {
            (&stream).write_all(format!("{line}\r\n").as_bytes()).unwrap();
        }
        let mut reply = String::new();
        while reply.get(3..4) != Some(" ") {
            reply.clear();
            assert!(reader.read_line(&mut reply).unwrap() > 0, "hung up after {line}");
        }
        assert!(reply.starts_with(code), "{line}: {reply}");
        reply
    };
    say("", "220");
    say("EHLO client.test", "250");
    say(&format!("MAIL FROM:<{sender}> BODY=8BITMIME"), "250");
    for recipient in recipients {
        say(&format!("RCPT TO:<{recipient}>"), "250");
    }
    say("DATA", "354");
    let reply = say(&format!("{content}\r\n."), "250");
    say("QUIT", "221");
    reply.trim_end().rsplit(' ').next().unwrap().to_owned()
}

/// Submits a message by sendmail(1), which takes every recipient.
pub(crate) fn sendmail(system: &System, sender: &str, recipients: &[&str], content: &str) {
    let mut child = system
        .program("sendmail")
        .args(["-i", "-f", sender, "--"])
        .args(recipients)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(content.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// What became of each recipient: the delivery lines without id, delays and queue ids of others.
pub(crate) fn fates(log: &str) -> BTreeMap<String, Vec<String>> {
    let mut fates: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains(": to=<") && line.contains(" status=")) {
        let (_, rest) = line.split_once(": to=<").unwrap();
        let service = line.split_once('[').unwrap().0.rsplit('/').next().unwrap();
        let recipient = rest.split_once('>').unwrap().0;
        let words =
            rest.split(", ").filter(|word| !word.starts_with("delay=") && !word.starts_with("delays="));
        let text = format!("{service}: <{}", words.collect::<Vec<_>>().join(", "));
        fates.entry(recipient.to_owned()).or_default().push(without_ids(&text));
    }
    fates
}

fn without_ids(text: &str) -> String {
    let mut out = text.to_owned();
    for mark in ["queued as ", "forwarded as "] {
        if let Some(at) = out.find(mark) {
            let from = at + mark.len();
            let length = out[from..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(out.len() - from);
            out.replace_range(from..from + length, "ID");
        }
    }
    out
}
