//! Debian's Postfix, run privately: its own configuration, queue, data and log in a temporary directory, on
//! loopback ports. Needs root (Postfix does) and the `postfix` package; the system's own instance is not touched.
//!
//! Each dialogue gets an smtpd, a cleanup and a trivial-rewrite service of its own, so that one start serves
//! all of them.

pub mod system;

use dialogue::{BASE, Dialogue};
use std::{
    fmt::Write as _,
    fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Where the daemons of Debian's package are; `POSTFIX_DAEMON_DIRECTORY` names those of another installation.
const DAEMONS: &str = "/usr/lib/postfix/sbin";

/// A running Postfix; dropped, it is stopped and its directory removed.
pub struct Postfix {
    master: Child,
    directory: PathBuf,
    ports: Vec<u16>,
}

fn daemons() -> PathBuf {
    std::env::var_os("POSTFIX_DAEMON_DIRECTORY").map_or_else(|| PathBuf::from(DAEMONS), PathBuf::from)
}

/// Why Postfix cannot be run here, if so.
#[must_use]
pub fn unavailable() -> Option<&'static str> {
    if !daemons().join("master").exists() {
        return Some("the postfix package is not installed");
    }
    let output = Command::new("id").arg("-u").output().ok()?;
    (output.stdout != b"0\n").then_some("Postfix's master needs root")
}

/// All dialogues of a directory, by name, and the texts that are none.
pub fn load(directory: &Path) -> io::Result<Vec<(PathBuf, Result<Dialogue, dialogue::ParseError>)>> {
    let mut paths: Vec<_> = fs::read_dir(directory)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "dialogue"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        Ok((path, dialogue::parse(&name, &text)))
    };
    paths.into_iter().map(read).collect()
}

impl Postfix {
    /// Starts Postfix with services for the given dialogues.
    pub fn start(dialogues: &[Dialogue]) -> io::Result<Self> {
        let directory = make_directories()?;
        let listeners: Vec<_> =
            dialogues.iter().map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<_>>()?;
        let ports: Vec<u16> =
            listeners.iter().map(|l| l.local_addr().map(|a| a.port())).collect::<io::Result<_>>()?;
        drop(listeners);
        fs::write(directory.join("etc/main.cf"), main_cf(&directory))?;
        fs::write(directory.join("etc/master.cf"), master_cf(dialogues, &ports))?;
        let master = Command::new(daemons().join("master"))
            .arg("-c")
            .arg(directory.join("etc"))
            .arg("-d")
            .env("MAIL_CONFIG", directory.join("etc"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let postfix = Self { master, directory, ports };
        postfix.wait_ready()?;
        Ok(postfix)
    }

    fn wait_ready(&self) -> io::Result<()> {
        let Some(port) = self.ports.last() else { return Ok(()) };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", *port)).is_err() {
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.directory.join("mail.log")).unwrap_or_default();
                return Err(io::Error::other(format!("Postfix does not listen: {log}")));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Where the service of a dialogue listens.
    #[must_use]
    pub fn address(&self, index: usize) -> Option<SocketAddr> {
        self.ports.get(index).map(|port| SocketAddr::from(([127, 0, 0, 1], *port)))
    }

    /// What the smtpd of a dialogue has logged, without time and tag, once its session has ended.
    #[must_use]
    pub fn log(&self, index: usize) -> Vec<String> {
        let tag = format!(" d{index}/smtpd[");
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let text = fs::read(self.directory.join("mail.log")).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            let of_service = text.lines().filter_map(|line| line.split_once(&tag));
            let lines: Vec<_> = of_service
                .filter_map(|(_, rest)| rest.split_once("]: ").map(|(_, text)| text.to_owned()))
                .collect();
            let has_ended = lines.iter().any(|line| line.starts_with("disconnect from"));
            if has_ended || Instant::now() > deadline {
                return lines;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many of these queue ids have a file.
    #[must_use]
    pub fn queued(&self, ids: &[String]) -> usize {
        let queues = ["incoming", "active", "deferred"].map(|name| self.directory.join("spool").join(name));
        ids.iter().filter(|id| queues.iter().any(|queue| queue.join(id).exists())).count()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let pid = self.master.id().to_string();
        let stopped =
            Command::new("kill").args(["-TERM", &pid]).status().is_ok_and(|status| status.success());
        if !stopped {
            let _ = self.master.kill();
        }
        let _ = self.master.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn make_directories() -> io::Result<PathBuf> {
    let output = Command::new("mktemp").args(["-d", "/tmp/compliance.XXXXXXXX"]).output()?;
    let directory = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end());
    let run = |program: &str, arguments: &[&str]| -> io::Result<()> {
        let status = Command::new(program).args(arguments).current_dir(&directory).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("{program} {arguments:?} failed")))
        }
    };
    for name in ["etc", "spool", "data", "spool/pid"] {
        fs::create_dir_all(directory.join(name))?;
    }
    let queues =
        "active bounce corrupt defer deferred flush hold incoming private saved trace maildrop public";
    let queues: Vec<_> = queues.split(' ').map(|name| format!("spool/{name}")).collect();
    let queues: Vec<_> = queues.iter().map(String::as_str).collect();
    run("mkdir", &queues)?;
    run("chmod", &["755", "."])?;
    run("chmod", &[&["700"], &queues[..11]].concat())?;
    run("chown", &[&["postfix"], &queues[..], &["data"]].concat())?;
    run("chgrp", &["postdrop", "spool/public", "spool/maildrop"])?;
    run("chmod", &["730", "spool/maildrop"])?;
    run("chmod", &["710", "spool/public"])?;
    Ok(directory)
}

fn main_cf(directory: &Path) -> String {
    let mut text = String::new();
    let directory = directory.display();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "queue_directory = {directory}/spool\ndata_directory = {directory}/data\n\
         maillog_file = {directory}/mail.log\nmaillog_file_prefixes = {directory}\n\
         daemon_directory = {}\ninet_interfaces = 127.0.0.1\nsmtpd_authorized_xclient_hosts = \n\
         virtual_transport = discard:\nin_flow_delay = 0\nsmtpd_tls_security_level = none\n",
        daemons().display()
    );
    for (name, value) in BASE {
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}

fn master_cf(dialogues: &[Dialogue], ports: &[u16]) -> String {
    let mut text = "postlog unix-dgram n - n - 1 postlogd\nanvil unix - - n - 1 anvil\n\
                    proxymap unix - - n - - proxymap\nqmgr unix n - n 300 1 qmgr\n\
                    discard unix - - n - - discard\nbounce unix - - n - 0 bounce\n\
                    defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nrewrite unix - - n - - trivial-rewrite\n\
                    error unix - - n - - error\nretry unix - - n - - error\nflush unix n - n 1000? 0 flush\n"
        .to_owned();
    // Nothing is delivered: what was accepted stays where it can be counted.
    text = text.replace("qmgr unix n - n 300 1 qmgr\n", "");
    for (index, (dialogue, port)) in dialogues.iter().zip(ports).enumerate() {
        let mut options = format!(" -o syslog_name=d{index} -o rewrite_service_name=rewrite{index}");
        for (name, value) in &dialogue.config {
            let _ = write!(options, " -o {{ {name} = {value} }}");
        }
        let needs_xclient = !dialogue.connect.0.is_loopback();
        let xclient = if needs_xclient { " -o smtpd_authorized_xclient_hosts=127.0.0.1" } else { "" };
        let _ = write!(
            text,
            "127.0.0.1:{port} inet n - n - - smtpd -o cleanup_service_name=cleanup{index}{xclient}{options}\n\
             cleanup{index} unix n - n - 0 cleanup{options}\nrewrite{index} unix - - n - - trivial-rewrite{options}\n"
        );
    }
    text
}
