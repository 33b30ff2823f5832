//! `non_bdb_migration_level = enable-reindex` (NON_BERKELEYDB_README): a system whose hash tables Debian's tools made starts
//! without Berkeley DB, and what stands in for them is made by the commands that start and reload it.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    system::{System, Which},
    wire::Talk,
};
use std::{fs, os::unix::fs::MetadataExt, process::Command};

const LMDB: &str = "default_database_type = lmdb\ndefault_cache_db_type = lmdb\nsmtpd_peername_lookup = no\n\
    virtual_alias_domains = list.test\nnon_bdb_migration_allow_root_prefixes = $B\n\
    non_bdb_migration_allow_user_prefixes = $B\n";

/// A table as Debian's Postfix leaves it: the text and its Berkeley DB file.
fn legacy(system: &System, name: &str, text: &str) {
    let path = system.path(&format!("etc/{name}"));
    fs::write(&path, text).expect("space for a table");
    let table = format!("hash:{}", path.display());
    let made = Command::new("/usr/sbin/postmap").args(["-c", "/etc/postfix", &table]).status();
    assert!(made.expect("Debian's postfix is installed").success(), "{table}");
}

fn rcpt(system: &System, user: &str) -> String {
    Talk::rcpt(system.address(), &format!("{user}@list.test"))
}

fn set(system: &System, setting: &str) {
    system.command("postconf", &["-e", setting]);
}

#[test]
fn missing_tables_are_made_at_start_and_reload() {
    let reindex = "non_bdb_migration_level = enable-reindex\nvirtual_alias_maps = hash:$B/etc/first\n";
    let system = System::prepare(Which::Posthaste, &format!("{LMDB}{reindex}"));
    let table = |name: &str| format!("hash:{}", system.path(&format!("etc/{name}")).display());
    let built = |name: &str| system.path(&format!("etc/{name}.lmdb"));
    legacy(&system, "first", "joe@list.test x@mx.test\n");
    system.run();
    assert!(rcpt(&system, "joe").starts_with("250 "), "{}", system.log());
    assert!(rcpt(&system, "jane").starts_with("550 "), "{}", system.log());
    let facts = fs::metadata(built("first")).expect("made at start");
    assert_eq!(facts.uid(), fs::metadata(system.path("etc/first.db")).expect("Debian's").uid());

    legacy(&system, "second", "jane@list.test x@mx.test\n");
    set(&system, &format!("virtual_alias_maps = {} {}", table("first"), table("second")));
    system.command("postfix", &["reload"]);
    assert!(built("second").exists(), "made by the time reload has ended");
    system.wait_until("the new table is in force", || rcpt(&system, "jane").starts_with("250 "));
    // What is there is left alone.
    assert_eq!(fs::metadata(built("first")).expect("it stays").ino(), facts.ino());
    assert_eq!(system.log().matches("successfully executed 'postmap lmdb:").count(), 2, "{}", system.log());

    // A table that never was one of Berkeley DB is nobody's to make: mail waits, and the log says what to do.
    fs::write(system.path("etc/third"), "jim@list.test x@mx.test\n").expect("space for a table");
    set(&system, &format!("virtual_alias_maps = {} {}", table("first"), table("third")));
    system.command("postfix", &["reload"]);
    system.wait_until("the table is missed", || rcpt(&system, "jim").starts_with("451 "));
    let third = system.path("etc/third").display().to_string();
    let log = system.log();
    let why = format!(
        "could not execute command 'postmap lmdb:{third}': look up status for legacy indexed file '{third}.db': \
         No such file or directory; alternatively, execute the failed command by hand"
    );
    assert!(log.contains(&why), "{log}");
    system.command("postmap", &[&table("third")]);
    system.wait_until("the table is there", || rcpt(&system, "jim").starts_with("250 "));
}

/// At the level below, making them is left to the administrator.
#[test]
fn nothing_is_made_at_enable_redirect() {
    let redirect = "non_bdb_migration_level = enable-redirect\nvirtual_alias_maps = hash:$B/etc/first\n";
    let system = System::prepare(Which::Posthaste, &format!("{LMDB}{redirect}"));
    legacy(&system, "first", "joe@list.test x@mx.test\n");
    system.run();
    system.command("postfix", &["reload"]);
    assert!(rcpt(&system, "joe").starts_with("451 "), "{}", system.log());
    assert!(!system.path("etc/first.lmdb").exists());
    let file = system.path("etc/first.lmdb").display().to_string();
    assert!(system.log().contains(&file), "{}", system.log());
}
