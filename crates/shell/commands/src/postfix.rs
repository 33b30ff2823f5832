//! postfix(1): starts, stops and looks after the mail system.
//!
//! The meaning, bounds, texts and exit codes are those of Postfix's own postfix-script. Texts go to the log and, when
//! standard error is a terminal, there too; what ends the command goes there always.
//!
//! Root may do all this; so may the owner of the queue directory, for a system that runs as a normal user.

mod check;
mod logrotate;
mod plugins;

use config::{Configuration, Values, params as p};
use logsink::{LogSettings, LogSink};
use maillog::{Logger, Severity, Sink};
use std::{
    ffi::OsString,
    fs,
    io::IsTerminal,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
    time::Duration,
};
use sys::{
    credentials,
    lock::PidFile,
    process::{Kill, signal_group, signal_process},
};

pub(crate) use check::make_directories;

/// A message that ends the command with exit code 1.
pub(crate) struct Fatal(pub(crate) String);

type Outcome = Result<i32, Fatal>;

/// The last level at which a default changed.
const LAST_COMPATIBILITY_LEVEL: &str = "3.11";

const COMMANDS: &str = "start (or stop, reload, abort, flush, check, status, set-permissions, upgrade-configuration, \
                        logrotate, tls, non-bdb)";

pub(crate) fn main(args: &[OsString]) -> i32 {
    let (directory, words) = match options(args) {
        Ok(options) => options,
        Err(why) => return early_fatal(&why),
    };
    let system = match System::open(&directory) {
        Ok(system) => system,
        Err(why) => return early_fatal(&why),
    };
    let outcome = system.may_be_run_by_us().and_then(|()| {
        system.note_old_defaults();
        system.run(&words)
    });
    outcome.unwrap_or_else(|Fatal(why)| {
        system.log.write(Severity::Fatal, &why);
        eprintln!("postfix/postfix-script: fatal: {why}");
        1
    })
}

fn early_fatal(why: &str) -> i32 {
    eprintln!("postfix: fatal: {why}");
    1
}

fn options(args: &[OsString]) -> Result<(PathBuf, Vec<String>), String> {
    let mut directory = None;
    let mut words = args.iter();
    let usage = || "usage: postfix [-c config_dir] [-Dv] command".to_owned();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("-c") => directory = Some(words.next().ok_or_else(usage)?.clone()),
            Some("-v" | "-D" | "-vv") => {}
            Some(option) if option.starts_with('-') => return Err(usage()),
            _ => {
                let mut rest = vec![word.to_string_lossy().into_owned()];
                rest.extend(words.map(|word| word.to_string_lossy().into_owned()));
                return Ok((checked(directory.as_ref())?, rest));
            }
        }
    }
    Ok((checked(directory.as_ref())?, Vec::new()))
}

fn checked(directory: Option<&OsString>) -> Result<PathBuf, String> {
    if directory.is_some_and(|directory| !Path::new(directory).is_absolute()) {
        return Err("-c requires absolute pathname".to_owned());
    }
    Ok(config_files::directory(directory.map(OsString::as_os_str)))
}

/// A mail system, running or not.
pub(crate) struct System {
    pub(crate) directory: PathBuf,
    pub(crate) configuration: Configuration,
    pub(crate) log: Logger,
    /// The log under the program's own name.
    own_log: Logger,
}

impl System {
    pub(crate) fn open(directory: &Path) -> Result<Self, String> {
        let configuration = config_files::load(directory).map_err(|trouble| trouble.to_string())?;
        let settings = LogSettings::load(configuration.values()).map_err(|invalid| invalid.to_string())?;
        let sink = LogSink::open(&settings).map_err(|error| format!("log: {error}"))?;
        let sink: Rc<dyn Sink> = Rc::new(sink);
        let log = |name| Logger::new(Rc::clone(&sink), &settings.tag(name), std::process::id());
        let (log, own_log) = (log("postfix-script"), log("postfix"));
        Ok(Self { directory: directory.to_owned(), configuration, log, own_log })
    }

    pub(crate) fn values(&self) -> &Values {
        self.configuration.values()
    }

    pub(crate) fn queue_directory(&self) -> PathBuf {
        PathBuf::from(self.values().text(p::queue_directory))
    }

    fn may_be_run_by_us(&self) -> Result<(), Fatal> {
        let ours = |path: &Path| fs::metadata(path).is_ok_and(|facts| facts.uid() == credentials::real_uid());
        if credentials::real_uid() == 0 || ours(&self.queue_directory()) {
            return Ok(());
        }
        eprintln!("postfix: error: to submit mail, use the Postfix sendmail command");
        Err(Fatal(
            "the postfix command is reserved for the superuser and the owner of the queue directory"
                .to_owned(),
        ))
    }

    /// Alerts administrators whose settings mean what they meant in an older version.
    fn note_old_defaults(&self) {
        let level = self.values().text(p::compatibility_level);
        if config::compatibility_level(level) < config::compatibility_level(LAST_COMPATIBILITY_LEVEL) {
            let lines = [
                "Postfix is using backwards-compatible default settings",
                "See https://www.postfix.org/COMPATIBILITY_README.html for details",
                &format!(
                    "To disable backwards compatibility use \"postconf compatibility_level={LAST_COMPATIBILITY_LEVEL}\" \
                     and \"postfix reload\""
                ),
            ];
            for line in lines {
                self.own_log.write(Severity::Info, line);
                if std::io::stderr().is_terminal() {
                    eprintln!("postfix: {line}");
                }
            }
        }
    }

    fn info(&self, text: &str) {
        self.log.write(Severity::Info, text);
        if std::io::stderr().is_terminal() {
            eprintln!("postfix/postfix-script: {text}");
        }
    }

    pub(crate) fn warning(&self, text: &str) {
        self.log.warning(text);
        if std::io::stderr().is_terminal() {
            eprintln!("postfix/postfix-script: warning: {text}");
        }
    }

    fn pid_file(&self) -> PathBuf {
        self.queue_directory().join(self.values().text(p::process_id_directory)).join("master.pid")
    }

    /// The number of the running master.
    pub(crate) fn master(&self) -> Result<Option<u32>, Fatal> {
        let file = self.pid_file();
        PidFile::holder(&file)
            .map_err(|error| Fatal(format!("{}: {}", file.display(), config_files::reason(&error))))
    }

    fn running(&self) -> Result<u32, Fatal> {
        self.master()?.ok_or_else(|| Fatal("the Postfix mail system is not running".to_owned()))
    }

    fn run(&self, words: &[String]) -> Outcome {
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["start"] => self.start(false),
            ["start-fg"] => self.start(true),
            ["stop"] => self.stop(),
            ["quick-stop"] => self.quick_stop(),
            ["abort"] => {
                let pid = self.running()?;
                self.info("aborting the Postfix mail system");
                kill(pid, Kill::Terminate)
            }
            ["drain"] => {
                let pid = self.running()?;
                self.info("stopping the Postfix mail system");
                kill(pid, Kill::Kill)
            }
            ["reload"] => {
                let pid = self.running()?;
                self.report();
                self.info("refreshing the Postfix mail system");
                kill(pid, Kill::Hangup)
            }
            ["flush"] => self.flush(),
            ["status"] => self.status(),
            ["check"] => {
                self.check_fatal()?;
                check::warn(self);
                Ok(0)
            }
            ["logrotate"] => logrotate::rotate(self),
            ["logrotate", ..] => Err(Fatal("usage postfix logrotate (no arguments)".to_owned())),
            ["set-permissions", ..] => {
                make_directories(self, true)?;
                Ok(0)
            }
            // Our configuration is always complete: what a file does not say has its default.
            ["upgrade-configuration", ..] => Ok(0),
            other => {
                let command = other.first().copied().unwrap_or_default();
                Err(Fatal(format!("unknown command: '{command}'. Usage: postfix {COMMANDS}")))
            }
        }
    }

    fn start(&self, foreground: bool) -> Outcome {
        if self.master()?.is_some() {
            return Err(Fatal("the Postfix mail system is already running".to_owned()));
        }
        let quick = self.queue_directory().join("quick-start");
        if fs::remove_file(quick).is_err() {
            self.check_fatal().map_err(|Fatal(why)| {
                self.log.write(Severity::Fatal, &why);
                eprintln!("postfix/postfix-script: fatal: {why}");
                Fatal("Postfix integrity check failed!".to_owned())
            })?;
            check::warn(self);
        }
        if foreground && !self.values().list(p::multi_instance_directories).is_empty() {
            return Err(Fatal("start-fg does not support multi_instance_directories".to_owned()));
        }
        self.info("starting the Postfix mail system");
        let mut master = Command::new(sys::spawn::own_program());
        master.arg0("master").arg("-c").arg(&self.directory);
        if foreground {
            let is_first = std::process::id() == 1;
            let error = master.arg(if is_first { "-i" } else { "-s" }).exec();
            return Err(Fatal(format!("cannot start-fg the master daemon: {error}")));
        }
        let started = master.arg("-w").status();
        if started.is_ok_and(|status| status.success()) {
            return Ok(0);
        }
        Err(Fatal("mail system startup failed".to_owned()))
    }

    fn stop(&self) -> Outcome {
        let pid = self.running()?;
        self.info("stopping the Postfix mail system");
        kill(pid, Kill::Terminate)?;
        for _ in 0..5 {
            // Most systems end in milliseconds; a second each is the bound.
            for _ in 0..20 {
                if self.master()?.is_none() {
                    return Ok(0);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            self.info("waiting for the Postfix mail system to terminate");
        }
        self.warning("stopping the Postfix mail system with force");
        if let Some(pid) = self.master()? {
            signal_group(pid, Kill::Kill).map_err(|error| Fatal(format!("kill: {error}")))?;
        }
        Ok(0)
    }

    fn quick_stop(&self) -> Outcome {
        // As in Postfix: the next start skips its checks, whatever became of the stop.
        if let Err(Fatal(why)) = self.stop() {
            self.log.write(Severity::Fatal, &why);
            eprintln!("postfix/postfix-script: fatal: {why}");
        }
        let file = self.queue_directory().join("quick-start");
        fs::write(&file, "").map_err(|error| Fatal(format!("{}: {error}", file.display())))?;
        Ok(0)
    }

    fn flush(&self) -> Outcome {
        let mut command = Command::new(submit::set_gid_program("postqueue", self.values()));
        let error = command.arg0("postqueue").arg("-c").arg(&self.directory).arg("-f").exec();
        Err(Fatal(format!("cannot execute postqueue: {error}")))
    }

    fn status(&self) -> Outcome {
        match self.master()? {
            Some(pid) => {
                self.info(&format!("the Postfix mail system is running: PID: {pid}"));
                Ok(0)
            }
            None => {
                self.info("the Postfix mail system is not running");
                Ok(1)
            }
        }
    }

    /// Says everything there is to say about the configuration.
    fn report(&self) {
        for report in self.configuration.reports() {
            eprintln!("postfix: {report}");
        }
        for text in plugins::warnings(self) {
            eprintln!("postfix: warning: {text}");
        }
    }

    fn check_fatal(&self) -> Result<(), Fatal> {
        make_directories(self, false)?;
        self.report();
        let worst = self.configuration.reports().into_iter().find(|r| r.severity == config::Severity::Fatal);
        if let Some(worst) = worst {
            return Err(Fatal(format!("{}: {}", worst.file, worst.text)));
        }
        let services = self.configuration.master_cf();
        if !self.values().text(p::maillog_file).is_empty()
            && services.service("postlog", config::ServiceType::UnixDgram).is_none()
        {
            return Err(Fatal(
                "missing 'postlog' service in master.cf - run 'postfix upgrade-configuration'".to_owned(),
            ));
        }
        Ok(())
    }
}

fn kill(pid: u32, signal: Kill) -> Outcome {
    signal_process(pid, signal).map(|()| 0).map_err(|error| Fatal(format!("kill {pid}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_directory_is_absolute_and_the_command_comes_last() {
        let parse = |words: &[&str]| options(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(parse(&["-c", "/x", "-v", "stop"]), Ok(("/x".into(), vec!["stop".to_owned()])));
        assert_eq!(parse(&["-c", "x", "stop"]), Err("-c requires absolute pathname".to_owned()));
        assert!(parse(&["-z", "stop"]).is_err());
        assert!(parse(&["-c"]).is_err());
    }
}
