//! Building and changing table files: no option, `-i`, `-d`.
//!
//! Root works with the rights of whoever owns the text, or the table that is changed: what it makes belongs to that user,
//! and it writes nowhere where that user may not (postmap(1) `-o`).

use std::{
    fs::{File, Metadata},
    io::{self, BufRead, BufReader},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use bstr::ByteSlice as _;
use sys::credentials::{Identity, with_effective};
use tables::{
    EntryReader,
    build::{self, Builder, file_to_base64},
};

use wire::proxymap::Action;

use super::{
    Fatal, Run,
    options::Tool,
    progress::Progress,
    proxy::{Proxied, Service},
    query,
};
use crate::postalias;

/// Builds each table from its file.
pub(super) fn create(run: &Run) -> Result<bool, Fatal> {
    for argument in &run.request.tables {
        let (map_type, path) = run.table(argument)?;
        let map_type = map_type.as_ref();
        if map_type == "proxy" {
            return Err(Fatal("can't create maps via the proxy service".to_owned()));
        }
        let failed = |error: io::Error| Fatal(format!("open {path}: {}", config_files::reason(&error)));
        let source = File::open(path).map_err(failed)?;
        let data = source.metadata().map_err(failed)?;
        let owner = (data.uid(), data.gid());
        if run.request.as_owner && owner.0 == 0 {
            check_directory(run, path)?;
        }
        as_owner(run, Some(owner), || {
            let mut builder = Builder::new(map_type, path, &run.options)?;
            let mut progress = Progress::new(&run.console, map_type, path);
            fill(run, &mut builder, &mut progress, (BufReader::with_capacity(1 << 16, source), path))?;
            progress.writing(builder.count());
            Ok(builder.finish(path, mode(run, &data))?)
        })?;
    }
    Ok(true)
}

/// Adds entries from standard input to each table.
pub(super) fn update(run: &Run) -> Result<bool, Fatal> {
    for argument in &run.request.tables {
        let (map_type, path) = run.table(argument)?;
        let map_type = map_type.as_ref();
        if map_type == "proxy" {
            update_proxied(run, path)?;
            continue;
        }
        as_owner(run, build::owner_of(map_type, path), || {
            let mut builder = Builder::update(map_type, path, &run.options)?;
            let mut progress = Progress::new(&run.console, map_type, path);
            fill(run, &mut builder, &mut progress, (io::stdin().lock(), "stdin"))?;
            Ok(builder.finish("stdin", 0o644)?)
        })?;
    }
    Ok(true)
}

/// Takes a key, or the keys on standard input, out of each table.
pub(super) fn delete(run: &Run, key: &[u8]) -> Result<bool, Fatal> {
    let mut keys = vec![key.to_vec()];
    if key == b"-" {
        keys.clear();
        query::each_line(|line| {
            keys.push(line.to_vec());
            Ok(true)
        })?;
    }
    let mut found = false;
    for argument in &run.request.tables {
        let (map_type, path) = run.table(argument)?;
        let map_type = map_type.as_ref();
        if map_type == "proxy" {
            let table = Proxied::open(&Service::for_writing(run), path)?;
            for key in &keys {
                found |= table.change(&Action::Delete(key.as_slice().into()))?;
            }
            continue;
        }
        found |= as_owner(run, build::owner_of(map_type, path), || {
            Ok(build::delete(map_type, path, &run.options, &keys)? > 0)
        })?;
    }
    Ok(found)
}

/// Has the proxywrite service add the entries on standard input, one by one.
fn update_proxied(run: &Run, table: &str) -> Result<(), Fatal> {
    if run.tool == Tool::Postalias {
        let why =
            format!("cannot change proxy:{table} from the text of aliases; use \"postmap -i proxy:{table}\"");
        return Err(Fatal(why));
    }
    let proxied = Proxied::open(&Service::for_writing(run), table)?;
    let failed = |error: io::Error| Fatal(format!("read stdin: {}", config_files::reason(&error)));
    EntryReader::new(io::stdin().lock(), "stdin", &run.options).each(failed, |entry| {
        let value = match run.request.rhs_is_file.then(|| file_to_base64(entry.value)) {
            None => entry.value.to_vec(),
            Some(Ok(value)) => value,
            Some(Err(why)) => {
                run.console.warn(&format!("stdin, line {}: {why}: skipping this entry", entry.line));
                return Ok(());
            }
        };
        proxied.change(&Action::Update(entry.key.into(), value.into())).map(drop)
    })
}

/// Works with the rights of a file's owner, if that is not root.
fn as_owner<T>(
    run: &Run,
    owner: Option<(u32, u32)>,
    work: impl FnOnce() -> Result<T, Fatal>,
) -> Result<T, Fatal> {
    let owner = owner.filter(|(uid, _)| run.request.as_owner && *uid != 0);
    let identity = owner.map(|(uid, gid)| Identity { uid, gid });
    with_effective(identity, || Ok(work())).unwrap_or_else(|error| {
        let uid = owner.map_or(0, |(uid, _)| uid);
        Err(Fatal(format!("cannot become user {uid}, who owns the file: {}", config_files::reason(&error))))
    })
}

/// Adds the entries of a text, which has a name.
fn fill<R: BufRead>(
    run: &Run,
    builder: &mut Builder,
    progress: &mut Progress,
    (source, path): (R, &str),
) -> Result<(), Fatal> {
    match run.tool {
        Tool::Postmap => fill_map(run, builder, progress, (source, path)),
        Tool::Postalias => postalias::fill(&run.options, builder, source, path),
    }
}

fn fill_map<R: BufRead>(
    run: &Run,
    builder: &mut Builder,
    progress: &mut Progress,
    (source, path): (R, &str),
) -> Result<(), Fatal> {
    let failed = |error: io::Error| Fatal(format!("read {path}: {}", config_files::reason(&error)));
    EntryReader::new(source, path, &run.options).each(failed, |entry| {
        progress.at(builder.count());
        if !run.request.rhs_is_file {
            return Ok(builder.add(entry.key, entry.value, entry.line)?);
        }
        match file_to_base64(entry.value) {
            Ok(value) => builder.add(entry.key, &value, entry.line)?,
            Err(why) => {
                run.console.warn(&format!("{path}, line {}: {why}: skipping this entry", entry.line));
            }
        }
        Ok(())
    })
}

/// Permissions of a new file: those of its text, as far as others may only read (postmap(1) `-p`).
fn mode(run: &Run, source: &Metadata) -> u32 {
    let save = run.request.save_permissions && source.is_file();
    let mask = if save { 0o022 | (!source.mode() & 0o077) } else { 0o022 };
    0o644 & !mask
}

/// Warns root about a directory whose owner could put something else in the place of its files.
fn check_directory(run: &Run, path: &str) -> Result<(), Fatal> {
    if !rustix::process::getuid().is_root() {
        return Ok(());
    }
    let parent = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let shown = parent.as_os_str().as_encoded_bytes().as_bstr();
    let data = parent
        .metadata()
        .map_err(|error| Fatal(format!("stat {shown}: {}", config_files::reason(&error))))?;
    if data.uid() != 0 {
        run.console.warn(&format!(
            "Creating root-owned database file(s) {path}.* in non-root-owned directory {shown}. Files {path}, {path}.*, and \
             directory {shown} should have the same owner. Please fix ownership to avoid a privilege-escalation attack."
        ));
    }
    Ok(())
}
