//! The supervisor with real processes: this program is the test, the master and the children, by the name it is
//! called under, as `bin/posthaste` is.
//!
//! The children are as small as children can be: `receive` answers each TCP connection with its process number and
//! generation and holds it until the client speaks; `deliver` does nothing. Both obey their channel.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs, reason = "this is a test")]

use rustix::event::{PollFd, PollFlags, poll};
use std::{
    ffi::OsString,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use sys::{
    control::{self, AgentKind, AgentUser, ToChild, ToMaster},
    errand::{Answer, Errand},
    startup::Startup,
};

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let name = Path::new(&arguments[0]).file_name().unwrap().to_string_lossy().into_owned();
    match name.as_str() {
        "master" => std::process::exit(master::main(&arguments[1..])),
        "receive" | "deliver" => child(&name),
        "posthaste-agent" => agent(&arguments[1..]),
        _ => tests(&arguments),
    }
}

// ---- the children

fn child(name: &str) {
    let start = Startup::receive().unwrap();
    if std::env::var("CHILD_FAILS").is_ok_and(|which| which == name) {
        std::process::exit(3);
    }
    let inet = start.rows.into_iter().filter(|row| row.kind == control::EndpointKind::Inet);
    let mut listeners: Vec<TcpListener> = inet.flat_map(|row| row.listeners).map(TcpListener::from).collect();
    control::send(&start.control, &ToMaster::Ready).unwrap();
    if std::env::var("CHILD_ENDS").is_ok_and(|which| which == name) {
        std::process::exit(4);
    }
    let mut open = Vec::new();
    let mut draining = false;
    if name == "deliver"
        && let Ok(user) = std::env::var("AGENT_FOR")
    {
        let (kind, service) = (AgentKind::Local, "local".to_owned());
        let request = ToMaster::RequestAgent { request: 1, kind, service, user: AgentUser::Name(user) };
        control::send(&start.control, &request).unwrap();
    }
    loop {
        let mut all = vec![PollFd::new(&start.control, PollFlags::IN)];
        all.extend(listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)));
        all.extend(open.iter().map(|stream: &TcpStream| PollFd::new(stream, PollFlags::IN)));
        poll(&mut all, None).unwrap();
        let ready: Vec<bool> = all.iter().map(|one| !one.revents().is_empty()).collect();
        drop(all);
        if ready[0] {
            match control::receive::<ToChild>(&start.control).unwrap() {
                Some(ToChild::Drain { .. }) | None => {
                    listeners.clear();
                    draining = true;
                }
                Some(ToChild::Stop) => return,
                Some(ToChild::Agent { agent: Ok(socket), .. }) => {
                    // What the agent found out, for the test.
                    let mut text = String::new();
                    std::os::unix::net::UnixStream::from(socket).read_to_string(&mut text).unwrap();
                    fs::write(std::env::var("AGENT_REPORT").unwrap(), text).unwrap();
                }
                Some(ToChild::Agent { agent: Err(why), .. }) => {
                    fs::write(std::env::var("AGENT_REPORT").unwrap(), why).unwrap();
                }
                Some(_) => {}
            }
        }
        for listener in &listeners {
            while let Ok((mut stream, _)) = listener.accept() {
                let uid = sys::credentials::real_uid();
                writeln!(stream, "{} {} {uid}", std::process::id(), start.generation).unwrap();
                open.push(stream);
            }
        }
        // A client that speaks or goes is served.
        open.retain(|stream| {
            stream.set_nonblocking(true).unwrap();
            matches!((&*stream).read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
        });
        if draining && open.is_empty() {
            control::send(&start.control, &ToMaster::Drained).ok();
            return;
        }
    }
}

/// An agent that has gone bad: it asks for whatever it could want, and tells what it got.
fn agent(arguments: &[OsString]) {
    let mut deliver = std::os::unix::net::UnixStream::from(sys::startup::inherited_socket().unwrap());
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    writeln!(deliver, "{} {} {}", words[0], words[2], words[3]).unwrap();
    let Some(errands) = sys::errand::inherited_socket() else { return };
    let raw = |bytes: &[u8]| rustix::net::send(&errands, bytes, rustix::net::SendFlags::NOSIGNAL);
    // Unlocking what was never opened opens nothing, and is not answered.
    control::send(&errands, &Errand::Done { keep: false }).unwrap();
    for _ in 0..2 {
        control::send(&errands, &Errand::OpenMailbox).unwrap();
        match control::receive::<Answer>(&errands).unwrap() {
            Some(Answer::Opened(file)) => {
                let facts = file.metadata().unwrap();
                let can_read = (&file).read(&mut [0]).is_ok();
                writeln!(deliver, "opened {}:{} read {can_read}", facts.uid(), facts.mode() & 0o777).unwrap();
                writeln!(&file, "x").unwrap();
                control::send(&errands, &Errand::Done { keep: false }).unwrap();
                assert!(matches!(control::receive(&errands).unwrap(), Some(Answer::Done)));
            }
            other => writeln!(deliver, "{other:?}").unwrap(),
        }
    }
    // A path, a name: there is no such message. Master ends whoever sends one.
    raw(b"\0/etc/shadow").unwrap();
    let _ = control::receive::<Answer>(&errands);
    std::thread::sleep(Duration::from_secs(60));
    writeln!(deliver, "still here").unwrap();
}

// ---- the tests

/// Speaks just enough of the test runner's language for `cargo test` and `cargo nextest`.
fn tests(arguments: &[OsString]) {
    let all: &[(&str, fn())] = &[
        ("a_killed_process_is_started_again", a_killed_process_is_started_again),
        ("whoever_is_killed_often_is_started_each_time", whoever_is_killed_often_is_started_each_time),
        ("a_reload_refuses_and_cuts_nobody", a_reload_refuses_and_cuts_nobody),
        ("a_broken_configuration_changes_nothing", a_broken_configuration_changes_nothing),
        ("a_process_that_cannot_start_is_throttled", a_process_that_cannot_start_is_throttled),
        (
            "a_process_that_ends_again_and_again_is_throttled",
            a_process_that_ends_again_and_again_is_throttled,
        ),
        ("a_port_in_use_is_named", a_port_in_use_is_named),
        ("root_drops_to_mail_owner", root_drops_to_mail_owner),
        ("a_killed_master_leaves_children_that_finish", a_killed_master_leaves_children_that_finish),
        (
            "an_agent_gets_its_own_users_mailbox_and_no_other",
            an_agent_gets_its_own_users_mailbox_and_no_other,
        ),
        ("agents_are_started_for_users_only", agents_are_started_for_users_only),
    ];
    let words: Vec<String> =
        arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let has = |word: &str| words.iter().any(|w| w == word);
    if has("--list") {
        all.iter().filter(|_| !has("--ignored")).for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    let filter = words.iter().find(|word| !word.starts_with("--"));
    for (name, test) in all {
        if filter.is_none_or(|filter| name.contains(filter.as_str())) {
            test();
            println!("test {name} ... ok");
        }
    }
}

/// A mail system in a folder of its own.
struct System {
    directory: PathBuf,
    port: u16,
}

impl System {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("posthaste-master-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        for folder in ["etc", "queue/pid", "queue/public", "queue/private", "data"] {
            fs::create_dir_all(directory.join(folder)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let system = Self { directory, port };
        system.configure("");
        let rows = format!(
            "127.0.0.1:{port} inet n - n - - smtpd\npickup unix n - n 60 1 pickup\nqmgr fifo n - n 300 1 qmgr\n\
             local unix - n n - - local\n"
        );
        fs::write(system.directory.join("etc/master.cf"), rows).unwrap();
        if sys::credentials::real_uid() == 0 {
            let nobody = sys::credentials::account_by_name("nobody").unwrap().unwrap();
            for folder in ["queue/public", "queue/private", "data"] {
                std::os::unix::fs::chown(system.directory.join(folder), Some(nobody.uid), None).unwrap();
            }
        }
        system
    }

    fn configure(&self, more: &str) {
        let d = self.directory.display();
        let text = format!(
            "queue_directory = {d}/queue\ndata_directory = {d}/data\nmail_owner = nobody\nmyhostname = mx.test\n\
             maillog_file = {d}/log\nmaillog_file_prefixes = {d}\nservice_throttle_time = 1s\n\
             import_environment = CHILD_FAILS CHILD_ENDS AGENT_FOR AGENT_REPORT\n{more}"
        );
        fs::write(self.directory.join("etc/main.cf"), text).unwrap();
    }

    fn command(&self, option: &str) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("master").arg(option).arg("-c").arg(self.directory.join("etc")).stderr(Stdio::piped());
        command
    }

    fn start(&self) {
        let done = self.command("-w").output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn master(&self) -> Option<u32> {
        sys::lock::PidFile::holder(&self.directory.join("queue/pid/master.pid")).unwrap()
    }

    fn signal(&self, signal: sys::process::Kill) {
        sys::process::signal_process(self.master().unwrap(), signal).unwrap();
    }

    /// A session: the stream, and the process number, generation and user of who serves it.
    fn connect(&self) -> (TcpStream, u32, u32, u32) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut line = String::new();
        let mut byte = [0];
        while stream.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(char::from(byte[0]));
        }
        let numbers: Vec<u32> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        (stream, numbers[0], numbers[1], numbers[2])
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    fn wait_for_log(&self, text: &str) {
        until(text, || self.log().contains(text));
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if self.master().is_some() {
            self.signal(sys::process::Kill::Terminate);
            until("the end", || self.master().is_none());
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Waits for a state of other processes, which only looking can tell; fails after a bound.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < limit, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn a_killed_process_is_started_again() {
    let system = System::new("kill");
    system.start();
    let (_stream, pid, _, _) = system.connect();
    sys::process::signal_process(pid, sys::process::Kill::Kill).unwrap();
    let (_stream, other, _, _) = system.connect();
    assert_ne!(pid, other);
    system.wait_for_log(&format!("warning: process receive pid {pid} killed by signal 9"));
}

fn whoever_is_killed_often_is_started_each_time() {
    let system = System::new("killed");
    system.configure("service_throttle_time = 1000s\n");
    system.start();
    let mut last = 0;
    for _ in 0..12 {
        let (_stream, pid, _, _) = system.connect();
        assert_ne!(pid, last);
        sys::process::signal_process(pid, sys::process::Kill::Kill).unwrap();
        last = pid;
    }
    system.connect();
    assert!(!system.log().contains("throttling"), "{}", system.log());
}

fn a_reload_refuses_and_cuts_nobody() {
    let system = System::new("reload");
    system.start();
    let (mut old, pid, generation, _) = system.connect();
    system.signal(sys::process::Kill::Hangup);
    until("the next generation", || system.connect().2 > generation);
    // The old process still serves its session, and ends after it.
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    old.write_all(b"x").unwrap();
    until("the old generation's end", || !Path::new(&format!("/proc/{pid}")).exists());
    assert!(system.log().contains("reload -- version"), "{}", system.log());
    assert!(!system.log().contains("warning"), "{}", system.log());
}

fn a_broken_configuration_changes_nothing() {
    let system = System::new("broken");
    system.start();
    let (_stream, pid, _, _) = system.connect();
    let master_cf = system.directory.join("etc/master.cf");
    let good = fs::read_to_string(&master_cf).unwrap();
    fs::write(&master_cf, "smtp inet nonsense\n").unwrap();
    system.signal(sys::process::Kill::Hangup);
    system.wait_for_log("the old configuration stays in force");
    assert_eq!(system.connect().1, pid);
    fs::write(&master_cf, good).unwrap();
}

fn a_process_that_cannot_start_is_throttled() {
    let system = System::new("throttle");
    // Through import_environment, which names it.
    let done = system.command("-w").env("CHILD_FAILS", "deliver").output().unwrap();
    assert!(done.status.success());
    system.wait_for_log("warning: deliver: bad command startup -- throttling");
    let count = || system.log().matches("process deliver").count();
    let before = count();
    system.connect();
    assert!(count() <= before + 1, "{}", system.log());
    until("the next try", || count() > before);
}

fn a_process_that_ends_again_and_again_is_throttled() {
    let system = System::new("ends");
    system.configure("service_failure_limit = 3\nservice_throttle_time = 1000s\n");
    let done = system.command("-w").env("CHILD_ENDS", "deliver").output().unwrap();
    assert!(done.status.success());
    system.wait_for_log("warning: deliver: ends too often -- throttling");
    // The other one is not touched.
    let (_stream, pid, ..) = system.connect();
    assert_eq!(system.connect().1, pid);
    assert_eq!(system.log().matches("process deliver").count(), 3, "{}", system.log());
    assert_eq!(system.log().matches("exit status 4").count(), 3, "{}", system.log());
}

fn a_port_in_use_is_named() {
    let system = System::new("port");
    let _taken = TcpListener::bind(("127.0.0.1", system.port)).unwrap();
    let done = system.command("-w").output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let expected = format!("fatal: bind 127.0.0.1 port {}: Address already in use (service ", system.port);
    assert!(said.contains(&expected), "{said}");
    assert!(system.log().contains(&expected), "{}", system.log());
}

fn root_drops_to_mail_owner() {
    let system = System::new("owner");
    system.start();
    let me = sys::credentials::real_uid();
    let nobody = sys::credentials::account_by_name("nobody").unwrap().unwrap().uid;
    assert_eq!(system.connect().3, if me == 0 { nobody } else { me });
    // Postfix's modes for local endpoints.
    use std::os::unix::fs::PermissionsExt;
    let mode = |name: &str| fs::metadata(system.directory.join(name)).unwrap().permissions().mode();
    assert_eq!(mode("queue/public/pickup"), 0o140_666);
    assert_eq!(mode("queue/public/qmgr"), 0o010_622);
    assert_eq!(system.command("-t").status().unwrap().code(), Some(1));
    let second = system.command("-w").output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("unable to set exclusive lock"));
}

fn a_killed_master_leaves_children_that_finish() {
    let system = System::new("drain");
    system.start();
    let (mut stream, pid, _, _) = system.connect();
    system.signal(sys::process::Kill::Kill);
    until("master's end", || system.master().is_none());
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    stream.write_all(b"x").unwrap();
    until("receive's end", || {
        fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
    });
}

/// Starts a system whose `deliver` asks for an agent of a user, and gives what the agent reported.
fn report_of_agent_for(system: &System, user: &str) -> String {
    let report = system.directory.join("data/report");
    fs::create_dir_all(system.directory.join("spool")).unwrap();
    let done = system.command("-w").env("AGENT_FOR", user).env("AGENT_REPORT", &report).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    until("the agent's report", || fs::read_to_string(&report).is_ok_and(|text| !text.is_empty()));
    fs::read_to_string(report).unwrap()
}

fn an_agent_gets_its_own_users_mailbox_and_no_other() {
    if sys::credentials::real_uid() != 0 {
        return;
    }
    let system = System::new("errand");
    system.configure(&format!("mail_spool_directory = {}/spool\n", system.directory.display()));
    let games = sys::credentials::account_by_name("games").unwrap().unwrap();
    let report = report_of_agent_for(&system, "games");
    let opened = format!("opened {}:{} read false\n", games.uid, 0o600);
    assert_eq!(report, format!("local local games\n{opened}{opened}"));
    assert!(system.log().contains("malformed control message"), "{}", system.log());
    let spool = system.directory.join("spool");
    let names: Vec<_> = fs::read_dir(&spool).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["games"]);
    assert_eq!(fs::read_to_string(spool.join("games")).unwrap(), "x\nx\n");
}

fn agents_are_started_for_users_only() {
    if sys::credentials::real_uid() != 0 {
        return;
    }
    for (user, why) in [
        ("no such user", "unknown user: no such user"),
        ("../games", "unknown user: ../games"),
        ("nobody", "refusing to deliver as mail_owner"),
        ("root/", "unknown user: root/"),
    ] {
        assert_eq!(report_of_agent_for(&System::new("whom"), user), why);
    }
}
