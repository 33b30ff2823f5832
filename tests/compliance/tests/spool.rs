//! One spool, two systems: what one accepted and delivered in part, the other lists, reads and delivers to the end,
//! to the remaining recipients and to nobody else.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use compliance::{
    smtp::{Client, Sink, queue_id},
    system::{System, Which, files},
};
use std::{
    io::Write,
    process::Stdio,
    time::{Duration, Instant},
};

/// `postfix stop` waits five seconds, then becomes less polite, and is done within ten.
const STOP_LIMIT: Duration = Duration::from_secs(8);

fn settings(sink: &Sink) -> String {
    let port = sink.address.port();
    format!(
        "relay_domains = sink.test\ntransport_maps = inline:{{ sink.test=smtp:[127.0.0.1]:{port} }}\n\
         relay_recipient_maps =\nsmtp_tls_security_level = none\nmessage_drop_headers =\n"
    )
}

fn message(name: &str) -> String {
    format!("From: a@client.test\r\nSubject: {name}\r\n\r\n.a dot first\r\nend of {name}")
}

/// Sends a message that has the name of its first recipient, and returns its queue id.
fn send(system: &System, recipients: &[&str]) -> String {
    let mut client = Client::connect(system.address()).expect("the server listens");
    let text = message(recipients[0]).replace("\r\n.", "\r\n..");
    let reply = client.send("a@client.test", recipients, &text).expect("a reply");
    queue_id(&reply).unwrap_or_else(|| panic!("{reply}"))
}

/// A spool in which messages are in all states.
struct Spool {
    /// One recipient is left of three.
    partly_done: String,
    held: String,
    /// Was being delivered when the system was stopped.
    active: String,
}

fn fill(system: &System, sink: &Sink) -> Spool {
    sink.put_off(&["later@sink.test", "held@sink.test"]);
    sink.stall(&["stalled@sink.test"]);
    send(system, &["at-once@sink.test"]);
    let partly_done = send(system, &["first@sink.test", "later@sink.test", "last@sink.test"]);
    let held = send(system, &["held@sink.test"]);
    system.wait_until("two messages are deferred", || system.queued("deferred") == 2);
    system.command("postsuper", &["-h", &held]);
    let active = send(system, &["stalled@sink.test", "behind@sink.test"]);
    system.wait_until("one is being delivered", || system.queued("active") == 1);
    let begun = Instant::now();
    system.command("postfix", &["stop"]);
    assert!(begun.elapsed() < STOP_LIMIT, "stopped after {:?}\n{}", begun.elapsed(), system.log());
    submit(system, "dropped@sink.test");
    Spool { partly_done, held, active }
}

/// What a local user sends while the system is down waits in maildrop.
fn submit(system: &System, recipient: &str) {
    let mut sendmail = system.program("sendmail");
    sendmail.args(["-f", "a@client.test", recipient]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = sendmail.spawn().expect("the program starts");
    let text = message(recipient).replace("\r\n", "\n");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(system.queued("maildrop"), 1);
}

fn names(system: &System) -> Vec<std::path::PathBuf> {
    let queues = ["maildrop", "incoming", "active", "deferred", "hold", "defer", "bounce", "corrupt"];
    let mut names: Vec<_> =
        queues.iter().flat_map(|queue| files(&system.path("spool").join(queue))).collect();
    names.sort();
    names
}

fn text(system: &System, program: &str, arguments: &[&str]) -> String {
    String::from_utf8_lossy(&system.command(program, arguments).stdout).into_owned()
}

/// The tools of the successor read the predecessor's spool.
fn inspect(predecessor: &System, successor: &System, spool: &Spool) {
    let listing = text(successor, "postqueue", &["-p"]);
    for word in [
        &spool.partly_done,
        &spool.held,
        &spool.active,
        "later@sink.test",
        "450 4.2.1 Not now",
        "dropped@sink.test",
    ] {
        assert!(listing.contains(word), "{word} is not in the listing:\n{listing}");
    }
    for gone in ["first@sink.test", "last@sink.test", "at-once@sink.test"] {
        assert!(!listing.contains(gone), "{gone} is in the listing:\n{listing}");
    }
    let shown = text(successor, "postcat", &["-q", &spool.partly_done]);
    for line in ["recipient: later@sink.test", "done_recipient: first@sink.test", "Subject: first@sink.test"]
    {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not shown:\n{shown}");
    }
    let before = names(predecessor);
    successor.command("postsuper", &["-s"]);
    assert_eq!(names(predecessor), before, "postsuper -s has renamed something");
}

fn hand_over(from: Which, to: Which) {
    let sink = Sink::start().expect("a port");
    let settings = settings(&sink);
    let predecessor = System::start(from, &settings);
    let spool = fill(&predecessor, &sink);
    let queue = predecessor.path("spool");
    let successor = System::prepare(to, &format!("{settings}queue_directory = {}\n", queue.display()));
    inspect(&predecessor, &successor, &spool);
    sink.put_off(&[]);
    sink.stall(&[]);
    successor.run();
    successor.command("postqueue", &["-f"]);
    let is_drained =
        || ["maildrop", "incoming", "active", "deferred"].iter().all(|q| predecessor.queued(q) == 0);
    successor.wait_until("all but the held message is delivered", is_drained);
    assert_eq!(predecessor.queued("hold"), 1);
    successor.command("postsuper", &["-H", &spool.held]);
    successor.command("postqueue", &["-f"]);
    successor.wait_until("the held message is delivered", || predecessor.queued("hold") == 0 && is_drained());
    let left: Vec<_> = names(&predecessor);
    assert!(left.is_empty(), "{left:?} is left\n{}", successor.log());
    check_deliveries(&sink, &successor);
}

/// Every recipient once, with the whole text.
fn check_deliveries(sink: &Sink, successor: &System) {
    let mut delivered = Vec::new();
    for taken in sink.taken() {
        let body = taken.text.split_once("\n\n").map_or("", |(_, body)| body);
        let (first, rest) = body.split_once('\n').unwrap_or_default();
        assert_eq!(first, ".a dot first", "{}", taken.text);
        let name = rest.trim_end().strip_prefix("end of ").unwrap_or_else(|| panic!("{}", taken.text));
        assert!(taken.text.contains(&format!("Subject: {name}\n")), "{}", taken.text);
        delivered.extend(taken.recipients);
    }
    delivered.sort();
    let expected = ["at-once", "behind", "dropped", "first", "held", "last", "later", "stalled"]
        .map(|n| format!("{n}@sink.test"));
    assert_eq!(delivered, expected, "{}", successor.log());
}

/// Many deliveries of one message that fail at the same moment write to one log: each waits for the others.
#[test]
fn no_record_of_simultaneous_failures_is_lost() {
    const DESTINATIONS: usize = 20;
    let routes: String = (1..=DESTINATIONS).map(|n| format!("d{n}.test=smtp:[127.0.0.{n}]:1, ")).collect();
    let domains: String = (1..=DESTINATIONS).map(|n| format!("d{n}.test ")).collect();
    let system = System::start(
        Which::Posthaste,
        &format!(
            "relay_domains = {domains}\nrelay_recipient_maps =\ntransport_maps = inline:{{ {routes} }}\n\
             smtpd_recipient_limit = 100\n"
        ),
    );
    let recipients: Vec<String> = (1..=DESTINATIONS).map(|n| format!("u@d{n}.test")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    send(&system, &recipients);
    system.wait_until("the message is deferred", || system.queued("deferred") == 1);
    let logs = files(&system.path("spool/defer"));
    let text = std::fs::read_to_string(&logs[0]).expect("a defer log");
    for recipient in recipients {
        assert_eq!(
            text.matches(&format!("\nrecipient={recipient}\n")).count(),
            1,
            "{text}\n{}",
            system.log()
        );
    }
    assert!(!system.log().contains("warning: "), "{}", system.log());
}

#[test]
fn postfix_delivers_the_rest_of_our_spool() {
    hand_over(Which::Posthaste, Which::Postfix);
}

#[test]
fn we_deliver_the_rest_of_postfix_s_spool() {
    hand_over(Which::Postfix, Which::Posthaste);
}

#[test]
fn we_deliver_the_rest_of_our_own_spool() {
    hand_over(Which::Posthaste, Which::Posthaste);
}
