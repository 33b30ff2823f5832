//! The supervisor: holds the listening sockets, starts and restarts the processes, and nothing else.
//!
//! Single-threaded; parses main.cf and master.cf and nothing else: no mail, no TLS, no DNS answers, no tables.
//! When root starts it, it stays root and does for the others what only root can: bind ports, open root's files
//! ([`manifest`](self)), start agents as their users, open a mailbox where its user may not ([`mailbox`]). Started by anyone else, everything runs as that user.
//!
//! ```text
//! main ── options, lock files, detach
//!   └─ supervisor ── listeners (listen), processes (children), agents (agents), wake-ups; one poll loop
//!                    placement: which program of master.cf is served by which process
//! ```
//!
//! # Diagnostics
//! At start, everything that Postfix's master would die of is fatal: a line on standard error and in the log, exit
//! code 1. Later, trouble is a warning: a reload with a broken configuration keeps the old one running, a process
//! that dies is started again, with service_throttle_time between tries if it died before it was ready.

mod agent;
mod agents;
mod child;
mod listen;
mod mailbox;
mod manifest;
mod options;
mod placement;
mod settings;
mod supervisor;

pub use placement::{PLACEMENT, Place, Process, place_of};

use logsink::LogSink;
use maillog::{Logger, Severity};
use options::{Mode, Options};
use settings::Settings;
use std::{
    ffi::OsString,
    fs::File,
    io::{Read, Write},
    path::Path,
    rc::Rc,
    time::Duration,
};
use sys::{
    credentials::with_effective,
    lock::{PidFile, PidFileError},
    process,
};

/// How long `master -w` waits for the start: binding may need slow name look-ups.
const START_LIMIT: Duration = Duration::from_secs(100);

/// How many descriptors master and its children may have open, where the system allows it.
const OPEN_FILES: u64 = 1 << 20;

/// Runs as the master process; `arguments` without the program's name. Returns the exit code.
#[must_use]
pub fn main(arguments: &[OsString]) -> i32 {
    process::set_umask(0o077);
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(why) => return fatal(&why),
    };
    let outcome = match options.mode {
        Mode::Test => return test_lock(&options),
        Mode::Wait => wait_for_start(&options),
        Mode::Run => run(&options),
    };
    match outcome {
        Ok(code) => code,
        Err(why) => fatal(&why),
    }
}

fn fatal(why: &str) -> i32 {
    eprintln!("postfix/master: fatal: {why}");
    1
}

/// `master -t`: 0 if no master runs, 1 if one does.
fn test_lock(options: &Options) -> i32 {
    let holder = Settings::load(&options.config_directory).and_then(|settings| {
        PidFile::holder(&settings.pid_file())
            .map_err(|error| format!("{}: {error}", settings.pid_file().display()))
    });
    match holder {
        Ok(None) => 0,
        Ok(Some(_)) => 1,
        Err(why) => fatal(&why),
    }
}

/// `master -w`: starts the daemon and waits until it says that it runs.
fn wait_for_start(options: &Options) -> Result<i32, String> {
    let (reading, writing) = std::io::pipe().map_err(|error| format!("pipe: {error}"))?;
    let mut command = std::process::Command::new(sys::spawn::own_program());
    std::os::unix::process::CommandExt::arg0(&mut command, "master");
    command.args(["-W", "-c"]).arg(&options.config_directory).args(options.verbose.then_some("-v"));
    // The daemon says it through its standard input, the one descriptor that it has from us.
    let mut child = command.stdin(writing).spawn().map_err(|error| format!("start: {error}"))?;
    drop(command);
    let mut poll = [rustix::event::PollFd::new(&reading, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 100, tv_nsec: 0 };
    let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut poll, Some(&limit)));
    if ready == Ok(0) {
        let _ = child.kill();
        return Err(format!("timeout: no start within {} seconds", START_LIMIT.as_secs()));
    }
    let mut word = [0];
    let started = (&reading).read(&mut word).is_ok_and(|got| got == 1);
    if started {
        return Ok(0);
    }
    let why = "daemon initialization failure -- see logs for details".to_owned();
    if let Ok(log) = Settings::load(&options.config_directory).and_then(|settings| open_log(&settings)) {
        log.write(Severity::Fatal, &why);
    }
    Err(why)
}

fn run(options: &Options) -> Result<i32, String> {
    process::close_inherited_above(2);
    process::open_standard_descriptors().map_err(|error| format!("open /dev/null: {error}"))?;
    let monitor = if options.report_start { Some(take_monitor()?) } else { None };
    process::raise_open_files(OPEN_FILES);
    let settings = Settings::load(&options.config_directory)?;
    let log = open_log(&settings)?;
    match start(options, settings, &log, monitor) {
        Ok(code) => Ok(code),
        Err(why) => {
            log.write(Severity::Fatal, &why);
            Err(why)
        }
    }
}

/// The pipe to `master -w`, moved away from standard input.
fn take_monitor() -> Result<File, String> {
    let moved = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3);
    moved.map(File::from).map_err(|error| format!("monitor pipe: {error}"))
}

fn start(options: &Options, settings: Settings, log: &Logger, monitor: Option<File>) -> Result<i32, String> {
    let queue = settings.queue_directory.clone();
    std::env::set_current_dir(&queue).map_err(|error| format!("chdir {}: {error}", queue.display()))?;
    let _pid = take_lock(&settings.pid_file(), &settings.pid_file_below_queue())?;
    let locked = with_effective(settings.owner, || {
        let path = settings.data_lock();
        Ok(take_lock(&path, &path))
    });
    let _data = locked.map_err(|error| format!("mail_owner: {error}"))??;
    if options.detach && !options.own_group {
        // Already leading a session is as good.
        let _ = process::new_session();
    }
    let mut supervisor = supervisor::Supervisor::new(settings, log.clone())?;
    if options.detach {
        process::leave_terminal(options.keep_stdout).map_err(|error| format!("open /dev/null: {error}"))?;
    }
    supervisor.announce("daemon started");
    if let Some(mut monitor) = monitor {
        let _ = monitor.write_all(b"+");
    }
    let signal = supervisor.run();
    // In the foreground somebody waits for the status, and knows that of a shell.
    Ok(if options.keep_stdout && !options.own_group { 128 + signal.number() } else { 0 })
}

fn take_lock(path: &Path, shown: &Path) -> Result<PidFile, String> {
    let shown = shown.display();
    PidFile::take(path).map_err(|error| match error {
        PidFileError::Held => {
            format!("open lock file {shown}: unable to set exclusive lock: Resource temporarily unavailable")
        }
        PidFileError::Io(error) => {
            let what = if path.exists() { "cannot open file" } else { "cannot create file exclusively" };
            format!("open lock file {shown}: {what}: {}", config_files::reason(&error))
        }
    })
}

fn open_log(settings: &Settings) -> Result<Logger, String> {
    // Standard output is ours, where that is the log.
    let sink = logsink::open_file(&settings.log).and_then(|file| LogSink::new(&settings.log, file));
    let sink = sink.map_err(|error| format!("log: {error}"))?;
    Ok(Logger::new(Rc::new(sink), &settings.log.tag("master"), std::process::id()))
}
