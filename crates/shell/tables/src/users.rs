//! The user database as decisions see it.

use crate::source::errno_text;
use std::{ffi::OsString, io, os::unix::ffi::OsStringExt, path::PathBuf};
use tables_sys::{Passwd, passwd_by_name, passwd_by_uid};
use types::{Lookup, Trouble};
use world::{Answer, UserEntry, Users};

/// Users by NSS: files, LDAP, sssd, whatever nsswitch.conf names.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemUsers;

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

impl Users for SystemUsers {
    fn by_name<'a>(&'a self, name: &'a str) -> Answer<'a, Lookup<UserEntry>> {
        Answer::ready(answer(name, passwd_by_name(name.as_bytes())))
    }

    fn by_uid(&self, uid: u32) -> Answer<'_, Lookup<UserEntry>> {
        Answer::ready(answer(uid, passwd_by_uid(uid)))
    }
}

/// The login name of the user whose process this is.
#[must_use]
pub fn process_user() -> Option<String> {
    let passwd = passwd_by_uid(rustix::process::geteuid().as_raw()).ok().flatten()?;
    String::from_utf8(passwd.name).ok()
}
