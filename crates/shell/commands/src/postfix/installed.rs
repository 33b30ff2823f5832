//! postfix-files and postfix-files.d in meta_directory: what is installed, with owners and permissions.
//!
//! A line is `$name/path:type:owner:group:permissions:flags`. Types: `d` directory, `f` file, `h` and `l` hard and symbolic links, which are
//! left alone. Flags: `c` make it where it is missing, `r` everything below too, `u` also at an upgrade, `o` obsolete, `1` and `i` only where
//! it is there, for another instance than the first. A text without `$` in front is a comment.
//!
//! Where there is no such file, what is needed is known all the same ([`super::directories`]).

use super::{Fatal, System, make_directories};
use config::params as p;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::fs::{DirBuilderExt, chown},
    path::{Path, PathBuf},
};
use sys::credentials;

/// What `$name` may be, and whether each instance has its own.
const NAMES: &[(&str, config::params::Id, bool)] = &[
    ("command_directory", p::command_directory, false),
    ("config_directory", p::config_directory, true),
    ("daemon_directory", p::daemon_directory, false),
    ("data_directory", p::data_directory, true),
    ("html_directory", p::html_directory, false),
    ("mail_owner", p::mail_owner, false),
    ("mailq_path", p::mailq_path, false),
    ("manpage_directory", p::manpage_directory, false),
    ("meta_directory", p::meta_directory, false),
    ("newaliases_path", p::newaliases_path, false),
    ("queue_directory", p::queue_directory, true),
    ("readme_directory", p::readme_directory, false),
    ("sample_directory", p::sample_directory, false),
    ("sendmail_path", p::sendmail_path, false),
    ("setgid_group", p::setgid_group, false),
    ("shlib_directory", p::shlib_directory, false),
];

/// More files than this in postfix-files.d are not read, nor deeper trees than this gone through.
const FILES_MAX: usize = 1000;
const DEPTH_MAX: usize = 32;

/// What is set right; each does what the one before it does, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extent {
    /// What is missing is made.
    Missing,
    /// And what changed with a version has its owner and permissions set.
    Upgrade,
    /// And everything has.
    All,
}

/// Something that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    path: PathBuf,
    is_directory: bool,
    owner: String,
    group: Option<String>,
    mode: u32,
    flags: String,
}

/// Sets right what is installed. True if nothing was wrong that could not be set right.
pub(super) fn set(system: &System, extent: Extent) -> Result<bool, Fatal> {
    make_directories(system, extent == Extent::All)?;
    if credentials::real_uid() != 0 {
        // All of it is this user's.
        return Ok(true);
    }
    let mut good = true;
    for item in items(system)? {
        if let Err(why) = set_item(&item, extent) {
            system.warning(&why);
            good = false;
        }
    }
    Ok(good)
}

fn set_item(item: &Item, extent: Extent) -> Result<(), String> {
    let shown = item.path.display();
    let failed = |error: io::Error| format!("{shown}: {}", config_files::reason(&error));
    let has = |flag| item.flags.contains(flag);
    let is_new = item.is_directory && has('c') && !item.path.is_dir();
    if is_new {
        fs::DirBuilder::new().mode(item.mode).create(&item.path).map_err(failed)?;
    }
    let is_meant = match extent {
        Extent::Missing => is_new,
        Extent::Upgrade => is_new || has('u'),
        Extent::All => true,
    };
    if !is_meant {
        return Ok(());
    }
    let (uid, gid) = owners(item)?;
    if !item.is_directory {
        chown(&item.path, Some(uid), gid).map_err(failed)?;
        return set_mode(&item.path, item.mode).map_err(failed);
    }
    let directory = rustix::fs::open(&item.path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let (directory, mode) = (directory.map_err(|error| failed(error.into()))?, item.mode);
    let wanted = Wanted { uid, gid, mode };
    let set =
        if has('r') { wanted.everywhere(&directory, DEPTH_MAX) } else { wanted.here(directory.as_fd()) };
    set.map_err(|error| failed(error.into()))
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

fn owners(item: &Item) -> Result<(u32, Option<u32>), String> {
    let uid = match credentials::account_by_name(&item.owner) {
        Ok(Some(account)) => account.uid,
        _ => return Err(format!("{}: unknown user: {}", item.path.display(), item.owner)),
    };
    let gid = item.group.as_ref().map(|name| match credentials::group_by_name(name) {
        Ok(Some(gid)) => Ok(gid),
        _ => Err(format!("{}: unknown group: {name}", item.path.display())),
    });
    Ok((uid, gid.transpose()?))
}

/// Owner and permissions of a directory.
#[derive(Clone, Copy)]
struct Wanted {
    uid: u32,
    gid: Option<u32>,
    mode: u32,
}

impl Wanted {
    fn here(self, directory: BorrowedFd<'_>) -> rustix::io::Result<()> {
        rustix::fs::fchown(directory, Some(Uid::from_raw(self.uid)), self.gid.map(Gid::from_raw))?;
        rustix::fs::fchmod(directory, Mode::from_bits_truncate(self.mode))
    }

    /// Also what is below: everything gets the owner, directories the permissions; those of queue files say what state they are in.
    /// By descriptor, so that no link that somebody puts there leads elsewhere.
    fn everywhere(self, directory: &OwnedFd, depth: usize) -> rustix::io::Result<()> {
        self.here(directory.as_fd())?;
        for entry in rustix::fs::Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let set = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
                Ok(inner) if depth > 0 => self.everywhere(&inner, depth - 1),
                Ok(_) => Ok(()),
                // A file, or a link, which gets the owner itself.
                Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
                    let (uid, gid) = (Some(Uid::from_raw(self.uid)), self.gid.map(Gid::from_raw));
                    rustix::fs::chownat(directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                }
                Err(error) => Err(error),
            };
            // A running system takes files away meanwhile.
            set.or_else(|error| if error == rustix::io::Errno::NOENT { Ok(()) } else { Err(error) })?;
        }
        Ok(())
    }
}

/// What postfix-files and postfix-files.d name, as far as it concerns this instance.
fn items(system: &System) -> Result<Vec<Item>, Fatal> {
    let main = Path::new(system.values().text(p::meta_directory)).join("postfix-files");
    if !main.exists() {
        return Ok(Vec::new());
    }
    let first = config_files::directory(None);
    let is_first = system.directory == first;
    // What the instances share is the first one's.
    let is_another = !is_first
        && System::open(&first).is_ok_and(|first| {
            let instances = first.values().list(p::multi_instance_directories);
            instances.iter().any(|instance| Path::new(instance) == system.directory)
        });
    let mut all = Vec::new();
    for file in std::iter::once(main.clone()).chain(further(&main.with_extension("d"))) {
        let shown = file.display();
        let text = fs::read(&file)
            .map_err(|error| Fatal(format!("open {shown}: {}", config_files::reason(&error))))?;
        for (at, line) in config::decode(&text).lines().enumerate() {
            let value = |name: &str| {
                let (_, id, is_own) = NAMES.iter().find(|(known, ..)| *known == name)?;
                Some((system.values().text(*id).to_owned(), *is_own))
            };
            let item = item(line, &value).map_err(|why| Fatal(format!("{shown}, line {}: {why}", at + 1)))?;
            let optional = |item: &Item| !is_first && item.flags.contains(['1', 'i']) && !item.path.exists();
            all.extend(item.filter(|(_, is_own)| !is_another || *is_own).map(|(item, _)| item));
            all.pop_if(|item| optional(item));
        }
    }
    Ok(all)
}

fn further(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path()).filter(|path| path.is_file());
    let mut files: Vec<PathBuf> = files.take(FILES_MAX).collect();
    files.sort();
    files
}

/// Reads a line: something with an owner, and whether each instance has its own. Nothing: a comment, a link, or what is not installed.
fn item(line: &str, value: &dyn Fn(&str) -> Option<(String, bool)>) -> Result<Option<(Item, bool)>, String> {
    if !line.starts_with('$') {
        return Ok(None);
    }
    let mut fields = line.split(':');
    let mut field = || fields.next().unwrap_or_default();
    let [path, kind, owner, group, mode, flags] = std::array::from_fn(|_| field());
    let is_directory = match kind {
        "d" => true,
        "f" => false,
        "h" | "l" => return Ok(None),
        other => return Err(format!("unknown type {other} for {path}; specify d, f, h or l")),
    };
    let expand = |text: &str| -> Result<(String, bool), String> {
        let Some(behind) = text.strip_prefix('$') else { return Ok((text.to_owned(), false)) };
        let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(behind.len());
        let (name, rest) = behind.split_at(end);
        let (value, is_own) = value(name).ok_or_else(|| format!("unknown name ${name} in {path}"))?;
        Ok((value + rest, is_own))
    };
    let (expanded, is_own) = expand(path)?;
    if expanded == "no" || expanded.starts_with("no/") || flags.contains('o') {
        return Ok(None);
    }
    if !expanded.starts_with('/') {
        return Err(format!("{path} is \"{expanded}\"; that should be an absolute path name"));
    }
    let group = expand(group)?.0;
    Ok(Some((
        Item {
            path: expanded.into(),
            is_directory,
            owner: expand(owner)?.0,
            group: (!matches!(group.as_str(), "-" | "")).then_some(group),
            mode: u32::from_str_radix(mode, 8)
                .map_err(|_| format!("bad permissions \"{mode}\" of {path}"))?,
            flags: flags.to_owned(),
        },
        is_own,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_what_is_installed() {
        let value = |name: &str| match name {
            "queue_directory" => Some(("/q".to_owned(), true)),
            "html_directory" => Some(("no".to_owned(), false)),
            "setgid_group" => Some(("drop".to_owned(), false)),
            "bin" => Some(("bin".to_owned(), false)),
            _ => None,
        };
        let check = |line: &str, expected: &str| {
            let shown = match item(line, &value) {
                Ok(None) => "nothing".to_owned(),
                Ok(Some((item, is_own))) => {
                    let Item { path, is_directory, owner, group, mode, flags } = item;
                    format!("{} {is_directory} {owner} {group:?} {mode:o} {flags} {is_own}", path.display())
                }
                Err(why) => why,
            };
            assert_eq!(shown, expected, "{line}");
        };
        check("# a comment", "nothing");
        check("", "nothing");
        check("/etc/x:f:root:-:644", "nothing");
        check("$queue_directory/a:d:root:$setgid_group:730:uc", "/q/a true root Some(\"drop\") 730 uc true");
        check("$queue_directory:f:root:-:2755", "/q false root None 2755  true");
        check("$queue_directory/a:h:root:-:755", "nothing");
        check("$queue_directory/a:f:root:-:755:o", "nothing");
        check("$html_directory/a:f:root:-:644", "nothing");
        check("$nothing/a:f:root:-:644", "unknown name $nothing in $nothing/a");
        check(
            "$queue_directory/a:x:root:-:644",
            "unknown type x for $queue_directory/a; specify d, f, h or l",
        );
        check("$queue_directory/a:f:root:-:9", "bad permissions \"9\" of $queue_directory/a");
        check("$bin/a:f:root:-:644", "$bin/a is \"bin/a\"; that should be an absolute path name");
    }
}
