//! What the tests of local(8) have in common: mail that is sent, and what of its delivery can be compared.

use compliance::{
    machine::{INTERNET_SITE, Machine},
    system::Which,
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

pub(crate) const BODY: &str = "Subject: hello\nFrom: a@example.org\n\nFrom here\n>From there\n..\nend";

/// The line of a delivery from `to=` on, without times and queue ids.
pub(crate) fn result(machine: &Machine, to: &str) -> String {
    let line = machine.wait_for_line(&format!("to=<{to}>"));
    let line = line.split_once(": to=").map_or(line.as_str(), |(_, rest)| rest);
    let line = line.split(", ").filter(|word| !word.starts_with("delay")).collect::<Vec<_>>().join(", ");
    // `forwarded as ID` and unique names in directories.
    line.split("forwarded as")
        .next()
        .unwrap_or_default()
        .replace(&machine.path("").display().to_string(), "$M/")
}

pub(crate) fn sent(machine: &Machine, to: &str) {
    let said = machine.send("sender@example.org", to, BODY);
    assert!(said.starts_with("250 "), "{said}");
}

/// A message without what differs from one delivery to the next.
pub(crate) fn essence(text: &str, machine: &Machine) -> String {
    let mut kept = Vec::new();
    let mut is_received = false;
    for line in text.lines() {
        is_received = line.starts_with("Received:") || (is_received && line.starts_with(['\t', ' ']));
        let varies = is_received || ["Message-Id:", "Date:"].iter().any(|name| line.starts_with(name));
        if line.starts_with("From sender@") {
            kept.push("From sender@ TIME".to_owned());
        } else if !varies {
            kept.push(line.replace(&machine.path("").display().to_string(), "$M/"));
        }
    }
    kept.join("\n")
}

pub(crate) fn both(main_cf: &str, story: impl Fn(&Machine) -> Vec<String>) {
    let of = |which| story(&Machine::start(which, &format!("{INTERNET_SITE}{main_cf}\n")));
    let (theirs, ours) = (of(Which::Postfix), of(Which::Posthaste));
    assert_eq!(ours, theirs);
}

pub(crate) fn write_as(user: u32, path: &Path, text: &str) {
    fs::write(path, text).expect("space");
    chown(path, Some(user), Some(user)).expect("root may give");
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("our own file");
}

/// More users, from a first number on.
pub(crate) fn add_users(machine: &Machine, first_uid: u32, names: &[&str]) {
    let append = |below: &str, more: String| {
        let path = machine.path(below);
        let text = fs::read_to_string(&path).expect("a text file");
        fs::write(path, text + &more).expect("space");
    };
    for (name, uid) in names.iter().zip(first_uid..) {
        let home = machine.path("home").join(name);
        fs::create_dir(&home).expect("a fresh directory");
        chown(&home, Some(uid), Some(uid)).expect("root may give");
        append("etc/passwd", format!("{name}:x:{uid}:{uid}:Test User:{}:/bin/sh\n", home.display()));
        append("etc/group", format!("{name}:x:{uid}:\n"));
    }
}

/// What a delivery's lines say from `to=` on, without what varies, once its message has left the active queue.
pub(crate) fn settled(machine: &Machine, to: &str) -> Vec<String> {
    let text = format!("to=<{to}>");
    machine.wait_for_line(&text);
    let lines = machine.events().into_iter().filter(|line| line.contains(&text));
    lines.map(|line| essential(&line, machine)).collect()
}

/// A line of the log without queue id, times, and the place of the machine.
pub(crate) fn essential(line: &str, machine: &Machine) -> String {
    let (tag, rest) = line.split_once(": ").unwrap_or(("", line));
    let rest = match rest.split_once(": ") {
        Some((id, rest)) if id.bytes().all(|b| b.is_ascii_alphanumeric()) => rest,
        _ => rest,
    };
    let kept: Vec<&str> = rest.split(", ").filter(|word| !word.starts_with("delay")).collect();
    let kept = kept.join(", ").replace(&machine.path("").display().to_string(), "$M/");
    let kept = match kept.split_once("forwarded as ") {
        Some((before, _)) => format!("{before}forwarded as ID)"),
        None => kept,
    };
    format!("{tag}: {kept}")
}

/// What a file is: kind and mode, owner, size, and where a link leads.
pub(crate) fn fact(path: &Path) -> String {
    let facts = fs::symlink_metadata(path).expect("it is there");
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (mode, uid, gid) = (facts.mode(), facts.uid(), facts.gid());
    // Queue ids and times in the headers have one length in both systems; host names have not.
    let size = if facts.is_file() { (facts.len() > 20).to_string() } else { String::new() };
    format!("{name} {mode:o} {uid}:{gid} links {} grew {size}", facts.nlink())
}
