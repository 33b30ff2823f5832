//! Starting the processes of the mail system: this same program under another name, or the agent beside it.

use crate::{
    control::CONTROL_FD,
    credentials::{Identity, become_user_in},
};
use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::PathBuf,
    process::{Command, Stdio},
};

/// What to start.
#[derive(Debug)]
pub struct Child<'a> {
    /// The file to execute.
    pub program: PathBuf,
    /// The name it is called under.
    pub name: &'a str,
    /// What follows the name.
    pub arguments: Vec<OsString>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Whom to become: `None` stays who we are.
    pub user: Option<Identity>,
    /// One more group of that user.
    pub group: Option<u32>,
    /// Becomes descriptor [`CONTROL_FD`]; nothing else above standard error is inherited.
    pub channel: OwnedFd,
}

/// This program's own file; when that was replaced meanwhile, the new one: a reload then starts the new version.
#[must_use]
pub fn own_program() -> PathBuf {
    let same = PathBuf::from("/proc/self/exe");
    let link = std::fs::read_link(&same).unwrap_or_default();
    // proc(5): what the link of a file that is gone ends with.
    let replaced = link.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    replaced.filter(|path| path.is_file()).unwrap_or(same)
}

/// The program `name` in the directory of this one, or else this one, which then finds out by its name what to do.
#[must_use]
pub fn program_beside_or_own(name: &str) -> PathBuf {
    program_beside(name).unwrap_or_else(|_| own_program())
}

/// The program `name` in the directory of this one.
pub fn program_beside(name: &str) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found = own.parent().map(|directory| directory.join(name)).filter(|path| path.exists());
    found
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no {name} beside {}", own.display())))
}

/// Starts a child and returns its process number; [`crate::process::reap`] says when it has ended. Call in a process with a single thread only.
pub fn start(child: Child<'_>) -> io::Result<u32> {
    let channel = child.channel.as_raw_fd();
    let (user, group) = (child.user, child.group);
    let mut command = Command::new(&child.program);
    command.arg0(child.name).args(&child.arguments).env_clear().envs(child.environment);
    command.stdin(Stdio::null());
    // SAFETY: between fork and exec only system calls run: dup2, fcntl, set*id, signal; nothing allocates
    // but on the way to failure, and the parent has one thread, so no lock can be held.
    unsafe {
        command.pre_exec(move || {
            if channel == CONTROL_FD {
                clear_close_on_exec(channel)?;
            } else if libc::dup2(channel, CONTROL_FD) == -1 {
                return Err(io::Error::last_os_error());
            }
            if let Some(user) = user {
                become_user_in(user, group)?;
            }
            // An interrupt from a terminal is for master, which tells us in good order.
            libc::signal(libc::SIGINT, libc::SIG_IGN);
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            Ok(())
        });
    }
    Ok(command.spawn()?.id())
}

fn clear_close_on_exec(fd: i32) -> io::Result<()> {
    // SAFETY: a plain system call on a number.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
