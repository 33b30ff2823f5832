//! postmap and postalias with every option, beside Debian's: output, messages, exit codes, permissions.

// Helpers of tests may fail loudly, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::{Command, Stdio},
};

const TEXT: &str =
    "key value\nKey again\nother two words\nbad\n\"open v\nkey: colon\nStra\u{df}e s\nlast one\n";
const MAIL: &str = "Subject: key\nX-Other: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nbody line\n--b--\n";

/// What a run printed, said and ended with.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    output: String,
    said: Vec<String>,
    code: Option<i32>,
}

fn run(program: &str, tool: &str, directory: &Path, args: &[&str], input: &str) -> Outcome {
    let mut command = Command::new(program);
    if !program.starts_with("/usr/sbin/") {
        command.arg(tool);
    }
    command.arg("-c").arg(directory).args(args).current_dir(directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("Debian's postfix must be installed for this test");
    // Who refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let said = text(output.stderr).lines().map(str::to_owned).collect();
    Outcome { output: text(output.stdout), said, code: output.status.code() }
}

/// Runs both with the same files; what ours says may go on where Debian's ends.
fn check(tool: &str, args: &[&str], input: &str) {
    let mut outcomes = [None, None];
    for (outcome, program) in outcomes
        .iter_mut()
        .zip([format!("/usr/sbin/{tool}"), env!("CARGO_BIN_EXE_command-under-test").to_owned()])
    {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("main.cf"), "compatibility_level = 3.6\ndefault_database_type = hash\n")
            .unwrap();
        fs::write(folder.path().join("t"), TEXT).unwrap();
        fs::write(folder.path().join("a"), "root: you\nlist: a, b\nbad\n").unwrap();
        fs::write(folder.path().join("p"), "/^Subject: (.*)$/ S $1\n/body/ B\n/^Content/ C\n").unwrap();
        // Their own file to ask and to change, whoever asks.
        for map_type in ["hash", "btree", "lmdb", "cdb"] {
            fs::write(folder.path().join(map_type), "key value\nother two words\nthird 3\n").unwrap();
            run("/usr/sbin/postmap", "postmap", folder.path(), &[&format!("{map_type}:{map_type}")], "");
        }
        *outcome = Some(run(&program, tool, folder.path(), args, input));
    }
    let [Some(theirs), Some(ours)] = outcomes else { panic!("both ran") };
    assert_eq!(
        (&ours.output, ours.code),
        (&theirs.output, theirs.code),
        "{tool} {args:?}\n{ours:?}\n{theirs:?}"
    );
    let mut rest = ours.said.clone();
    for line in &theirs.said {
        let at = rest.iter().position(|own| own.starts_with(line.as_str()));
        let at = at.unwrap_or_else(|| panic!("{tool} {args:?}: nobody says {line:?}\n{ours:?}\n{theirs:?}"));
        rest.remove(at);
    }
    assert!(rest.is_empty(), "{tool} {args:?}: only ours says {rest:?}\n{theirs:?}");
}

/// What is fatal takes Postfix a second, so that all wait together.
fn check_all(tool: &str, cases: &[(&[&str], &str)]) {
    std::thread::scope(|scope| {
        let checks: Vec<_> =
            cases.iter().map(|(args, input)| scope.spawn(|| check(tool, args, input))).collect();
        checks.into_iter().for_each(|check| check.join().expect("as the message above says"));
    });
}

#[test]
fn queries() {
    check_all(
        "postmap",
        &[
            (&["-q", "key", "hash:hash"], ""),
            (&["-q", "KEY", "lmdb:lmdb"], ""),
            (&["-f", "-q", "KEY", "lmdb:lmdb"], ""),
            (&["-q", "nobody", "cdb:cdb"], ""),
            (&["-q", "third", "hash"], ""),
            (&["-q", "third", "btree:btree", "cdb:cdb"], ""),
            (&["-N", "-q", "key", "cdb:cdb"], ""),
            (&["-n", "-q", "key", "cdb:cdb"], ""),
            (&["-N", "-q", "key", "hash:hash"], ""),
            (&["-n", "-q", "key", "hash:hash"], ""),
            (&["-q", "-", "hash:hash"], "key\nnobody\nOTHER\n\nthird"),
            (&["-q", "-", "static:x"], "one\n\u{e9}\ntwo\n"),
            (&["-q", "-", "inline:{one=1}", "inline:{two=2,one=3}"], "one\nTWO\nthree\n"),
            (&["-h", "-q", "-", "regexp:p"], MAIL),
            (&["-b", "-q", "-", "regexp:p"], MAIL),
            (&["-hb", "-q", "-", "regexp:p"], MAIL),
            (&["-hm", "-q", "-", "regexp:p"], MAIL),
            (&["-hbm", "-q", "-", "pcre:p"], MAIL),
            (&["-m", "-q", "-", "regexp:p"], MAIL),
            (&["-bU", "-q", "-", "static:x"], "a\n\nb\n"),
            (&["-u", "-q", "key", "hash:hash"], ""),
        ],
    );
}

#[test]
fn listings() {
    check_all("postmap", &[(&["-s", "btree:btree"], ""), (&["-s", "lmdb:lmdb"], ""), (&["-s"], "")]);
    check_all(
        "postalias",
        &[
            (&["-s", "btree:btree"], ""),
            (&["-q", "key", "hash:hash"], ""),
            (&["-q", "-", "hash:hash"], "key\nx\n"),
        ],
    );
}

#[test]
fn what_is_refused() {
    check_all(
        "postmap",
        &[
            (&["-b", "-q", "x", "hash:hash"], ""),
            (&["-h", "hash:hash"], ""),
            (&["-q", "x"], ""),
            (&["-d", "x"], ""),
            (&[], ""),
            (&["-z"], ""),
            (&["-q"], ""),
            (&["hash:missing"], ""),
            (&["-q", "x", "nonsense:t"], ""),
            (&["-q", "x", "hash:missing"], ""),
            (&["-q", "x", "lmdb:missing"], ""),
            (&["-q", "x", "cdb:missing"], ""),
            (&["-q", "x", "regexp:missing"], ""),
            (&["-q", "x", "texthash:missing"], ""),
            (&["-q", "x", "unix:nonsense"], ""),
            (&["-q", "x", "inline:{}"], ""),
            (&["-d", "x", "hash:missing"], ""),
            (&["-d", "x", "regexp:p"], ""),
        ],
    );
}

#[test]
fn changes() {
    check_all(
        "postmap",
        &[
            (&["-d", "key", "hash:hash"], ""),
            (&["-d", "KEY", "lmdb:lmdb"], ""),
            (&["-d", "nobody", "btree:btree"], ""),
            (&["-d", "-", "lmdb:lmdb"], "key\nnobody\n"),
            (&["-d", "key", "hash:hash", "btree:btree"], ""),
            (&["-i", "hash:hash"], "new entry\n"),
            (&["-i", "lmdb:lmdb"], "new entry\nbad\n"),
            (&["-ri", "lmdb:lmdb"], "key entry\n"),
            (&["-wi", "btree:btree"], "key entry\n"),
            (&["-w", "hash:t"], ""),
            (&["-r", "lmdb:t"], ""),
            (&["-N", "cdb:cdb"], ""),
        ],
    );
    check_all(
        "postalias",
        &[(&["hash:a"], ""), (&["-i", "lmdb:lmdb"], "x: y\n"), (&["-d", "key", "btree:btree"], "")],
    );
}

/// Permissions and owner of what is made, with the options that matter to them.
#[test]
fn permissions_and_owners() {
    let build = |program: &str, args: &[&str], mode: u32, owner: u32| {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("t");
        fs::write(folder.path().join("main.cf"), "compatibility_level = 3.6\n").unwrap();
        fs::write(&text, "key value\n").unwrap();
        fs::set_permissions(&text, fs::Permissions::from_mode(mode)).unwrap();
        // Whoever is not root cannot give files away, and sees its own.
        for path in [folder.path(), &text] {
            let _ = std::os::unix::fs::chown(path, Some(owner), Some(owner));
        }
        let mut made = Vec::new();
        for (map_type, suffix) in [("hash", "db"), ("lmdb", "lmdb"), ("cdb", "cdb")] {
            let spec = format!("{map_type}:t");
            let args = [args, &[spec.as_str()]].concat();
            let outcome = run(program, "postmap", folder.path(), &args, "");
            let data = fs::metadata(folder.path().join(format!("t.{suffix}")));
            made.push((outcome.code, data.map(|data| (data.mode() & 0o777, data.uid(), data.gid())).ok()));
        }
        made
    };
    let ours = env!("CARGO_BIN_EXE_command-under-test");
    for args in [&[] as &[&str], &["-o"], &["-p"], &["-op"]] {
        for (mode, owner) in [(0o644, 0), (0o600, 0), (0o640, 12345), (0o666, 12345)] {
            let expected = build("/usr/sbin/postmap", args, mode, owner);
            assert_eq!(build(ours, args, mode, owner), expected, "{args:?} {mode:o} {owner}");
        }
    }
}

#[test]
fn messages_go_to_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let main_cf = format!(
        "compatibility_level = 3.6\nmaillog_file = {0}\nmaillog_file_prefixes = {0}\n",
        log.display()
    );
    fs::write(folder.path().join("main.cf"), main_cf).unwrap();
    fs::write(folder.path().join("t"), "bad\n").unwrap();
    let ours = env!("CARGO_BIN_EXE_command-under-test");
    let outcome = run(ours, "postmap", folder.path(), &["hash:t", "hash:missing"], "");
    assert_eq!(outcome.code, Some(1));
    let log = fs::read_to_string(&log).unwrap();
    assert_eq!(log.lines().count(), outcome.said.len(), "{log}");
    for line in &outcome.said {
        let text = line.strip_prefix("postmap: ").unwrap();
        assert!(log.contains("postfix/postmap[") && log.contains(&format!("]: {text}")), "{log}");
    }
}

/// What Postfix 3.12 says where Debian's 3.7 has other words, or no such option.
#[test]
fn the_words_of_postfix_3_12() {
    let cases: &[(&[&str], &str, &str, &str, i32)] = &[
        (&["-j", "-q", "key", "hash:hash"], "", "{\"key\": \"value\"}\n", "", 0),
        (&["-j", "-q", "-", "hash:hash"], "KEY\nnobody\n", "{\"KEY\": \"value\"}\n", "", 0),
        (&["-j", "-s", "hash:hash"], "", "{\"key\": \"value\"}\n", "", 0),
        (&["-j", "hash:hash"], "", "", "option -j requires -q or -s", 1),
        (&["-q", "x", "-s", "hash:hash"], "", "", "specify only one of -d -i -q or -s", 1),
        (&["-d", "x", "-i", "hash:hash"], "", "", "specify only one of -d -i -q or -s", 1),
        (&["nonsense:p"], "", "", "unsupported map type: nonsense", 1),
        (&["regexp:p"], "", "", "no 'map create' support for this type: regexp", 1),
        (&["-i", "regexp:p"], "a b\n", "", "regexp:p map requires O_RDONLY access mode", 1),
        (&["-i", "static:x"], "a b\n", "", "table static:x: update operation is not supported", 1),
        (&["-d", "x", "static:x"], "", "", "table static:x: delete operation is not supported", 1),
        (&["-s", "static:x"], "", "", "table static:x: sequence operation is not supported", 1),
        (&["-i", "cdb:cdb"], "a b\n", "", "unsupported non-bulk change request", 1),
        (&["-d", "x", "cdb:cdb"], "", "", "unsupported non-bulk change request", 1),
        (&["-s", "fail:x"], "", "", "table fail:x: sequence error: ", 1),
        (&["-q", "x", "fail:x"], "", "", "table fail:x: query error: ", 1),
    ];
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("main.cf"), "compatibility_level = 3.6\n").unwrap();
    fs::write(folder.path().join("hash"), "key value\n").unwrap();
    fs::write(folder.path().join("p"), "/a/ b\n").unwrap();
    let ours = env!("CARGO_BIN_EXE_command-under-test");
    assert_eq!(run(ours, "postmap", folder.path(), &["hash:hash"], "").code, Some(0));
    for (args, input, output, fatal, code) in cases {
        let outcome = run(ours, "postmap", folder.path(), args, input);
        assert_eq!((outcome.output.as_str(), outcome.code), (*output, Some(*code)), "{args:?}");
        let said = outcome.said.join("\n");
        let is_right = if fatal.is_empty() {
            said.is_empty()
        } else {
            said.starts_with(&format!("postmap: fatal: {fatal}"))
        };
        assert!(is_right, "{args:?}: {said}");
    }
}
