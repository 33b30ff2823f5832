//! postfix(1): starts, stops and looks after the mail system.
//!
//! The meaning, bounds, texts and exit codes are those of Postfix's own postfix-script. Texts go to the log and, when
//! standard error is a terminal, there too; what ends the command goes there always.
//!
//! Root may do all this; so may the owner of the queue directory, for a system that runs as a normal user.

mod check;
mod directories;
mod installed;
mod logrotate;
mod non_bdb;
mod plugins;
mod reindex;
mod upgrade;
mod upkeep;

use crate::getopt::GetOpt;
use config::{Configuration, Values, params as p};
use logsink::{Diagnostics, LogSettings, LogSink};
use maillog::{Logger, Severity};
use std::{
    ffi::OsString,
    fs,
    io::IsTerminal,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    rc::Rc,
    time::Duration,
};
use sys::{
    credentials,
    lock::PidFile,
    process::{Kill, signal_group, signal_process},
};

pub(crate) use directories::make_directories;

/// A message that ends the command with exit code 1; empty when everything has been said.
pub(crate) struct Fatal(pub(crate) String);

type Outcome = Result<i32, Fatal>;

/// The last level at which a default changed.
const LAST_COMPATIBILITY_LEVEL: &str = "3.11";

const COMMANDS: &str = "start (or stop, reload, abort, flush, check, status, set-permissions, upgrade-configuration, \
                        logrotate, tls, non-bdb)";

pub(crate) fn main(args: &[OsString]) -> i32 {
    let early = Diagnostics::early("postfix");
    let opened = options(args).and_then(|options| System::open(&options.directory).map(|it| (it, options)));
    let is_allowed = match &opened {
        Ok((system, _)) => system.may_be_run_by_us(),
        // Whoever has no mail system here has no use for the reason.
        Err(_) => System::open(&config_files::directory(None)).is_ok_and(|it| it.may_be_run_by_us()),
    };
    if credentials::real_uid() != 0 && !is_allowed {
        early.say(Severity::Error, "to submit mail, use the Postfix sendmail command");
        early.fatal("the postfix command is reserved for the superuser");
        return 1;
    }
    let (mut system, Options { words, .. }) = match opened {
        Ok(opened) => opened,
        Err(why) => {
            early.fatal(&why);
            return 1;
        }
    };
    system.note_old_defaults();
    system.run(&words).unwrap_or_else(|Fatal(why)| {
        if !why.is_empty() {
            system.fatal(&why);
        }
        1
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    directory: PathBuf,
    words: Vec<String>,
}

fn options(args: &[OsString]) -> Result<Options, String> {
    let mut directory = None;
    let mut given = GetOpt::new("postfix", "c:Dv", args);
    while let Some(option) = given.next_option() {
        let usage = |()| "usage: postfix [-c config_dir] [-Dv] command".to_owned();
        match option.map_err(usage)? {
            ('c', value) if !Path::new(&value).is_absolute() => {
                return Err("-c requires absolute pathname".to_owned());
            }
            ('c', value) => directory = Some(value),
            // -D runs daemons under a debugger; -v makes them say more than there is to say here.
            _ => {}
        }
    }
    let words = given.operands().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    Ok(Options { directory: config_files::directory(directory.as_deref()), words })
}

/// A mail system, running or not.
pub(crate) struct System {
    pub(crate) directory: PathBuf,
    /// main.cf; master.cf is read by what needs it, so that a broken one can be stopped.
    pub(crate) configuration: Configuration,
    pub(crate) log: Logger,
}

impl System {
    pub(crate) fn open(directory: &Path) -> Result<Self, String> {
        let configuration = config_files::load_main(directory).map_err(|trouble| trouble.to_string())?;
        let settings = LogSettings::load(configuration.values()).map_err(|invalid| invalid.to_string())?;
        let sink = LogSink::open(&settings).map_err(|error| format!("log: {error}"))?;
        let log = Logger::new(Rc::new(sink), &settings.tag("postfix-script"), std::process::id());
        Ok(Self { directory: directory.to_owned(), configuration, log })
    }

    pub(crate) fn values(&self) -> &Values {
        self.configuration.values()
    }

    pub(crate) fn queue_directory(&self) -> PathBuf {
        PathBuf::from(self.values().text(p::queue_directory))
    }

    fn may_be_run_by_us(&self) -> bool {
        let ours = |path: &Path| fs::metadata(path).is_ok_and(|facts| facts.uid() == credentials::real_uid());
        credentials::real_uid() == 0 || ours(&self.queue_directory())
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
            let diagnostics = Diagnostics::new("postfix", self.values());
            lines.iter().for_each(|line| diagnostics.say(Severity::Info, line));
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

    fn fatal(&self, text: &str) {
        self.log.write(Severity::Fatal, text);
        eprintln!("postfix/postfix-script: fatal: {text}");
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

    fn run(&mut self, words: &[String]) -> Outcome {
        let verb = words.first().map(String::as_str).unwrap_or_default();
        match verb {
            "start" => self.start(false),
            "start-fg" => self.start(true),
            "stop" => self.stop(),
            "quick-stop" => self.quick_stop(),
            "abort" => {
                let pid = self.running()?;
                self.info("aborting the Postfix mail system");
                kill(pid, Kill::Terminate)
            }
            "drain" => {
                let pid = self.running()?;
                self.info("stopping the Postfix mail system");
                kill(pid, Kill::Kill)
            }
            "reload" => self.reload(),
            "flush" => self.flush(),
            "status" => self.status(),
            "check" => {
                self.check_fatal()?;
                check::warn(self);
                Ok(0)
            }
            // Alone among them it wants to be called as it is meant.
            "logrotate" if words.len() > 1 => Err(Fatal("usage postfix logrotate (no arguments)".to_owned())),
            "logrotate" => logrotate::rotate(self),
            "set-permissions" | "upgrade-configuration" => upkeep::run(self, words),
            "post-install" => upkeep::run(self, words.get(1..).unwrap_or_default()),
            "non-bdb" => non_bdb::run(self, words.get(1..).unwrap_or_default()),
            other => Err(Fatal(format!("unknown command: '{other}'. Usage: postfix {COMMANDS}"))),
        }
    }

    fn start(&mut self, foreground: bool) -> Outcome {
        if self.master()?.is_some() {
            return Err(Fatal("the Postfix mail system is already running".to_owned()));
        }
        let quick = self.queue_directory().join("quick-start");
        if fs::remove_file(quick).is_err() {
            if let Err(Fatal(why)) = self.check_fatal() {
                if !why.is_empty() {
                    self.fatal(&why);
                }
                return Err(Fatal("Postfix integrity check failed!".to_owned()));
            }
            check::warn(self);
        }
        self.reindex();
        self.info("starting the Postfix mail system");
        if foreground && !self.values().list(p::multi_instance_directories).is_empty() {
            return Err(Fatal("start-fg does not support multi_instance_directories".to_owned()));
        }
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

    fn reload(&mut self) -> Outcome {
        let pid = self.running()?;
        self.report();
        self.reindex();
        self.info("refreshing the Postfix mail system");
        self.repair(&["active"])?;
        kill(pid, Kill::Hangup)?;
        // The other queues in their own time: nobody waits for it.
        let _ = self.postsuper(&[]).stdin(Stdio::null()).spawn();
        Ok(0)
    }

    /// Makes the tables that stand in for Berkeley DB ones, where that is wanted.
    fn reindex(&self) {
        if self.values().text(p::non_bdb_migration_level).eq_ignore_ascii_case("enable-reindex") {
            reindex::all(self);
        }
    }

    /// Puts the changed text of main.cf or master.cf in the place of the old one.
    fn edit(
        &self,
        name: &str,
        change: impl FnOnce(&str, &[u8]) -> Result<Vec<u8>, String>,
    ) -> Result<(), Fatal> {
        let path = self.directory.join(name);
        let shown = path.display().to_string();
        config_files::edit(&path, &shown, |text| change(&shown, text)).map_err(Fatal)
    }

    fn postsuper(&self, queues: &[&str]) -> Command {
        let mut command = Command::new(sys::spawn::own_program());
        command.arg0("postsuper").arg("-c").arg(&self.directory).args(queues);
        command
    }

    /// Puts what is in the wrong place right, and removes old unfinished files. It has said what is wrong.
    fn repair(&self, queues: &[&str]) -> Result<(), Fatal> {
        let ended = self.postsuper(queues).status();
        if ended.is_ok_and(|status| status.success()) {
            return Ok(());
        }
        Err(Fatal(String::new()))
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
            self.fatal(&why);
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

    fn check_fatal(&mut self) -> Result<(), Fatal> {
        make_directories(self, false)?;
        let master_cf = self.directory.join("master.cf");
        if !master_cf.is_file() {
            return Err(Fatal(format!("no {} file found", master_cf.display())));
        }
        self.configuration =
            config_files::load(&self.directory).map_err(|trouble| Fatal(trouble.to_string()))?;
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
        self.repair(&[])
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
        let check = |words: &[&str], directory: &str, command: &[&str]| {
            let words_after = command.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(parse(words), Ok(Options { directory: directory.into(), words: words_after }));
        };
        check(&["-c", "/x", "-v", "stop"], "/x", &["stop"]);
        check(&["-vDc/x", "stop", "-x"], "/x", &["stop", "-x"]);
        assert_eq!(parse(&["-c", "x", "stop"]), Err("-c requires absolute pathname".to_owned()));
        assert!(parse(&["-z", "stop"]).is_err());
        assert!(parse(&["-c"]).is_err());
    }
}
