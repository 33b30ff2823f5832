//! Starting the processes of the mail system: this same program under another name, or the agent beside it.

use crate::{
    control::CONTROL_FD,
    credentials::{Identity, become_user},
    errand::ERRAND_FD,
    process::close_inherited_above,
    signals::unblock_all,
};
use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    panic::{AssertUnwindSafe, catch_unwind},
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
    /// Becomes descriptor [`CONTROL_FD`].
    pub channel: OwnedFd,
    /// Becomes descriptor [`ERRAND_FD`]; nothing else above standard error is inherited.
    pub errands: Option<OwnedFd>,
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
    let errands = child.errands.as_ref().map(AsRawFd::as_raw_fd);
    let user = child.user;
    let mut command = Command::new(&child.program);
    command.arg0(child.name).args(&child.arguments).env_clear().envs(child.environment);
    command.stdin(Stdio::null());
    // SAFETY: between fork and exec only system calls run: dup2, fcntl, set*id, signal; nothing allocates
    // but on the way to failure, and the parent has one thread, so no lock can be held.
    unsafe {
        command.pre_exec(move || {
            // Out of each other's way first.
            let channel = checked(libc::fcntl(channel, libc::F_DUPFD_CLOEXEC, ERRAND_FD + 1))?;
            if let Some(errands) = errands {
                let errands = checked(libc::fcntl(errands, libc::F_DUPFD_CLOEXEC, ERRAND_FD + 1))?;
                checked(libc::dup2(errands, ERRAND_FD))?;
            }
            checked(libc::dup2(channel, CONTROL_FD))?;
            if let Some(user) = user {
                become_user(user)?;
            }
            unblock_all()?;
            // An interrupt from a terminal is for master, which tells us in good order.
            libc::signal(libc::SIGINT, libc::SIG_IGN);
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            Ok(())
        });
    }
    Ok(command.spawn()?.id())
}

fn checked(result: i32) -> io::Result<i32> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Does `work` in a copy of this process that has the standard descriptors and `socket`, and nothing else that this
/// process has open. What it blocks on holds up nobody else. The copy ends with the code that `work` gives; its
/// number is returned, for [`crate::process::reap`]. Call in a process with a single thread only.
pub fn in_a_copy(socket: impl AsFd, work: impl FnOnce(OwnedFd) -> i32) -> io::Result<u32> {
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: one thread, so the copy finds no lock held and may allocate.
    let pid = checked(unsafe { libc::fork() })?;
    if pid > 0 {
        return u32::try_from(pid).map_err(|_| io::ErrorKind::InvalidData.into());
    }
    // SAFETY: plain system calls on numbers. What the parent's values own is closed here and never dropped, as the copy
    // ends below.
    let code = match checked(unsafe { libc::dup2(socket, CONTROL_FD) }) {
        Ok(kept) => {
            close_inherited_above(CONTROL_FD.unsigned_abs());
            // SAFETY: just made; whatever owned this number in the parent is gone from the copy.
            let socket = unsafe { OwnedFd::from_raw_fd(kept) };
            catch_unwind(AssertUnwindSafe(|| work(socket))).unwrap_or(FAILED)
        }
        Err(_) => FAILED,
    };
    // SAFETY: ends the process at once, without what the parent wants done at its own end.
    unsafe { libc::_exit(code) }
}

/// EX_SOFTWARE of sysexits(3): `work` came to no end.
const FAILED: i32 = 70;
