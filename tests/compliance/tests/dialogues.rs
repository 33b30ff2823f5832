//! Every dialogue against the real Postfix, whose answers are the expectation.
//!
//! `UPDATE_EXPECT=1` writes Postfix's replies, and its log lines where a dialogue has any, into the files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use compliance::{Postfix, load, unavailable};
use dialogue::{Dialogue, Patience, Step, observe_tcp, run_tcp};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn patience(dialogue: &Dialogue) -> Patience {
    Patience { xclient: !dialogue.connect.0.is_loopback(), ..Patience::default() }
}

fn dialogues() -> Vec<(PathBuf, Dialogue)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dialogues");
    let is_asked = |dialogue: &Dialogue| {
        // Another installation may be a newer one.
        // What needs virtual time or a world of its own runs without I/O only.
        let reasons = ["virtual time", "race", "own", "limit of this server"];
        let is_ours = dialogue.only.as_ref().is_some_and(|only| reasons.iter().any(|r| only.contains(r)));
        let can_show = dialogue.only.is_none() || std::env::var_os("POSTFIX_DAEMON_DIRECTORY").is_some();
        let waits_long =
            dialogue.steps.iter().any(|step| matches!(step, Step::Wait(span) if span.as_secs() > 5));
        can_show && !is_ours && !waits_long && dialogue.dns.is_empty()
    };
    let all = load(&directory).unwrap();
    let all =
        all.into_iter().map(|(path, dialogue)| (path, dialogue.unwrap_or_else(|error| panic!("{error}"))));
    all.filter(|(_, dialogue)| is_asked(dialogue)).collect()
}

#[test]
fn postfix_says_what_the_dialogues_say() {
    if let Some(why) = unavailable() {
        println!("not run: {why}");
        return;
    }
    let (paths, dialogues): (Vec<_>, Vec<_>) = dialogues().into_iter().unzip();
    let postfix = Postfix::start(&dialogues).unwrap();
    let mut failures = Vec::new();
    for (index, (path, dialogue)) in paths.iter().zip(&dialogues).enumerate() {
        let address = postfix.address(index).unwrap();
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let turns = observe_tcp(address, dialogue, patience(dialogue)).unwrap();
            let log = if dialogue.log.is_empty() { Vec::new() } else { postfix.log(index) };
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, rewritten(&text, &turns, &log)).unwrap();
        } else if let Err(mismatch) = check(&postfix, index, dialogue) {
            failures.push(mismatch);
        }
    }
    assert!(failures.is_empty(), "{} dialogues fail:\n{}", failures.len(), failures.join("\n"));
}

fn check(postfix: &Postfix, index: usize, dialogue: &Dialogue) -> Result<(), String> {
    let address = postfix.address(index).unwrap();
    let mut evidence = run_tcp(address, dialogue, patience(dialogue)).map_err(|error| error.to_string())?;
    let ids: Vec<_> = evidence
        .replies
        .iter()
        .filter_map(|line| Some(line.split_once("queued as ")?.1.to_owned()))
        .collect();
    evidence.queued = Some(postfix.queued(&ids));
    if !dialogue.log.is_empty() {
        evidence.log = Some(postfix.log(index));
    }
    dialogue.check_evidence("Postfix", &evidence).map_err(|error| error.to_string())
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
