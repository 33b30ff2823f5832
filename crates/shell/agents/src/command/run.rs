//! Starting a command, feeding it, listening to it, and ending it.

use crate::{
    content::Content,
    sysexits::TEMPFAIL,
    trouble::{self, Trouble},
};
use bstr::{BString, ByteSlice};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open},
};
use std::{
    cell::Cell,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::AsFd,
        unix::{ffi::OsStrExt, process::ExitStatusExt},
    },
    process::{Child, ExitStatus},
    time::Duration,
};
use sys::{
    command::{Running, Spec, start},
    credentials,
};
use types::Dsn;

/// How much of a command's output is kept, in bytes.
const OUTPUT_BYTES: usize = 4096;

/// Characters that mean nothing to a shell: a command of these is started without one.
const PLAIN: &[u8] = b"1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ \t";

/// A command to run.
pub(super) struct Job<'a> {
    pub(super) command: &'a BString,
    /// local_command_shell
    pub(super) shell: &'a str,
    /// Everything but the words.
    pub(super) spec: Spec,
    /// Where to run it.
    pub(super) directory: Option<&'a OsStr>,
    /// How long each step of it may take: reading input, writing output, ending.
    pub(super) limit: Duration,
}

/// How it ended.
pub(super) enum Ended {
    TimeLimit,
    Signal(i32),
    /// The code, and why not all input could be given to it, if that was not the command's wish.
    Exit(i32, Option<Trouble>),
}

pub(super) struct Outcome {
    pub(super) ended: Ended,
    pub(super) output: Vec<u8>,
    pub(super) warnings: Vec<String>,
}

pub(super) fn run(job: Job<'_>, header: &[u8], content: &Content) -> Outcome {
    let limit = job.limit;
    let Running { child, input, mut output } = match start_in(job) {
        Ok(running) => running,
        // As if a command had said so, and wanted to be tried again.
        Err(said) => {
            let (output, warnings) = match said {
                Said::ByCommand(text) => (format!("local: fatal: {text}\n").into(), Vec::new()),
                Said::ByUs(text) => (Vec::new(), vec![text]),
            };
            return Outcome { ended: Ended::Exit(TEMPFAIL, None), output, warnings };
        }
    };
    let mut watch = Watch { limit, is_over: false, warnings: Vec::new() };
    let fed = watch.feed(input, header, content);
    let output = watch.listen(&mut output);
    let status = watch.end(child);
    let ended = match status {
        _ if watch.is_over => Ended::TimeLimit,
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exit(code, fed.err().flatten()),
            (None, signal) => Ended::Signal(signal.unwrap_or(0)),
        },
        Err(error) => {
            watch.warnings.push(format!("wait: {}", trouble::text(&error)));
            Ended::Exit(TEMPFAIL, None)
        }
    };
    Outcome { ended, output, warnings: watch.warnings }
}

/// Why there is no command.
enum Said {
    /// What a process says that cannot become the command: it goes into the status of the mail.
    ByCommand(String),
    /// For the log.
    ByUs(String),
}

fn start_in(job: Job<'_>) -> Result<Running, Said> {
    let Some(directory) = job.directory else { return start_words(job).map_err(Said::ByCommand) };
    let here = std::fs::File::open(".");
    let here = here.map_err(|error| Said::ByUs(format!("open .: {}", trouble::text(&error))))?;
    std::env::set_current_dir(directory).map_err(|error| {
        let (uid, gid) = (credentials::effective_uid(), credentials::effective_gid());
        let (directory, why) = (directory.to_string_lossy(), trouble::text(&error));
        Said::ByUs(format!("cannot change directory to \"{directory}\" for uid={uid} gid={gid}: {why}"))
    })?;
    let started = start_words(job).map_err(Said::ByCommand);
    rustix::process::fchdir(&here).map_err(|errno| Said::ByUs(format!("go back: {errno}")))?;
    started
}

fn start_words(job: Job<'_>) -> Result<Running, String> {
    let Job { command, shell, spec, .. } = job;
    let word = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let called = |called, words: Vec<OsString>| {
        start(Spec { words, called, environment: spec.environment.clone(), ..spec })
    };
    let attempt = |words| called(None, words);
    let failed = |what: &str, error: &io::Error| format!("{what}: {}", trouble::text(error));
    if !shell.is_empty() {
        let mut words: Vec<OsString> = shell.split_ascii_whitespace().map(OsString::from).collect();
        let program = words.first().cloned().unwrap_or_default();
        words.push(word(command));
        let what = format!("pipe_command: execvp {}", program.to_string_lossy());
        return attempt(words).map_err(|error| failed(&what, &error));
    }
    let words: Vec<&[u8]> = command.split(|b| b" \t".contains(b)).filter(|w| !w.is_empty()).collect();
    if let Some(program) = words.first()
        && command.iter().all(|byte| PLAIN.contains(byte))
    {
        match attempt(words.iter().map(|bytes| word(bytes)).collect()) {
            Ok(running) => return Ok(running),
            // Perhaps it is something that a shell has built in.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !program.contains(&b'/') => {}
            Err(error) => return Err(failed(&format!("execvp {}", program.as_bstr()), &error)),
        }
    }
    called(Some("sh"), vec!["/bin/sh".into(), "-c".into(), word(command)])
        .map_err(|error| failed("execl /bin/sh", &error))
}

/// Looks after a command; once its time is up, nothing is waited for any more.
struct Watch {
    limit: Duration,
    is_over: bool,
    warnings: Vec<String>,
}

impl Watch {
    /// Waits until something can be done; false when it takes too long.
    fn waits_for(&mut self, file: impl AsFd, flags: PollFlags, what: &str) -> bool {
        let limit = if self.is_over { Duration::ZERO } else { self.limit };
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        let mut files = [PollFd::new(&file, flags)];
        let is_ready = rustix::io::retry_on_intr(|| poll(&mut files, Some(&limit))).is_ok_and(|n| n > 0);
        if !is_ready && !self.is_over {
            self.warnings.push(format!("{what} time limit exceeded"));
            self.is_over = true;
        }
        is_ready
    }

    /// Writes the message. `Err(None)` when the command did not want all of it, or took too long.
    fn feed(&mut self, mut input: File, header: &[u8], content: &Content) -> Result<(), Option<Trouble>> {
        let last = Cell::new(b'\n');
        let mut put = |bytes: &[u8]| {
            last.set(bytes.last().copied().unwrap_or(last.get()));
            self.write(&mut input, bytes)
        };
        put(header)?;
        let unreadable =
            |error: io::Error| Some(Trouble::copying(&error, Dsn::temporary(3, 0), "error reading message"));
        content.copy(unreadable, &mut put)?;
        if last.get() != b'\n' {
            put(b"\n")?;
        }
        Ok(())
    }

    fn write(&mut self, input: &mut File, mut bytes: &[u8]) -> Result<(), Option<Trouble>> {
        while !bytes.is_empty() {
            if !self.waits_for(&*input, PollFlags::OUT, "pipe_command_write: write") {
                return Err(None);
            }
            match input.write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(None),
                Err(error) => {
                    let what = "error writing message";
                    return Err(Some(Trouble::copying(&error, Dsn::permanent(3, 0), what)));
                }
            }
        }
        Ok(())
    }

    /// Reads the first of what it says, to the end or until there is enough.
    fn listen(&mut self, from: &mut File) -> Vec<u8> {
        let mut output = vec![0; OUTPUT_BYTES];
        let mut got = 0;
        while got < output.len() {
            if !self.waits_for(&*from, PollFlags::IN, "pipe_command_read: read") {
                break;
            }
            match from.read(output.get_mut(got..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(count) => got += count,
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(_) => break,
            }
        }
        output.truncate(got);
        output
    }

    /// Waits for its end, or makes an end of it and everything that it has started.
    fn end(&mut self, mut child: Child) -> io::Result<ExitStatus> {
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return child.wait() };
        let kill = || {
            if kill_process_group(pid, Signal::KILL).is_err() {
                let _ = kill_process(pid, Signal::KILL);
            }
        };
        if self.is_over {
            kill();
            return child.wait();
        }
        let ended = pidfd_open(pid, PidfdFlags::empty())?;
        if !self.waits_for(&ended, PollFlags::IN, "pipe_command_wait_or_kill: child wait") {
            kill();
        }
        child.wait()
    }
}
