//! Tables behind real servers: what Debian's `postmap -q` says is what ours says, and mail waits while a server is away.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    servers::DataServer,
    system::{System, Which},
    wire::Talk,
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
};

/// Exit code and standard output of `postmap -q`.
fn postmap(system: &System, mut program: Command, key: &str, spec: &str) -> (Option<i32>, String) {
    let output =
        program.env("MAIL_CONFIG", system.path("etc")).args(["-q", key, spec]).output().expect("postmap");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Asks both for every key.
fn compare(system: &System, kind: &str, settings: &Path, keys: &[&str]) {
    let spec = format!("{kind}:{}", settings.display());
    for key in keys {
        let ours = postmap(system, system.program("postmap"), key, &spec);
        let theirs = postmap(system, Command::new("/usr/sbin/postmap"), key, &spec);
        assert_eq!(ours, theirs, "{spec} {key}");
    }
}

fn idle_system() -> System {
    System::prepare(Which::Posthaste, "")
}

/// Keys for tables with the rows of [`ROWS`].
const KEYS: &[&str] = &[
    "one@a.test",
    "two@a.test",
    "o'n\\@a.test",
    "empty@a.test",
    "null@a.test",
    "nobody@a.test",
    "one",
    "@a.test",
    "x' OR 'a'='a",
    "%",
    "one@sub.a.test",
    "ünï@a.test",
];

const ROWS: &str = "('one@a.test','x'),('two@a.test','b'),('two@a.test','a@z.test'),('empty@a.test',''),\
                    ('null@a.test',NULL),('one','bare'),('@a.test','at'),('ünï@a.test','ü'),('%','percent')";

/// Settings that change what is asked and answered.
const VARIANTS: &[&str] = &[
    "query = SELECT v FROM aliases WHERE k = '%s' ORDER BY v\n",
    "query = SELECT v, k FROM aliases WHERE k = '%u@%d' ORDER BY v\n",
    "query = SELECT v FROM aliases WHERE k = '%s' ORDER BY v\nresult_format = <%s|%u|%S>\n",
    "query = SELECT v FROM aliases WHERE k = '%s' ORDER BY v\nresult_format = %d\n",
    "query = SELECT v FROM aliases WHERE k = '%s' ORDER BY v\nexpansion_limit = 1\n",
    "query = SELECT v FROM aliases WHERE k = '%s' ORDER BY v\ndomain = a.test, b.test\n",
    "query = SELECT v FROM aliases WHERE k = '%u@%2.%1' ORDER BY v\n",
    "query = SELECT nothing FROM nowhere\n",
    "table = aliases\nselect_field = v\nwhere_field = k\nadditional_conditions = ORDER BY v\n",
];

fn sql_tables(kind: &str, server: &DataServer, database: &str) {
    let system = idle_system();
    for (number, variant) in VARIANTS.iter().enumerate() {
        let text = format!(
            "hosts = 127.0.0.1:{}\nuser = mail\npassword = secret\ndbname = {database}\n{variant}",
            server.port
        );
        // Before Postfix 3.8, pgsql tables spoke LATIN1 with their servers; Debian has 3.7.
        let is_utf8 = kind != "pgsql";
        let keys: Vec<&str> = KEYS.iter().copied().filter(|key| is_utf8 || key.is_ascii()).collect();
        compare(&system, kind, &server.file(&format!("{number}.cf"), &text), &keys);
    }
    let wrong = format!(
        "hosts = 127.0.0.1:{}\nuser = mail\npassword = wrong\ndbname = {database}\n{}",
        server.port, VARIANTS[0]
    );
    compare(&system, kind, &server.file("wrong.cf", &wrong), &KEYS[..1]);
    let down = wrong.replace(&server.port.to_string(), "1");
    compare(&system, kind, &server.file("down.cf", &down), &KEYS[..1]);
    let second = wrong.replace("wrong", "secret").replace("hosts = ", "hosts = 127.0.0.1:1 ");
    compare(&system, kind, &server.file("second.cf", &second), &KEYS[..1]);
}

#[test]
fn postgresql_tables_answer_as_debians() {
    let sql = format!(
        "CREATE TABLE aliases(k text, v text); INSERT INTO aliases VALUES {ROWS}, ('o''n\\@a.test','q')"
    );
    sql_tables("pgsql", &DataServer::postgresql(&sql), "postgres");
}

#[test]
fn mysql_tables_answer_as_debians() {
    let sql = format!(
        "CREATE TABLE aliases(k varchar(200), v varchar(200)) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; \
         SET NAMES utf8mb4; INSERT INTO aliases VALUES {ROWS}, ('o''n\\\\@a.test','q')"
    );
    sql_tables("mysql", &DataServer::mariadb(&sql), "m");
}

const ENTRIES: &str = "dn: dc=x\nobjectClass: domain\ndc: x\n\n\
    dn: cn=one,dc=x\nobjectClass: inetOrgPerson\ncn: one\nsn: 1\nmail: a@x.test\nmail: b@x.test\nuid: one@a.test\n\n\
    dn: cn=two,dc=x\nobjectClass: inetOrgPerson\ncn: two\nsn: 2\nmail: c@x.test\nuid: two@a.test\n\n\
    dn: cn=star,dc=x\nobjectClass: inetOrgPerson\ncn: star\nsn: 3\nmail: s@x.test\nuid: o(*)\\n@a.test\n\n\
    dn: cn=group,dc=x\nobjectClass: groupOfNames\ncn: group\nmember: cn=one,dc=x\nmember: cn=two,dc=x\n\
    member: cn=gone,dc=x\n\n\
    dn: cn=round,dc=x\nobjectClass: groupOfNames\ncn: round\nmember: cn=round,dc=x\n\n\
    dn: cn=url,dc=x\nobjectClass: groupOfNames\nobjectClass: labeledURIObject\ncn: url\nmember: cn=two,dc=x\n\
    labeledURI: ldap:///dc=x?mail?sub?(cn=one)\n";

#[test]
fn ldap_tables_answer_as_debians() {
    let server = DataServer::openldap(ENTRIES);
    let system = idle_system();
    let base = format!("server_host = ldap://127.0.0.1:{}\nversion = 3\nsearch_base = dc=x\n", server.port);
    let group =
        "query_filter = (cn=%u)\nresult_attribute = mail\nspecial_result_attribute = member, labeledURI\n";
    let variants = [
        "query_filter = (uid=%s)\nresult_attribute = mail\nbind = no\n".to_owned(),
        "query_filter = (uid=%s)\nresult_attribute = mail, cn\nresult_format = <%s>\n".to_owned(),
        "query_filter = (uid=%s)\nresult_attribute = mail\nexpansion_limit = 1\n".to_owned(),
        "query_filter = (uid=%s)\nresult_attribute = mail\ndomain = b.test\n".to_owned(),
        format!("{group}bind_dn = cn=admin,dc=x\nbind_pw = secret\n"),
        format!("{group}bind_dn = cn=admin,dc=x\nbind_pw = wrong\n"),
        format!("{group}recursion_limit = 1\n"),
        format!("{group}leaf_result_attribute = cn\n"),
        format!("{group}terminal_result_attribute = cn\n"),
        "query_filter = (uid=%s))\nresult_attribute = mail\n".to_owned(),
        "search_base = cn=%u,dc=x\nscope = base\nquery_filter = objectclass=*\nresult_attribute = mail\n"
            .to_owned(),
        "search_base = dc=nowhere\nquery_filter = (uid=%s)\nresult_attribute = mail\n".to_owned(),
    ];
    let keys = [
        "one@a.test",
        "two@a.test",
        "o(*)\\n@a.test",
        "*",
        "nobody@a.test",
        "group@a.test",
        "round@a.test",
        "url@a.test",
    ];
    for (number, variant) in variants.iter().enumerate() {
        let settings = server.file(&format!("{number}.cf"), &format!("{base}{variant}"));
        compare(&system, "ldap", &settings, &keys);
    }
}

/// Only who has proved who they are may see it.
const LOCKED: &str = "dn: dc=x\nobjectClass: domain\ndc: x\n\n\
    dn: cn=one,dc=x\nobjectClass: inetOrgPerson\ncn: one\nsn: 1\nuserPassword: secret\n\n\
    dn: cn=locked,dc=x\nobjectClass: inetOrgPerson\ncn: locked\nsn: 2\nmail: found@x.test\n";

#[test]
fn ldap_tables_prove_who_they_are_with_sasl() {
    let server = DataServer::openldap(LOCKED);
    let system = idle_system();
    let tcp = format!("ldap://127.0.0.1:{}", server.port);
    let socket = format!("ldapi://{}", server.path("ldapi").display().to_string().replace('/', "%2F"));
    let base = "version = 3\nsearch_base = dc=x\nquery_filter = (cn=%s)\nresult_attribute = mail\n";
    let plain = "bind = sasl\nsasl_mechs = PLAIN\nbind_dn = one\n";
    let variants = [
        (&socket, "bind = sasl\nsasl_mechs = EXTERNAL\n".to_owned(), (Some(0), "found@x.test\n")),
        (&tcp, format!("{plain}bind_pw = secret\n"), (Some(0), "found@x.test\n")),
        (&tcp, format!("{plain}bind_pw = wrong\n"), (Some(1), "")),
        (&tcp, "bind = sasl\nsasl_mechs = EXTERNAL\n".to_owned(), (Some(1), "")),
        (&tcp, "bind = no\n".to_owned(), (Some(1), "")),
    ];
    for (number, (place, text, (code, shown))) in variants.iter().enumerate() {
        let settings = format!("server_host = {place}\n{base}{text}");
        let settings = server.file(&format!("sasl{number}.cf"), &settings);
        let spec = format!("ldap:{}", settings.display());
        let ours = postmap(&system, system.program("postmap"), "locked", &spec);
        assert_eq!(ours, (*code, (*shown).to_owned()), "{place} {text}");
        // The C library sends no password in clear text unless ldap.conf lets it.
        if !text.contains("PLAIN") {
            compare(&system, "ldap", &settings, &["locked"]);
        }
    }
    let settings =
        server.file("gssapi.cf", &format!("server_host = {tcp}\n{base}bind = sasl\nsasl_mechs = GSSAPI\n"));
    let mut command = system.program("postmap");
    let output =
        command.args(["-q", "locked", &format!("ldap:{}", settings.display())]).output().expect("postmap");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("sasl_mechs = EXTERNAL or PLAIN"), "{said}");
}

#[test]
fn memcache_tables_ask_the_cache_and_what_is_behind_it() {
    let server = DataServer::memcached();
    let system = idle_system();
    let talk = |request: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("memcached");
        stream.write_all(format!("{request}\r\nquit\r\n").as_bytes()).expect("memcached");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("memcached");
        answer
    };
    assert_eq!(talk("set k:one 0 0 5\r\nfirst"), "STORED\r\n");
    let text = format!("memcache = inet:127.0.0.1:{}\nkey_format = k:%s\n", server.port);
    let keys = ["one", "two", "a b", ""];
    compare(&system, "memcache", &server.file("plain.cf", &text), &keys);
    // What was behind the cache is in it then.
    let behind = server.file("behind.cf", &format!("{text}backup = inline:{{two=second}}\n"));
    let spec = format!("memcache:{}", behind.display());
    assert_eq!(postmap(&system, system.program("postmap"), "two", &spec), (Some(0), "second\n".to_owned()));
    assert_eq!(talk("get k:two"), "VALUE k:two 0 6\r\nsecond\r\nEND\r\n");
    let digest = server.file("digest.cf", &format!("{text}key_digest = sha256\nbackup = static:x\n"));
    let spec = format!("memcache:{}", digest.display());
    assert_eq!(postmap(&system, system.program("postmap"), "one", &spec), (Some(0), "x\n".to_owned()));
    // The digest of "k:one", as sha256sum gives it.
    let key = "bbd199d1af9c96eb897c8f9cb23651bc07b277969eed86fcf6dbaa723c1e5d47";
    assert!(talk(&format!("get {key}")).starts_with("VALUE "));
}

#[test]
fn redis_tables() {
    let server = DataServer::redis();
    let system = idle_system();
    let fill = |words: &[&str]| {
        let port = server.port.to_string();
        let mut command = Command::new("redis-cli");
        command.args(["-p", &port, "-a", "secret", "--no-auth-warning"]).args(words);
        assert!(command.output().expect("redis-cli").status.success());
    };
    fill(&["SET", "alias:a b@x.test", "spaces"]);
    fill(&["SET", "alias:one", "first"]);
    fill(&["RPUSH", "list:one", "a", "b", "c"]);
    let base = format!("hosts = 127.0.0.1:{}\npassword = secret\n", server.port);
    let ask = |name: &str, text: &str, key: &str| {
        let settings = server.file(name, &format!("{base}{text}"));
        postmap(&system, system.program("postmap"), key, &format!("redis:{}", settings.display()))
    };
    let get = "query = GET alias:%s\n";
    assert_eq!(ask("get.cf", get, "one"), (Some(0), "first\n".to_owned()));
    assert_eq!(ask("get.cf", get, "a b@x.test"), (Some(0), "spaces\n".to_owned()));
    assert_eq!(ask("get.cf", get, "one\\x20two"), (Some(1), String::new()));
    let list = "query = LRANGE list:%s 0 -1\nresult_format = <%s>\n";
    assert_eq!(ask("list.cf", list, "one"), (Some(0), "<a>,<b>,<c>\n".to_owned()));
    assert_eq!(ask("list.cf", list, "none"), (Some(1), String::new()));
    assert_eq!(ask("limit.cf", &format!("{list}expansion_limit = 2\n"), "one"), (Some(1), String::new()));
    assert_eq!(ask("wrong.cf", "query = HGET alias:%s\n", "one").0, Some(1));
}

#[test]
fn mail_waits_while_the_server_is_away() {
    let sql = "CREATE TABLE aliases(k text, v text); INSERT INTO aliases VALUES ('good@v.test','x')";
    let mut server = DataServer::postgresql(sql);
    let text = format!(
        "hosts = 127.0.0.1:{}\nuser = mail\npassword = secret\ndbname = postgres\n{}",
        server.port, VARIANTS[0]
    );
    let settings = server.file("users.cf", &text);
    let system = System::start(
        Which::Posthaste,
        &format!(
            "virtual_mailbox_domains = v.test\nvirtual_mailbox_maps = pgsql:{}\nvirtual_transport = discard:\n\
             smtpd_peername_lookup = no\n",
            settings.display()
        ),
    );
    assert!(Talk::rcpt(system.address(), "good@v.test").starts_with("250 "), "{}", system.log());
    assert!(Talk::rcpt(system.address(), "bad@v.test").starts_with("550 "), "{}", system.log());
    server.stop();
    assert!(Talk::rcpt(system.address(), "good@v.test").starts_with("451 "), "{}", system.log());
    assert!(Talk::rcpt(system.address(), "bad@v.test").starts_with("451 "), "{}", system.log());
    let log = system.log();
    assert!(log.contains(&format!("connect to pgsql server 127.0.0.1:{}", server.port)), "{log}");
    server.start();
    system.wait_until("the table answers again", || {
        Talk::rcpt(system.address(), "good@v.test").starts_with("250 ")
    });
    assert!(Talk::rcpt(system.address(), "bad@v.test").starts_with("550 "), "{}", system.log());
}
