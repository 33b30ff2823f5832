//! Local users who write into maildrop what postdrop would not, and queue files that a disk has damaged: each
//! is delivered, set aside or kept, never a crash, and the good ones go on.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    system::{System, Which, files},
    wire::Received,
};
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixStream,
    },
    path::Path,
    process::Command,
};

/// One record: its type, its length in groups of seven bits, its bytes.
fn record(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut length = data.len();
    loop {
        let group = u8::try_from(length & 0x7f).expect("seven bits");
        length >>= 7;
        bytes.push(if length > 0 { group | 0x80 } else { group });
        if length == 0 {
            break;
        }
    }
    bytes.extend_from_slice(data);
    bytes
}

fn records(list: &[(u8, &[u8])]) -> Vec<u8> {
    list.iter().flat_map(|(kind, data)| record(*kind, data)).collect()
}

/// What postdrop writes for a small message.
fn submission(name: &str) -> Vec<u8> {
    let subject = format!("Subject: {name}");
    records(&[
        (b'T', b"1700000000 0"),
        (b'A', b"rewrite_context=local"),
        (b'S', b"a@mx.test"),
        (b'R', b"x@dest.test"),
        (b'M', b""),
        (b'N', subject.as_bytes()),
        (b'N', b""),
        (b'N', b"body"),
        (b'X', b""),
        (b'E', b""),
    ])
}

fn with_envelope(name: &str, envelope: &[(u8, &[u8])]) -> Vec<u8> {
    let subject = format!("Subject: {name}");
    let rest: [(u8, &[u8]); 5] =
        [(b'M', b""), (b'N', subject.as_bytes()), (b'N', b""), (b'X', b""), (b'E', b"")];
    [records(envelope), records(&rest)].concat()
}

/// Files that no honest submitter makes.
fn malformed() -> Vec<(String, Vec<u8>)> {
    let mut cases: Vec<(String, Vec<u8>)> = Vec::new();
    let mut envelope =
        |name: &str, list: &[(u8, &[u8])]| cases.push((name.to_owned(), with_envelope(name, list)));
    let sender: (u8, &[u8]) = (b'S', b"a@mx.test");
    let recipient: (u8, &[u8]) = (b'R', b"x@dest.test");
    envelope("plain", &[sender, recipient]);
    envelope("no-sender", &[recipient]);
    envelope("no-recipient", &[sender]);
    envelope("recipient-first", &[recipient, sender]);
    envelope("two-senders", &[sender, (b'S', b"b@mx.test"), recipient]);
    envelope("nul-sender", &[(b'S', b"a\0b@mx.test"), recipient]);
    envelope("lf-sender", &[(b'S', b"a\nb@mx.test"), recipient]);
    envelope("nul-recipient", &[sender, (b'R', b"x\0y@dest.test")]);
    envelope("lf-recipient", &[sender, (b'R', b"x@dest.test\nRCPT TO:<y@dest.test>")]);
    envelope("long-recipient", &[sender, (b'R', &[b'x'; 5000])]);
    envelope("bad-attribute", &[(b'A', b"no equals sign"), sender, recipient]);
    envelope(
        "daemon-attribute",
        &[(b'A', b"client_address=192.0.2.1"), (b'A', b"sasl_username=root"), sender, recipient],
    );
    envelope("lf-attribute", &[(b'A', b"rewrite_context=local\nx=y"), sender, recipient]);
    envelope("size", &[(b'C', b"99999999999 99999999999 99999 9 9"), sender, recipient]);
    envelope("done-recipient", &[sender, (b'D', b"x@dest.test"), recipient]);
    envelope("filter", &[(b'L', b"smtp:[192.0.2.1]"), (b'>', b"evil@dest.test"), sender, recipient]);
    envelope("unknown-type", &[(b'?', b"x"), sender, recipient]);
    envelope("pointer", &[sender, (b'p', b"              0"), recipient]);
    envelope("end-early", &[sender, recipient, (b'E', b"")]);
    envelope("warning-time", &[(b'W', b"-99999999999999999999"), sender, recipient]);
    envelope("time", &[(b'T', b"x"), sender, recipient]);
    let good = submission("cut");
    for length in [0, 1, 2, 5, good.len() / 2, good.len() - 3, good.len() - 1] {
        cases.push((format!("cut-{length}"), good[..length].to_vec()));
    }
    cases.push(("endless-length".to_owned(), [b"S".as_slice(), &[0xff; 20]].concat()));
    cases.push(("huge-length".to_owned(), [b"S".as_slice(), &[0xff, 0xff, 0xff, 0xff, 0x07]].concat()));
    cases.push(("zeros".to_owned(), vec![0; 10_000]));
    cases.push(("after-the-end".to_owned(), [submission("after-the-end"), vec![0xff; 100]].concat()));
    let mut long = submission("long-line");
    let at = long.windows(6).position(|window| window == b"N\x04body").expect("the body");
    let line = record(b'N', &vec![b'y'; 1 << 20]);
    long.splice(at..at, line);
    cases.push(("long-line".to_owned(), long));
    cases
}

fn place(system: &System, number: usize, bytes: &[u8]) {
    let path = system.path(&format!("spool/maildrop/{}", id(number)));
    fs::write(&path, bytes).expect("space");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o744)).expect("our file");
}

/// A queue id of Postfix's short form.
fn id(number: usize) -> String {
    format!("{:05X}{:X}", 0xABCDE, 0x10_0000 + number)
}

fn wake(system: &System, service: &str, word: &[u8]) {
    // A socket whose listener is restarted is tried again by the next wake-up.
    if let Ok(mut stream) = UnixStream::connect(system.path("spool/public").join(service)) {
        let _ = stream.write_all(word);
    }
}

/// Subjects of what came out at the other end, with their recipients.
fn delivered(received: &Received) -> BTreeSet<String> {
    let line = |message: compliance::wire::Message| {
        let text = String::from_utf8_lossy(&message.data).into_owned();
        let subject =
            text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or("none").to_owned();
        let to: Vec<String> = message.envelope.into_iter().filter(|line| line.starts_with("RCPT")).collect();
        format!("{subject} {}", to.join(" "))
    };
    received.messages().into_iter().map(line).collect()
}

const SETTINGS: &str = "local_transport = discard:\nappend_dot_mydomain = no\nnotify_classes =\n";

fn drop_all(which: Which) -> (BTreeSet<String>, usize) {
    let received = Received::default();
    let sink = received.server();
    let system = System::start(which, &format!("relayhost = {}\n{SETTINGS}", sink.relayhost()));
    let cases = malformed();
    for (number, (_, bytes)) in cases.iter().enumerate() {
        place(&system, number, bytes);
    }
    let own = system.path("spool/maildrop");
    let outside = system.path("mail/outside");
    fs::write(&outside, submission("outside")).expect("space");
    symlink(&outside, own.join(id(900))).expect("a link");
    fs::create_dir(own.join(id(901))).expect("a directory");
    let status = Command::new("mkfifo").arg("-m").arg("744").arg(own.join(id(902))).status();
    assert!(status.is_ok_and(|status| status.success()), "a fifo");
    fs::write(own.join(id(903)), submission("not-ready")).expect("space");
    fs::set_permissions(own.join(id(903)), fs::Permissions::from_mode(0o600)).expect("our file");
    fs::write(own.join("not an id"), submission("not-an-id")).expect("space");
    wake(&system, "pickup", b"W");
    place(&system, 999, &submission("last"));
    wake(&system, "pickup", b"W");
    system.wait_until("good mail gets through", || {
        delivered(&received).iter().any(|line| line.starts_with("last "))
    });
    system.wait_until("every file was looked at", || {
        wake(&system, "pickup", b"W");
        let left = files(&own).into_iter().filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (0..cases.len()).any(|number| id(number) == name) && !system.log().contains(&name)
        });
        left.count() == 0 && system.queued("incoming") + system.queued("active") == 0
    });
    assert!(Path::new(&outside).exists());
    (delivered(&received), system.queued("corrupt"))
}

#[test]
fn what_stands_in_maildrop_is_not_trusted() {
    let theirs = std::thread::spawn(|| drop_all(Which::Postfix));
    let (ours, our_corrupt) = drop_all(Which::Posthaste);
    let (theirs, their_corrupt) = theirs.join().expect("Postfix did its work");
    let differences: Vec<_> = ours.symmetric_difference(&theirs).collect();
    assert!(differences.is_empty(), "only one of both delivers: {differences:#?}");
    assert!(our_corrupt >= their_corrupt, "what Postfix keeps for a human, {their_corrupt}, we do too");
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).expect("a size")).expect("below a usize")
    }
}

#[test]
fn damaged_queue_files_never_crash_the_process_nor_go_out_in_part() {
    const COPIES: usize = 300;
    let received = Received::default();
    let sink = received.server();
    let system = System::start(
        Which::Posthaste,
        &format!(
            "relayhost = {}\n{SETTINGS}smtpd_peername_lookup = no\ndefer_transports = smtp\n",
            sink.relayhost()
        ),
    );
    place(&system, 1, &submission("original"));
    wake(&system, "pickup", b"W");
    system.wait_until("a message is deferred", || system.queued("deferred") == 1);
    let original = files(&system.path("spool/deferred")).pop().expect("a file");
    let bytes = fs::read(&original).expect("readable");
    let deliver = system.process("deliver");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for number in 0..COPIES {
        let mut damaged = bytes.clone();
        match number % 4 {
            0 => damaged.truncate(dice.below(bytes.len())),
            1 => {
                let at = dice.below(bytes.len());
                damaged[at] ^= 1 << dice.below(8);
            }
            2 => {
                for _ in 0..8 {
                    let at = dice.below(bytes.len());
                    damaged[at] = u8::try_from(dice.below(256)).expect("a byte");
                }
            }
            _ => {
                let (from, to) = (dice.below(bytes.len()), dice.below(bytes.len()));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                let at = dice.below(bytes.len());
                damaged.splice(at..at, piece);
            }
        }
        let queue =
            if number % 2 == 0 { "incoming".to_owned() } else { format!("deferred/{}", &id(number)[..1]) };
        let directory = system.path("spool").join(queue);
        fs::create_dir_all(&directory).expect("the queue's directory");
        let path = directory.join(id(number));
        fs::write(&path, &damaged).expect("space");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("our file");
        assert!(
            Command::new("chown")
                .arg("-R")
                .arg("postfix:")
                .arg(&directory)
                .status()
                .is_ok_and(|s| s.success())
        );
    }
    system.command("postqueue", &["-f"]);
    system.wait_until("all were looked at", || {
        let log = system.log();
        (0..COPIES).all(|number| log.contains(&id(number)))
            && system.queued("incoming") + system.queued("active") == 0
    });
    assert_eq!(system.process("deliver"), deliver, "the process lives\n{}", system.log());
    assert!(!system.log().contains("panic"), "{}", system.log());
    // Nothing says that a changed byte of an address or of the text is wrong; a file without its end says so.
    let log = system.log();
    for number in (0..COPIES).step_by(4) {
        let name = id(number);
        let mut sent = log.lines().filter(|line| line.contains(&name) && line.contains("status=sent"));
        assert_eq!(sent.next(), None, "a part of a message was delivered");
    }
}
