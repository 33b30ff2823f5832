//! Address verification beside Debian's Postfix: what smtpd says, what probes and their deliveries log, what is
//! remembered, and what `sendmail -bv` reports.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    plain::{Plain, told_alike, without_prose},
    sink::Sink,
    smtp::Client,
    system::{System, Which},
    wire::Talk,
};
use std::{
    io::Write as _,
    net::TcpListener,
    os::unix::fs::symlink,
    process::{Command, Stdio},
};

const KEYWORDS: &[&str] = &["PIPELINING", "SIZE 1000000", "8BITMIME"];

/// Mail for far.test goes to a server that refuses `refused`, puts off `later`, and takes all others.
fn settings(port: u16) -> String {
    format!(
        "transport_maps = inline:{{ far.test=smtp:[127.0.0.1]:{port} }}\nrelay_domains = far.test\n\
         local_recipient_maps =\nunverified_recipient_reject_code = 550\naddress_verify_poll_delay = 1s\n\
         smtp_connection_cache_on_demand = no\n"
    )
}

/// A system with its server, in the order of a story.
struct Stage {
    system: System,
    sink: Sink,
    steps: Vec<String>,
    shown: usize,
}

impl Stage {
    fn start(which: Which, more: &str) -> Self {
        let rules =
            "smtpd_recipient_restrictions = reject_unverified_recipient\naddress_verify_poll_count = 30\n";
        Self::start_with(which, &format!("{rules}{more}"))
    }

    fn start_with(which: Which, more: &str) -> Self {
        let sink = Sink::start(KEYWORDS).expect("a port");
        let system = System::start(which, &format!("{}{more}", settings(sink.port)));
        Self { system, sink, steps: Vec::new(), shown: 0 }
    }

    /// Asks for a recipient of a sender, and waits until `probes` more results are logged.
    fn ask(&mut self, sender: &str, recipient: &str, probes: usize) {
        let mut client = Client::connect(self.system.address()).expect("it listens");
        let mut say = |line: String| client.command(&line).expect("a reply");
        let replies = [say(format!("MAIL FROM:<{sender}>")), say(format!("RCPT TO:<{recipient}>"))];
        say("QUIT".to_owned());
        self.note(&format!("{sender} {recipient}: {}", replies.join(" / ")), probes);
    }

    fn note(&mut self, said: &str, results: usize) {
        let wanted = self.shown + results;
        self.system.wait_until("the results are logged", || self.results().len() >= wanted);
        let results = self.results();
        let new = results.get(self.shown..).unwrap_or_default();
        self.shown = results.len();
        let port = format!(":{}", self.sink.port);
        let mut text = vec![said.to_owned()];
        text.extend(new.iter().cloned());
        self.steps.push(text.join("\n").replace(&port, ":PORT"));
    }

    /// What became of deliveries, without queue ids: their order in the log is chance.
    fn results(&self) -> Vec<String> {
        let log = self.system.log();
        let plain = Plain::new("");
        let of = |line: &str| {
            let line = plain.log_line(line)?;
            let (program, rest) = line.split_once(": ")?;
            let rest = rest.split_once("to=<").map(|(_, rest)| format!("to=<{rest}"))?;
            rest.contains("status=").then(|| format!("{program}: {}", rest.trim_end()))
        };
        log.lines().filter_map(of).collect()
    }

    /// Lines of the log with this text, without times and queue ids.
    fn lines(&self, text: &str) -> Vec<String> {
        let log = self.system.log();
        let plain = Plain::new(&log);
        log.lines().filter(|line| line.contains(text)).filter_map(|line| plain.log_line(line)).collect()
    }

    /// Ends the system, and says what Debian's postmap finds in the cache, without times.
    fn cached(&self) -> String {
        self.system.command("postfix", &["stop"]);
        let table = format!("btree:{}", self.system.path("data/verify_cache").display());
        let output = Command::new("/usr/sbin/postmap").args(["-s", &table]).output().expect("postmap starts");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let without_time = |line: &str| {
            let fields: Vec<&str> = line.splitn(4, ':').collect();
            match fields[..] {
                [key, probed, updated, text] if updated.len() > 8 => format!("{key}:{probed}:TIME:{text}"),
                _ => line.to_owned(),
            }
        };
        let mut lines: Vec<String> = shown.lines().map(without_time).collect();
        lines.retain(|line| !line.starts_with('_'));
        lines.sort();
        lines.join("\n")
    }
}

fn recipients(which: Which) -> Vec<String> {
    let mut stage = Stage::start(which, "");
    stage.ask("s@x.test", "good@far.test", 1);
    stage.ask("s@x.test", "good@far.test", 0);
    stage.ask("s@x.test", "refused@far.test", 1);
    stage.ask("s@x.test", "refused@far.test", 0);
    stage.ask("s@x.test", "later@far.test", 1);
    stage.ask("s@x.test", "Good@far.test", 1);
    stage.ask("s@x.test", "daemon@mx.test", 1);
    stage.ask("s@x.test", "nobody-of-that-name@mx.test", 1);
    stage.ask("s@x.test", "double-bounce@mx.test", 0);
    stage.ask("s@x.test", "postmaster", 0);
    stage.system.command("postfix", &["stop"]);
    stage.system.run();
    stage.ask("s@x.test", "good@far.test", 0);
    stage.ask("s@x.test", "refused@far.test", 0);
    assert!(stage.sink.taken().is_empty(), "nothing is delivered");
    stage.system.wait_until("the queue is empty", || {
        stage.system.queued("active") + stage.system.queued("incoming") + stage.system.queued("deferred") == 0
    });
    let cached = stage.cached();
    stage.steps.push(format!("cached\n{}", cached.replace(&format!(":{}", stage.sink.port), ":PORT")));
    stage.steps.push(format!("rejects\n{}", stage.lines("reject").join("")));
    stage.steps
}

/// A server asks the verify service of the other system.
fn across(which: Which) -> Vec<String> {
    let other = match which {
        Which::Postfix => Which::Posthaste,
        Which::Posthaste => Which::Postfix,
    };
    let mut stage = Stage::start(other, "");
    let asking = System::start(
        which,
        &format!(
            "{}smtpd_recipient_restrictions = reject_unverified_recipient\naddress_verify_poll_count = 30\n\
             address_verify_service_name = other\n",
            settings(stage.sink.port)
        ),
    );
    let service = stage.system.path("spool/private/verify");
    symlink(service, asking.path("spool/private/other")).expect("our own directory");
    for recipient in ["good@far.test", "refused@far.test"] {
        for probes in [1, 0] {
            let reply = Talk::rcpt(asking.address(), recipient);
            let reply = reply.replace(&stage.sink.port.to_string(), "PORT");
            stage.note(&format!("{recipient}: {reply}"), probes);
        }
    }
    stage.steps
}

#[test]
fn each_system_answers_the_other() {
    let told = told_alike(across);
    assert!(told[0].contains("250 2.1.5") && told[2].contains("undeliverable address"), "{told:?}");
}

#[test]
fn recipients_are_probed_once_and_remembered() {
    let told = told_alike(recipients);
    assert!(
        told[0].contains("250 2.1.5 Ok") && told[0].contains("status=deliverable (250 2.1.5 Ok)"),
        "{told:?}"
    );
    assert!(
        told[2].contains("550 5.1.1 <refused@far.test>: Recipient address rejected: undeliverable"),
        "{told:?}"
    );
}

/// Without the rules for recipients, and one question for each recipient.
const ONCE: &str =
    "address_verify_poll_count = 1\nsmtpd_recipient_restrictions = reject_unverified_recipient\n";

fn failures_are_forgotten(which: Which) -> Vec<String> {
    let mut stage = Stage::start_with(
        which,
        &format!("{ONCE}address_verify_map =\naddress_verify_negative_cache = no\n"),
    );
    for recipient in ["refused@far.test", "refused@far.test", "good@far.test", "good@far.test"] {
        let is_known = stage.steps.len() == 3;
        stage.ask("s@x.test", recipient, usize::from(!is_known));
    }
    stage.steps
}

#[test]
fn without_a_memory_for_failures_each_question_is_a_probe() {
    let told = told_alike(failures_are_forgotten);
    assert!(told[1].contains("status=undeliverable-but-not-cached"), "{told:?}");
    assert!(told[3].contains("250 2.1.5 Ok"), "{told:?}");
}

fn silent_server(which: Which) -> Vec<String> {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("it has one").port();
    let more = format!(
        "{ONCE}address_verify_transport_maps = inline:{{far.test=smtp:[127.0.0.1]:{port}}}\nsmtp_helo_timeout = 2s\n"
    );
    let mut stage = Stage::start_with(which, &more);
    stage.ask("s@x.test", "good@far.test", 1);
    stage.ask("s@x.test", "good@far.test", 0);
    drop(silent);
    stage.ask("s@x.test", "other@far.test", 1);
    stage.steps.into_iter().map(|step| step.replace(&format!(":{port}"), ":SILENT")).collect()
}

#[test]
fn a_server_that_says_nothing_costs_its_own_recipients_only() {
    let told = told_alike(silent_server);
    assert!(told[0].contains("Address verification in progress"), "{told:?}");
    assert!(told[1].contains("timed out"), "{told:?}");
}

fn what_would_be_done(which: Which) -> Vec<String> {
    let mut stage = Stage::start(
        which,
        "smtp_address_verify_target = data\nsmtpd_sender_restrictions = reject_unverified_sender\n\
         unverified_sender_reject_code = 550\nalias_maps = texthash:$B/etc/aliases\n\
         virtual_alias_maps = inline:{many@mx.test={a@mx.test, b@mx.test}, {one@mx.test = daemon@mx.test}}\n\
         address_verify_default_transport = error:there is no way out\n\
         address_verify_local_transport = local:x\nvirtual_mailbox_domains = v.test\n\
         virtual_mailbox_maps = inline:{{box@v.test=box} {dir@v.test=dir/}}\nvirtual_mailbox_base = $B/mail\n\
         virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n",
    );
    let aliases = "listed x@far.test, daemon\ncommand \"|/bin/cat\"\n";
    std::fs::write(stage.system.path("etc/aliases"), aliases).expect("space");
    for (sender, recipient, probes) in [
        ("good@far.test", "good@far.test", 1),
        ("refused@far.test", "good@far.test", 1),
        ("elsewhere@nowhere.test", "good@far.test", 1),
        ("", "many@mx.test", 1),
        ("", "one@mx.test", 1),
        ("", "listed@mx.test", 1),
        ("", "command@mx.test", 1),
        ("", "box@v.test", 1),
        ("", "dir@v.test", 1),
    ] {
        stage.ask(sender, recipient, probes);
    }
    assert!(stage.sink.taken().is_empty(), "nothing is delivered");
    stage.steps
}

#[test]
fn each_agent_says_what_it_would_do() {
    let told = told_alike(what_would_be_done);
    assert!(told[1].contains("550 5.1.7 <refused@far.test>: Sender address rejected"), "{told:?}");
    assert!(told[5].contains("aliased to"), "{told:?}");
}

fn reports(which: Which) -> Vec<String> {
    let stage = Stage::start_with(which, "");
    let mut steps = Vec::new();
    for (option, recipients) in [
        ("-bv", "good@far.test refused@far.test later@far.test"),
        ("-bv", "daemon"),
        ("-v", "good@far.test refused@far.test"),
    ] {
        let taken = stage.sink.taken().len();
        let mut command = stage.system.program("sendmail");
        command.args([option, "-f", "s@far.test"]).args(recipients.split(' '));
        let mut child = command.stdin(Stdio::piped()).spawn().expect("sendmail starts");
        child.stdin.take().expect("piped").write_all(b"Subject: x\n\nbody\n").expect("it reads");
        assert!(child.wait().expect("it ends").success(), "{option}");
        let reports = || -> Vec<String> {
            let texts = stage.sink.taken().into_iter().skip(taken);
            texts
                .filter(|taken| taken.mail.starts_with("MAIL FROM:<>"))
                .map(|taken| String::from_utf8_lossy(&taken.content).into_owned())
                .collect()
        };
        let wanted = if option == "-v" { 2 } else { 1 };
        stage.system.wait_until("the reports have come", || reports().len() >= wanted);
        let mut plain: Vec<String> = reports()
            .iter()
            .map(|report| {
                without_prose(&Plain::new(&stage.system.log()).text(report))
                    .replace(&format!(":{}", stage.sink.port), ":PORT")
            })
            .map(|report| {
                report.lines().filter(|line| !line.trim().starts_with("id ID")).collect::<Vec<_>>().join("\n")
            })
            .collect();
        plain.sort();
        steps.push(format!("{option}\n{}", plain.join("\n=====\n")));
    }
    steps
}

#[test]
fn sendmail_reports_what_would_happen_or_has_happened() {
    let told = told_alike(reports);
    assert!(told[0].contains("Action: deliverable") && told[0].contains("Action: undeliverable"), "{told:?}");
    assert!(told[2].contains("Action: relayed"), "{told:?}");
}

/// Puts entries into the table of a system that does not run yet, as Debian's postmap does.
fn remember(system: &System, entries: &[(&str, String)]) {
    let path = system.path("data/verify_cache");
    let text: String = entries.iter().map(|(address, entry)| format!("{address} {entry}\n")).collect();
    std::fs::write(&path, text).expect("space");
    let table = format!("btree:{}", path.display());
    let made = Command::new("/usr/sbin/postmap").arg(&table).status().expect("postmap starts");
    assert!(made.success());
    std::fs::remove_file(&path).expect("our own file");
    let like = format!("--reference={}", system.path("data").display());
    let owned = Command::new("chown").arg(like).arg(path.with_extension("db")).status();
    assert!(owned.expect("chown starts").success());
}

/// What counts of old results, what is probed again, and what the rules make of it.
fn remembered(which: Which) -> Vec<String> {
    const HOUR: u64 = 3600;
    let sink = Sink::start(KEYWORDS).expect("a port");
    let rules = format!(
        "{ONCE}{}unverified_recipient_defer_code = 451\nunverified_recipient_reject_reason = nobody there\n\
         smtpd_sender_restrictions = reject_unverified_sender\nunverified_sender_reject_reason = no such sender\n\
         unverified_sender_reject_code = 550\nunverified_sender_defer_code = 452\naddress_verify_cache_cleanup_interval = 1h\n",
        settings(sink.port)
    );
    let system = System::prepare(which, &rules);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later").as_secs();
    let entry = |status: u8, hours: u64, text: &str| format!("{status}:0:{}:{text}", now - hours * HOUR);
    remember(
        &system,
        &[
            ("a@far.test", entry(0, 24, "250 fine")),
            ("b@far.test", entry(0, 8 * 24, "250 fine a week ago")),
            ("c@far.test", entry(0, 32 * 24, "250 fine last month")),
            ("d@far.test", entry(2, 1, "550 5.1.1 not an hour ago")),
            ("e@far.test", entry(2, 4, "550 5.1.1 not this morning")),
            ("f@far.test", entry(2, 4 * 24, "550 5.1.1 not last week")),
            ("g@far.test", entry(1, 1, "450 4.2.0 later")),
            ("h@far.test", "nonsense".to_owned()),
            ("i@far.test", format!("3:{}:0:Address verification in progress", now - 5)),
            ("j@far.test", format!("3:{}:0:Address verification in progress", now - 1005)),
            ("k@far.test", entry(2, 1, "host said: 550 no")),
        ],
    );
    system.run();
    let mut stage = Stage { system, sink, steps: Vec::new(), shown: 0 };
    // Without the one that is no entry, and those that do not count any more.
    stage.ask("", "a@far.test", 0);
    stage.system.wait_until("old entries are removed", || !cleanups(&stage.system).is_empty());
    stage.steps.push(format!("cleanup\n{}", cleanups(&stage.system).join("\n")));
    for (recipient, probes) in "abcdefghijk".chars().zip([0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 0]) {
        stage.ask("", &format!("{recipient}@far.test"), probes);
    }
    for sender in ["d", "g", "i"] {
        stage.ask(&format!("{sender}@far.test"), "a@far.test", 0);
    }
    stage.steps.push(format!("rejects\n{}", stage.lines("reject").join("")));
    stage.steps
}

/// What is logged of the removal of old entries.
fn cleanups(system: &System) -> Vec<String> {
    let log = system.log();
    log.lines()
        .filter_map(|line| line.split_once(" full cleanup: "))
        .map(|(_, text)| text.to_owned())
        .collect()
}

#[test]
fn old_results_count_for_their_time() {
    let told = told_alike(remembered);
    let text = told.join("\n");
    for reply in [
        "a@far.test: 250 2.1.0 Ok / 250 2.1.5 Ok",
        "550 5.1.1 <d@far.test>: Recipient address rejected: undeliverable address: nobody there",
        "451 4.1.1 <i@far.test>: Recipient address rejected: unverified address: nobody there",
        "550 5.1.7 <d@far.test>: Sender address rejected: undeliverable address: no such sender",
        "452 4.1.7 <g@far.test>: Sender address rejected: unverified address: no such sender",
    ] {
        assert!(text.contains(reply), "{reply} is missing in\n{text}");
    }
}

/// Seconds for which the sender of probes stays.
const STAYS: u64 = 10_000 * 24 * 3600;

/// A sender of probes that changes with time, and who may be written to under such a name.
fn changing(which: Which) -> Vec<String> {
    let more = format!("address_verify_sender = prober\naddress_verify_sender_ttl = {STAYS}s\n");
    let mut stage = Stage::start(which, &more);
    stage.ask("s@x.test", "good@far.test", 1);
    let log = stage.system.log();
    let senders =
        log.lines().filter_map(|line| Some(line.split_once(": from=<")?.1.split_once('>')?.0.to_owned()));
    stage.steps.push(format!("senders\n{}", senders.collect::<Vec<_>>().join(" ")));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later").as_secs();
    let time = now / STAYS;
    for (name, stamp) in [("now", time), ("before", time - 1), ("next", time + 1), ("late", time + 2)] {
        for word in ["prober", "PROBER", "proberX"] {
            let mut client = Client::connect(stage.system.address()).expect("it listens");
            let mut say = |line: String| client.command(&line).expect("a reply");
            let replies = [say("MAIL FROM:<>".to_owned()), say(format!("RCPT TO:<{word}{stamp}@mx.test>"))];
            stage.steps.push(format!("{name} {word}: {}", replies.join(" / ")));
        }
    }
    stage.steps
}

#[test]
fn senders_of_probes_change_and_are_known() {
    let told = told_alike(changing);
    assert!(told[2].starts_with("now prober: 250 2.1.0 Ok / 250 2.1.5 Ok"), "{told:?}");
    assert!(told.iter().any(|step| step.starts_with("next prober: 250 2.1.0 Ok / 250 2.1.5 Ok")), "{told:?}");
}
