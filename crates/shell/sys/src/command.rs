//! A user's command, started by an agent that is that user already.

use crate::signals::unblock_all;
use rustix::process::{Resource, Rlimit};
use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command},
};

/// What to run.
#[derive(Debug)]
pub struct Spec {
    /// The program, looked for in PATH, and its arguments.
    pub words: Vec<OsString>,
    /// The name that it is called under, where that is not the program's.
    pub called: Option<&'static str>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Largest file that it may write, in bytes; 0 means no limit.
    pub file_size_limit: u64,
}

/// A command that runs, as the leader of a session and process group of its own.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub child: Child,
    /// Its standard input; does not block.
    pub input: File,
    /// Its standard output and error; does not block. The command does not block on them either: what it
    /// writes too fast is lost.
    pub output: File,
}

/// Starts it with pipes. Call in a process with a single thread only.
///
/// # Errors
/// Of the system: most often, that there is no such program.
pub fn start(spec: Spec) -> io::Result<Running> {
    let (reading, writing) = io::pipe()?;
    let (output, their_output) = io::pipe()?;
    for ours in [writing.as_fd(), output.as_fd(), their_output.as_fd()] {
        set_nonblocking(ours)?;
    }
    let mut command = prepare(spec)?;
    command.stdin(reading).stdout(their_output.try_clone()?).stderr(their_output);
    let child = command.spawn()?;
    let input = File::from(OwnedFd::from(writing));
    Ok(Running { child, input, output: File::from(OwnedFd::from(output)) })
}

/// Starts it with a connection as its standard input, output and error; it blocks on it. Call in a process with a single
/// thread only.
///
/// # Errors
/// As [`start`].
pub fn start_on(spec: Spec, connection: File) -> io::Result<Child> {
    let flags = rustix::fs::fcntl_getfl(&connection)?;
    rustix::fs::fcntl_setfl(&connection, flags - rustix::fs::OFlags::NONBLOCK)?;
    let mut command = prepare(spec)?;
    command.stdin(connection.try_clone()?).stdout(connection.try_clone()?).stderr(connection);
    command.spawn()
}

fn prepare(spec: Spec) -> io::Result<Command> {
    let mut words = spec.words.into_iter();
    let program = words.next().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    spec.called.into_iter().for_each(|name| {
        command.arg0(name);
    });
    command.args(words).env_clear().envs(spec.environment);
    let limit = spec.file_size_limit;
    // SAFETY: between fork and exec only system calls run: setsid, sigprocmask, setrlimit, signal; nothing allocates, and
    // the parent has one thread, so no lock can be held.
    unsafe {
        command.pre_exec(move || {
            rustix::process::setsid()?;
            unblock_all()?;
            if limit > 0 {
                let both = Some(limit);
                rustix::process::setrlimit(Resource::Fsize, Rlimit { current: both, maximum: both })?;
            }
            // As for the commands of Postfix: a reader that is gone is an error to the writer, not its end.
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            libc::signal(libc::SIGHUP, libc::SIG_DFL);
            Ok(())
        });
    }
    Ok(command)
}

fn set_nonblocking(file: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&file)?;
    Ok(rustix::fs::fcntl_setfl(&file, flags | rustix::fs::OFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_command_gets_its_input_and_its_limits() {
        let words = ["/bin/sh", "-c", "cat; echo $X >&2; ulimit -f; ps -o sid= -p $$ | tr -d ' '; echo $$"];
        let spec = Spec {
            words: words.map(Into::into).to_vec(),
            called: None,
            environment: vec![("X".into(), "y".into()), ("PATH".into(), "/usr/bin:/bin".into())],
            file_size_limit: 1 << 20,
        };
        let Running { mut child, mut input, mut output } = start(spec).unwrap();
        input.write_all(b"in ").unwrap();
        drop(input);
        assert!(child.wait().unwrap().success());
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[1]), ("in y", "2048"));
        // It leads its own session.
        assert_eq!(lines[2], lines[3]);
    }

    #[test]
    fn signals_that_are_kept_out_here_reach_the_command() {
        let _signals = crate::signals::Signals::listen().unwrap();
        let words = ["/bin/sh", "-c", "kill -TERM $$; sleep 60"].map(Into::into).to_vec();
        let spec = Spec { words, called: Some("sh"), environment: vec![], file_size_limit: 0 };
        let mut running = start(spec).unwrap();
        let ended = std::os::unix::process::ExitStatusExt::signal(&running.child.wait().unwrap());
        assert_eq!(ended, Some(libc::SIGTERM));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let spec = Spec {
            words: vec!["/no/such/program".into()],
            called: None,
            environment: vec![],
            file_size_limit: 0,
        };
        assert_eq!(start(spec).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
