//! Who a process is, who somebody is, and becoming somebody else for good.

use std::{ffi::CString, io, os::fd::AsFd, ptr};

/// An account of the password database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// Number.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Full name and more (`gecos`).
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A user with one group and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// This process's real user.
#[must_use]
pub fn real_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// This process's effective user.
#[must_use]
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// This process's effective group.
#[must_use]
pub fn effective_gid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// This process's real group.
#[must_use]
pub fn real_gid() -> u32 {
    rustix::process::getgid().as_raw()
}

/// Whether the program runs with rights that its caller does not have (set-uid or set-gid): it must not trust
/// environment, arguments or descriptors.
#[must_use]
pub fn is_elevated() -> bool {
    real_uid() != effective_uid() || rustix::process::getgid() != rustix::process::getegid()
}

/// Becomes `identity` without a way back, and proves it. Only root can; for anyone else it succeeds only when
/// nothing changes.
pub fn become_user(identity: Identity) -> io::Result<()> {
    if identity.uid == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "refusing to run as uid 0"));
    }
    if effective_uid() != 0 {
        let same = real_uid() == identity.uid && effective_uid() == identity.uid;
        return if same { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) };
    }
    let groups = [identity.gid];
    // SAFETY: plain system calls on numbers; `groups` lives through the call and its length is given.
    let changed = unsafe {
        libc::setgroups(groups.len(), groups.as_ptr()) == 0
            && libc::setresgid(identity.gid, identity.gid, identity.gid) == 0
            && libc::setresuid(identity.uid, identity.uid, identity.uid) == 0
    };
    if !changed {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a plain system call; it must fail now.
    let way_back = unsafe { libc::setresuid(0, 0, 0) } == 0;
    let is_other =
        real_uid() != identity.uid || effective_uid() != identity.uid || real_gid() != identity.gid;
    if way_back || is_other {
        return Err(io::Error::other("credentials could not be dropped"));
    }
    Ok(())
}

/// Stays root, in one group only: new files get it.
pub fn root_in_group(gid: u32) -> io::Result<()> {
    let groups = [gid];
    // SAFETY: plain system calls on numbers; `groups` lives through the call and its length is given.
    let changed = unsafe { libc::setgroups(groups.len(), groups.as_ptr()) == 0 && libc::setegid(gid) == 0 };
    if changed { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs `work` with the rights of `identity`, and takes the old ones back: files made meanwhile are that user's, and
/// a link placed by that user leads only to what the user may touch. Only for root; otherwise nothing changes.
/// Call in a process with a single thread only.
pub fn with_effective<T>(identity: Option<Identity>, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let Some(identity) = identity.filter(|_| effective_uid() == 0) else { return work() };
    let groups = rustix::process::getgroups()?;
    let groups: Vec<libc::gid_t> = groups.into_iter().map(rustix::process::Gid::as_raw).collect();
    let other = [identity.gid];
    // SAFETY: plain system calls on numbers; the array lives through the call and its length is given.
    let changed = unsafe {
        libc::setgroups(other.len(), other.as_ptr()) == 0
            && libc::setegid(identity.gid) == 0
            && libc::seteuid(identity.uid) == 0
    };
    let result = if changed { work() } else { Err(io::Error::last_os_error()) };
    // SAFETY: as above.
    let restored = unsafe {
        libc::seteuid(0) == 0 && libc::setegid(0) == 0 && libc::setgroups(groups.len(), groups.as_ptr()) == 0
    };
    if restored { result } else { Err(io::Error::other("credentials could not be restored")) }
}

/// The user at the other end of a connected UNIX-domain socket.
pub fn peer_of(socket: impl AsFd) -> io::Result<Identity> {
    let peer = rustix::net::sockopt::socket_peercred(socket)?;
    Ok(Identity { uid: peer.uid.as_raw(), gid: peer.gid.as_raw() })
}

/// Looks up a login name. `None` means that there is no such user; an error, that nobody could say.
pub fn account_by_name(name: &str) -> io::Result<Option<Account>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    // SAFETY: the name is NUL-terminated and lives through the call; the rest is what `account` promises.
    account(|entry, buffer, size, result| unsafe {
        libc::getpwnam_r(name.as_ptr(), entry, buffer, size, result)
    })
}

/// Looks up a user's number.
pub fn account_by_uid(uid: u32) -> io::Result<Option<Account>> {
    // SAFETY: the pointers are what `account` promises.
    account(|entry, buffer, size, result| unsafe { libc::getpwuid_r(uid, entry, buffer, size, result) })
}

type Size = usize;

/// Calls one of the `getpw*_r` functions with valid pointers to an entry, a buffer of the given size and a result.
fn account(
    ask: impl Fn(*mut libc::passwd, *mut libc::c_char, Size, *mut *mut libc::passwd) -> i32,
) -> io::Result<Option<Account>> {
    with_growing_buffer(|buffer| {
        // SAFETY: `passwd` is plain data, for which zeroes are valid.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut result = ptr::null_mut();
        let code = ask(&raw mut entry, buffer.as_mut_ptr().cast(), buffer.len(), &raw mut result);
        let found = (!result.is_null()).then(|| Account {
            // SAFETY: a found entry's texts are NUL-terminated and live in `buffer`.
            name: unsafe { text(entry.pw_name) },
            uid: entry.pw_uid,
            gid: entry.pw_gid,
            // SAFETY: as above.
            gecos: unsafe { text(entry.pw_gecos) },
            // SAFETY: as above.
            home: unsafe { text(entry.pw_dir) },
            // SAFETY: as above.
            shell: unsafe { text(entry.pw_shell) },
        });
        (code, found)
    })
}

/// Looks up a group's number.
pub fn group_by_name(name: &str) -> io::Result<Option<u32>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    with_growing_buffer(|buffer| {
        // SAFETY: `group` is plain data, for which zeroes are valid.
        let mut entry: libc::group = unsafe { std::mem::zeroed() };
        let mut result = ptr::null_mut();
        // SAFETY: all pointers live through the call, and the buffer's length is its own.
        let code = unsafe {
            libc::getgrnam_r(
                name.as_ptr(),
                &raw mut entry,
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                &raw mut result,
            )
        };
        (code, (!result.is_null()).then_some(entry.gr_gid))
    })
}

/// Names of groups and users come in a buffer whose size nobody knows before.
fn with_growing_buffer<T>(ask: impl Fn(&mut [u8]) -> (i32, Option<T>)) -> io::Result<Option<T>> {
    let mut buffer = vec![0; 4096];
    loop {
        match ask(&mut buffer) {
            (_, Some(found)) => return Ok(Some(found)),
            // "Not found" has many spellings; see getpwnam_r(3).
            (0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM, None) => return Ok(None),
            (libc::ERANGE, None) if buffer.len() < 1 << 20 => buffer.resize(buffer.len() * 4, 0),
            (libc::EINTR, None) => {}
            (code, None) => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// # Safety
/// `text` is null or points to a NUL-terminated string.
unsafe fn text(text: *const libc::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { std::ffi::CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_and_nonsense_is_absent_not_an_error() {
        assert_eq!(account_by_name("root").unwrap().map(|a| (a.uid, a.gid)), Some((0, 0)));
        assert_eq!(account_by_uid(0).unwrap().map(|a| a.name), Some("root".to_owned()));
        assert_eq!(group_by_name("root").unwrap(), Some(0));
        assert_eq!(account_by_name("no such user").unwrap(), None);
        assert_eq!(account_by_name("a\0b").unwrap(), None);
        assert_eq!(group_by_name("no such group").unwrap(), None);
    }

    #[test]
    fn nobody_becomes_root() {
        assert!(become_user(Identity { uid: 0, gid: 0 }).is_err());
    }

    #[test]
    fn the_other_end_of_a_socket_is_this_user() {
        let (one, _two) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(peer_of(&one).unwrap().uid, real_uid());
    }
}
