//! The same failure reported by Debian's Postfix and by us: same headers, same MIME structure, same status fields. Only the
//! introduction's prose differs. Needs root and the postfix package.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's way to fail")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use bounce::{BounceSettings, Composer, Kind, Line, Original, plan};
use config::Values;
use message::LocalZone;
use queue_format::LogEntry;
use types::{Address, BodyEncoding, Dsn, MessageAttributes, Recipient, Status, WallTime};

/// A private Postfix; stopped and removed at the end.
struct Postfix {
    root: PathBuf,
}

impl Postfix {
    fn start() -> Self {
        let root = std::env::temp_dir().join(format!("bounce-debian-{}", std::process::id()));
        let (config, queue, data) = (root.join("etc"), root.join("queue"), root.join("data"));
        for folder in [&config, &queue, &data] {
            fs::create_dir_all(folder).unwrap();
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        run(Command::new("chown").arg("postfix").arg(&data));
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {}\ndata_directory = {}\nmyhostname = mx.test\nmydestination =\n\
             inet_interfaces = loopback-only\nsyslog_name = bounce-debian\nmaillog_file = {}\nmaillog_file_prefixes = {}\n\
             transport_maps = inline:{{ {{ gone.test = error:5.1.1 nobody of that name lives here, so that the reason needs \
             a second line }} {{ sender.test = wait: }} }}\n\
             defer_transports = wait\nvirtual_alias_maps = inline:{{ {{ team@x.test = ann@gone.test }} }}\n\
             virtual_alias_domains = x.test\nmultiple_instance_enable = yes\nmulti_instance_name = postfix-bounce\n\
             alias_maps =\n",
            queue.display(),
            data.display(),
            root.join("log").display(),
            root.display(),
        );
        fs::write(config.join("main.cf"), main).unwrap();
        let rows =
            ["pickup unix n - n 1 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr"]
                .into_iter()
                .chain(["rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce"])
                .chain([
                    "defer unix - - n - 0 bounce",
                    "trace unix - - n - 0 bounce",
                    "error unix - - n - - error",
                ])
                .chain([
                    "retry unix - - n - - error",
                    "postlog unix-dgram n - n - 1 postlogd",
                    "flush unix n - n 1000? 0 flush",
                ])
                .chain(["proxymap unix - - n - - proxymap", "showq unix n - n - - showq"]);
        fs::write(config.join("master.cf"), rows.map(|row| format!("{row}\n")).collect::<String>()).unwrap();
        let postfix = Self { root };
        run(&mut postfix.command("postfix", &["start"]));
        postfix
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(format!("/usr/sbin/{program}"));
        command.env("MAIL_CONFIG", self.root.join("etc")).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// The notification, once it is in the deferred queue.
    fn notification(&self) -> (String, String) {
        let mut tries = 150;
        let deferred = self.root.join("queue/deferred");
        loop {
            let mut files = Vec::new();
            walk(&deferred, &mut files);
            if let Some(file) = files.first() {
                let output = self
                    .command("postcat", &["-bh", file.to_str().unwrap()])
                    .stdout(Stdio::piped())
                    .output()
                    .unwrap();
                let id = file.file_name().unwrap().to_str().unwrap().to_owned();
                return (id, String::from_utf8(output.stdout).unwrap());
            }
            let log = fs::read_to_string(self.root.join("log")).unwrap_or_default();
            assert!(tries > 0, "no notification:\n{log}");
            tries -= 1;
            let _ = Command::new("sleep").arg("0.2").status();
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _ = self.command("postfix", &["stop"]).status();
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap_or_else(|| panic!("{start} in {text}")) + start.len();
    let len = text[from..].find(end).unwrap_or_else(|| panic!("{end} in {text}"));
    &text[from..from + len]
}

/// What both must have alike: without prose, and without the headers that cleanup adds.
fn alike(mail: &str) -> Vec<String> {
    let (header, body) = mail.split_once("\n\n").unwrap();
    let mut lines: Vec<String> = Vec::new();
    let mut is_kept = true;
    for line in header.lines() {
        let of_cleanup = ["Received:", "Date:", "Message-Id:"];
        if !line.starts_with([' ', '\t']) {
            is_kept = !of_cleanup.iter().any(|name| line.starts_with(name));
        }
        if is_kept {
            lines.push(line.replace("MAILER-DAEMON@mx.test", "MAILER-DAEMON"));
        }
    }
    let prose =
        between(body, "This is the mail system at host mx.test.\n", "                   The mail system\n");
    lines.extend(body.replace(prose, "").lines().map(str::to_owned));
    lines
}

#[test]
fn the_same_failure_is_reported_alike() {
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    let is_installed = Path::new("/usr/sbin/postfix").exists();
    assert!(is_root && is_installed, "this test needs root and Debian's postfix (apt-get install postfix)");
    let postfix = Postfix::start();
    let mut sendmail =
        postfix.command("sendmail", &["-f", "joe@sender.test", "team@x.test", "bob@gone.test"]);
    let mut sendmail = sendmail.stdin(Stdio::piped()).spawn().unwrap();
    let content =
        "From: joe@sender.test\nTo: somebody\nSubject: a story\n of two lines\n\nbody\n--not a boundary\n";
    std::io::Write::write_all(&mut sendmail.stdin.take().unwrap(), content.as_bytes()).unwrap();
    assert!(sendmail.wait().unwrap().success());
    let (_, theirs) = postfix.notification();

    let values = Values::for_tests(&[("myhostname", "mx.test"), ("compatibility_level", "3.6")]);
    let (settings, warnings) = BounceSettings::load(&values, None);
    assert_eq!(warnings, Vec::<String>::new());
    let id = between(&theirs, "X-Postfix-Queue-ID: ", "\n");
    let boundary = between(&theirs, "boundary=\"", "\"");
    let seconds = between(boundary, ".", "/").parse().unwrap();
    let original = between(&theirs, "Return-Path: <joe@sender.test>\n", &format!("\n--{boundary}--"));
    // The date is theirs: the zone of this machine is not at hand here.
    let date = between(&theirs, "Arrival-Date: ", "\n");
    let message = MessageAttributes {
        arrival: WallTime::new(seconds, 0),
        sender: Address::from("joe@sender.test"),
        content_bytes: 300,
        encoding: BodyEncoding::Unknown,
        ..MessageAttributes::default()
    };
    let reason = "nobody of that name lives here, so that the reason needs a second line";
    let entry = |address: &str, original: &str, orcpt: &str| {
        let recipient = Recipient {
            address: Address::from(address),
            original: Address::from(original),
            dsn_orcpt: orcpt.into(),
            ..Recipient::default()
        };
        LogEntry::new(&recipient, &Status::new(Dsn::permanent(1, 1), reason), "failed")
    };
    let mut entries = vec![
        entry("ann@gone.test", "team@x.test", "rfc822;team@x.test"),
        entry("bob@gone.test", "bob@gone.test", ""),
    ];
    if theirs.find("<bob@gone.test>") < theirs.find("<ann@gone.test>") {
        entries.reverse();
    }
    if between(&theirs, "Final-Recipient: rfc822; bob@gone.test\n", "\n").starts_with("Original-Recipient") {
        for entry in entries.iter_mut().filter(|entry| entry.recipient == "bob@gone.test") {
            entry.dsn_orcpt = "rfc822;bob@gone.test".into();
        }
    }
    let plan = plan(&settings, Kind::Failure, &message.sender, message.dsn_return);
    let zone = LocalZone::utc();
    let about =
        Original { queue_id: id.parse().unwrap(), message: &message, message_id: None, has_content: true };
    let mut composer =
        Composer::new(WallTime::new(seconds, 0), &zone, &settings, &plan.notifications[0], about);
    let mut ours = String::new();
    let mut put = |line: Line<'_>| {
        ours.push_str(std::str::from_utf8(line.bytes).unwrap());
        ours.push('\n');
    };
    assert!(composer.begin(&entries, &mut put));
    for line in original.lines() {
        assert!(composer.original(Line { bytes: line.as_bytes(), is_complete: true }, &mut put));
    }
    composer.end(&mut put);
    let our_date = between(&ours, "Arrival-Date: ", "\n").to_owned();
    let ours = ours.replace(&our_date, date);
    assert_eq!(alike(&ours), alike(&theirs));
}
