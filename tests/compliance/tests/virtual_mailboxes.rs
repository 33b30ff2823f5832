//! virtual(8): mailboxes of users that the system does not know. Owners, directories that are made on the way, and
//! every mistake that tables can have, beside Debian's Postfix on a machine of its own.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    machine::{INTERNET_SITE, Machine},
    system::{Which, files},
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};

const BODY: &str = "Subject: hello\nFrom: a@example.org\n\nFrom here\nend";

/// Recipient, mailbox, user and group as the tables have them; empty is not there. Numbers with something behind them,
/// beyond 32 bits, and paths that begin with `..` are left out: 3.7 takes them, 3.12 refuses them.
type Row = (&'static str, &'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    ("maildir", "maildir/", "61201", "61202"),
    ("deep", "a/b/c/maildir/", "61201", "61202"),
    ("mbox", "mbox", "61201", "61202"),
    ("deepmbox", "no/such/mbox", "61201", "61202"),
    ("absolute", "/absolute/", "61201", "61202"),
    ("double", "double//slash/", "61201", "61202"),
    ("closed", "closed/dir/", "61201", "61202"),
    ("closedmbox", "closed/mbox", "61201", "61202"),
    ("dots", "..x/...", "61201", "61202"),
    ("link", "link", "61201", "61202"),
    ("twin", "twin", "61201", "61202"),
    ("fifo", "fifo", "61201", "61202"),
    ("others", "others", "61201", "61202"),
    ("device", "device", "61201", "61202"),
    ("low", "low/", "99", "61202"),
    ("root", "root/", "0", "61202"),
    ("least", "least/", "100", "61202"),
    ("nogroup", "nogroup/", "61201", "0"),
    ("letters", "letters/", "abc", "61202"),
    ("negative", "negative/", "-1", "61202"),
    ("minusgroup", "minusgroup/", "61201", "-1"),
    ("blank", "blank/", "61201", "61202 "),
    ("nouid", "nouid/", "", "61202"),
    ("nogid", "nogid/", "61201", ""),
];

fn table(machine: &Machine, name: &str, value: impl Fn(&Row) -> &'static str) {
    let lines = ROWS.iter().filter(|row| !value(row).is_empty());
    let text: String = lines.map(|row| format!("{}@v.test {}\n", row.0, value(row))).collect();
    fs::write(machine.path("etc/postfix").join(name), text).expect("space");
}

fn obstacles(base: &Path) {
    let owned = |path: &PathBuf, uid| chown(path, Some(uid), Some(61_202)).expect("root may give");
    for (name, uid) in [("target", 61_201), ("twin", 61_201), ("others", 61_299)] {
        let path = base.join(name);
        fs::write(&path, "old\n").expect("space");
        owned(&path, uid);
    }
    symlink(base.join("target"), base.join("link")).expect("a free name");
    fs::hard_link(base.join("twin"), base.join("twin2")).expect("a free name");
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, base.join("fifo"), fifo, mode, 0).expect("a free name");
    owned(&base.join("fifo"), 61_201);
    let device = rustix::fs::FileType::CharacterDevice;
    let all = rustix::fs::Mode::from_raw_mode(0o666);
    let null = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(rustix::fs::CWD, base.join("device"), device, all, null).expect("a free name");
    fs::create_dir(base.join("closed")).expect("a free name");
}

/// A line of the log without queue id, times, place, and unique file names.
fn essential(line: &str, machine: &Machine) -> String {
    let (tag, rest) = line.split_once(": ").unwrap_or(("", line));
    let rest = match rest.split_once(": ") {
        Some((id, rest)) if id.bytes().all(|b| b.is_ascii_alphanumeric()) => rest,
        _ => rest,
    };
    let kept: Vec<&str> = rest.split(", ").filter(|word| !word.starts_with("delay")).collect();
    let kept = kept.join(", ").replace(&machine.path("").display().to_string(), "$M/");
    let is_unique = |word: &str| word.contains("/tmp/") || word.contains("/new/");
    let words: Vec<String> = kept
        .split(' ')
        .map(|word| match word.rsplit_once('/') {
            Some((before, _)) if is_unique(word) => format!("{before}/NAME"),
            _ => word.to_owned(),
        })
        .collect();
    format!("{tag}: {}", words.join(" "))
}

fn outcome(which: Which) -> Vec<String> {
    let settings = "virtual_mailbox_domains = v.test\nvirtual_mailbox_base = $M\n\
        virtual_mailbox_maps = texthash:/etc/postfix/vmailbox\nvirtual_uid_maps = texthash:/etc/postfix/vuid\n\
        virtual_gid_maps = texthash:/etc/postfix/vgid\ndeliver_lock_attempts = 1\n\
        virtual_destination_concurrency_limit = 20\n";
    let machine = Machine::new(which, INTERNET_SITE);
    let base = machine.path("home/vmail");
    let settings = settings.replace("$M", &base.display().to_string());
    let main_cf = machine.path("etc/postfix/main.cf");
    let text = fs::read_to_string(&main_cf).expect("a text file");
    fs::write(&main_cf, text + &settings).expect("space");
    fs::create_dir(&base).expect("a fresh directory");
    fs::set_permissions(&base, fs::Permissions::from_mode(0o777)).expect("our own directory");
    table(&machine, "vmailbox", |row| row.1);
    table(&machine, "vuid", |row| row.2);
    table(&machine, "vgid", |row| row.3);
    obstacles(&base);
    machine.command("postfix", &["start"]);
    machine.wait_until("port 25 answers", || machine.connect().is_some());
    for (name, ..) in ROWS {
        let said = machine.send("sender@example.org", &format!("{name}@v.test"), BODY);
        assert!(said.starts_with("250 "), "{name}: {said}");
    }
    let mut seen = Vec::new();
    for (name, ..) in ROWS {
        let line = machine.wait_for_line(&format!("to=<{name}@v.test>"));
        seen.push(essential(&line, &machine));
    }
    let mut warnings: Vec<String> = machine
        .events()
        .iter()
        .filter(|line| line.contains("virtual: warning"))
        .map(|line| essential(line, &machine))
        .collect();
    warnings.sort();
    seen.extend(warnings);
    seen.extend(tree(&base));
    seen
}

/// What there is below a directory: modes and owners, and how many files in each directory.
fn tree(base: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![base.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> = fs::read_dir(&folder)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        for path in entries {
            let facts = fs::symlink_metadata(&path).expect("it is there");
            let shown = path.strip_prefix(base).expect("below the base").display().to_string();
            let shown = if shown.contains(".V") { "message".to_owned() } else { shown };
            let (mode, uid, gid) = (facts.mode(), facts.uid(), facts.gid());
            found.push(format!(
                "{shown} {mode:o} {uid}:{gid} {}",
                if facts.is_file() { facts.len() > 10 } else { false }
            ));
            if facts.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

#[test]
fn every_row_of_the_tables_has_the_same_effect() {
    let (ours, theirs) = (outcome(Which::Posthaste), outcome(Which::Postfix));
    let missing = |from: &[String], of: &[String]| -> Vec<String> {
        of.iter().filter(|line| !from.contains(line)).cloned().collect()
    };
    assert_eq!(missing(&theirs, &ours), missing(&ours, &theirs));
    assert_eq!(ours.len(), theirs.len());
}

/// `$1` in the result of a pattern would let the sender of mail choose a file or a user.
#[test]
fn patterns_have_no_say_in_whose_mailbox_it_is() {
    let outcome = |which| {
        let settings = "virtual_mailbox_domains = v.test\nvirtual_mailbox_base = /var/mail\n\
            virtual_mailbox_maps = regexp:/etc/postfix/boxes\nvirtual_uid_maps = pcre:/etc/postfix/users\n\
            virtual_gid_maps = static:61202\nalias_maps = regexp:/etc/postfix/patterns\nlocal_recipient_maps =\n\
            transport_maps = pcre:/etc/postfix/transports\n";
        let machine = Machine::new(which, INTERNET_SITE);
        let main_cf = machine.path("etc/postfix/main.cf");
        let text = fs::read_to_string(&main_cf).expect("a text file");
        let kept: String =
            text.lines().filter(|line| !line.starts_with("alias_maps")).flat_map(|l| [l, "\n"]).collect();
        fs::write(&main_cf, kept + settings).expect("space");
        let write = |name: &str, text: &str| {
            fs::write(machine.path("etc/postfix").join(name), text).expect("space");
        };
        write("boxes", "/^(.*)@v.test$/ $1/\n/^fixed@v.test$/ fixed/\n");
        write("users", "/^(\\d+)@v.test$/ $1\n/^fixed@v.test$/ 61201\n");
        write("patterns", "/^(a.*)$/ |/bin/touch $1\n/^fixed$/ alice\n");
        write("transports", "/^(.*)@t.test$/ smtp:[$1]\n/^other@t.test$/ discard:\n");
        fs::set_permissions(machine.path("mail"), fs::Permissions::from_mode(0o1777)).expect("our own");
        machine.command("postfix", &["start"]);
        machine.wait_until("port 25 answers", || machine.connect().is_some());
        let to = ["fixed@v.test", "61201@v.test", "fixed@debian.test", "abc@debian.test", "other@t.test"];
        for to in to {
            let said = machine.send("sender@example.org", to, BODY);
            assert!(said.starts_with("250 "), "{to}: {said}");
        }
        let mut seen: Vec<String> = Vec::new();
        for to in to {
            let text = if to == "fixed@debian.test" {
                "orig_to=<fixed@debian.test>".to_owned()
            } else {
                format!("to=<{to}>")
            };
            seen.push(essential(&machine.wait_for_line(&text), &machine));
        }
        let mut warnings: Vec<String> = machine
            .events()
            .into_iter()
            .filter(|line| line.contains("substitution is not allowed"))
            .collect();
        warnings.sort();
        warnings.dedup();
        // trivial-rewrite is a function here, and warns under the name of whoever calls it.
        seen.extend(
            warnings.iter().map(|line| line.split_once(": ").map_or("", |(_, text)| text).to_owned()),
        );
        seen.extend(files(&machine.path("mail")).iter().map(|p| p.extension().is_some().to_string()));
        seen.sort();
        seen.dedup();
        seen
    };
    assert_eq!(outcome(Which::Posthaste), outcome(Which::Postfix));
}
