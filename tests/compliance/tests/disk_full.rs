//! Disks that fill up: the queue's, the mailboxes', the log's. Nobody crashes, what was accepted is delivered when
//! there is space again, and nothing is ever delivered in part.
//!
//! The disks are small tmpfs mounts in a mount namespace of the test's own, so nothing stays behind.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use compliance::{
    smtp::Client,
    system::{System, Which, files},
};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Says to the test program that it runs in a namespace of its own.
const INSIDE: &str = "MTA_TEST_HAS_OWN_MOUNTS";

/// Largest message, in bytes, and a body of almost that size.
const MESSAGE_SIZE_LIMIT: usize = 1_000_000;

#[test]
fn full_disks_lose_nothing_and_deliver_nothing_in_part() {
    if std::env::var_os(INSIDE).is_some() {
        return with_small_disks();
    }
    let place = tempfile::Builder::new().prefix("mta-disks-").tempdir().expect("a temporary directory");
    fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    let itself = std::env::current_exe().expect("a test knows its own file");
    let inner = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(itself)
        .args(["--exact", "full_disks_lose_nothing_and_deliver_nothing_in_part", "--nocapture"])
        .env(INSIDE, "1")
        .env("TMPDIR", place.path())
        .output()
        .expect("unshare is installed (util-linux)");
    let (out, err) = (String::from_utf8_lossy(&inner.stdout), String::from_utf8_lossy(&inner.stderr));
    assert!(inner.status.success(), "{out}\n{err}");
}

/// A small disk below the system's directory, and the file that fills it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(system: &System, name: &str, options: &str) -> Self {
        let path = system.path(name);
        fs::create_dir_all(&path).expect("a fresh directory");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path).output();
        let mounted = mounted.expect("mount is installed");
        assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
        Self(path)
    }

    /// Takes all space that there is.
    fn fill(&self) {
        let mut file =
            File::options().create(true).append(true).open(self.0.join("balloon")).expect("an inode");
        for size in [1 << 16, 1 << 12] {
            let bytes = vec![b'x'; size];
            while file.write_all(&bytes).is_ok() {}
        }
    }

    fn free(&self) {
        let _ = fs::remove_file(self.0.join("balloon"));
    }
}

fn message(number: usize, bytes: usize) -> String {
    let filling = "What was accepted is delivered.\r\n".repeat(bytes / 33);
    format!("From: a@client.test\r\nMessage-ID: <{number}@client.test>\r\n\r\n{filling}end of {number}.")
}

const LOG: &str = "log/maillog";

fn log(system: &System) -> String {
    String::from_utf8_lossy(&fs::read(system.path(LOG)).unwrap_or_default()).into_owned()
}

fn with_small_disks() {
    let system = System::prepare(
        Which::Posthaste,
        &format!(
            "maillog_file = $B/{LOG}\nmessage_size_limit = {MESSAGE_SIZE_LIMIT}\n\
             virtual_mailbox_domains = virtual.test\nvirtual_mailbox_base = $B/mail\n\
             virtual_mailbox_maps = static:inbox/\nvirtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
             mail_spool_directory = $B/mail\nlocal_recipient_maps =\nvirtual_mailbox_limit = 0\nmailbox_size_limit = 0\n\
             minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nqueue_run_delay = 1s\ntransport_retry_time = 1s\n"
        ),
    );
    let queue = SmallDisk::mount(&system, "spool", "size=6m,mode=755");
    let mail = SmallDisk::mount(&system, "mail", "size=24m,mode=777");
    let logs = SmallDisk::mount(&system, "log", "size=8m,mode=755");
    system.run();
    let family = system.receive_and_deliver();
    no_room_at_mail(&system, &queue);
    no_room_for_content(&system, &queue);
    let accepted = load_while_the_disk_fills(&system, &queue);
    mailboxes_are_full(&system, &queue, &mail);
    log_is_full(&system, &logs);
    let texts: Vec<_> =
        files(&mail.0.join("inbox/new")).iter().map(|f| fs::read_to_string(f).unwrap()).collect();
    for number in accepted {
        let end = format!("\nend of {number}.\n");
        let copies = texts.iter().filter(|text| text.ends_with(&end)).count();
        assert_eq!(copies, 1, "message {number} was accepted\n{}", log(&system));
    }
    for text in &texts {
        assert!(text.lines().last().is_some_and(|line| line.starts_with("end of ")), "in part: {text}");
    }
    assert_eq!(system.receive_and_deliver(), family, "somebody died\n{}", log(&system));
    assert!(!log(&system).contains("panic:") && !log(&system).contains("killed by"), "{}", log(&system));
    system.command("postfix", &["stop"]);
}

fn is_drained(system: &System) -> bool {
    ["incoming", "active", "deferred"].iter().all(|queue| system.queued(queue) == 0)
}

/// Replies to a transaction once the disk's state is noticed: what is known of it may be a second old.
fn send_until(system: &System, text: &str, code: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut client = Client::connect(system.address()).expect("the server listens");
        let reply = client.send("a@client.test", &["joe@virtual.test"], text).expect("a reply");
        if reply.starts_with(code) {
            return;
        }
        assert!(
            reply.starts_with('4') && Instant::now() < deadline,
            "waited for {code}: {reply}\n{}",
            log(system)
        );
        thread::sleep(Duration::from_millis(50));
    }
}

fn no_room_at_mail(system: &System, queue: &SmallDisk) {
    queue.fill();
    send_until(system, &message(1_000_000, 100), "452 4.3.1");
    queue.free();
    send_until(system, &message(1_000_001, 100), "250");
}

fn no_room_for_content(system: &System, queue: &SmallDisk) {
    system.wait_until("the queue is empty", || is_drained(system));
    let mut client = Client::connect(system.address()).expect("the server listens");
    for line in ["MAIL FROM:<a@client.test>", "RCPT TO:<joe@virtual.test>", "DATA"] {
        let reply = client.command(line).expect("a reply");
        assert!(reply.starts_with(['2', '3']), "{reply}");
    }
    queue.fill();
    let reply =
        client.command(&format!("{}\r\n.", message(1_000_002, MESSAGE_SIZE_LIMIT / 2))).expect("a reply");
    assert!(reply.starts_with("451 4.3.0"), "{reply}");
    // The session goes on, and nothing is left of the message.
    assert!(client.command("NOOP").expect("a reply").starts_with("250"));
    assert!(is_drained(system), "something is left: {:?}", files(&queue.0));
    queue.free();
}

/// Sends from three sessions while the disk fills up and is emptied again and again. Returns what was accepted.
fn load_while_the_disk_fills(system: &System, queue: &SmallDisk) -> Vec<usize> {
    let (accepted, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let senders: Vec<_> = (0..3)
        .map(|session: usize| {
            let (accepted, is_over) = (Arc::clone(&accepted), Arc::clone(&is_over));
            let mut client = Client::connect(system.address()).expect("the server listens");
            thread::spawn(move || {
                let mut refused = 0;
                for number in (session..).step_by(3).take(200) {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let text = message(number, 40_000);
                    let reply = client.send("a@client.test", &["joe@virtual.test"], &text).expect("no crash");
                    if reply.starts_with("250") {
                        accepted.lock().unwrap().push(number);
                    } else {
                        assert!(reply.starts_with("452 4.3.1") || reply.starts_with("451 4.3.0"), "{reply}");
                        refused += 1;
                    }
                }
                refused
            })
        })
        .collect();
    for _ in 0..8 {
        thread::sleep(Duration::from_millis(200));
        queue.fill();
        thread::sleep(Duration::from_millis(200));
        queue.free();
    }
    is_over.store(true, Ordering::Relaxed);
    let refused: usize = senders.into_iter().map(|sender| sender.join().expect("only 4xx")).sum();
    system.wait_until("all that was accepted is delivered", || is_drained(system));
    let accepted = accepted.lock().unwrap().clone();
    eprintln!("{} accepted, {refused} refused", accepted.len());
    assert!(refused > 0 && !accepted.is_empty(), "the disk was never full, or always\n{}", log(system));
    accepted
}

fn lines_with(system: &System, words: &[&str]) -> usize {
    log(system).lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

fn mailboxes_are_full(system: &System, queue: &SmallDisk, mail: &SmallDisk) {
    let inbox = mail.0.join("inbox");
    let mailbox = mail.0.join("games");
    let mut client = Client::connect(system.address()).expect("the server listens");
    let text = message(2_000_000, 100);
    let both = ["joe@virtual.test", "games@mx.test"];
    assert!(client.send("a@client.test", &both, &text).unwrap().starts_with("250"));
    system.wait_until("both mailboxes are there", || is_drained(system));
    let before = (names(&inbox.join("new")), fs::read(&mailbox).unwrap());
    mail.fill();
    let text = message(2_000_001, 200_000);
    assert!(client.send("a@client.test", &both, &text).unwrap().starts_with("250"));
    for recipient in both {
        let words = [recipient, "status=deferred", "No space left on device"];
        system.wait_until("a full mailbox defers", || lines_with(system, &words) > 0);
    }
    assert!(names(&inbox.join("tmp")).is_empty(), "half a message is left in tmp");
    assert_eq!(before, (names(&inbox.join("new")), fs::read(&mailbox).unwrap()));
    // Now there is no space for the record of the next try either.
    let tries = lines_with(system, &[both[0], "status=deferred"]);
    let words = ["warning", "defer service failure", "No space left on device"];
    let deadline = Instant::now() + Duration::from_secs(15);
    while lines_with(system, &words) == 0 {
        // Each try removes the record of the one before, which makes a little space: that is taken too.
        queue.fill();
        assert!(Instant::now() < deadline, "the defer log is never missed\n{}", log(system));
        thread::sleep(Duration::from_millis(2));
    }
    system.wait_until("it is tried again all the same", || {
        lines_with(system, &[both[0], "status=deferred"]) > tries + 1
    });
    queue.free();
    mail.free();
    system.wait_until("both are delivered", || is_drained(system));
    assert_eq!(names(&inbox.join("new")).len(), before.0.len() + 1);
    let grown = String::from_utf8(fs::read(&mailbox).unwrap()).unwrap();
    assert_eq!(grown.matches("end of 2000001.").count(), 1);
    assert!(files(&queue.0.join("defer")).is_empty(), "a defer log outlives its message");
}

fn names(directory: &Path) -> Vec<PathBuf> {
    let mut names = files(directory);
    names.sort();
    names
}

fn log_is_full(system: &System, logs: &SmallDisk) {
    logs.fill();
    let size = fs::metadata(system.path(LOG)).unwrap().len();
    for number in 3_000_000..3_000_050 {
        send_until(system, &message(number, 100), "250");
    }
    system.wait_until("mail goes on without a log", || is_drained(system));
    assert!(fs::metadata(system.path(LOG)).unwrap().len() <= size + 4096);
    logs.free();
    send_until(system, &message(3_000_050, 100), "250");
    system.wait_until("the loss is told", || log(system).contains("log lines were lost"));
    system.wait_until("the last one is delivered", || is_drained(system));
}
