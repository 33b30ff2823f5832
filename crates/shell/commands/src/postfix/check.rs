//! What `postfix check` and `postfix start` warn of: owners and modes that open a way in, copies in the chroot that have
//! grown old, damaged messages, remains of another mail system.
//!
//! What is looked at, its order and the words are those of Postfix's own script. Of a link it is what it leads to that may
//! be writable; Postfix looks at the link, which always is.

use super::System;
use config::params as p;
use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};
use sys::credentials;

/// The deepest tree that is looked at.
const DEPTH_MAX: usize = 32;

/// Directories below the queue that belong to mail_owner, with everything in them.
const OF_MAIL_OWNER: [&str; 12] = [
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "public",
    "saved", "trace",
];

/// Directories of a chroot, with copies of the system's own files.
const OF_CHROOT: [&str; 5] = ["bin", "etc", "lib", "sbin", "usr"];

/// Bytes that are compared at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Whose something should be.
#[derive(Clone)]
struct Owner {
    uid: u32,
    name: String,
}

struct Look<'a> {
    system: &'a System,
    queue: PathBuf,
    root: Owner,
    mail_owner: Owner,
}

/// Warns of everything.
pub(super) fn warn(system: &System) {
    let Some(look) = Look::new(system) else { return };
    look.queue_and_configuration();
    look.data();
    look.queues();
    look.group();
    look.chroot();
    look.corrupt();
    look.other_mail_systems();
}

impl<'a> Look<'a> {
    fn new(system: &'a System) -> Option<Self> {
        let values = system.values();
        let us = credentials::real_uid();
        let name = values.text(p::mail_owner).to_owned();
        // A system that runs as a normal user is all that user's.
        let uid = if us == 0 { credentials::account_by_name(&name).ok().flatten()?.uid } else { us };
        let root = Owner { uid: us, name: "root".to_owned() };
        Some(Self { system, queue: system.queue_directory(), root, mail_owner: Owner { uid, name } })
    }

    fn say(&self, what: &str, path: &Path) {
        self.system.warning(&format!("{what}: {}", path.display()));
    }

    fn owned(&self, path: &Path, facts: &Metadata, owner: &Owner) {
        // A normal user's system may stand on root's files.
        if facts.uid() != owner.uid && !(owner.name == "root" && facts.uid() == 0) {
            self.say(&format!("not owned by {}", owner.name), path);
        }
    }

    fn not_writable(&self, path: &Path, facts: &Metadata) {
        let target = facts.is_symlink().then(|| fs::metadata(path).ok()).flatten();
        let facts = target.as_ref().unwrap_or(facts);
        if !facts.is_symlink() && facts.mode() & 0o022 != 0 {
            self.say("group or other writable", path);
        }
    }

    fn queue_and_configuration(&self) {
        for path in [self.queue.join("."), self.queue.join("pid")] {
            look_at(&path, &mut |path, facts| self.owned(path, facts, &self.root));
        }
        for path in [self.queue.join("."), self.queue.join("pid")] {
            look_at(&path, &mut |path, facts| self.not_writable(path, facts));
        }
        // The directories of Postfix's own programs and libraries have nothing that is used here.
        let tree = self.system.directory.join(".");
        walk(&tree, &mut |path, facts| self.owned(path, facts, &self.root));
        walk(&tree, &mut |path, facts| self.not_writable(path, facts));
    }

    fn data(&self) {
        let data = Path::new(self.system.values().text(p::data_directory)).join(".");
        walk(&data, &mut |path, facts| self.owned(path, facts, &self.mail_owner));
        walk(&data, &mut |path, facts| self.not_writable(path, facts));
    }

    fn queues(&self) {
        for name in OF_MAIL_OWNER {
            walk(&self.queue.join(name), &mut |path, facts| {
                if !facts.file_type().is_fifo() && !facts.file_type().is_socket() {
                    self.owned(path, facts, &self.mail_owner);
                }
            });
        }
        // Anybody may put anything into it, so it is not entered.
        look_at(&self.queue.join("maildrop"), &mut |path, facts| self.owned(path, facts, &self.mail_owner));
    }

    fn group(&self) {
        let values = self.system.values();
        let name = values.text(p::setgid_group);
        let Some(gid) =
            credentials::group_by_name(name).ok().flatten().filter(|_| credentials::real_uid() == 0)
        else {
            return;
        };
        let commands =
            ["postqueue", "postdrop"].map(|name| Path::new(values.text(p::command_directory)).join(name));
        let directories = ["public", "maildrop"].map(|name| self.queue.join(name));
        for path in commands.iter().chain(&directories) {
            // Ours are links to one program.
            if fs::metadata(path).is_ok_and(|facts| facts.gid() != gid) {
                self.say(&format!("not owned by group {name}"), path);
            }
        }
        for path in &commands {
            if fs::metadata(path).is_ok_and(|facts| facts.mode() & 0o2111 != 0o2111) {
                self.say("not set-gid or not owner+group+world executable", path);
            }
        }
    }

    fn chroot(&self) {
        for name in OF_CHROOT {
            let tree = self.queue.join(name);
            walk(&tree, &mut |path, facts| self.owned(path, facts, &self.root));
            walk(&tree, &mut |path, facts| {
                let original = path.strip_prefix(&self.queue).map(|below| Path::new("/").join(below));
                let Some(original) = original.ok().filter(|original| facts.is_file() && original.is_file())
                else {
                    return;
                };
                if is_same(path, &original).is_ok_and(|is_same| !is_same) {
                    let (path, original) = (path.display(), original.display());
                    self.system.warning(&format!("{path} and {original} differ"));
                }
            });
        }
    }

    fn corrupt(&self) {
        walk(&self.queue.join("corrupt"), &mut |path, facts| {
            if facts.is_file() {
                self.say("damaged message", path.strip_prefix(&self.queue).unwrap_or(path));
            }
        });
    }

    fn other_mail_systems(&self) {
        let (one, other) = (Path::new("/usr/sbin/sendmail"), Path::new("/usr/lib/sendmail"));
        if one.is_file() && other.is_file() && is_same(one, other).is_ok_and(|is_same| !is_same) {
            self.system.warning(&format!("{} and {} differ", other.display(), one.display()));
            self.system.warning("Replace one by a symbolic link to the other");
        }
    }
}

fn look_at(path: &Path, visit: &mut dyn FnMut(&Path, &Metadata)) {
    // What vanishes meanwhile needs no warning.
    if let Ok(facts) = fs::symlink_metadata(path) {
        visit(path, &facts);
    }
}

/// A path and everything below it.
fn walk(path: &Path, visit: &mut dyn FnMut(&Path, &Metadata)) {
    descend(path, visit, 0);
}

fn descend(path: &Path, visit: &mut dyn FnMut(&Path, &Metadata), depth: usize) {
    let Ok(facts) = fs::symlink_metadata(path) else { return };
    visit(path, &facts);
    if facts.is_dir() && depth < DEPTH_MAX {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            descend(&path.join(entry.file_name()), visit, depth + 1);
        }
    }
}

fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (facts, others) = (one.metadata()?, other.metadata()?);
    if (facts.dev(), facts.ino()) == (others.dev(), others.ino()) {
        return Ok(true);
    }
    if facts.len() != others.len() {
        return Ok(false);
    }
    let (mut piece, mut counterpart) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    loop {
        let count = one.read(&mut piece)?;
        if count == 0 {
            return Ok(true);
        }
        let counterpart = counterpart.get_mut(..count).unwrap_or_default();
        match other.read_exact(counterpart) {
            Ok(()) if piece.get(..count) == Some(counterpart) => {}
            Ok(()) => return Ok(false),
            // It has become shorter meanwhile.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_compared_whole() {
        let folder = std::env::temp_dir().join(format!("posthaste-check-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, length: usize, last: u8| {
            let path = folder.join(name);
            let mut bytes = vec![b'x'; length];
            bytes.push(last);
            fs::write(&path, bytes).unwrap();
            path
        };
        let one = file("one", 200_000, 1);
        for (other, expected) in [
            (file("same", 200_000, 1), true),
            (file("end", 200_000, 2), false),
            (file("long", 200_001, 1), false),
            (one.clone(), true),
        ] {
            assert_eq!(is_same(&one, &other).unwrap(), expected, "{}", other.display());
        }
        let mut seen = Vec::new();
        walk(&folder, &mut |path, _| seen.push(path.to_owned()));
        assert_eq!(seen.len(), 5);
        fs::remove_dir_all(folder).unwrap();
    }
}
