//! Files that hold lists of destinations: a user's forward file, found by forward_path, and :include: files.

use crate::{task::Job, trouble};
use bstr::{BString, ByteSlice};
use local::names::fill;
use rustix::{
    fs::{FileType, Mode, OFlags, Stat},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::Path,
};

/// A forward file that may be followed.
pub(crate) struct ForwardFile {
    pub(crate) path: BString,
    pub(crate) is_extension_used: bool,
    pub(crate) text: BString,
}

/// What a file of a list is.
pub(crate) enum IncludeFile {
    Text(BString),
    /// It is this user's, and only that user reads it.
    OfUser(u32),
}

/// Why an :include: file cannot be used.
pub(crate) struct Unusable {
    /// For the log.
    pub(crate) warning: String,
    /// Postfix, as root, might have been able to read it.
    pub(crate) is_forbidden: bool,
}

impl Job<'_> {
    /// The first file of forward_path that exists. One that must not be trusted, or cannot be read, is passed over with
    /// a warning, as in Postfix: the mail goes to the mailbox.
    pub(crate) fn forward_file(&mut self) -> Option<ForwardFile> {
        let found =
            if self.owner.stands_for_root() { self.roots_forward_file() } else { self.own_forward_file() };
        found.unwrap_or_else(|warning| {
            self.warnings.push(warning);
            None
        })
    }

    fn own_forward_file(&self) -> Result<Option<ForwardFile>, String> {
        let settings = &self.settings.local;
        let delimiter = &settings.extensions.recipient_delimiter;
        let patterns = settings.forward_path.split([',', ' ', '\t', '\n']).filter(|p| !p.is_empty());
        for pattern in patterns {
            let allowed = Some(settings.forward_expansion_filter.as_str());
            let filled = fill(pattern, &self.request.names, Some(self.owner.login()), delimiter, allowed);
            if filled.is_undefined || filled.is_bad {
                continue;
            }
            let path = filled.text;
            let Ok(facts) = rustix::fs::lstat(&path) else { continue };
            self.may_follow(&path, &facts)?;
            let file = open(Path::new(&path)).map_err(|errno| cannot_open("file", &path, errno))?;
            let text = self.read(&path, file)?;
            let is_extension_used = filled.is_extension_used;
            return Ok(Some(ForwardFile { path: path.into(), is_extension_used, text }));
        }
        Ok(None)
    }

    /// master looks for it, and opens it.
    fn roots_forward_file(&self) -> Result<Option<ForwardFile>, String> {
        let Some(errands) = &self.owner.errands else { return Ok(None) };
        let names = &self.request.names;
        let extension = match (&names.extension, names.delimiter()) {
            (Some(extension), Some(delimiter)) => [&[delimiter], extension.as_bytes()].concat(),
            _ => Vec::new(),
        };
        let Some((file, path, is_extension_used)) =
            errands.open_forward(extension.to_str_lossy().into_owned())?
        else {
            return Ok(None);
        };
        let facts = rustix::fs::fstat(&file).map_err(|errno| cannot_open("file", &path, errno))?;
        self.may_follow(&path, &facts)?;
        let text = self.read(&path, file)?;
        Ok(Some(ForwardFile { path: path.into(), is_extension_used, text }))
    }

    fn may_follow(&self, path: &str, facts: &Stat) -> Result<(), String> {
        if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
            Err(format!("file {path} is not a regular file"))
        } else if facts.st_uid != 0 && facts.st_uid != self.owner.mailbox_uid() {
            Err(format!("file {path} has bad owner uid {}", facts.st_uid))
        } else if facts.st_mode & 0o002 != 0 {
            Err(format!("file {path} is world writable"))
        } else {
            Ok(())
        }
    }

    /// Reads an :include: file. Links may be followed; where no rights are in force yet (`is_default`), a file of an
    /// ordinary user's is that user's to read.
    pub(crate) fn include_file(&self, path: &BString, is_default: bool) -> Result<IncludeFile, Unusable> {
        let place = Path::new(OsStr::from_bytes(path));
        let unusable = |warning: String| Unusable { warning, is_forbidden: false };
        let refused = |what: &str, errno: Errno| Unusable {
            warning: format!("{what} {path}: {}", sys::safe_open::text_of(errno)),
            is_forbidden: is_default && errno == Errno::ACCESS,
        };
        let facts =
            rustix::fs::stat(place).map_err(|errno| refused("unable to lookup :include: file", errno))?;
        if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
            return Err(unusable(format!(":include: file {path} is not a regular file")));
        }
        if facts.st_mode & 0o002 != 0 {
            return Err(unusable(format!(":include: file {path} is world writable")));
        }
        if is_default && facts.st_uid != 0 {
            return Ok(IncludeFile::OfUser(facts.st_uid));
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(place, flags, Mode::empty())
            .map_err(|errno| refused("cannot open include file", errno))?;
        self.read(&path.to_str_lossy(), file.into()).map(IncludeFile::Text).map_err(unusable)
    }

    fn read(&self, path: &str, file: File) -> Result<BString, String> {
        let fail =
            |error: &io::Error| format!("error reading forwarding file {path}: {}", trouble::text(error));
        let limit = match self.settings.local.list_size_limit {
            0 => u64::MAX - 1,
            limit => limit,
        };
        let mut text = Vec::new();
        file.take(limit + 1).read_to_end(&mut text).map_err(|error| fail(&error))?;
        if text.len() as u64 > limit {
            return Err(format!("file {path} is larger than {limit} bytes (message_size_limit)"));
        }
        Ok(text.into())
    }
}

fn open(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map(File::from)
}

fn cannot_open(what: &str, path: &str, errno: Errno) -> String {
    format!("cannot open {what} {path}: {}", sys::safe_open::text_of(errno))
}
