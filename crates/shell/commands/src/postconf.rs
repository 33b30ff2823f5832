//! postconf: shows the configuration (postconf(1)).
//!
//! # Diagnostics
//! Warnings and what ends the command go to standard error in Postfix's words; the exit code is 0, or 1 after `fatal:`.

use std::{
    ffi::OsString,
    io::ErrorKind,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use config::{About, Environment, Host, MainCf, Namespace, Sources, Values, WrittenRow};
use config_files::reason;

mod edit;
mod fields;
mod kinds;
mod line;
mod main_cf;
mod options;
mod services;
mod templates;
mod terminal;
mod view;

use options::{Mode, Options};
use terminal::Terminal;
use view::View;

/// What ends the command: the text behind `fatal: `.
pub(crate) struct Fatal(String);

impl Fatal {
    /// Everything has been said.
    fn silent() -> Self {
        Self(String::new())
    }
}

impl From<String> for Fatal {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// As if killed by the signal for a pipe that nobody reads any more.
const BROKEN_PIPE: i32 = 128 + 13;

pub(crate) fn main(args: &[OsString]) -> i32 {
    let program = std::env::args_os()
        .next()
        .map_or_else(|| "postconf".to_owned(), |name| config::decode(name.as_bytes()));
    let mut terminal = Terminal::new(program);
    let args: Vec<String> = args.iter().map(|arg| config::decode(arg.as_bytes())).collect();
    let result = run(&args, &mut terminal);
    if let Err(Fatal(text)) = result {
        terminal.spill();
        if !text.is_empty() {
            terminal.error("fatal: ", &text);
        }
        return 1;
    }
    terminal.flush();
    match terminal.take_failure() {
        None => 0,
        Some(error) if error.kind() == ErrorKind::BrokenPipe => BROKEN_PIPE,
        Some(error) => {
            terminal.error("fatal: ", &format!("write to standard output: {}", reason(&error)));
            1
        }
    }
}

fn run(args: &[String], terminal: &mut Terminal) -> Result<(), Fatal> {
    let options = Options::parse(args, terminal)?;
    if options.has(Mode::EXPANDED_TEMPLATES.and(Mode::TEMPLATES)) {
        return templates::show(&options, terminal);
    }
    if options.has(Mode::MAPS) {
        Loaded::main_alone(&options, terminal)?;
        kinds::tables(terminal);
        return Ok(());
    }
    if options.has(Mode::LOCKS) {
        kinds::locks(terminal);
        return Ok(());
    }
    // Nobody can log in, so that there are no plug-ins, as of a Postfix that is built without SASL.
    if options.has(Mode::SASL_SERVER.and(Mode::SASL_CLIENT)) {
        return Ok(());
    }
    if options.has(Mode::TLS) {
        return kinds::tls(tls::LIBRARY, &options.tls, terminal);
    }
    if options.has(options::CHANGES) {
        return edit::run(&options, terminal);
    }
    let loaded = Loaded::read(&options, terminal)?;
    let view = loaded.view(&options);
    if options.has(Mode::ANY_MASTER) {
        services::show(&view, &options, terminal)?;
    } else {
        main_cf::show(&view, &options, terminal)?;
    }
    let mut deprecated = false;
    if !options.has(Mode::DEFAULTS) {
        terminal.flush();
        deprecated |= !options.has(Mode::ANY_MASTER) && view.flag_unused_main(terminal);
        deprecated |= view.flag_unused_services(terminal);
    }
    if deprecated {
        terminal.warn("See https://www.postfix.org/DEPRECATION_README.html for details");
    }
    Ok(())
}

/// The configuration as postconf reads it: wrong values do not matter here.
struct Loaded {
    directory: String,
    values: Values,
    rows: Vec<WrittenRow>,
    names: Namespace,
}

impl Loaded {
    /// main.cf, for who needs nothing else.
    fn main_alone(options: &Options, terminal: &Terminal) -> Result<MainCf, Fatal> {
        let path = config_files::directory(options.directory().as_deref());
        let paths = config_files::paths(&path);
        let preset = [("config_directory", paths.directory.as_str())];
        Self::main(&path, &paths.main_cf(), &preset, options, terminal)
    }

    fn read(options: &Options, terminal: &Terminal) -> Result<Self, Fatal> {
        let asked = options.directory().or_else(|| std::env::var_os("MAIL_CONFIG"));
        let path = PathBuf::from(asked.clone().unwrap_or_else(|| config_files::DEFAULT_DIRECTORY.into()));
        let paths = config_files::paths(&path);
        let master_first = options.has(Mode::ANY_MASTER);
        let mut rows = Vec::new();
        if master_first {
            rows = Self::rows(&path, &paths.master_cf(), master_first, terminal)?;
        }
        let main = if options.has(Mode::DEFAULTS) {
            MainCf::default()
        } else {
            let preset = asked.map(|_| ("config_directory", paths.directory.as_str()));
            Self::main(&path, &paths.main_cf(), preset.as_slice(), options, terminal)?
        };
        if !master_first {
            rows = Self::rows(&path, &paths.master_cf(), master_first, terminal)?;
        }
        let values = Values::of_main(
            main,
            config_files::environment_without_interfaces(),
            config_files::DEFAULT_DIRECTORY,
        );
        let names = if options.has(Mode::DEFAULTS) {
            Namespace::of_defaults(&rows, &ThisHost)
        } else {
            Namespace::of(&Sources {
                main: values.main_cf(),
                rows: &rows,
                values: &values,
                host: Some(&ThisHost),
            })
        };
        for finding in &names.findings {
            let file = if finding.row.is_some() { "master.cf" } else { "main.cf" };
            let row = finding.row.and_then(|row| rows.get(row)).filter(|_| finding.about == About::Braces);
            let service = row.map_or_else(String::new, |row| format!(":{}", row.name_space()));
            match finding.about {
                About::Syntax => terminal.warn(&finding.text),
                _ => terminal.warn(&format!("{}/{file}{service}: {}", paths.directory, finding.text)),
            }
        }
        if let Some(fatal) = names.fatal {
            return Err(Fatal(fatal));
        }
        for (database, path) in &names.clients {
            database_client(database, path, options, terminal)?;
        }
        Ok(Self { directory: paths.directory, values, rows, names })
    }

    fn main(
        path: &std::path::Path,
        file: &str,
        preset: &[(&str, &str)],
        options: &Options,
        terminal: &Terminal,
    ) -> Result<MainCf, Fatal> {
        let text = config_files::read_main(path).map_err(|trouble| trouble.to_string())?;
        let (mut main, invalid) = MainCf::read(file, &text, preset);
        for warning in &main.warnings {
            warn_about_line(terminal, file, warning);
        }
        if let Some(invalid) = invalid {
            return Err(Fatal(invalid.text));
        }
        for setting in &options.overrides {
            let (name, value) = config::split_name_value(setting)
                .map_err(|why| format!("invalid parameter override: {setting}: {why}"))?;
            main.set(name, value);
        }
        Ok(main)
    }

    fn rows(
        path: &std::path::Path,
        file: &str,
        required: bool,
        terminal: &Terminal,
    ) -> Result<Vec<WrittenRow>, Fatal> {
        let text = match config_files::read(path, "master.cf") {
            Ok(text) => text,
            Err(trouble) if required => return Err(Fatal(trouble.to_string())),
            Err(trouble) => {
                terminal.warn(&trouble.to_string());
                return Ok(Vec::new());
            }
        };
        let read = WrittenRow::read(file, &text);
        for warning in &read.warnings {
            warn_about_line(terminal, file, warning);
        }
        read.invalid.map_or(Ok(read.rows), |invalid| Err(Fatal(invalid.text)))
    }

    fn view<'a>(&'a self, options: &'a Options) -> View<'a> {
        View {
            directory: &self.directory,
            values: &self.values,
            rows: &self.rows,
            names: &self.names,
            options,
        }
    }
}

/// Asks this machine.
struct ThisHost;

impl Host for ThisHost {
    fn hostname(&self) -> String {
        config_files::environment_without_interfaces().hostname
    }

    fn environment(&self, names: Vec<String>) -> Environment {
        let mut environment = config_files::environment();
        config_files::resolve(&mut environment, names);
        environment
    }
}

/// Warns about what the client file of a database should not say. A file that may not be read is not complained about: it may
/// hold passwords.
fn database_client(database: &str, path: &str, options: &Options, terminal: &Terminal) -> Result<(), Fatal> {
    let trouble = |why: &str| terminal.warn(&format!("open \"{database}\" configuration \"{path}\": {why}"));
    let name = file_name(path);
    let text = match std::fs::metadata(&name)
        .and_then(|metadata| if metadata.is_file() { std::fs::read(&name).map(Some) } else { Ok(None) })
    {
        Ok(Some(text)) => text,
        Ok(None) => {
            trouble("not a regular file");
            return Ok(());
        }
        Err(error) => {
            if error.kind() != std::io::ErrorKind::PermissionDenied {
                trouble(&reason(&error));
            }
            return Ok(());
        }
    };
    let (client, invalid) = MainCf::read(path, &text, &[]);
    for warning in &client.warnings {
        warn_about_line(terminal, path, warning);
    }
    if let Some(invalid) = invalid {
        return Err(Fatal(invalid.text));
    }
    if options.warn_unused {
        for entry in client.effective().filter(|entry| !config::is_client_parameter(database, &entry.name)) {
            terminal.warn(&format!("{database}:{path}: unused parameter: {}={}", entry.name, entry.value));
        }
    }
    Ok(())
}

/// A path as the system knows it.
fn file_name(path: &str) -> OsString {
    OsString::from_vec(config::encode(path))
}

/// Warnings about logical lines name the line, warnings about whole rows or missing text do not.
fn warn_about_line(terminal: &Terminal, file: &str, warning: &config::Report) {
    let about_line = warning.file == file && !warning.text.starts_with("logical line");
    if about_line {
        terminal.warn(&format!("{file}, line {}: {}", warning.lines(), warning.text));
    } else {
        terminal.warn(&format!("{}: {}", warning.file, warning.text));
    }
}
