//! The same mail through Debian's Postfix and through ours: the queue files hold the same records.
//!
//! Needs root and Debian's postfix package. What differs between Postfix 3.7 and 3.12 is taken out on both sides: see
//! `normal`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by ending")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "this test runs the real Postfix")]

mod messages;
mod support;

use bstr::{BStr, ByteSlice};
use cleanup::{SmtpClient, Source, Verdict};
use messages::{Mail, Way};
use queue_format::{Reader, RecordType};
use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use support::{Service, now, records, service, start};
use types::{Address, BodyEncoding, DsnReturn, Recipient, WallTime};

const PLAIN: &[(&str, &str)] = &[
    ("compatibility_level", "3.6"),
    ("myhostname", "mx.test"),
    ("mydomain", "test"),
    ("myorigin", "mx.test"),
    ("mydestination", "mx.test, localhost, test"),
    ("mynetworks", "127.0.0.0/8"),
    ("inet_protocols", "ipv4"),
    ("inet_interfaces", "127.0.0.1"),
    ("local_recipient_maps", ""),
    ("alias_maps", ""),
    ("smtputf8_enable", "yes"),
    ("recipient_delimiter", "+"),
];

/// Over [`PLAIN`], for the second listener.
const MAPPED: &[(&str, &str)] = &[
    (
        "virtual_alias_maps",
        "inline:{ {list@mx.test = a@x.test, b@x.test c@x.test} {loop@mx.test = loop@mx.test d@x.test} \
         {chain@mx.test = list@mx.test} {@va.test = @vb.test} {user@mx.test = target@x.test} \
         {\"q q\"@mx.test = quoted@x.test} }",
    ),
    ("canonical_maps", "inline:{ {old@mx.test = new@mx.test} {old2@mx.test = old@mx.test} }"),
    ("sender_canonical_maps", "inline:{ {s@mx.test = \"S S\"@mx.test} }"),
    ("recipient_canonical_maps", "inline:{ {r@mx.test = rr@mx.test} }"),
    ("masquerade_domains", "!keep.masq.test masq.test"),
    ("masquerade_exceptions", "root"),
    ("always_bcc", "archive@x.test"),
    ("sender_bcc_maps", "inline:{ {s@mx.test = sbcc@x.test} {@masq.test = mbcc@x.test} }"),
    ("recipient_bcc_maps", "inline:{ {user@mx.test = rbcc@x.test} }"),
    ("undisclosed_recipients_header", "To: undisclosed-recipients:;"),
    ("append_dot_mydomain", "yes"),
    ("delay_warning_time", "4h"),
];

/// A private instance without queue manager: what it accepts stays in incoming. (Another service takes the wake-up
/// calls for one, else each message would wait a second for it.)
struct Postfix {
    dir: PathBuf,
    port: u16,
}

impl Postfix {
    fn new() -> Self {
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0");
        let is_installed = Path::new("/usr/lib/postfix/sbin/cleanup").exists();
        assert!(
            is_root && is_installed,
            "this test needs root and Debian's postfix (apt-get install postfix)"
        );
        let dir = std::env::temp_dir().join(format!("cleanup-postfix-{}", std::process::id()));
        fs::create_dir_all(dir.join("etc")).unwrap();
        fs::create_dir_all(dir.join("spool")).unwrap();
        fs::create_dir_all(dir.join("data")).unwrap();
        let port = 20_000 + u16::try_from(std::process::id() % 20_000).unwrap();
        let postfix = Self { dir, port };
        postfix.write_main_cf();
        postfix.write_master_cf();
        Command::new("chown").arg("postfix").arg(postfix.dir.join("data")).status().unwrap();
        postfix
    }

    fn write_main_cf(&self) {
        let dir = self.dir.display();
        let mut text = format!(
            "queue_directory = {dir}/spool\ndata_directory = {dir}/data\nmail_owner = postfix\n\
             setgid_group = postdrop\ncommand_directory = /usr/sbin\n\
             daemon_directory = /usr/lib/postfix/sbin\nmaillog_file = {dir}/log\n\
             maillog_file_prefixes = {dir}\nsmtpd_relay_restrictions = permit_mynetworks, reject\n\
             smtpd_recipient_restrictions = permit_mynetworks, reject\nsmtpd_client_connection_count_limit = 0\nin_flow_delay = 0\n"
        );
        for (name, value) in PLAIN {
            writeln!(text, "{name} = {value}").unwrap();
        }
        fs::write(self.dir.join("etc/main.cf"), text).unwrap();
    }

    fn write_master_cf(&self) {
        let (port, mapped) = (self.port, self.port + 1);
        let mut options = String::new();
        for (name, value) in MAPPED {
            writeln!(options, "  -o {{ {name} = {value} }}").unwrap();
        }
        let text = format!(
            "127.0.0.1:{port} inet n - n - - smtpd\n\
             127.0.0.1:{mapped} inet n - n - - smtpd\n  -o cleanup_service_name=mapped\n\
             pickup unix n - n 1 1 pickup\n\
             cleanup unix n - n - 0 cleanup\n\
             mapped unix n - n - 0 cleanup\n{options}  -o rewrite_service_name=mappedrw\n\
             rewrite unix - - n - - trivial-rewrite\n\
             mappedrw unix - - n - - trivial-rewrite\n  -o append_dot_mydomain=yes\n\
             bounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
             qmgr unix n - n - 0 showq\n\
             postlog unix-dgram n - n - 1 postlogd\n"
        );
        fs::write(self.dir.join("etc/master.cf"), text).unwrap();
    }

    fn postfix(&self, command: &str) {
        let output = Command::new("/usr/sbin/postfix")
            .arg("-c")
            .arg(self.dir.join("etc"))
            .arg(command)
            .output()
            .unwrap();
        assert!(output.status.success(), "postfix {command}: {}", output.stderr.as_bstr());
    }

    fn start(&self) {
        self.postfix("start");
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "Postfix does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Makes the directories of the queue, so that mail can be dropped before anything runs.
    fn prepare(&self) {
        self.postfix("check");
    }

    fn sendmail(&self, number: usize, mail: &Mail) {
        let mut child = Command::new("/usr/sbin/sendmail")
            .env("MAIL_CONFIG", self.dir.join("etc"))
            .args(["-f", &sender_of(number, mail)])
            .args(mail.arguments)
            .args(mail.recipients.iter().filter(|_| !mail.arguments.contains(&"-t")))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&mail.content).unwrap();
        assert!(child.wait().unwrap().success(), "{}", mail.name);
    }

    /// The maildrop file of each submitted message.
    fn maildrop(&self) -> Vec<Vec<u8>> {
        let files = fs::read_dir(self.dir.join("spool/maildrop")).unwrap();
        files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    }

    /// Waits for the message with this sender; its id and file.
    fn incoming(&self, sender: &str) -> (String, Vec<u8>) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let wanted = format!("S {sender}");
        while Instant::now() < deadline {
            for entry in fs::read_dir(self.dir.join("spool/incoming")).unwrap() {
                let path = entry.unwrap().path();
                let file = fs::read(&path).unwrap_or_default();
                if records(&file).contains(&wanted) && records(&file).last().is_some_and(|r| r == "E ") {
                    return (path.file_name().unwrap().to_str().unwrap().to_owned(), file);
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("no message from {sender}");
    }

    fn by_id(&self, id: &str) -> Vec<u8> {
        fs::read(self.dir.join("spool/incoming").join(id)).unwrap()
    }

    /// Sends over SMTP and returns the reply to the final dot.
    fn smtp(&self, mail: &Mail, sender: &str) -> String {
        let port = if mail.way == Way::MappedSmtp { self.port + 1 } else { self.port };
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut input = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        let mut say = |line: &[u8]| {
            stream.write_all(line).unwrap();
            reply(&mut input)
        };
        assert!(say(b"").starts_with("220"));
        assert!(say(b"EHLO client.test\r\n").starts_with("250"));
        let answer = say(format!("MAIL FROM:<{sender}>{}\r\n", mail.parameters()).as_bytes());
        assert!(answer.starts_with("250"), "{}: {answer}", mail.name);
        for recipient in mail.recipients {
            let answer = say(format!("RCPT TO:<{recipient}>\r\n").as_bytes());
            assert!(answer.starts_with("250"), "{}: {answer}", mail.name);
        }
        assert!(say(b"DATA\r\n").starts_with("354"));
        say(&[&stuffed(&mail.content)[..], b".\r\n"].concat())
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read(self.dir.join("log")).unwrap_or_default().as_bstr());
        }
        let _ = Command::new("/usr/sbin/postfix").arg("-c").arg(self.dir.join("etc")).arg("stop").output();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn reply(input: &mut impl BufRead) -> String {
    loop {
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        if line.len() < 4 || line.as_bytes()[3] != b'-' {
            return line;
        }
    }
}

/// Dots doubled, a line end at the end.
fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in content.lines_with_terminator() {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out
}

fn sender_of(number: usize, mail: &Mail) -> String {
    mail.sender.map_or_else(|| format!("case{number}@client.test"), str::to_owned)
}

/// What of a record may differ: 3.7 knows no `message_id`, writes the day of the month without a zero, and so the sizes
/// in the first record differ as well, but for counts and flags.
fn normal(record: &str) -> Option<String> {
    if record.starts_with("A message_id=") || record.starts_with("A create_time=") {
        return None;
    }
    if record.starts_with("C ") {
        let fields: Vec<&str> = record.split_ascii_whitespace().collect();
        return Some(format!("C {} {} {} {} {}", fields[1], fields[3], fields[4], fields[5], fields[6]));
    }
    Some(record.replace(", 0", ",  "))
}

fn compare(mail: &Mail, theirs: &[u8], ours: &[u8]) -> Result<(), String> {
    let theirs: Vec<String> = records(theirs).iter().filter_map(|r| normal(r)).collect();
    let ours: Vec<String> = records(ours).iter().filter_map(|r| normal(r)).collect();
    if theirs == ours {
        return Ok(());
    }
    let mut text = format!("--- {}\n", mail.name);
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|record| !those.contains(record)).cloned().collect()
    };
    for record in only(&theirs, &ours) {
        writeln!(text, "Postfix: {record}").unwrap();
    }
    for record in only(&ours, &theirs) {
        writeln!(text, "   ours: {record}").unwrap();
    }
    if let Some(n) = theirs.iter().zip(&ours).position(|(theirs, ours)| theirs != ours) {
        writeln!(text, "first difference: record {n}, {} against {}", theirs[n], ours[n]).unwrap();
    }
    Err(text)
}

fn attribute(file: &[u8], name: &str) -> String {
    let prefix = format!("A {name}=");
    records(file).iter().find_map(|r| r.strip_prefix(&prefix).map(str::to_owned)).unwrap_or_default()
}

fn arrival(file: &[u8]) -> WallTime {
    let time = records(file).iter().find_map(|r| r.strip_prefix("T ").map(str::to_owned)).unwrap();
    queue_format::parse_time(time.as_bytes())
}

/// Our queue file for mail over SMTP, cut at odd places.
fn ours_smtp(service: &Service, mail: &Mail, sender: &str, id: &str, theirs: &[u8]) -> Vec<u8> {
    let (mut cleanup, _log) = start(service, id, Source::Smtpd, arrival(theirs), created(theirs));
    let port = attribute(theirs, "client_port");
    let server_port = attribute(theirs, "server_port");
    let client = SmtpClient {
        name: &attribute(theirs, "client_name"),
        reverse_name: &attribute(theirs, "reverse_client_name"),
        address: "127.0.0.1",
        port: &port,
        origin: &attribute(theirs, "log_message_origin"),
        server_address: "127.0.0.1",
        server_port: &server_port,
        helo: Some(BStr::new("client.test")),
        protocol: "ESMTP",
        is_local_rewrite: true,
        encoding: if mail.is_8bit() { BodyEncoding::EightBit } else { BodyEncoding::Unknown },
        dsn_return: DsnReturn::Unset,
        dsn_envid: None,
        verp: None,
        login: None,
        sasl_sender: None,
        forwarded: None,
        ident: None,
    };
    now(cleanup.open_smtp(&client, &Address::from(sender)));
    let recipients: Vec<Address> = mail
        .recipients
        .iter()
        .map(|r| Address::new(message::unquote_822_local(r.as_bytes()).into_owned()))
        .collect();
    for address in &recipients {
        now(cleanup.recipient(&Recipient { address: address.clone(), ..Recipient::default() }));
    }
    let sole = (recipients.len() == 1).then(|| &recipients[0]);
    now(cleanup.begin_smtp_content(&client, sole, &[]));
    // The SMTP server keeps a first line with white space from continuing our header.
    if mail.content.starts_with(b" ") {
        now(cleanup.content(b"\r\n"));
    }
    for chunk in mail.content.chunks(37) {
        now(cleanup.content(chunk));
    }
    finish(cleanup)
}

fn ours_pickup(service: &Service, maildrop: &[u8], id: &str, theirs: &[u8]) -> Vec<u8> {
    let arrival = arrival(theirs);
    let (mut cleanup, _log) = start(service, id, Source::Pickup, arrival, created(theirs));
    let mut reader = Reader::new(maildrop);
    let mut is_content = false;
    while let Ok(Some(record)) = reader.next_record() {
        match record.record_type {
            RecordType::CONTENT => {
                is_content = true;
                // The file was written in the second before; the date of Received: is compared below.
                cleanup.begin_pickup_content(0, received_time(theirs, arrival));
            }
            RecordType::LINE if is_content => now(cleanup.content_record(record.data, true)),
            RecordType::CONTINUED if is_content => now(cleanup.content_record(record.data, false)),
            RecordType::EXTRACTED => {
                is_content = false;
                now(cleanup.end_content());
            }
            RecordType::END => break,
            other => now(cleanup.record(other, record.data)),
        }
    }
    finish_ended(cleanup)
}

/// When the file was made: a message id of Postfix tells, which may be a second or two after the arrival.
fn created(theirs: &[u8]) -> WallTime {
    let (arrival, all) = (arrival(theirs), records(theirs).join("\n"));
    (0..60)
        .map(|n| WallTime::new(arrival.seconds + n, 0))
        .find(|t| all.contains(&format!("<{}.", message::message_id_time(*t))))
        .unwrap_or(arrival)
}

/// pickup dates with the time of its file, which may be a second off the arrival.
fn received_time(theirs: &[u8], arrival: WallTime) -> WallTime {
    let date = |t: WallTime| message::mail_date(t, &message::LocalZone::utc());
    let all = records(theirs).join("\n").replace(",  ", ", 0");
    (-2..3)
        .map(|n| WallTime::new(arrival.seconds + n, 0))
        .find(|t| all.contains(&format!("; {}", date(*t))))
        .unwrap_or(arrival)
}

fn finish(mut cleanup: cleanup::Cleanup) -> Vec<u8> {
    now(cleanup.end_content());
    finish_ended(cleanup)
}

fn finish_ended(mut cleanup: cleanup::Cleanup) -> Vec<u8> {
    let verdict = now(cleanup.finish());
    assert!(matches!(verdict, Verdict::Accepted { .. }), "{verdict:?}");
    cleanup.writer().take(|_, bytes| bytes.to_vec())
}

/// Debian's postcat can read a file of ours, to its end.
fn postcat_reads(postfix: &Postfix, file: &[u8]) {
    let path = postfix.dir.join("ours");
    fs::write(&path, file).unwrap();
    let output = Command::new("/usr/sbin/postcat")
        .arg("-c")
        .arg(postfix.dir.join("etc"))
        .arg("-v")
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", output.stderr.as_bstr());
    assert!(output.stdout.contains_str("*** MESSAGE FILE END"), "{}", output.stdout.as_bstr());
}

#[test]
fn queue_files_are_those_of_postfix() {
    let postfix = Postfix::new();
    postfix.prepare();
    let mails = messages::all();
    assert!(mails.len() >= 60, "{}", mails.len());
    for (number, mail) in mails.iter().enumerate().filter(|(_, mail)| mail.way == Way::Sendmail) {
        postfix.sendmail(number, mail);
    }
    let maildrop = postfix.maildrop();
    postfix.start();
    let plain = service(PLAIN);
    let mapped = service(&[PLAIN, MAPPED].concat());
    let mut differences = String::new();
    for (number, mail) in mails.iter().enumerate() {
        let sender = sender_of(number, mail);
        let (ours, theirs) = if mail.way == Way::Sendmail {
            let (id, theirs) = postfix.incoming(&sender);
            let dropped = maildrop.iter().find(|file| records(file).contains(&format!("S {sender}")));
            (ours_pickup(&plain, dropped.unwrap(), &id, &theirs), theirs)
        } else {
            let reply = postfix.smtp(mail, &sender);
            let id = reply.trim_end().rsplit(' ').next().unwrap_or_default().to_owned();
            assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{}: {reply}", mail.name);
            let theirs = postfix.by_id(&id);
            let service = if mail.way == Way::MappedSmtp { &mapped } else { &plain };
            (ours_smtp(service, mail, &sender, &id, &theirs), theirs)
        };
        postcat_reads(&postfix, &ours);
        if let Err(difference) = compare(mail, &theirs, &ours) {
            differences.push_str(&difference);
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}
