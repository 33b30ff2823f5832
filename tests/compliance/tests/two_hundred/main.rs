//! The same two hundred messages through both systems: what comes out, to a next hop and into mailboxes, is the
//! same to the byte, but for queue ids, and for dates and times of the day of the run.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod mails;

use compliance::{
    client::Client,
    sink::{Sink, Taken},
    system::{System, Which, files},
};
use mails::{By, Mail};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    process::Stdio,
};

/// What a system did with all the mail.
#[derive(Default)]
struct Outcome {
    /// For each message, the replies.
    replies: Vec<String>,
    /// Each copy: where it went, and the bytes.
    copies: Vec<(String, Vec<u8>)>,
    /// What the log says of each delivery, without its times.
    deliveries: Vec<String>,
}

const SETTINGS: &str = "
    relay_domains = relay.test, bare.test
    relay_transport = smtp:[127.0.0.1]:ABLE
    default_transport = smtp:[127.0.0.1]:ABLE
    transport_maps = inline:{bare.test=smtp:[127.0.0.1]:BARE}
    relay_recipient_maps =
    virtual_mailbox_domains = box.test
    virtual_mailbox_base = $B/mail
    virtual_mailbox_maps = texthash:$B/etc/boxes
    virtual_uid_maps = static:65534
    virtual_gid_maps = static:65534
    virtual_alias_domains = alias.test, catch.test, moved.test
    virtual_alias_maps = texthash:$B/etc/virtual
    alias_maps = texthash:$B/etc/aliases
    local_recipient_maps = inline:{nobody=x, team=x}
    mail_spool_directory = $B/mail/spool/
    recipient_delimiter = +
    smtpd_forbid_bare_newline = normalize
    smtpd_discard_ehlo_keywords = silent-discard, dsn
    smtpd_forbid_bare_newline_exclusions =
    smtpd_peername_lookup = no
    smtpd_error_sleep_time = 0
    smtpd_hard_error_limit = 1000
    smtpd_junk_command_limit = 1000
    smtputf8_enable = yes
    in_flow_delay = 0
    bounce_template_file = $B/etc/bounce.cf
";

const VIRTUAL: &str = "one@alias.test one@box.test\nlist@alias.test l1@relay.test, l2@box.test, one@alias.test\n\
                       @catch.test catchall@box.test\n@moved.test @relay.test\n";

/// The words of the built-in notifications differ; what stands around them does not.
const BOUNCE: &str = "failure_template = <<EOF\nCharset: us-ascii\nFrom: MAILER-DAEMON (Mail System)\n\
                      Subject: Returned\nPostmaster-Subject: Copy\n\nIt did not arrive.\nEOF\n";

/// What the next hops announce: one can everything that Debian's 3.7 uses, the other next to nothing.
const ABLE: &[&str] = &["PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN"];
const BARE: &[&str] = &["8BITMIME"];

fn run(which: Which, mails: &[Mail]) -> Outcome {
    let (able, bare) = (Sink::start(ABLE).unwrap(), Sink::start(BARE).unwrap());
    let settings = SETTINGS.replace("\n    ", "\n");
    let settings = settings.replace("ABLE", &able.port.to_string()).replace("BARE", &bare.port.to_string());
    let system = System::prepare(which, &settings);
    fs::write(system.path("etc/boxes"), boxes(mails)).unwrap();
    fs::write(system.path("etc/bounce.cf"), BOUNCE).unwrap();
    fs::write(system.path("etc/virtual"), VIRTUAL).unwrap();
    fs::write(system.path("etc/aliases"), "team nobody, team1@relay.test, team2@box.test\n").unwrap();
    system.run();
    let mut outcome = Outcome::default();
    for some in mails.chunks(25) {
        outcome.replies.extend(send(&system, some));
    }
    let queues = ["maildrop", "incoming", "active", "deferred"];
    system.wait_until("the queue is empty", || queues.iter().all(|queue| system.queued(queue) == 0));
    let ids = queue_ids(&system.log());
    outcome.replies.iter_mut().for_each(|replies| *replies = without_ids(replies, &ids));
    for (sink, name) in [(&able, "able"), (&bare, "bare")] {
        outcome.copies.extend(sink.taken().iter().map(|taken| relayed(name, taken, &ids)));
    }
    let mail = system.path("mail");
    for file in files(&mail) {
        let mailbox = file.parent().unwrap().strip_prefix(&mail).unwrap().display().to_string();
        outcome.copies.push((mailbox, normalised(&fs::read(&file).unwrap(), &ids)));
    }
    outcome.copies.sort();
    let log = system.log().replace(&able.port.to_string(), "ABLE").replace(&bare.port.to_string(), "BARE");
    outcome.deliveries = log.lines().filter_map(|line| delivery(&without_ids(line, &ids))).collect();
    outcome.deliveries.sort();
    outcome
}

/// A mailbox for every recipient that has one.
fn boxes(mails: &[Mail]) -> String {
    let named = ["one", "l2", "team2", "catchall", "t2", "secret", "plus", "same"].map(str::to_owned);
    let all = mails.iter().flat_map(|mail| &mail.recipients);
    let all =
        all.filter_map(|recipient| recipient.to_lowercase().strip_suffix("@box.test").map(str::to_owned));
    let all: BTreeSet<String> = all.chain(named).filter(|name| !name.contains('+')).collect();
    all.iter().map(|name| format!("{name}@box.test {name}/\n")).collect()
}

/// `to=<...>, relay=..., dsn=..., status=...`, if the line tells of a delivery.
fn delivery(line: &str) -> Option<String> {
    let (_, text) = line.split_once(": to=<")?;
    let (before, rest) = text.split_once(", delay=")?;
    // How many deliveries shared a connection is a matter of the moment.
    let before = before.split(", conn_use=").next()?;
    Some(format!("to=<{before}, {}", rest.get(rest.find("dsn=")?..)?))
}

/// Sends messages, in one session as far as they come by SMTP.
fn send(system: &System, mails: &[Mail]) -> Vec<String> {
    let mut client = Client::connect(system.address()).unwrap();
    let mut all = Vec::new();
    for mail in mails {
        let replies = match &mail.by {
            By::Sendmail(options) => submit(system, options, mail),
            By::Data => {
                let mut replies = client.envelope(&mail.mail, &mail.recipients, b"DATA\r\n").unwrap();
                if replies.last().unwrap().starts_with("354") {
                    replies.push(client.content(&mail.content).unwrap());
                }
                replies.push(client.say(b"RSET\r\n").unwrap());
                replies
            }
            By::Chunks(size) => {
                let mut replies = client.envelope(&mail.mail, &mail.recipients, b"").unwrap();
                replies.extend(client.chunks(&mail.content, *size).unwrap());
                replies.push(client.say(b"RSET\r\n").unwrap());
                replies
            }
        };
        all.push(replies.join("\n"));
    }
    client.say(b"QUIT\r\n").unwrap();
    all
}

fn submit(system: &System, options: &[String], mail: &Mail) -> Vec<String> {
    let mut command = system.program("sendmail");
    command.args(options).args(["--"]).args(&mail.recipients).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let content: Vec<u8> = mail
        .content
        .split_inclusive(|&byte| byte == b'\n')
        .flat_map(|line| local_line(line).to_vec())
        .collect();
    // A program that has read enough may close its input.
    let _ = child.stdin.take().unwrap().write_all(&content);
    let output = child.wait_with_output().unwrap();
    vec![format!("{:?} {}", output.status.code(), String::from_utf8_lossy(&output.stderr))]
}

/// A line as local programs write it.
fn local_line(line: &[u8]) -> Vec<u8> {
    match line.strip_suffix(b"\r\n") {
        Some(text) => [text, b"\n"].concat(),
        None => line.to_vec(),
    }
}

/// All ids in a log, the longest first.
fn queue_ids(log: &str) -> Vec<String> {
    let words = log.split(|c: char| !c.is_ascii_alphanumeric());
    let ids: BTreeSet<String> = words
        .filter(|word| (9..=18).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_hexdigit()))
        .map(str::to_owned)
        .collect();
    ids.into_iter().rev().collect()
}

fn without_ids(text: &str, ids: &[String]) -> String {
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    words
        .map(|word| match word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()) {
            id if ids.binary_search_by(|other| id.cmp(other)).is_ok() => word.replacen(id, "ID", 1),
            _ => word.to_owned(),
        })
        .collect()
}

/// A message at the next hop. The announced size is that of the content with its queue id: only the difference
/// to what came counts.
fn relayed(name: &str, taken: &Taken, ids: &[String]) -> (String, Vec<u8>) {
    let mut mail = taken.mail.clone();
    if let Some((before, rest)) = mail.split_once(" SIZE=") {
        let (size, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let size: i64 = size.parse().unwrap();
        let difference = size - i64::try_from(taken.content.len()).unwrap();
        mail = format!("{before} SIZE=content+({difference}) {after}");
    }
    let mail = without_ids(&mail, ids);
    (format!("{name}: {mail} {}", taken.recipients.join(" ")), normalised(&taken.content, ids))
}

/// Without ids, and without dates of today: those of the messages are all of 1999. A boundary of a notification has the
/// time in seconds; a message id that was added has the time.
fn normalised(content: &[u8], ids: &[String]) -> Vec<u8> {
    let mut text = String::new();
    // One character for each byte, so that nothing is lost.
    let chars: String = content.iter().map(|&byte| char::from(byte)).collect();
    for line in without_ids(&chars, ids).split_inclusive('\n') {
        text.push_str(&without_time(line));
    }
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

fn without_time(line: &str) -> String {
    let days = ["Mon, ", "Tue, ", "Wed, ", "Thu, ", "Fri, ", "Sat, ", "Sun, "];
    let date = days.iter().find_map(|day| line.find(day)).filter(|_| !line.contains(" 1999 "));
    if let Some(at) = date
        && let Some((_, zone_name)) = line[at..].split_once(" (")
    {
        return format!("{}DATE ({zone_name}", &line[..at]);
    }
    if let Some((before, id)) = line.split_once("<20")
        && let Some((digits, rest)) = id.split_once(".ID@")
        && digits.len() == 12
    {
        return format!("{before}<TIME.ID@{rest}");
    }
    match (line.split_once("ID."), line.split_once("/mx.test")) {
        (Some((before, _)), Some((_, after))) => format!("{before}ID.TIME/mx.test{after}"),
        _ => line.to_owned(),
    }
}

/// What is different, from a little before where it begins.
fn difference(theirs: &[u8], ours: &[u8]) -> String {
    let at = theirs.iter().zip(ours).position(|(a, b)| a != b).unwrap_or(theirs.len().min(ours.len()));
    let show =
        |bytes: &[u8]| bytes[at.saturating_sub(60)..bytes.len().min(at + 120)].escape_ascii().to_string();
    format!("  at byte {at}\n  theirs: {}\n  ours:   {}", show(theirs), show(ours))
}

fn by_place(outcome: &Outcome) -> BTreeMap<&str, Vec<&[u8]>> {
    let mut places: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
    for (place, copy) in &outcome.copies {
        places.entry(place).or_default().push(copy);
    }
    places
}

fn differences(theirs: &Outcome, ours: &Outcome, mails: &[Mail]) -> Vec<String> {
    let mut found = Vec::new();
    for ((theirs, ours), mail) in theirs.replies.iter().zip(&ours.replies).zip(mails) {
        if theirs != ours {
            let what = difference(theirs.as_bytes(), ours.as_bytes());
            found.push(format!("{:?} {} to {:?}\n{what}", mail.by, mail.mail, mail.recipients));
        }
    }
    let (theirs, ours) = (by_place(theirs), by_place(ours));
    for (place, copies) in &theirs {
        match ours.get(place) {
            Some(other) if other.len() == copies.len() => {
                let unequal = copies.iter().zip(other).filter(|(a, b)| a != b);
                found.extend(unequal.map(|(a, b)| format!("{place}\n{}", difference(a, b))));
            }
            other => {
                found.push(format!("{place}: theirs {}, ours {}", copies.len(), other.map_or(0, Vec::len)));
            }
        }
    }
    found.extend(
        ours.keys().filter(|place| !theirs.contains_key(*place)).map(|place| format!("{place}: ours only")),
    );
    found
}

#[test]
fn what_comes_out_is_the_same() {
    let mails = mails::all();
    assert!(mails.len() >= 200, "{} messages", mails.len());
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| run(Which::Postfix, &mails));
        let ours = run(Which::Posthaste, &mails);
        (theirs.join().unwrap(), ours)
    });
    assert_eq!(ours.deliveries, theirs.deliveries);
    println!("{} messages, {} copies", mails.len(), theirs.copies.len());
    let differences = differences(&theirs, &ours, &mails);
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
