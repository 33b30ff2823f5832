//! Maildir: one file a message, written in `tmp` and linked into `new` when it is complete and synced.

use crate::{content::Content, errands::Errands, trouble::Trouble};
use rustix::io::Errno;
use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};
use sys::{credentials, maildir::MaildirFile, safe_open::Refused};
use types::{Dsn, WallTime};

/// What a delivery to a maildir needs besides its path.
pub(crate) struct Delivery<'a> {
    pub(crate) now: WallTime,
    pub(crate) hostname: &'a str,
    pub(crate) headers: &'a [u8],
    pub(crate) content: &'a Content,
    /// Largest file, in bytes; 0 means no limit.
    pub(crate) size_limit: u64,
    /// Status of errors that say nothing of themselves.
    pub(crate) default_dsn: Dsn,
}

/// Where the maildir is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// Where its user may make files.
    Own(&'a Path),
    /// Where only master may.
    Asked(&'a Errands),
}

/// Delivers, or says why not; nothing is left behind in `tmp`. Warnings are for the log.
pub(crate) fn deliver(
    place: Place<'_>,
    delivery: &Delivery<'_>,
    warnings: &mut Vec<String>,
) -> Result<(), Trouble> {
    let mut refused = |refused: Refused| {
        if refused.errno == Errno::ACCESS {
            let (uid, gid) = (credentials::effective_uid(), credentials::effective_gid());
            let reason = &refused.text;
            warnings.push(format!("maildir access problem for UID/GID={uid}/{gid}: {reason}"));
            warnings.push("perhaps you need to create the maildirs in advance".into());
        }
        Trouble::refused(refused, delivery.default_dsn)
    };
    let result = match place {
        Place::Own(maildir) => {
            let since_epoch = std::time::Duration::new(
                u64::try_from(delivery.now.seconds).unwrap_or(0),
                delivery.now.micros.saturating_mul(1000),
            );
            MaildirFile::create(maildir, since_epoch, delivery.hostname).map_err(&mut refused).and_then(
                |(begun, mut file)| {
                    write(&mut file, delivery)?;
                    begun.keep(&file).map_err(&mut refused)
                },
            )
        }
        Place::Asked(errands) => errands.open_mailbox().map_err(&mut refused).and_then(|(mut file, held)| {
            write(&mut file, delivery)?;
            held.keep().map_err(&mut refused)
        }),
    };
    result.map_err(|trouble| trouble.within("maildir delivery failed: "))
}

/// Writes and syncs.
fn write(file: &mut File, delivery: &Delivery<'_>) -> Result<(), Trouble> {
    let failed = |error: io::Error| Trouble::copying(&error, Dsn::permanent(3, 0), "error writing message");
    let mut written = 0_u64;
    let mut last = b'\n';
    let mut put = |bytes: &[u8]| {
        written += bytes.len() as u64;
        last = bytes.last().copied().unwrap_or(last);
        if delivery.size_limit > 0 && written > delivery.size_limit {
            return Err(failed(io::Error::from(Errno::FBIG)));
        }
        file.write_all(bytes).map_err(failed)
    };
    put(delivery.headers)?;
    let unreadable =
        |error: io::Error| Trouble::copying(&error, Dsn::temporary(3, 0), "error reading message");
    delivery.content.copy(unreadable, &mut put)?;
    if last != b'\n' {
        file.write_all(b"\n").map_err(failed)?;
    }
    file.sync_all().map_err(failed)
}
