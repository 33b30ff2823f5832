//! Tables that only root may read, in a folder that only root may enter: Postfix's daemons open them before they give up
//! root's rights, and here master opens them. Beside Debian's Postfix.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    plain::told_alike,
    servers::DataServer,
    smtp::Client,
    system::{System, Which},
    wire::Talk,
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
};

const SETTINGS: &str = "\
smtpd_recipient_restrictions = check_recipient_access hash:$B/etc/private/hash, check_recipient_access lmdb:$B/etc/private/lmdb
    check_recipient_access texthash:$B/etc/private/texthash check_recipient_access pcre:$B/etc/private/pcre
    check_recipient_access memcache:$B/etc/private/memcache
virtual_alias_maps = hash:$B/etc/private/virtual
transport_maps = lmdb:$B/etc/private/transport
mydestination = mx.test, $B/etc/private/destinations
local_recipient_maps =
local_transport = discard:here
";

fn rule(kind: &str) -> String {
    match kind {
        "pcre" => "/^pcre@/ REJECT by pcre\n".to_owned(),
        _ => format!("{kind}@mx.test REJECT by {kind}\n"),
    }
}

fn private(system: &System, name: &str, text: &str) {
    let path = system.path("etc/private").join(name);
    let new = path.with_extension("new");
    fs::write(&new, text).expect("space for a table");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).expect("our own file");
    fs::rename(new, path).expect("our own directory");
}

fn prepare(which: Which, memcached: u16) -> System {
    let system = System::prepare(which, SETTINGS);
    fs::create_dir(system.path("etc/private")).expect("a fresh directory");
    for kind in ["hash", "lmdb", "texthash", "pcre"] {
        private(&system, kind, &rule(kind));
    }
    private(&system, "memcache", &format!("memcache = inet:127.0.0.1:{memcached}\n"));
    private(&system, "virtual", "list@mx.test x@gone.test\n");
    private(&system, "transport", "gone.test error:5.1.6 moved away\n");
    private(&system, "destinations", "also.test\n");
    for table in ["hash:hash", "lmdb:lmdb", "hash:virtual", "lmdb:transport"] {
        let (kind, name) = table.split_once(':').expect("two words");
        let path = system.path("etc/private").join(name);
        system.command("postmap", &[&format!("{kind}:{}", path.display())]);
    }
    fs::set_permissions(system.path("etc/private"), fs::Permissions::from_mode(0o700)).expect("our own");
    system.run();
    system
}

fn story(which: Which) -> Vec<String> {
    let server = DataServer::memcached();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("memcached");
    let action = "REJECT by memcache";
    write!(stream, "set memcache@mx.test 0 0 {}\r\n{action}\r\nquit\r\n", action.len()).expect("memcached");
    let mut stored = String::new();
    stream.read_to_string(&mut stored).expect("memcached");
    assert_eq!(stored, "STORED\r\n");
    let system = prepare(which, server.port);
    let rcpt = |recipient: &str| Talk::rcpt(system.address(), recipient);
    let mut seen = Vec::new();
    for kind in ["hash", "lmdb", "texthash", "pcre", "memcache", "nobody"] {
        for domain in ["mx.test", "also.test"] {
            let recipient = format!("{kind}@{domain}");
            seen.push(format!("{recipient}\n{}", rcpt(&recipient)));
        }
    }
    let mut client = Client::connect(system.address()).expect("the server listens");
    let reply = client.send("", &["list@mx.test"], "Subject: x\r\n\r\nx").expect("a reply");
    assert!(reply.starts_with("250 "), "{reply}");
    system.wait_until("the mail has a fate", || system.log().contains("status=bounced"));
    let log = system.log();
    let line = log.lines().find(|line| line.contains("status=bounced")).unwrap_or_default();
    let fate = line.split_once("status=").unwrap_or_default().1;
    seen.push(format!("through alias and transport\n{fate}"));
    private(&system, "texthash", "texthash@mx.test REJECT by another\n");
    system.wait_until("the new table counts", || rcpt("texthash@mx.test").contains("another"));
    seen.push(format!("renewed\n{}", rcpt("texthash@mx.test")));
    seen
}

#[test]
fn tables_that_only_root_may_read_count_and_are_read_again() {
    let told = told_alike(story);
    for (kind, step) in ["hash", "lmdb", "texthash", "pcre", "memcache"].iter().zip(told.iter().step_by(2)) {
        assert!(step.contains(&format!("Recipient address rejected: by {kind}")), "{told:?}");
    }
}
