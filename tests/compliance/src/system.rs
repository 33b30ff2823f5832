//! A whole mail system in a temporary directory: Debian's Postfix or Posthaste, from the same main.cf and
//! master.cf, so that one test asks both.
//!
//! Tests start as many as they like: each has its own port, queue, log and mailboxes.

#![expect(clippy::expect_used, reason = "a fixture that cannot do its work fails the test")]

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long anything that a test waits for may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Which system is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Debian's package.
    Postfix,
    /// The programs of this workspace (`cargo build --workspace --bins`).
    Posthaste,
}

/// A running system; dropped, it is stopped and its directory removed.
pub struct System {
    /// Which it is.
    pub which: Which,
    directory: tempfile::TempDir,
    port: u16,
}

/// The stock master.cf, with our port and nothing chrooted.
const STOCK_MASTER_CF: &str = "/usr/share/postfix/master.cf.dist";

/// A directory of the Postfix that is compared with: Debian's, unless the environment names those of another one.
fn installed(variable: &str, of_debian: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| of_debian.to_owned())
}

impl System {
    /// Starts a system. `settings` are lines of main.cf beside those that every system here has, which they
    /// replace; `$B` in them is the system's directory, below which `mail/` is writable by anyone.
    pub fn start(which: Which, settings: &str) -> Self {
        let system = Self::prepare(which, settings);
        system.run();
        system
    }

    /// Starts what was prepared, and waits until it takes connections.
    pub fn run(&self) {
        self.command("postfix", &["start"]);
        self.wait_until("the SMTP port answers", || TcpStream::connect(self.address()).is_ok());
    }

    /// Writes more rows into master.cf, which must not be running yet.
    pub fn add_services(&self, rows: &str) {
        let path = self.path("etc/master.cf");
        let text = fs::read_to_string(&path).expect("master.cf was prepared");
        fs::write(path, text + rows).expect("space for master.cf");
    }

    /// Takes a service's rows out of master.cf, which must not be running yet.
    pub fn remove_service(&self, name: &str) {
        let path = self.path("etc/master.cf");
        let text = fs::read_to_string(&path).expect("master.cf was prepared");
        let kept = text.lines().filter(|line| line.split_ascii_whitespace().next() != Some(name));
        let text: String = kept.flat_map(|line| [line, "\n"]).collect();
        fs::write(path, text).expect("space for master.cf");
    }

    /// The same, not started yet.
    pub fn prepare(which: Which, settings: &str) -> Self {
        let directory =
            tempfile::Builder::new().prefix("mta-test-").tempdir().expect("a temporary directory");
        let port = free_port();
        let system = Self { which, directory, port };
        for (name, mode) in [("etc", 0o755), ("spool", 0o755), ("data", 0o755), ("mail", 0o777)] {
            let path = system.path(name);
            fs::create_dir(&path).expect("a fresh directory");
            set_mode(&path, mode);
        }
        set_mode(system.directory.path(), 0o755);
        if which == Which::Postfix {
            run(Command::new("chown").arg("postfix").arg(system.path("data")));
        } else {
            run(Command::new("chown").arg(owner()).arg(system.path("data")));
        }
        fs::write(system.path("etc/main.cf"), system.main_cf(settings)).expect("space for main.cf");
        fs::write(system.path("etc/master.cf"), master_cf(port)).expect("space for master.cf");
        system
    }

    fn main_cf(&self, settings: &str) -> String {
        let base = self.directory.path().display().to_string();
        let common = "compatibility_level = 3.6\n\
             queue_directory = $B/spool\ndata_directory = $B/data\n\
             maillog_file = $B/maillog\nmaillog_file_prefixes = $B\n\
             myhostname = mx.test\nmydestination = mx.test, localhost\nmynetworks = 127.0.0.0/8\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nalias_maps =\nalias_database =\n";
        let paths = match self.which {
            Which::Postfix => format!(
                "shlib_directory = /usr/lib/postfix\nmeta_directory = {}\ndaemon_directory = {}\ncommand_directory = {}\n",
                installed("POSTFIX_META_DIRECTORY", "/etc/postfix"),
                installed("POSTFIX_DAEMON_DIRECTORY", "/usr/lib/postfix/sbin"),
                installed("POSTFIX_COMMAND_DIRECTORY", "/usr/sbin")
            ),
            Which::Posthaste => {
                let programs = programs().display().to_string();
                format!(
                    "mail_owner = {}\ndaemon_directory = {programs}\ncommand_directory = {programs}\n",
                    owner()
                )
            }
        };
        let name = |line: &str| line.split_once('=').map(|(name, _)| name.trim().to_owned());
        let own: Vec<_> = settings.lines().filter_map(name).collect();
        // Nothing is set twice: both systems would warn.
        let kept =
            common.lines().chain(paths.lines()).filter(|line| name(line).is_none_or(|n| !own.contains(&n)));
        let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
        format!("{kept}{settings}\n").replace("$B", &base)
    }

    /// A path below the system's directory: `maillog`, `spool/deferred`, `mail/x`.
    pub fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// Where its SMTP server listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// A command of the system, ready to be run with more arguments: `postqueue`, `sendmail`.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Self::program_of(self.which, name);
        command.env("MAIL_CONFIG", self.path("etc"));
        command
    }

    /// The same command for no system in particular.
    pub fn program_of(which: Which, name: &str) -> Command {
        match which {
            Which::Postfix => {
                Command::new(Path::new(&installed("POSTFIX_COMMAND_DIRECTORY", "/usr/sbin")).join(name))
            }
            Which::Posthaste => {
                let is_small = ["postqueue", "postdrop", "postlog"].contains(&name);
                let file = if is_small { "posthaste-postdrop" } else { "posthaste" };
                let mut command = Command::new(programs().join(file));
                command.arg(name);
                command
            }
        }
    }

    /// Runs a command of the system; it must succeed.
    pub fn command(&self, name: &str, arguments: &[&str]) -> Output {
        let output = self.program(name).args(arguments).output().expect("the program starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?} {name} {arguments:?}: {text}\n{}", self.which, self.log());
        output
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("maillog")).unwrap_or_default()).into_owned()
    }

    /// Files (messages) in a queue, subdirectories included.
    pub fn queued(&self, queue: &str) -> usize {
        files(&self.path("spool").join(queue)).len()
    }

    /// The number of Posthaste's process `receive` or `deliver`.
    pub fn process(&self, name: &str) -> u32 {
        let mut found = None;
        self.wait_until("its processes run", || {
            found = self.find_process(name);
            found.is_some()
        });
        found.expect("waited for")
    }

    fn find_process(&self, name: &str) -> Option<u32> {
        let text = fs::read_to_string(self.path("spool/pid/master.pid")).ok()?;
        let master = text.trim();
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).ok()?;
        let is_called = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline"));
            line.is_ok_and(|line| line.split(|byte| *byte == 0).next() == Some(name.as_bytes()))
        };
        children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).find(is_called)
    }

    /// master's process number.
    pub fn master(&self) -> u32 {
        let text = fs::read_to_string(self.path("spool/pid/master.pid")).expect("master has written it");
        text.trim().parse().expect("a process number")
    }

    /// The processes that master has started, by number and name.
    pub fn children(&self) -> Vec<(u32, String)> {
        children(self.master())
    }

    /// Posthaste's two large processes, once both are there.
    pub fn receive_and_deliver(&self) -> Vec<(u32, String)> {
        let mut found = Vec::new();
        self.wait_until("receive and deliver run", || {
            found = self.children();
            found.retain(|(_, name)| ["receive", "deliver"].contains(&name.as_str()));
            found.len() == 2
        });
        found.sort();
        found
    }

    /// Waits; the text of a failure shows the log.
    pub fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(
                Instant::now() < deadline,
                "{:?}: waited in vain until {what}\n{}",
                self.which,
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // A system that is not running any more has nothing to stop.
        let _ = self.program("postfix").arg("stop").output();
    }
}

/// A port that nobody listens on, and that no connection gets by itself as its own end: those come from the
/// upper half. Tests in other processes begin their search elsewhere.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(211);
    let candidates = std::iter::repeat_with(|| {
        let next = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        u16::try_from(10_000 + next % 22_000).unwrap_or(10_000)
    });
    let mut free = candidates.take(22_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("a free port")
}

/// All files below a directory.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Processes whose parent is `parent`: number and name.
fn children(parent: u32) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("Linux").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let text = |file: &str| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let of_parent = text("stat").rsplit_once(") ").and_then(|(_, rest)| {
            let mut columns = rest.split(' ');
            let is_zombie = columns.next()? == "Z";
            columns.next()?.parse::<u32>().ok().filter(|_| !is_zombie)
        });
        if of_parent == Some(parent) {
            let command = text("cmdline");
            let name = command.split('\0').next().unwrap_or_default();
            found.push((pid, name.rsplit('/').next().unwrap_or_default().to_owned()));
        }
    }
    found
}

/// Who Posthaste runs as when root starts it: Debian's package brings this user.
fn owner() -> String {
    let output = Command::new("id").arg("-u").output().map(|output| output.stdout).unwrap_or_default();
    if output == b"0\n" { "postfix".to_owned() } else { whoami() }
}

fn whoami() -> String {
    let output = Command::new("id").arg("-un").output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

/// Where this workspace's programs are: beside the directory of the test itself.
pub fn programs() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let directory = test.parent().and_then(Path::parent).expect("tests are in target/PROFILE/deps");
    for name in ["posthaste", "posthaste-agent", "posthaste-postdrop"] {
        let path = directory.join(name);
        assert!(path.exists(), "{} is missing: run `cargo build --workspace --bins` first", path.display());
    }
    directory.to_owned()
}

fn master_cf(port: u16) -> String {
    let stock = fs::read_to_string(STOCK_MASTER_CF).expect("the postfix package is installed (make prepare)");
    let mut text = String::new();
    for line in stock.lines() {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        match &columns[..] {
            ["smtp", "inet", rest @ ..] => {
                text.push_str(&format!(
                    "127.0.0.1:{port} inet {}\n",
                    rest.join(" ").replacen(" y ", " n ", 1)
                ));
            }
            [name, kind, private, unprivileged, "y", rest @ ..] if !line.starts_with([' ', '\t', '#']) => {
                let rest = rest.join(" ");
                text.push_str(&format!("{name} {kind} {private} {unprivileged} n {rest}\n"));
            }
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    if !stock.contains("\npostlog") {
        text.push_str("postlog unix-dgram n - n - 1 postlogd\n");
    }
    text
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

fn run(command: &mut Command) {
    let output = command.output();
    assert!(output.as_ref().is_ok_and(|output| output.status.success()), "{command:?}: {output:?}");
}
