//! postmap(1), and what postalias(1) has in common with it: building, querying and listing table files.
//!
//! # Diagnostics
//! Warnings about lines of a table name the file and the line. What ends the command is `fatal:` on standard error, and
//! exit code 1, as is a query or deletion that finds nothing. Postfix's words are kept; where it does not say what to
//! do, a half-sentence is added. All of it goes to the log, too.

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell},
    ffi::OsString,
    io::Write as _,
    rc::Rc,
};

use config::{Values, params as p};
use logsink::{LogSettings, LogSink};
use maillog::{Line, Logger, Severity, Sink};
use message::MimeLimits;
use tables::Redirect;

mod create;
mod options;
mod progress;
mod proxy;
mod query;
mod streams;
mod waiting;

pub(crate) use options::Tool;
use options::{Job, Request};

/// What ends the command: the text behind `fatal: `.
pub(crate) struct Fatal(pub(crate) String);

impl From<tables::OpenError> for Fatal {
    fn from(error: tables::OpenError) -> Self {
        Self(error.to_string())
    }
}

/// Standard error under the program's name, and the log once the configuration says where that is.
#[derive(Clone)]
pub(crate) struct Console {
    name: &'static str,
    log: Rc<OnceCell<Logger>>,
    /// A line that is not done stands on the terminal.
    unfinished: Rc<Cell<bool>>,
}

/// Clears the line on which the cursor of a terminal is.
const CLEAR: &str = "\r\x1b[K";

impl Console {
    fn new(tool: Tool) -> Self {
        // The program also runs under other names; messages are the tool's.
        Self { name: tool.name(), log: Rc::default(), unfinished: Rc::default() }
    }

    fn open_log(&self, values: &Values) {
        let opened = LogSettings::load(values).ok().and_then(|settings| {
            let sink = LogSink::open(&settings).ok()?;
            Some(Logger::new(Rc::new(sink), &settings.tag(self.name), std::process::id()))
        });
        if let Some(log) = opened {
            // Opened once, when the configuration has been read.
            let _ = self.log.set(log);
        }
    }

    pub(crate) fn say(&self, severity: Severity, text: &str) {
        self.show(severity, text);
        if let Some(log) = self.log.get() {
            log.write(severity, text);
        }
    }

    fn show(&self, severity: Severity, text: &str) {
        // Nobody can be told that standard error is gone.
        let text = maillog::printable(text.as_bytes());
        let (clear, name) = (self.clear(), self.name);
        let _ = writeln!(std::io::stderr().lock(), "{clear}{name}: {}{text}", severity.prefix());
    }

    /// What removes an unfinished line.
    fn clear(&self) -> &'static str {
        if self.unfinished.take() { CLEAR } else { "" }
    }

    /// Shows a line that the next one replaces, on a terminal.
    fn show_unfinished(&self, text: &str) {
        let clear = self.clear();
        self.unfinished.set(!text.is_empty());
        let _ = write!(std::io::stderr().lock(), "{clear}{text}");
    }

    pub(crate) fn warn(&self, text: &str) {
        self.say(Severity::Warning, text);
    }

    /// For tables that log.
    fn logger(&self) -> Logger {
        Logger::new(Rc::new(self.clone()), self.name, std::process::id())
    }
}

impl Sink for Console {
    fn write(&self, line: Line<'_>) {
        self.say(line.severity, line.text);
    }
}

/// A run of the tool, with its configuration read.
pub(crate) struct Run {
    tool: Tool,
    request: Request,
    console: Console,
    options: tables::Options,
    default_type: String,
    values: Values,
    /// What stands in for hash and btree.
    redirect: Option<Redirect>,
    /// `header_size_limit` and the limits of MIME structure, for `-h`, `-b` and `-m`.
    scanner: (usize, MimeLimits),
}

impl Run {
    fn new(tool: Tool, request: Request, console: Console, values: &Values) -> Self {
        let sink = console.clone();
        let header_or_body = request.header_keys || request.body_keys;
        let utf8 = request.utf8 && values.bool(p::smtputf8_enable) && (!header_or_body || request.force_utf8);
        let options = tables::Options {
            fold: request.fold,
            utf8,
            rhs_is_file: request.rhs_is_file,
            duplicates: request.duplicates,
            nulls: request.nulls,
            substitution: true,
            warn: Rc::new(move |text| sink.warn(text)),
        };
        let default_type = values.text(p::default_database_type).to_owned();
        let limit = |id| usize::try_from(values.int(id)).unwrap_or(usize::MAX);
        let mime = MimeLimits {
            mime_nesting_limit: limit(p::mime_nesting_limit),
            mime_boundary_length_limit: limit(p::mime_boundary_length_limit),
        };
        let scanner = (limit(p::header_size_limit), mime);
        let redirect = Redirect::load(values);
        Self { tool, request, console, options, default_type, values: values.clone(), redirect, scanner }
    }

    /// Splits `type:path`; a path alone is of the default type.
    fn table<'a>(&'a self, argument: &'a str) -> Result<(Cow<'a, str>, &'a str), Fatal> {
        let (map_type, path) = argument.split_once(':').unwrap_or((&self.default_type, argument));
        let Some(redirect) = self.redirect.as_ref().filter(|_| Redirect::is_legacy(map_type)) else {
            return Ok((Cow::Borrowed(map_type), path));
        };
        let target = redirect.target(map_type, path, &self.options)?;
        if redirect.is_logged {
            self.console.say(Severity::Info, &format!("redirecting {map_type}:{path} to {target}:{path}"));
        }
        Ok((Cow::Owned(target), path))
    }
}

pub(crate) fn main(args: &[OsString]) -> i32 {
    run(Tool::Postmap, args)
}

/// Runs either tool.
pub(crate) fn run(tool: Tool, args: &[OsString]) -> i32 {
    let console = Console::new(tool);
    match run_or_fail(tool, args, &console) {
        Ok(code) => code,
        Err(Fatal(text)) => {
            console.say(Severity::Fatal, &text);
            1
        }
    }
}

fn run_or_fail(tool: Tool, args: &[OsString], console: &Console) -> Result<i32, Fatal> {
    let request = options::parse(tool, args, console)?;
    let directory = config_files::directory(request.config_directory.as_deref());
    let configuration = config_files::load_main(&directory).map_err(|trouble| Fatal(trouble.to_string()))?;
    console.open_log(configuration.values());
    let run = Run::new(tool, request, console.clone(), configuration.values());
    let found = match &run.request.job {
        Job::Query(key) if key == b"-" => query::bulk(&run)?,
        Job::Query(key) => query::one(&run, key)?,
        Job::List => query::list(&run)?,
        Job::Delete(key) => create::delete(&run, key)?,
        Job::Update => create::update(&run)?,
        Job::Create => create::create(&run)?,
    };
    Ok(if found { 0 } else { 1 })
}
