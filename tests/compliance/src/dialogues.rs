//! One system with a service for each dialogue: an smtpd, a cleanup and a trivial-rewrite with its settings, so
//! that one start serves all of them. Nothing is delivered: what was accepted stays where it can be counted.

use crate::{
    policy::PolicyServer,
    system::{PATIENCE, System, Which, free_port},
};
use dialogue::{BASE, Dialogue, Script};
use std::{
    fmt::Write as _,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

/// A running system that waits for the clients of its dialogues.
pub struct Server {
    system: System,
    ports: Vec<u16>,
    policies: Vec<Option<PolicyServer>>,
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

impl Server {
    /// Starts a system for the given dialogues.
    #[must_use]
    pub fn start(which: Which, dialogues: &[Dialogue]) -> Self {
        let system = System::prepare(which, &main_cf());
        let ports: Vec<u16> = dialogues.iter().map(|_| free_port()).collect();
        system.remove_service("qmgr");
        system.add_services(&services(dialogues, &ports));
        let policies = dialogues.iter().map(|dialogue| policy_server(&system, dialogue)).collect();
        system.run();
        Self { system, ports, policies }
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
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.system.log();
            let of_service = text.lines().filter_map(|line| line.split_once(&tag));
            let lines: Vec<_> = of_service
                .filter_map(|(_, rest)| rest.split_once("]: ").map(|(_, text)| text.to_owned()))
                .collect();
            let has_ended = lines.iter().any(|line| line.starts_with("disconnect from"));
            if has_ended || Instant::now() > deadline {
                return lines;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What the policy server of a dialogue was sent.
    #[must_use]
    pub fn asked(&self, index: usize) -> Vec<String> {
        let server = self.policies.get(index).and_then(Option::as_ref);
        let requests = server.map(PolicyServer::heard).unwrap_or_default();
        requests.into_iter().flat_map(|request| request.lines).collect()
    }

    /// How many of these queue ids have a file.
    #[must_use]
    pub fn queued(&self, ids: &[String]) -> usize {
        let queues = ["incoming", "active", "deferred"].map(|name| self.system.path("spool").join(name));
        ids.iter().filter(|id| queues.iter().any(|queue| queue.join(id).exists())).count()
    }
}

fn policy_server(system: &System, dialogue: &Dialogue) -> Option<PolicyServer> {
    if dialogue.policy.is_empty() {
        return None;
    }
    let script = Mutex::new(Script::of(dialogue));
    let path = system.path("spool/policy").join(&dialogue.name);
    Some(PolicyServer::unix(&path, move |_, _, to| {
        let answer = script.lock().map_or_else(|_| Vec::new(), |mut script| script.next_answer());
        to.write_all(&answer)?;
        Ok(true)
    }))
}

fn main_cf() -> String {
    let mut text = "smtpd_authorized_xclient_hosts =\nvirtual_transport = discard:\nin_flow_delay = 0\n\
                    smtpd_tls_security_level = none\n"
        .to_owned();
    for (name, value) in BASE {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}

fn services(dialogues: &[Dialogue], ports: &[u16]) -> String {
    let mut text = String::new();
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
