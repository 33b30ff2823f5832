//! The directories of the mail system: made where missing, and looked at.

use super::{Fatal, System};
use config::params as p;
use queue::{DIRECTORIES, Owner};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};
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

/// Warns about owners and modes that open a way in, and about damaged messages.
pub(super) fn warn(system: &System) {
    let Ok(all) = wanted(system) else { return };
    for directory in &all {
        let Ok(facts) = fs::symlink_metadata(&directory.path) else { continue };
        let shown = directory.path.display();
        if let Some((_, name)) = directory.owner.as_ref().filter(|(uid, _)| *uid != facts.uid()) {
            system.warning(&format!("not owned by {name}: {shown}"));
        }
        if let Some((_, name)) = directory.group.as_ref().filter(|(gid, _)| *gid != facts.gid()) {
            system.warning(&format!("not owned by group {name}: {shown}"));
        }
        let writable = facts.permissions().mode() & 0o022 & !directory.mode;
        if writable != 0 {
            system.warning(&format!("group or other writable: {shown}"));
        }
    }
    warn_tree(system, &system.directory, 0);
    let corrupt = fs::read_dir(system.queue_directory().join("corrupt")).into_iter().flatten().flatten();
    for entry in corrupt.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())) {
        system.warning(&format!("damaged message: {}", entry.path().display()));
    }
}

/// The deepest tree of configuration files that is looked at.
const DEPTH_MAX: usize = 8;

fn warn_tree(system: &System, path: &Path, depth: usize) {
    let Ok(facts) = fs::symlink_metadata(path) else { return };
    let owner = if credentials::real_uid() == 0 { 0 } else { credentials::real_uid() };
    if facts.uid() != owner && facts.uid() != 0 {
        system.warning(&format!("not owned by root: {}", path.display()));
    }
    if facts.permissions().mode() & 0o022 != 0 && !facts.is_symlink() {
        system.warning(&format!("group or other writable: {}", path.display()));
    }
    if facts.is_dir() && depth < DEPTH_MAX {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            warn_tree(system, &entry.path(), depth + 1);
        }
    }
}
