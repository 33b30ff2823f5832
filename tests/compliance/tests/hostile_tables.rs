//! Tables that change, lose their end or cannot be read under a running system: mail waits, nobody is said to
//! be unknown who is not, and all is well again when the table is.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    system::{System, Which},
    wire::Talk,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

fn answer(system: &System, recipient: &str) -> String {
    let mut talk = Talk::to(system.address());
    talk.reply();
    talk.say("EHLO c.test");
    talk.say("MAIL FROM:<a@c.test>");
    let reply = talk.say(&format!("RCPT TO:<{recipient}>"));
    talk.say("QUIT");
    reply
}

/// What a table does to a file of its own.
fn harm(path: &Path, how: &str) {
    let good = fs::read(path).expect("the table");
    match how {
        "cut" => fs::write(path, good.get(..good.len() / 3).unwrap_or_default()).expect("space"),
        "emptied" => fs::write(path, "").expect("space"),
        "overwritten" => fs::write(path, vec![0xff; good.len()]).expect("space"),
        "replaced by noise" => {
            let other = path.with_extension("new");
            fs::write(&other, vec![0x5a; 20_000]).expect("space");
            fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).expect("our file");
            fs::rename(&other, path).expect("one file system");
        }
        _ => {
            // A new file, since one that is open stays readable.
            let other = path.with_extension("new");
            fs::write(&other, good).expect("space");
            fs::set_permissions(&other, fs::Permissions::from_mode(0o000)).expect("our file");
            fs::rename(&other, path).expect("one file system");
        }
    }
}

fn check(kind: &str, extension: &str) {
    let system = System::prepare(
        Which::Posthaste,
        &format!(
            "virtual_mailbox_domains = v.test\nvirtual_mailbox_maps = {kind}:$B/etc/users\n\
             virtual_transport = discard:\nsmtpd_peername_lookup = no\n"
        ),
    );
    let source = system.path("etc/users");
    let table: PathBuf = system.path(&format!("etc/users{extension}"));
    let build = || {
        fs::write(&source, "good@v.test x\n").expect("space");
        system.command("postmap", &[&format!("{kind}:{}", source.display())]);
    };
    build();
    system.command("postfix", &["start"]);
    system.wait_until("the table answers", || answer(&system, "good@v.test").starts_with("250"));
    assert!(answer(&system, "bad@v.test").starts_with("550"), "{}", system.log());
    let receive = system.process("receive");
    for how in ["cut", "emptied", "overwritten", "replaced by noise", "made unreadable"] {
        harm(&table, how);
        system.wait_until(&format!("{kind} {how}: mail is deferred"), || {
            let reply = answer(&system, "good@v.test");
            assert!(!reply.starts_with('5'), "{kind} {how}: {reply}\n{}", system.log());
            reply.starts_with('4')
        });
        fs::remove_file(&table).expect("our file");
        build();
        system.wait_until(&format!("{kind} {how}: the table answers again"), || {
            answer(&system, "good@v.test").starts_with("250")
        });
        assert!(answer(&system, "bad@v.test").starts_with("550"), "{kind} {how}\n{}", system.log());
    }
    assert_eq!(system.process("receive"), receive, "the process lives\n{}", system.log());
}

#[test]
fn a_damaged_hash_table_defers_until_it_is_whole() {
    check("hash", ".db");
}

#[test]
fn a_damaged_lmdb_table_defers_until_it_is_whole() {
    check("lmdb", ".lmdb");
}

#[test]
fn a_damaged_cdb_table_defers_until_it_is_whole() {
    check("cdb", ".cdb");
}
