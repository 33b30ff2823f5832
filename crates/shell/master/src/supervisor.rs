//! The loop: who is to run, who runs, and what to do when that differs.

use crate::{
    agents::{Agents, Whose},
    child::{Child, Orders, Phase},
    listen::{Listeners, Place as Endpoint, Surroundings},
    manifest::Manifest,
    placement::{Place, Process, place_of},
    settings::Settings,
};
use config::{ServiceRow, ServiceType};
use maillog::{Logger, OldDefault, Severity};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};
use sys::{
    control::{AgentKind, EndpointKind, ServedRow, ToChild, ToMaster},
    process::{Ended, Kill, reap},
    signals::{Signal, Signals},
};

/// How long processes may take to stop; `postfix stop` loses patience after five seconds.
const STOP_LIMIT: Duration = Duration::from_secs(4);

/// How long a start waits for ports that the processes of a killed master still hold.
const START_BIND_LIMIT: Duration = Duration::from_secs(2);

/// How long a process that has closed its channel may take to end.
const CLOSED_LIMIT: Duration = Duration::from_secs(5);

/// signal(7)
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// How often root's files are looked at.
const FILES_PERIOD: Duration = Duration::from_secs(60);
/// How long a process goes on with the old file where one that it was lent is replaced.
const LENT_FILES_PERIOD: Duration = Duration::from_secs(1);

/// A row with where it listens.
#[derive(Debug)]
struct Row {
    service: String,
    kind: EndpointKind,
    program: String,
    process: Process,
    endpoints: Vec<Endpoint>,
    wakeup: Option<Duration>,
}

/// One of the processes that there should always be.
#[derive(Debug)]
struct Post {
    process: Process,
    generation: u32,
    throttled_until: Option<Instant>,
    files: Manifest,
    /// When it ended by itself, to see a process that dies again and again.
    failed: Vec<Instant>,
}

/// The state of the system.
pub(crate) struct Supervisor {
    settings: Settings,
    log: Logger,
    signals: Signals,
    listeners: Listeners,
    rows: Vec<Row>,
    posts: Vec<Post>,
    children: Vec<Child>,
    agents: Agents,
    wakeups: Vec<(Instant, usize)>,
    files_at: Instant,
    log_file: Option<OwnedFd>,
}

impl Supervisor {
    /// Binds everything. What cannot be bound is fatal now, and a warning at a reload.
    pub(crate) fn new(settings: Settings, log: Logger) -> Result<Self, String> {
        let signals = Signals::listen().map_err(|error| format!("signals: {error}"))?;
        let mut listeners = Listeners::default();
        let rows = bind(&settings, &mut listeners, &log, Instant::now() + START_BIND_LIMIT)?;
        let posts = posts(&settings);
        let log_file = logsink::open_file(&settings.log).map_err(|error| format!("maillog_file: {error}"))?;
        let files_at = Instant::now() + FILES_PERIOD;
        let mut supervisor = Self {
            settings,
            log,
            signals,
            listeners,
            rows,
            posts,
            children: Vec::new(),
            agents: Agents::default(),
            wakeups: Vec::new(),
            files_at,
            log_file,
        };
        supervisor.plan_wakeups(Instant::now());
        Ok(supervisor)
    }

    /// Logs what happens to the whole, with version and place.
    pub(crate) fn announce(&self, what: &str) {
        let directory = self.settings.config_directory.display();
        let version = &self.settings.mail_version;
        self.log.write(Severity::Info, &format!("{what} -- version {version}, configuration {directory}"));
    }

    /// Runs until told to stop, and says by which signal.
    pub(crate) fn run(&mut self) -> Signal {
        loop {
            let now = Instant::now();
            self.fill_posts(now);
            self.on_time(now);
            self.wait(self.next_time(now));
            while let Some(signal) = self.signals.next() {
                match signal {
                    Signal::Hangup => self.reload(),
                    Signal::Child => {}
                    Signal::Terminate | Signal::Interrupt => {
                        self.stop(signal);
                        return signal;
                    }
                }
            }
            self.hear();
            self.agents.hear(&self.log);
            for ((asker, request), agent) in self.agents.heard(&self.settings, Instant::now()) {
                // A socket that nobody wants any more is closed, and its agent ends.
                if let Some(child) = self.children.iter().find(|child| child.pid == asker) {
                    child.tell(&ToChild::Agent { request, agent });
                }
            }
            self.reap();
        }
    }

    /// Starts what should run and does not.
    fn fill_posts(&mut self, now: Instant) {
        for at in 0..self.posts.len() {
            let post = &mut self.posts[at];
            let process = post.process;
            let wanted = self.rows.iter().any(|row| row.process == process);
            let held = post.throttled_until.is_some_and(|until| now < until);
            let current =
                self.children.iter().any(|c| c.process == process && !matches!(c.phase, Phase::Draining(_)));
            if wanted && !held && !current {
                post.throttled_until = None;
                self.start(at, now);
            }
        }
    }

    fn start(&mut self, at: usize, now: Instant) {
        let post = &mut self.posts[at];
        post.generation += 1;
        let process = post.process;
        let generation = post.generation;
        // A new process gets all files, also those that its predecessor has.
        post.files = Manifest::of(process, &self.settings.configuration, self.settings.owner);
        let mut files = post.files.renewed();
        self.files_at = self.files_at.min(now + LENT_FILES_PERIOD);
        if let (logsink::Destination::File(path), Some(file)) =
            (&self.settings.log.destination, &self.log_file)
        {
            files.extend(file.try_clone().ok().map(|file| (path.clone(), file)));
        }
        let started = self
            .served_rows(process)
            .and_then(|rows| Child::start(process, &self.settings, Orders { generation, rows, files }));
        match started {
            Ok(child) => self.children.push(child),
            Err(error) => {
                self.log.warning(&format!("start {}: {error} -- throttling", process.name()));
                self.throttle(process, now);
            }
        }
    }

    fn served_rows(&self, process: Process) -> std::io::Result<Vec<ServedRow>> {
        let rows = self.rows.iter().filter(|row| row.process == process);
        rows.map(|row| {
            Ok(ServedRow {
                service: row.service.clone(),
                kind: row.kind,
                program: row.program.clone(),
                listeners: self.listeners.copies(&row.endpoints)?,
            })
        })
        .collect()
    }

    fn throttle(&mut self, process: Process, now: Instant) {
        let until = now + self.settings.service_throttle_time;
        for post in self.posts.iter_mut().filter(|post| post.process == process) {
            post.throttled_until = Some(until);
        }
    }

    fn plan_wakeups(&mut self, now: Instant) {
        // At once, and then with the row's period, as Postfix does.
        let rows = self.rows.iter().enumerate();
        self.wakeups = rows.filter(|(_, row)| row.wakeup.is_some()).map(|(at, _)| (now, at)).collect();
    }

    /// Does what is due.
    fn on_time(&mut self, now: Instant) {
        for (due, at) in &mut self.wakeups {
            let Some(row) = self.rows.get(*at).filter(|_| *due <= now) else { continue };
            *due = now + row.wakeup.unwrap_or(FILES_PERIOD);
            let ready = |c: &&Child| c.process == row.process && c.phase == Phase::Ready;
            for child in self.children.iter().filter(ready) {
                child.tell(&ToChild::Wakeup { service: row.service.clone(), kind: row.kind });
            }
        }
        if self.files_at <= now {
            let is_lending = self.posts.iter().any(|post| post.files.is_lending());
            self.files_at = now + if is_lending { LENT_FILES_PERIOD } else { FILES_PERIOD };
            for post in &mut self.posts {
                for (path, file) in post.files.renewed() {
                    let message = ToChild::RootFile { path, file };
                    self.children.iter().filter(|c| c.process == post.process).for_each(|c| c.tell(&message));
                }
            }
        }
        for child in &self.children {
            if child.closed.is_some_and(|until| until <= now)
                || matches!(child.phase, Phase::Draining(until) if until <= now)
            {
                child.kill(Kill::Kill);
            }
        }
    }

    fn next_time(&self, now: Instant) -> Duration {
        let wakeups = self.wakeups.iter().map(|(due, _)| *due);
        let throttles = self.posts.iter().filter_map(|post| post.throttled_until);
        let drains = self.children.iter().filter_map(|child| match child.phase {
            Phase::Draining(until) => Some(until),
            Phase::Starting | Phase::Ready => None,
        });
        // A second for the signal to work before the next one.
        let ends = drains.chain(self.children.iter().filter_map(|child| child.closed));
        let ends = ends.map(|until| until.max(now + Duration::from_secs(1)));
        let looked_up = self.agents.next_time();
        let next = wakeups.chain(throttles).chain(ends).chain(looked_up).chain([self.files_at]).min();
        next.map_or(FILES_PERIOD, |next| next.saturating_duration_since(now))
    }

    /// Waits for a signal, for a child's word, or for time to pass.
    fn wait(&self, limit: Duration) {
        let mut all = vec![PollFd::new(&self.signals, PollFlags::IN)];
        let open = self.children.iter().filter(|child| child.closed.is_none());
        all.extend(open.map(|child| PollFd::new(&child.channel, PollFlags::IN)));
        all.extend(self.agents.sockets());
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(60),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        // Interrupted or failed: the caller looks at everything anyway.
        let _ = poll(&mut all, Some(&limit));
    }

    fn hear(&mut self) {
        for at in 0..self.children.len() {
            while self.children[at].closed.is_none() {
                let mut ready = [PollFd::new(&self.children[at].channel, PollFlags::IN)];
                let now = Timespec { tv_sec: 0, tv_nsec: 0 };
                let has_input = poll(&mut ready, Some(&now)).is_ok_and(|count| count > 0);
                if !has_input {
                    break;
                }
                match self.children[at].hear() {
                    Ok(Some(message)) => self.obey(at, &message),
                    // It has closed its end, so it is ending; what does not end is ended.
                    Ok(None) => {
                        self.children[at].closed = Some(Instant::now() + CLOSED_LIMIT);
                        break;
                    }
                    Err(error) => {
                        let child = &self.children[at];
                        let text = format!("process {} pid {}: {error}", child.process.name(), child.pid);
                        self.log.warning(&text);
                        child.kill(Kill::Kill);
                        break;
                    }
                }
            }
        }
    }

    fn obey(&mut self, at: usize, message: &ToMaster) {
        let process = self.children[at].process;
        match message {
            ToMaster::Ready if self.children[at].phase == Phase::Starting => {
                self.children[at].phase = Phase::Ready;
                let (now, limit) = (Instant::now(), self.settings.reload_drain_time_limit);
                let (older, _) = self.children.split_at_mut(at);
                older.iter_mut().filter(|c| c.process == process).for_each(|c| c.drain(now, limit));
                for (due, row) in &mut self.wakeups {
                    if self.rows.get(*row).is_some_and(|row| row.process == process) {
                        *due = now;
                    }
                }
            }
            ToMaster::Ready | ToMaster::Drained => {}
            ToMaster::RequestAgent { request, kind, service, user } => {
                let asked = (self.children[at].pid, *request);
                let agent = match process {
                    Process::Deliver if *kind != AgentKind::Spawn => {
                        self.agents.start(&self.settings, asked, (*kind, service, user))
                    }
                    Process::Receive if matches!(kind, AgentKind::Lookup | AgentKind::Spawn) => {
                        self.agents.start(&self.settings, asked, (*kind, service, user))
                    }
                    _ => Some(Err(format!("{} starts no agents of {}", process.name(), kind.as_str()))),
                };
                if let Some(agent) = agent {
                    self.children[at].tell(&ToChild::Agent { request: *request, agent });
                }
            }
            ToMaster::EndAgent { request } => self.agents.end((self.children[at].pid, *request)),
        }
    }

    fn reap(&mut self) {
        while let Some((pid, ended)) = reap() {
            match self.agents.ended(pid, ended) {
                Whose::Ours(name) => {
                    self.tell_end(name, pid, ended);
                    continue;
                }
                Whose::Wanted => continue,
                Whose::Other => {}
            }
            let Some(at) = self.children.iter().position(|child| child.pid == pid) else { continue };
            let child = self.children.remove(at);
            let draining = matches!(child.phase, Phase::Draining(_));
            if !draining || ended != Ended::Signal(9) {
                self.tell_end(child.process.name(), pid, ended);
            }
            let (name, now) = (child.process.name(), Instant::now());
            if child.phase == Phase::Starting {
                // The same exit that a bad configuration causes: trying at once would be a loop.
                self.log.warning(&format!("{name}: bad command startup -- throttling"));
                self.throttle(child.process, now);
            } else if !draining && is_own_end(ended) && self.fails_often(child.process, now) {
                self.log.warning(&format!("{name}: ends too often -- throttling"));
                self.throttle(child.process, now);
            }
        }
    }

    /// Notes that a process ended by itself although it was ready, and says whether that has happened too often.
    fn fails_often(&mut self, process: Process, now: Instant) -> bool {
        let (period, limit) = (self.settings.service_throttle_time, self.settings.service_failure_limit);
        let Some(post) = self.posts.iter_mut().find(|post| post.process == process) else { return false };
        post.failed.retain(|failed| now.duration_since(*failed) < period);
        post.failed.push(now);
        post.failed.len() >= limit
    }

    fn tell_end(&self, name: &str, pid: u32, ended: Ended) {
        match ended {
            Ended::Exit(0) => {}
            Ended::Exit(code) => self.log.warning(&format!("process {name} pid {pid} exit status {code}")),
            Ended::Signal(number) => {
                self.log.warning(&format!("process {name} pid {pid} killed by signal {number}"));
            }
        }
    }

    /// A new generation with a new configuration. A configuration that cannot be used changes nothing.
    fn reload(&mut self) {
        let directory = self.settings.config_directory.clone();
        let prepared = Settings::load(&directory).and_then(|settings| {
            let rows = bind(&settings, &mut self.listeners, &self.log, Instant::now())?;
            let log_file =
                logsink::open_file(&settings.log).map_err(|error| format!("maillog_file: {error}"))?;
            Ok((settings, rows, log_file))
        });
        let (settings, rows, log_file) = match prepared {
            Ok(prepared) => prepared,
            Err(why) => {
                return self.log.warning(&format!("reload: {why}; the old configuration stays in force"));
            }
        };
        if settings.queue_directory != self.settings.queue_directory {
            self.log.warning("ignoring queue_directory change");
            return self.log.warning("to change queue_directory, stop and start Posthaste");
        }
        let wanted: Vec<&Endpoint> = rows.iter().flat_map(|row| &row.endpoints).collect();
        self.listeners.keep(&wanted);
        (self.settings, self.rows, self.log_file) = (settings, rows, log_file);
        if let Ok(log) = crate::open_log(&self.settings) {
            self.log = log;
        }
        self.announce("reload");
        let now = Instant::now();
        self.plan_wakeups(now);
        for at in 0..self.posts.len() {
            self.posts[at].throttled_until = None;
            let process = self.posts[at].process;
            if self.rows.iter().any(|row| row.process == process) {
                self.posts[at].failed.clear();
                self.start(at, now);
            } else {
                let limit = self.settings.reload_drain_time_limit;
                self.children.iter_mut().filter(|c| c.process == process).for_each(|c| c.drain(now, limit));
            }
        }
    }

    /// Ends everything, within bounds.
    fn stop(&mut self, signal: Signal) {
        self.log.write(Severity::Info, &format!("terminating on signal {}", signal.number()));
        self.listeners.keep(&[]);
        self.children.iter().for_each(|child| child.tell(&ToChild::Stop));
        self.agents.signal_all(Kill::Terminate);
        let until = Instant::now() + STOP_LIMIT;
        loop {
            while let Some((pid, ended)) = reap() {
                self.children.retain(|child| child.pid != pid);
                self.agents.ended(pid, ended);
            }
            let left = until.saturating_duration_since(Instant::now());
            if self.children.is_empty() && self.agents.is_empty() {
                return;
            }
            if left.is_zero() {
                break;
            }
            let mut signals = [PollFd::new(&self.signals, PollFlags::IN)];
            let limit = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(1),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let _ = poll(&mut signals, Some(&limit));
            while self.signals.next().is_some() {}
        }
        self.children.iter().for_each(|child| child.kill(Kill::Kill));
        self.agents.signal_all(Kill::Kill);
        self.log.warning("stopped with force: not all processes ended in time");
    }
}

fn posts(settings: &Settings) -> Vec<Post> {
    let post = |process| Post {
        process,
        generation: 0,
        throttled_until: None,
        files: Manifest::of(process, &settings.configuration, settings.owner),
        failed: Vec::new(),
    };
    Process::ALL.into_iter().map(post).collect()
}

/// Whether a process ended for a reason of its own. Whom somebody killed is started again at once: it served well.
fn is_own_end(ended: Ended) -> bool {
    !matches!(ended, Ended::Signal(SIGKILL | SIGTERM))
}

/// Binds the endpoints of all rows that are served here.
fn bind(
    settings: &Settings,
    listeners: &mut Listeners,
    log: &Logger,
    patient_until: Instant,
) -> Result<Vec<Row>, String> {
    let values = settings.configuration.values();
    let protocols = values.inet_protocols();
    let mut around = Surroundings {
        addresses: settings.addresses(),
        protocols,
        tcp_ports: &settings.tcp_ports,
        queue_directory: &settings.queue_directory,
        owner: settings.owner,
        backlog: 0,
        patient_until,
    };
    let mut disabled = values.list(config::params::master_service_disable);
    if protocols.are_none() {
        let setting = values.text(config::params::inet_protocols);
        log.warning(&format!("all network protocols are disabled (inet_protocols = {setting})"));
        log.warning("disabling all type \"inet\" services in master.cf");
        disabled.push("inet");
    }
    let mut rows = Vec::new();
    let file = &settings.configuration.master_cf().file;
    for row in &settings.configuration.master_cf().rows {
        if disabled.iter().any(|pattern| is_disabled(pattern, row)) {
            continue;
        }
        if row.has_old_chroot {
            let place = format!("{file}: line {}", row.line);
            log.write(Severity::Info, &format!("{place}: {}", OldDefault::Setting("chroot", "y")));
        }
        let (process, listens) = match place_of(&row.command) {
            Place::Listens(process) => (process, true),
            Place::Inside(process) => (process, row.service_type == ServiceType::Inet),
            Place::Library => continue,
            Place::NotYet => {
                let (service, kind) = (&row.name, row.service_type.name());
                log.warning(&format!("service {service}/{kind}: program {} is not offered yet", row.command));
                continue;
            }
        };
        let most = row.max_proc.max(settings.default_process_limit);
        around.backlog = i32::try_from(most).unwrap_or(i32::MAX);
        let endpoints = if listens { listeners.bind(row, &around)? } else { Vec::new() };
        rows.push(Row {
            service: row.name.clone(),
            kind: kind_of(row.service_type),
            program: row.command.clone(),
            process,
            endpoints,
            wakeup: (row.wakeup_time > 0).then(|| Duration::from_secs(row.wakeup_time.into())),
        });
    }
    Ok(rows)
}

/// master_service_disable (postconf(5)): `type` alone is all services of a type, `name/type` is one.
fn is_disabled(pattern: &str, row: &ServiceRow) -> bool {
    let kind = row.service_type.name();
    pattern == kind || pattern.split_once('/').is_some_and(|(name, of)| name == row.name && of == kind)
}

fn kind_of(service_type: ServiceType) -> EndpointKind {
    match service_type {
        ServiceType::Inet => EndpointKind::Inet,
        ServiceType::Unix => EndpointKind::Unix,
        ServiceType::UnixDgram => EndpointKind::UnixDgram,
        ServiceType::Fifo => EndpointKind::Fifo,
        ServiceType::Pass => EndpointKind::Pass,
    }
}
