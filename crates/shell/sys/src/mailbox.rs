//! A mailbox file, opened as Postfix opens one (mbox_open(3)): lock file first, then the file itself.
//!
//! The same code for whoever has the rights: an agent for its user, or the one step that master has done by root.

use crate::{
    credentials::Identity,
    dotlock::{self, DotLock, Patience},
    safe_open::{self, Refused},
};
use rustix::{fs::FileType, io::Errno};
use std::{cell::RefCell, fs::File, path::Path};

/// Whether there is a lock file.
#[derive(Clone, Copy, Debug)]
pub enum Dotlock<'a> {
    /// mailbox_delivery_lock does not ask for one.
    None,
    /// Without it the mailbox stays closed.
    Must(&'a Patience),
    /// Where the directory does not allow one, a warning will do (`/file/name` of an alias).
    MayFail(&'a Patience, &'a RefCell<Vec<String>>),
}

/// An open mailbox.
#[derive(Debug)]
pub struct Opened {
    /// For appending.
    pub file: File,
    /// Its lock file, removed when this is dropped.
    pub lock: Option<DotLock>,
}

/// Locks and opens, or creates for `owner`. The error of a lock that is not free is `AGAIN`.
///
/// # Errors
/// See [`safe_open`].
pub fn open(path: &Path, owner: Option<Identity>, dotlock: Dotlock<'_>) -> Result<Opened, Refused> {
    let lock = match dotlock {
        Dotlock::None => None,
        // Nobody puts a lock file beside /dev/null.
        Dotlock::Must(_) | Dotlock::MayFail(..) if !may_be_plain(path) => None,
        Dotlock::Must(patience) => Some(take(path, patience)?),
        Dotlock::MayFail(patience, warnings) => match take(path, patience) {
            Ok(lock) => Some(lock),
            Err(busy) if busy.errno == Errno::AGAIN => return Err(busy),
            Err(refused) => {
                warnings.borrow_mut().push(refused.text);
                None
            }
        },
    };
    let file = safe_open::append_or_create(path, owner)?;
    Ok(Opened { file, lock })
}

fn take(path: &Path, patience: &Patience) -> Result<DotLock, Refused> {
    dotlock::take(path, patience).map_err(|errno| {
        let lock = dotlock::name_of(path);
        let refused = Refused::new(errno, format_args!("unable to create lock file {}", lock.display()));
        // Somebody works on the mailbox: that passes.
        Refused { errno: if errno == Errno::EXIST { Errno::AGAIN } else { errno }, ..refused }
    })
}

/// A plain file, or nothing yet. Links are followed: one of root's may lead to a device.
fn may_be_plain(path: &Path) -> bool {
    rustix::fs::stat(path).map_or(true, |f| FileType::from_raw_mode(f.st_mode) == FileType::RegularFile)
}
