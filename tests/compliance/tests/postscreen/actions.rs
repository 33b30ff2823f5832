//! Every test with each of its actions, `ignore`, `enforce` and `drop`: what a client hears that fails it, what is logged, and
//! whether it is known when it comes back.

use crate::{
    MAIL, RCPT, sorted,
    talk::{Conversation, End, Hear, Say, Send, Until, converse, run, screened},
};
use compliance::{network, plain::told_alike, system::Which};

const ZONE: &str = "\
103.0.0.127.bad.test A 127.0.0.2
107.0.0.127.bad.test DROP
";

const QUIT: &str = "QUIT\r\n";

const FIRST: &[Conversation] = &[
    // On the access list.
    (101, &[Hear, Say("EHLO x\r\n"), Say(MAIL), Say(RCPT), Say(QUIT), End]),
    // Too early.
    (102, &[Send("EHLO x\r\n"), Until("250"), Say(MAIL), Say(RCPT), Say(QUIT), End]),
    // On a list.
    (103, &[Hear, Say("EHLO x\r\n"), Say(MAIL), Say(RCPT), Say(QUIT), End]),
    // Lines without CR, twice.
    (104, &[Hear, Say("EHLO x\n"), Say("MAIL FROM:<a@example.com>\n"), Say(RCPT), Say(QUIT), End]),
    // No SMTP, and more of it.
    (
        105,
        &[
            Hear,
            Say("EHLO x\r\n"),
            Say("To: you\r\n"),
            Say("GET /\r\n"),
            Say(MAIL),
            Say(RCPT),
            Say(QUIT),
            End,
        ],
    ),
    // In one go, after RCPT too.
    (
        106,
        &[
            Hear,
            Send("EHLO x\r\nMAIL FROM:<a@example.com>\r\n"),
            Hear,
            Hear,
            Say(RCPT),
            Send("RSET\r\nNOOP\r\n"),
            Hear,
            Hear,
            Say(QUIT),
            End,
        ],
    ),
    // Too early, before lists have answered that never will.
    (107, &[Send("HELO x\r\n"), Until("250"), Say(MAIL), Say(RCPT), Say(QUIT), End]),
    // Good at first.
    (108, &[Hear, Say("EHLO x\r\n"), Say(MAIL), Say(RCPT), Say("Subject: x\r\n"), Say(RCPT), Say(QUIT), End]),
    (109, &[Hear, Say("EHLO x\r\n"), Say(MAIL), Say(RCPT), Say(QUIT), End]),
];

const AGAIN: &[Conversation] = &[
    (101, &[Hear, Say(QUIT), End]),
    (102, &[Hear, Say(QUIT), End]),
    (103, &[Hear, Say(QUIT), End]),
    (104, &[Hear, Say(QUIT), End]),
    (105, &[Hear, Say(QUIT), End]),
    (106, &[Hear, Say(QUIT), End]),
    (108, &[Hear, Say(QUIT), End]),
    (109, &[Hear, Say(QUIT), End]),
];

fn with(action: &str, which: Which) -> Vec<String> {
    let tests = ["denylist", "greet", "dnsbl", "bare_newline", "non_smtp_command", "pipelining"];
    let actions: String = tests.iter().map(|test| format!("postscreen_{test}_action = {action}\n")).collect();
    let settings = format!(
        "{actions}postscreen_access_list = inline:{{ {{127.0.0.101 = reject}} }}\n\
         postscreen_dnsbl_sites = bad.test\npostscreen_bare_newline_enable = yes\n\
         postscreen_non_smtp_command_enable = yes\npostscreen_pipelining_enable = yes"
    );
    let system = screened(which, &settings);
    run(&system);
    let mut told = converse(&system, FIRST);
    told.extend(converse(&system, AGAIN));
    told.iter().map(|text| sorted(text)).collect()
}

fn check(test: &str, story: fn(Which) -> Vec<String>, lines: &[&str]) {
    network::alone(test, ZONE, |_| {
        let told = told_alike(story).join("\n");
        for line in lines {
            assert!(told.contains(line), "{line} is missing in\n{told}");
        }
    });
}

#[test]
fn ignored() {
    check("actions::ignored", |which| with("ignore", which), &["DENYLISTED [127.0.0.101]:PORT"]);
}

#[test]
fn enforced() {
    check("actions::enforced", |which| with("enforce", which), &["550 5.3.2 Service currently unavailable"]);
}

#[test]
fn dropped() {
    check("actions::dropped", |which| with("drop", which), &["521 5.5.1 Protocol error"]);
}
