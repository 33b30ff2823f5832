//! Debian's pflogsumm counts the same in the logs of both systems after the same mail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use compliance::{
    client::Client,
    sink::Sink,
    system::{System, Which},
};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    process::{Command, Stdio},
};

const SETTINGS: &str = "relay_domains = relay.test, sender.test\nrelay_transport = smtp:[127.0.0.1]:PORT\nrelay_recipient_maps =\n\
    virtual_mailbox_domains = box.test\nvirtual_mailbox_base = $B/mail\nvirtual_mailbox_maps = inline:{joe@box.test=joe/,jane@box.test=jane/}\n\
    virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\nvirtual_alias_domains = alias.test\n\
    virtual_alias_maps = inline:{both@alias.test=joe@box.test}\nalias_maps = texthash:$B/etc/aliases\n\
    local_recipient_maps = inline:{team=x,nobody=x}\nmail_spool_directory = $B/mail/spool/\n\
    smtpd_peername_lookup = no\nsmtpd_error_sleep_time = 0\nin_flow_delay = 0\n\
    smtpd_forbid_bare_newline = normalize\n";

/// Sender and recipients of each message; some are refused at once, at the next hop, or put off there.
const MAILS: &[(&str, &[&str])] = &[
    ("a@sender.test", &["joe@box.test"]),
    ("a@sender.test", &["joe@box.test", "jane@box.test", "far@relay.test"]),
    ("b@sender.test", &["both@alias.test"]),
    ("b@sender.test", &["unknown@alias.test", "joe@box.test"]),
    ("c@sender.test", &["nobody@alias.test", "who@box.test", "who@mx.test"]),
    ("c@sender.test", &["refused@relay.test"]),
    ("d@sender.test", &["refused@relay.test", "far@relay.test"]),
    ("d@sender.test", &["later@relay.test"]),
    ("e@sender.test", &["later@relay.test", "jane@box.test"]),
    ("", &["joe@box.test"]),
    ("f@sender.test", &["team@mx.test"]),
    ("f@sender.test", &["nobody@mx.test", "x@relay.test", "y@relay.test"]),
];

fn report(which: Which) -> String {
    let sink = Sink::start(&["PIPELINING", "8BITMIME", "SIZE"]).unwrap();
    let system = System::prepare(which, &SETTINGS.replace("PORT", &sink.port.to_string()));
    fs::write(system.path("etc/aliases"), "team nobody, far@relay.test\n").unwrap();
    system.run();
    let mut client = Client::connect(system.address()).unwrap();
    for (n, (sender, recipients)) in MAILS.iter().enumerate() {
        let recipients: Vec<String> = recipients.iter().map(|recipient| (*recipient).to_owned()).collect();
        let replies = client.envelope(&format!("MAIL FROM:<{sender}>"), &recipients, b"DATA\r\n").unwrap();
        if replies.last().unwrap().starts_with("354") {
            let line = format!("{}\r\n", "x".repeat(70));
            client.content(format!("Subject: {n}\r\n\r\n{}", line.repeat(n * 10)).as_bytes()).unwrap();
        }
        client.say(b"RSET\r\n").unwrap();
    }
    client.say(b"QUIT\r\n").unwrap();
    let mut sendmail = system.program("sendmail");
    let mut child =
        sendmail.args(["-f", "g@sender.test", "jane@box.test"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"Subject: local\n\nbody\n").unwrap();
    assert!(child.wait().unwrap().success());
    let busy = ["maildrop", "incoming", "active"];
    system.wait_until("what can be delivered is, and two messages are deferred", || {
        busy.iter().all(|queue| system.queued(queue) == 0) && system.queued("deferred") == 2
    });
    system.wait_until("the session is logged", || {
        system.log().contains("disconnect from unknown[127.0.0.1] ehlo=1")
    });
    let output = Command::new("pflogsumm").arg(system.path("maillog")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).replace(&sink.port.to_string(), "PORT")
}

/// The numbers of the first section, by what they count.
fn totals(report: &str) -> BTreeMap<&str, u64> {
    let lines = report.lines().skip_while(|line| !line.starts_with("Grand Totals"));
    let lines = lines.take_while(|line| !line.starts_with("Per-"));
    let numbers = lines.filter_map(|line| {
        let (number, name) = line.trim().split_once(' ')?;
        // How many percent were refused follows the name.
        Some((name.split('(').next()?.trim(), number.parse().ok()?))
    });
    numbers.collect()
}

/// Sections whose lines do not depend on the moment: who sent and got how much, and why not.
fn sections(report: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut title = "";
    for (line, next) in report.lines().zip(report.lines().skip(1)) {
        if next.starts_with("---") {
            title = line;
        } else if !line.starts_with("---") && !line.trim().is_empty() {
            sections.entry(title).or_default().push(line);
        }
    }
    let depends = |title: &str| {
        title.starts_with("Per-")
            || title.starts_with("Grand")
            || title.contains("Summary")
            || title.contains("size")
            || title.is_empty()
    };
    sections.retain(|title, _| !depends(title));
    sections.values_mut().for_each(|lines| lines.sort_unstable());
    sections
}

/// seed: S128, S149
#[test]
fn pflogsumm_counts_the_same() {
    let (theirs, ours) = (report(Which::Postfix), report(Which::Posthaste));
    let (mut their_totals, mut our_totals) = (totals(&theirs), totals(&ours));
    // A message is as much longer as its queue id is, of which there may be two in it.
    for name in ["bytes received", "bytes delivered"] {
        let (theirs, ours) = (their_totals.remove(name).unwrap(), our_totals.remove(name).unwrap());
        assert!(theirs > 10_000 && theirs.abs_diff(ours) < 200, "{name}: {theirs} and {ours}");
    }
    assert_eq!(our_totals, their_totals, "{theirs}\n{ours}");
    for name in
        ["received", "delivered", "forwarded", "deferred", "bounced", "rejected", "senders", "recipients"]
    {
        assert!(our_totals.get(name).is_some_and(|count| *count > 0), "{name}: {our_totals:?}");
    }
    let their_sections = sections(&theirs);
    assert!(their_sections.len() >= 5, "{:?}", their_sections.keys());
    assert_eq!(sections(&ours), their_sections);
}
