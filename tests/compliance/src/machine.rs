//! A machine of its own: private `/etc`, mail spool, log socket and loopback network, in which Debian's Postfix or
//! Posthaste runs at the usual places, on port 25, from the configuration that Debian's package generates.
//!
//! Mount and network namespaces belong to one process of `unshare`; when the test ends, however it ends, that
//! process reads the end of its standard input and takes the machine with it. Needs root, as Postfix does.

#![expect(clippy::expect_used, reason = "a fixture that cannot do its work fails the test")]

use crate::system::{PATIENCE, Which, programs};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixDatagram,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

/// Users that every machine has besides those of the system it runs on: name and number.
pub const USERS: [(&str, u32); 2] = [("alice", 61001), ("bob", 61002)];

/// What the package writes into main.cf for an "Internet Site", after `main.cf.debian` and `main.cf.tls`.
pub const INTERNET_SITE: &str = "\
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = mx.debian.test
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
myorigin = /etc/mailname
mydestination = $myhostname, debian.test, mx, localhost.localdomain, localhost
relayhost = 
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
inet_interfaces = all
inet_protocols = all
";

/// The same for "Local only".
pub const LOCAL_ONLY: &str = "\
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = mx.debian.test
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
mydestination = $myhostname, mx, localhost.localdomain, localhost
relayhost = 
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
inet_interfaces = loopback-only
default_transport = error
relay_transport = error
inet_protocols = all
";

/// Makes the private places of the machine, says that it is done, and lives until its standard input ends.
const HOLDER: &str = r#"
set -e
ip link set lo up
for device in null zero full random urandom tty; do
    touch "$1/dev/$device"; mount --bind "/dev/$device" "$1/dev/$device"
done
ln -s /proc/self/fd "$1/dev/fd"
mkdir "$1/dev/pts"; ln -s pts/ptmx "$1/dev/ptmx"
mount --bind "$1/etc" /etc
mount --bind "$1/spool" /var/spool/postfix
mount --bind "$1/data" /var/lib/postfix
mount --bind "$1/mail" /var/mail
mount --rbind "$1/dev" /dev
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
echo ready
read -r _ || true
"#;

/// A machine; dropped, it is gone with everything in it.
pub struct Machine {
    /// Whose programs run on it.
    pub which: Which,
    directory: tempfile::TempDir,
    holder: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// One word for each time that the reader of the log came to a [`MARK`].
    marks: Mutex<mpsc::Receiver<()>>,
}

/// What [`Machine::log`] puts behind all that was logged before, to know when it has been read.
const MARK: &[u8] = b"\0";

impl Machine {
    /// A machine on which `which` is installed and not started. `main_cf` follows the package's own text.
    pub fn new(which: Which, main_cf: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("machine-").tempdir().expect("a temporary directory");
        let base = directory.path().to_owned();
        set_mode(&base, 0o755);
        run(Command::new("cp").args(["-a", "/etc"]).arg(base.join("etc")));
        for name in ["spool", "data", "mail", "dev", "home", "bin"] {
            fs::create_dir(base.join(name)).expect("a fresh directory");
            set_mode(&base.join(name), 0o755);
        }
        run(Command::new("chown").arg("postfix:postfix").arg(base.join("data")));
        run(Command::new("chgrp").arg("mail").arg(base.join("mail")));
        set_mode(&base.join("mail"), 0o2775);
        write_etc(&base, main_cf);
        install(which, &base.join("bin"));
        let socket = UnixDatagram::bind(base.join("dev/log")).expect("a path for a socket");
        set_mode(&base.join("dev/log"), 0o666);
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        let (marked, marks) = mpsc::channel();
        // Ends with the test process: the socket stays open until then.
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(size) = socket.recv(&mut buffer) {
                if &buffer[..size] == MARK {
                    // Nobody waits for it any more when the machine is gone.
                    let _ = marked.send(());
                    continue;
                }
                let text = String::from_utf8_lossy(&buffer[..size]).into_owned();
                lines.lock().expect("no other thread fails").push(text);
            }
        });
        let holder = hold(&base);
        let machine = Self { which, directory, holder, log, marks: Mutex::new(marks) };
        machine.command("/usr/sbin/postalias", &["hash:/etc/aliases"]);
        machine
    }

    /// The same, started.
    pub fn start(which: Which, main_cf: &str) -> Self {
        let machine = Self::new(which, main_cf);
        let started = machine.command("postfix", &["start"]);
        eprint!("{}", String::from_utf8_lossy(&started.stderr));
        machine.wait_until("port 25 answers", || machine.connect().is_some());
        machine
    }

    /// A path outside of the machine for what is inside: `etc/aliases`, `spool/maildrop`, `mail/alice`,
    /// `home/alice/.forward`.
    pub fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// A program on the machine, as root: an absolute path, or a command of the mail system.
    pub fn program(&self, name: &str) -> Command {
        let mut command = self.enter();
        command.arg(self.find(name));
        command
    }

    /// The same as one of [`USERS`] (or any other user), without the groups of root.
    pub fn program_as(&self, user: &str, name: &str) -> Command {
        let mut command = self.enter();
        command.args(["setpriv", "--reuid", user, "--regid", "nogroup", "--clear-groups", "--"]);
        command.arg(self.find(name));
        command
    }

    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-m", "-n", "--"]).stdin(Stdio::null());
        command
    }

    fn find(&self, name: &str) -> PathBuf {
        match self.which {
            _ if name.starts_with('/') => PathBuf::from(name),
            Which::Postfix if ["mailq", "newaliases"].contains(&name) => Path::new("/usr/bin").join(name),
            Which::Postfix => Path::new("/usr/sbin").join(name),
            Which::Posthaste => self.path("bin").join(name),
        }
    }

    /// Runs a program as root; it must succeed.
    pub fn command(&self, name: &str, arguments: &[&str]) -> Output {
        let output = self.program(name).args(arguments).output().expect("nsenter starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{:?} {name} {arguments:?}: {}: {text}\n{}",
            self.which,
            output.status,
            self.log().join("\n")
        );
        output
    }

    /// Runs a command with a text as standard input.
    pub fn feed(&self, mut command: Command, input: &str) -> Output {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter starts");
        // A program that does not read its input ends early, and its output says why.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        child.wait_with_output().expect("a child that can be waited for")
    }

    /// A connection to port 25, from inside.
    pub fn connect(&self) -> Option<TcpStream> {
        let stream = self.inside(|| TcpStream::connect("127.0.0.1:25").ok())?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a valid time");
        Some(stream)
    }

    /// Does something in the machine's network: sockets stay where they are made, and so do threads.
    pub fn inside<T: Send + 'static>(&self, what: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace =
            fs::File::open(format!("/proc/{}/ns/net", self.holder.id())).expect("a living holder");
        // Only this thread goes there.
        let inside = move || {
            let kind = Some(rustix::thread::LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind)
                .expect("root may enter");
            what()
        };
        thread::spawn(inside).join().expect("no panic")
    }

    /// A whole SMTP transaction; the last reply, of the message.
    pub fn send(&self, from: &str, to: &str, message: &str) -> String {
        let stream = self.connect().expect("port 25 answers");
        let mut reader = BufReader::new(stream.try_clone().expect("a socket can be duplicated"));
        let mut replies = vec![reply(&mut reader)];
        let message = message.replace('\n', "\r\n");
        let lines = ["EHLO client.test", &format!("MAIL FROM:<{from}>"), &format!("RCPT TO:<{to}>"), "DATA"];
        for line in lines.into_iter().chain([&*format!("{message}\r\n.")]) {
            write!(&stream, "{line}\r\n").expect("the server reads");
            replies.push(reply(&mut reader));
        }
        let _ = write!(&stream, "QUIT\r\n");
        replies.pop().unwrap_or_default()
    }

    /// Lines that were sent to /dev/log so far, as they came.
    pub fn log(&self) -> Vec<String> {
        let marks = self.marks.lock().expect("no other thread fails");
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.send_to(MARK, self.path("dev/log")).expect("the log is read");
        marks.recv_timeout(PATIENCE).expect("the log is read to its end");
        self.log.lock().expect("no other thread fails").clone()
    }

    /// The lines without priority, time and process number: `postfix/smtpd: connect from ...`.
    pub fn events(&self) -> Vec<String> {
        self.log().iter().map(|line| event(line)).collect()
    }

    /// Waits until a logged line contains a text, and returns that line.
    pub fn wait_for_line(&self, text: &str) -> String {
        self.wait_until(&format!("{text} is logged"), || {
            self.events().iter().any(|line| line.contains(text))
        });
        self.events().into_iter().find(|line| line.contains(text)).expect("it was seen")
    }

    /// Waits; the text of a failure shows the log.
    pub fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(
                Instant::now() < deadline,
                "{:?}: waited in vain until {what}\n{}",
                self.which,
                self.log().join("\n")
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("log of {:?}:\n{}", self.which, self.log().join("\n"));
        }
        // A system that is not running any more has nothing to stop.
        let _ = self.program("postfix").arg("stop").output();
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// One reply; of several lines the last.
pub fn reply(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    while line.get(3..4).is_none_or(|mark| mark != " ") {
        line.clear();
        let count = reader.read_line(&mut line).expect("the server answers in text");
        assert!(count > 0, "the server hung up");
    }
    line.trim_end().to_owned()
}

/// `<22>Nov 21 02:10:10 postfix/smtpd[12]: text` to `postfix/smtpd: text`.
fn event(line: &str) -> String {
    // Time stamps of syslog(3) are 15 characters and a blank.
    let rest = line.split_once('>').and_then(|(_, rest)| rest.get(16..)).unwrap_or(line);
    match rest.split_once("]: ") {
        Some((tag, text)) => format!("{}: {text}", tag.split('[').next().unwrap_or_default()),
        None => rest.to_owned(),
    }
}

/// The private /etc: configuration as the package generates it, users, aliases.
fn write_etc(base: &Path, main_cf: &str) {
    let etc = base.join("etc");
    let package = ["main.cf.debian", "main.cf.tls"].map(|name| {
        fs::read_to_string(Path::new("/usr/share/postfix").join(name))
            .expect("the postfix package is installed")
    });
    fs::write(etc.join("postfix/main.cf"), format!("{}{main_cf}", package.concat())).expect("space");
    fs::copy("/usr/share/postfix/master.cf.dist", etc.join("postfix/master.cf")).expect("space");
    fs::write(etc.join("mailname"), "debian.test\n").expect("space");
    fs::write(etc.join("aliases"), "postmaster:    root\nroot: alice\n").expect("space");
    fs::write(etc.join("hosts"), "127.0.0.1 localhost\n::1 localhost\n").expect("space");
    fs::write(etc.join("resolv.conf"), "nameserver 127.0.0.1\n").expect("space");
    for (name, number) in USERS {
        let home = base.join("home").join(name);
        fs::create_dir(&home).expect("a fresh directory");
        run(Command::new("chown").arg(format!("{number}:{number}")).arg(&home));
        append(
            &etc.join("passwd"),
            &format!("{name}:x:{number}:{number}:Test User:{}:/bin/sh\n", home.display()),
        );
        append(&etc.join("group"), &format!("{name}:x:{number}:\n"));
    }
}

fn append(path: &Path, text: &str) {
    let old = fs::read_to_string(path).expect("a text file");
    fs::write(path, old + text).expect("space");
}

/// The programs of this workspace as an administrator installs them: one file under many names, the set-gid one
/// set-gid.
fn install(which: Which, bin: &Path) {
    if which == Which::Postfix {
        return;
    }
    let built = programs();
    for name in ["posthaste", "posthaste-agent", "posthaste-postdrop"] {
        fs::copy(built.join(name), bin.join(name)).expect("a built program");
        set_mode(&bin.join(name), 0o755);
    }
    run(Command::new("chgrp").arg("postdrop").arg(bin.join("posthaste-postdrop")));
    set_mode(&bin.join("posthaste-postdrop"), 0o2755);
    for name in ["postdrop", "postqueue", "postlog"] {
        symlink("posthaste-postdrop", bin.join(name)).expect("a fresh directory");
    }
    let commands = [
        "postfix",
        "sendmail",
        "mailq",
        "newaliases",
        "postalias",
        "postcat",
        "postconf",
        "postmap",
        "postsuper",
    ];
    for name in commands {
        symlink("posthaste", bin.join(name)).expect("a fresh directory");
    }
}

fn hold(base: &Path) -> Child {
    let mut holder = Command::new("unshare")
        .args(["--mount", "--net", "--propagation", "private", "--", "sh", "-c", HOLDER, "holder"])
        .arg(base)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare (util-linux) is installed");
    let mut line = String::new();
    let stdout = holder.stdout.as_mut().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("text");
    if line != "ready\n" {
        let mut text = String::new();
        let _ = holder.stderr.as_mut().expect("a pipe").read_to_string(&mut text);
        let _ = holder.wait();
        assert_eq!(line, "ready\n", "namespaces need root and iproute2: {text}");
    }
    holder
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

fn run(command: &mut Command) {
    let output = command.output();
    assert!(output.as_ref().is_ok_and(|output| output.status.success()), "{command:?}: {output:?}");
}
