//! Mail into a system, in a network of the test's own, and what became of it.

use compliance::{network, system::System};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

/// Runs `body` in a network of its own whose names are those of `zone`. `test` is the test's full name.
pub(crate) fn alone(test: &str, zone: &str, body: impl FnOnce()) {
    network::alone(test, zone, |_| body());
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
