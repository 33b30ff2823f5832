//! `mongodb:` tables against a server of our own (compliance::mongodb), as Debian has no MongoDB: what mongodb_table(5) and
//! MONGODB_README of Postfix 3.12 say.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    mongodb::{Bson, Document, MongoServer, document},
    system::{System, Which},
    wire::Talk,
};
use std::path::Path;

/// Exit code, standard output, and complaints of `postmap -q`.
fn postmap(system: &System, key: &str, table: &Path) -> (Option<i32>, String, String) {
    let mut program = system.program("postmap");
    program.env("MAIL_CONFIG", system.path("etc"));
    let output =
        program.args(["-q", key, &format!("mongodb:{}", table.display())]).output().expect("postmap");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn found(text: &str) -> (Option<i32>, String, String) {
    (Some(0), format!("{text}\n"), String::new())
}

fn absent() -> (Option<i32>, String, String) {
    (Some(1), String::new(), String::new())
}

fn address(text: &str) -> Bson {
    document([("address", text.into())]).into()
}

fn user(name: &str, more: Document) -> Document {
    [document([("name", name.into()), ("active", 1.into())]), more].concat()
}

/// The documents of MONGODB_README, and some that are less friendly.
fn users() -> Vec<Document> {
    let alias = vec![address("admin@example.com"), address("abuse@example.com")];
    vec![
        user("user@example.com", document([("alias", Bson::List(alias)), ("to", "user".into())])),
        user("dev@example.com", document([("to", vec!["a@x.test", "b@x.test", "c@x.test"].into())])),
        user("twice@example.com", document([("to", "one".into())])),
        user("twice@example.com", document([("to", "two".into())])),
        user("number@example.com", document([("to", 7.into())])),
        user("empty@example.com", document([("to", "".into())])),
        user("flag@example.com", document([("to", Bson::Flag(true))])),
        document([("name", "gone@example.com".into()), ("active", 0.into()), ("to", "x".into())]),
        user("$where", document([("to", "dollar".into())])),
        user("a\"b\\c", document([("to", "quoted".into())])),
        user("ünï@example.com", document([("to", "ü".into())])),
    ]
}

const BY_NAME: &str = "query_filter = {\"name\": \"%s\", \"active\": 1}\nresult_attribute = to\n";

fn idle() -> System {
    System::prepare(Which::Posthaste, "")
}

#[test]
fn what_the_manual_says() {
    let (system, server) = (idle(), MongoServer::start(users(), None));
    let check = |settings: &str, key: &str, expected: (Option<i32>, String, String)| {
        assert_eq!(postmap(&system, key, &server.table("t.cf", settings)), expected, "{settings} {key}");
    };
    let either = "query_filter = {\"$or\": [{\"name\":\"%s\"}, {\"alias.address\": \"%s\"}],\n  \"active\": 1}\n\
                  result_attribute = name\n";
    check(either, "admin@example.com", found("user@example.com"));
    check(either, "user@example.com", found("user@example.com"));
    check(either, "other@example.com", absent());
    check(BY_NAME, "dev@example.com", found("a@x.test,b@x.test,c@x.test"));
    check(BY_NAME, "twice@example.com", found("one,two"));
    check(BY_NAME, "number@example.com", found("7"));
    check(BY_NAME, "gone@example.com", absent());
    check(BY_NAME, "ünï@example.com", found("ü"));
    check(&BY_NAME.replace("%s", "%u@%d"), "dev@example.com", found("a@x.test,b@x.test,c@x.test"));
    check(&BY_NAME.replace("%s", "%u@%2.%1"), "user@example.com", found("user"));
    check(&BY_NAME.replace("%s", "%u@%3"), "user@example.com", absent());
    check(&format!("{BY_NAME}result_format = smtp:[%s] %U\n"), "user@example.com", found("smtp:[user] user"));
    check(&format!("{BY_NAME}result_format = %d\n"), "dev@example.com", found("x.test,x.test,x.test"));
    check(&format!("{BY_NAME}domain = example.com\n"), "user@example.com", found("user"));
    check(&format!("{BY_NAME}domain = other.test\n"), "user@example.com", absent());
    let projection = BY_NAME.replace("result_attribute = to", "projection = {\"to\": 1, \"_id\": 1}");
    check(&projection, "user@example.com", found("user"));
    assert_eq!(server.nonsense(), 0);
}

#[test]
fn what_the_manual_warns_of() {
    let (system, server) = (idle(), MongoServer::start(users(), None));
    let check = |settings: &str, key: &str, why: &str| {
        let table = server.table("t.cf", settings);
        let (code, shown, said) = postmap(&system, key, &table);
        assert_eq!((code, shown.as_str()), (Some(1), ""), "{said}");
        let why = why.replace("TABLE", &format!("mongodb:{}", table.display()));
        assert!(said.contains(&why), "{said}");
    };
    let limited = format!("{BY_NAME}expansion_limit = 2\n");
    check(&limited, "dev@example.com", "warning: TABLE: expansion limit exceeded for key: 'dev@example.com'");
    let unknown = "warning: TABLE: failed to retrieve value of 'to', Unknown result type 8.";
    check(BY_NAME, "flag@example.com", unknown);
    let empty = "warning: table \"TABLE\": empty lookup result for: \"empty@example.com\" -- ignored";
    check(BY_NAME, "empty@example.com", empty);
    let operator = "query_filter = {\"$nor\": \"%s\"}\nresult_attribute = to\n";
    let refused = "warning: TABLE: cursor error for '{\"$nor\": \"x\"}': unknown top level operator: $nor";
    check(operator, "x", refused);
    check("uri = mongodb+srv://h\n", "x", "'query_filter' parameter not defined");
    check(&format!("uri = mongodb+srv://h\n{BY_NAME}"), "x", "TABLE: failed to parse URI: mongodb+srv");
    check(&format!("uri = mongodb://127.0.0.1:1/\n{BY_NAME}"), "x", "127.0.0.1:1: Connection refused");
}

/// Whatever is in a key, the server sees it as text.
#[test]
fn keys_never_become_operators() {
    let (system, server) = (idle(), MongoServer::start(users(), None));
    let table = server.table("t.cf", "query_filter = {\"name\": \"%s\"}\nresult_attribute = to\n");
    let hostile = [
        ("$where", "dollar"),
        ("a\"b\\c", "quoted"),
        ("{\"$ne\": null}", ""),
        ("x\", \"$or\": [{}], \"y\": \"", ""),
        ("\\\", \"$ne\": \"", ""),
        ("\\u0022", ""),
        (".*", ""),
        ("name.x", ""),
        ("\u{1}\u{7f}\t", ""),
    ];
    for (key, value) in hostile {
        let expected = if value.is_empty() { absent() } else { found(value) };
        assert_eq!(postmap(&system, key, &table), expected, "{key}");
        assert_eq!(server.asked(), [document([("name", key.into())])], "{key}");
    }
    // As the name of a field it would be an operator, or lead elsewhere.
    let names = server.table("names.cf", "query_filter = {\"%s\": \"x\"}\nresult_attribute = to\n");
    for key in ["$where", "name.x"] {
        let (code, _, said) = postmap(&system, key, &names);
        assert_eq!(code, Some(1));
        assert!(said.contains("the key cannot be part of \"%s\""), "{said}");
    }
    let code = "query_filter = {\"$where\": \"this.name == '%s'\"}\nresult_attribute = to\n";
    let said = postmap(&system, "x", &server.table("code.cf", code)).2;
    assert!(said.contains("% letters within $where"), "{said}");
    assert_eq!((server.asked(), server.nonsense()), (vec![], 0));
}

#[test]
fn logins() {
    let (system, server) = (idle(), MongoServer::start(users(), Some("se:cret@")));
    let table = |login: &str, more: &str| {
        let uri = format!("uri = mongodb://{login}127.0.0.1:{}/{more}\n", server.port);
        server.table("t.cf", &format!("{uri}{BY_NAME}"))
    };
    let key = "user@example.com";
    assert_eq!(postmap(&system, key, &table("mail:se%3Acret%40@", "")), found("user"));
    assert_eq!(postmap(&system, key, &table("mail:se%3Acret%40@", "x?authSource=admin")), found("user"));
    let check = |login: &str, why: &str| {
        let (code, shown, said) = postmap(&system, key, &table(login, ""));
        assert_eq!((code, shown.as_str()), (Some(1), ""));
        assert!(said.contains(why), "{said}");
        assert!(!said.contains("secret") && !said.contains("wrong"), "a password is in {said}");
    };
    check("mail:wrong@", "Authentication failed.");
    check("", "command find requires authentication");
    assert_eq!(server.nonsense(), 0);
}

#[test]
fn long_answers_and_the_first_of_several_hosts() {
    let many = (0..250).map(|number| user("many", document([("to", number.into())]))).collect();
    let (system, server) = (idle(), MongoServer::start(many, None));
    let expected = (0..250).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let table = server.table("t.cf", &format!("{BY_NAME}expansion_limit = 0\n"));
    assert_eq!(postmap(&system, "many", &table), found(&expected));
    // A host that is down costs nothing but a try; one that is in no replica set is no substitute for it.
    let uri = format!("uri = mongodb://127.0.0.1:1,127.0.0.1:{}/\n", server.port);
    let said = postmap(&system, "many", &server.table("two.cf", &format!("{uri}{BY_NAME}"))).2;
    assert!(said.contains("no member of a replica set, but one of several hosts"), "{said}");
}

#[test]
fn mail_waits_while_the_server_is_away() {
    let users = vec![user("good@v.test", document([("to", "x".into())]))];
    let server = MongoServer::start(users, None);
    let table = server.table("t.cf", BY_NAME);
    let system = System::start(
        Which::Posthaste,
        &format!(
            "virtual_mailbox_domains = v.test\nvirtual_mailbox_maps = mongodb:{}\nvirtual_transport = discard:\n\
             smtpd_peername_lookup = no\n",
            table.display()
        ),
    );
    let rcpt = |user: &str| Talk::rcpt(system.address(), &format!("{user}@v.test"));
    assert!(rcpt("good").starts_with("250 "), "{}", system.log());
    assert!(rcpt("bad").starts_with("550 "), "{}", system.log());
    server.go();
    assert!(rcpt("good").starts_with("451 "), "{}", system.log());
    assert!(rcpt("bad").starts_with("451 "), "{}", system.log());
    let log = system.log();
    assert!(log.contains(&format!("mongodb:{}: cursor error for '", table.display())), "{log}");
    server.come_back();
    assert!(rcpt("good").starts_with("250 "), "{}", system.log());
    assert!(rcpt("bad").starts_with("550 "), "{}", system.log());
    assert_eq!(server.nonsense(), 0);
}

/// Nobody has to reload for a table whose settings were missing, or are others now.
#[test]
fn settings_are_read_again_below_a_running_system() {
    let servers = ["one", "two"].map(|name| {
        MongoServer::start(vec![user(&format!("{name}@v.test"), document([("to", "x".into())]))], None)
    });
    let [one, two] = servers.each_ref().map(|server| server.table("t.cf", BY_NAME));
    let system = System::prepare(
        Which::Posthaste,
        "virtual_mailbox_domains = v.test\nvirtual_mailbox_maps = mongodb:$B/etc/users.cf\n\
         virtual_transport = discard:\nsmtpd_peername_lookup = no\n",
    );
    system.run();
    let use_settings = |from: &Path| {
        let new = system.path("etc/users.new");
        std::fs::copy(from, &new).expect("space");
        std::fs::rename(&new, system.path("etc/users.cf")).expect("one file system");
    };
    let rcpt = |user: &str| Talk::rcpt(system.address(), &format!("{user}@v.test"));
    assert!(rcpt("one").starts_with("451 "), "{}", system.log());
    use_settings(&one);
    system.wait_until("the settings are found", || rcpt("one").starts_with("250 "));
    assert!(rcpt("two").starts_with("550 "), "{}", system.log());
    use_settings(&two);
    system.wait_until("the new settings are in force", || rcpt("two").starts_with("250 "));
    assert!(rcpt("one").starts_with("550 "), "{}", system.log());
}
