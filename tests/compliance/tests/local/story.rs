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
        // The first line of a message in a mailbox; such lines of the text stand behind a ">" there.
        let sender =
            line.strip_prefix("From ").and_then(|rest| rest.split_once("  ")).map(|(sender, _)| sender);
        if let Some(sender) = sender {
            kept.push(format!("From {sender} TIME"));
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
    // The unique part of a name in a maildir.
    let word = |word: &str| match word.rsplit_once('/') {
        Some((folder, _)) if folder.ends_with("/tmp") || folder.ends_with("/new") => format!("{folder}/NAME"),
        _ => word.to_owned(),
    };
    let words: Vec<String> = kept.split(' ').map(word).collect();
    format!("{tag}: {}", words.join(" "))
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

/// Sends a message to each recipient and waits until nothing is under way any more. What local(8) and the transports that it calls
/// have said then, without what varies, in the order of the alphabet.
pub(crate) fn deliver_all(machine: &Machine, recipients: &[&str]) -> Vec<String> {
    for to in recipients {
        let said = machine.send("sender@example.org", to, BODY);
        assert!(said.starts_with("250 "), "{to}: {said}");
    }
    wait_until_quiet(machine, recipients.len());
    let events = machine.events();
    let ids = queue_ids(&events);
    let tags = ["/local:", "/bounce:", "/discard:", "/error:", "/virtual:"];
    let told = events.iter().filter(|line| tags.iter().any(|tag| line.contains(tag)));
    let mut lines: Vec<String> = told.map(|line| without_ids(&essential(line, machine), &ids)).collect();
    // What bounces are delivered to is not asked here: they go to a domain that nobody finds.
    lines.retain(|line| !line.contains("to=<sender@example.org>"));
    lines.sort();
    lines
}

/// Every message that was begun has gone, or waits for another day.
pub(crate) fn wait_until_quiet(machine: &Machine, sent: usize) {
    let mut before = 0;
    machine.wait_until("nothing is under way", || {
        let events = machine.events();
        let ids = queue_ids(&events);
        let has = |id: &String, what: &str| {
            events.iter().any(|line| line.contains(&format!(": {id}: ")) && line.contains(what))
        };
        let waits = |id: &String| has(id, "status=deferred") || has(id, "status=SOFTBOUNCE");
        // A notification is in the queue before the queue manager says so, and its original may be gone by then.
        let mut notices = events.iter().filter_map(|line| Some(line.split_once(" notification: ")?.1));
        let is_begun = notices.all(|id| ids.iter().any(|known| known == id));
        let is_gone = ids.iter().all(|id| has(id, ": removed") || waits(id));
        let is_settled = ids.len() >= sent && is_begun && is_gone;
        let is_quiet = is_settled && events.len() == before;
        before = events.len();
        is_quiet
    });
}

fn queue_ids(events: &[String]) -> Vec<String> {
    let begun = events.iter().filter(|line| line.contains("/qmgr: ") && line.contains("(queue active)"));
    let id = |line: &String| line.split(": ").nth(1).map(str::to_owned);
    let mut ids: Vec<String> = begun.filter_map(id).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn without_ids(line: &str, ids: &[String]) -> String {
    ids.iter().fold(line.to_owned(), |line, id| line.replace(id.as_str(), "ID"))
}

/// A test for each of several settings: two machines each, side by side.
macro_rules! each_setting {
    ($compare:ident: $($name:ident = $settings:expr,)*) => {
        $(
            #[test]
            fn $name() {
                $compare($settings);
            }
        )*
    };
}

pub(crate) use each_setting;

/// A machine whose /etc is set up further before it starts.
pub(crate) fn both_prepared(
    main_cf: &str,
    prepare: impl Fn(&Machine),
    story: impl Fn(&Machine) -> Vec<String>,
) {
    let of = |which| {
        let machine = Machine::new(which, INTERNET_SITE);
        let place = machine.path("");
        let place = place.display().to_string();
        let path = machine.path("etc/postfix/main.cf");
        let text = fs::read_to_string(&path).expect("a text file");
        let own: Vec<&str> = main_cf.lines().filter_map(|line| line.split(" =").next()).collect();
        let kept =
            text.lines().filter(|line| line.split(" =").next().is_none_or(|name| !own.contains(&name)));
        let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
        fs::write(&path, kept + &main_cf.replace("$M/", &place)).expect("space");
        prepare(&machine);
        machine.command("newaliases", &[]);
        machine.command("postfix", &["start"]);
        machine.wait_until("port 25 answers", || machine.connect().is_some());
        story(&machine)
    };
    let (theirs, ours) = (of(Which::Postfix), of(Which::Posthaste));
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        let mut rest = those.to_vec();
        these
            .iter()
            .filter(|line| {
                rest.iter().position(|other| other == *line).map(|at| rest.swap_remove(at)).is_none()
            })
            .cloned()
            .collect()
    };
    assert_eq!(only(&ours, &theirs), only(&theirs, &ours));
}

/// A directory in which everyone may write.
pub(crate) fn open_place(machine: &Machine) {
    fs::create_dir(machine.path("home/open")).expect("a fresh directory");
    fs::set_permissions(machine.path("home/open"), fs::Permissions::from_mode(0o777)).expect("ours");
}

/// Writes a file of the machine; `$M/` is the machine's place.
pub(crate) fn write(machine: &Machine, below: &str, text: &str) {
    let place = machine.path("").display().to_string();
    fs::write(machine.path(below), text.replace("$M/", &place)).expect("space");
}

/// The same, given to a user.
pub(crate) fn write_for(machine: &Machine, user: u32, below: &str, text: &str) {
    let place = machine.path("").display().to_string();
    write_as(user, &machine.path(below), &text.replace("$M/", &place));
}
