//! What is known of a client before any test: the access list with its tables, and the cache with entries of earlier days.

use crate::{
    MAIL, RCPT, chown,
    talk::{Conversation, End, Hear, Say, Send, Talk, Until, connect, converse, run, screened, settled_log},
};
use compliance::{
    plain::told_alike,
    system::{System, Which},
};
use std::{
    fs,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

const QUIT: &str = "QUIT\r\n";

/// The rules of a table, and what comes behind it.
const TABLE: &str = "\
127.0.0.181 permit
127.0.0.182 REJECT
127.0.0.183 dunno
127.0.0.184 permit_mynetworks, reject
127.0.0.185 permit_mynetworks, reject
127.0.0.186 hash:other
127.0.0.187 what, permit
127.0.0.188 dunno, reject
127.0.0.189 550 go away
";

fn listed(which: Which) -> Vec<String> {
    let settings = "postscreen_denylist_action = drop\nmynetworks = 127.0.0.184\npostscreen_greet_banner =\n\
        postscreen_access_list = cidr:$B/etc/list, inline:{ {127.0.0.191 = permit} {127.0.0.183 = reject} }, what, reject";
    let system = screened(which, settings);
    fs::write(system.path("etc/list"), TABLE).unwrap();
    run(&system);
    let clients: Vec<Conversation> = [181, 182, 183, 184, 185, 186, 187, 188, 189, 190, 191]
        .into_iter()
        .map(|client| (client, [Hear, Say(QUIT), End].as_slice()))
        .collect();
    let mut told: Vec<String> =
        clients.iter().flat_map(|one| converse(&system, std::slice::from_ref(one))).collect();
    let base = system.path("").display().to_string();
    let log = system.log();
    let warnings = log
        .lines()
        .filter_map(|line| line.split_once("]: warning: "))
        .map(|(_, text)| text.replace(&base, "/"));
    // Those who look whether the port answers are warned of as often as they do.
    let mut warnings: Vec<_> = warnings.collect();
    warnings.sort();
    warnings.dedup();
    told.extend(warnings);
    told
}

#[test]
fn access_lists_are_walked_until_somebody_knows() {
    let told = told_alike(listed).join("\n");
    for line in [
        "ALLOWLISTED [127.0.0.181]:PORT",
        "DENYLISTED [127.0.0.183]:PORT",
        "ALLOWLISTED [127.0.0.184]:PORT",
        "unknown command: what -- ignoring the remainder of this access list",
    ] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

/// Puts entries into the cache of a system that does not run yet, as Debian's postmap does.
fn remember(system: &System, entries: &[(u8, String)]) {
    let path = system.path("data/postscreen_cache");
    let text: String = entries.iter().map(|(client, entry)| format!("127.0.0.{client} {entry}\n")).collect();
    fs::write(&path, text).unwrap();
    let made = Command::new("/usr/sbin/postmap").arg(format!("btree:{}", path.display())).status();
    assert!(made.unwrap().success());
    fs::remove_file(&path).unwrap();
    chown(&path.with_extension("db"), &system.path("data"));
}

fn old_clients(which: Which) -> Vec<String> {
    let settings = "postscreen_non_smtp_command_enable = yes\npostscreen_cache_retention_time = 7d\n\
        postscreen_cache_cleanup_interval = 1h\npostscreen_bare_newline_action = enforce";
    let system = screened(which, settings);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (later, yesterday, long_ago) = (now + 86_400, now - 86_400, now - 8 * 86_400);
    remember(
        &system,
        &[
            (201, format!("{later};1;1;{later};1")),
            (202, format!("{yesterday};1;1;{yesterday};1")),
            (203, format!("{long_ago};1;1;{long_ago};1")),
            // Has passed the first test only.
            (204, format!("{later};1;1;0;1")),
            // Of a version that knew two tests.
            (205, format!("{later};{later}")),
            (206, "nonsense".to_owned()),
            (207, format!("{later};1;1;{yesterday};1")),
            (208, format!("{yesterday};1;1;{later};1")),
        ],
    );
    run(&system);
    // Whoever was forgotten is new; so is who never passed a test that there is.
    system.wait_until("old entries are removed", || !cleanups(&system).is_empty());
    let mut told = cleanups(&system);
    let client: &[crate::talk::Do] = &[Hear, Say("HELO x\r\n"), Say(MAIL), Say(RCPT), Say(QUIT), End];
    let clients: Vec<Conversation> = (201..=208).map(|number| (number, client)).collect();
    told.extend(converse(&system, &clients));
    told
}

/// What is logged of the removal of old entries.
fn cleanups(system: &System) -> Vec<String> {
    let log = system.log();
    let lines = log.lines().filter(|line| line.contains("/postscreen["));
    lines.filter_map(|line| line.split_once(" full cleanup: ")).map(|(_, text)| text.to_owned()).collect()
}

#[test]
fn old_clients_are_known_for_their_time() {
    let told = told_alike(old_clients).join("\n");
    for line in ["PASS OLD [127.0.0.201]:PORT", "PASS OLD [127.0.0.202]:PORT", "PASS NEW [127.0.0.203]:PORT"]
    {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

/// Clients that speak too early, to which nothing is done, and what smtpd reads then.
fn forgiven(which: Which) -> Vec<String> {
    let settings =
        "postscreen_greet_action = ignore\nsmtpd_forbid_unauth_pipelining = yes\nsmtpd_error_sleep_time = 0";
    let system = screened(which, settings);
    run(&system);
    let mut told = converse(
        &system,
        &[
            (211, &[Send("EHLO x\r\n"), Until("250"), Say(QUIT), End]),
            (212, &[Send("EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<bob@mx.test>\r\n"), End]),
            (213, &[Send("HELO x\r\nQUIT\r\n"), End]),
            (214, &[Send("EHLO"), Hear, Say(" x\r\n"), Say(QUIT), End]),
        ],
    );
    system.wait_until("smtpd is done with them", || {
        system.log().matches(": disconnect from unknown").count() == 4
    });
    let log = system.log();
    let lines = log.lines().filter_map(|line| line.split_once("/smtpd[")?.1.split_once("]: "));
    let mut lines: Vec<_> = lines.map(|(_, text)| text.to_owned()).collect();
    lines.sort();
    told.extend(lines);
    told
}

#[test]
fn smtpd_reads_what_was_said_before_the_greeting() {
    let told = told_alike(forgiven).join("\n");
    assert!(told.contains("PREGREET 8 after TIME from [127.0.0.211]:PORT: EHLO x\\r\\n"), "{told}");
    assert!(
        told.contains("improper command pipelining after EHLO from unknown[127.0.0.212]: MAIL FROM"),
        "{told}"
    );
}

/// The server's address is the one that the proxy names.
fn backup_behind_proxy(which: Which) -> Vec<String> {
    let settings = "postscreen_upstream_proxy_protocol = haproxy\npostscreen_greet_banner =\n\
        postscreen_allowlist_interfaces = !192.0.2.2, static:all";
    let system = screened(which, settings);
    run(&system);
    let mut told = Vec::new();
    for (client, server) in [(221, 1), (222, 2)] {
        let mut talk = Talk::new(connect(&system, 220));
        let header = format!("PROXY TCP4 127.0.0.{client} 192.0.2.{server} 4000 25\r\n");
        [Send(header.leak()), Hear, Say("HELO x\r\n"), Say(MAIL), Say(RCPT), Say(QUIT), End]
            .into_iter()
            .for_each(|step| talk.act(step));
        told.push(talk.text.join("\n"));
        told.push(settled_log(&system, client).join("\n"));
    }
    told
}

#[test]
fn a_proxy_says_at_which_address_the_client_came() {
    let told = told_alike(backup_behind_proxy).join("\n");
    assert!(told.contains("ALLOWLIST VETO [127.0.0.222]:PORT"), "{told}");
    assert!(told.contains("CONNECT from [127.0.0.221]:PORT to [192.0.2.1]:PORT"), "{told}");
}
