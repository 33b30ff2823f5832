//! `unix:passwd.byname` and `unix:group.byname`: the system's own databases, through NSS.

use crate::{OpenError, Source, memory::answer, slow, source::errno_text, users};
use std::{
    cell::RefCell,
    collections::HashMap,
    time::{Duration, Instant},
};
use tables_sys::{group_by_name, passwd_by_name};
use types::Trouble;

#[derive(Clone, Copy)]
enum Database {
    Passwd,
    Group,
}

/// An opened database. Users that were found are remembered for a moment: a busy server asks for the same
/// ones again and again, and each question costs a dozen system calls.
pub(crate) struct UnixTable {
    database: Database,
    found: RefCell<Remembered>,
    /// nsswitch.conf(5) has all entries in files.
    is_in_files: bool,
}

impl Database {
    const fn name(self) -> &'static str {
        match self {
            Self::Passwd => "passwd",
            Self::Group => "group",
        }
    }
}

#[derive(Default)]
struct Remembered {
    since: Option<Instant>,
    entries: HashMap<Vec<u8>, Vec<u8>>,
}

impl Remembered {
    fn has(&self, key: &[u8]) -> bool {
        let is_young = self.since.is_some_and(|since| since.elapsed() <= REMEMBERED_FOR);
        is_young && self.entries.contains_key(key)
    }
}

const REMEMBERED_FOR: Duration = Duration::from_secs(1);
const REMEMBERED_MAX: usize = 1000;

/// `unix:passwd.byname` or `unix:group.byname`
pub(crate) fn open_unix(name: &str) -> Result<UnixTable, OpenError> {
    let database = match name {
        "passwd.byname" => Database::Passwd,
        "group.byname" => Database::Group,
        _ => return Err(OpenError::new(format!("unknown table: unix:{name}"))),
    };
    let is_in_files = users::are_in_files(&slow::nsswitch(), database.name());
    Ok(UnixTable { database, found: RefCell::default(), is_in_files })
}

fn passwd_line(name: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    Ok(passwd_by_name(name)?.map(|p| {
        let (uid, gid) = (p.uid.to_string().into_bytes(), p.gid.to_string().into_bytes());
        [p.name, p.passwd, uid, gid, p.gecos, p.dir, p.shell].join(&b':')
    }))
}

fn group_line(name: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    Ok(group_by_name(name)?.map(|group| {
        let (gid, members) = (group.gid.to_string().into_bytes(), group.members.join(&b','));
        [group.name, group.passwd, gid, members].join(&b':')
    }))
}

impl Source for UnixTable {
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        let mut found = self.found.borrow_mut();
        if found.since.is_none_or(|since| since.elapsed() > REMEMBERED_FOR) {
            found.entries.clear();
            found.since = Some(Instant::now());
        }
        if let Some(line) = found.entries.get(key) {
            return Ok(answer(value, line));
        }
        let (line, what) = match self.database {
            Database::Passwd => (passwd_line(key), "password"),
            Database::Group => (group_line(key), "group"),
        };
        match line {
            Ok(Some(line)) => {
                answer(value, &line);
                if found.entries.len() < REMEMBERED_MAX {
                    found.entries.insert(key.to_vec(), line);
                }
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => {
                Err(Trouble::new(format!("cannot access UNIX {what} database: {}", errno_text(&error))))
            }
        }
    }

    fn may_hang(&self, key: &[u8]) -> bool {
        !self.is_in_files && !self.found.borrow().has(key)
    }
}
