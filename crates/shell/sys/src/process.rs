//! A process's surroundings: descriptors, session, limits, children, signals to others.

use rustix::{
    process::{Pid, Resource, Rlimit, Signal, WaitOptions},
    stdio,
};
use std::{fs::File, io};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status.
    Exit(i32),
    /// A signal ended it.
    Signal(i32),
}

/// A child that has ended, if one has; never waits.
pub fn reap() -> Option<(u32, Ended)> {
    loop {
        let (pid, status) = match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(found) => found?,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return None,
        };
        let ended = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Ended::Exit(code),
            (None, Some(signal)) => Ended::Signal(signal),
            (None, None) => continue,
        };
        return Some((u32::try_from(pid.as_raw_nonzero().get()).unwrap_or(0), ended));
    }
}

/// A signal that one process sends to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// SIGTERM
    Terminate,
    /// SIGKILL
    Kill,
    /// SIGHUP
    Hangup,
}

impl Kill {
    fn signal(self) -> Signal {
        match self {
            Self::Terminate => Signal::TERM,
            Self::Kill => Signal::KILL,
            Self::Hangup => Signal::HUP,
        }
    }
}

fn pid_of(number: u32) -> io::Result<Pid> {
    let pid = i32::try_from(number).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a process number"))
}

/// Sends a signal to one process.
pub fn signal_process(pid: u32, signal: Kill) -> io::Result<()> {
    Ok(rustix::process::kill_process(pid_of(pid)?, signal.signal())?)
}

/// Sends a signal to a process group, by its leader's number.
pub fn signal_group(leader: u32, signal: Kill) -> io::Result<()> {
    Ok(rustix::process::kill_process_group(pid_of(leader)?, signal.signal())?)
}

/// Names this process for `ps` and `top`, which else show the name of the file that was executed: of
/// `/proc/self/exe`, "exe". Threads that are started later inherit it. Cut by the kernel to 15 bytes.
pub fn set_name(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        // A process is called by its old name where this fails; nothing else depends on it.
        let _ = rustix::thread::set_name(&name);
    }
}

/// Starts a session of its own: the process leads a process group, and no terminal can stop it.
pub fn new_session() -> io::Result<()> {
    rustix::process::setsid().map(drop).map_err(io::Error::from)
}

/// Closes every descriptor above `last`, so that nothing leaks from whoever started us.
pub fn close_inherited_above(last: u32) {
    // SAFETY: called first thing in main; the process owns no descriptor above `last` yet.
    unsafe {
        libc::close_range(last.saturating_add(1), libc::c_uint::MAX, 0);
    }
}

/// Makes sure that the three standard descriptors are open, so that nothing that is opened later takes their place.
pub fn open_standard_descriptors() -> io::Result<()> {
    loop {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        if std::os::fd::AsRawFd::as_raw_fd(&null) > 2 {
            return Ok(());
        }
        std::mem::forget(null);
    }
}

/// Points standard input and error, and output too unless it is kept, to `/dev/null`.
pub fn leave_terminal(keep_stdout: bool) -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    stdio::dup2_stdin(&null)?;
    stdio::dup2_stderr(&null)?;
    if !keep_stdout {
        stdio::dup2_stdout(&null)?;
    }
    Ok(())
}

/// Sets the bits that new files do not get.
pub fn set_umask(mask: u32) {
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(mask));
}

/// Raises the limit on open descriptors as far as allowed, at most to `wanted`; returns what is in force.
pub fn raise_open_files(wanted: u64) -> u64 {
    let now = rustix::process::getrlimit(Resource::Nofile);
    let hard = now.maximum.unwrap_or(u64::MAX);
    let soft = now.current.unwrap_or(u64::MAX);
    let goal = wanted.min(hard).max(soft);
    let raised = Rlimit { current: Some(goal), maximum: now.maximum };
    if rustix::process::setrlimit(Resource::Nofile, raised).is_ok() { goal } else { soft }
}

/// Limits how large a file this process may write.
pub fn limit_file_size(bytes: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(Resource::Fsize);
    if now.current.is_some_and(|limit| limit <= bytes) {
        return Ok(());
    }
    let lowered = Rlimit { current: Some(bytes), maximum: now.maximum };
    Ok(rustix::process::setrlimit(Resource::Fsize, lowered)?)
}

/// Keeps other processes of the same user from looking into this one or steering it (ptrace, /proc/PID/mem): its
/// descriptors may be more than that user could open.
pub fn forbid_tracing() -> io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?)
}

/// The host's own name.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
