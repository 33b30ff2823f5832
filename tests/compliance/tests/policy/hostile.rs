//! Policy servers that are not there, hang, die, or talk nonsense.

use compliance::{
    client::Client,
    plain::told_alike,
    policy::{PolicyServer, Request, say},
    system::{System, Which},
};
use std::{
    fs,
    io::{self, Write},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// What a server does; it is asked in a service of its own name.
type Deed = fn(&Request, usize, &mut dyn Write) -> io::Result<bool>;

/// Says something, then hangs up.
macro_rules! last_words {
    ($words:expr) => {
        |_, _, to| {
            to.write_all($words)?;
            Ok(false)
        }
    };
}

/// Says something, and waits for more.
macro_rules! words {
    ($words:expr) => {
        |_, _, to| {
            to.write_all($words)?;
            Ok(true)
        }
    };
}

/// What Postfix answers the same way.
const DEEDS: &[(&str, Deed)] = &[
    ("hangs_up", last_words!(b"")),
    (
        "ends_once",
        |request, n, to| if n == 0 { Ok(false) } else { say(&format!("REJECT {}", request.connection), to) },
    ),
    ("dies_in_a_name", last_words!(b"acti")),
    ("dies_in_the_action", last_words!(b"action=REJ")),
    ("dies_before_the_end", last_words!(b"action=REJECT\n")),
    ("says_nothing", words!(b"\n")),
    ("has_nul_in_a_name", words!(b"ac\0tion=REJECT\n\n")),
    ("ends_lines_in_crlf", words!(b"action=REJECT\r\n\r\n")),
    ("has_names_of_nothing", words!(b"=x\n=\naction=REJECT\n\n")),
    ("has_two_actions", words!(b"action=REJECT first\naction=REJECT second\n\n")),
    ("answers_twice", words!(b"action=REJECT first\n\naction=REJECT second\n\n")),
    ("knows_no_action", words!(b"result=OK\n\n")),
    ("has_no_value", words!(b"action\n\n")),
    ("is_silent", words!(b"")),
    ("stops_in_a_name", words!(b"act")),
    ("stops_in_the_action", words!(b"action=REJECT")),
    ("answers_late_and_well", |_, n, to| if n == 0 { Ok(true) } else { say("REJECT at last", to) }),
];

fn settings(names: &[&str]) -> String {
    let services = names.iter().map(|name| {
        format!(
            "{name} =\n    check_policy_service {{ unix:policy/{name}, timeout=1s, \
             {{ default_action = 451 4.3.5 {name} }} }}, reject\n"
        )
    });
    let keys = names.iter().map(|name| format!("{{ {name}@mx.test = {name} }}"));
    format!(
        "smtpd_restriction_classes = {}\n{}\
         smtpd_recipient_restrictions = check_recipient_access inline:{{ {} }}, permit\n\
         local_recipient_maps =\nsmtpd_error_sleep_time = 0\nsmtpd_hard_error_limit = 100\n",
        names.join(", "),
        services.collect::<String>(),
        keys.collect::<Vec<_>>().join(", ")
    )
}

/// Everything that smtpd has logged of a service, without the number of the session.
fn warnings(system: &System, about: &str) -> Vec<String> {
    let log = system.log();
    let lines = log.lines().filter_map(|line| line.split_once("/smtpd[")?.1.split_once("]: "));
    lines.map(|(_, text)| text.to_owned()).filter(|text| text.contains(about)).collect()
}

fn hostile_story(which: Which) -> Vec<String> {
    let mut names: Vec<&'static str> = DEEDS.iter().map(|(name, _)| *name).collect();
    names.extend(["is_not_there", "answers_unasked"]);
    let system = System::prepare(which, &settings(&names));
    let _servers: Vec<PolicyServer> = DEEDS
        .iter()
        .map(|(name, deed)| PolicyServer::unix(&system.path("spool/policy").join(name), *deed))
        .collect();
    answer_unasked(&system.path("spool/policy/answers_unasked"));
    system.run();
    thread::scope(|scope| {
        let ask = |name: &&'static str| {
            let (system, name): (&System, &'static str) = (&system, name);
            scope.spawn(move || ask_one(system, name))
        };
        let asked: Vec<_> = names.iter().map(ask).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    })
}

/// A server that answers whoever connects, before it was asked anything.
fn answer_unasked(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
    thread::spawn(move || {
        let mut connections = Vec::new();
        for mut stream in listener.incoming().flatten() {
            // A client that is gone needs no answer.
            let _ = stream.write_all(b"action=REJECT unasked\n\n");
            connections.push(stream);
        }
    });
}

fn ask_one(system: &System, name: &str) -> String {
    let mut client = Client::connect(system.address()).unwrap();
    client.say(b"MAIL FROM:<a@example.org>\r\n").unwrap();
    let reply = client.say(format!("RCPT TO:<{name}@mx.test>\r\n").as_bytes()).unwrap();
    let refused = format!("{name}@mx.test>: R");
    system.wait_until("the refusal is logged", || !warnings(system, &refused).is_empty());
    format!("{name}\n{reply}\n{}\n", warnings(system, name).join("\n"))
}

#[test]
fn a_server_without_an_answer_is_warned_of_and_the_default_action_taken_as_by_postfix() {
    let told = told_alike(hostile_story);
    let of = |name: &str| told.iter().find(|text| text.starts_with(name)).unwrap();
    // What is to be seen was seen.
    assert!(of("is_not_there").contains("connect to policy/is_not_there: No such file or directory"));
    assert!(of("is_silent").contains("problem talking to server policy/is_silent: Connection timed out"));
    assert!(of("knows_no_action").contains("missing attribute action in input from policy/knows_no_action"));
    assert!(of("dies_in_the_action").contains("premature end-of-input"));
    assert!(of("stops_in_a_name").contains("timeout on policy/stops_in_a_name"));
    assert!(of("ends_once").contains("554 5.7.1"));
}

/// What Postfix would wait for, or keep, without a limit.
const BEYOND: &[(&str, Deed)] = &[
    ("ten_mebibytes", |_, _, to| {
        to.write_all(b"action=REJECT ")?;
        for _ in 0..160 {
            to.write_all(&[b'x'; 1 << 16])?;
        }
        to.write_all(b"\n\n")?;
        Ok(true)
    }),
    ("a_mebibyte", |_, _, to| say(&format!("REJECT {}", "x".repeat(1 << 20)), to)),
    ("endless_lines", |_, _, to| {
        loop {
            to.write_all(b"x=y\n")?;
        }
    }),
    ("byte_by_byte", |_, _, to| {
        for byte in b"action=REJECT too late, too slow\n\n" {
            to.write_all(&[*byte])?;
            thread::sleep(Duration::from_millis(200));
        }
        Ok(true)
    }),
];

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn an_answer_without_end_costs_little_and_holds_up_nobody() {
    let names: Vec<&str> = BEYOND.iter().map(|(name, _)| *name).chain(["is_well"]).collect();
    let system = System::prepare(Which::Posthaste, &settings(&names));
    let path = |name: &str| system.path("spool/policy").join(name);
    let _servers: Vec<PolicyServer> =
        BEYOND.iter().map(|(name, deed)| PolicyServer::unix(&path(name), *deed)).collect();
    let _well = PolicyServer::unix(&path("is_well"), |_, _, to| say("REJECT promptly", to));
    system.run();
    let before = resident_kib(system.process("receive"));
    let replies = Arc::new(Mutex::new(Vec::new()));
    let address = system.address();
    let sessions: Vec<_> = (0..40)
        .map(|n| {
            let (name, replies) = (names[n % BEYOND.len()].to_owned(), Arc::clone(&replies));
            thread::spawn(move || {
                let mut client = Client::connect(address).unwrap();
                client.say(b"MAIL FROM:<a@example.org>\r\n").unwrap();
                let reply = client.say(format!("RCPT TO:<{name}@mx.test>\r\n").as_bytes()).unwrap();
                replies.lock().unwrap().push((name, reply));
            })
        })
        .collect();
    // Others are served meanwhile.
    let mut client = Client::connect(address).unwrap();
    client.say(b"MAIL FROM:<a@example.org>\r\n").unwrap();
    while sessions.iter().any(|session| !session.is_finished()) {
        let begun = Instant::now();
        let reply = client.say(b"RCPT TO:<is_well@mx.test>\r\n").unwrap();
        assert!(reply.contains("promptly"), "{reply}");
        assert!(begun.elapsed() < Duration::from_secs(20));
        client.say(b"RSET\r\n").unwrap();
        client.say(b"MAIL FROM:<a@example.org>\r\n").unwrap();
        thread::sleep(Duration::from_millis(50));
    }
    sessions.into_iter().for_each(|session| session.join().unwrap());
    let replies = replies.lock().unwrap();
    assert_eq!(replies.len(), 40);
    for (name, reply) in replies.iter() {
        assert!(reply.starts_with("451 4.3.5") && reply.ends_with(name), "{name}: {reply}");
    }
    let grown = resident_kib(system.process("receive")).saturating_sub(before);
    // Forty answers at their limit are 4 MiB, growing they take twice that for a moment, and the allocator keeps what
    // lies between pieces in use. All that the servers had to say is 400 MiB.
    assert!(grown < 24 << 10, "{grown} KiB more");
    let log = warnings(&system, "policy/ten_mebibytes").join("\n");
    assert!(log.contains("answer longer than 102400 bytes"), "{log}");
}

#[test]
fn fifty_sessions_get_their_own_answers() {
    let system = System::prepare(Which::Posthaste, &fifty_settings("spool/policy/slow"));
    let server = PolicyServer::unix(&system.path("spool/policy/slow"), |request, n, to| {
        thread::sleep(Duration::from_millis(u64::try_from(n % 7).unwrap_or(0) * 20));
        say(&format!("REJECT {}", request.value("recipient").unwrap_or("nobody")), to)
    });
    system.run();
    let address = system.address();
    let sessions: Vec<_> = (0..50)
        .map(|session| {
            thread::spawn(move || {
                let mut client = Client::connect(address).unwrap();
                client.say(b"MAIL FROM:<a@example.org>\r\n").unwrap();
                for mail in 0..5 {
                    let recipient = format!("r{session}.{mail}@mx.test");
                    let reply = client.say(format!("RCPT TO:<{recipient}>\r\n").as_bytes()).unwrap();
                    assert!(reply.ends_with(&format!("rejected: {recipient}")), "{reply}");
                }
            })
        })
        .collect();
    sessions.into_iter().for_each(|session| session.join().unwrap());
    assert_eq!(server.heard().len(), 250);
    // A message keeps its connection.
    let mut connections = std::collections::BTreeMap::new();
    for request in server.heard() {
        let instance = request.value("instance").unwrap().to_owned();
        let connection = *connections.entry(instance).or_insert(request.connection);
        assert_eq!(connection, request.connection);
    }
    assert_eq!(connections.len(), 50);
}

fn fifty_settings(socket: &str) -> String {
    let below = Path::new(socket).strip_prefix("spool").unwrap().display();
    format!(
        "smtpd_recipient_restrictions = check_policy_service unix:{below}\nlocal_recipient_maps =\n\
         smtpd_error_sleep_time = 0\n"
    )
}
