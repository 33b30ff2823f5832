//! getpwnam_r(3), getpwuid_r(3), getgrnam_r(3): the user database, through whatever nsswitch.conf names.

use std::{
    ffi::{CStr, CString, c_char, c_int},
    io,
    mem::MaybeUninit,
};

/// One line of passwd(5), as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passwd {
    /// Login name.
    pub name: Vec<u8>,
    /// Password field.
    pub passwd: Vec<u8>,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Full name and more.
    pub gecos: Vec<u8>,
    /// Home directory.
    pub dir: Vec<u8>,
    /// Login shell.
    pub shell: Vec<u8>,
}

/// One line of group(5), as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Group name.
    pub name: Vec<u8>,
    /// Password field.
    pub passwd: Vec<u8>,
    /// Group id.
    pub gid: u32,
    /// Members' login names.
    pub members: Vec<Vec<u8>>,
}

/// Entries beyond this size are refused, so that a lying server cannot take all memory.
const ENTRY_SIZE_MAX: usize = 16 << 20;

/// By login name; `Ok(None)` when there is certainly none.
pub fn passwd_by_name(name: &[u8]) -> io::Result<Option<Passwd>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    ask(
        |entry, buffer, size, result| {
            // SAFETY: the pointers are those of `ask`, valid for this call; the name is terminated.
            unsafe { libc::getpwnam_r(name.as_ptr(), entry, buffer, size, result) }
        },
        passwd,
    )
}

/// By user id; `Ok(None)` when there is certainly none.
pub fn passwd_by_uid(uid: u32) -> io::Result<Option<Passwd>> {
    ask(
        |entry, buffer, size, result| {
            // SAFETY: the pointers are those of `ask`, valid for this call.
            unsafe { libc::getpwuid_r(uid, entry, buffer, size, result) }
        },
        passwd,
    )
}

/// A group by name; `Ok(None)` when there is certainly none.
pub fn group_by_name(name: &[u8]) -> io::Result<Option<Group>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    ask(
        |entry, buffer, size, result| {
            // SAFETY: the pointers are those of `ask`, valid for this call; the name is terminated.
            unsafe { libc::getgrnam_r(name.as_ptr(), entry, buffer, size, result) }
        },
        group,
    )
}

/// Calls one of the `_r` functions with a buffer that grows until the entry fits.
fn ask<Entry, T>(
    call: impl Fn(*mut Entry, *mut c_char, usize, *mut *mut Entry) -> c_int,
    convert: unsafe fn(&Entry) -> T,
) -> io::Result<Option<T>> {
    let mut buffer = vec![0_u8; 1024];
    loop {
        let mut entry = MaybeUninit::<Entry>::zeroed();
        let mut result = std::ptr::null_mut();
        let error = call(entry.as_mut_ptr(), buffer.as_mut_ptr().cast(), buffer.len(), &raw mut result);
        match error {
            // SAFETY: a null result is "none"; otherwise the entry and the strings that it points to
            // (in `buffer`, which is still alive) are initialised.
            0 if !result.is_null() => return Ok(Some(unsafe { convert(entry.assume_init_ref()) })),
            // Some name services answer these instead of "none" (getpwnam_r(3)).
            0 | libc::ENOENT | libc::ESRCH => return Ok(None),
            libc::EINTR => {}
            libc::ERANGE if buffer.len() < ENTRY_SIZE_MAX => buffer.resize(buffer.len() * 2, 0),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// # Safety
/// The entry was filled by getpwnam_r or getpwuid_r, and its buffer is alive.
unsafe fn passwd(entry: &libc::passwd) -> Passwd {
    // SAFETY: as the caller promises.
    unsafe {
        Passwd {
            name: text(entry.pw_name),
            passwd: text(entry.pw_passwd),
            uid: entry.pw_uid,
            gid: entry.pw_gid,
            gecos: text(entry.pw_gecos),
            dir: text(entry.pw_dir),
            shell: text(entry.pw_shell),
        }
    }
}

/// # Safety
/// The entry was filled by getgrnam_r, and its buffer is alive.
unsafe fn group(entry: &libc::group) -> Group {
    let mut members = Vec::new();
    let mut member = entry.gr_mem;
    // SAFETY: gr_mem is an array of strings with a null pointer at its end.
    unsafe {
        while !member.is_null() && !(*member).is_null() {
            members.push(text(*member));
            member = member.add(1);
        }
        Group { name: text(entry.gr_name), passwd: text(entry.gr_passwd), gid: entry.gr_gid, members }
    }
}

/// # Safety
/// `pointer` is null or a terminated string.
unsafe fn text(pointer: *const c_char) -> Vec<u8> {
    if pointer.is_null() {
        return Vec::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(pointer) }.to_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_root_and_not_what_does_not_exist() {
        let root = passwd_by_name(b"root").unwrap().unwrap();
        assert_eq!((root.uid, root.name.as_slice()), (0, b"root".as_slice()));
        assert_eq!(passwd_by_uid(0).unwrap().unwrap(), root);
        assert_eq!(passwd_by_name(b"no-such-user-here").unwrap(), None);
        assert_eq!(passwd_by_name(b"ro\0ot").unwrap(), None);
        assert_eq!(group_by_name(b"root").unwrap().unwrap().gid, 0);
        assert_eq!(group_by_name(b"no-such-group-here").unwrap(), None);
    }
}
