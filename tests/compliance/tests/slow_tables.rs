//! Look-ups that may block, hang or crash are done by an expendable process: whoever asked is told to come again, nobody
//! else waits, and the process does not go on.

use compliance::{
    system::{System, Which},
    wire::Talk,
};
use std::{fs, process::Command, thread};

/// A pattern for which the C library tries more ways than there is time for.
const EXPONENTIAL: &str = "/^(.*)(.*)(.*)(.*)(.*)(.*)\\1\\2\\3\\4\\5\\6x@v.test$/ x@elsewhere.test\n\
                           /^(good)@v.test$/ $1@elsewhere.test\n";

fn ask(system: &System, recipient: &str) -> String {
    let mut talk = Talk::to(system.address());
    talk.reply();
    talk.say("EHLO c.test");
    talk.say("MAIL FROM:<a@c.test>");
    let reply = talk.say(&format!("RCPT TO:<{recipient}>"));
    talk.say("QUIT");
    reply
}

/// The processes for look-ups that run.
fn lookups(system: &System) -> Vec<u32> {
    let children = system.children().into_iter();
    children.filter(|(_, name)| name.starts_with("lookup")).map(|(pid, _)| pid).collect()
}

#[test]
fn a_pattern_that_takes_for_ever_keeps_nobody_else_waiting() {
    let system = System::prepare(
        Which::Posthaste,
        "virtual_alias_domains = v.test\nvirtual_alias_maps = regexp:$B/etc/patterns\n\
         smtpd_peername_lookup = no\nlookup_time_limit = 3s\n\
         smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n",
    );
    fs::write(system.path("etc/patterns"), EXPONENTIAL).expect("space");
    system.run();
    let hanging = format!("{}@v.test", "ab".repeat(40));
    thread::scope(|scope| {
        let slow = scope.spawn(|| ask(&system, &hanging));
        system.wait_until("somebody works on it", || !lookups(&system).is_empty());
        let busy = lookups(&system);
        // Many more than there are processes for look-ups, while one of them is busy.
        for _ in 0..20 {
            assert!(ask(&system, "good@v.test").starts_with("250 "), "{}", system.log());
            assert!(ask(&system, "nobody@v.test").starts_with("550 "), "{}", system.log());
        }
        let reply = slow.join().expect("an answer");
        assert!(reply.starts_with("451 4.3.0 "), "{reply}");
        system.wait_until("the one that hung is gone", || {
            let left = lookups(&system);
            busy.iter().all(|pid| !left.contains(pid))
        });
    });
    assert!(ask(&system, "good@v.test").starts_with("250 "));
    assert!(system.log().contains("no answer within 3s (lookup_time_limit)"), "{}", system.log());
}

#[test]
fn sqlite_tables_answer_as_debians_and_mail_waits_without_them() {
    let system = System::prepare(
        Which::Posthaste,
        "virtual_mailbox_domains = v.test\nvirtual_mailbox_maps = sqlite:$B/etc/users.cf\n\
         virtual_transport = discard:\nsmtpd_peername_lookup = no\n",
    );
    let database = system.path("etc/users.db");
    let settings = system.path("etc/users.cf");
    let build = || {
        let sql = "CREATE TABLE users(name TEXT, value); INSERT INTO users VALUES('good@v.test','x'),('two@v.test','a'),\
                   ('two@v.test',7),('o''n@v.test','quoted'),('null@v.test',NULL);";
        let made = Command::new("sqlite3").arg(&database).arg(sql).status().expect("sqlite3");
        assert!(made.success());
    };
    build();
    let query = format!(
        "dbpath = {}\nquery = SELECT value FROM users WHERE name = '%s' ORDER BY value\n",
        database.display()
    );
    fs::write(&settings, query).expect("space");
    let spec = format!("sqlite:{}", settings.display());
    for key in ["good@v.test", "two@v.test", "o'n@v.test", "null@v.test", "nobody@v.test", "x' OR 'a'='a"] {
        let asked = |mut program: Command| {
            let output = program.args(["-q", key, &spec]).output().expect("postmap");
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let mut debians = Command::new("/usr/sbin/postmap");
        debians.arg("-c").arg(system.path("etc"));
        assert_eq!(asked(system.program("postmap")), asked(debians), "{key}");
    }
    system.run();
    assert!(ask(&system, "good@v.test").starts_with("250 "));
    assert!(ask(&system, "nobody@v.test").starts_with("550 "));
    fs::rename(&database, database.with_extension("away")).expect("one file system");
    assert!(ask(&system, "nobody@v.test").starts_with("451 "));
    build();
    assert!(ask(&system, "good@v.test").starts_with("250 "));
}
