//! A private instance of Debian's Postfix in a directory of its own. A tool that is missing fails the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's own helper")]
#![allow(dead_code, reason = "not every test file needs everything")]

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const SERVICES: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
scache unix - - n - 1 scache
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";

pub(crate) struct Instance {
    pub(crate) directory: PathBuf,
    pub(crate) smtp_port: u16,
    children: Vec<Child>,
}

impl Instance {
    /// Makes configuration and directories; starts nothing.
    pub(crate) fn new(name: &str, settings: &str) -> Self {
        let output = run("mktemp", &["-d", &format!("/tmp/{name}.XXXXXX")]);
        let directory = PathBuf::from(text(&output.stdout).trim());
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        for sub in ["etc", "spool", "data"] {
            fs::create_dir(directory.join(sub)).unwrap();
        }
        let root = directory.display();
        let smtp_port = free_port();
        let main_cf = format!(
            "compatibility_level = 3.6\nqueue_directory = {root}/spool\ndata_directory = {root}/data\n\
             maillog_file = {root}/log\nmaillog_file_prefixes = {root}\nmyhostname = mx.test\n\
             mydestination =\nmynetworks = 127.0.0.0/8\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
             alias_maps =\nalias_database =\nmail_owner = postfix\nsetgid_group = postdrop\n\
             smtpd_recipient_limit = 2000\nenable_original_recipient = yes\n{settings}\n"
        );
        fs::write(directory.join("etc/main.cf"), main_cf).unwrap();
        let master_cf = format!("127.0.0.1:{smtp_port} inet n - n - - smtpd\n{SERVICES}");
        fs::write(directory.join("etc/master.cf"), master_cf).unwrap();
        run("chown", &["postfix", &directory.join("data").to_string_lossy()]);
        let instance = Self { directory, smtp_port, children: Vec::new() };
        let check = instance.debian("postfix", &["check"]);
        assert!(check.status.success(), "{}", text(&check.stderr));
        instance
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.directory.join("spool")
    }

    /// Runs a command of Debian's on this instance.
    pub(crate) fn debian(&self, command: &str, args: &[&str]) -> Output {
        let directory = self.directory.join("etc");
        let directory = directory.to_string_lossy();
        let mut all = vec!["-c", &*directory];
        all.extend(args);
        run(&format!("/usr/sbin/{command}"), &all)
    }

    /// Runs a program of ours on this instance; `first` are arguments that come before all others.
    pub(crate) fn ours(&self, program: &str, first: &[&str], args: &[&str]) -> Output {
        let directory = self.directory.join("etc");
        let directory = directory.to_string_lossy();
        run(program, &[first, &["-c", &*directory], args].concat())
    }

    pub(crate) fn set(&self, setting: &str) {
        let done = self.debian("postconf", &["-e", setting]);
        assert!(done.status.success(), "{}", text(&done.stderr));
    }

    pub(crate) fn start(&self) {
        let started = self.debian("postfix", &["start"]);
        assert!(started.status.success(), "{}{}", text(&started.stderr), self.log());
        self.wait_until("smtpd to listen", || {
            std::net::TcpStream::connect(("127.0.0.1", self.smtp_port)).is_ok()
        });
    }

    pub(crate) fn stop(&self) {
        let _ = self.debian("postfix", &["stop"]);
        // postsuper writes to it as the mail owner when postlogd is gone.
        run("chown", &["postfix", &self.directory.join("log").to_string_lossy()]);
    }

    pub(crate) fn log(&self) -> String {
        fs::read(self.directory.join("log")).map(|bytes| text(&bytes)).unwrap_or_default()
    }

    /// Submits a message with Debian's sendmail(1).
    pub(crate) fn sendmail(&self, args: &[&str], message: &[u8]) {
        use std::io::Write;
        let mut child = Command::new("/usr/sbin/sendmail")
            .arg("-C")
            .arg(self.directory.join("etc"))
            .args(args)
            .stdin(Stdio::piped())
            .spawn()
            .expect("Debian's sendmail is needed");
        child.stdin.take().unwrap().write_all(message).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// A program that runs until the test ends.
    pub(crate) fn keep(&mut self, program: &str, args: &[&str]) {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.directory).stdout(Stdio::null()).stderr(Stdio::null());
        self.children.push(command.spawn().unwrap_or_else(|error| panic!("{program} is needed: {error}")));
    }

    /// Waits for something that another process does.
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(120);
        while !is_so() {
            assert!(Instant::now() < end, "waited for {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Files of a queue, below its subdirectories, as paths relative to the spool, sorted.
    pub(crate) fn files(&self, queue: &str) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.spool().join(queue), &mut found);
        let spool = self.spool();
        let mut names: Vec<_> = found
            .iter()
            .filter_map(|path| path.strip_prefix(&spool).ok())
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.stop();
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}

pub(crate) fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .env_remove("MAIL_CONFIG")
        .output()
        .unwrap_or_else(|error| panic!("{program} is needed: {error}"))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).unwrap().port()
}
