//! proxymap(8): Debian's tools ask our service, ours ask Debian's, and all say the same.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    system::{System, Which},
    wire::Talk,
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    process::{Command, Stdio},
    thread,
};

/// Exit code, standard output, and what it complains of.
type Said = (Option<i32>, String, String);

/// Whose postmap asks.
#[derive(Clone, Copy, Debug)]
enum Client {
    Ours,
    Debians,
}

const CLIENTS: [Client; 2] = [Client::Ours, Client::Debians];

fn postmap(client: Client, system: &System, arguments: &[&str], input: &str) -> Said {
    let ours = System::program_of(Which::Posthaste, "postmap");
    let mut command = match client {
        Client::Ours => ours,
        Client::Debians => Command::new("/usr/sbin/postmap"),
    };
    command.env("MAIL_CONFIG", system.path("etc")).args(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

const SETTINGS: &str = "\
proxy_read_maps = proxy:texthash:$B/etc/text, proxy:static:always, proxy:regexp:$B/etc/patterns, proxy:lmdb:$B/data/written,
 proxy:texthash:$B/etc/none $smtpd_recipient_restrictions proxy:unionmap:{static:a,static:b}
smtpd_restriction_classes = own
own = check_recipient_access proxy:inline:{in=class}
proxy_write_maps = proxy:lmdb:$B/data/written, proxy:btree:$B/data/tree
";

fn prepare(which: Which, settings: &str) -> System {
    let system = System::prepare(which, &format!("{SETTINGS}{settings}"));
    fs::write(system.path("etc/text"), "one first\nUPPER second\n\u{fc}n\u{ef} utf8\n").expect("space");
    fs::write(system.path("etc/patterns"), "/^(.*)@p.test$/ $1-found\n").expect("space");
    system
}

#[test]
fn debians_tools_and_ours_are_answered_alike() {
    let systems = [prepare(Which::Posthaste, ""), prepare(Which::Postfix, "")];
    systems.iter().for_each(System::run);
    let ask_some = |table: &str, arguments: &[&str], input: &str, systems: &[System], clients: &[Client]| {
        let mut first: Option<Said> = None;
        for system in systems {
            for client in clients {
                let table = table.replace("$B/", &system.path("").display().to_string());
                let arguments = [arguments, &[&table]].concat();
                let said = postmap(*client, system, &arguments, input);
                let who = format!("{table} {arguments:?} {client:?} {:?}: {said:?}", system.which);
                let first = first.get_or_insert_with(|| said.clone());
                assert_eq!((said.0, said.1), (first.0, first.1.clone()), "{who}");
                assert_eq!(said.2.is_empty(), first.2.is_empty(), "{who}");
            }
        }
        first.expect("somebody was asked")
    };
    let ask = |table: &str, arguments: &[&str]| ask_some(table, arguments, "", &systems, &CLIENTS);
    let text = "proxy:texthash:$B/etc/text";
    for (table, key, value) in [
        (text, "one", "first"),
        (text, "ONE", "first"),
        (text, "none", ""),
        ("proxy:proxy:static:always", "x", "always"),
        ("proxy:regexp:$B/etc/patterns", "A@p.test", "A-found"),
        ("proxy:regexp:$B/etc/patterns", "A@q.test", ""),
    ] {
        let (code, shown, complaints) = ask(table, &["-q", key]);
        let expected =
            if value.is_empty() { (Some(1), String::new()) } else { (Some(0), format!("{value}\n")) };
        assert_eq!(((code, shown), complaints.as_str()), (expected, ""), "{table} {key}");
    }
    ask_some(text, &["-q", "-"], "one\nnone\nONE\n", &systems, &CLIENTS);
    // Whether Debian's service folds what is stored depends on who has opened the table in that process first.
    for (key, value) in [("upper", "second\n"), ("\u{dc}N\u{cf}", "utf8\n")] {
        let said = ask_some(text, &["-q", key], "", &systems[..1], &CLIENTS);
        assert_eq!(said, (Some(0), value.to_owned(), String::new()), "{key}");
    }
    ask(text, &["-f", "-q", "ONE"]);
    // Not on the list, and not there.
    let (code, _, refused) = ask("proxy:static:other", &["-q", "x"]);
    assert_eq!(code, Some(1));
    assert_eq!(refused, "postmap: fatal: proxymap service is not configured for table \"static:other\"\n");
    assert_eq!(ask("proxy:texthash:$B/etc/none", &["-q", "x"]).0, Some(1));
    for table in ["proxy:lmdb:$B/data/written", "proxy:btree:$B/data/tree"] {
        // Debian's postmap cannot do this yet; its service can.
        let change =
            |arguments: &[&str], input: &str| ask_some(table, arguments, input, &systems, &[Client::Ours]).0;
        assert_eq!(change(&["-i"], "k1 v1\nK2 v2\nk3 v3\n"), Some(0), "{table}");
        assert_eq!(change(&["-i"], "k1 again\n"), Some(0), "{table}");
        assert_eq!(change(&["-d", "k2"], ""), Some(0), "{table}");
        assert_eq!(ask_some(table, &["-d", "k3"], "", &systems, &[Client::Debians]).0, Some(0), "{table}");
        assert_eq!(ask(table, &["-d", "k2"]).0, Some(1), "{table}");
    }
    let written = "proxy:lmdb:$B/data/written";
    assert_eq!(ask(written, &["-q", "k1"]).1, "again\n");
    assert_eq!(ask(written, &["-q", "k2"]).0, Some(1));
    assert_eq!(ask_some(written, &["-s"], "", &systems, &[Client::Ours]).1, "k1\tagain\n");
    // What only the writing service may touch, and what nobody may change.
    assert_eq!(ask("proxy:btree:$B/data/tree", &["-q", "k1"]).0, Some(1));
    assert_eq!(ask(text, &["-d", "one"]).0, Some(1));
    // Tables of restriction classes, since Postfix 3.11.
    let of_class = ask_some("proxy:inline:{in=class}", &["-q", "in"], "", &systems[..1], &CLIENTS);
    assert_eq!(of_class, (Some(0), "class\n".to_owned(), String::new()));
    for system in &systems {
        let log = system.log();
        for line in [
            "warning: request for unapproved table: \"static:other\"",
            "warning: to approve this table for read-only access, list proxy:static:other in main.cf:proxy_read_maps",
            "in main.cf:proxy_write_maps",
        ] {
            assert!(log.contains(line), "{:?} {line}\n{log}", system.which);
        }
    }
}

#[test]
fn a_service_that_is_not_there_is_looked_for_as_postfix_does() {
    let system = prepare(Which::Posthaste, "");
    let mut command = System::program_of(Which::Posthaste, "postmap");
    command.env("MAIL_CONFIG", system.path("etc")).args(["-q", "x", "proxy:static:always"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("postmap starts");
    let asking = thread::spawn(move || child.wait_with_output().expect("it ends"));
    // It goes on as soon as there is somebody to ask.
    system.run();
    let output = asking.join().expect("no failure");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((output.status.code(), shown.as_str()), (Some(0), "always\n"));
}

#[test]
fn mail_waits_for_a_table_that_is_not_approved() {
    let settings = "virtual_mailbox_domains = v.test\nvirtual_mailbox_maps = proxy:static:unapproved\n\
                    virtual_transport = discard:\nsmtpd_peername_lookup = no\n";
    let system = prepare(Which::Posthaste, settings);
    system.run();
    assert!(Talk::rcpt(system.address(), "x@v.test").starts_with("451 "), "{}", system.log());
    let log = system.log();
    assert!(
        log.contains("error: proxymap service is not configured for table \"static:unapproved\""),
        "{log}"
    );
    let system = prepare(Which::Posthaste, &settings.replace("unapproved", "always"));
    system.run();
    assert!(Talk::rcpt(system.address(), "x@v.test").starts_with("250 "), "{}", system.log());
}

/// What the service says until it hangs up, or to one request.
fn talk(system: &System, said: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(system.path("spool/private/proxymap")).expect("the service listens");
    // It may hang up before it has read everything.
    let _ = stream.write_all(said);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn clients_that_talk_nonsense_or_stay_harm_nobody() {
    let system = prepare(Which::Posthaste, "");
    system.run();
    let greeting = b"protocol\0proxymap_protocol\0\0";
    let endless = vec![b'x'; 1 << 20];
    let lists = b"a\0b\0".repeat(5000);
    for said in
        [&b""[..], b"\0", b"request\0lookup\0", &endless, &lists, b"request\0lookup\0table\0\xff\0\0{\0{\0"]
    {
        let answer = talk(&system, said);
        assert!(answer.starts_with(greeting) || said.len() > 1000, "{answer:?}");
    }
    let lookup = b"request\0lookup\0table\0static:always\0instance_flags\x000\0flags\x000\0key\0k\0\0";
    let expected = [&greeting[..], b"status\x000\0flags\x000\0value\0always\0\0"].concat();
    assert_eq!(talk(&system, lookup), expected);
    // Two requests in one go, and what nobody has heard of.
    let twice = [&lookup[..], b"request\0sing\0\0", lookup].concat();
    let second = [&expected[..], b"status\x003\0\0status\x000\0flags\x000\0value\0always\0\0"].concat();
    assert_eq!(talk(&system, &twice), second);
    // An older generation does not wait for those who only stay.
    let mut stays = UnixStream::connect(system.path("spool/private/proxymap")).expect("the service listens");
    stays.write_all(lookup).expect("it reads");
    let mut answer = vec![0; expected.len()];
    stays.read_exact(&mut answer).expect("it answers");
    system.command("postfix", &["reload"]);
    assert_eq!(stays.read(&mut answer).expect("an end"), 0);
    assert_eq!(talk(&system, lookup), expected);
}

/// NON_BERKELEYDB_README, "enable-redirect": also what is listed and changed is the table that stands in.
#[test]
fn what_stands_in_for_berkeley_db_is_listed_and_changed() {
    let settings = "default_database_type = lmdb\ndefault_cache_db_type = lmdb\n\
        non_bdb_migration_level = enable-redirect\nnon_bdb_migration_log_redirect = no\n\
        proxy_read_maps = proxy:hash:$B/etc/t, proxy:btree:$B/data/tree\n\
        proxy_write_maps = proxy:btree:$B/data/tree\n";
    let system = System::prepare(Which::Posthaste, settings);
    fs::write(system.path("etc/t"), "one first\n").expect("space");
    let spec = |kind: &str, name: &str| format!("{kind}:{}", system.path(name).display());
    system.command("postmap", &[&spec("hash", "etc/t")]);
    system.run();
    let ask = |arguments: &[&str], input: &str| {
        let (code, shown, said) = postmap(Client::Ours, &system, arguments, input);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{arguments:?}");
        shown
    };
    let read = format!("proxy:{}", spec("hash", "etc/t"));
    assert_eq!(ask(&["-q", "one", &read], ""), "first\n");
    assert_eq!(ask(&["-s", &read], ""), "one\tfirst\n");
    let written = format!("proxy:{}", spec("btree", "data/tree"));
    ask(&["-i", &written], "two second\n");
    assert_eq!(ask(&["-s", &written], ""), "two\tsecond\n");
    assert!(system.path("data/tree.lmdb").exists() && !system.path("data/tree.db").exists());
}
