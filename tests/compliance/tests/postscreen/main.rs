//! postscreen(8): the same conversations with Debian's and with ours, from many client addresses at once: what each
//! client hears, what is logged of it, what is remembered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod actions;
mod flood;
mod lifecycle;
mod lists;
mod places;
mod rules;
mod talk;

use compliance::{
    network,
    plain::told_alike,
    system::{System, Which},
};
use std::{
    fs,
    path::Path,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};
use talk::{Conversation, End, Hear, Leave, Say, Send, converse, run, screened};

const MAIL: &str = "MAIL FROM:<a@example.com>\r\n";
const RCPT: &str = "RCPT TO:<bob@mx.test>\r\n";
const TEXT: &str = "Subject: x\r\n\r\nText\r\n.\r\n";

/// Before the greeting, and the access list.
const EARLY: &[Conversation] = &[
    // Waits, and its mail is taken in the same session.
    (
        11,
        &[
            Hear,
            Say("EHLO client.test\r\n"),
            Say(MAIL),
            Say(RCPT),
            Say("DATA\r\n"),
            Say(TEXT),
            Say("QUIT\r\n"),
            End,
        ],
    ),
    // Speaks too early.
    (12, &[Send("EHLO spam.test\r\n"), Hear, Say(MAIL), Say(RCPT), Say("QUIT\r\n"), End]),
    (13, &[End]),
    (14, &[Hear, Say("QUIT\r\n"), End]),
    // Goes away while it is tested.
    (15, &[Leave]),
    // Speaks too early, and in one go.
    (16, &[Send("HELO spam.test\r\nMAIL FROM:<x@y.test>\r\nRCPT TO:<bob@mx.test>\r\nDATA\r\n"), End]),
];

fn early(which: Which) -> Vec<String> {
    let settings = "postscreen_greet_action = enforce\npostscreen_denylist_action = drop\n\
        postscreen_access_list = permit_mynetworks, inline:{ {127.0.0.13 = reject} {127.0.0.14 = permit} }";
    let system = screened(which, settings);
    run(&system);
    let mut told = converse(&system, EARLY);
    // Those who have passed do not wait again.
    told.extend(converse(
        &system,
        &[(11, &[Hear, Say("QUIT\r\n"), End]), (15, &[Hear, Say("QUIT\r\n"), End])],
    ));
    told
}

#[test]
fn clients_wait_for_the_greeting_or_are_refused() {
    let told = told_alike(early).join("\n");
    for line in [
        "postscreen: PASS NEW [127.0.0.11]:PORT",
        "postscreen: PASS OLD [127.0.0.11]:PORT",
        "postscreen: PREGREET 16 after TIME from [127.0.0.12]:PORT: EHLO spam.test\\r\\n",
        "550 5.5.1 Protocol error",
        "521 5.3.2 Service currently unavailable",
        "postscreen: ALLOWLISTED [127.0.0.14]:PORT",
        "postscreen: HANGUP after TIME from [127.0.0.15]:PORT in tests before SMTP handshake",
        "queued as",
    ] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

/// After the greeting, with nothing before it.
const DEEP: &[Conversation] = &[
    // Good, and told to come back.
    (21, &[Hear, Say("EHLO client.test\r\n"), Say(MAIL), Say(RCPT), Say("RSET\r\n"), Say("QUIT\r\n"), End]),
    (
        22,
        &[
            Hear,
            Send("EHLO client.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bob@mx.test>\r\n"),
            Hear,
            Hear,
            Hear,
            Say("QUIT\r\n"),
            End,
        ],
    ),
    // Bare newlines are ignored here, and count as passed for a while.
    (
        23,
        &[
            Hear,
            Say("HELO client.test\n"),
            Say("MAIL FROM:<a b@c.test>\n"),
            Say("RCPT TO:<\"x y\"@mx.test>\r\n"),
            Say("QUIT\r\n"),
            End,
        ],
    ),
    (24, &[Hear, Say("EHLO client.test\r\n"), Send("Subject: buy\tthis\r\n"), End]),
    (25, &[Hear, Send("CONNECT 192.0.2.9:25 HTTP/1.0\r\n"), End]),
    // The syntax of every command.
    (
        26,
        &[
            Hear,
            Say("HELO\r\n"),
            Say("EHLO\r\n"),
            Say("MAIL FROM:<a@b.test>\r\n"),
            Say("ETRN x\r\n"),
            Say("ehlo x y\r\n"),
            Say("MAIL\r\n"),
            Say("RCPT TO:<x>\r\n"),
            Say("mail from:<@r1,@r2:a@b.test> SIZE=1\r\n"),
            Say("MAIL FROM:<>\r\n"),
            Say("RCPT\r\n"),
            Say("ETRN\r\n"),
            Say("ETRN x.test\r\n"),
            Say("VRFY\r\n"),
            Say("VRFY bob\r\n"),
            Say("STARTTLS\r\n"),
            Say("AUTH PLAIN\r\n"),
            Say("  NOOP x\r\n"),
            Say("WHAT\r\n"),
            Say("NOOP\r\n"),
            Say("WHAT\r\n"),
            Send("NOOP\r\n"),
            End,
        ],
    ),
    (27, &[Hear, Say("EHLO x\r\n"), Say(MAIL), Send("DATA\r\n"), End]),
    (28, &[Hear, Say("EHLO x\r\n"), Send("BDAT 4 LAST\r\nabc\n"), End]),
    (29, &[Hear, Send("DATA x\r\n"), End]),
    (30, &[Hear, Say("HELO x\r\n"), Leave]),
    (31, &[Hear, Say("HELO x\r\n"), Say("\r\n"), Say("QUIT x\r\n"), End]),
    // Says nothing, for longer than a command may take.
    (32, &[Hear, Say("HELO x\r\n"), End]),
    (
        33,
        &[
            Hear,
            Say("EHLO x\r\n"),
            Say(MAIL),
            Say("RCPT TO:<bob@mx.test>\r\n"),
            Send("NOOP\r\nNOOP\r\n"),
            Hear,
            Hear,
            Say(RCPT),
            Say("QUIT\r\n"),
            End,
        ],
    ),
];

fn deep(which: Which) -> Vec<String> {
    let settings = "postscreen_greet_banner =\npostscreen_pipelining_enable = yes\n\
        postscreen_non_smtp_command_enable = yes\npostscreen_bare_newline_enable = yes\n\
        postscreen_helo_required = yes\npostscreen_command_time_limit = 8s\ndisable_vrfy_command = no";
    let system = screened(which, settings);
    run(&system);
    let mut told = converse(&system, DEEP);
    let again: &[Conversation] = &[
        (21, &[Hear, Say("QUIT\r\n"), End]),
        (22, &[Hear, Say("EHLO x\r\n"), Say(MAIL), Say(RCPT), Say("QUIT\r\n"), End]),
        (23, &[Hear, Say("QUIT\r\n"), End]),
    ];
    told.extend(converse(&system, again));
    told
}

#[test]
fn clients_must_speak_smtp() {
    let told = told_alike(deep).join("\n");
    for line in [
        "450 4.3.2 Service currently unavailable",
        "postscreen: PASS NEW [127.0.0.21]:PORT",
        "postscreen: PASS OLD [127.0.0.21]:PORT",
        "postscreen: COMMAND PIPELINING from [127.0.0.22]:PORT after EHLO: MAIL FROM:<a@b.test>\\r\\nRCPT TO:<bob@mx.test>\\r\\n",
        "postscreen: BARE NEWLINE from [127.0.0.23]:PORT after HELO client.test",
        "postscreen: NON-SMTP COMMAND from [127.0.0.24]:PORT after EHLO: Subject: buy\\tthis",
        "521 5.7.0 Error: I can break rules, too. Goodbye.",
        "postscreen: COMMAND COUNT LIMIT from [127.0.0.26]:PORT after UNIMPLEMENTED",
        "postscreen: DATA without valid RCPT from [127.0.0.27]:PORT",
        "postscreen: HANGUP after TIME from [127.0.0.30]:PORT in tests after SMTP handshake",
        "postscreen: COMMAND TIME LIMIT from [127.0.0.32]:PORT after HELO",
        "postscreen: NOQUEUE: reject: RCPT from [127.0.0.22]:PORT: 550 5.5.1 Protocol error; from=<a@b.test>, to=<bob@mx.test>, proto=ESMTP, helo=<client.test>",
    ] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

/// What can be said in other words, and to whom.
const WORDS: &[Conversation] = &[
    (
        41,
        &[
            Send("EHLO spam.test\r\n"),
            Hear,
            Say(MAIL),
            Say(RCPT),
            Say("WHAT\r\n"),
            Say("XHLO client.test\r\n"),
            Say("QUIT\r\n"),
            End,
        ],
    ),
    (42, &[Send("EHLO spam.test\r\n"), Hear, Say("VRFY bob\r\n"), Say("QUIT\r\n"), End]),
    (43, &[Send("EHLO spam.test\r\n"), Hear, Send("BDAT 3\r\n"), End]),
    (44, &[Send("GET / HTTP/1.0\r\n"), Hear, Say("QUIT\r\n"), End]),
];

fn words(which: Which) -> Vec<String> {
    let settings = "postscreen_greet_action = enforce\nsoft_bounce = yes\n\
        postscreen_reject_footer = \\c; ask $server_name\\nabout $client_address [${client_name}]\n\
        postscreen_reject_footer_maps = pcre:{ {/^502 5.5.2/ See the manual} }\n\
        postscreen_discard_ehlo_keyword_address_maps = inline:{ {127.0.0.42 = etrn dsn} {127.0.0.43 = silent-discard chunking} }\n\
        postscreen_command_filter = pcre:{ {/^XHLO/ EHLO client.test} }\n\
        postscreen_forbidden_commands = GET\npostscreen_disable_vrfy_command = yes\nmessage_size_limit = 0\n\
        postscreen_allowlist_interfaces = !127.0.0.1 static:all\npostscreen_non_smtp_command_action = ignore";
    let system = screened(which, settings);
    run(&system);
    converse(&system, WORDS)
}

#[test]
fn refusals_have_footers_and_keywords_are_left_out() {
    let told = told_alike(words).join("\n");
    for line in [
        "postscreen: ALLOWLIST VETO [127.0.0.41]:PORT",
        "450-4.5.1 Protocol error; ask mx.test",
        "450 4.5.1 about 127.0.0.41 []",
        "402-4.5.2 Error: command not recognized",
        "402 4.5.2 See the manual",
        "discarding EHLO keywords: ETRN DSN",
        "replacing command \"XHLO client.test\" with \"EHLO client.test\"",
    ] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

fn filtered(which: Which) -> Vec<String> {
    // Letters, a dot, zero and four.
    let settings = "postscreen_greet_action = enforce\n\
        postscreen_expansion_filter = abcdefghijklmnopqrstuvwxyz\\056\\0604\n\
        postscreen_reject_footer = \\c; 5 of $server_name for $client_address\\nat $localtime";
    let system = screened(which, settings);
    run(&system);
    let talks: &[Conversation] =
        &[(45, &[Send("EHLO spam.test\r\n"), Hear, Say(MAIL), Say(RCPT), Say("QUIT\r\n"), End])];
    // What is left of the time is one blank's and two colons' underscores, and the month.
    let mask = |line: &str| match line.split_once(" at ") {
        Some((before, time)) if !line.starts_with("postscreen: ") => {
            let kind = |c: char| {
                if c.is_ascii_lowercase() {
                    'x'
                } else if "04".contains(c) {
                    '_'
                } else {
                    c
                }
            };
            format!("{before} at {}", time.chars().map(kind).collect::<String>())
        }
        _ => line.to_owned(),
    };
    converse(&system, talks)
        .iter()
        .map(|text| text.lines().map(mask).collect::<Vec<_>>().join("\n"))
        .collect()
}

/// postconf(5) postscreen_expansion_filter
#[test]
fn values_in_footers_have_harmless_characters_only() {
    let told = told_alike(filtered).join("\n");
    for line in ["550-5.5.1 Protocol error; 5 of mx.test for ___.0.0.4_", "550 5.5.1 at _xx____________"] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

/// What name servers say of the clients.
const ZONE: &str = "\
51.0.0.127.bad.test A 127.0.0.2
52.0.0.127.bad.test A 127.0.0.3
52.0.0.127.worse.test A 127.0.0.10
53.0.0.127.good.test A 127.0.0.1
53.0.0.127.bad.test A 127.0.0.2
54.0.0.127.good.test A 127.0.0.1
55.0.0.127.bad.test SERVFAIL
56.0.0.127.bad.test A 127.0.0.4
56.0.0.127.bad.test A 127.0.0.2
";

const LISTED: &[Conversation] = &[
    // Some are for it and some against it; nobody knows it.
    (50, &[Hear, Say("QUIT\r\n"), End]),
    (51, &[Hear, Say("HELO x\r\n"), Say(MAIL), Say(RCPT), Say("QUIT\r\n"), End]),
    (52, &[Hear, Say("HELO x\r\n"), Say(MAIL), Say(RCPT), Say("QUIT\r\n"), End]),
    (53, &[Hear, Say("QUIT\r\n"), End]),
    // Well spoken of: it need not pass the tests after the greeting.
    (54, &[Hear, Say("QUIT\r\n"), End]),
    (55, &[Hear, Say("HELO x\r\n"), Say(MAIL), Say(RCPT), Say("QUIT\r\n"), End]),
    (56, &[Hear, Say("HELO x\r\n"), Say(MAIL), Say(RCPT), Say("QUIT\r\n"), End]),
];

fn listed(which: Which) -> Vec<String> {
    let settings = "postscreen_dnsbl_action = enforce\npostscreen_dnsbl_threshold = 2\n\
        postscreen_dnsbl_sites = bad.test=127.0.0.[2;3]*2, worse.test*7 good.test*-3\n\
        postscreen_dnsbl_allowlist_threshold = -2\npostscreen_pipelining_enable = yes\n\
        postscreen_dnsbl_reply_map = inline:{ {worse.test = a list of ours} }";
    let system = screened(which, settings);
    run(&system);
    converse(&system, LISTED).iter().map(|text| sorted(text)).collect()
}

/// What lists have said comes in any order: behind the rest.
fn sorted(text: &str) -> String {
    let (mut of_lists, others): (Vec<_>, Vec<_>) =
        text.lines().partition(|line| line.starts_with("dnsblog: "));
    of_lists.sort_unstable();
    [others, of_lists].concat().join("\n")
}

#[test]
fn dns_lists_decide_by_their_weights() {
    network::alone("dns_lists_decide_by_their_weights", ZONE, |_| {
        let told = told_alike(listed).join("\n");
        for line in [
            "dnsblog: addr 127.0.0.51 listed by domain bad.test as 127.0.0.2",
            "postscreen: DNSBL rank 2 for [127.0.0.51]:PORT",
            "550 5.7.1 Service unavailable; client [127.0.0.51] blocked using bad.test",
            "550 5.7.1 Service unavailable; client [127.0.0.52] blocked using a list of ours",
            "postscreen: PASS NEW [127.0.0.54]:PORT",
            "dnsblog: warning: dnsblog_query: lookup error for DNS query 55.0.0.127.bad.test: Host or domain name not found. Name service error for name=55.0.0.127.bad.test type=A: Host not found, try again",
        ] {
            assert!(told.contains(line), "{line} is missing in\n{told}");
        }
    });
}

/// A client's entry in the cache, as Debian's postmap reads it.
fn entry_of(system: &System, client: u8) -> String {
    let path = format!("btree:{}", system.path("data/postscreen_cache").display());
    let mut entry = String::new();
    // Ours is written some time after the client has passed.
    system.wait_until("the cache is written", || {
        let mut postmap = System::program_of(Which::Postfix, "postmap");
        let output = postmap.args(["-q", &format!("127.0.0.{client}"), &path]).output().unwrap();
        entry = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        !entry.is_empty()
    });
    entry
}

/// What a cache remembers of some clients: for each test, hours from now, or `never`, or `off`.
fn remembered(system: &System, clients: &[u8]) -> Vec<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let hours = |stamp: &str| match stamp.parse::<u64>().unwrap() {
        0 => "never".to_owned(),
        1 => "off".to_owned(),
        stamp => ((stamp + 1800).saturating_sub(now) / 3600).to_string(),
    };
    let mut found = Vec::new();
    for client in clients {
        let entry = entry_of(system, *client);
        found.push(format!("{client}: {}", entry.split(';').map(hours).collect::<Vec<_>>().join(" ")));
    }
    found
}

fn cached(which: Which) -> Vec<String> {
    let settings = "postscreen_pipelining_enable = yes\npostscreen_bare_newline_enable = yes\n\
        default_database_type = hash\npostscreen_bare_newline_ttl = 3h";
    let system = screened(which, settings);
    run(&system);
    converse(
        &system,
        &[
            (61, &[Hear, Say("HELO x\r\n"), Say(MAIL), Say(RCPT), Say("QUIT\r\n"), End]),
            (62, &[Hear, Say("HELO x\r\n"), Say("QUIT\r\n"), End]),
            (63, &[Hear, Say("HELO x\n"), Say("QUIT\r\n"), End]),
        ],
    );
    system.command("postfix", &["stop"]);
    remembered(&system, &[61, 62, 63])
}

/// Debian's postmap reads what ours has written.
#[test]
fn the_cache_is_postfixs() {
    assert_eq!(
        told_alike(cached),
        ["61: 24 off 720 off 3", "62: 24 off never off never", "63: 24 off never off 0"]
    );
}

/// What one system remembers the other one knows: Debian's stops, and ours goes on with its cache, and back.
#[test]
fn whoever_has_passed_there_has_passed_here() {
    let (theirs, ours) = (screened(Which::Postfix, ""), screened(Which::Posthaste, ""));
    let newcomer: &[Conversation] = &[(71, &[Hear, Say("QUIT\r\n"), End])];
    run(&theirs);
    assert!(converse(&theirs, newcomer)[0].contains("PASS NEW"));
    theirs.command("postfix", &["stop"]);
    let (there, here) = (theirs.path("data/postscreen_cache.db"), ours.path("data/postscreen_cache.db"));
    fs::copy(&there, &here).unwrap();
    chown(&here, &ours.path("data"));
    run(&ours);
    assert!(converse(&ours, newcomer)[0].contains("PASS OLD"));
    assert!(converse(&ours, &[(72, &[Hear, Say("QUIT\r\n"), End])])[0].contains("PASS NEW"));
    ours.command("postfix", &["stop"]);
    fs::copy(&here, &there).unwrap();
    chown(&there, &theirs.path("data"));
    run(&theirs);
    let again: &[Conversation] = &[(72, &[Hear, Say("QUIT\r\n"), End])];
    assert!(converse(&theirs, again)[0].contains("PASS OLD"));
}

fn chown(file: &Path, like: &Path) {
    let status = Command::new("chown").arg(format!("--reference={}", like.display())).arg(file).status();
    assert!(status.unwrap().success());
}
