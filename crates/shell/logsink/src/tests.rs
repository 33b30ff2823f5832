use super::*;
use config::Values;
use std::{
    os::unix::net::UnixDatagram,
    path::PathBuf,
    time::{Duration, Instant},
};

fn settings(pairs: &[(&str, &str)]) -> Result<LogSettings, config::Invalid> {
    let mut all = vec![("myhostname", "mx.example.test")];
    all.extend_from_slice(pairs);
    LogSettings::load(&Values::for_tests(&all))
}

fn line(text: &str) -> Line<'_> {
    Line { severity: Severity::Warning, tag: "postfix/smtpd", session: 12, text }
}

fn temporary(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("posthaste-log-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn a_file_gets_lines_as_postlogd_writes_them_with_the_first_label_of_the_host() {
    let directory = temporary("file");
    let path = directory.join("mail.log");
    let prefix = directory.to_str().unwrap();
    let settings =
        settings(&[("maillog_file", path.to_str().unwrap()), ("maillog_file_prefixes", prefix)]).unwrap();
    let sink = LogSink::open(&settings).unwrap();
    sink.write(line("hello"));
    std::fs::rename(&path, directory.join("old")).unwrap();
    LogSink::open(&settings).unwrap().write(line("again"));
    let text = std::fs::read_to_string(directory.join("old")).unwrap();
    assert_eq!(&text[15..], " mx postfix/smtpd[12]: warning: hello\n");
    assert!(std::fs::read_to_string(&path).unwrap().ends_with("again\n"));
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn syslog_gets_priority_stamp_and_tag_and_what_was_lost_is_told_later() {
    let directory = temporary("syslog");
    let path = directory.join("log");
    let peer = Peer::new(&path, config::own::MAILLOG_WAIT_LIMIT.default);
    let sink = LogSink::with(Target::Syslog(peer), &settings(&[("syslog_facility", "local3")]).unwrap());
    sink.write(line("nobody hears this"));
    let logger = UnixDatagram::bind(&path).unwrap();
    sink.write(line("heard"));
    let mut buffer = [0; 4096];
    let mut next = || {
        let size = logger.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..size].to_vec()).unwrap()
    };
    assert!(next().contains("warning: 1 log lines were lost"));
    let heard = next();
    assert!(heard.starts_with("<156>") && heard.ends_with(" postfix/smtpd[12]: warning: heard"), "{heard}");
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_full_log_socket_does_not_stop_the_mail_system() {
    let directory = temporary("full");
    let path = directory.join("log");
    let logger = UnixDatagram::bind(&path).unwrap();
    let peer = Peer::new(&path, Duration::from_millis(100));
    let sink = LogSink::with(Target::Syslog(peer), &settings(&[]).unwrap());
    let start = Instant::now();
    for _ in 0..10_000 {
        sink.write(line("x"));
    }
    // Waited for once, and not for each line.
    assert!(start.elapsed() < Duration::from_secs(20));
    let dropped = sink.dropped.get();
    assert!(dropped > 0);
    let count = 10_000 - dropped;
    for _ in 0..count {
        logger.recv(&mut [0; 4096]).unwrap();
    }
    sink.write(line("y"));
    let mut buffer = [0; 4096];
    let size = logger.recv(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[..size]).into_owned();
    assert!(text.contains(&format!("{dropped} log lines were lost")), "{text}");
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_logger_that_reads_gets_every_line() {
    const LINES: usize = 5_000;
    let directory = temporary("slow");
    let path = directory.join("log");
    let logger = UnixDatagram::bind(&path).unwrap();
    let reading = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        for number in 0..LINES {
            let size = logger.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..size]);
            assert!(text.ends_with(&format!(" number {number}")), "{text}");
        }
    });
    let peer = Peer::new(&path, Duration::from_secs(60));
    let sink = LogSink::with(Target::Syslog(peer), &settings(&[]).unwrap());
    (0..LINES).for_each(|number| sink.write(line(&format!("number {number}"))));
    reading.join().unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn json_lines_are_json() {
    let mut quoted = String::new();
    quote(&mut quoted, "a\"b\\c\u{1}\u{e9}");
    assert_eq!(quoted, "\"a\\\"b\\\\c\\u0001\u{e9}\"");
    let text = json(&LocalTime { year: 2026, month: 1, day: 2, ..LocalTime::default() }, line("hi"), "mx");
    assert_eq!(
        text,
        "{\"time\":\"2026-01-02T00:00:00+00:00\",\"host\":\"mx\",\"service\":\"postfix/smtpd\",\
         \"session\":12,\"severity\":\"warning\",\"text\":\"hi\"}"
    );
}

#[test]
fn wrong_settings_are_refused_with_their_names() {
    let check = |name: &str, value: &str, text: &str| {
        assert_eq!(settings(&[(name, value)]).unwrap_err().text, text);
    };
    check(
        "maillog_file",
        "/etc/passwd",
        "maillog_file value '/etc/passwd' does not match any prefix in maillog_file_prefixes",
    );
    let careless = settings(&[("maillog_file_permissions", "0666")]).unwrap();
    assert_eq!(careless.permissions, 0o600, "what Postfix does not allow is the default");
}

#[test]
fn text_that_is_not_ascii_is_hidden_where_smtputf8_enable_is_off() {
    let directory = temporary("utf8");
    let path = directory.join("mail.log");
    let check = |smtputf8_enable, expected: &str| {
        let (file, prefix) = (path.to_str().unwrap(), directory.to_str().unwrap());
        let pairs =
            [("maillog_file", file), ("maillog_file_prefixes", prefix), ("smtputf8_enable", smtputf8_enable)];
        LogSink::open(&settings(&pairs).unwrap()).unwrap().write(line("to=<é@mx.test>"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with(expected), "{text}");
    };
    check("yes", "warning: to=<é@mx.test>\n");
    check("no", "warning: to=<??@mx.test>\n");
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_datagram_of_a_user_cannot_forge_a_second_line() {
    let path = temporary("postlog").join("file");
    append_datagram(&File::create(&path).unwrap(), b"one\ntwo").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"one?two\n");
}

#[test]
fn a_batch_is_written_at_the_end_of_a_turn_and_a_warning_at_once() {
    let directory = temporary("batch");
    let path = directory.join("mail.log");
    let prefix = directory.to_str().unwrap();
    let settings =
        settings(&[("maillog_file", path.to_str().unwrap()), ("maillog_file_prefixes", prefix)]).unwrap();
    let mut sink = LogSink::open(&settings).unwrap();
    let batch = sink.batched().unwrap();
    let count = || std::fs::read_to_string(&path).unwrap().lines().count();
    let info = |text| Line { severity: Severity::Info, ..line(text) };
    sink.write(info("one"));
    sink.write(info("two"));
    assert_eq!(count(), 0);
    batch.flush();
    assert_eq!(count(), 2);
    sink.write(info("three"));
    sink.write(line("what is wrong is seen at once, in its order"));
    assert_eq!(count(), 4);
    sink.write(info("last"));
    drop((sink, batch));
    assert_eq!(count(), 5);
    std::fs::remove_dir_all(directory).unwrap();
}
