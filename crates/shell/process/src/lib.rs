//! What `receive` and `deliver` have in common: how they begin, log, listen to master and stop, and how mail of our own
//! gets into the queue.
//!
//! Diagnostics: a configuration that cannot be read is fatal at the start, and master tries again with a
//! back-off. When master is gone, the process stops: nobody would restart it.

mod content;
mod control;
mod faults;
pub mod flow;
mod host;
mod inject;
mod intake;
mod libraries;
mod lookups;
mod notifier;
mod postmaster;
mod sandbox;
mod stint;
mod stop;
mod trigger;
mod word;
mod zone;

pub use content::{Content, Unreadable};
pub use control::Control;
pub use faults::Faults;
pub use host::Host;
pub use inject::{Envelope, Injected, Injector};
pub use intake::{Ended, Intake, Unaccepted};
pub use libraries::{CleanupRow, Libraries};
pub use lookups::Lookups;
pub use notifier::{About, Notifier};
pub use postmaster::Postmaster;
pub use stint::Stint;
pub use stop::{Stop, first};
pub use trigger::{Trigger, Wakeups};
pub use word::Word;
pub use zone::Zone;

use config::{Configuration, ServiceRow, ServiceType, Values, own, params as p};
use dns::HostsFirst;
use logsink::{Batch, Destination, LogSettings, LogSink};
use maillog::{Logger, Severity, Sink};
use queue::{QueueSettings, RealDisk};
use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use sys::{
    control::{EndpointKind, ServedRow},
    startup::Startup,
};
use tables::{Openers, Slow};
use world::{Dns, World};

/// The disk below `queue_directory`, shared with the threads that sync.
pub type SystemDisk = Arc<RealDisk>;

/// A process that has read its configuration.
pub struct Process {
    /// main.cf and master.cf.
    pub configuration: Rc<Configuration>,
    /// What the C library would read.
    pub host: Host,
    log: Log,
    slow: RefCell<Rc<dyn Slow>>,
}

fn in_this_process() -> RefCell<Rc<dyn Slow>> {
    RefCell::new(Rc::new(tables::Direct::default()))
}

/// What master gave a process to work with.
pub struct Assigned {
    /// The rows to serve, with their listeners.
    pub rows: Vec<ServedRow>,
    /// The channel to master, for [`Control::new`].
    pub control: OwnedFd,
    /// Where lines of others go that are whole already: `maillog_file`, if there is one.
    pub log_file: Option<OwnedFd>,
}

/// Makes loggers with numbers of their own.
#[derive(Clone)]
pub struct Log {
    sink: Rc<dyn Sink>,
    batch: Option<Batch>,
    last_session: Rc<Cell<u32>>,
}

/// Largest session number: Linux's largest process number, so that log readers see what they are used to.
const SESSION_MAX: u32 = 4_194_304;

impl Log {
    /// Loggers that write to a sink.
    pub fn new(sink: Rc<dyn Sink>) -> Self {
        Self { sink, batch: None, last_session: Rc::default() }
    }

    /// A logger for a connection or delivery of a service, with the next session number.
    #[must_use]
    pub fn session(&self, tag: &str) -> Logger {
        let next = self.last_session.get() % SESSION_MAX + 1;
        self.last_session.set(next);
        self.numbered(tag, next)
    }

    /// A logger that goes on with the number of one that is gone; 0 for a new number.
    #[must_use]
    pub fn numbered(&self, tag: &str, session: u32) -> Logger {
        if session == 0 { self.session(tag) } else { Logger::new(Rc::clone(&self.sink), tag, session) }
    }

    /// Writes the lines of this turn, so that what somebody else logs about the same mail comes after them.
    pub fn flush(&self) {
        if let Some(batch) = &self.batch {
            batch.flush();
        }
    }

    /// [`Self::flush`], for [`net::Builder::before_waiting`].
    pub fn flusher(&self) -> impl Fn() + Send + Sync + 'static {
        let batch = self.batch.clone();
        move || {
            if let Some(batch) = &batch {
                batch.flush();
            }
        }
    }
}

impl Process {
    /// Begins: configuration, log. The error is for standard error.
    pub fn begin(startup: Startup) -> Result<(Self, Assigned), String> {
        net::remember_panics();
        let Startup { control, config_directory, rows, mut root_files, .. } = startup;
        let configuration = config_files::load(&config_directory).map_err(|trouble| trouble.to_string())?;
        let values = configuration.values();
        let settings = LogSettings::load(values).map_err(|invalid| invalid.to_string())?;
        let log_file = match &settings.destination {
            Destination::File(path) => take(&mut root_files, path),
            Destination::Syslog | Destination::Stdout => None,
        };
        root_files.into_iter().for_each(|(path, file)| tables::lent::lend(path, file));
        let for_others = logsink::copy_for_others(&settings, log_file.as_ref());
        let for_others = for_others.map_err(|error| format!("open the log: {error}"))?;
        let mut sink = LogSink::new(&settings, log_file).map_err(|error| format!("open the log: {error}"))?;
        let batch = sink.batched();
        let log = Log { sink: Rc::new(sink), batch, last_session: Rc::new(Cell::new(std::process::id())) };
        let process =
            Self { configuration: Rc::new(configuration), host: Host::read(), log, slow: in_this_process() };
        process.report_configuration();
        Ok((process, Assigned { rows, control, log_file: for_others }))
    }

    /// A process that was told everything: nothing is read from the system.
    #[must_use]
    pub fn told(configuration: Configuration, host: Host, sink: Rc<dyn Sink>) -> Self {
        let (configuration, log) = (Rc::new(configuration), Log::new(sink));
        Self { configuration, host, log, slow: in_this_process() }
    }

    /// Makes loggers.
    #[must_use]
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// A logger for what belongs to no session.
    #[must_use]
    pub fn logger(&self, program: &str) -> Logger {
        self.log.session(&tag(self.values(), program))
    }

    /// From now on `slow` does what may take long; before, it is done in this process.
    pub fn set_slow(&self, slow: Rc<dyn Slow>) {
        self.slow.replace(slow);
    }

    /// Whoever does what may take long.
    #[must_use]
    pub fn slow(&self) -> Rc<dyn Slow> {
        Rc::clone(&self.slow.borrow())
    }

    /// Opens tables whose answers must be waited for, with connections that all services share.
    pub fn openers<W: World>(&self, world: &W, program: &str) -> Openers {
        let dns: Rc<dyn Dns> = Rc::new(self.host.resolver(world));
        let hosts: Rc<dyn Dns> = Rc::new(HostsFirst::new(self.host.names(), dns));
        tables_net::openers(world, self.values(), self.logger(program), hosts, self.slow())
    }

    /// Values of main.cf alone.
    #[must_use]
    pub fn values(&self) -> &Values {
        self.configuration.values()
    }

    /// `queue_directory`
    #[must_use]
    pub fn queue_directory(&self) -> PathBuf {
        PathBuf::from(self.values().text(p::queue_directory))
    }

    /// The values that a row sees.
    #[must_use]
    pub fn row_values(&self, row: &ServedRow) -> Values {
        self.row(row).map_or_else(|| self.values().clone(), |row| self.configuration.values_for(row))
    }

    /// The values of a service that works inside of another's process, if master.cf has its row.
    #[must_use]
    pub fn inner_row(&self, name: &str, program: &str) -> Option<Values> {
        let row = self.configuration.master_cf().service(name, ServiceType::Unix)?;
        (row.command == program).then(|| self.configuration.values_for(row))
    }

    /// What keeps a service from its work, with file and line, if its program could not start with its settings.
    #[must_use]
    pub fn out_of_order(&self, row: &ServedRow) -> Option<String> {
        Some(self.configuration.out_of_order(self.row(row)?)?.place_and_text())
    }

    fn row(&self, row: &ServedRow) -> Option<&ServiceRow> {
        let kind = match row.kind {
            EndpointKind::Inet => ServiceType::Inet,
            EndpointKind::Unix => ServiceType::Unix,
            EndpointKind::Fifo => ServiceType::Fifo,
            EndpointKind::UnixDgram => ServiceType::UnixDgram,
            EndpointKind::Pass => ServiceType::Pass,
        };
        self.configuration.master_cf().service(&row.service, kind)
    }

    /// Whether the programs of a row see `queue_directory` as their root, where they look for sockets.
    #[must_use]
    pub fn is_chrooted(&self, row: &ServedRow) -> bool {
        self.row(row).is_some_and(|row| row.chroot)
    }

    /// How many sessions or deliveries of a row there may be at once; 0 for no limit.
    #[must_use]
    pub fn row_limit(&self, row: &ServedRow) -> usize {
        let rows = &self.configuration.master_cf().rows;
        let found = rows.iter().rfind(|r| r.name == row.service && r.command == row.program);
        found.and_then(|row| usize::try_from(row.max_proc).ok()).unwrap_or(0)
    }

    /// `reload_drain_time_limit`: how long what an older generation has begun may take, also when master is
    /// gone (`postfix drain`).
    #[must_use]
    pub fn drain_limit(&self) -> Duration {
        self.values().own_time(&own::RELOAD_DRAIN_TIME_LIMIT)
    }

    /// How many clients a service's socket may have at once where its row allows one process only.
    #[must_use]
    pub fn client_limit(&self) -> usize {
        usize::try_from(self.values().int(p::default_process_limit)).unwrap_or(0)
    }

    /// The wake-up time of a service, if it has one.
    #[must_use]
    pub fn row_wakeup(&self, service: &str) -> Option<Duration> {
        let rows = &self.configuration.master_cf().rows;
        let row = rows.iter().rfind(|row| row.name == service && row.wakeup_time > 0)?;
        Some(Duration::from_secs(row.wakeup_time.into()))
    }

    /// Gives up what this process will not need: files outside the queue, the tables and the system's own. To
    /// be called when everything that only this moment can open is open.
    pub fn enter_sandbox(&self, connects: bool) {
        let logger = self.logger("master");
        match sandbox::enter(&self.configuration, connects) {
            Ok(sys::sandbox::InForce::Nothing) => {
                logger.warning("this kernel has no Landlock: the file access of processes is not restricted");
            }
            Ok(_) => {}
            Err(trouble) => logger.warning(&format!("Landlock: {trouble}; file access is not restricted")),
        }
    }

    fn report_configuration(&self) {
        let logger = self.logger("master");
        for report in self.configuration.reports() {
            let severity = match report.severity {
                config::Severity::Note => continue,
                config::Severity::Warning => Severity::Warning,
                config::Severity::Error | config::Severity::Fatal => Severity::Error,
            };
            logger.write(severity, &report.place_and_text());
        }
    }
}

/// A row with its sockets in this process's hands.
///
/// # Errors
/// A socket that cannot be listened on.
pub fn listening<L>(
    mut row: ServedRow,
    take: impl FnMut(OwnedFd) -> io::Result<L>,
) -> io::Result<(ServedRow, Vec<L>)> {
    let listeners = std::mem::take(&mut row.listeners).into_iter().map(take).collect::<io::Result<_>>()?;
    Ok((row, listeners))
}

/// Logs why a process ends before its time; the text is for standard error, which few people see.
pub fn report_end(log: &Log, tag: &str, ended: io::Result<Result<(), String>>) -> Result<(), String> {
    log.flush();
    let trouble = match ended {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(trouble)) => trouble,
        Err(error) => error.to_string(),
    };
    let logger = log.session(tag);
    match trouble.strip_prefix("panic: ") {
        Some(why) => logger.write(Severity::Panic, why),
        None => logger.write(Severity::Fatal, &trouble),
    }
    Err(trouble)
}

/// `syslog_name/service`, as log lines begin.
#[must_use]
pub fn tag(values: &Values, program: &str) -> String {
    format!("{}/{program}", values.text(p::syslog_name))
}

/// What main.cf says about the queue.
#[must_use]
pub fn queue_settings(values: &Values) -> QueueSettings {
    let number = |id| u64::try_from(values.int(id)).unwrap_or(0);
    QueueSettings {
        hash_queue_names: values.list(p::hash_queue_names).into_iter().map(str::to_owned).collect(),
        hash_queue_depth: usize::try_from(number(p::hash_queue_depth)).unwrap_or(1),
        enable_long_queue_ids: values.bool(p::enable_long_queue_ids),
        queue_minfree_bytes: number(p::queue_minfree),
        backwards_bounce_logfile_compatibility: values.bool(p::backwards_bounce_logfile_compatibility),
        ..QueueSettings::default()
    }
}

fn take(files: &mut Vec<(PathBuf, OwnedFd)>, path: &PathBuf) -> Option<OwnedFd> {
    let at = files.iter().position(|(name, _)| name == path)?;
    Some(files.swap_remove(at).1)
}
