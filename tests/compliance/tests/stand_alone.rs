//! `sendmail -bs`: SMTP on standard input and output, for programs of users. The same dialogues beside Debian's Postfix:
//! replies, exit codes, log lines, what is left in maildrop, and what arrives.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    machine::{INTERNET_SITE, Machine},
    plain::{Plain, difference},
    system::{PATIENCE, Which, files},
};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

const SETTINGS: &str = "message_size_limit = 20000\nmailbox_size_limit = 0\nsmtpd_soft_error_limit = 20\n\
    smtpd_client_restrictions = reject\nsmtpd_recipient_restrictions = reject\nsmtpd_end_of_data_restrictions = reject\n\
    smtpd_sender_restrictions = reject\nlocal_recipient_maps =\n";

/// A session, with its replies as they come.
struct Talk {
    child: Child,
    to: Option<ChildStdin>,
    lines: Receiver<String>,
    heard: String,
}

impl Talk {
    fn begin(mut command: Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the program starts");
        let (sender, lines) = channel();
        let mut from = BufReader::new(child.stdout.take().expect("a pipe"));
        // Ends with the program.
        thread::spawn(move || {
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let _ = sender.send(String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned());
            }
        });
        let to = child.stdin.take();
        Self { child, to, lines, heard: String::new() }
    }

    fn say(&mut self, text: &[u8]) {
        // A server that has hung up says so in its replies.
        let _ = self.to.as_mut().expect("not closed yet").write_all(text);
    }

    /// One reply, of however many lines.
    fn hear(&mut self) {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else { return };
            let is_last = line.as_bytes().get(3) != Some(&b'-');
            self.keep(&line);
            if is_last {
                return;
            }
        }
    }

    fn keep(&mut self, line: &str) {
        // What this server does not announce yet.
        if !["250-ETRN", "250-DSN"].contains(&line.trim_end()) {
            self.heard += line;
        }
    }

    fn end(mut self) -> String {
        self.to = None;
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.keep(&line);
        }
        let status = self.child.wait().expect("a child");
        let mut errors = String::new();
        let _ = self.child.stderr.take().expect("a pipe").read_to_string(&mut errors);
        // What Postfix's postdrop has not written yet when it gives up is a warning of its own.
        let is_told = |line: &&str| !line.contains("mail_stream_cleanup: close error");
        let errors: Vec<&str> = errors.lines().filter(is_told).collect();
        format!("{}exit {:?} {}", self.heard, status.code(), errors.join("\n"))
    }
}

/// A dialogue: what is said at once, and how many replies are heard then.
type Dialogue = Vec<(Vec<u8>, usize)>;

/// Line by line, waiting for each reply; what stands in `{}` is content.
fn lockstep(text: &str) -> Dialogue {
    let mut dialogue: Dialogue = vec![(Vec::new(), 1)];
    for line in text.lines() {
        match line.strip_prefix('|') {
            Some(content) => {
                let (last, heard) = dialogue.last_mut().expect("something was said");
                if *heard > 0 {
                    dialogue.push((format!("{content}\r\n").into_bytes(), 0));
                } else {
                    last.extend_from_slice(format!("{content}\r\n").as_bytes());
                }
            }
            None => dialogue.push((format!("{line}\r\n").into_bytes(), 1)),
        }
        if line == "|." {
            dialogue.last_mut().expect("something was said").1 = 1;
        }
    }
    dialogue
}

/// All of it at once; the replies are heard at the end.
fn at_once(text: impl Into<Vec<u8>>) -> Dialogue {
    vec![(text.into(), 0)]
}

fn run(command: Command, dialogue: &Dialogue) -> String {
    let mut talk = Talk::begin(command);
    for (text, replies) in dialogue {
        talk.say(text);
        (0..*replies).for_each(|_| talk.hear());
    }
    talk.end()
}

/// Dialogues of a user, by name.
fn dialogues() -> Vec<(&'static str, Dialogue)> {
    let long = "x".repeat(5_000);
    let chunk = |text: &str, last| format!("BDAT {}{last}\r\n{text}", text.len());
    let chunks = [chunk("Subject: bdat", ""), chunk("\r\n\r\none", ""), chunk("\r\ntwo\r\n.\r\n", " LAST")];
    let envelope = "EHLO x\r\nMAIL FROM:<alice>\r\nRCPT TO:<bob>\r\n";
    let bdat = format!("{envelope}{}QUIT\r\n", chunks.concat());
    let large = "Line of a message that is too large.\r\n".repeat(1_000);
    vec![
        (
            "a message to everybody",
            lockstep(&format!(
                "EHLO client.test\nMAIL FROM:<alice@debian.test> BODY=8BITMIME SIZE=100\nRCPT TO:<bob@debian.test>\n\
                 RCPT TO:<nobody-like-this@debian.test>\nRCPT TO:<far@away.example>\nRCPT TO:<@route:bob>\nDATA\n\
                 |Subject: one\n|From: alice\n|\n|..stuffed\n|b\u{fc}cher\n|{long}\n|\n|.\nQUIT"
            )),
        ),
        ("a body alone", lockstep("HELO x\nMAIL FROM:<>\nRCPT TO:<bob>\nDATA\n| indented\n|text\n|.\nQUIT")),
        (
            "an mbox line",
            lockstep("HELO x\nMAIL FROM:<alice>\nRCPT TO:<bob>\nDATA\n|From me today\n|text\n|.\nQUIT"),
        ),
        (
            "a name that is none",
            lockstep("EHLO a (b) <c>\nMAIL FROM:<alice>\nRCPT TO:<bob>\nDATA\n|\n|x\n|.\nQUIT"),
        ),
        (
            "two messages and one that is taken back",
            lockstep(
                "EHLO x\nMAIL FROM:<alice>\nRCPT TO:<bob>\nRSET\nMAIL FROM:<alice>\nRCPT TO:<bob>\nDATA\n|S: 1\n|.\n\
                 MAIL FROM:<alice>\nRCPT TO:<bob>\nRCPT TO:<alice>\nDATA\n|S: 2\n|.\nQUIT",
            ),
        ),
        (
            "UTF-8",
            lockstep(
                "EHLO x\nMAIL FROM:<alice> SMTPUTF8\nRCPT TO:<b\u{f6}b@debian.test>\nDATA\n|Subject: \u{e4}\n|.\nQUIT",
            ),
        ),
        (
            "all at once",
            at_once("EHLO x\r\nMAIL FROM:<alice>\r\nRCPT TO:<bob>\r\nDATA\r\nS: x\r\n\r\nx\r\n.\r\nQUIT\r\n"),
        ),
        ("line feeds alone", at_once("EHLO x\nMAIL FROM:<alice>\nRCPT TO:<bob>\nDATA\nS: x\n\nx\n.\nQUIT\n")),
        ("chunks", at_once(bdat)),
        (
            "errors",
            lockstep(
                "NOOP\nRCPT TO:<bob>\nDATA\nEHLO\nHELO\nMAIL FROM:<a\n\
                 MAIL FROM:<alice> NONSENSE\nMAIL FROM:<alice>\nMAIL FROM:<alice>\nDATA\nRCPT TO:<>\nRCPT\nDATA now\n\
                 VRFY bob\nVRFY\nETRN\nETRN debian.test\nSTARTTLS\nXCLIENT NAME=x\nXFORWARD NAME=x\nRSET now\n\
                 Subject: not SMTP",
            ),
        ),
        ("queue runs are for others", lockstep("EHLO x\nETRN debian.test\nETRN a b\nQUIT")),
        (
            "too large",
            at_once(format!(
                "EHLO x\r\nMAIL FROM:<alice>\r\nRCPT TO:<bob>\r\nDATA\r\n{large}.\r\nMAIL FROM:<alice>\r\nQUIT\r\n"
            )),
        ),
        ("too many errors", at_once(format!("HELO x\r\n{}", "WHAT\r\n".repeat(25)))),
        (
            "the end comes early",
            at_once("EHLO x\r\nMAIL FROM:<alice>\r\nRCPT TO:<bob>\r\nDATA\r\nS: x\r\n\r\nx\r\n"),
        ),
        ("nothing at all", at_once("")),
    ]
}

/// The records of a maildrop file, one a line.
fn records(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while let [kind, more @ ..] = rest {
        let (mut length, mut shift, mut used) = (0, 0, 0);
        for byte in more {
            length |= usize::from(byte & 0x7f) << shift;
            (shift, used) = (shift + 7, used + 1);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let data = &more[used..used + length];
        let shown = if *kind == b'T' { "time".to_owned() } else { data.escape_ascii().to_string() };
        text.push_str(&format!("{} {shown}\n", char::from(*kind)));
        rest = &more[used + length..];
    }
    text
}

/// Lines of smtpd; 3.12 says more about the end of a session than 3.7.
fn smtpd_lines(events: &[String], plain: &Plain) -> Vec<String> {
    let lines = events.iter().filter(|line| line.starts_with("postfix/smtpd: "));
    let lines = lines.map(|line| line.replace("smtpd: NOQUEUE: lost", "smtpd: lost"));
    let lines = lines.map(|line| line.replace("smtpd: NOQUEUE: too many", "smtpd: too many"));
    lines.map(|line| without_id_before_loss(&plain.text(&line))).collect()
}

fn without_id_before_loss(line: &str) -> String {
    match line.split_once(": lost connection") {
        Some((_, rest)) => format!("postfix/smtpd: lost connection{rest}"),
        None => line.to_owned(),
    }
}

/// A machine with settings that replace those of the package; its own ask for TLS, with other words for each of both.
fn installed(which: Which, settings: &str) -> Machine {
    let machine = Machine::new(which, INTERNET_SITE);
    let main_cf = machine.path("etc/postfix/main.cf");
    let text = fs::read_to_string(&main_cf).expect("it was written");
    let name = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let replaced: Vec<String> = settings.lines().map(name).collect();
    let is_kept = |line: &&str| name(line) != "smtpd_tls_security_level" && !replaced.contains(&name(line));
    let kept: String = text.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect();
    fs::write(&main_cf, kept + settings).expect("space");
    machine
}

/// The same, running.
fn running(which: Which, settings: &str) -> Machine {
    let machine = installed(which, settings);
    machine.command("postfix", &["start"]);
    machine.wait_until("port 25 answers", || machine.connect().is_some());
    // That connection has an end, too.
    machine.wait_for_line("disconnect from");
    machine
}

/// The same, stopped after it has run once.
fn stopped(which: Which, settings: &str) -> Machine {
    let machine = installed(which, settings);
    machine.command("postfix", &["start"]);
    machine.command("postfix", &["stop"]);
    machine
}

/// Each dialogue while the system is stopped: replies, log, maildrop. Then it is started, and everybody reads their mail.
fn session_by_session(which: Which) -> Vec<String> {
    let machine = stopped(which, SETTINGS);
    let mut told = Vec::new();
    let maildrop = machine.path("spool/maildrop");
    for (name, dialogue) in dialogues() {
        let seen = machine.events().len();
        let mut command = machine.program_as("alice", "sendmail");
        command.arg("-bs");
        let heard = run(command, &dialogue);
        machine.wait_until("the end is logged", || {
            machine.events()[seen..].iter().any(|line| line.contains("disconnect from"))
        });
        let events = machine.events()[seen..].to_vec();
        let plain = Plain::new(&events.join("\n"));
        told.push(format!("--- {name}\n{}", plain.text(&heard)));
        told.extend(smtpd_lines(&events, &plain));
        let mut left: Vec<String> = files(&maildrop)
            .iter()
            .filter(|path| {
                let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                events.iter().any(|line| line.contains(&id))
            })
            .map(|path| plain.text(&records(&fs::read(path).expect("root reads all"))))
            .collect();
        left.sort();
        told.extend(left);
    }
    let count = files(&maildrop).len();
    told.push(format!("{count} messages"));
    machine.command("postfix", &["start"]);
    machine.wait_until("all is delivered", || {
        let events = machine.events();
        let is_idle = ["maildrop", "incoming", "active"]
            .iter()
            .all(|q| files(&machine.path("spool").join(q)).is_empty());
        is_idle && events.iter().filter(|line| line.contains("pickup: ")).count() >= count
    });
    let plain = Plain::new(&machine.events().join("\n"));
    for user in ["alice", "bob"] {
        let mailbox = fs::read(machine.path(&format!("mail/{user}"))).unwrap_or_default();
        let text = String::from_utf8_lossy(&mailbox).into_owned();
        let mut mails: Vec<String> = plain.text(&text).split("\nFrom ").map(str::to_owned).collect();
        for mail in &mut mails {
            // Postmark and numbers differ; who got what is what counts.
            let body = mail.split_once('\n').map_or("", |(_, body)| body).trim_end().to_owned();
            *mail = body.lines().map(|line| format!("{user}: {}\n", without_number(line))).collect();
        }
        mails.retain(|mail| !mail.contains("multipart/report"));
        mails.sort();
        told.extend(mails);
    }
    told
}

fn without_number(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("ID") {
        text.push_str(before);
        text.push_str("ID");
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    text + rest
}

fn compare(what: &str, story: impl Fn(Which) -> Vec<String>) {
    let (theirs, ours) = (story(Which::Postfix), story(Which::Posthaste));
    assert!(!theirs.is_empty());
    let difference = difference(&ours.join("\n"), &theirs.join("\n"));
    assert!(difference.is_none(), "{what}: {}", difference.unwrap_or_default());
}

#[test]
fn a_user_talks_smtp_to_the_sendmail_command_while_the_system_is_stopped() {
    compare("sessions", session_by_session);
}

/// Postfix's server dies of this one when it does not run as root; a size is remembered from one MAIL to the next there.
#[test]
fn a_message_that_is_announced_as_too_large_is_refused() {
    compare("SIZE", |which| {
        let machine = stopped(which, SETTINGS);
        let mut told = Vec::new();
        for size in [20_001, 20_000] {
            let seen = machine.events().len();
            let mut command = machine.program("sendmail");
            command.arg("-bs");
            told.push(run(command, &lockstep(&format!("EHLO x\nMAIL FROM:<alice> SIZE={size}\nQUIT"))));
            machine.wait_for_line("disconnect from");
            let events = machine.events()[seen..].to_vec();
            told.extend(smtpd_lines(&events, &Plain::new(&events.join("\n"))));
        }
        told
    });
    let machine = stopped(Which::Posthaste, SETTINGS);
    let mut command = machine.program_as("alice", "sendmail");
    command.arg("-bs");
    let heard =
        run(command, &lockstep("EHLO x\nMAIL FROM:<alice> SIZE=20001\nMAIL FROM:<alice> SIZE=1\nQUIT"));
    assert!(heard.contains("552 5.3.4 Message size exceeds fixed limit\r\n250 2.1.0 Ok\r\n"), "{heard}");
}

#[test]
fn who_may_not_submit_mail_may_not_do_it_by_smtp_either() {
    compare("authorized_submit_users", |which| {
        let machine = stopped(which, "authorized_submit_users = !alice, static:all\n");
        let mut told = Vec::new();
        for (user, arguments) in [("alice", "-bs"), ("bob", "-bs"), ("alice", "-t"), ("bob", "-t")] {
            let mut command = machine.program_as(user, "sendmail");
            command.arg(arguments);
            let heard = run(command, &at_once("HELO x\r\nQUIT\r\n"));
            told.push(format!("{user} {arguments}: {heard}"));
        }
        let mut command = machine.program_as("bob", "sendmail");
        command.args(["-bs", "alice"]);
        told.push(run(command, &at_once("QUIT\r\n")));
        told
    });
}

/// sendmail(1): "mail relaying and other access controls are disabled by default. To enable them, run the process as
/// the mail_owner user."
#[test]
fn the_mail_owner_is_under_the_rules_of_the_network() {
    compare("mail_owner", |which| {
        let mut told = Vec::new();
        for settings in ["", "mynetworks = 192.0.2.0/24\n"] {
            let machine = running(which, settings);
            let seen = machine.events().len();
            let mut command = machine.program_as("postfix", "sendmail");
            command.arg("-bs");
            let dialogue = lockstep(
                "EHLO x\nMAIL FROM:<alice@debian.test>\nRCPT TO:<nobody-like-this@debian.test>\nRCPT TO:<x@far.example>\n\
                 RCPT TO:<bob@debian.test>\nRSET\nMAIL FROM:<alice@debian.test>\nRCPT TO:<bob@debian.test>\nDATA\n|S: x\n|.\nQUIT",
            );
            let heard = run(command, &dialogue);
            machine.wait_until("the end is logged", || {
                machine.events()[seen..].iter().any(|line| line.contains("disconnect from"))
            });
            let is_queued = heard.contains("queued as");
            if is_queued {
                machine.wait_for_line("status=sent");
            }
            let events = machine.events()[seen..].to_vec();
            let plain = Plain::new(&events.join("\n"));
            told.push(format!("--- {settings}{}", plain.text(&heard)));
            told.extend(smtpd_lines(&events, &plain));
            let mailbox = fs::read_to_string(machine.path("mail/bob")).unwrap_or_default();
            let mail = mailbox.split_once('\n').map_or("", |(_, mail)| mail);
            told.push(mail.lines().map(|line| without_number(&plain.text(line)) + "\n").collect());
        }
        told
    });
}

/// sendmail(1) `-bd`: "This mode of operation is implemented by executing the \"postfix start\" command."
#[test]
fn daemon_mode_starts_the_system_and_does_not_wait_for_it() {
    compare("-bd", |which| {
        let machine = stopped(which, "");
        let mut told = Vec::new();
        for (user, arguments) in
            [("alice", &["-bd"][..]), ("root", &["-bd", "alice"]), ("root", &["-bd", "-q1h"])]
        {
            let output =
                machine.program_as(user, "sendmail").args(arguments).output().expect("nsenter starts");
            told.push(format!("{user} {arguments:?}: {:?}", output.status.code()));
        }
        machine.wait_until("port 25 answers", || machine.connect().is_some());
        told
    });
}

/// As inetd(8) starts it. What comes from the network is served as mail_owner, or not at all: nobody becomes an open
/// relay by a mistake there.
#[test]
fn a_client_on_the_network_is_served_as_mail_owner_or_not_at_all() {
    compare("inetd", |which| {
        let machine = running(which, "mynetworks = 192.0.2.0/24\n");
        let mut told = Vec::new();
        for user in ["alice", "root", "postfix"] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
            let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
            let (server, _) = listener.accept().expect("somebody has connected");
            let mut command = machine.program_as(user, "sendmail");
            let end = || OwnedFd::from(server.try_clone().expect("a socket"));
            let seen = machine.events().len();
            let child = command.arg("-bs").stdin(end()).stdout(end()).stderr(Stdio::null()).spawn();
            let mut child = child.expect("the program starts");
            // The command holds the other end, too.
            drop((command, server));
            client.set_read_timeout(Some(PATIENCE)).expect("a valid time");
            let mut reader = BufReader::new(client.try_clone().expect("a socket"));
            let mut heard = String::new();
            let _ = reader.read_line(&mut heard);
            for line in
                ["HELO x", "MAIL FROM:<a@far.example>", "RCPT TO:<b@away.example>", "RCPT TO:<bob>", "QUIT"]
            {
                if client.write_all(format!("{line}\r\n").as_bytes()).is_ok() {
                    let _ = reader.read_line(&mut heard);
                }
            }
            let status = child.wait().expect("a child");
            machine.wait_until("its end is logged", || {
                let ends = |line: &String| line.contains("disconnect from") || line.contains("fatal: ");
                machine.events()[seen..].iter().any(ends)
            });
            told.push(format!("{user} {:?} {heard}", status.code()));
            let events = machine.events()[seen..].to_vec();
            told.extend(smtpd_lines(&events, &Plain::new(&events.join("\n"))));
        }
        told
    });
}
