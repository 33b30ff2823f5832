//! The user's forward file: found by forward_path, read as the user (local(8)).

use crate::{task::Owner, trouble};
use bstr::{BString, ByteSlice};
use std::{
    fs::{self, OpenOptions},
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Largest forward file, in bytes.
const FORWARD_FILE_BYTES_MAX: u64 = 100_000;

/// A forward file's text.
pub(crate) struct ForwardFile {
    pub(crate) text: BString,
    pub(crate) is_extension_used: bool,
}

/// Looks for the first file of `forward_path` that exists. One that must not be trusted is ignored with
/// a warning, as Postfix does; one that cannot be read is an error, and defers.
pub(crate) fn find(
    forward_path: &str,
    owner: &Owner,
    extension: &BString,
    delimiter: Option<u8>,
    warnings: &mut Vec<String>,
) -> Result<Option<ForwardFile>, String> {
    for pattern in forward_path.split([',', ' ', '\t', '\n']).filter(|p| !p.is_empty()) {
        let Some((path, is_extension_used)) = expand(pattern, owner, extension, delimiter) else { continue };
        let Ok(status) = fs::symlink_metadata(&path) else { continue };
        let name = path.display();
        if !status.is_file() {
            warnings.push(format!("file {name} is not a regular file"));
        } else if status.uid() != 0 && status.uid() != owner.uid {
            warnings.push(format!("file {name} has bad owner uid {}", status.uid()));
        } else if status.mode() & 0o002 != 0 {
            warnings.push(format!("file {name} is world writable"));
        } else {
            let text = read(&path)?;
            return Ok(Some(ForwardFile { text, is_extension_used }));
        }
        return Ok(None);
    }
    Ok(None)
}

fn read(path: &Path) -> Result<BString, String> {
    let fail =
        |error: &std::io::Error| format!("cannot open file {}: {}", path.display(), trouble::text(error));
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(|e| fail(&e))?;
    let mut text = Vec::new();
    file.take(FORWARD_FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(|e| fail(&e))?;
    if text.len() as u64 > FORWARD_FILE_BYTES_MAX {
        return Err(format!("file {} is larger than {FORWARD_FILE_BYTES_MAX} bytes", path.display()));
    }
    Ok(text.into())
}

/// Expands `$home`, `$user`, `${recipient_delimiter}`, `$extension`; a name without a value
/// makes the whole pattern not apply.
fn expand(
    pattern: &str,
    owner: &Owner,
    extension: &BString,
    delimiter: Option<u8>,
) -> Option<(PathBuf, bool)> {
    let mut path = Vec::new();
    let mut is_extension_used = false;
    let mut rest = pattern;
    while let Some(at) = rest.find('$') {
        path.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let name;
        if let Some(braced) = rest.strip_prefix('{') {
            let end = braced.find('}')?;
            (name, rest) = (&braced[..end], &braced[end + 1..]);
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            (name, rest) = rest.split_at(end);
        }
        match name {
            "home" => path.extend_from_slice(owner.home.as_os_str().as_encoded_bytes()),
            "user" => path.extend_from_slice(owner.name.as_bytes()),
            "recipient_delimiter" if !extension.is_empty() => path.push(delimiter?),
            "extension" if !extension.is_empty() => {
                // Only characters of forward_expansion_filter; anything else becomes `_`.
                path.extend(extension.iter().map(|&b| if is_plain(b) { b } else { b'_' }));
                is_extension_used = true;
            }
            _ => return None,
        }
    }
    path.extend_from_slice(rest.as_bytes());
    Some((PathBuf::from(path.to_os_str().ok()?), is_extension_used))
}

/// The default of forward_expansion_filter.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!@%_-+=:,./".contains(&byte)
}
