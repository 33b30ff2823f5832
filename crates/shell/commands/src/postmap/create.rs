//! Building and changing table files: no option, `-i`, `-d`.

use std::{
    fs::{File, Metadata},
    io::{self, BufRead, BufReader},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use bstr::ByteSlice as _;
use tables::{
    EntryReader,
    build::{Builder, FileRules, file_to_base64},
};

use super::{Fatal, Run, options::Tool, query};
use crate::postalias;

/// Builds each table from its file.
pub(super) fn create(run: &Run) -> Result<bool, Fatal> {
    for argument in &run.request.tables {
        let (map_type, path) = run.table(argument);
        if map_type == "proxy" {
            return Err(Fatal("can't create maps via the proxy service".to_owned()));
        }
        let failed = |error: io::Error| Fatal(format!("open {path}: {}", config_files::reason(&error)));
        let source = File::open(path).map_err(failed)?;
        let data = source.metadata().map_err(failed)?;
        let rules = file_rules(run, path, &data)?;
        let mut builder = Builder::new(map_type, path, &run.options, run.request.nulls)?;
        fill(run, &mut builder, BufReader::with_capacity(1 << 16, source), path, false)?;
        builder.finish(rules)?;
    }
    Ok(true)
}

/// Adds entries from standard input to each table.
pub(super) fn update(run: &Run) -> Result<bool, Fatal> {
    for argument in &run.request.tables {
        let (map_type, path) = run.table(argument);
        let mut builder = Builder::from_existing(map_type, path, &run.options, run.request.nulls, false)?;
        fill(run, &mut builder, io::stdin().lock(), "stdin", true)?;
        builder.finish(FileRules { mode: 0o644, owner: None })?;
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
        let (map_type, path) = run.table(argument);
        let mut builder = Builder::from_existing(map_type, path, &run.options, run.request.nulls, true)?;
        let removed = keys.iter().filter(|key| builder.remove(key)).count();
        if removed > 0 {
            found = true;
            builder.finish(FileRules { mode: 0o644, owner: None })?;
        }
    }
    Ok(found)
}

fn fill(
    run: &Run,
    builder: &mut Builder,
    source: impl BufRead,
    path: &str,
    is_update: bool,
) -> Result<(), Fatal> {
    match run.tool {
        Tool::Postmap => fill_map(run, builder, source, path),
        Tool::Postalias => postalias::fill(&run.options, builder, source, path, is_update),
    }
}

fn fill_map(run: &Run, builder: &mut Builder, source: impl BufRead, path: &str) -> Result<(), Fatal> {
    let mut reader = EntryReader::new(source, path, &run.options);
    let failed = |error: io::Error| Fatal(format!("read {path}: {}", config_files::reason(&error)));
    while let Some(entry) = reader.next_entry().map_err(failed)? {
        let origin = format!("{path}, line {}", entry.line);
        if !run.request.rhs_is_file {
            builder.add(&entry.key, &entry.value, &origin)?;
            continue;
        }
        match file_to_base64(&entry.value) {
            Ok(value) => builder.add(&entry.key, &value, &origin)?,
            Err(why) => run.console.warn(&format!("{origin}: {why}: skipping this entry")),
        }
    }
    Ok(())
}

/// Mode and owner of a new file: those of its source, as far as asked for (postmap(1) `-o`, `-p`).
fn file_rules(run: &Run, path: &str, source: &Metadata) -> Result<FileRules, Fatal> {
    let save = run.request.save_permissions && source.is_file();
    let mask = if save { 0o022 | (!source.mode() & 0o077) } else { 0o022 };
    let mut rules = FileRules { mode: 0o644 & !mask, owner: None };
    if !run.request.as_owner || !is_root() {
        return Ok(rules);
    }
    if source.uid() != 0 {
        rules.owner = Some((source.uid(), source.gid()));
        return Ok(rules);
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
    Ok(rules)
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}
