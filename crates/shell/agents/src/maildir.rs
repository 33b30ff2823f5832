//! Maildir: one file a message, written in `tmp` and linked into `new` when it is complete and synced.
//!
//! Names are Postfix's: `seconds.VdeviceIinodeMmicroseconds.host`.

use crate::{content::Content, trouble::Trouble};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};
use sys::credentials;
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

/// Delivers, or says why not; nothing is left behind in `tmp`. Warnings are for the log.
pub(crate) fn deliver(
    maildir: &Path,
    delivery: &Delivery<'_>,
    warnings: &mut Vec<String>,
) -> Result<(), Trouble> {
    attempt(maildir, delivery, warnings).map_err(|trouble| trouble.within("maildir delivery failed: "))
}

fn attempt(maildir: &Path, delivery: &Delivery<'_>, warnings: &mut Vec<String>) -> Result<(), Trouble> {
    let host = delivery.hostname.replace('/', "\\057").replace(':', "\\072");
    let seconds = delivery.now.seconds;
    let temporary = maildir.join("tmp").join(format!("{seconds}.P{}.{host}", std::process::id()));
    let mut fail = |error: &io::Error, path: &Path| {
        let what = format!("create maildir file {}", path.display());
        let trouble = Trouble::io(error, delivery.default_dsn, what);
        if error.kind() == io::ErrorKind::PermissionDenied {
            let (uid, gid) = (credentials::effective_uid(), credentials::effective_gid());
            let reason = &trouble.reason;
            warnings.push(format!("maildir access problem for UID/GID={uid}/{gid}: {reason}"));
            warnings.push("perhaps you need to create the maildirs in advance".into());
        }
        trouble
    };
    let file = create(&temporary).map_err(|error| fail(&error, &temporary))?;
    let result = write(file, delivery).and_then(|(device, inode)| {
        let name = format!("{seconds}.V{device:x}I{inode:x}M{}.{host}", delivery.now.micros);
        let final_path = maildir.join("new").join(name);
        link(&temporary, &final_path, maildir).map_err(|error| fail(&error, &final_path))
    });
    // After the link the mail is delivered: a name that stays in tmp does no harm there.
    let _ = fs::remove_file(&temporary);
    result
}

fn create(path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match (open(), path.parent()) {
        (Err(error), Some(tmp)) if error.kind() == io::ErrorKind::NotFound => {
            make_directory(tmp)?;
            open()
        }
        (result, _) => result,
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes and syncs; returns device and inode, which make the name unique.
fn write(mut file: File, delivery: &Delivery<'_>) -> Result<(u64, u64), Trouble> {
    let failed = |error: io::Error| Trouble::copying(&error, Dsn::permanent(3, 0), "error writing message");
    let mut written = 0_u64;
    let mut last = b'\n';
    let mut put = |bytes: &[u8]| {
        written += bytes.len() as u64;
        last = bytes.last().copied().unwrap_or(last);
        if delivery.size_limit > 0 && written > delivery.size_limit {
            return Err(failed(io::Error::from(rustix::io::Errno::FBIG)));
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
    file.sync_all().map_err(failed)?;
    let status = file.metadata().map_err(failed)?;
    Ok((status.dev(), status.ino()))
}

fn link(temporary: &Path, final_path: &Path, maildir: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, final_path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_directory(&maildir.join("cur"))?;
            make_directory(&maildir.join("new"))?;
            fs::hard_link(temporary, final_path)?;
        }
        result => result?,
    }
    // The name must survive a power cut as the content does; without it the mail would be lost,
    // because its queue file is removed next.
    File::open(maildir.join("new"))?.sync_all()
}
