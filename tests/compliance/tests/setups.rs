//! The settings that published set-up guides give, all in one Debian installation: what its clients, its users and its next
//! hop see of them, beside Debian's Postfix.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    machine::{INTERNET_SITE, Machine},
    plain::{Plain, told_alike},
    sink::Sink,
    system::{Which, files},
    wire::Talk,
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
};

const SETTINGS: &str = "\
myhostname = mail.example.test
myorigin = $mydomain
mydestination = $myhostname, localhost.$mydomain, localhost, $mydomain, hash:/etc/postfix/here, /etc/postfix/more
relay_domains = branch.test, hash:/etc/postfix/relays
mynetworks_style = host
inet_interfaces = 127.0.0.1, three.example.test
inet_protocols = ipv4
smtpd_banner = $myhostname ESMTP Why, hello there!
home_mailbox = Maildir/
always_add_missing_headers = yes
disable_vrfy_command = no
smtpd_discard_ehlo_keywords = silent-discard, etrn, starttls, dsn
";

const SUBMISSION: &str = "submission inet n - y - - smtpd\n  -o syslog_name=postfix/submission\n  \
    -o smtpd_client_restrictions=permit_mynetworks,reject\n  -o smtpd_banner=$myhostname\n  -o smtpd_delay_reject=no\n";

/// The host for others, and one that is none of its addresses.
const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const ALSO_HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

fn prepare(which: Which, more: &str) -> Machine {
    let machine = Machine::new(which, INTERNET_SITE);
    machine.command("/sbin/ip", &["address", "add", "127.0.0.3/8", "dev", "lo"]);
    let settings = format!("{SETTINGS}{more}");
    let name = |line: &str| line.split_once('=').map(|(name, _)| name.trim().to_owned());
    let is_kept = |line: &&str| {
        name(line).is_none_or(|of| {
            of != "mynetworks" && !settings.lines().any(|own| name(own).as_ref() == Some(&of))
        })
    };
    let main_cf = machine.path("etc/postfix/main.cf");
    let text = fs::read_to_string(&main_cf).expect("a text file");
    let text: String = text.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect();
    fs::write(&main_cf, text + &settings).expect("space");
    let etc = |name: &str| machine.path("etc").join(name);
    for (name, text) in [
        ("postfix/here", "listed.test anything\n"),
        ("postfix/more", "# our other names\nfiled.test\n"),
        ("postfix/relays", "office.test anything\n"),
        ("hosts", "127.0.0.1 localhost\n127.0.0.3 three.example.test\n"),
    ] {
        fs::write(etc(name), text).expect("space");
    }
    let rows = fs::read_to_string(etc("postfix/master.cf")).expect("a text file");
    fs::write(etc("postfix/master.cf"), rows + SUBMISSION).expect("space");
    machine.command("/usr/sbin/postmap", &["hash:/etc/postfix/here", "hash:/etc/postfix/relays"]);
    machine.command("postfix", &["start"]);
    machine.wait_until("port 25 answers", || machine.connect().is_some());
    machine
}

/// The replies to each line, the greeting first; nothing where nobody listens.
fn talk(machine: &Machine, (from, to, port): (Ipv4Addr, Ipv4Addr, u16), lines: &[&str]) -> Vec<String> {
    let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
    machine.inside(move || {
        let Ok(mut talk) = Talk::from(from, SocketAddr::from((to, port))) else { return Vec::new() };
        let mut replies = vec![talk.reply().unwrap_or_default()];
        replies.extend(lines.iter().map(|line| talk.say(line)));
        replies
    })
}

const RECIPIENTS: [&str; 11] = [
    "alice@mail.example.test",
    "alice@example.test",
    "alice@localhost.example.test",
    "alice@listed.test",
    "alice@filed.test",
    "alice",
    "nobody-x@example.test",
    "x@branch.test",
    "x@sub.branch.test",
    "x@office.test",
    "x@elsewhere.test",
];

/// What each client is told at each door.
fn doors(which: Which) -> Vec<String> {
    let machine = prepare(which, "");
    let mut seen = Vec::new();
    let rcpt: Vec<String> = RECIPIENTS.iter().map(|recipient| format!("RCPT TO:<{recipient}>")).collect();
    let mut lines = vec!["EHLO client.test", "MAIL FROM:<me@sender.test>"];
    lines.extend(rcpt.iter().map(String::as_str));
    for from in [HERE, ALSO_HERE, STRANGER] {
        for (to, port) in [(HERE, 25), (ALSO_HERE, 25), (STRANGER, 25), (HERE, 587)] {
            let replies = talk(&machine, (from, to, port), &lines).join("\n");
            seen.push(format!("{from} to {to} port {port}\n{replies}"));
        }
    }
    let refused = machine.wait_for_line("postfix/submission/smtpd: NOQUEUE: reject: CONNECT");
    seen.push(format!("the submission service's log\n{refused}"));
    seen
}

/// seed: S028, S070, S071, S072, S074, S075, S076, S079
#[test]
fn doors_open_for_those_whom_the_settings_name() {
    let told = told_alike(doors);
    let of = |start: &str| told.iter().find(|step| step.starts_with(start)).expect("a step");
    assert!(of("127.0.0.1 to 127.0.0.3 port 25").contains("220 mail.example.test ESMTP Why, hello there!"));
    assert!(of("127.0.0.9 to 127.0.0.1 port 25").contains("Relay access denied"), "{told:?}");
    assert!(of("127.0.0.9 to 127.0.0.1 port 587").contains("554 5.7.1"), "{told:?}");
    assert!(!of("127.0.0.1 to 127.0.0.1 port 25").contains("Relay access denied"), "{told:?}");
}

fn headers(message: &str) -> String {
    let header = message.split("\n\n").next().unwrap_or_default();
    let lines = header.lines().filter(|line| !line.starts_with([' ', '\t']));
    lines.map(|line| line.split(':').next().unwrap_or_default().to_owned() + "\n").collect()
}

/// A mail without most of its header from a local user to another and to somebody far away.
fn mail(which: Which) -> Vec<String> {
    let machine = prepare(which, "relayhost = [127.0.0.1]:2525\n");
    let sink = machine.inside(|| Sink::start_at(SocketAddr::from((HERE, 2525)), &[])).expect("a free port");
    let command = |to: &str| {
        let mut command = machine.program_as("alice", "sendmail");
        command.arg(to);
        command
    };
    for to in ["bob", "joe@elsewhere.test"] {
        let sent = machine.feed(command(to), "Subject: hello\n\nWithout a date.\n");
        assert!(sent.status.success(), "{sent:?}");
    }
    machine.wait_until("both are delivered", || {
        machine.events().iter().filter(|line| line.contains("status=sent")).count() == 2
    });
    let mailbox = files(&machine.path("home/bob/Maildir/new"));
    assert_eq!(mailbox.len(), 1, "{mailbox:?}");
    let message = fs::read_to_string(&mailbox[0]).expect("text");
    let taken = sink.taken();
    let relayed = String::from_utf8_lossy(&taken[0].content).replace("\r\n", "\n");
    let from =
        |text: &str| text.lines().find(|line| line.starts_with("From: ")).unwrap_or_default().to_owned();
    let events = machine.events();
    let plain = Plain::new(&events.join("\n"));
    let mut log: Vec<String> =
        events.iter().filter(|line| line.contains("from=<")).map(|line| plain.text(line)).collect();
    log.sort();
    vec![
        format!("the user's mailbox\n{}{}", headers(&message), from(&message)),
        format!(
            "the next hop\n{}\n{}{}{}",
            taken[0].mail,
            taken[0].recipients.join("\n"),
            headers(&relayed),
            from(&relayed)
        ),
        format!("the log\n{}", log.join("\n")),
    ]
}

/// seed: S025, S070, S073, S078
#[test]
fn mail_has_its_header_its_origin_and_its_way() {
    let told = told_alike(mail);
    for name in ["Message-Id", "Date", "From: Test User <alice@example.test>"] {
        assert!(told[0].contains(name) && told[1].contains(name), "{told:?}");
    }
    assert!(told[1].contains("MAIL FROM:<alice@example.test>"), "{told:?}");
}

/// VRFY before and after `disable_vrfy_command = yes` and a reload.
fn curious(which: Which) -> Vec<String> {
    let machine = prepare(which, "");
    let lines = ["EHLO client.test", "VRFY alice", "VRFY root", "VRFY nobody-x", "VRFY x@elsewhere.test"];
    let ask = || talk(&machine, (STRANGER, HERE, 25), &lines);
    let before = ask();
    machine.command("postconf", &["-e", "disable_vrfy_command=yes"]);
    machine.command("postfix", &["reload"]);
    machine.wait_until("the new configuration counts", || !ask()[1].contains("VRFY"));
    vec![format!("enabled\n{}", before.join("\n")), format!("disabled\n{}", ask().join("\n"))]
}

/// seed: S021, S022, S082
#[test]
fn users_can_be_asked_for_until_it_is_forbidden() {
    let told = told_alike(curious);
    assert!(told[0].contains("252 2.0.0 alice") && told[0].contains("550 5.1.1"), "{told:?}");
    assert!(told[1].contains("502 5.5.1 VRFY command is disabled"), "{told:?}");
}
