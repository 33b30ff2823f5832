//! What a command says: to standard error under its name, and to the mail log under its tag.

use crate::{Destination, Facility, Format, LogSettings, LogSink};
use config::{Values, own};
use maillog::{Logger, Severity};
use std::{path::PathBuf, rc::Rc};

/// Says things for a command. Nothing here fails: what the log does not take is still on standard error.
#[derive(Clone)]
pub struct Diagnostics {
    program: &'static str,
    logger: Logger,
}

impl Diagnostics {
    /// Before main.cf is read, or where it cannot be: the system's log, under Postfix's default name.
    #[must_use]
    pub fn early(program: &'static str) -> Self {
        let settings = LogSettings {
            syslog_name: "postfix".to_owned(),
            destination: Destination::Syslog,
            facility: Facility::MAIL,
            permissions: 0o600,
            format: Format::Postfix,
            host: String::new(),
            postlog_socket: PathBuf::new(),
            has_utf8: true,
            wait_limit: own::MAILLOG_WAIT_LIMIT.default,
        };
        Self::with(program, &settings)
    }

    /// As main.cf says; where its settings for the log cannot be used, as [`Self::early`].
    #[must_use]
    pub fn new(program: &'static str, values: &Values) -> Self {
        match LogSettings::load(values) {
            Ok(settings) => Self::with(program, &settings),
            Err(_) => Self::early(program),
        }
    }

    fn with(program: &'static str, settings: &LogSettings) -> Self {
        // postfix(1) alone uses its bare name.
        let tag = if program == settings.syslog_name { program.to_owned() } else { settings.tag(program) };
        let sink = LogSink::open(settings).unwrap_or_else(|_| LogSink::to_syslog(settings));
        Self { program, logger: Logger::new(Rc::new(sink), &tag, std::process::id()) }
    }

    /// The same under another name on standard error: that which the program was called by.
    #[must_use]
    pub fn called(self, program: &'static str) -> Self {
        Self { program, ..self }
    }

    /// The name on standard error.
    #[must_use]
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// For the log alone.
    pub fn log(&self, severity: Severity, text: &str) {
        self.logger.write(severity, text);
    }

    /// For what logs by itself.
    #[must_use]
    pub fn logger(&self) -> Logger {
        self.logger.clone()
    }

    /// To both.
    pub fn say(&self, severity: Severity, text: &str) {
        eprintln!("{}: {}{text}", self.program, severity.prefix());
        self.log(severity, text);
    }

    /// What ends the command.
    pub fn fatal(&self, text: &str) {
        self.say(Severity::Fatal, text);
    }

    /// What the command goes on after.
    pub fn warning(&self, text: &str) {
        self.say(Severity::Warning, text);
    }
}
