//! The user database as decisions see it.

use crate::source::errno_text;
use std::{
    ffi::OsString,
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};
use tables_sys::{Passwd, passwd_by_name, passwd_by_uid};
use types::{Lookup, Trouble};
use world::UserEntry;

fn entry(passwd: Passwd) -> UserEntry {
    let path = |bytes| PathBuf::from(OsString::from_vec(bytes));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    UserEntry {
        name: text(passwd.name),
        uid: passwd.uid,
        gid: passwd.gid,
        gecos: text(passwd.gecos),
        home: path(passwd.dir),
        shell: path(passwd.shell),
    }
}

fn answer(asked: impl std::fmt::Display, result: io::Result<Option<Passwd>>) -> Lookup<UserEntry> {
    match result {
        Ok(Some(passwd)) => Lookup::Found(entry(passwd)),
        Ok(None) => Lookup::Absent,
        Err(error) => {
            Lookup::TryAgain(Trouble::new(format!("user lookup for {asked}: {}", errno_text(&error))))
        }
    }
}

pub(crate) fn by_name(name: &str) -> Lookup<UserEntry> {
    answer(name, passwd_by_name(name.as_bytes()))
}

pub(crate) fn by_uid(uid: u32) -> Lookup<UserEntry> {
    answer(uid, passwd_by_uid(uid))
}

/// Whether nsswitch.conf(5) has a whole database in files, which are read without waiting for anybody.
pub(crate) fn are_in_files(nsswitch: &str, database: &str) -> bool {
    let words = |line: &str| {
        let (name, sources) = line.split_once(':')?;
        (name.trim() == database).then(|| sources.to_owned())
    };
    let line = nsswitch.lines().filter_map(words).next_back();
    let line = line.unwrap_or_else(|| "files".to_owned());
    let sources = line.split('#').next().unwrap_or_default();
    sources.split_whitespace().all(|source| source == "files")
}

/// The fields of passwd(5), but for the password.
pub(crate) fn to_fields(user: &UserEntry) -> Vec<Vec<u8>> {
    let path = |path: &PathBuf| path.as_os_str().as_bytes().to_vec();
    let number = |number: u32| number.to_string().into_bytes();
    let (name, gecos) = (user.name.clone().into_bytes(), user.gecos.clone().into_bytes());
    vec![name, number(user.uid), number(user.gid), gecos, path(&user.home), path(&user.shell)]
}

pub(crate) fn from_fields(fields: &[Vec<u8>]) -> Option<UserEntry> {
    let [name, uid, gid, gecos, home, shell] = fields else { return None };
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).ok();
    let path = |bytes: &Vec<u8>| PathBuf::from(OsString::from_vec(bytes.clone()));
    Some(UserEntry {
        name: text(name)?,
        uid: text(uid)?.parse().ok()?,
        gid: text(gid)?.parse().ok()?,
        gecos: text(gecos)?,
        home: path(home),
        shell: path(shell),
    })
}

/// The login name of the user whose process this is.
#[must_use]
pub fn process_user() -> Option<String> {
    let passwd = passwd_by_uid(rustix::process::geteuid().as_raw()).ok().flatten()?;
    String::from_utf8(passwd.name).ok()
}

/// The home directory of the user whose process this is.
#[must_use]
pub fn process_home() -> Option<PathBuf> {
    let passwd = passwd_by_uid(rustix::process::geteuid().as_raw()).ok().flatten()?;
    Some(entry(passwd).home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_users_are() {
        let check = |text: &str, expected| assert_eq!(are_in_files(text, "passwd"), expected, "{text}");
        check("", true);
        check("passwd: files\ngroup: ldap\n", true);
        check("# passwd: ldap\npasswd:\tfiles # ldap\n", true);
        check("passwd: files systemd", false);
        check("passwd: files ldap", false);
        check("passwd: compat", false);
    }

    #[test]
    fn a_user_survives_the_way() {
        let Lookup::Found(root) = by_uid(0) else { panic!("no root here") };
        assert_eq!(from_fields(&to_fields(&root)), Some(root));
        assert_eq!(from_fields(&[]), None);
    }
}
