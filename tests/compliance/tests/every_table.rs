//! All types of tables in one table: a key that is there, one that is not, a table that cannot be used, 100,000 keys, several who ask
//! at once, and a file that is made anew below a running system.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    mongodb::{MongoServer, document},
    servers::DataServer,
    system::{System, Which},
    wire::Talk,
};
use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// How many keys the tables have; each `n` becomes `value-n`.
const KEYS: u32 = 100_000;

fn key(number: u32) -> String {
    format!("key{number}@a.test")
}

fn value(number: u32) -> String {
    format!("value-{number}")
}

/// Runs `postmap` with keys on standard input: exit code, output, complaints.
fn postmap(system: &System, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = system.program("postmap");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut keys = child.stdin.take().expect("piped");
    let input = input.to_owned();
    let asking = thread::spawn(move || {
        // A program that has complained reads no more.
        let _ = keys.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("it ends");
    asking.join().expect("no failure");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Asks a table with all keys: some that are there and one that is not, one by one, many in one go, and from four programs at once.
fn check_all_keys(system: &System, spec: &str) {
    check_keys(system, spec, &key, &["nobody@a.test"]);
}

fn check_keys(system: &System, spec: &str, key: &dyn Fn(u32) -> String, absent: &[&str]) {
    for number in [0, KEYS / 2, KEYS - 1] {
        let expected = (Some(0), format!("{}\n", value(number)), String::new());
        assert_eq!(postmap(system, &["-q", &key(number), spec], ""), expected, "{spec}");
    }
    for absent in absent {
        assert_eq!(
            postmap(system, &["-q", absent, spec], ""),
            (Some(1), String::new(), String::new()),
            "{spec}"
        );
    }
    let (mut asked, mut expected) = (String::new(), String::new());
    for number in (0..KEYS).step_by(400) {
        let _ = writeln!(asked, "{}\n{}", key(number), absent.first().unwrap_or(&"nobody@a.test"));
        let _ = writeln!(expected, "{}\t{}", key(number), value(number));
    }
    thread::scope(|scope| {
        let ask = || postmap(system, &["-q", "-", spec], &asked);
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        for answer in asking {
            let (code, found, said) = answer.join().expect("no failure");
            assert_eq!((code, said.as_str()), (Some(0), ""), "{spec}");
            assert!(found == expected, "{spec}: {} bytes instead of {}", found.len(), expected.len());
        }
    });
}

/// A table that cannot be asked is an error, and says why.
fn check_broken(system: &System, spec: &str) {
    let (code, found, said) = postmap(system, &["-q", "key1@a.test", spec], "");
    assert_eq!((code, found.as_str()), (Some(1), ""), "{spec}: {said}");
    assert!(said.contains("fatal: "), "{spec}: {said}");
}

fn idle() -> System {
    System::prepare(Which::Posthaste, "")
}

fn lines(line: impl Fn(u32) -> String) -> String {
    (0..KEYS).fold(String::new(), |text, number| text + &line(number) + "\n")
}

#[test]
fn tables_of_files() {
    let system = idle();
    let path = |name: &str| system.path("etc").join(name).display().to_string();
    let source = lines(|number| format!("{} {}", key(number), value(number)));
    for kind in ["btree", "cdb", "hash", "lmdb", "texthash"] {
        let (file, spec) = (path(kind), format!("{kind}:{}", path(kind)));
        fs::write(&file, &source).expect("space");
        if kind != "texthash" {
            assert_eq!(postmap(&system, &[&spec], "").0, Some(0), "{spec}");
        }
        check_all_keys(&system, &spec);
        check_broken(&system, &format!("{spec}-that-is-not-there"));
    }
    // Answers that were not looked for are in the text.
    let networks =
        lines(|number| format!("10.{}.{}.0/24 {}", number / 256 % 256, number % 256, value(number)));
    fs::write(path("cidr"), networks.lines().take(50_000).collect::<Vec<_>>().join("\n") + "\n")
        .expect("space");
    let spec = format!("cidr:{}", path("cidr"));
    for (address, expected) in
        [("10.0.7.9", "value-7\n"), ("10.195.79.1", "value-49999\n"), ("10.200.0.1", "")]
    {
        assert_eq!(postmap(&system, &["-q", address, &spec], "").1, expected, "{address}");
    }
    check_broken(&system, &format!("{spec}-that-is-not-there"));
    // Every tenth key has a rule of its own: 10,000 of them, of which the last ones are found too.
    for kind in ["pcre", "regexp"] {
        let rules: String =
            (0..KEYS).step_by(10).map(|number| format!("/^key{number}@(.*)$/ value-{number}\n")).collect();
        fs::write(path(kind), rules).expect("space");
        let spec = format!("{kind}:{}", path(kind));
        for (number, expected) in [(0, value(0)), (KEYS - 10, value(KEYS - 10)), (5, String::new())] {
            let newline = if expected.is_empty() { "" } else { "\n" };
            let found = postmap(&system, &["-q", &key(number), &spec], "").1;
            assert_eq!(found, format!("{expected}{newline}"), "{spec} {number}");
        }
        check_broken(&system, &format!("{spec}-that-is-not-there"));
    }
}

#[test]
fn tables_without_a_file() {
    let system = idle();
    let login = Command::new("id").arg("-un").output().expect("id").stdout;
    let login = String::from_utf8_lossy(&login).trim().to_owned();
    let text = system.path("etc/text");
    fs::write(&text, "a b\n").expect("space");
    let text = text.display();
    let found = [
        ("static:x".to_owned(), "anything", "x"),
        ("inline:{a=b, {c = d e}}".to_owned(), "c", "d e"),
        (format!("unionmap:{{texthash:{text},static:z}}"), "a", "b,z"),
        (format!("pipemap:{{texthash:{text},inline:{{b=c}}}}"), "a", "c"),
        ("randmap:{one}".to_owned(), "anything", "one"),
        (format!("debug:texthash:{text}"), "a", "b"),
        ("unix:passwd.byname".to_owned(), login.as_str(), ""),
    ];
    for (spec, key, expected) in &found {
        let (code, shown, said) = postmap(&system, &["-q", key, spec], "");
        assert_eq!(code, Some(0), "{spec}: {said}");
        assert!(expected.is_empty() || shown == format!("{expected}\n"), "{spec}: {shown}");
    }
    // Its keys are folded, too, unless that is turned off.
    let home = system.path("etc").display().to_string() + "\n";
    assert_eq!(postmap(&system, &["-f", "-q", "MAIL_CONFIG", "environ:x"], "").1, home);
    for spec in ["internal:x", "inline:{a=b}", "environ:x", "unix:group.byname", "unionmap:{inline:{a=b}}"] {
        assert_eq!(postmap(&system, &["-q", "no-such-key", spec], "").0, Some(1), "{spec}");
    }
    for spec in [
        "fail:x",
        "inline:{}",
        "randmap:{}",
        "pipemap:{}",
        "unix:shadow.byname",
        "nis:x",
        "dbm:/x",
        "sdbm:/x",
    ] {
        check_broken(&system, spec);
    }
}

#[test]
fn tables_of_sql_servers() {
    let system = idle();
    let query = "query = SELECT v FROM aliases WHERE k = '%s'\n";
    let insert = |series: &str, join: &dyn Fn(&str, &str) -> String| {
        format!(
            "CREATE TABLE aliases(k varchar(80) PRIMARY KEY, v varchar(80)); \
             INSERT INTO aliases SELECT {}, {} FROM {series}",
            join("'key'", "'@a.test'"),
            join("'value-'", "''")
        )
    };
    let bars =
        |column: &'static str| move |before: &str, after: &str| format!("{before} || {column} || {after}");
    let concat = |before: &str, after: &str| format!("CONCAT({before}, seq, {after})");
    let last = KEYS - 1;
    let postgresql = DataServer::postgresql(&insert(&format!("generate_series(0, {last}) AS n"), &bars("n")));
    let mariadb = DataServer::mariadb(&insert(&format!("seq_0_to_{last}"), &concat));
    for (kind, server, database) in [("pgsql", &postgresql, "postgres"), ("mysql", &mariadb, "m")] {
        let text = format!(
            "hosts = 127.0.0.1:{}\nuser = mail\npassword = secret\ndbname = {database}\n{query}",
            server.port
        );
        let table = server.file("users.cf", &text);
        check_all_keys(&system, &format!("{kind}:{}", table.display()));
        let down = server.file("down.cf", &text.replace(&format!(":{}", server.port), ":1"));
        check_broken(&system, &format!("{kind}:{}", down.display()));
    }
    let database = system.path("etc/users.db");
    let series = format!(
        "(WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {last}) SELECT n FROM s)"
    );
    let made = Command::new("sqlite3").arg(&database).arg(insert(&series, &bars("n"))).status();
    assert!(made.expect("sqlite3").success());
    let table = |name: &str, database: &Path| {
        let path = system.path("etc").join(name);
        fs::write(&path, format!("dbpath = {}\n{query}", database.display())).expect("space");
        format!("sqlite:{}", path.display())
    };
    check_all_keys(&system, &table("sqlite.cf", &database));
    check_broken(&system, &table("gone.cf", Path::new("/no/such/file")));
}

#[test]
fn tables_of_a_directory_server() {
    let system = idle();
    let entries =
        (0..KEYS).fold("dn: dc=x\nobjectClass: domain\ndc: x\n\n".to_owned(), |mut text, number| {
            let (key, value) = (key(number), value(number));
            let _ = write!(
                text,
                "dn: mail={key},dc=x\nobjectClass: inetOrgPerson\nmail: {key}\ncn: x\nsn: {value}\n\n"
            );
            text
        });
    let server = DataServer::openldap(&entries);
    let text = format!(
        "server_host = ldap://127.0.0.1:{}\nversion = 3\nsearch_base = mail=%s,dc=x\nscope = base\n\
         query_filter = objectclass=*\nresult_attribute = sn\nbind = no\n",
        server.port
    );
    check_all_keys(&system, &format!("ldap:{}", server.file("users.cf", &text).display()));
    let down = server.file("down.cf", &text.replace(&server.port.to_string(), "1"));
    check_broken(&system, &format!("ldap:{}", down.display()));
}

#[test]
fn tables_of_caches() {
    let system = idle();
    let memcached = DataServer::memcached();
    let mut stream = TcpStream::connect(("127.0.0.1", memcached.port)).expect("memcached");
    let sets = (0..KEYS).fold(String::new(), |text, number| {
        let value = value(number);
        text + &format!("set {} 0 0 {} noreply\r\n{value}\r\n", key(number), value.len())
    });
    stream.write_all(format!("{sets}quit\r\n").as_bytes()).expect("memcached");
    // The end of the stream comes when all has been read.
    stream.read_to_end(&mut Vec::new()).expect("memcached");
    let text = format!("memcache = inet:127.0.0.1:{}\nkey_format = %s\nmax_try = 1\n", memcached.port);
    check_all_keys(&system, &format!("memcache:{}", memcached.file("m.cf", &text).display()));
    let down = memcached.file("down.cf", &text.replace(&format!(":{}", memcached.port), ":1"));
    check_broken(&system, &format!("memcache:{}", down.display()));

    let redis = DataServer::redis();
    let script =
        format!("for n = 0, {} do redis.call('SET', 'key' .. n .. '@a.test', 'value-' .. n) end", KEYS - 1);
    let mut command = Command::new("redis-cli");
    command.args(["-p", &redis.port.to_string(), "-a", "secret", "--no-auth-warning", "EVAL", &script, "0"]);
    assert!(command.output().expect("redis-cli").status.success());
    let text = format!("hosts = 127.0.0.1:{}\npassword = secret\nquery = GET %s\n", redis.port);
    check_all_keys(&system, &format!("redis:{}", redis.file("r.cf", &text).display()));
    let down = redis.file("down.cf", &text.replace(&format!(":{}", redis.port), ":1"));
    check_broken(&system, &format!("redis:{}", down.display()));
}

#[test]
fn tables_of_mongodb() {
    let system = idle();
    let entry =
        |number| document([("name", key(number).as_str().into()), ("to", value(number).as_str().into())]);
    let server = MongoServer::start((0..KEYS).map(entry).collect(), None);
    let settings = "query_filter = {\"name\": \"%s\"}\nresult_attribute = to\n";
    check_all_keys(&system, &format!("mongodb:{}", server.table("users.cf", settings).display()));
    let down = server.table("down.cf", &format!("uri = mongodb://127.0.0.1:1/\n{settings}"));
    check_broken(&system, &format!("mongodb:{}", down.display()));
    assert_eq!(server.nonsense(), 0);
}

/// Serves each connection in a thread of its own for as long as the test runs.
fn serve(answer: impl Fn(TcpStream) + Copy + Send + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    port
}

/// What the tables hold, computed.
fn known(key: &str) -> Option<String> {
    let number = key.strip_prefix("key")?.strip_suffix("@a.test")?.parse().ok()?;
    (number < KEYS).then(|| value(number))
}

#[test]
fn tables_of_other_programs() {
    let system = idle();
    let tcp = serve(|mut stream| {
        let reader = BufReader::new(stream.try_clone().expect("a descriptor"));
        for line in reader.lines().map_while(Result::ok) {
            let reply = match line.strip_prefix("get ").and_then(known) {
                Some(value) => format!("200 {value}\n"),
                None => "500 not%20there\n".to_owned(),
            };
            if stream.write_all(reply.as_bytes()).is_err() {
                return;
            }
        }
    });
    check_all_keys(&system, &format!("tcp:127.0.0.1:{tcp}"));
    check_broken(&system, "tcp:127.0.0.1:1");
    let socketmap = serve(|mut stream| {
        let mut reader = BufReader::new(stream.try_clone().expect("a descriptor"));
        let mut request = Vec::new();
        while reader.read_until(b',', &mut request).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&request).into_owned();
            let key = text.trim_end_matches(',').rsplit(' ').next().unwrap_or_default().to_owned();
            let reply = known(&key).map_or("NOTFOUND ".to_owned(), |value| format!("OK {value}"));
            if stream.write_all(format!("{}:{reply},", reply.len()).as_bytes()).is_err() {
                return;
            }
            request.clear();
        }
    });
    check_all_keys(&system, &format!("socketmap:inet:127.0.0.1:{socketmap}:users"));
    check_broken(&system, "socketmap:inet:127.0.0.1:1:users");
    // Behind the running system.
    let settings = "proxy_read_maps = proxy:lmdb:$B/etc/users\n";
    let running = System::prepare(Which::Posthaste, settings);
    let users = running.path("etc/users").display().to_string();
    fs::write(&users, lines(|number| format!("{} {}", key(number), value(number)))).expect("space");
    assert_eq!(postmap(&running, &[&format!("lmdb:{users}")], "").0, Some(0));
    running.run();
    check_all_keys(&running, &format!("proxy:lmdb:{users}"));
    check_broken(&running, "proxy:static:not-approved");
}

#[test]
fn no_type_is_left_out() {
    let system = idle();
    let listed = system.command("postconf", &["-m"]).stdout;
    let own =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/every_table.rs")).expect("this file");
    let ledger = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/parameters.md"));
    let ledger = ledger.expect("the ledger");
    for kind in String::from_utf8_lossy(&listed).lines() {
        assert!(own.contains(&format!("\"{kind}")), "{kind} is in no row of this test");
        assert!(ledger.contains(&format!("`{kind}`")), "{kind} is not in docs/parameters.md");
    }
}

/// The types whose files may be made anew at any time.
const FILES: [&str; 7] = ["btree", "cdb", "hash", "lmdb", "pcre", "regexp", "texthash"];

/// Makes the file of a table anew, with one key that is always there and one of this time.
fn make(system: &System, kind: &str, now: &str) {
    let path = system.path("etc").join(kind);
    let entry = |user: &str| match kind {
        "pcre" | "regexp" => format!("/^{user}@{kind}\\.test$/ x@elsewhere.test\n"),
        _ => format!("{user}@{kind}.test x@elsewhere.test\n"),
    };
    let new = path.with_extension("new");
    fs::write(&new, entry("always") + &entry(now)).expect("space");
    fs::rename(&new, &path).expect("one file system");
    if ["btree", "cdb", "hash", "lmdb"].contains(&kind) {
        system.command("postmap", &[&format!("{kind}:{}", path.display())]);
    }
}

/// The replies to recipients, all in one session.
fn rcpt(system: &System, recipients: &[String]) -> Vec<String> {
    let mut talk = Talk::to(system.address());
    talk.reply();
    talk.say("EHLO c.test");
    talk.say("MAIL FROM:<a@c.test>");
    let replies = recipients.iter().map(|recipient| talk.say(&format!("RCPT TO:<{recipient}>"))).collect();
    talk.say("QUIT");
    replies
}

fn users(name: &str) -> Vec<String> {
    FILES.iter().map(|kind| format!("{name}@{kind}.test")).collect()
}

#[test]
fn files_are_made_anew_below_a_running_system() {
    let domains: String = FILES.iter().map(|kind| format!(" {kind}.test")).collect();
    let maps: String = FILES.iter().map(|kind| format!(" {kind}:$B/etc/{kind}")).collect();
    let system = System::prepare(
        Which::Posthaste,
        &format!(
            "virtual_alias_domains ={domains}\nvirtual_alias_maps ={maps}\nsmtpd_peername_lookup = no\n\
             smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n\
             mynetworks = cidr:$B/etc/cidr\nsmtpd_hard_error_limit = 1000\n"
        ),
    );
    fs::write(system.path("etc/cidr"), "192.0.2.0/24 ours\n").expect("space");
    FILES.iter().for_each(|kind| make(&system, kind, "first"));
    system.run();
    let all = |name: &str, code: &str| {
        let replies = rcpt(&system, &users(name));
        (replies.iter().all(|reply| reply.starts_with(code)), replies)
    };
    let check = |name: &str, code: &str| {
        let (is_so, replies) = all(name, code);
        assert!(is_so, "{name} {code}: {replies:?}\n{}", system.log());
    };
    check("first", "250 ");
    check("second", "550 ");
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    check("always", "250 ");
                }
            });
        }
        for round in 0..4 {
            FILES.iter().for_each(|kind| make(&system, kind, &format!("round{round}")));
        }
        FILES.iter().for_each(|kind| make(&system, kind, "second"));
        is_done.store(true, Ordering::Relaxed);
    });
    system.wait_until("the new files are in force", || all("second", "250 ").0);
    check("first", "550 ");
    // A file that cannot be read any more lets nobody through, and nobody be refused for good.
    fs::remove_file(system.path("etc/texthash")).expect("it is there");
    system.wait_until("the table is missed", || {
        rcpt(&system, &["nobody@texthash.test".to_owned()])[0].starts_with("451 ")
    });
    make(&system, "texthash", "third");
    system.wait_until("the table is back", || {
        rcpt(&system, &["third@texthash.test".to_owned()])[0].starts_with("250 ")
    });
    let relayed = || rcpt(&system, &["x@elsewhere.test".to_owned()])[0].starts_with("250 ");
    assert!(!relayed(), "{}", system.log());
    fs::write(system.path("etc/cidr"), "127.0.0.0/8 ours\n").expect("space");
    system.wait_until("this client may relay", relayed);
}

#[test]
fn types_that_are_not_there_are_named_at_the_start() {
    let system = System::start(
        Which::Posthaste,
        "alias_maps = nis:mail.aliases\nvirtual_alias_maps = dbm:/x\ntransport_maps = sdbm:/y\n",
    );
    for kind in ["nis", "dbm", "sdbm"] {
        let line = format!("error: unsupported dictionary type: {kind}\n");
        system.wait_until(&line, || system.log().contains(&line));
    }
    // Its default names a NIS table, which is nobody's wish.
    let system = System::prepare(Which::Posthaste, "");
    let path = system.path("etc/main.cf");
    let text = fs::read_to_string(&path).expect("it was written");
    let kept = text.lines().filter(|line| !line.starts_with("alias_maps")).flat_map(|line| [line, "\n"]);
    fs::write(&path, kept.collect::<String>()).expect("space");
    system.run();
    let refused = rcpt(&system, &["no-such-user@mx.test".to_owned()]);
    assert!(refused[0].starts_with("550 "), "{refused:?}\n{}", system.log());
    assert!(!system.log().contains("nis"), "{}", system.log());
}
