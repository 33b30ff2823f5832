//! Every dialogue over TCP, against the real Postfix, whose answers are the expectation, and against Posthaste.
//!
//! `UPDATE_EXPECT=1` writes Postfix's replies, and its log lines where a dialogue has any, into the files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use compliance::{
    dialogues::{Server, load},
    network::alone,
    system::Which,
};
use dialogue::{Dialogue, Patience, Step, observe_tcp, run_tcp};
use dns::testing::Server as Names;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn patience(dialogue: &Dialogue) -> Patience {
    Patience { xclient: !dialogue.connect.0.is_loopback(), ..Patience::default() }
}

/// Why a dialogue runs without I/O only (`crates/proof/dialogue`), if it does.
fn kept_from(which: Which, dialogue: &Dialogue) -> Option<&'static str> {
    let waits_long = dialogue.steps.iter().any(|step| matches!(step, Step::Wait(span) if span.as_secs() > 5));
    let only = dialogue.only.as_deref();
    // Another installation may be a newer one.
    let is_newer = only.is_some() && std::env::var_os("POSTFIX_DAEMON_DIRECTORY").is_none();
    if waits_long {
        Some("it needs virtual time")
    } else if only.is_some_and(|only| only.contains("race")) {
        Some("on the wire it is a race")
    } else if which == Which::Postfix && (is_newer || only.is_some_and(|only| only.contains("this server"))) {
        Some("Debian's Postfix says otherwise")
    } else {
        None
    }
}

fn dialogues(which: Which) -> Vec<(PathBuf, Dialogue)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dialogues");
    let all = load(&directory).unwrap().into_iter();
    let all = all.map(|(path, dialogue)| (path, dialogue.unwrap_or_else(|error| panic!("{error}"))));
    let (asked, kept): (Vec<_>, Vec<_>) = all.partition(|(_, dialogue)| kept_from(which, dialogue).is_none());
    for (_, dialogue) in kept {
        println!("{which:?}: not {}: {}", dialogue.name, kept_from(which, &dialogue).unwrap_or_default());
    }
    asked
}

#[test]
fn postfix_says_what_the_dialogues_say() {
    alone("postfix_says_what_the_dialogues_say", "", |names| ask(Which::Postfix, names, 290));
}

#[test]
fn posthaste_says_what_the_dialogues_say() {
    alone("posthaste_says_what_the_dialogues_say", "", |names| ask(Which::Posthaste, names, 300));
}

/// RFC 2034: the class of an enhanced status code is that of the reply. Without one are the greeting, what answers EHLO and
/// HELO, and the word to go on.
///
/// seed: S023, S024
#[test]
fn replies_have_a_status_code_of_their_class() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dialogues");
    let mut seen = 0;
    for (path, dialogue) in load(&directory).unwrap() {
        let said = dialogue.unwrap().steps;
        let replies = said.into_iter().filter_map(|step| match step {
            Step::Expect(lines) => Some(lines),
            _ => None,
        });
        for line in replies.flatten().filter(|line| has_status_code(line)) {
            let class = line.as_bytes()[0];
            let code = line.get(4..).unwrap_or_default().split(' ').next().unwrap_or_default();
            let numbers: Vec<&str> = code.split('.').collect();
            let is_code = numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u16>().is_ok());
            assert!(is_code && code.as_bytes()[0] == class, "{}: {line}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 500, "only {seen} replies");
}

fn has_status_code(line: &str) -> bool {
    let is_reply = line.len() > 4 && line.as_bytes()[..3].iter().all(u8::is_ascii_digit);
    let without = ["220 ", "354 ", "501 Syntax: EHLO", "501 Syntax: HELO"];
    // Nor have those to ETRN that are not about who asks.
    let of_etrn = [
        "500 Syntax: ETRN",
        "501 Error: invalid parameter syntax",
        "503 Error: send HELO/EHLO first",
        "503 Error: MAIL transaction in progress",
        "459 <",
    ];
    let mut without = without.iter().chain(&of_etrn);
    // 250 is EHLO's and HELO's where no code follows, and that of a transaction where one does.
    let is_greeted = line.starts_with("250") && !line[4..].starts_with("2.");
    is_reply && !is_greeted && !without.any(|start| line.starts_with(start))
}

/// The records of a dialogue, as the test's name server has them.
fn zone(dialogue: &Dialogue) -> String {
    let line = |[name, kind, value]: &[String; 3]| match kind.as_str() {
        "FAIL" => format!("{name} SERVFAIL\n"),
        kind => format!("{name} {kind} {value}\n"),
    };
    dialogue.dns.iter().map(line).collect()
}

/// Asks a system all dialogues that it can be asked; there are at least so many.
fn ask(which: Which, names: &Names, at_least: usize) {
    let (paths, dialogues): (Vec<_>, Vec<_>) = dialogues(which).into_iter().unzip();
    assert!(dialogues.len() >= at_least, "{which:?}: only {} dialogues are asked", dialogues.len());
    let server = Server::start(which, &dialogues);
    let mut failures = Vec::new();
    for (index, (path, dialogue)) in paths.iter().zip(&dialogues).enumerate() {
        let address = server.address(index).unwrap();
        names.serve(&zone(dialogue));
        if which == Which::Postfix && std::env::var_os("UPDATE_EXPECT").is_some() {
            let turns = observe_tcp(address, dialogue, patience(dialogue)).unwrap();
            let log = if dialogue.log.is_empty() { Vec::new() } else { server.log(index) };
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, rewritten(&text, &turns, &log)).unwrap();
        } else if let Err(mismatch) = check(which, &server, index, dialogue) {
            failures.push(mismatch);
        }
    }
    assert!(failures.is_empty(), "{} dialogues fail:\n{}", failures.len(), failures.join("\n"));
}

fn check(which: Which, server: &Server, index: usize, dialogue: &Dialogue) -> Result<(), String> {
    let address = server.address(index).unwrap();
    let mut evidence = run_tcp(address, dialogue, patience(dialogue))
        .map_err(|error| format!("{error}\n  log:      {}", server.log(index).join("\n            ")))?;
    let ids: Vec<_> = evidence
        .replies
        .iter()
        .filter_map(|line| Some(line.split_once("queued as ")?.1.to_owned()))
        .collect();
    evidence.queued = Some(server.queued(&ids));
    if !dialogue.log.is_empty() {
        evidence.log = Some(server.log(index));
    }
    if !dialogue.asked.is_empty() {
        evidence.asked = Some(server.asked(index));
    }
    dialogue.check_evidence(&format!("{which:?}"), &evidence).map_err(|error| error.to_string())
}

/// The file with the replies that were seen in place of the expected ones.
fn rewritten(text: &str, turns: &[Vec<String>], log: &[String]) -> String {
    let mut turns = turns.iter();
    let mut lines: Vec<String> = Vec::new();
    let mut in_turn = true;
    let mut say = |lines: &mut Vec<String>| {
        for line in turns.next().into_iter().flatten() {
            lines.push(format!("S: {}", without_id(line)));
        }
    };
    for line in text.lines() {
        let is_client = ["C: ", "C> ", "C:", "wait ", "close"].iter().any(|word| line.starts_with(word));
        if line.starts_with("S: ") {
            if in_turn {
                say(&mut lines);
            }
            in_turn = false;
            continue;
        }
        if line.starts_with("log:") {
            continue;
        }
        if is_client {
            in_turn = true;
        }
        lines.push(line.to_owned());
    }
    let interesting = |line: &&String| {
        !["connect from", "disconnect from"].iter().any(|start| line.starts_with(start))
            && !line.contains(": client=")
    };
    for line in log.iter().filter(interesting) {
        lines.push(format!("log: {}", without_id(line)));
    }
    lines.join("\n") + "\n"
}

/// Queue ids differ from run to run; how a session ended is logged without one by older versions.
fn without_id(line: &str) -> String {
    let is_id = |text: &str| text.len() >= 9 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some((before, _)) = line.split_once("queued as ") {
        return format!("{before}queued as ~");
    }
    let (warning, rest) = line.strip_prefix("warning: ").map_or(("", line), |rest| ("warning: ", rest));
    let text = match rest.split_once(": ") {
        Some((id, rest)) if is_id(id) => return format!("{warning}~: {rest}"),
        Some(("NOQUEUE", rest)) => rest,
        _ => line,
    };
    let ends = ["too many errors after", "lost connection after", "timeout after"];
    if ends.iter().any(|end| text.starts_with(end)) { format!("~{text}") } else { line.to_owned() }
}
