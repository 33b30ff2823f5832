//! mbox: one file with all messages, locked while it grows, cut back to its old length on any error.

use crate::{content::Content, errands::Errands, lock, trouble::Trouble};
use local::{MailboxLocks, copy::MboxQuote};
use std::{
    cell::RefCell,
    fs::{File, Metadata},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::Path,
};
use sys::mailbox::{self, Dotlock};
use types::Dsn;

/// What a delivery to an mbox file needs besides its path.
pub(crate) struct Delivery<'a> {
    /// The `From ` line.
    pub(crate) from_line: &'a [u8],
    pub(crate) headers: &'a [u8],
    pub(crate) content: &'a Content,
    pub(crate) locks: &'a MailboxLocks,
    /// What the file must be.
    pub(crate) kind: Kind,
    /// Largest file, in bytes; 0 means no limit.
    pub(crate) size_limit: u64,
    /// Status of errors that say nothing of themselves.
    pub(crate) default_dsn: Dsn,
}

/// What the file must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A mailbox of this user: a plain file.
    Mailbox(u32),
    /// Any file that is no program, and any device (`/file/name` of an alias).
    AnyFile,
}

/// Where the mailbox is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// Where its user may lock and create it.
    Own(&'a Path),
    /// Where only master may; the path is for texts.
    Asked(&'a Path, &'a Errands),
}

/// Appends, or says why not; the file is then as it was. Gives the length that the file had. Warnings are for the log.
pub(crate) fn deliver(
    place: Place<'_>,
    delivery: &Delivery<'_>,
    warnings: &mut Vec<String>,
) -> Result<u64, Trouble> {
    let refused = |refused| Trouble::refused(refused, delivery.default_dsn);
    match place {
        Place::Own(path) => {
            let (patience, remarks) = (lock::patience(delivery.locks), RefCell::default());
            let dotlock = match delivery.kind {
                _ if !delivery.locks.style.dotlock => Dotlock::None,
                Kind::Mailbox(_) => Dotlock::Must(&patience),
                Kind::AnyFile => Dotlock::MayFail(&patience, &remarks),
            };
            let opened = mailbox::open(path, None, dotlock).map_err(refused);
            warnings.append(&mut remarks.borrow_mut());
            let opened = opened?;
            // Unlocked after the file is closed.
            let _lock = opened.lock;
            check_and_append(opened.file, path, delivery, warnings)
        }
        Place::Asked(path, errands) => {
            let (file, _held) = errands.open_mailbox().map_err(refused)?;
            check_and_append(file, path, delivery, warnings)
        }
    }
}

fn check_and_append(
    file: File,
    path: &Path,
    delivery: &Delivery<'_>,
    warnings: &mut Vec<String>,
) -> Result<u64, Trouble> {
    let fail = |error: &io::Error, what: &str| Trouble::io(error, delivery.default_dsn, what);
    let status = |file: &File| file.metadata().map_err(|error| fail(&error, "status of mailbox"));
    let mut facts = status(&file)?;
    if facts.is_file() {
        lock::kernel_locks(&file, delivery.locks)
            .map_err(|errno| fail(&errno.into(), "unable to lock for exclusive access"))?;
        facts = status(&file)?;
        if facts.nlink() != 1 {
            warnings.push(format!("{}: file status changed unexpectedly", path.display()));
            return Err(Trouble::new(Dsn::temporary(2, 0), "target file status changed unexpectedly"));
        }
    }
    judge(&facts, path, delivery, warnings)?;
    append(file, &facts, delivery)
}

fn judge(
    facts: &Metadata,
    path: &Path,
    delivery: &Delivery<'_>,
    warnings: &mut Vec<String>,
) -> Result<(), Trouble> {
    match delivery.kind {
        Kind::AnyFile if facts.is_file() && facts.mode() & 0o111 != 0 => {
            Err(Trouble::new(Dsn::permanent(7, 1), "file is executable"))
        }
        Kind::AnyFile => Ok(()),
        Kind::Mailbox(_) if !facts.is_file() => {
            let reason = format!("destination {} is not a regular file", path.display());
            Err(Trouble::new(Dsn::permanent(2, 0), reason))
        }
        Kind::Mailbox(uid) if delivery.locks.strict_mailbox_ownership && facts.uid() != uid => {
            let advice = "specify \"strict_mailbox_ownership = no\" to ignore mailbox ownership mismatch";
            warnings.push(advice.into());
            let reason = format!("destination {} is not owned by recipient", path.display());
            Err(Trouble::new(Dsn::temporary(2, 0), reason))
        }
        Kind::Mailbox(_) => Ok(()),
    }
}

fn append(mut file: File, facts: &Metadata, delivery: &Delivery<'_>) -> Result<u64, Trouble> {
    let old_length = facts.len();
    let result = write(&mut file, facts, delivery);
    if result.is_err() && facts.is_file() {
        // Readers must not find half a message; the error that we report is the first one.
        let _ = file.set_len(old_length);
    }
    result.map(|()| old_length)
}

fn write(file: &mut File, facts: &Metadata, delivery: &Delivery<'_>) -> Result<(), Trouble> {
    let failed = |error: io::Error| Trouble::copying(&error, Dsn::permanent(3, 0), "error writing message");
    let mut length = facts.len();
    let mut put = |bytes: &[u8]| {
        length += bytes.len() as u64;
        if delivery.size_limit > 0 && length > delivery.size_limit {
            return Err(failed(rustix::io::Errno::FBIG.into()));
        }
        file.write_all(bytes).map_err(failed)
    };
    put(&[delivery.from_line, delivery.headers].concat())?;
    let mut quote = MboxQuote::default();
    let mut out = Vec::new();
    let unreadable =
        |error: io::Error| Trouble::copying(&error, Dsn::temporary(3, 0), "error reading message");
    delivery.content.copy(unreadable, |chunk| {
        out.clear();
        quote.chunk(chunk, &mut out);
        put(&out)
    })?;
    out.clear();
    quote.finish(&mut out);
    put(&out)?;
    if facts.is_file() { file.sync_all().map_err(failed) } else { Ok(()) }
}
