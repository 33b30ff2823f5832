//! The directories of the mail system: made where missing, with their owners and modes.

use super::{Fatal, System};
use config::params as p;
use queue::{DIRECTORIES, Owner};
use std::{fs, io, os::unix::fs::DirBuilderExt, path::PathBuf};
use sys::credentials;

/// Owner and group that a directory should have; `None` leaves it as it is.
struct Wanted {
    path: PathBuf,
    mode: u32,
    owner: Option<(u32, String)>,
    group: Option<(u32, String)>,
}

/// All directories that there must be. Started by a normal user, all of them are that user's.
fn wanted(system: &System) -> Result<Vec<Wanted>, Fatal> {
    let values = system.values();
    let (mail_owner, setgid_group) = (values.text(p::mail_owner), values.text(p::setgid_group));
    let mut ids = None;
    if credentials::real_uid() == 0 {
        let account = credentials::account_by_name(mail_owner).ok().flatten();
        let account = account
            .ok_or_else(|| Fatal(format!("parameter mail_owner: unknown user name value: {mail_owner}")))?;
        let group = credentials::group_by_name(setgid_group).ok().flatten();
        let group = group
            .ok_or_else(|| Fatal(format!("parameter setgid_group: unknown group name: {setgid_group}")))?;
        ids = Some((account.uid, group));
    }
    let queue = system.queue_directory();
    let owner_of = |owner: Owner| match (ids, owner) {
        (None, _) => (None, None),
        (Some(_), Owner::Root) => (Some((0, "root".to_owned())), None),
        (Some((uid, _)), Owner::MailOwner) => (Some((uid, mail_owner.to_owned())), None),
        (Some((uid, gid)), Owner::MailOwnerAndSetgidGroup) => {
            (Some((uid, mail_owner.to_owned())), Some((gid, setgid_group.to_owned())))
        }
    };
    let mut all: Vec<Wanted> = DIRECTORIES
        .iter()
        .map(|directory| {
            let (owner, group) = owner_of(directory.owner);
            let path = if directory.name.is_empty() { queue.clone() } else { queue.join(directory.name) };
            Wanted { path, mode: directory.mode, owner, group }
        })
        .collect();
    let (owner, group) = owner_of(Owner::MailOwner);
    all.push(Wanted { path: values.text(p::data_directory).into(), mode: 0o700, owner, group });
    Ok(all)
}

/// Makes the missing directories with their modes and owners; with `all`, sets those of existing ones, too.
pub(crate) fn make_directories(system: &System, all: bool) -> Result<(), Fatal> {
    for directory in wanted(system)? {
        let path = &directory.path;
        let exists = fs::symlink_metadata(path).is_ok();
        if !exists || all {
            make(&directory, exists).map_err(|error| {
                let reason = config_files::reason(&error);
                Fatal(format!("unable to create missing queue directories: {}: {reason}", path.display()))
            })?;
        }
    }
    Ok(())
}

fn make(directory: &Wanted, exists: bool) -> io::Result<()> {
    if !exists {
        fs::DirBuilder::new().recursive(true).mode(directory.mode).create(&directory.path)?;
    }
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
    // By descriptor: a link that somebody puts in its place in between leads nowhere.
    let opened = rustix::fs::open(&directory.path, flags, rustix::fs::Mode::empty())?;
    let uid = directory.owner.as_ref().map(|(uid, _)| rustix::fs::Uid::from_raw(*uid));
    let gid = directory.group.as_ref().map(|(gid, _)| rustix::fs::Gid::from_raw(*gid));
    if uid.is_some() || gid.is_some() {
        rustix::fs::fchown(&opened, uid, gid)?;
    }
    rustix::fs::fchmod(&opened, rustix::fs::Mode::from_bits_truncate(directory.mode))?;
    Ok(())
}
