//! What `receive` and `deliver` have in common: how they begin, log, listen to master and stop.
//!
//! Diagnostics: a configuration that cannot be read is fatal at the start, and master tries again with a
//! back-off. When master is gone, the process stops: nobody would restart it.

mod control;
mod sandbox;
mod stop;

pub use control::Control;
pub use stop::Stop;

use config::{Configuration, ServiceType, Values, params as p};
use logsink::{Destination, LogSettings, LogSink};
use maillog::{Logger, Sink};
use std::{cell::Cell, os::fd::OwnedFd, path::PathBuf, rc::Rc};
use sys::{
    control::{EndpointKind, ServedRow},
    startup::Startup,
};

/// A process that has read its configuration.
pub struct Process {
    /// main.cf and master.cf.
    pub configuration: Rc<Configuration>,
    /// The rows that it serves, with their listeners.
    pub rows: Vec<ServedRow>,
    /// The channel to master, for [`Control::new`].
    pub control: OwnedFd,
    log: Log,
}

/// Makes loggers with numbers of their own.
#[derive(Clone)]
pub struct Log {
    sink: Rc<dyn Sink>,
    last_session: Rc<Cell<u32>>,
}

/// Largest session number: Linux's largest process number, so that log readers see what they are used to.
const SESSION_MAX: u32 = 4_194_304;

impl Log {
    /// A logger for a connection or delivery of a service, with the next session number.
    #[must_use]
    pub fn session(&self, tag: &str) -> Logger {
        let next = self.last_session.get() % SESSION_MAX + 1;
        self.last_session.set(next);
        Logger::new(Rc::clone(&self.sink), tag, next)
    }
}

impl Process {
    /// Begins: configuration, log, sandbox. The error is for standard error.
    pub fn begin(startup: Startup) -> Result<Self, String> {
        let Startup { control, config_directory, rows, root_files, .. } = startup;
        let configuration = config_files::load(&config_directory).map_err(|trouble| trouble.to_string())?;
        let values = configuration.values();
        let settings = LogSettings::load(values).map_err(|invalid| invalid.to_string())?;
        let log_file = match &settings.destination {
            Destination::File(path) => take(root_files, path),
            Destination::Syslog | Destination::Stdout => None,
        };
        let sink = LogSink::new(&settings, log_file).map_err(|error| format!("open the log: {error}"))?;
        let log = Log { sink: Rc::new(sink), last_session: Rc::new(Cell::new(std::process::id())) };
        let process = Self { configuration: Rc::new(configuration), rows, control, log };
        process.report_configuration();
        Ok(process)
    }

    /// Makes loggers.
    #[must_use]
    pub fn log(&self) -> Log {
        self.log.clone()
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
        let kind = match row.kind {
            EndpointKind::Inet => ServiceType::Inet,
            EndpointKind::Unix => ServiceType::Unix,
            EndpointKind::Fifo => ServiceType::Fifo,
            EndpointKind::UnixDgram => ServiceType::UnixDgram,
            EndpointKind::Pass => ServiceType::Pass,
        };
        match self.configuration.master_cf().service(&row.service, kind) {
            Some(row) => self.configuration.values_for(row),
            None => self.values().clone(),
        }
    }

    /// Gives up what this process will not need: files outside the queue, the tables and the system's own. To
    /// be called when everything that only this moment can open is open.
    pub fn enter_sandbox(&self, connects: bool) {
        let logger = self.log.session(&tag(self.values(), "master"));
        match sandbox::enter(&self.configuration, connects) {
            Ok(sys::sandbox::InForce::Nothing) => {
                logger.warning("this kernel has no Landlock: the file access of processes is not restricted");
            }
            Ok(_) => {}
            Err(trouble) => logger.warning(&format!("Landlock: {trouble}; file access is not restricted")),
        }
    }

    fn report_configuration(&self) {
        let logger = self.log.session(&tag(self.values(), "master"));
        for report in self.configuration.reports() {
            if report.severity >= config::Severity::Warning {
                logger.warning(&report.to_string());
            }
        }
    }
}

/// `syslog_name/service`, as log lines begin.
#[must_use]
pub fn tag(values: &Values, program: &str) -> String {
    format!("{}/{program}", values.text(p::syslog_name))
}

fn take(files: Vec<(PathBuf, OwnedFd)>, path: &PathBuf) -> Option<OwnedFd> {
    files.into_iter().find(|(name, _)| name == path).map(|(_, file)| file)
}
